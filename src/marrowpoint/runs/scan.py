"""First look at a run, on small pictures: copies, brightness, jumps of the view, rough motion.

One pass over the frames; what is kept is a small picture of each frame, so that a thousand frames need tens of megabytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.errors import NotAssessable
from marrowpoint.exposure import Exposure
from marrowpoint.fluoroscopy.field import find_exposure, find_field
from marrowpoint.frame import FloatImage, Frame, FrameReference, Mask
from marrowpoint.runs.register import Alignment, align, make_template

SIDE_PX = 160  # longer side of the small pictures
COPY_SHARE = 0.3  # frames that differ by less than this share of the usual difference are copies
SAME_VIEW = 0.6  # correlation of fine detail after alignment: below it another picture is shown
SAME_FIELD = 0.9  # overlap of the fields of view of two frames
DETAIL_PX = 6.0  # detail finer than this tells views apart, in small pixels
DETAIL_SDS = 3.0  # and counts as no stronger than so many of its usual size
SURE_POLARITY, POLARITY_AT = 0.9, (4, 16, 32, 48, 64)  # a run in doubt asks these frames, too: a needle that has come tells it
CLIPPED = 0.004  # of the range: a value at its end carries no detail


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scan:
    """What one pass over a run tells.

    Parameters
    ----------
    references : tuple of FrameReference
        Of each frame, in order.
    small : ndarray of shape (F, m, n), float32
        Small pictures, larger = more attenuating.
    factor : float
        Pixels of the frame in one of the small picture.
    field : ndarray of shape (m, n), bool
        Field of view of the first usable frame.
    exposure : Exposure
        Of a whole frame early in the run: field and polarity.
    brightness : ndarray of shape (F,)
        Median attenuation in the field.
    copies : frozenset of int
        Frames (from 0) that repeat the one before.
    poses : tuple of Alignment
        Rough place of each frame against the first of its view, in small pixels.
    views : ndarray of shape (F,), int
        Number of the view of each frame; it changes where the picture does.
    changes : tuple of (int, str)
        Frame and code of each change: ``zoom_changed``, ``collimator_changed``, ``view_changed``.
    """

    references: tuple[FrameReference, ...]
    small: FloatImage
    factor: float
    field: Mask
    exposure: Exposure
    brightness: NDArray[np.float64]
    copies: frozenset[int]
    poses: tuple[Alignment, ...]
    views: NDArray[np.int64]
    changes: tuple[tuple[int, str], ...]

    def usable(self, view: int) -> list[int]:
        """Frames of a view that are no copies."""
        return [i for i in range(len(self.references)) if self.views[i] == view and i not in self.copies]


def scan_run(frames: Iterable[Frame]) -> Scan:
    """Look at every frame once.

    Parameters
    ----------
    frames : iterable of Frame
        One at a time; only small pictures are kept.

    Returns
    -------
    Scan

    Raises
    ------
    NotAssessable
        ``no_frames``; ``size_changed`` where frames differ in size; ``no_field``.
    """
    references: list[FrameReference] = []
    small: list[FloatImage] = []
    exposure: Exposure | None = None
    differences: list[float] = []
    previous: FloatImage | None = None
    shape: tuple[int, ...] = ()
    for frame in frames:
        if references and frame.pixels.shape != shape:
            raise NotAssessable("size_changed", "the frames of the run differ in size: analyse them apart")
        shape = frame.pixels.shape
        differences.append(_difference(previous, frame.pixels))
        previous = frame.pixels
        references.append(frame.reference)
        small.append(shrink(frame.pixels))
        if exposure is None or (len(references) in POLARITY_AT and exposure.polarity_confidence < SURE_POLARITY):
            exposure = _surer(exposure, frame)
    if exposure is None:
        raise NotAssessable("no_frames", "the run holds no frame")
    stack = np.stack(small)
    field = find_field(small[0], np.ones(small[0].shape, bool))
    small.clear()
    if exposure.inverted:
        np.subtract(1, stack, out=stack)
    if field.mean() < 0.02:
        field = shrink(exposure.field.astype(np.float32)) > 0.99
    poses, views, changes = _follow_views(stack, field)
    return Scan(
        references=tuple(references),
        small=stack,
        factor=shape[0] / stack.shape[1],
        field=field,
        exposure=exposure,
        brightness=np.array([float(np.median(picture[field])) for picture in stack]),
        copies=_copies(differences),
        poses=poses,
        views=views,
        changes=changes,
    )


def shrink(pixels: FloatImage) -> FloatImage:
    """A picture of at most `SIDE_PX` pixels a side, each the mean of what it covers."""
    scale = max(pixels.shape) / SIDE_PX
    if scale <= 1:
        return pixels.astype(np.float32)
    size = round(pixels.shape[1] / scale), round(pixels.shape[0] / scale)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.float32)


def unclipped(picture: FloatImage, field: Mask) -> Mask:
    """The part of a field where values are not at the end of the range."""
    inside: Mask = field & (picture > CLIPPED) & (picture < 1 - CLIPPED)
    return inside


def _surer(exposure: Exposure | None, frame: Frame) -> Exposure:
    found = find_exposure(frame)
    return found if exposure is None or found.polarity_confidence > exposure.polarity_confidence else exposure


def _difference(previous: FloatImage | None, pixels: FloatImage) -> float:
    """Spread of the fine differences between neighbouring frames: noise, unless one is a copy of the other."""
    if previous is None:
        return float("nan")
    step = max(1, min(pixels.shape) // 256)
    delta = pixels[::step, ::step] - previous[::step, ::step]
    fine = delta[:, 1:] - delta[:, :-1]
    return float(np.abs(fine).mean())


def _copies(differences: list[float]) -> frozenset[int]:
    found = np.array(differences[1:])
    if not len(found):
        return frozenset()
    usual = float(np.median(found[found > 0])) if (found > 0).any() else 0.0
    return frozenset(int(i) + 1 for i in np.flatnonzero(found <= COPY_SHARE * usual))


def _follow_views(
    stack: FloatImage, field: Mask
) -> tuple[tuple[Alignment, ...], NDArray[np.int64], tuple[tuple[int, str], ...]]:
    views = np.zeros(len(stack), np.int64)
    poses: list[Alignment] = []
    changes: list[tuple[int, str]] = []
    template = make_template(stack[0], unclipped(stack[0], field), sigma_px=1.0)
    reference, area, now = stack[0], field, Alignment()
    for index, picture in enumerate(stack):
        found = now if template is None else align(template, picture, now, judge=False)
        if template is not None and _alike(reference, picture, found, area) < SAME_VIEW:
            found = align(template, picture, _jump(reference, picture), judge=False)
            if _alike(reference, picture, found, area) < SAME_VIEW:
                changes.append((index, _change(reference, picture, area)))
                area = find_field(picture, np.ones(picture.shape, bool))
                template = make_template(picture, unclipped(picture, area), sigma_px=1.0)
                reference, found = picture, Alignment()
        views[index] = len(changes)
        poses.append(found)
        now = found
    return tuple(poses), views, tuple(changes)


def _jump(reference: FloatImage, picture: FloatImage) -> Alignment:
    """A shift of any size, by phase correlation."""
    window = cv2.createHanningWindow(reference.shape[::-1], cv2.CV_32F)
    (x, y), _ = cv2.phaseCorrelate(_fine(reference), _fine(picture), window)
    return Alignment(shift_px=(float(y), float(x)))


def _fine(picture: FloatImage) -> FloatImage:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.0) - cv2.GaussianBlur(picture, (0, 0), DETAIL_PX), dtype=np.float32)


def _alike(reference: FloatImage, picture: FloatImage, pose: Alignment, area: Mask) -> float:
    """Correlation of fine detail where both pictures show the patient, away from the collimator's edge."""
    both = cv2.erode(area.astype(np.uint8), np.ones((9, 9), np.uint8), borderValue=0).astype(np.float32)
    inside = (both > 0) & (pose.bring(both) > 0.99)
    if inside.sum() < 200:
        return 0.0
    a, b = (_held(_fine(shown)[inside]) for shown in (reference, pose.apply(picture)))
    return float((a * b).sum() / np.sqrt(max(float((a * a).sum() * (b * b).sum()), 1e-20)))


def _held(detail: FloatImage) -> FloatImage:
    """Detail about its middle; a needle that moves is the strongest of all and no other view, so its height is held."""
    centred = detail - np.median(detail)
    limit = DETAIL_SDS * 1.4826 * float(np.median(np.abs(centred)))
    held = np.clip(centred, -limit, limit)
    return np.asarray(held - held.mean(), dtype=np.float32)


def _change(reference: FloatImage, picture: FloatImage, area: Mask) -> str:
    now = find_field(picture, np.ones(picture.shape, bool))
    overlap = float((now & area).sum()) / max(float((now | area).sum()), 1.0)
    if _zoomed(reference, picture):
        return "zoom_changed"
    return "collimator_changed" if overlap < SAME_FIELD else "view_changed"


def _zoomed(reference: FloatImage, picture: FloatImage) -> bool:
    """Whether one picture is the other enlarged: log-polar spectra, shifted along the radius."""
    spectra = []
    for image in (reference, picture):
        window = cv2.createHanningWindow(image.shape[::-1], cv2.CV_32F)
        power = np.fft.fftshift(np.abs(np.fft.fft2(_fine(image) * window))).astype(np.float32)
        middle = (image.shape[1] / 2, image.shape[0] / 2)
        flags = cv2.WARP_POLAR_LOG | cv2.INTER_LINEAR
        spectra.append(cv2.warpPolar(np.log1p(power), (128, 180), middle, min(middle), flags))
    (x, y), response = cv2.phaseCorrelate(spectra[0], spectra[1], cv2.createHanningWindow((128, 180), cv2.CV_32F))
    radius = np.log(min(reference.shape) / 2) / 128
    return bool(response > 0.1 and abs(np.expm1(x * radius)) > 0.05 and abs(y) < 5)
