"""The codes of our DICOM objects: the standard's where it has the concept, else our own scheme ``99MARROWPOINT``.

A distance that is signed, projected and one-sided is no plain "Distance": under a general code three of them in one group
would look alike, and a viewer would show an upper bound as a fact. Those have codes of our own, with all of it in the meaning.
"""

from __future__ import annotations

from hashlib import sha256

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from marrowpoint.verdict import Code as VerdictCode

SCHEME = "99MARROWPOINT"
SCHEME_NAME = "marrowpoint concepts"
MEANING_MAX = 64  # characters of a Code Meaning (LO)


def own(value: str, meaning: str) -> Code:
    """A code of our own scheme; the value has at most 16 characters (SH), the meaning 64 (LO)."""
    if len(value) > 16 or len(meaning) > MEANING_MAX:
        raise ValueError(f"{value!r} or its meaning is too long for a code")
    return Code(value, SCHEME, meaning)


NEEDLE: Code = codes.SCT.Needle
ILIUM: Code = codes.SCT.Ilium
SIDES: dict[str, Code] = {"L": codes.SCT.Left, "R": codes.SCT.Right}
FLUOROSCOPY: Code = codes.SCT.Fluoroscopy
ULTRASOUND: Code = codes.SCT.DiagnosticUltrasonography
FAILED: Code = codes.DCM.MeasurementFailure
INDETERMINATE: Code = codes.DCM.ValueIndeterminate
ESTIMATED: Code = codes.SCT.Estimated
COMMENT: Code = codes.DCM.Comment

UNITS: dict[str, Code] = {"mm": Code("mm", "UCUM", "mm"), "px": Code("{pixels}", "UCUM", "pixels")}
RATIO = Code("1", "UCUM", "no units")
MM_PER_PX = Code("mm/{pixels}", "UCUM", "mm per pixel")

MEASUREMENTS: dict[str, Code] = {
    "tip_to_cortex": own("TIP_TO_CORTEX", "Needle tip to cortex, projected (positive: inside)"),
    "insertion_depth": own("INSERTION_DEPTH", "Needle length past the entry cortex, projected"),
    "bone_thickness": own("BONE_THICKNESS", "Thickness of the bone at the needle tip"),
    "thin_bone_margin": own("THIN_MARGIN", "Needle tip to the nearest thin bone, projected"),
    "far_cortex_reserve": own("FAR_RESERVE", "Needle tip to the far cortex along the shaft"),
    "in_plane_width": own("IN_PLANE_WIDTH", "Width of the bone outline at the needle tip"),
    "gap_along_shaft": own("GAP_ALONG_SHAFT", "Needle tip to the bone ahead, along the shaft"),
    "entry_to_peak": own("ENTRY_TO_PEAK", "Entry point to the peak of the crest, in this plane"),
}
BOUNDS: dict[str, Code] = {
    "estimate": ESTIMATED,
    "lower_bound": own("LOWER_BOUND", "Lower bound: the true length is at least this, sign apart"),
    "upper_bound": own("UPPER_BOUND", "Upper bound: the true length is at most this, sign apart"),
}
SCALE = own("MM_PER_PX", "Scale in the needle's plane")
OUTER_DIAMETER = own("OUTER_DIAMETER", "Declared outer diameter of the needle")
SHAFT_WIDTH = own("SHAFT_WIDTH", "Width of the needle's shaft near the tip")
BONE_CONFIDENCE = own("BONE_CONFIDENCE", "Confidence in the outline of the bone, 0 to 1")
TIP_RESIDUAL = own("TIP_RESIDUAL", "Residual of the triangulated needle tip")

DOCUMENT = ("REPORT", SCHEME, "Needle placement report")

TIP = own("TIP", "Needle tip")
SHAFT = own("SHAFT", "Needle shaft, from the tip")
OUTLINE = own("CORTEX", "Outline of the cortex")
TO_CORTEX = own("TO_CORTEX", "Line from the needle tip to the nearest cortex")
FROM_ENTRY = own("FROM_ENTRY", "Line from the entry point to the needle tip")
TO_THIN = own("TO_THIN", "Line from the needle tip to the nearest thin bone")

VERDICT = own("VERDICT", "Verdict of the program")
VERDICT_WORDS = own("VERDICT_TEXT", "Verdict of the program in words")
REASON = own("REASON", "Reason of the verdict")
BESIDE = own("FLAG", "Stands beside the verdict")
VIEW = own("VIEW", "View")
SCALE_SOURCE = own("SCALE_SOURCE", "Source of the scale")
SCALE_NOTE = own("SCALE_NOTE", "What was said about the scale")
METHOD = own("METHOD", "How the lengths were measured")
CONFIRMATION = own("CONFIRMATION", "Confirmation by a person")

CONFIRMED = own("CONFIRMED", "Confirmed by a person")
AWAITING = own("AWAITING", "Awaiting confirmation by a person")
DISPUTED = own("DISPUTED", "A person decided otherwise")

# A run: contrast over time, and the needle's way.
CONTRAST = own("CONTRAST", "Contrast in the run")
SEEN = own("SEEN", "Seen")
NOT_SEEN = own("NOT_SEEN", "Not seen, which does not exclude it")
ONSET_FRAME = own("ONSET_FRAME", "First frame with contrast")
ONSET_TIME = own("ONSET_TIME", "First contrast, after the first frame")
CONTRAST_AREA = own("CONTRAST_AREA", "Largest area of the contrast, projected")
CONTRAST_FRONT = own("CONTRAST_FRONT", "Farthest contrast from the needle tip, projected")
FRONT_POINT = own("FRONT_POINT", "Farthest contrast")
TIME_TO_PEAK = own("TIME_TO_PEAK", "From first to most contrast")
WASHOUT = own("WASHOUT", "Part of the contrast that was gone at the end")
LEAK = own("LEAK", "Contrast back along the needle")
IN_BONE = own("IN_BONE", "Part of the contrast over the outline of the bone")
IN_TARGET = own("IN_TARGET", "Part of the contrast inside of the target drawn")
LEAST_DENSITY = own("LEAST_DENSITY", "Density that a line of 1 mm needed to be seen")
RESIDUAL = own("RESIDUAL", "Motion left after registration, median")
FOLLOWED = own("FOLLOWED", "Part of the frames in which the needle was followed")
TRAVEL = own("TRAVEL", "Way of the needle tip along its shaft, projected")
TIMES = own("TIMES", "Source of the times")
EVENT = own("EVENT", "Event")
DIRECTION = own("DIRECTION", "Direction of the contrast")
FRAMES, SECONDS = Code("{frame}", "UCUM", "frame"), Code("s", "UCUM", "s")
AREAS: dict[str, Code] = {"mm": Code("mm2", "UCUM", "mm2"), "px": Code("{pixels}2", "UCUM", "square pixels")}

# Values written into other people's archives: they never change their meaning.
_VERDICTS: dict[VerdictCode, Code] = {
    VerdictCode.OUTSIDE_BONE: own("OUTSIDE_BONE", "Needle tip projected outside of the bone"),
    VerdictCode.AT_CORTEX: own("AT_CORTEX", "Needle tip at the cortex"),
    VerdictCode.PROJECTED_IN_THIN_BONE: own("PROJ_THIN", "Needle tip projected into thin bone"),
    VerdictCode.PROJECTED_IN_MARGINAL_BONE: own("PROJ_MARGINAL", "Needle tip projected into marginal bone"),
    VerdictCode.PROJECTED_IN_THICK_BONE: own("PROJ_THICK", "Needle tip projected into thick bone, in this view only"),
    VerdictCode.PROJECTED_INSIDE: own("PROJ_INSIDE", "Needle tip projected inside, thickness not judged"),
    VerdictCode.BREACH_SUSPECTED: own("BREACH_SUSPECTED", "Breach of the far cortex suspected"),
    VerdictCode.INDETERMINATE: own("INDETERMINATE", "Indeterminate: the measurement cannot tell"),
    VerdictCode.NOT_ASSESSABLE: own("NOT_ASSESSABLE", "Not assessable"),
    VerdictCode.ABOVE_CORTEX: own("ABOVE_CORTEX", "Needle tip above the bone surface"),
    VerdictCode.AT_OR_BEYOND_CORTEX: own("AT_OR_BEYOND", "Needle tip at the bone surface or beyond, depth unknown"),
    VerdictCode.RIGHT_SPOT: own("RIGHT_SPOT", "Right spot in two views"),
    VerdictCode.THIN_BONE: own("THIN_BONE", "Thin bone"),
    VerdictCode.VASCULAR_PATTERN_SEEN: own("VASC_PATTERN", "Contrast runs off in a vein-like line"),
    VerdictCode.SPREAD_AT_TARGET: own("SPREAD_AT_TARGET", "Contrast spreads at the target"),
    VerdictCode.LOCAL_POOL: own("LOCAL_POOL", "Contrast pools at the needle tip"),
    VerdictCode.SPREAD_AWAY: own("SPREAD_AWAY", "Contrast spreads away from the needle tip"),
    VerdictCode.NO_CONTRAST_SEEN: own("NO_CONTRAST_SEEN", "No contrast seen, which does not exclude it"),
    VerdictCode.NEEDLE_FOLLOWED: own("NEEDLE_FOLLOWED", "Needle followed; no statement on contrast"),
}


def verdict_code(name: str) -> Code:
    """The code of a verdict, from its name in the result file."""
    found = next((code for verdict, code in _VERDICTS.items() if verdict.value == name), None)
    return named_code(name) if found is None else found


def named_code(name: str) -> Code:
    """A code of our own for a closed name of the result file (a flag, a view, a source of scale).

    A name too long for a code value is replaced by a part of its hash, so that two names never share a code.
    """
    value = name.upper()
    if len(value) > 16:
        value = f"{value[:7]}_{sha256(name.encode()).hexdigest()[:8].upper()}"
    return own(value, name.replace("_", " ").capitalize()[:MEANING_MAX])
