"""The rules A01 to A30 asked in order; each is a small pure function of one procedure's facts and the profile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from marrowpoint.audit import rules_documents as documents
from marrowpoint.audit import rules_imaging as imaging
from marrowpoint.audit import rules_placement as placement
from marrowpoint.audit import rules_sheet as sheet
from marrowpoint.audit.facts import ProcedureFacts
from marrowpoint.audit.findings import Answer, Finding
from marrowpoint.audit.limits import limits_of
from marrowpoint.profile import Profile

START = "'Bone Marrow Aspiration Is Where a Real Stem Cell Procedure Begins'"
MYTHS = "'Stem Cell Mythbusters: Harvest and Stem Cell Injection'"
WITH_MARROW = "'Stem Cell Therapy with Bone Marrow'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One audit rule.

    Parameters
    ----------
    name : str
        ``A01`` to ``A30``.
    title : str
        A few words, as in the report's table.
    source : str
        Article, publication or project rule it comes from.
    ask : callable
        Yields at most one answer about the whole procedure and any number about its sites; none where it does not apply.
    """

    name: str
    title: str
    source: str
    ask: Callable[[ProcedureFacts, Profile], Iterator[Answer]]


RULES: tuple[Rule, ...] = tuple(
    Rule(name=name, title=title, source=source, ask=ask)
    for name, title, source, ask in (
        ("A01", "Imaging at harvest", f"{START}; {MYTHS}; {WITH_MARROW}", imaging.harvest_imaging),
        ("A02", "Imaging at re-injection", MYTHS, imaging.reinjection_imaging),
        ("A03", "Imaging of each site", f"{MYTHS}; permanent image of guidance (CPT 77002)", imaging.imaging_per_site),
        ("A04", "Volume from one site", f"{START}; Hernigou 2013; against it Fennema 2009", sheet.volume_per_site),
        ("A05", "Number of sites", f"{START}; against it Oliver 2017", sheet.number_of_sites),
        ("A06", "Volumes add up", "arithmetic", sheet.volumes_add_up),
        ("A07", "Total volume", f"{WITH_MARROW}: around 60 ml; band: project rule", sheet.total_volume),
        ("A08", "Syringe size", "Hernigou 2013", sheet.syringe_size),
        ("A09", "What a site is", "descriptions of the technique differ: entry, trajectory or level", sheet.meaning_of_site),
        ("A10", "Sites lie apart", "project rule", imaging.distinct_sites),
        ("A11", "No picture used twice", "project rule", imaging.pictures_used_twice),
        (
            "A12",
            "Two complementary views",
            "Guimaraes 2019: single views mislead; project rule: 60 degrees",
            placement.complementary_views,
        ),
        ("A13", "Where the tips were", f"{MYTHS}; thresholds of the profile", placement.verdict_per_site),
        (
            "A14",
            "Share not assessable",
            "project rule; Jabbour 2025: an abstention is not neutral",
            placement.share_not_assessable,
        ),
        ("A15", "Scale stated", "DICOM PS3.3 10.7.1", documents.scale_provenance),
        ("A16", "Needle in millimetres", "Hernigou 2014; needle gauge tables differ by 28 %", sheet.needle_diameter),
        ("A17", "Side stated", "AIUM documentation of ultrasound examinations", documents.laterality),
        ("A18", "Times run forward", "AIUM documentation; source articles: 2-3 hours", documents.clock_order),
        ("A19", "Prone position", f"{START}: lying face down", documents.prone_position),
        ("A20", "Dose documented", "MIPS measure 145", documents.dose_documented),
        ("A21", "Dose below alert level", "NCRP report 168", documents.dose_exceeded),
        ("A22", "Contrast can be followed", f"{MYTHS}; Lee 2010; AJNR 2015;36:1000", documents.contrast_series),
        (
            "A23",
            "Contrast wording",
            "Hong 2014; Lee 2010: live fluoroscopy misses 29 to 40 %",
            documents.contrast_wording,
        ),
        ("A24", "Ultrasound documented", "AIUM documentation; DICOM PS3.3 C.8.5.5", documents.ultrasound_documented),
        ("A25", "No depth from ultrasound", "bone hides what lies behind its surface", placement.ultrasound_claims),
        ("A26", "Depth along the path", "Hirahara 2018; 0.8 of the mean: project rule", placement.depth_along_path),
        ("A27", "A person confirmed", "radiologists follow wrong suggestions (PMC10247804)", placement.human_confirmation),
        ("A28", "Versions and hashes", "project rule", documents.report_provenance),
        ("A29", "Adverse event field", "Bain 2005", sheet.adverse_event),
        ("A30", "Harvest came first", MYTHS, sheet.harvest_first),
    )
)


def judge_procedure(procedure: ProcedureFacts, profile: Profile) -> tuple[Finding, ...]:
    """Ask every rule about one procedure.

    Parameters
    ----------
    procedure : ProcedureFacts
    profile : Profile
        With an ``[audit]`` section.

    Returns
    -------
    tuple of Finding
        In order of the rules; at most one with ``site`` None a rule, none where the rule does not apply.

    Raises
    ------
    InvalidProfile
        Where the profile has no ``[audit]`` section.
    """
    limits_of(profile)
    return tuple(
        Finding(
            rule=rule.name,
            outcome=answer.outcome,
            study_instance_uid=procedure.study_instance_uid,
            site=answer.site,
            sentence=answer.sentence,
            source=rule.source,
        )
        for rule in RULES
        for answer in rule.ask(procedure, profile)
    )


def judge_procedures(procedures: Iterable[ProcedureFacts], profile: Profile) -> tuple[Finding, ...]:
    """Ask every rule about every procedure.

    Parameters
    ----------
    procedures : iterable of ProcedureFacts
        From `gather_procedures`.
    profile : Profile

    Returns
    -------
    tuple of Finding
    """
    return tuple(finding for procedure in procedures for finding in judge_procedure(procedure, profile))
