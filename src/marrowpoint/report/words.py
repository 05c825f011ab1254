"""The sentences of overlay, page and table: numbers with their doubt, where the scale comes from, and what to do next."""

from __future__ import annotations

from marrowpoint.frame import Calibration, FrameReference, SpacingSource, View, ViewKind
from marrowpoint.measurement import Bound, Measurement
from marrowpoint.needle import TipVisibility
from marrowpoint.verdict import Flag, Verdict

RESEARCH_ONLY = "Research and quality review only."

SCALE_WORDS: dict[SpacingSource, str] = {
    SpacingSource.OPERATOR: "a known length set by hand",
    SpacingSource.FIDUCIAL: "a marker of known size",
    SpacingSource.INSTRUMENT: "the declared needle",
    SpacingSource.OBJECT_PLANE: "object plane spacing",
    SpacingSource.MAGNIFICATION: "detector spacing and magnification",
    SpacingSource.PATIENT_SPACING: "calibrated pixel spacing",
    SpacingSource.REGION: "ultrasound region",
    SpacingSource.DETECTOR_PLANE: "detector plane, not the needle's depth",
    SpacingSource.NONE: "none",
}

FLAG_WORDS: dict[Flag, str] = {
    Flag.SHALLOW: "shallow",
    Flag.NEAR_DEPTH_LIMIT: "near the depth limit",
    Flag.NEAR_THIN_BONE: "thin bone is near",
    Flag.END_ON: "needle points along the beam",
    Flag.SCALE_AT_DETECTOR_PLANE: "mm at the detector, not at the needle",
    Flag.SCALE_UNKNOWN: "no scale: pixels only",
    Flag.SCALE_CONFLICT: "scales disagree",
    Flag.SECOND_INSTRUMENT: "a second instrument is in the field",
    Flag.AMBIGUOUS_NEEDLE: "more than one possible needle",
    Flag.LOW_CONFIDENCE_BONE: "bone outline uncertain",
    Flag.LOW_CONFIDENCE_NEEDLE: "needle uncertain",
    Flag.THICKNESS_NOT_JUDGED: "thickness not judged",
    Flag.NO_LEARNED_PRIOR: "found without the learned model",
    Flag.OUT_OF_PLANE: "needle leaves the picture plane",
    Flag.SECOND_VIEW_NEEDED: "second view needed",
    Flag.AWAITING_CONFIRMATION: "awaits a person's confirmation",
    Flag.NOT_IN_THICK_BONE: "no thick bone around the tip",
    Flag.LEAK_ALONG_NEEDLE: "contrast runs back along the needle",
    Flag.CHANGE_ELSEWHERE: "something else changed in the field",
    Flag.LEAVES_FIELD: "contrast leaves the picture",
    Flag.TIMES_UNKNOWN: "frame times not known",
    Flag.RUN_INCOMPLETE: "run not whole",
}

BOUND_WORDS: dict[Bound, str] = {Bound.ESTIMATE: "", Bound.LOWER: "at least", Bound.UPPER: "at most"}

MEASUREMENT_WORDS: dict[str, str] = {
    "tip_to_cortex": "Tip to cortex",
    "insertion_depth": "Depth past cortex",
    "bone_thickness": "Bone thickness",
    "thin_bone_margin": "To thin bone",
    "far_cortex_reserve": "Bone ahead of tip",
    "in_plane_width": "Outline width",
    "gap_along_shaft": "Along the needle",
    "entry_to_peak": "Entry to crest peak",
}

# the two lengths that must be readable across a room
LARGE = ("tip_to_cortex", "bone_thickness")

VISIBILITY_WORDS: dict[TipVisibility, str] = {
    TipVisibility.CLEAR: "clear",
    TipVisibility.FAIR: "fair",
    TipVisibility.FAINT: "faint: the true tip may lie further on",
    TipVisibility.HIDDEN: "hidden in the echo of bone",
}

VIEW_WORDS: dict[ViewKind, str] = {
    ViewKind.AP: "AP view",
    ViewKind.TANGENTIAL: "tangential view",
    ViewKind.ILIAC_OBLIQUE: "iliac oblique view",
    ViewKind.LATERAL: "lateral view",
    ViewKind.END_ON: "end-on view",
    ViewKind.UNKNOWN: "view not stated",
}

ALONG_WING = "a tangential view (beam along the wing)"
ACROSS_WING = "an iliac oblique view (beam across the wing)"


def in_words(name: str, measurement: Measurement, *, sound: bool = False) -> tuple[str, str]:
    """A length and its 95 % interval in words; outside of the bone the gap is told as a positive length.

    Parameters
    ----------
    name : str
        Field of `Placement`.
    measurement : Measurement
    sound : bool
        The frame is ultrasound: the tip is above the bone's surface, or at it or deeper, by nobody knows how much.

    Returns
    -------
    value, interval : str
        Such as ``at most 7.2 mm inside`` and ``5.9 to 8.4``, or ``0.8 mm outside to 2.4 mm inside`` across the cortex.
    """
    value, lower, upper, bound = measurement.value, measurement.lower, measurement.upper, measurement.bound
    side = across = ""
    if name == "tip_to_cortex":
        if sound and value >= 0:
            return "at surface or deeper", "depth unknown"
        if lower < 0 < upper and not sound:
            across = f"{-lower:.1f} {measurement.unit} outside to {upper:.1f} {measurement.unit} inside"
        side = " inside" if value > 0 else " above bone" if sound else " outside"
        if value <= 0:
            # the bound speaks of the gap, not of its sign; + 0.0 turns -0.0 into 0.0
            value, lower, upper = -value + 0.0, -upper, -lower
    head = f"{BOUND_WORDS[bound]} {value:.1f} {measurement.unit}{side}".strip()
    return head, across or f"{_plain_zero(lower)} to {_plain_zero(upper)}"


def measured(name: str, measurement: Measurement, *, sound: bool = False) -> str:
    """Value and interval in one, such as ``at most 7.2 mm inside (5.9 to 8.4)``."""
    return "{} ({})".format(*in_words(name, measurement, sound=sound))


def _plain_zero(value: float) -> str:
    text = f"{value:.1f}"
    return "0.0" if text == "-0.0" else text


def scale_words(calibration: Calibration) -> str:
    """Where the millimetres come from and how sure they are."""
    spacing = calibration.spacing
    if spacing is None:
        return "no trusted scale"
    return f"scale from {scale_source(spacing.source, spacing.note)}, \N{PLUS-MINUS SIGN}{100 * spacing.relative_u:.0f} %"


def scale_source(source: SpacingSource, note: str) -> str:
    """What gave the scale; an object in the picture is named by its note, for it may be a needle or a ruler."""
    if source is SpacingSource.INSTRUMENT and note:
        return note
    return SCALE_WORDS[source]


def next_view(view: View, verdict: Verdict) -> str:
    """Which picture to take next, or nothing where no second picture of this needle position is asked for.

    Parameters
    ----------
    view : View
    verdict : Verdict

    Returns
    -------
    str
        A sentence, or ``""``.
    """
    if Flag.END_ON in verdict.flags:
        return "Next: turn the C-arm until the needle is seen from its side."
    if Flag.SECOND_VIEW_NEEDED not in verdict.flags:
        return ""
    if view.kind is ViewKind.UNKNOWN:
        return "Next: a second view across this one; and let header or operator state the views."
    return f"Next: {ACROSS_WING if view.kind is ViewKind.TANGENTIAL else ALONG_WING}."


def frame_name(reference: FrameReference) -> str:
    """Path of the frame, with its number where the file holds several."""
    if reference.number_of_frames > 1:
        return f"{reference.path}#{reference.frame_number}"
    return reference.path
