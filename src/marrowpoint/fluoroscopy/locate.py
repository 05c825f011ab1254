"""The needle: which straight bar it is, and which of its ends is the tip."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from marrowpoint.cortex import BonePrior
from marrowpoint.errors import NotAssessable
from marrowpoint.exposure import Exposure
from marrowpoint.fluoroscopy.candidates import PIECE_PX, WORK_SIDE_PX, Bar, find_bars
from marrowpoint.fluoroscopy.shaft import Shaft, fit_shaft
from marrowpoint.fluoroscopy.tip import Tip, fit_tip
from marrowpoint.frame import FloatImage
from marrowpoint.needle import Needle

MOST_FITTED = 5  # bars measured at full resolution
LEAST_LENGTH = 2.0  # widths: a shorter bar has no direction
LEAST_SCORE = 0.25  # agreement of a bar below which nothing is fitted


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Candidate:
    shaft: Shaft
    bar: Bar
    score: float
    at_stop: bool
    end_margin: float


def locate_needle(
    exposure: Exposure, *, prior: BonePrior | None = None, expected_width_px: float | None = None
) -> Needle:
    """Find the needle and its tip.

    Parameters
    ----------
    exposure : Exposure
    prior : BonePrior, optional
        What a coarse prior says of shaft and tip; agreement raises, disagreement lowers the confidence.
    expected_width_px : float, optional
        Declared diameter over the header's scale [px]; bars far from it are unlikely.

    Returns
    -------
    Needle

    Raises
    ------
    NotAssessable
        ``no_needle`` if no straight bar stands out.
    """
    usable = exposure.field.astype(np.float32)
    bars = [b for b in find_bars(exposure.attenuation, exposure.field) if b.bright and b.score > LEAST_SCORE]
    piece = PIECE_PX * max(1.0, max(exposure.field.shape) / WORK_SIDE_PX)
    candidates: list[_Candidate] = []
    for bar in bars[:MOST_FITTED]:
        shaft = fit_shaft(exposure.attenuation, usable, bar, piece_px=piece)
        if shaft is not None and shaft.length_px > LEAST_LENGTH * shaft.width_px and not any(_same(shaft, c.shaft) for c in candidates):
            candidates.append(_judge(exposure, shaft, bar, prior, expected_width_px))
    if not candidates:
        raise NotAssessable("no_needle", "no straight needle stands out in the frame; mark it by hand or take another frame")
    candidates.sort(key=lambda c: -c.score)
    best = _needle(exposure, candidates[0])
    others = tuple(_needle(exposure, c) for c in candidates[1:3] if c.score > 0.35 * candidates[0].score)
    return replace(best, alternatives=others, second_instrument=bool(others))


def _same(a: Shaft, b: Shaft) -> bool:
    if abs(a.axis[0] * b.axis[0] + a.axis[1] * b.axis[1]) < 0.98:
        return False
    middle = a.point((a.start_px + a.stop_px) / 2)
    dr, dc = middle[0] - b.origin[0], middle[1] - b.origin[1]
    along = dr * b.axis[0] + dc * b.axis[1]
    across = abs(dr * b.axis[1] - dc * b.axis[0])
    return across < a.width_px + b.width_px and b.start_px - 20 < along < b.stop_px + 20


def _judge(exposure: Exposure, shaft: Shaft, bar: Bar, prior: BonePrior | None, expected: float | None) -> _Candidate:
    score = shaft.support * min(shaft.length_px / (6 * shaft.width_px), 1.0) * bar.score
    if expected is not None:
        score *= float(np.exp(-0.5 * (np.log(shaft.width_px / expected) / 0.35) ** 2))
    margin = _tip_evidence(exposure, shaft)
    return _Candidate(shaft=shaft, bar=bar, score=score, at_stop=margin >= 0, end_margin=margin)


def _tip_evidence(exposure: Exposure, shaft: Shaft) -> float:
    """Evidence that the end at `stop_px` is the tip (positive) or the one at `start_px` (negative)."""
    ends = [_end_evidence(exposure, shaft, at_stop) for at_stop in (False, True)]
    return ends[1] - ends[0]


def _end_evidence(exposure: Exposure, shaft: Shaft, at_stop: bool) -> float:
    outward = 1.0 if at_stop else -1.0
    end = shaft.stop_px if at_stop else shaft.start_px
    width = shaft.width_px
    evidence = 0.0
    if not _inside(exposure, shaft.point(end + outward * 1.5 * width)):
        evidence -= 3.0  # it leaves the field: the hub is outside
    beside = _beside(exposure.attenuation, shaft, end - outward * width)
    other = shaft.start_px if at_stop else shaft.stop_px
    evidence += 2.0 * (beside - _beside(exposure.attenuation, shaft, other + outward * width))
    return evidence


def _inside(exposure: Exposure, point: tuple[float, float]) -> bool:
    r, c = round(point[0]), round(point[1])
    rows, columns = exposure.field.shape
    return bool(0 <= r < rows and 0 <= c < columns and exposure.field[r, c])


def _beside(attenuation: FloatImage, shaft: Shaft, along: float) -> float:
    """Mean attenuation on both sides of the shaft."""
    r, c = shaft.point(along)
    values = []
    for side in (-1.5, 1.5):
        rr = round(r - side * shaft.width_px * shaft.axis[1])
        cc = round(c + side * shaft.width_px * shaft.axis[0])
        box = attenuation[max(0, rr - 4) : rr + 5, max(0, cc - 4) : cc + 5]
        if box.size:
            values.append(float(box.mean()))
    return float(np.mean(values)) if values else 0.0


def _needle(exposure: Exposure, candidate: _Candidate) -> Needle:
    shaft = candidate.shaft
    tip: Tip = fit_tip(exposure.attenuation, shaft, at_stop=candidate.at_stop)
    sign = -1.0 if candidate.at_stop else 1.0
    axis = (sign * shaft.axis[0], sign * shaft.axis[1])
    far = shaft.start_px if candidate.at_stop else shaft.stop_px
    lever = abs(tip.along_px - (shaft.start_px + shaft.stop_px) / 2)
    return Needle(
        tip=shaft.point(tip.along_px),
        axis=axis,
        width_px=shaft.width_px,
        width_sd_px=shaft.width_sd_px,
        tip_sd_along_px=tip.sd_px,
        tip_sd_across_px=float(np.hypot(shaft.across_sd_px, lever * shaft.angle_sd_rad)),
        length_px=abs(far - tip.along_px),
        confidence=float(np.clip(candidate.score / (1.0 + candidate.score), 0.0, 1.0)),
    )
