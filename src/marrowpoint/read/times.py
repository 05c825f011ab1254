"""When the frames of a run were taken, and how the picture lies: facts of the file as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

from pydicom.dataset import Dataset

from marrowpoint.read.files import ImageFile
from marrowpoint.read.header import open_dicom
from marrowpoint.read.quiet import quiet

# Two tags of one frame rate agree to rounding; more is a contradiction.
SAME_RATE = 0.1
SLOWEST_S, FASTEST_S = 60.0, 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What a file says of its frames together.

    Parameters
    ----------
    frames : int
        Number of Frames (0028,0008).
    seconds : tuple of float or None
        Time of each frame from the first.
    origin, code : str
        Which tags gave it, or why there is none: ``frame_times_missing``, ``frame_times_contradictory``.
    orientation : tuple of str
        Patient Orientation (0020,0020): patient directions of growing columns and rows.
    log_linear : bool
        Pixel Intensity Relationship (0028,1040) is LOG.
    modality : str
    """

    frames: int
    seconds: tuple[float, ...] | None
    origin: str
    code: str
    orientation: tuple[str, ...]
    log_linear: bool
    modality: str


def read_run_facts(image: ImageFile) -> RunFacts:
    """Read what a file says of its frames together; no pixels are decoded.

    Parameters
    ----------
    image : ImageFile

    Returns
    -------
    RunFacts

    Raises
    ------
    UnreadableImage
        Not DICOM or damaged.
    """
    with open_dicom(image) as file, quiet():
        header = file.dataset
        frames = _whole(header.get("NumberOfFrames"))
        seconds, origin, code = _seconds(header, frames)
        orientation = header.get("PatientOrientation") or ()
        words = tuple(str(word).strip().upper() for word in ([orientation] if isinstance(orientation, str) else orientation))
        return RunFacts(
            frames=frames,
            seconds=seconds,
            origin=origin,
            code=code,
            orientation=words if len(words) == 2 else (),
            log_linear=str(header.get("PixelIntensityRelationship") or "").strip().upper() == "LOG",
            modality=str(header.get("Modality") or "").strip().upper(),
        )


def _seconds(header: Dataset, frames: int) -> tuple[tuple[float, ...] | None, str, str]:
    """Times from the frame time vector, the frame time or the cine rate; a contradiction gives none."""
    vector = header.get("FrameTimeVector")
    steps = {
        name: step
        for name, step in (("frame time", _step(header.get("FrameTime"), 1e-3)), ("cine rate", _rate(header)))
        if step
    }
    if vector is not None and vector != "":
        found = [_number(value) for value in (vector if not isinstance(vector, str | int | float) else [vector])]
        values = [value for value in found if value is not None]
        if len(values) != frames or len(values) != len(found) or any(value <= 0 for value in values[1:]):
            text = "the frame time vector (0018,1065) does not hold one positive time for each frame"
            return None, text, "frame_times_contradictory"
        total, seconds = 0.0, [0.0]
        for value in values[1:]:
            total += value / 1000
            seconds.append(total)
        return tuple(seconds), "frame time vector (0018,1065)", ""
    if any(value is not None for value in (header.get("FrameTime"), header.get("CineRate"))) and not steps:
        return None, "its frame time (0018,1063) or cine rate (0018,0040) is no possible one", "frame_times_contradictory"
    if len(steps) == 2 and abs(steps["frame time"] - steps["cine rate"]) > SAME_RATE * steps["cine rate"]:
        first, second = (1000 * steps[name] for name in ("frame time", "cine rate"))
        text = f"the frame time says {first:.0f} ms and the cine rate {second:.0f} ms a frame"
        return None, text, "frame_times_contradictory"
    if steps:
        name, step = next(iter(steps.items()))
        return tuple(index * step for index in range(frames)), name, ""
    return None, "the file does not say when its frames were taken", "frame_times_missing"


def _rate(header: Dataset) -> float | None:
    rate = _number(header.get("CineRate"))
    return None if rate is None or rate <= 0 else _step(1 / rate, 1.0)


def _step(value: Any, unit: float) -> float | None:
    number = _number(value)
    step = None if number is None else number * unit
    return step if step is not None and FASTEST_S <= step <= SLOWEST_S else None


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if isfinite(number) else None


def _whole(value: Any) -> int:
    number = _number(value)
    return 1 if number is None or number < 1 else int(number)
