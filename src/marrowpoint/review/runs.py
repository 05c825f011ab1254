"""A run as a person reviews it: followed in the background with progress and cancel, then curves, moments and sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import cv2
import numpy as np

from marrowpoint.errors import MarrowpointError
from marrowpoint.frame import Frame, Mask, Points
from marrowpoint.measurement import Measurement
from marrowpoint.read import ImageFile
from marrowpoint.report.words import FLAG_WORDS
from marrowpoint.review.film import Film, film_of_file
from marrowpoint.runs.assess import assess_run
from marrowpoint.runs.collect import RunRequest
from marrowpoint.runs.judge_needle import event_words
from marrowpoint.runs.run import ContrastResult, NeedleResult, RunAssessment

# how often the frames of a run are gone through, at most; only a progress bar is told by it
PASSES = 5
SUBPIXEL = 4  # bits after the point of a corner [px]
NEEDLE, CONTRAST = "needle", "contrast"


class RunCancelled(Exception):
    """The person closed the window or stopped the analysis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One length or area along a run.

    Parameters
    ----------
    title : str
    unit : str
    frames : tuple of int
        From 0, growing.
    values : tuple of float
    lower, upper : tuple of float
        95 % interval; empty where there is none.
    gaps : tuple of int
        Places in `frames` before which something was lost: the line is not drawn through.
    """

    title: str
    unit: str
    frames: tuple[int, ...]
    values: tuple[float, ...]
    lower: tuple[float, ...] = ()
    upper: tuple[float, ...] = ()
    gaps: tuple[int, ...] = ()

    def at(self, frame: int) -> float | None:
        """The value in a frame, or None where there is none."""
        return self.values[self.frames.index(frame)] if frame in self.frames else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Something that happened in a run: its frame (from 0), and how early and late it may have been."""

    frame: int
    earliest: int
    latest: int
    title: str
    text: str


def follow_film(
    film: Film,
    request: RunRequest,
    *,
    target: Points | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    progressed: Callable[[float], None] = lambda share: None,
) -> RunAssessment:
    """Follow needle and contrast through a run, for a thread beside the window.

    Parameters
    ----------
    film : Film
    request : RunRequest
    target : ndarray of shape (K, 2), or None
        Corners of the region where a person wants the contrast, (row, column) in the picture before contrast [px].
    cancelled : callable
        Asked before each frame is read.
    progressed : callable
        Told the share that is done, 0 to 1.

    Returns
    -------
    RunAssessment
        With its pictures.

    Raises
    ------
    RunCancelled
    MarrowpointError
        Where not one frame of a file, or any one of several stills, can be read.
    """
    source = film.source(request)
    total, read = PASSES * max(film.count, 1), 0

    def frames() -> Iterator[Frame]:
        nonlocal read
        for frame in source.frames():
            if cancelled():
                raise RunCancelled
            read += 1
            progressed(min(read / total, 0.99))
            yield frame

    mask = None if target is None else inside_of(target, next(iter(source.frames())).pixels.shape)
    return assess_run(
        replace(source, frames=frames),
        profile=request.profile,
        network=request.network,
        outer_diameter_mm=request.outer_diameter_mm,
        target=mask,
        keep_pictures=True,
    )


def follow_file(image: ImageFile, request: RunRequest, **how: Any) -> RunAssessment:
    """The same for a multi-frame file."""
    return follow_film(film_of_file(image), request, **how)


def told_film(film: Film, request: RunRequest, **how: Any) -> RunAssessment | str | None:
    """The same for a window's thread, which nothing may leave by an error: what went wrong comes back in words.

    Parameters
    ----------
    film : Film
    request : RunRequest
    **how
        As `follow_film` takes it.

    Returns
    -------
    RunAssessment, str or None
        A sentence where the run cannot be followed; None where the person stopped it.
    """
    try:
        return follow_film(film, request, **how)
    except RunCancelled:
        return None
    except MarrowpointError as error:
        return f"The run cannot be followed: {error.text}"
    except Exception as error:
        return f"The run cannot be followed: an unexpected {type(error).__name__}, please report it"


def inside_of(corners: Points, shape: tuple[int, ...]) -> Mask:
    """The pixels inside of a polygon.

    Parameters
    ----------
    corners : ndarray of shape (K, 2)
        (row, column) [px]; the last one is joined to the first.
    shape : tuple of int
        Rows and columns of the picture.

    Returns
    -------
    ndarray of shape (M, N), bool
    """
    page = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(page, [np.round(corners[:, ::-1] * 2**SUBPIXEL).astype(np.int32)], 1, shift=SUBPIXEL)
    return page > 0


def onto_mask(points: Points, run: RunAssessment, frame: int) -> Points:
    """Points of a frame (from 0) where they lie in the picture before contrast; a frame not laid on it keeps them."""
    pose = None if run.pictures is None else run.pictures.alignments.get(frame)
    return points if pose is None else np.array([pose.back((float(r), float(c))) for r, c in points])


def onto_frame(points: Points, run: RunAssessment, frame: int) -> Points:
    """Points of the picture before contrast where they lie in a frame (from 0)."""
    pose = None if run.pictures is None else run.pictures.alignments.get(frame)
    return points if pose is None else np.array([pose.move((float(r), float(c))) for r, c in points])


def subjects(run: RunAssessment) -> tuple[str, ...]:
    """What of a run has curves, the one that its verdict is about first: ``needle``, ``contrast``."""
    told = []
    if run.contrast is not None and any(spread.seen_area > 0 for spread in run.contrast.spreads):
        told.append(CONTRAST)
    if run.needle is not None and needle_curves(run.needle):
        told.append(NEEDLE)
    return tuple(told)


def curves_of(run: RunAssessment, subject: str) -> tuple[Curve, ...]:
    """The curves of needle or contrast."""
    if subject == CONTRAST:
        return () if run.contrast is None else contrast_curves(run.contrast)
    return () if run.needle is None else needle_curves(run.needle)


def needle_curves(needle: NeedleResult) -> tuple[Curve, ...]:
    """Tip to cortex, and the way along the shaft.

    Parameters
    ----------
    needle : NeedleResult

    Returns
    -------
    tuple of Curve
        Without those that have fewer than two values.
    """
    told = []
    for title, name in (("Tip to outline", "tip_to_cortex"), ("Way along the shaft", "advance")):
        known: list[tuple[int, Measurement]] = [
            (point.frame, getattr(point, name)) for point in needle.points if getattr(point, name) is not None
        ]
        if len(known) < 2:
            continue
        missing = [point.frame for point in needle.points if point.state == "lost"]
        frames = tuple(frame for frame, _ in known)
        told.append(
            Curve(
                title=title,
                unit=needle.unit,
                frames=frames,
                values=tuple(found.value for _, found in known),
                lower=tuple(found.lower for _, found in known),
                upper=tuple(found.upper for _, found in known),
                gaps=tuple(k for k in range(1, len(frames)) if any(frames[k - 1] < lost < frames[k] for lost in missing)),
            )
        )
    return tuple(told)


def contrast_curves(contrast: ContrastResult) -> tuple[Curve, ...]:
    """Area, front and density of the contrast."""
    frames = tuple(spread.frame for spread in contrast.spreads)
    unit = contrast.unit
    return (
        Curve(title="Area", unit=f"{unit}\u00b2", frames=frames, values=tuple(spread.area for spread in contrast.spreads)),
        Curve(title="Front from the tip", unit=unit, frames=frames, values=tuple(spread.front for spread in contrast.spreads)),
        Curve(
            title="Density" if contrast.log_linear else "Density (grey)",
            unit="",
            frames=frames,
            values=tuple(spread.density for spread in contrast.spreads),
        ),
    )


def moments_of(run: RunAssessment, subject: str) -> tuple[Moment, ...]:
    """What happened, in order of time.

    Parameters
    ----------
    run : RunAssessment
    subject : str

    Returns
    -------
    tuple of Moment
    """
    if subject == NEEDLE:
        return () if run.needle is None else tuple(
            Moment(
                frame=event.frame, earliest=event.earliest, latest=event.latest, title=event.code.replace("_", " "),
                text=f"{event_words(event)}.",
            )
            for event in run.needle.events
        )  # fmt: skip
    if run.contrast is None:
        return ()
    told = []
    for title, frame in (("first seen", run.contrast.onset), ("most", run.contrast.peak)):
        if frame is not None:
            text = f"Contrast {title}: {frame_words(run, frame)}."
            told.append(Moment(frame=frame, earliest=frame, latest=frame, title=title, text=text))
    return tuple(sorted(told, key=lambda moment: moment.frame))


def frame_words(run: RunAssessment, frame: int) -> str:
    """A frame (from 0) as ``frame 13, 2.40 s``."""
    seconds = run.times.seconds
    return f"frame {frame + 1}" if seconds is None or frame >= len(seconds) else f"frame {frame + 1}, {seconds[frame]:.2f} s"


def subtraction_words(run: RunAssessment, frame: int) -> str:
    """How far a frame (from 0) with the picture before contrast taken away may be read."""
    if run.pictures is None or frame not in run.pictures.alignments:
        return "not subtracted: a copy of the frame before" if frame in run.copies else "not subtracted: left out"
    refused = frame in run.pictures.refused or (run.contrast is not None and run.contrast.refusal)
    return "subtracted: refused, the bone moves" if refused else "subtracted"


def stills_words(run: RunAssessment) -> str:
    """How far apart stills were taken; nothing of a multi-frame file."""
    seconds = run.times.seconds
    if seconds is None or len({reference.path for reference in run.references}) < 2:
        return ""
    longest = max((b - a for a, b in pairwise(seconds)), default=0.0)
    return f"{len(run.references)} stills over {seconds[-1]:.0f} s, up to {longest:.0f} s apart: what was between is not known."


def run_sentences(run: RunAssessment) -> tuple[str, ...]:
    """Why the run got its verdict, what is missing, and how much of it could be used; each once."""
    told = [reason.text for reason in run.verdict.reasons if reason.text != run.verdict.text]
    told += [f"{FLAG_WORDS[flag][0].upper()}{FLAG_WORDS[flag][1:]}." for flag in run.verdict.flags]
    told.append(stills_words(run))
    contrast = run.contrast
    if contrast is not None:
        told.append(
            f"Picture before contrast: mean of frames {contrast.mask_frames[0] + 1} to {contrast.mask_frames[-1] + 1}."
            if contrast.mask_frames
            else ""
        )
        if contrast.motion.refused:
            told.append(f"{contrast.motion.refused} frames are refused because the bone moved.")
        if contrast.in_target is not None:
            told.append(f"{100 * contrast.in_target:.0f} % of the contrast lies in the target that a person drew.")
        if contrast.in_bone is not None:
            told.append(f"{100 * contrast.in_bone:.0f} % of the contrast is projected over the bone.")
        if contrast.washout is not None:
            told.append(f"At the end {100 * contrast.washout:.0f} % of the highest density is left.")
    if run.needle is not None and run.needle.steady:
        told.append(f"Needle found in {100 * run.needle.followed_share:.0f} % of the frames.")
    if run.copies:
        told.append(f"{len(run.copies)} frames repeat the one before.")
    told += [f"{code.replace('_', ' ').capitalize()} at {frame_words(run, frame)}." for frame, code in run.changes]
    return tuple(dict.fromkeys(text for text in told if text))
