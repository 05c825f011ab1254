"""What an audit knows of a run: a cine, or stills of one series in order of time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from marrowpoint.verdict import Verdict

# what a run is called after review where no one verdict stands
REJECTED, DIFFERENT = "rejected", "readers_differ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One length or area over a run.

    Parameters
    ----------
    name, unit : str
    points : tuple of (float, float, float, float)
        Where on the axis, the value, and the ends of its 95 % interval, which are the value where there is none.
    """

    name: str
    unit: str
    points: tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """Something that happened to the needle: where on the axis of the curves, in words."""

    at: float
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReading:
    """One person's standing decision about one run, from the review ledger.

    Parameters
    ----------
    rater : str
        Who, as the ledger has it; the report prints no names.
    at : datetime
    action : {"accept", "correct", "reject"}
    program, program_text : str
        Verdict code and sentence before.
    reader, reader_text : str
        The same after; a rejection gives no verdict of its own.
    target : bool
        The reader drew where the contrast should be.
    in_target : float or None
        Share of the contrast in it.
    same_pictures : bool
        The run is made of the pictures that the reader saw.
    """

    rater: str
    at: datetime
    action: str
    program: str
    program_text: str
    reader: str
    reader_text: str
    target: bool = False
    in_target: float | None = None
    same_pictures: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """One run record.

    Parameters
    ----------
    paths : tuple of str
        One for a cine; several stills in order of time.
    kind : {"contrast", "contrast_not_seen", "needle"}
        Whether contrast was seen, was looked for, or the needle alone was followed.
    timed_frames : int
        Frames with a time of their own from the first contrast on.
    mask : bool
        A picture from before the contrast was there to subtract.
    frames : int
    key_frames : tuple of str
        ``path#frame`` of the frames that tell most.
    strip : str
        Film strip beside the results, relative; empty where there is none.
    tile_shape : tuple of int
        Rows and columns of a frame.
    timed : bool
        The axis of curves and events is seconds, else frame numbers from 1.
    phase : {"harvest", "reinjection", ""}
        What the sheet makes of its frames; empty where nobody says.
    readings : tuple of RunReading
        One a rater.
    """

    paths: tuple[str, ...]
    kind: str
    acquired: datetime | None
    timed_frames: int
    mask: bool
    verdict: Verdict
    frames: int = 0
    key_frames: tuple[str, ...] = ()
    strip: str = ""
    tile_shape: tuple[int, int] = (0, 0)
    timed: bool = False
    curves: tuple[Curve, ...] = ()
    events: tuple[RunEvent, ...] = ()
    phase: str = ""
    readings: tuple[RunReading, ...] = ()

    @property
    def current_readings(self) -> tuple[RunReading, ...]:
        """Decisions on the pictures that the run is made of."""
        return tuple(reading for reading in self.readings if reading.same_pictures)

    @property
    def after_review(self) -> str:
        """Verdict code that stands after review: the program's where nobody decided, `REJECTED`, or `DIFFERENT`."""
        told = {REJECTED if reading.action == "reject" else reading.reader for reading in self.current_readings}
        if not told:
            return self.verdict.code.value
        return told.pop() if len(told) == 1 else DIFFERENT

    @property
    def path(self) -> str:
        """Its first file; empty where no frame could be read."""
        return self.paths[0] if self.paths else ""

    @property
    def stills(self) -> bool:
        """Whether several files make it."""
        return len(self.paths) > 1

    @property
    def text(self) -> str:
        """Everything its verdict says."""
        return " ".join([self.verdict.text, *(reason.text for reason in self.verdict.reasons)])
