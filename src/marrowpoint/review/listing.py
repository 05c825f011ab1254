"""The rows of a review's list: small, and found by headers alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from pathlib import Path

from marrowpoint.errors import MarrowpointError
from marrowpoint.read import ImageFile, find_images
from marrowpoint.read.header import OpenFile, open_dicom
from marrowpoint.read.heads import FrameHead, frame_head
from marrowpoint.read.pixels import PixelDescription, describe_pixels
from marrowpoint.review.entry import Action, Entry, FrameKey
from marrowpoint.verdict import SEVERITY, Code, Severity


class State(StrEnum):
    """How far the program is with a frame."""

    WAITING = "waiting"
    ANALYSING = "analysing"
    VERDICT = "verdict"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """The standing decision of one rater about a frame.

    Parameters
    ----------
    rater : str
    action : Action
    stale : tuple of str
        What changed since: ``"image"``, ``"program"``, ``"profile"``, ``"model"``.
    entry : Entry
    """

    rater: str
    action: Action
    stale: tuple[str, ...]
    entry: Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One frame of the list, or one file that could not be read.

    Parameters
    ----------
    place : int
        Place in the list, from 0.
    image : ImageFile
    frame_number, number_of_frames : int
        1-based; 1 of 1 for a file that could not be read.
    state : State
    key : FrameKey or None
        None until the frame was read.
    code : Code or None
        The program's verdict.
    text : str
        Verdict or failure in words.
    failure : str
        Code of the failure; empty otherwise.
    reviews : tuple of Review
        One a rater.
    flags : tuple of str
        Raters whose flag stands.
    comments : int
        Comments of anyone.
    head : FrameHead or None
        What the header says of a file with one frame; None for any other, and for a file that could not be read.
    stills : tuple of int
        Places of the stills that make a run with this one, itself among them, in order of time; empty where there are none.
    """

    place: int
    image: ImageFile
    frame_number: int = 1
    number_of_frames: int = 1
    state: State = State.WAITING
    key: FrameKey | None = None
    code: Code | None = None
    text: str = ""
    failure: str = ""
    reviews: tuple[Review, ...] = ()
    flags: tuple[str, ...] = ()
    comments: int = 0
    head: FrameHead | None = None
    stills: tuple[int, ...] = ()

    @property
    def run_places(self) -> tuple[int, ...]:
        """Places of the frames of the run that this one belongs to, in order; its own alone where it belongs to none."""
        if self.stills:
            return self.stills
        first = self.place + 1 - self.frame_number
        return tuple(range(first, first + self.number_of_frames))

    @property
    def run_index(self) -> int:
        """Which frame of that run this is, from 0."""
        return self.stills.index(self.place) if self.stills else self.frame_number - 1

    @property
    def name(self) -> str:
        """What the list shows: the file's path, with the frame's number where there are several."""
        if self.number_of_frames == 1:
            return self.image.relative_path
        return f"{self.image.relative_path} {self.frame_number}/{self.number_of_frames}"

    @property
    def severity(self) -> Severity | None:
        """Colour of the verdict."""
        return None if self.code is None else SEVERITY[self.code]

    @property
    def stale(self) -> tuple[str, ...]:
        """What changed since somebody's decision."""
        return tuple(dict.fromkeys(chain.from_iterable(review.stale for review in self.reviews)))

    @property
    def problem(self) -> bool:
        """Whether a person should look here first: a bad or missing verdict, a failure, a flag, a stale review."""
        return (
            self.state is State.FAILURE
            or self.severity in (Severity.PROBLEM, Severity.UNKNOWN)
            or bool(self.flags or self.stale)
        )

    def reviewed_by(self, rater: str = "") -> bool:
        """Whether that rater (anyone, if empty) decided, on what still holds."""
        return any(not review.stale for review in self.reviews if not rater or review.rater == rater)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One frame that was found, before it is read; or why its file cannot be."""

    image: ImageFile
    frame_number: int = 1
    number_of_frames: int = 1
    failure: str = ""
    text: str = ""
    head: FrameHead | None = None


def list_frames(folder: Path, *, cancelled: Callable[[], bool] = lambda: False) -> Iterator[Listed]:
    """Find the frames of a folder by their headers alone; for a background thread.

    Parameters
    ----------
    folder : Path
        A folder, a file or a DICOMDIR.
    cancelled : callable
        Asked between files.

    Yields
    ------
    Listed
        In the order of the files; one with ``failure`` for a file that cannot be read.
    """
    for image in find_images([folder]):
        if cancelled():
            return
        try:
            with open_dicom(image) as file:
                described = describe_pixels(file)
                count, head = described.frames, _head(file, described, image)
        except MarrowpointError as error:
            yield Listed(image=image, failure=error.code, text=error.text)
        except Exception as error:  # one odd file must not end the list
            yield Listed(image=image, failure="internal_error", text=f"an unexpected {type(error).__name__}: please report it")
        else:
            for number in range(1, count + 1):
                yield Listed(image=image, frame_number=number, number_of_frames=count, head=head)


def _head(file: OpenFile, described: PixelDescription, image: ImageFile) -> FrameHead | None:
    """Head of a single frame; what is wrong with a kind of picture is told when it is read."""
    if described.frames > 1:
        return None
    with suppress(MarrowpointError):
        return frame_head(file, described, image.relative_path)
    return None
