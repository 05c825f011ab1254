"""The words of the report that page and PDF share: methods, limits, readers, the list of procedures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from marrowpoint.audit.agreement import ReaderStudy
from marrowpoint.audit.agreement_run import RunStudy, run_reader_lines
from marrowpoint.audit.facts import ProcedureFacts
from marrowpoint.audit.findings import Finding, Outcome, worst
from marrowpoint.audit.rules_sheet import drawn_sites
from marrowpoint.audit.statistics import Interval, share
from marrowpoint.profile import Profile

SIGNS = {"pass": "\N{CHECK MARK}", "warn": "!", "fail": "\N{MULTIPLICATION X}", "not_assessable": "?"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRow:
    """One procedure in the list.

    Parameters
    ----------
    number : int
    date, role : str
    sites : str
        Imaged sites and sites on the sheet.
    frames : int
    failed, warned : str
        Names of the rules.
    kind : str
        Worst outcome.
    """

    number: int
    date: str
    role: str
    sites: str
    frames: int
    failed: str
    warned: str
    kind: str


def list_rows(procedures: Sequence[ProcedureFacts], findings: Mapping[str, Sequence[Finding]]) -> list[ListRow]:
    """One row a procedure, in their order.

    Parameters
    ----------
    procedures : sequence of ProcedureFacts
    findings : mapping of str to sequence of Finding
        By study.

    Returns
    -------
    list of ListRow
    """
    rows = []
    for number, procedure in enumerate(procedures, start=1):
        whole = [finding for finding in findings.get(procedure.study_instance_uid, ()) if finding.site is None]
        imaged = sum(bool(position.imaged) for position in procedure.positions)
        rows.append(
            ListRow(
                number=number,
                date=f"{procedure.acquired:%Y-%m-%d}" if procedure.acquired else "no date",
                role=procedure.operator_role or "not stated",
                sites=f"{imaged} imaged, {len(drawn_sites(procedure)) or 'none'} on the sheet",
                frames=len(procedure.frames),
                failed=" ".join(finding.rule for finding in whole if finding.outcome is Outcome.FAIL),
                warned=" ".join(finding.rule for finding in whole if finding.outcome is Outcome.WARN),
                kind=worst(finding.outcome for finding in whole).value,
            )
        )
    return rows


def reader_lines(study: ReaderStudy | None, of_runs: RunStudy | None = None) -> list[str]:
    """What readers said of frames and of whole runs, in sentences; nothing without a reading."""
    lines = [*_frame_lines(study), *run_reader_lines(of_runs)]
    if lines:
        lines.append(
            "Readers saw the program's answer before they gave theirs: this is agreement, not accuracy, and rather too good."
        )
    return lines


def _frame_lines(study: ReaderStudy | None) -> list[str]:
    if study is None:
        return []
    lines = [
        f"{study.raters} reader{'' if study.raters == 1 else 's'}: {study.accepted} frames accepted as they were, "
        f"{study.corrected} corrected, {study.rejected} rejected."
    ]
    found = share(study.same, len(study.verdicts))
    if found is not None:
        lines.append(f"Same verdict in {study.same} of {len(study.verdicts)} ({_percent(found)}); rejected frames have none.")
    if study.verdict_kappa is not None:
        lines.append(f"Cohen's kappa {_told(study.verdict_kappa, '')}.")
    for words, agreement in (("", study.agreement), ("Corrected frames alone: t", study.corrected_agreement)):
        if agreement is not None:
            lines.append(
                f"{words or 'T'}ip to cortex, program minus reader, {agreement.count} frames: "
                f"bias {_told(agreement.bias, ' mm')}, "
                f"limits of agreement {_told(agreement.lower, ' mm')} and {_told(agreement.upper, ' mm')}."
            )
    return lines


def _percent(interval: Interval) -> str:
    return f"{100 * interval.value:.0f} %, 95 % interval {100 * interval.lower:.0f} to {100 * interval.upper:.0f}"


def _told(interval: Interval, unit: str) -> str:
    return f"{interval.value:.2f}{unit} ({interval.lower:.2f} to {interval.upper:.2f})"


def method_lines(procedures: Sequence[ProcedureFacts], profile: Profile, program: str) -> list[tuple[str, str]]:
    """How the report was made and what it cannot say.

    Parameters
    ----------
    procedures : sequence of ProcedureFacts
    profile : Profile
    program : str
        Version.

    Returns
    -------
    list of (str, str)
        Title and text.
    """
    used = {frame.provenance for procedure in procedures for frame in procedure.frames}
    others = sorted({f"{p.marrowpoint}, {p.profile} {p.profile_sha256[:16]}" for p in used})
    models = sorted({p.model_sha256[:16] if p.model_sha256 else "none" for p in used})
    return [
        ("Report", f"marrowpoint {program}; rules and charts by profile {profile.label}, sha256 {profile.sha256}."),
        ("Frames measured by", f"{'; '.join(others) or 'no frame'}. Learned prior: {', '.join(models) or 'none'}."),
        (
            "What is missing",
            '"No imaging evidence in the files given" speaks of these files. Whether imaging was used, they cannot tell.',
        ),
        (
            "Not assessable",
            "Counted in every share and shown as a problem: an answer that is missing is no good answer.",
        ),
        (
            "One view",
            "A projection can prove that a tip lies outside of bone, never that it lies in marrow. Only sites with two "
            "complementary views can be called consistent with the right spot, and a person must confirm each.",
        ),
        ("Lengths", 'With their 95 % interval (k = 2); "at most" and "at least" bound the true length on one side only.'),
        ("Shares", "95 % intervals by Wilson (1927). Denominators stand beside every count."),
        (
            "Limits in the charts",
            "Exact binomial limits around the share of all (Spiegelhalter 2005). With few cases they are wide: no alarm proves "
            "no difference.",
        ),
        (
            "Volumes and sites",
            "The thresholds for volumes and numbers of sites are one publisher's opinion; published work speaks for and "
            "against them. They stand, each with its source, in the profile and can be changed there.",
        ),
        (
            "Identity",
            "Names and ids of patients and the sheet's notes are left out. File names, and letters that a machine burned into "
            "its pictures, are shown as they are. Whether two studies show one person is not checked, only whether they share "
            "a picture.",
        ),
    ]
