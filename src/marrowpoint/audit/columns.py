"""The data dictionary: every column of every exported table, where it stands in the record, its unit and its meaning."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of an exported table.

    Parameters
    ----------
    name : str
    where : str
        JSON path in the record.
    kind : {"text", "number", "integer", "yes/no", "list"}
    unit : str
        Empty where it has none.
    meaning : str
        One sentence.
    """

    name: str
    where: str
    kind: str
    unit: str
    meaning: str


def _column(name: str, where: str, kind: str, meaning: str, unit: str = "") -> Column:
    return Column(name=name, where=f"$.{where}", kind=kind, unit=unit, meaning=meaning)


def _measured(name: str, words: str) -> tuple[Column, ...]:
    place = f"measurements.{name}"
    return (
        _column(name, f"{place}.value", "number", f"{words}: best value.", f"{name}_unit"),
        _column(f"{name}_lower", f"{place}.lower", "number", "Lower limit of its 95 % interval.", f"{name}_unit"),
        _column(f"{name}_upper", f"{place}.upper", "number", "Upper limit of its 95 % interval.", f"{name}_unit"),
        _column(f"{name}_unit", f"{place}.unit", "text", "mm, or px where the frame has no scale."),
        _column(f"{name}_bound", f"{place}.bound", "text", "estimate, lower_bound or upper_bound of the true length."),
    )


VERDICT = (
    _column("verdict", "verdict.code", "text", "What is said, as a stable code."),
    _column("severity", "verdict.severity", "text", "good, caution, problem or unknown; no answer is never good."),
    _column("verdict_text", "verdict.text", "text", "What is said, in words."),
    _column("flags", "verdict.flags", "list", "What stands beside the verdict, separated by spaces."),
    _column("first_reason", "verdict.reasons[0].code", "text", "First reason of the verdict, as a stable code."),
)

PROVENANCE = (
    _column("marrowpoint", "provenance.marrowpoint", "text", "Version of the program."),
    _column("profile", "provenance.profile", "text", "Name and version of the thresholds."),
    _column("profile_sha256", "provenance.profile_sha256", "text", "Hash of the thresholds."),
    _column("model_sha256", "provenance.model_sha256", "text", "Hash of the learned prior; empty where none was used."),
)

FRAMES = (
    _column("path", "source.path", "text", "File, relative to the folder's parent."),
    _column("frame", "source.frame", "integer", "Number of the frame in the file, from 1."),
    _column("study_instance_uid", "source.study_instance_uid", "text", "DICOM study."),
    _column("series_instance_uid", "source.series_instance_uid", "text", "DICOM series."),
    _column("sop_instance_uid", "source.sop_instance_uid", "text", "DICOM object."),
    _column("modality", "source.modality", "text", "DICOM modality."),
    _column("acquired", "source.acquired", "text", "Date and time of acquisition as the machine's clock had it (ISO 8601)."),
    _column("pixel_sha256", "source.pixel_sha256", "text", "Hash of the decoded pixels of this frame."),
    _column("rows", "source.rows", "integer", "Height of the frame.", "px"),
    _column("columns", "source.columns", "integer", "Width of the frame.", "px"),
    _column("view", "view.kind", "text", "What the direction of the beam shows of the hip bone."),
    _column("view_origin", "view.origin", "text", "Who says so: dicom, operator or unknown."),
    _column("primary_deg", "view.primary_deg", "number", "Positioner primary angle.", "deg"),
    _column("secondary_deg", "view.secondary_deg", "number", "Positioner secondary angle.", "deg"),
    _column("side", "view.side", "text", "L or R, where stated."),
    _column("scale_method", "calibration.method", "text", "Rung of the scale ladder in use; none = no scale."),
    _column("mm_per_px", "calibration.mm_per_px", "number", "Scale at the needle.", "mm/px"),
    _column("scale_relative_u", "calibration.relative_u", "number", "Its relative expanded uncertainty (k = 2)."),
    _column("tip_x", "needle.tip_xy[0]", "number", "Tip, column; the centre of the top-left pixel is 0.", "px"),
    _column("tip_y", "needle.tip_xy[1]", "number", "Tip, row.", "px"),
    _column("tip_u_px", "needle.tip_u_px", "number", "Expanded uncertainty (k = 2) of the tip along the shaft.", "px"),
    _column("needle_confidence", "needle.confidence", "number", "Chance that this is the needle and this end its tip, 0 to 1."),
    _column("outer_diameter_mm", "needle.outer_diameter_mm", "number", "Declared outer diameter of the needle.", "mm"),
    _column("bone_confidence", "bone.confidence", "number", "Chance that the outline near the tip is right, 0 to 1."),
    *_measured("tip_to_cortex", "Tip to the nearest outline, positive inside bone, negative outside"),
    *_measured("insertion_depth", "Needle past the entry cortex, as projected"),
    *_measured("bone_thickness", "Local thickness of the bone at the tip"),
    *_measured("thin_bone_margin", "Distance in the plane from the tip to thin bone"),
    *_measured("far_cortex_reserve", "Distance ahead of the tip to where it would leave the outline"),
    *_measured("in_plane_width", "Largest disc of the outline that holds the tip"),
    *VERDICT,
    _column("overlay", "overlay", "text", "Picture with the result, relative to the audit's folder."),
    *PROVENANCE,
)

RUNS = (
    _column("path", "source.paths[0]", "text", "File, relative to the folder's parent."),
    _column("study_instance_uid", "source.study_instance_uid", "text", "DICOM study."),
    _column("series_instance_uid", "source.series_instance_uid", "text", "DICOM series."),
    _column("modality", "source.modality", "text", "DICOM modality."),
    _column("acquired", "source.acquired", "text", "Date and time of acquisition as the machine's clock had it (ISO 8601)."),
    _column("frames", "source.frames", "integer", "Frames of the run."),
    _column("times", "times.origin", "text", "Where the times of the frames come from."),
    _column("mm_per_px", "calibration.mm_per_px", "number", "Scale at the needle.", "mm/px"),
    _column("needle_followed_share", "needle.followed_share", "number", "Share of the frames in which the needle was found."),
    _column("needle_travel", "needle.travel", "number", "Way of the tip along the shaft.", "needle_unit"),
    _column("needle_unit", "needle.unit", "text", "mm, or px where the run has no scale."),
    _column("contrast_onset_frame", "contrast.onset_frame", "integer", "First frame with contrast, from 1."),
    _column("contrast_refusal", "contrast.refusal", "text", "Why the contrast was not followed; empty where it was."),
    *VERDICT,
    _column("strip", "strip", "text", "Film strip, relative to the audit's folder."),
    *PROVENANCE,
)

STUDIES = (
    _column("study_instance_uid", "study_instance_uid", "text", "DICOM study."),
    _column("site", "site", "text", "Needle position: the operator's name, or its number in the study."),
    _column("frames", "frames", "list", "Frames used, as path#frame, separated by spaces."),
    _column("tip_x_mm", "tip_3d.position_mm[0]", "number", "Triangulated tip, relative to the isocentre.", "mm"),
    _column("tip_y_mm", "tip_3d.position_mm[1]", "number", "Triangulated tip.", "mm"),
    _column("tip_z_mm", "tip_3d.position_mm[2]", "number", "Triangulated tip.", "mm"),
    _column("tip_residual_mm", "tip_3d.residual_mm", "number", "Root-mean-square distance of its rays from it.", "mm"),
    *_measured("insertion_depth", "Needle past the entry cortex, foreshortening taken out"),
    *_measured("bone_thickness", "Thickness at the tip, pooled over the views"),
    _column("thick_bone_chance", "thick_bone_chance", "number", "Chance that the tip lies in thick bone, by all views."),
    *VERDICT,
    *PROVENANCE,
)

FAILURES = (
    _column("path", "source.path", "text", "File that could not be analysed."),
    _column("frame", "source.frame", "integer", "Frame, where only one of several failed."),
    _column("code", "error.code", "text", "Why, as a stable code."),
    _column("text", "error.text", "text", "Why, in words."),
)

SITES = tuple(
    _column(name, name, kind, f"As written in the procedure sheet: {words}.", unit)
    for name, kind, words, unit in (
        ("study_instance_uid", "text", "study", ""),
        ("site", "text", "name of the site", ""),
        ("side", "text", "L or R", ""),
        ("needle_od_mm", "number", "outer diameter of the needle", "mm"),
        ("volume_ml", "number", "volume", "ml"),
        ("syringe_ml", "number", "size of the syringe", "ml"),
        ("entry_time", "text", "time of entry", ""),
        ("phase", "text", "harvest or reinjection", ""),
        ("operator_role", "text", "role of the operator", ""),
        ("note", "text", "note", ""),
    )
)

FINDINGS = (
    _column("study_instance_uid", "study_instance_uid", "text", "Procedure the finding is about."),
    _column("site", "site", "text", "Site; empty for the procedure as a whole."),
    _column("rule", "rule", "text", "Audit rule."),
    _column("outcome", "outcome", "text", "pass, warn, fail or not_assessable."),
    _column("sentence", "sentence", "text", "What was found, in words."),
    _column("source", "source", "text", "Where the rule comes from."),
)

LEDGER = (
    _column("path", "frame.path", "text", "File of the frame that was reviewed."),
    _column("frame", "frame.frame_number", "integer", "Number of the frame, from 1; 0 for a whole run."),
    _column("pixel_sha256", "frame.pixel_sha256", "text", "Hash of the pixels that were reviewed."),
    _column("action", "action", "text", "accept, correct, reject, flag, comment or withdraw."),
    _column("rater", "rater", "text", "Who decided."),
    _column("decided_at", "decided_at", "text", "When (UTC, ISO 8601)."),
    _column("program_verdict", "before.code", "text", "What the program said."),
    _column("rater_verdict", "after.code", "text", "What stands after the decision."),
    _column("rater_in_target", "after.numbers.in_target.value", "number", "Share of a run's contrast in the rater's target."),
    _column("reason", "reason", "text", "Why, in the rater's words."),
)

TABLES: dict[str, tuple[Column, ...]] = {
    "frames": FRAMES,
    "runs": RUNS,
    "studies": STUDIES,
    "failures": FAILURES,
    "sites": SITES,
    "findings": FINDINGS,
    "ledger": LEDGER,
}
