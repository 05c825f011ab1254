"""Rules about which pictures there are: of each phase, of each site, and pictures used twice (A01 to A03, A10, A11)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from math import dist, sqrt

from marrowpoint.audit.facts import HARVEST, REINJECTION, PositionFacts, ProcedureFacts
from marrowpoint.audit.findings import Answer, Outcome, worst
from marrowpoint.audit.rules_sheet import NO_ROWS, Drawn, drawn_sites
from marrowpoint.profile import Profile


def harvest_imaging(procedure: ProcedureFacts, profile: Profile) -> Iterator[Answer]:
    """A01."""
    frames = procedure.frames
    # a frame nobody assigns is evidence of the harvest where it shows the needle at the hip bone
    seen = [frame for frame in frames if frame.needle and (frame.phase == HARVEST or (not frame.phase and frame.bone))]
    elsewhere = [frame for frame in frames if frame.phase == REINJECTION]
    none = "No imaging evidence of the harvest in the files given"
    if seen:
        text = f"A needle is seen during the harvest in {len(seen)} of {_frames(len(frames))}."
        yield Answer(outcome=Outcome.PASS, sentence=text)
    elif procedure.sites and not procedure.harvest_sites:
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence="The sheet lists no harvest in this study.")
    elif len(frames) > len(elsewhere) or procedure.failures:
        looked = _frames(len(frames) - len(elsewhere))
        text = f"In none of {looked} did the program find a needle{_unread(procedure)}: look at them."
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence=text)
    elif frames:
        yield Answer(outcome=Outcome.FAIL, sentence=f"{none}: all belong to the re-injection by the sheet.")
    else:
        yield Answer(outcome=Outcome.FAIL, sentence=f"{none}: no picture of this study was among them.")


def reinjection_imaging(procedure: ProcedureFacts, profile: Profile) -> Iterator[Answer]:
    """A02."""
    frames = [frame for frame in procedure.frames if frame.phase == REINJECTION]
    unassigned = [frame for frame in procedure.frames if not frame.phase]
    contrast = [run for run in procedure.runs if run.kind == "contrast" and run.phase != HARVEST]
    seen = [frame for frame in frames if frame.needle]
    if seen or contrast:
        text = f"{_frames(len(seen))} with a needle and {len(contrast)} contrast run(s) of the re-injection."
        yield Answer(outcome=Outcome.PASS, sentence=text)
    elif frames:
        text = f"In none of {_frames(len(frames))} of the re-injection did the program find a needle: look at them."
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence=text)
    elif not procedure.reinjection_sites:
        text = "Neither sheet nor files tell of a re-injection in this study."
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence=text)
    elif unassigned or procedure.failures:
        text = f"Which of {_frames(len(unassigned))} belong to the re-injection is not stated{_unread(procedure)}."
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence=text)
    else:
        text = "No imaging evidence of the re-injection in the files given."
        yield Answer(outcome=Outcome.FAIL, sentence=text)


def imaging_per_site(procedure: ProcedureFacts, profile: Profile) -> Iterator[Answer]:
    """A03."""
    sites = drawn_sites(procedure)
    if not sites:
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence=f"{NO_ROWS}: how many sites there were is unknown.")
        return
    if not any(position.rows for position in procedure.positions) and len(sites) > 1:
        yield _imaging_by_count(procedure, len(sites))
        return
    answers = [_site_imaging(site, procedure) for site in sites]
    passed = sum(answer.outcome is Outcome.PASS for answer in answers)
    bare = sum(answer.outcome is Outcome.WARN for answer in answers)
    unread = _unread(procedure)
    if bare == len(sites) and not unread:
        yield Answer(outcome=Outcome.FAIL, sentence="No imaging evidence of any site in the files given.")
    else:
        outcome = worst(answer.outcome for answer in answers)
        if outcome is Outcome.WARN and unread:
            outcome = Outcome.NOT_ASSESSABLE
        text = f"Pictures with a needle for {passed} of {len(sites)} sites{unread}."
        yield Answer(outcome=outcome, sentence=text)
    yield from answers


def _site_imaging(site: Drawn, procedure: ProcedureFacts) -> Answer:
    held = [position for position in procedure.positions if set(position.rows) & set(site.rows)]
    frames = [frame for position in held for frame in position.frames]
    seen = sum(frame.needle for frame in frames)
    if seen:
        return Answer(outcome=Outcome.PASS, sentence=f"The needle is seen in {_frames(seen)}.", site=site.label)
    if frames:
        text = f"In none of {_frames(len(frames))} of this site did the program find the needle."
        return Answer(outcome=Outcome.NOT_ASSESSABLE, sentence=text, site=site.label)
    return Answer(outcome=Outcome.WARN, sentence="No imaging evidence of this site in the files given.", site=site.label)


def _imaging_by_count(procedure: ProcedureFacts, sites: int) -> Answer:
    """Without entry times nobody knows which picture belongs to which site; too few pictures are too few all the same."""
    seen = sum(frame.needle and frame.phase != REINJECTION for frame in procedure.frames)
    if not procedure.frames and not procedure.failures:
        return Answer(outcome=Outcome.FAIL, sentence="No imaging evidence of any site in the files given.")
    if not procedure.failures and 0 < seen < sites:
        text = f"{_frames(seen)} with a needle for {sites} sites; which site they show is not stated."
        return Answer(outcome=Outcome.WARN, sentence=text)
    text = f"{_frames(seen)} with a needle for {sites} sites, but no entry times: which site they show is not stated"
    text += f"{_unread(procedure)}."
    return Answer(outcome=Outcome.NOT_ASSESSABLE, sentence=text)


def distinct_sites(procedure: ProcedureFacts, profile: Profile) -> Iterator[Answer]:
    """A10; does not apply to a single site."""
    positions = [position for position in procedure.positions if position.phase != REINJECTION]
    if max(len(positions), len(drawn_sites(procedure))) < 2:
        return
    reused = [picture for picture in procedure.shared if len(_here(picture.positions, procedure)) > 1 and picture.needle]
    if reused:
        text = f"{len(reused)} picture(s) stand for more than one site: {', '.join(reused[0].keys)}."
        yield Answer(outcome=Outcome.FAIL, sentence=text)
        return
    told = [answer for a, b in combinations(positions, 2) if (answer := _apart(a, b)) is not None]
    outcome = worst(answer.outcome for answer in told) if told else Outcome.NOT_ASSESSABLE
    pairs = len(positions) * (len(positions) - 1) // 2
    if outcome is not Outcome.WARN and len(told) < pairs:
        outcome = Outcome.NOT_ASSESSABLE
    apart = sum(answer.outcome is Outcome.PASS for answer in told)
    text = f"{apart} of {pairs} pairs of imaged sites are shown to lie apart."
    if outcome is Outcome.WARN:
        text = next(answer.sentence for answer in told if answer.outcome is Outcome.WARN)
    yield Answer(outcome=outcome, sentence=text)


def _apart(a: PositionFacts, b: PositionFacts) -> Answer | None:
    sides = [{frame.side for frame in position.frames} - {""} for position in (a, b)]
    names = f"Sites {a.site} and {b.site}"
    if sides[0] and sides[1] and not sides[0] & sides[1]:
        return Answer(outcome=Outcome.PASS, sentence=f"{names} lie on different sides.")
    if a.tip_mm is None or b.tip_mm is None or a.tip_sd_mm is None or b.tip_sd_mm is None:
        return None
    spacing = dist(a.tip_mm, b.tip_mm)
    doubt = 2 * sqrt(sum(sd**2 for sd in (*a.tip_sd_mm, *b.tip_sd_mm)))
    widths = [row.needle_od_mm for row in (*a.rows, *b.rows) if row.needle_od_mm is not None]
    if widths and spacing < max(widths):
        text = f"{names}: tips {spacing:.1f} mm apart, less than the needle is wide."
        return Answer(outcome=Outcome.WARN, sentence=text)
    outcome = Outcome.PASS if widths and spacing > doubt else Outcome.NOT_ASSESSABLE
    return Answer(outcome=outcome, sentence=f"{names}: tips {spacing:.1f} mm apart, doubt {doubt:.1f} mm.")


def pictures_used_twice(procedure: ProcedureFacts, profile: Profile) -> Iterator[Answer]:
    """A11."""
    if not procedure.frames:
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence="No picture of this study was given.")
        return
    across = [picture for picture in procedure.shared if len(picture.studies) > 1]
    sites = [picture for picture in procedure.shared if len(_here(picture.positions, procedure)) > 1]
    found = [picture for picture in (*across, *sites) if picture.needle]
    if found:
        where = "two studies" if found[0] in across else "two sites"
        text = f"The same picture is used for {where}: {', '.join(found[0].keys[:4])}; {len(found)} such in all."
        yield Answer(outcome=Outcome.FAIL, sentence=text)
    elif across or sites:
        keys = ", ".join((*across, *sites)[0].keys[:4])
        text = f"The same pixels in more than one place ({keys}), without a needle in them: perhaps empty pictures."
        yield Answer(outcome=Outcome.WARN, sentence=text)
    elif not all(frame.pixel_sha256 for frame in procedure.frames):
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence="The records carry no pixel hashes.")
    else:
        copies = f"; {len(procedure.shared)} are there more than once for the same site" if procedure.shared else ""
        yield Answer(outcome=Outcome.PASS, sentence=f"No picture is used for two sites or two studies{copies}.")


def _here(positions: tuple[str, ...], procedure: ProcedureFacts) -> list[str]:
    return [name for name in positions if name.startswith(f"{procedure.study_instance_uid}/")]


def _unread(procedure: ProcedureFacts) -> str:
    count = len(procedure.failures)
    return f"; {count} file{'' if count == 1 else 's'} beside them could not be read" if count else ""


def _frames(count: int) -> str:
    return f"{count} frame{'' if count == 1 else 's'}"
