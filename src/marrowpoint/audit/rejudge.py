"""Other thresholds on lengths that are measured: verdicts in seconds, without a pixel.

What a threshold would have changed before or in the measuring cannot be told from what is kept; such a profile is refused, and
a frame that only its pixels could settle says so.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from marrowpoint.assess import ULTRASOUND, marrowpoint_version
from marrowpoint.assessment import Assessment
from marrowpoint.audit.engine import judge_all_studies, run_here, write_results_file
from marrowpoint.audit.nouns import StoredFrame, pack, unpack
from marrowpoint.audit.store import DATABASE, audit_facts, open_audit, procedure_sites, write_facts
from marrowpoint.audit.task import Job, program_fingerprint, record_text
from marrowpoint.audit.work import THIN_GRID_MM
from marrowpoint.errors import InvalidAudit, NotAssessable
from marrowpoint.judge import doubtful_needle, judge_frame, not_assessable, trusted_lengths
from marrowpoint.measurement import Bound, Measurement, Unit
from marrowpoint.placement import Placement
from marrowpoint.profile import Profile
from marrowpoint.report.record import frame_record, verdict_record
from marrowpoint.verdict import Code

# Sections of a profile that only judge; the others enter the measuring.
JUDGING = frozenset({"name", "version", "sha256", "verdict", "study", "audit", "run", "review"})

NEEDS_PIXELS = NotAssessable("needs_pixels", "these thresholds need the picture itself: run the audit again with this profile")


def rejudge_audit(database: Path, out: Path, profile: Profile) -> sqlite3.Connection:
    """Make a second audit from what a first one measured, under another profile.

    Parameters
    ----------
    database : Path
        Of a finished audit; it is not changed.
    out : Path
        Folder for the new one.
    profile : Profile

    Returns
    -------
    sqlite3.Connection
        The new database. Its records name the profile they were measured with in ``rejudged``; their overlays, which show
        the former verdicts, are left out.

    Raises
    ------
    InvalidAudit
        Where the first audit is unfinished or was itself rejudged, or the profile changes how lengths are measured.
    """
    with closing(open_audit(database, read_only=True)) as former:
        facts = audit_facts(former)
        _check(facts, profile)
        if (out / DATABASE).exists():
            raise InvalidAudit("audit_stands", "an audit stands in that folder: give another one")
        out.mkdir(parents=True, exist_ok=True)
        db = open_audit(out / DATABASE, create=True)
        former.backup(db)
    measured_with = facts["profile"]
    with db:
        db.execute("DELETE FROM findings")
        for path, number, record, nouns in db.execute("SELECT path, frame, record, nouns FROM frames").fetchall():
            row = _frame(json.loads(record), unpack(StoredFrame, nouns), profile, measured_with)
            db.execute("UPDATE frames SET record = ?, nouns = ? WHERE path = ? AND frame = ?", (*row, path, number))
        for path, record in db.execute("SELECT path, record FROM runs").fetchall():
            again = _run(json.loads(record), profile, measured_with)
            db.execute("UPDATE runs SET record = ? WHERE path = ?", (again, path))
    write_facts(db, {"profile": asdict(profile), "rejudged_from": measured_with["sha256"], "state": "judging"})
    job = Job(profile=profile, procedure=procedure_sites(db), program=program_fingerprint())
    judge_all_studies(db, partial(run_here, job, None), job)
    write_results_file(db, out)
    write_facts(db, {"state": "finished"})
    return db


def judge_again(stored: StoredFrame, profile: Profile, *, measured_thin_mm: float) -> Assessment:
    """Judge one stored frame under a profile.

    Parameters
    ----------
    stored : StoredFrame
    profile : Profile
    measured_thin_mm : float
        What counted as thin bone when it was measured [mm].

    Returns
    -------
    Assessment
        With the verdict that a new analysis would give, or ``not_assessable`` with the reason ``needs_pixels``.
    """
    provenance = replace(stored.assessment.provenance, profile=profile.label, profile_sha256=profile.sha256)
    before = replace(stored.assessment, provenance=provenance)
    if before.frame.reference.modality in ULTRASOUND:
        return _scan(before, profile)
    needle, cortex, limits = before.needle, before.cortex, profile.verdict
    if needle is None:
        best = before.candidates[0].confidence if before.candidates else 0.0
        doubted = any(reason.code == "low_confidence_needle" for reason in before.verdict.reasons)
        return _needs_pixels(before) if doubted and best >= limits.min_needle_confidence else before
    if needle.confidence < limits.min_needle_confidence:
        candidates = (replace(needle, alternatives=()), *needle.alternatives)
        return replace(
            before, needle=None, candidates=candidates, calibration=before.frame.header_spacing, placement=None,
            verdict=doubtful_needle(needle),
        )  # fmt: skip
    if cortex is None or stored.measured is None:
        return before
    placement = _placement(stored, stored.measured, profile, measured_thin_mm)
    try:
        verdict = judge_frame(needle, cortex, placement, before.frame.view, profile)
    except NotAssessable as error:
        return replace(before, verdict=not_assessable(error))
    return replace(before, placement=trusted_lengths(placement, cortex, limits), verdict=verdict)


def _check(facts: dict[str, Any], profile: Profile) -> None:
    if facts.get("state") != "finished":
        raise InvalidAudit("audit_unfinished", "this audit is not finished: go on with it first (--resume)")
    if "rejudged_from" in facts:
        raise InvalidAudit("audit_rejudged", "this audit was itself judged anew: give the one that was measured")
    wanted, former = asdict(profile), facts["profile"]
    parted = [name for name in wanted if name not in JUDGING and wanted[name] != former.get(name)]
    if parted:
        text = f"the profile differs in {', '.join(parted)}, which enters the measuring: run the audit again with it"
        raise InvalidAudit("needs_pixels", text)
    if profile.verdict.thin_below_mm > THIN_GRID_MM[-1]:
        text = f"distances to bone thinner than {profile.verdict.thin_below_mm:g} mm are not kept: run the audit again"
        raise InvalidAudit("needs_pixels", text)


def _frame(record: dict[str, Any], stored: StoredFrame, profile: Profile, former: dict[str, Any]) -> tuple[str, str]:
    again = judge_again(stored, profile, measured_thin_mm=former["verdict"]["thin_below_mm"])
    made = frame_record(again)
    if made["bone"] is not None and record["bone"] is not None:
        made["bone"]["contour_xy"] = record["bone"]["contour_xy"]
    made["rejudged"] = {"marrowpoint": marrowpoint_version(), "measured_with": record["provenance"]}
    return record_text(made), pack(replace(stored, assessment=again))


def _run(record: dict[str, Any], profile: Profile, former: dict[str, Any]) -> str:
    """A run is kept with what it said, unless a threshold that it was judged by is another one."""
    again = {"marrowpoint": marrowpoint_version(), "measured_with": record["provenance"]}
    provenance = record["provenance"] | {"profile": profile.label, "profile_sha256": profile.sha256}
    made = record | {"strip": None, "provenance": provenance, "rejudged": again}
    if _thresholds_of_runs(asdict(profile)) != _thresholds_of_runs(former):
        made |= {"verdict": verdict_record(not_assessable(NEEDS_PIXELS)), "needle": None, "contrast": None}
    return record_text(made)


def _thresholds_of_runs(profile: dict[str, Any]) -> tuple[Any, ...]:
    verdict = profile["verdict"]
    confidences = verdict["min_needle_confidence"], verdict["min_bone_confidence"]
    return profile.get("run"), profile["study"]["cortex_mm"], confidences


def _needs_pixels(before: Assessment) -> Assessment:
    return replace(before, verdict=not_assessable(NEEDS_PIXELS), placement=None)


def _placement(stored: StoredFrame, measured: Placement, profile: Profile, measured_thin_mm: float) -> Placement:
    """What `measure_placement` would hold back or give under this profile."""
    limits, thickness = profile.verdict, measured.bone_thickness
    if thickness is not None:
        from_outline = thickness.bound is Bound.UPPER
        floor = 0.0 if from_outline else thickness.lower
        if thickness.upper >= limits.thick_from_mm and (from_outline or floor < limits.thin_below_mm):
            thickness = None
    same = limits.thin_below_mm == measured_thin_mm
    margin = measured.thin_bone_margin if same else _margin(stored, limits.thin_below_mm)
    near = margin is not None and margin.unit is Unit.MM and margin.lower < limits.thin_margin_mm
    point = measured.nearest_thin if same else None
    if thickness is None:
        margin, point = None, point if near else None
    return replace(measured, bone_thickness=thickness, thin_bone_margin=margin, thin_bone_near=near, nearest_thin=point)


def _margin(stored: StoredFrame, thin_below_mm: float) -> Measurement | None:
    # between two kept thicknesses the larger one counts: thin bone is then called nearer than it is, never farther
    grid = next(limit for limit in THIN_GRID_MM if limit >= thin_below_mm)
    distance = dict(stored.thin_distances).get(grid)
    needle, spacing = stored.assessment.needle, stored.assessment.calibration.spacing
    if distance is None or needle is None:
        return None
    u = 2 * max(needle.tip_sd_along_px, needle.tip_sd_across_px) * (1.0 if spacing is None else spacing.mm_per_px)
    return Measurement(
        value=distance, lower=max(distance - u, 0.0), upper=distance + u, unit=Unit.PX if spacing is None else Unit.MM,
        bound=Bound.ESTIMATE if grid == thin_below_mm else Bound.LOWER,
        method=f"to the map's nearest bone below {grid:g} mm, in plane; kept from the measuring",
    )  # fmt: skip


def _scan(before: Assessment, profile: Profile) -> Assessment:
    """Ultrasound: thresholds only refuse; what they refused before needs the picture again."""
    limits, needle, cortex = profile.verdict, before.needle, before.cortex
    distance = before.placement.tip_to_cortex if before.placement else None
    if needle is None or cortex is None or distance is None:
        return before
    refusals = {
        "low_confidence_needle": needle.confidence < limits.min_needle_confidence,
        "low_confidence_bone": cortex.confidence < limits.min_bone_confidence,
        "too_uncertain": distance.unit is Unit.MM and distance.expanded_uncertainty > limits.abstain_above_u_mm,
    }
    code = next((name for name, refused in refusals.items() if refused), None)
    refused_before = before.verdict.code is Code.NOT_ASSESSABLE and before.verdict.reasons[0].code in refusals
    if code is None:
        return _needs_pixels(before) if refused_before else before
    if refused_before and before.verdict.reasons[0].code == code:
        return before
    return replace(before, verdict=not_assessable(NotAssessable(code, f"this profile refuses the frame ({code})")))
