"""Tips of a run against each other: every frame is asked where it shows the needle of the first ones.

A fit errs by what the bone around each tip makes of it. `Likeness` tells how one tip lies to another far better, but not where
the apex is; that is what all fits of the view say together. So each tip is moved to where the likeness puts it, and all of them
to where their fits are in the middle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from marrowpoint.frame import FloatImage
from marrowpoint.needle import Needle
from marrowpoint.runs.before import Before, Earlier
from marrowpoint.runs.likeness import REACH, Alike, Likeness, strip_shaft
from marrowpoint.runs.register import Alignment

LEAST_FRAMES = 6
FAR_SDS = 3.0  # of both: where fit and likeness lie so far apart, one of them is of something else
FAR_SHARE, NEAR_SHARE = 0.5, 0.25  # of what they differ by enters the doubt: there, and where they agree
MOST_LEFT = 5.0  # noise variances: with more left over, something else is shown
SURER_HALF = 0.25  # quantile: the middle of all fits is that of the surer ones
NEIGHBOURS = 2  # frames to each side that tell which of two places a tip has
# Needles move evenly: tips that scatter more than the fits do, and than the fits' doubt explains, are those of another display
ROUGH_SDS = 0.3
INSIDE, MOST_LOOKS = 0.75, 5  # of the search's reach: a point found farther out may lie beyond; so often it is looked for there
STILL_WIDTHS = 0.3  # so near to the first frames' tip a tip has not moved

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _View:
    """What was seen in one view: likeness by frame, and the frames from which it was taken."""

    found: dict[int, tuple[Alike, ...]] = field(default_factory=dict)
    first: list[int] = field(default_factory=list)


class SameNeedle:
    """Gathers, for each view, where frames show the needle of its first frames."""

    def __init__(self) -> None:
        self.views: list[_View] = [_View()]
        self.likeness: Likeness | None = None

    def renew(self) -> None:
        """Another view: what was seen in the last one is kept, the likeness is taken anew."""
        self.views.append(_View())
        self.likeness = None

    def forget(self) -> None:
        """What was followed in this view was no needle."""
        self.views[-1] = _View()
        self.likeness = None

    def add(self, index: int, pixels: FloatImage, needle: Needle, before: Before, pose: Alignment) -> None:
        """Ask a frame.

        Parameters
        ----------
        index : int
        pixels : ndarray of shape (M, N), float32
            Larger = more attenuating.
        needle : Needle
            As fitted in it.
        before : Before
            What was seen before the needle came.
        pose : Alignment
            Where the patient lies in it.
        """
        view = self.views[-1]
        if self.likeness is None:
            view.first.append(index)
            shown = before.shown
            if shown:
                self.likeness = Likeness(shown)
            return
        found = self._looked_for(self.likeness, pixels, needle, before.seen_from(pose))
        if found is not None:
            view.found[index] = found

    def _looked_for(self, likeness: Likeness, pixels: FloatImage, needle: Needle, earlier: Earlier) -> tuple[Alike, ...] | None:
        """Around the fitted tip; where the point lies at the end of what was searched, around that place, and so on."""
        way = 0.0
        for _ in range(MOST_LOOKS):
            found = self._asked(likeness, pixels, needle, way, earlier)
            if found is None:
                return None
            best = min(found, key=lambda alike: alike.left)
            if abs(best.way_px - way) < INSIDE * REACH * likeness.width_px:
                return found
            way = best.way_px
        return None

    @staticmethod
    def _asked(
        likeness: Likeness, pixels: FloatImage, needle: Needle, way: float, earlier: Earlier
    ) -> tuple[Alike, ...] | None:
        there = _along(needle, way)
        found = likeness.find(pixels, there, earlier(strip_shaft(there), likeness.along, likeness.across))
        return None if found is None else tuple(replace(alike, way_px=alike.way_px + way) for alike in found)

    def drop(self, index: int) -> None:
        """What was found in a frame (from 0) was no needle."""
        for view in self.views:
            view.found.pop(index, None)

    def correct(self, needles: Sequence[Needle | None], placed: Callable[[int, Point], Point]) -> list[Needle | None]:
        """The needles, each tip where the likeness puts it against the others.

        Parameters
        ----------
        needles : sequence of Needle or None
            By frame.
        placed : callable
            Takes a frame and a point of it; gives where the point lay in the first frame of the view.

        Returns
        -------
        list of Needle or None
        """
        out = list(needles)
        for view in self.views:
            pairs = {i: (needle, alikes) for i, alikes in view.found.items() if (needle := needles[i]) is not None}
            if len(pairs) < LEAST_FRAMES:
                continue
            left = np.array([[min(alike.left, MOST_LEFT) for alike in alikes] for _, alikes in pairs.values()])
            curve = int(np.argmin(left.mean(axis=0)))
            told = {i: (n, alikes[curve]) for i, (n, alikes) in pairs.items() if alikes[curve].left < MOST_LEFT}
            if len(told) < LEAST_FRAMES:
                continue
            zero, shared = middle_of(told)
            fits = [placed(i, told[i][0].tip) for i in sorted(told)]
            likes = [placed(i, _along(told[i][0], told[i][1].way_px).tip) for i in sorted(told)]
            doubt = float(np.median([needle.tip_sd_along_px for needle, _ in told.values()]))
            if roughness(likes) > max(roughness(fits), ROUGH_SDS * doubt):
                continue
            for index, needle in moved(told, zero, shared, placed).items():
                out[index] = needle
            early = {i: n for i in range(min(told)) if (n := needles[i]) is not None and i >= min(view.first)}
            still = _still(early, view.first, placed)
            for index, needle in early.items():
                # where the needle stood at first, all fits err together; on its way from there, by less and less
                out[index] = (
                    _doubted(_along(needle, -zero), NEAR_SHARE * zero) if index in still else _doubted(needle, FAR_SHARE * zero)
                )
        return out


def roughness(tips: Sequence[Point]) -> float:
    """How far tips lie beside the middle of their neighbours in time, in the mean [px].

    Parameters
    ----------
    tips : sequence of (row, column)
        In order of time, at least three.

    Returns
    -------
    float
    """
    places = np.array(tips)
    return float(np.linalg.norm(places[1:-1] - (places[:-2] + places[2:]) / 2, axis=1).mean())


def middle_of(told: dict[int, tuple[Needle, Alike]]) -> tuple[float, float]:
    """From the zero of the likeness to where the fits are in the middle, and the doubt of that.

    Parameters
    ----------
    told : dict of int to (Needle, Alike)
        By frame.

    Returns
    -------
    zero, sd : float
        [px], the first toward the hub.
    """
    sds = np.array([needle.tip_sd_along_px for needle, _ in told.values()])
    ways = np.array([alike.way_px for _, alike in told.values()])
    order = np.argsort(ways)
    total = np.cumsum(1 / sds[order] ** 2)
    zero = float(ways[order][int(np.searchsorted(total, total[-1] / 2))])
    return zero, float(np.quantile(sds, SURER_HALF))


def moved(
    told: dict[int, tuple[Needle, Alike]], zero: float, shared: float, placed: Callable[[int, Point], Point]
) -> dict[int, Needle]:
    """Needles moved to where their likeness puts them, their middle kept.

    Parameters
    ----------
    told : dict of int to (Needle, Alike)
        By frame.
    zero, shared : float
        From `middle_of`.
    placed : callable
        As for `SameNeedle.correct`.

    Returns
    -------
    dict of int to Needle
    """
    far = {i for i, (n, a) in told.items() if abs(a.way_px - zero) > FAR_SDS * float(np.hypot(n.tip_sd_along_px, a.sd_px))}
    frames = [i for i in sorted(told) if i not in far]
    ends = {i: np.array(placed(i, _along(told[i][0], told[i][1].way_px - zero).tip)) for i in frames}
    out = {}
    for index, (needle, alike) in told.items():
        way = alike.way_px - zero
        like = _along(needle, way)
        at = int(np.searchsorted(frames, index))
        near = [ends[i] for i in (*frames[max(0, at - NEIGHBOURS) : at], *frames[at : at + NEIGHBOURS])]
        if index in far and not _nearer(placed(index, like.tip), placed(index, needle.tip), near):
            out[index] = _doubted(needle, FAR_SHARE * way)
        else:
            doubt = float(np.sqrt(shared**2 + alike.sd_px**2 + (NEAR_SHARE * way) ** 2))
            out[index] = replace(like, tip_sd_along_px=doubt)
    return out


def _nearer(one: Point, other: Point, places: list[np.ndarray]) -> bool:
    if not places:
        return False
    middle = np.median(np.array(places), axis=0)
    return bool(np.linalg.norm(middle - one) < np.linalg.norm(middle - other))


def _still(early: dict[int, Needle], first: list[int], placed: Callable[[int, Point], Point]) -> set[int]:
    """Early frames in which the needle stands where it stood in the first ones."""
    tips = {i: np.array(placed(i, needle.tip)) for i, needle in early.items()}
    rest = [tips[i] for i in first if i in tips]
    if not rest:
        return set()
    middle = np.median(np.array(rest), axis=0)
    near = STILL_WIDTHS * float(np.median([needle.width_px for needle in early.values()]))
    return {i for i, tip in tips.items() if np.linalg.norm(tip - middle) < near}


def _along(needle: Needle, way: float) -> Needle:
    return replace(needle, tip=(needle.tip[0] + way * needle.axis[0], needle.tip[1] + way * needle.axis[1]))


def _doubted(needle: Needle, doubt: float) -> Needle:
    return replace(needle, tip_sd_along_px=float(np.hypot(needle.tip_sd_along_px, doubt)))
