"""What is known of a run: the nouns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from marrowpoint.assessment import Provenance
from marrowpoint.errors import MarrowpointError
from marrowpoint.frame import Calibration, FloatImage, Frame, FrameReference, Mask, View
from marrowpoint.measurement import Measurement
from marrowpoint.runs.pictures import RunPictures
from marrowpoint.runs.spread import Spread
from marrowpoint.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTimes:
    """When the frames were taken.

    Parameters
    ----------
    seconds : tuple of float or None
        Of each frame, from the first; None where the file does not say or contradicts itself.
    origin : str
        Which tags gave it, or why there is none.
    code : str
        Empty, ``frame_times_missing`` or ``frame_times_contradictory``.
    """

    seconds: tuple[float, ...] | None = None
    origin: str = "the file does not say when its frames were taken"
    code: str = "frame_times_missing"


def _whole() -> None:
    """The run ends where it should."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSource:
    """A run to be looked at: frames that can be read again, and what the files say of all of them.

    Parameters
    ----------
    frames : callable
        Gives the frames anew, one in memory at a time.
    times : RunTimes
    orientation : tuple of str
        Patient directions toward growing columns and toward growing rows, as DICOM letters (``("L", "F")``); empty if unknown.
    log_linear : bool
        The file says that its values are linear in log signal, so that density is proportional to iodine.
    cut_short : callable
        After the frames were gone through: why those after them cannot be read, or None.
    """

    frames: Callable[[], Iterator[Frame]]
    times: RunTimes = RunTimes()
    orientation: tuple[str, ...] = ()
    log_linear: bool = False
    cut_short: Callable[[], MarrowpointError | None] = _whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """How the patient moved against the picture.

    Parameters
    ----------
    largest_shift, median_residual_px, largest_residual_px : float or None
        Largest shift of the bone from the mask or the first frame [`unit`]; residual motion after registration [px].
    unit : str
        ``mm`` or ``px``.
    refused : int
        Frames refused because of residual motion.
    untold, looked_at : int
        Frames after the mask whose residual motion cannot be told, of so many.
    """

    largest_shift: float
    unit: str
    median_residual_px: float | None = None
    largest_residual_px: float | None = None
    refused: int = 0
    untold: int = 0
    looked_at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StripPicture:
    """A picture of the film strip.

    Parameters
    ----------
    frame : int
        From 0.
    label : str
    picture : ndarray of shape (m, n), float32
        0..1, dark contrast on grey for subtractions, the frame itself otherwise.
    outline : ndarray of shape (m, n), bool, or None
        Seen contrast.
    point : tuple of float or None
        Tip, (row, column) of this picture.
    """

    frame: int
    label: str
    picture: FloatImage
    outline: Mask | None = None
    point: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A thin line of contrast, for the record: lengths in `ContrastResult.unit`, end in the mask picture [px].

    One that is `cut_off` reaches the edge of the field, and is at least so long.
    """

    length: float
    width: float
    end: tuple[float, float]
    washout: float | None
    outruns: bool
    strength: float
    cut_off: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ContrastResult:
    """Where the contrast went.

    Parameters
    ----------
    onset : int or None
        First frame with contrast (from 0).
    mask_frames : tuple of int
    settled : int
        Frames before it were of another brightness and left out of the mask.
    tip : tuple of float or None
        Needle's tip, or where contrast appeared, in the mask picture [px].
    tip_is_needle : bool
    spreads : tuple of Spread
        By frame.
    branches : tuple of Run
        Thin lines that leave the pool, longest first.
    peak : int or None
        Frame with the most contrast.
    unit : str
        Of lengths: ``mm`` or ``px``.
    direction, front_direction : tuple of float or None
        Unit vectors (row, column) from the tip to the middle of the spread at its peak, and to its front.
    eccentricity : float
        Distance of that middle over the spread's mean radius: below 0.3 it spreads to all sides.
    words : str
        The direction in words: of the patient where the orientation is known, else of the picture.
    patient_known : bool
    time_to_peak_s, washout, front_speed : float or None
        From onset [s]; density at the end of the run over the peak; fastest advance of the front [unit/s].
    leak : float
        How far contrast runs back along the needle.
    in_bone, in_target : float or None
        Share of the density at the peak.
    elsewhere : float
        Largest change that does not hang together with the tip [unit squared].
    least_density : float
        Added attenuation (of the range 0..1) of a 1 mm wide line that would just have been seen.
    motion : Motion
    log_linear : bool
        Density is proportional to iodine.
    px_per_mm : float
        Pixels that thresholds in mm are held against where there is no scale (a usual field of 160 mm is assumed).
    refusal : str
        Why the subtraction may not be read; empty where it may.
    """

    onset: int | None
    mask_frames: tuple[int, ...]
    settled: int
    tip: tuple[float, float] | None
    tip_is_needle: bool
    spreads: tuple[Spread, ...]
    branches: tuple[Run, ...]
    peak: int | None
    unit: str
    direction: tuple[float, float] | None = None
    front_direction: tuple[float, float] | None = None
    eccentricity: float = 0.0
    words: str = ""
    patient_known: bool = False
    time_to_peak_s: float | None = None
    washout: float | None = None
    front_speed: float | None = None
    leak: float = 0.0
    in_bone: float | None = None
    in_target: float | None = None
    elsewhere: float = 0.0
    least_density: float = 0.0
    motion: Motion
    log_linear: bool = False
    px_per_mm: float = 1.0
    refusal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedlePoint:
    """The needle in one frame.

    Parameters
    ----------
    frame : int
        From 0.
    state : str
        ``found``, ``copy`` (the frame repeats the one before) or ``lost``.
    tip : tuple of float or None
        (row, column) in this frame [px].
    sd_along_px, sd_across_px : float or None
        Standard uncertainty (k = 1) [px].
    advance : Measurement or None
        Way of the tip along the shaft since the first frame it was seen in, against the bone; forward is positive.
    tip_to_cortex : Measurement or None
        Signed, positive inside the outline.
    """

    frame: int
    state: str
    tip: tuple[float, float] | None = None
    axis: tuple[float, float] | None = None
    sd_along_px: float | None = None
    sd_across_px: float | None = None
    advance: Measurement | None = None
    tip_to_cortex: Measurement | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """Something that happened: its likely frame (from 0), the earliest and latest, and the time [s] where known.

    ``code`` is ``cortex_reached``, ``cortex_passed``, ``deepest``, ``withdrawn``, ``needle_lost``, ``table_moved`` or
    ``brightness_jump``.
    """

    code: str
    frame: int
    earliest: int
    latest: int
    time_s: float | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NeedleResult:
    """Where the needle went.

    Parameters
    ----------
    points : tuple of NeedlePoint
        One for each frame.
    events : tuple of RunEvent
    followed_share : float
        Frames with the needle over frames that are no copies.
    travel : float or None
        Way of the tip along the shaft against the bone, from the farthest back to the deepest [`unit`].
    unit : str
    key_frames : tuple of int
    motion : Motion
    confidence : float
        0..1, that what was followed is the needle: the middle of its frames.
    steady : bool
        The same shaft was found all along.
    """

    points: tuple[NeedlePoint, ...]
    events: tuple[RunEvent, ...]
    followed_share: float
    travel: float | None
    unit: str
    key_frames: tuple[int, ...]
    motion: Motion
    confidence: float = 1.0
    steady: bool = True


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunAssessment:
    """Everything known about one run.

    Parameters
    ----------
    references : tuple of FrameReference
        Of the frames in order.
    view : View
    calibration : Calibration
    times : RunTimes
    copies : frozenset of int
    changes : tuple of (int, str)
        Frames at which the picture changes, with ``zoom_changed``, ``collimator_changed`` or ``view_changed``.
    needle : NeedleResult or None
    contrast : ContrastResult or None
    strip : tuple of StripPicture
    pictures : RunPictures or None
        None unless asked for, or where nothing was subtracted.
    verdict : Verdict
    provenance : Provenance
    """

    references: tuple[FrameReference, ...]
    view: View = field(default_factory=View)
    calibration: Calibration = field(default_factory=Calibration)
    times: RunTimes = RunTimes()
    copies: frozenset[int] = field(default_factory=frozenset)
    changes: tuple[tuple[int, str], ...] = ()
    needle: NeedleResult | None = None
    contrast: ContrastResult | None = None
    strip: tuple[StripPicture, ...] = ()
    pictures: RunPictures | None = None
    verdict: Verdict
    provenance: Provenance
