"""Subtract the mask: bone registered frame by frame, or the frame refused.

Frames are aligned at up to `ALIGN_SIDE_PX`; the differences are kept on a coarser grid, on which a run of many hundred frames
fits into memory and each value is the mean of several pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import cv2
import numpy as np

from marrowpoint.errors import NotAssessable
from marrowpoint.frame import FloatImage, Frame, Mask
from marrowpoint.needle import Needle
from marrowpoint.runs.onset import Onset, without_slow
from marrowpoint.runs.register import Alignment, Template, align, make_template
from marrowpoint.runs.scan import Scan, unclipped
from marrowpoint.runs.tone import level_greys

ALIGN_SIDE_PX, GRID_SIDE_PX = 640, 288
MOST_FRAMES = 300  # kept on the grid; longer runs are thinned
LEAST_REGION = 0.03  # of the frame: a smaller region around the needle is widened
EDGE_MARGIN_PX = 8
SLOW_SHARE = 0.12  # of the picture: slower changes of brightness are taken out


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subtraction:
    """A run with its mask taken away.

    Parameters
    ----------
    frames : tuple of int
        Frames (from 0) kept, in order, the mask's included.
    stack : ndarray of shape (T, m, n), float32
        Attenuation added since the mask, on the grid; zero outside `inside`.
    noise : ndarray of shape (m, n), float32
        Standard deviation of one value of the stack before contrast (k = 1).
    mask : ndarray of shape (m, n), float32
        The mask's attenuation.
    picture : ndarray of shape (M, N), float32
        The mask at full size, attenuation.
    inside : ndarray of shape (m, n), bool
        Where values can be trusted.
    factor : float
        Pixels of the frame in one of the grid.
    residuals_px : dict of int to float
        Residual motion by frame [px of the frame]; frames where it cannot be told are missing.
    refused : tuple of int
        Frames refused because of it.
    untold : tuple of int
        Frames after the mask whose residual motion cannot be told, neither near the tip nor in the whole field.
    shifts_px : dict of int to tuple of float
        How far each frame's bone lies from the mask's, (row, column) [px of the frame].
    mask_frames : tuple of int
    refusal : str
        Why nothing may be read from the subtraction; empty where it may.
    alignments : dict of int to Alignment
        Where the mask lies in each frame, refused ones included, for pictures of full size.
    """

    frames: tuple[int, ...]
    stack: FloatImage
    noise: FloatImage
    mask: FloatImage
    picture: FloatImage
    inside: Mask
    factor: float
    residuals_px: dict[int, float]
    refused: tuple[int, ...]
    shifts_px: dict[int, tuple[float, float]]
    mask_frames: tuple[int, ...]
    refusal: str = ""
    untold: tuple[int, ...] = ()
    alignments: dict[int, Alignment] = field(default_factory=dict)

    def to_grid(self, point: tuple[float, float]) -> tuple[float, float]:
        """A point (row, column) of the mask picture on the grid."""
        half = (self.factor - 1) / 2
        return (point[0] - half) / self.factor, (point[1] - half) / self.factor

    def to_picture(self, point: tuple[float, float]) -> tuple[float, float]:
        """A point (row, column) of the grid in the mask picture."""
        half = (self.factor - 1) / 2
        return point[0] * self.factor + half, point[1] * self.factor + half


def average_mask(frames: Callable[[], Iterable[Frame]], scan: Scan, onset: Onset) -> FloatImage:
    """Mean of the mask frames laid over the middle one, attenuation, shape (M, N)."""
    middle = next(_taken(frames(), scan, onset.mask_frames[len(onset.mask_frames) // 2 :][:1]))
    template = make_template(middle, unclipped(middle, scan.exposure.field))
    if template is None:
        raise NotAssessable("no_detail", "the frames hold too little detail to be laid over one another")
    total = np.zeros_like(middle)
    for one in _taken(frames(), scan, onset.mask_frames):
        total += align(template, one, judge=False).apply(one)
    return np.asarray(total / np.float32(len(onset.mask_frames)), dtype=np.float32)


def bone_region(scan: Scan, picture: FloatImage, needle: Needle | None, bone: Mask | None, reach_px: float) -> Mask:
    """Where the frames are registered: bone near the tip without the needle, widened until it is large enough.

    Parameters
    ----------
    scan : Scan
    picture : ndarray of shape (M, N)
        The mask.
    needle : Needle or None
    bone : ndarray of shape (M, N), bool, or None
    reach_px : float
        How far from the tip bone counts as near [px].

    Returns
    -------
    ndarray of shape (M, N), bool
    """
    field = unclipped(picture, scan.exposure.field)
    field = cv2.erode(np.pad(field, 1).astype(np.uint8), np.ones((3, 3), np.uint8), iterations=EDGE_MARGIN_PX)[1:-1, 1:-1] > 0
    if needle is None:
        return field
    field &= ~needle.footprint((picture.shape[0], picture.shape[1]), margin_px=4.0)
    rows = np.arange(picture.shape[0], dtype=np.float32)[:, None] - np.float32(needle.tip[0])
    columns = np.arange(picture.shape[1], dtype=np.float32)[None, :] - np.float32(needle.tip[1])
    near = np.hypot(rows, columns) < reach_px
    choices = [near & field, field]
    if bone is not None:
        grown = cv2.dilate(bone.astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
        choices.insert(0, near & field & grown)
    return next((c for c in choices if c.mean() > LEAST_REGION), field)


def subtract_run(
    frames: Callable[[], Iterable[Frame]],
    scan: Scan,
    onset: Onset,
    picture: FloatImage,
    where: tuple[Mask, Mask, Mask],
    most_residual_px: float,
) -> Subtraction:
    """Align every frame of the onset's view to the mask and subtract it.

    Parameters
    ----------
    frames : callable
        Gives the frames anew.
    scan : Scan
    onset : Onset
    picture : ndarray of shape (M, N), float32
        From `average_mask`.
    where : tuple of ndarray of shape (M, N), bool
        What is registered, from `bone_region`; around the tip, where contrast is expected; the needle.
    most_residual_px : float
        A frame with more residual motion is refused [px].

    Returns
    -------
    Subtraction

    Raises
    ------
    NotAssessable
        ``no_detail``; ``motion`` where hardly a frame is left after the refused ones.
    """
    region, near, metal = where
    shrink = max(1, round(max(picture.shape) / ALIGN_SIDE_PX))
    template = make_template(_area(picture, shrink), _area(region.astype(np.float32), shrink) > 0.99)
    if template is None:
        raise NotAssessable("no_detail", "the bone around the needle holds too little detail to be registered")
    grid = max(1, round(max(picture.shape) / shrink / GRID_SIDE_PX))
    # where the bone near the tip is too faint to tell its motion, the whole field is asked
    field = bone_region(scan, picture, None, None, 0.0)
    wide = make_template(_area(picture, shrink), _area(field.astype(np.float32), shrink) > 0.99)
    inside = _area(_trusted(picture, scan.exposure.field).astype(np.float32), shrink * grid) > 0.99
    base = _area(picture, shrink)
    work = _Work(templates=(template, wide), base=base, inside=inside, shrink=shrink, grid=grid, most_px=most_residual_px)
    view = int(scan.views[onset.mask_frames[-1]])
    wanted = [i for i in scan.usable(view) if i >= onset.settled]
    later = [i for i in wanted if i > onset.mask_frames[-1]]
    kept = [i for i in onset.mask_frames if i in wanted] + later[:: _stride(len(wanted))]
    for index, frame in enumerate(frames()):
        if index in kept:
            work.add(index, _attenuation(frame, scan))
    around = [_area(mask.astype(np.float32), shrink * grid) > 0 for mask in (near, metal)]
    return work.finish(onset, picture, around[0], around[1])


def _trusted(picture: FloatImage, field: Mask) -> Mask:
    """Away from the field's edge, which stands still while the patient moves, and from values at the end of the range."""
    inner = cv2.erode(np.pad(field, 1).astype(np.uint8), np.ones((3, 3), np.uint8), iterations=EDGE_MARGIN_PX)[1:-1, 1:-1]
    ended = cv2.dilate((field & ~unclipped(picture, field)).astype(np.uint8), np.ones((5, 5), np.uint8))
    return np.asarray((inner > 0) & (ended == 0))


def _stride(count: int) -> int:
    return max(1, -(-count // MOST_FRAMES))


class _Work:
    """What is gathered while the frames go by."""

    def __init__(
        self,
        *,
        templates: tuple[Template, Template | None],
        base: FloatImage,
        inside: Mask,
        shrink: int,
        grid: int,
        most_px: float,
    ) -> None:
        self.template, self.wide = templates
        self.base, self.shrink, self.grid, self.most_px = base, shrink, grid, most_px
        self.mask, self.inside = _area(base, grid), inside
        self.now = Alignment()
        self.kept: list[int] = []
        self.stack: list[FloatImage] = []
        self.residuals: dict[int, float] = {}
        self.shifts: dict[int, tuple[float, float]] = {}
        self.alignments: dict[int, Alignment] = {}
        self.refused: list[int] = []

    def add(self, index: int, picture: FloatImage) -> None:
        small = _area(picture, self.shrink)
        smooth = np.asarray(cv2.GaussianBlur(small, (0, 0), self.template.sigma_px), dtype=np.float32)
        found = align(self.template, small, self.now, smooth=smooth)
        self.now = found
        self.alignments[index] = found.scaled(self.shrink)
        self.shifts[index] = (found.shift_px[0] * self.shrink, found.shift_px[1] * self.shrink)
        residual = found.residual_px
        if residual is None and self.wide is not None:
            residual = align(self.wide, small, found, smooth=smooth).residual_px
        if residual is not None:
            self.residuals[index] = residual * self.shrink
            if self.residuals[index] > self.most_px:
                self.refused.append(index)
                return
        self.stack.append(_area(found.apply(small) - self.base, self.grid))
        self.kept.append(index)

    def finish(self, onset: Onset, picture: FloatImage, near: Mask, metal: Mask) -> Subtraction:
        after = [i for i in self.kept if i > onset.mask_frames[-1]]
        lost = [i for i in self.refused if i > onset.mask_frames[-1]]
        masks = [k for k, i in enumerate(self.kept) if i in onset.mask_frames]
        middle = float(np.median(list(self.residuals.values()))) if self.residuals else 0.0
        refusal = ""
        if len(lost) > len(after) or middle > self.most_px or len(after) < 2 or len(masks) < 2:
            refusal = (
                f"the bone moves by {middle:.2f} px against the mask even after registration "
                f"({self.most_px:.2f} px are allowed, {len(self.refused)} of {len(self.shifts)} frames were refused): "
                "a subtraction would show motion as contrast"
            )
        if len(after) < 2 or len(masks) < 2:
            raise NotAssessable("motion", refusal)
        stack = np.stack(self.stack)
        self.stack.clear()
        level_greys(stack, self.mask, self.inside, near, metal)
        for index, one in enumerate(stack):
            stack[index] = without_slow(one, self.inside, SLOW_SHARE * max(one.shape))
        return Subtraction(
            frames=tuple(self.kept),
            stack=stack,
            noise=_noise(stack[masks], self.inside),
            mask=self.mask,
            picture=picture,
            inside=self.inside,
            factor=float(self.shrink * self.grid),
            residuals_px=self.residuals,
            refused=tuple(self.refused),
            shifts_px=self.shifts,
            mask_frames=onset.mask_frames,
            refusal=refusal,
            untold=tuple(i for i in after if i not in self.residuals),
            alignments=self.alignments,
        )


def _noise(masks: FloatImage, inside: Mask) -> FloatImage:
    """Noise of one difference, from the mask frames about their own mean (n - 1), smoothed over a neighbourhood."""
    count = len(masks)
    variance = ((masks - masks.mean(axis=0)) ** 2).sum(axis=0) / max(count - 1, 1)
    # two frames say little of one pixel, much of a neighbourhood
    share = cv2.blur(inside.astype(np.float32), (15, 15)) + np.float32(1e-6)
    smooth = cv2.blur(variance * inside, (15, 15)) / share
    floor = max(0.1 * float(np.median(smooth[inside])), 1e-12) if inside.any() else 1e-12
    return np.asarray(np.sqrt(np.maximum(smooth, floor) * (1 + 1 / count)), dtype=np.float32)


def _attenuation(frame: Frame, scan: Scan) -> FloatImage:
    return np.asarray(1 - frame.pixels if scan.exposure.inverted else frame.pixels, dtype=np.float32)


def _taken(frames: Iterable[Frame], scan: Scan, wanted: tuple[int, ...]) -> Iterator[FloatImage]:
    for index, frame in enumerate(islice(frames, max(wanted) + 1)):
        if index in wanted:
            yield _attenuation(frame, scan)


def _area(picture: FloatImage, factor: int) -> FloatImage:
    """Mean over blocks; rows and columns that fill no block are left off."""
    if factor == 1:
        return picture
    rows, columns = picture.shape[0] // factor, picture.shape[1] // factor
    cut = np.ascontiguousarray(picture[: rows * factor, : columns * factor])
    return np.asarray(cv2.resize(cut, (columns, rows), interpolation=cv2.INTER_AREA), dtype=np.float32)
