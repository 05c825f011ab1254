"""When contrast appears, and which frames before it make the mask.

A pixel that contrast reaches rises above everything it showed before. Noise and motion rise and fall alike, so that the fall of
pixels elsewhere tells how far a rise means anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.errors import NotAssessable
from marrowpoint.frame import FloatImage, Mask
from marrowpoint.runs.scan import CLIPPED, Scan

MOST_MASKS, LEAST_MASKS = 20, 2
MOST_FRAMES = 300  # looked at; a longer run is thinned, and its onset known to that many frames
FIRST_LOOK = 8  # frames that can tell whether the first ones are brighter
LATER = 3  # frames that are left out at least where the first ones show a change
MOST_OF_RISE = 0.6  # of what rises with the first frames must rise later, too
SETTLED = 0.035  # brightness within this of each of the frames after it: the exposure has settled
RISE, RISE_SHARE = 8.0, 0.4  # noise SDs a pixel must rise; share of the largest rise
NEW, NEW_SHARE = 2.5, 0.3  # noise SDs above all before; share of the largest new area at which contrast is there for sure
LEAST_NEW_SHARE = 0.05  # of that area: going back in time, less new area than this is none
RISE_OVER_FALL = 1.5  # what rises where contrast comes, over what falls elsewhere
SURE_RISE = 4 * RISE  # a rise of so many noise SDs is no chance, whatever else moves
LOW_PX = 20.0  # brightness changes coarser than this are no contrast, in small pixels


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Onset:
    """When contrast appears.

    Parameters
    ----------
    frame : int or None
        First frame (from 0) with contrast; None where none appears.
    mask_frames : tuple of int
        Frames before it that make the mask.
    settled : int
        First frame at the brightness of those after it.
    rise, fall : float
        Largest rise and largest fall of a pixel, in noise SDs.
    place : tuple of float or None
        Where contrast first appears, (row, column) in the small picture of the view's first frame.
    """

    frame: int | None
    mask_frames: tuple[int, ...]
    settled: int
    rise: float
    fall: float
    place: tuple[float, float] | None = None


def find_onset(scan: Scan, view: int = 0) -> Onset:
    """Find the onset of contrast and the mask in one view of a run.

    Parameters
    ----------
    scan : Scan
    view : int

    Returns
    -------
    Onset

    Raises
    ------
    NotAssessable
        ``too_few_frames``, or ``no_mask`` where contrast is there from the beginning.
    """
    usable = scan.usable(view)
    if len(usable) < LEAST_MASKS + 2:
        text = f"the run has {len(usable)} different frames of one view; two before and two after the contrast are needed"
        raise NotAssessable("one_frame" if len(usable) < 2 else "too_few_frames", text)
    usable = usable[:: -(-len(usable) // MOST_FRAMES)]
    settled = _settled(scan.brightness[usable])
    earliest = settled + LEAST_MASKS
    if len(usable) < earliest + 2:
        raise NotAssessable("no_mask", "too few frames are left once the exposure has settled: no picture without contrast")
    # the first frames may be too bright for a mask; they still tell what was there before
    found = _changes(scan, usable)
    trouble = _too_early(found, earliest)
    if trouble:
        # near white they show less of what attenuates little: that alone looks like a rise
        later = max(settled, LATER)
        again = _changes(scan, usable, later) if len(usable) >= later + LEAST_MASKS + 2 else found
        # contrast that came with them and stays hardly rises any more: only what comes later, and as much, clears them of it
        clears = found.first is None or (again.first is not None and again.rise > MOST_OF_RISE * found.rise)
        if _too_early(again, later + LEAST_MASKS) or not clears:
            raise NotAssessable("no_mask", trouble)
        found, settled, earliest = again, later, later + LEAST_MASKS
    first = None if found.first is None or found.first <= earliest else found.first
    last = max(earliest, len(usable) // 3) if first is None else max(first - 1, earliest)
    before = usable[settled:last]
    return Onset(
        frame=None if first is None else usable[first],
        mask_frames=tuple(before[-MOST_MASKS:]),
        settled=usable[settled],
        rise=found.rise,
        fall=found.fall,
        place=None if first is None else found.place,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Changes:
    """Index of the first frame with something new, largest rise and fall in noise SDs; 0 where nothing can be trusted."""

    first: int | None
    rise: float
    fall: float
    place: tuple[float, float] | None
    trusted: bool = True


def _changes(scan: Scan, usable: list[int], skip: int = 0) -> _Changes:
    """What rises and falls in the frames from `skip` on; indices count from the first frame all the same."""
    stack, inner = _flattened(scan, usable[skip:])
    if not inner.any():
        return _Changes(first=None, rise=0.0, fall=0.0, place=None, trusted=False)
    noise = _noise(stack, inner)
    smooth = np.stack([stack[max(0, i - 1) : i + 2].mean(axis=0) for i in range(len(stack))])
    scale = noise * np.float32(np.sqrt(2 / 3))
    rise = np.where(inner, (smooth - np.minimum.accumulate(smooth, axis=0)).max(axis=0) / scale, 0)
    fall = np.where(inner, (np.maximum.accumulate(smooth, axis=0) - smooth).max(axis=0) / scale, 0)
    first = _first_new(stack, smooth, noise, rise) if _stands_out(rise, fall) else None
    place = None if first is None else _place(stack, smooth, noise, rise, first)
    return _Changes(first=None if first is None else first + skip, rise=float(rise.max()), fall=float(fall.max()), place=place)


def _too_early(found: _Changes, earliest: int) -> str:
    """Why there is no mask; empty where there is one."""
    if not found.trusted:
        return "too few frames are left once the exposure has settled: no picture without contrast"
    if found.first is None and found.fall > max(2 * RISE, 2 * found.rise):
        return "contrast is there from the first frame and only clears: no picture without contrast"
    # the frame before it may show a first trace; too weak a rise does not say that a run is lost by it
    if found.first is not None and found.first <= earliest and found.rise >= 2 * RISE:
        return "contrast appears with the first frames: no picture without contrast to subtract"
    return ""


def _settled(brightness: NDArray[np.float64]) -> int:
    """How many first frames are brighter or darker than those after them."""
    look = min(FIRST_LOOK, max(len(brightness) // 3, 1))
    for index in range(look):
        later = brightness[index + 1 : index + 5]
        if not len(later) or float(np.abs(later - brightness[index]).max()) < SETTLED:
            return index
    return look


def _flattened(scan: Scan, usable: list[int]) -> tuple[FloatImage, Mask]:
    """Small pictures over one another, brightness and slow changes taken away; and where they can be trusted."""
    field = scan.field
    early = scan.small[usable[: 2 * FIRST_LOOK]]
    clipped = (((early < CLIPPED) | (early > 1 - CLIPPED)).any(axis=0) & field).astype(np.uint8)
    inner = cv2.erode(field.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=5, borderValue=0)
    inside: Mask = (inner > 0) & (cv2.dilate(clipped, np.ones((9, 9), np.uint8)) == 0)
    moved = [scan.poses[i].apply(scan.small[i]) for i in usable]
    reference = np.median(np.stack(moved[:FIRST_LOOK]), axis=0)
    return np.stack([cv2.GaussianBlur(without_slow(x - reference, inside, LOW_PX), (0, 0), 1.0) for x in moved]), inside


def without_slow(difference: FloatImage, inside: Mask, sigma_px: float) -> FloatImage:
    """Take slow changes of brightness out of a difference; strong pixels hardly count, zero outside `inside`."""
    weight, share = _shares(inside.tobytes(), inside.shape, sigma_px)
    values = difference[inside]
    limit = 3 * 1.4826 * float(np.median(np.abs(values))) if len(values) else 1.0
    held = np.clip(difference, -limit, limit) * weight
    slow = cv2.GaussianBlur(held, (0, 0), sigma_px) / share
    return np.asarray((difference - slow) * weight, dtype=np.float32)


@lru_cache(maxsize=2)
def _shares(inside: bytes, shape: tuple[int, int], sigma_px: float) -> tuple[FloatImage, FloatImage]:
    """The weight of each pixel, and what of its surroundings counts: the same for all frames of a run."""
    weight = np.frombuffer(inside, np.bool_).reshape(shape).astype(np.float32)
    return weight, np.asarray(cv2.GaussianBlur(weight, (0, 0), sigma_px) + np.float32(1e-3), dtype=np.float32)


def _noise(stack: FloatImage, inside: Mask) -> FloatImage:
    noise = np.median(np.abs(np.diff(stack, axis=0)), axis=0) / np.float32(0.6745 * np.sqrt(2))
    floor = max(0.5 * float(np.median(noise[inside])), 1e-6)
    return np.asarray(np.maximum(cv2.blur(noise, (9, 9)), floor), dtype=np.float32)


def _place(stack: FloatImage, smooth: FloatImage, noise: FloatImage, rise: FloatImage, first: int) -> tuple[float, float]:
    """Middle of the strongest new contrast in the first frames that show it."""
    risen = rise > max(RISE, RISE_SHARE * float(rise.max()))
    new = (stack[first : first + 2].mean(axis=0) - smooth[: max(first - 1, 1)].max(axis=0)) / noise
    row, column = np.unravel_index(int(np.where(risen, new, -np.inf).argmax()), new.shape)
    return float(row), float(column)


def _stands_out(rise: FloatImage, fall: FloatImage) -> bool:
    """Whether something rises farther than pixels elsewhere fall: noise and motion do both alike."""
    risen = rise > max(RISE, RISE_SHARE * float(rise.max()))
    near = cv2.dilate(risen.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    elsewhere = fall[~near & (fall > 0)]
    usual = float(np.quantile(elsewhere, 0.995)) if len(elsewhere) > 100 else 0.0
    return bool(risen.sum() >= 3 and float(rise.max()) > min(RISE_OVER_FALL * usual, SURE_RISE))


def _first_new(stack: FloatImage, smooth: FloatImage, noise: FloatImage, rise: FloatImage) -> int | None:
    """Index of the first frame that shows something new where something rises."""
    risen = rise > max(RISE, RISE_SHARE * float(rise.max()))
    if not risen.any():
        return None
    areas = np.zeros(len(stack))
    for index in range(2, len(stack)):
        before = smooth[: index - 1].max(axis=0) if index > 2 else stack[:2].max(axis=0)
        new = ((stack[index] - before) / noise > NEW) & risen
        count, _, stats, _ = cv2.connectedComponentsWithStats(new.astype(np.uint8))
        areas[index] = stats[1:, cv2.CC_STAT_AREA].max() if count > 1 else 0
    most = float(areas.max())
    if most < 2:
        return None
    first = int(np.argmax(areas >= NEW_SHARE * most))
    usual = areas[2:first]
    limit = 1.0 if len(usual) < 3 else float(np.median(usual) + 3 * 1.4826 * np.median(np.abs(usual - np.median(usual)))) + 1
    while first > 0 and areas[first - 1] > max(limit, LEAST_NEW_SHARE * most):
        first -= 1
    return first
