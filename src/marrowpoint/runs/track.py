"""Follow the needle through a run: predicted from the patient's motion and its own, measured again in every frame.

The whole frame is searched only where nothing is known yet, where the needle was lost, and now and then to check. In between
the shaft is fitted anew around its predicted place, and the tip with the same model as in a still.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from marrowpoint.cortex import BonePrior
from marrowpoint.errors import NotAssessable
from marrowpoint.exposure import Bar, Exposure
from marrowpoint.fluoroscopy.locate import locate_needle
from marrowpoint.fluoroscopy.metal import end_of_metal
from marrowpoint.fluoroscopy.shaft import fit_shaft
from marrowpoint.frame import FloatImage, Frame
from marrowpoint.needle import Needle
from marrowpoint.runs.before import Before
from marrowpoint.runs.display import STEP_WIDTHS, CurveDoubt
from marrowpoint.runs.early import GIVEN_UP, Early, of_one_needle
from marrowpoint.runs.jumps import with_jumps
from marrowpoint.runs.refit import TURN_COS, WIDTH_RATIO, is_alike, needle_of
from marrowpoint.runs.register import Alignment
from marrowpoint.runs.same import SameNeedle
from marrowpoint.runs.scan import Scan

CHECK_EVERY = 24  # frames between searches of the whole frame that check the following
DOUBT_EVERY = 6  # the same while the needle that is followed was found with less confidence than `SURE`
SURE, SURER = 0.8, 0.3
SEARCH_EVERY = 3  # frames between searches while the needle is lost
PIECE_WIDTHS = 10.0  # length of shaft that is fitted
LEAST_SURE = 0.3  # confidence below which a found bar is not followed
AGREE_WIDTHS = 1.5  # search and following agree


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """The needle by frame.

    Parameters
    ----------
    needles : tuple of Needle or None
        None where it is lost, and in copies.
    searched : tuple of int
        Frames that were searched whole.
    """

    needles: tuple[Needle | None, ...]
    searched: tuple[int, ...]


class Tracker:
    """Follows the needle frame by frame; give it each frame once, in order."""

    def __init__(self, scan: Scan, prior: BonePrior | None = None, expected_width_px: float | None = None) -> None:
        self.scan, self.prior, self.expected = scan, prior, expected_width_px
        self.last: Needle | None = None
        self.last_index = -1
        self.support = 0.0
        self.speed_px = 0.0
        self.since_search = 0
        self.needles: list[Needle | None] = []
        self.searched: list[int] = []
        self.curves, self.before = CurveDoubt(), Before()
        self.early, self.same = Early(), SameNeedle()
        self.widths_px: list[float] = []  # of the needle in this view: one frame's may be far off, and nothing is like it
        self.fitted: set[int] = set()  # frames whose tip was fitted with the run's middle curve

    def add(self, index: int, frame: Frame) -> None:
        """Find the needle in the next frame."""
        if index in self.scan.copies:
            self.needles.append(None)
            return
        pixels = np.asarray(1 - frame.pixels if self.scan.exposure.inverted else frame.pixels, dtype=np.float32)
        self.early.add(index, pixels)
        self.since_search += 1
        if index and self.scan.views[index] != self.scan.views[index - 1]:
            self.before, self.widths_px = Before(), []
            self.same.renew()
        same_view = self.last_index >= 0 and self.scan.views[index] == self.scan.views[self.last_index]
        found = self._follow(index, pixels) if self.last is not None and same_view else None
        lost = found is None
        every = CHECK_EVERY if self._sure(self.last) else DOUBT_EVERY
        if (lost and (self.since_search >= SEARCH_EVERY or not self.searched)) or self.since_search >= every:
            found = self._search(index, pixels, found)
        if found is not None:
            self._remember(index, found)
            self.before.add(pixels, self._pose(index), found)
            if index in self.fitted:
                self.same.add(index, pixels, found, self.before, self._pose(index))
        self.needles.append(found)

    def done(self) -> Track:
        """The track: display curve settled, doubts widened where a frame stands out against its neighbours."""
        self._go_back()
        settled = [
            needle if needle is None or index not in self.fitted else self.curves.correct(needle)
            for index, needle in enumerate(self.needles)
        ]
        together = self.same.correct(settled, lambda index, point: self._pose(index).back(point))
        return Track(needles=tuple(with_jumps(together, self.scan)), searched=tuple(self.searched))

    def _go_back(self) -> None:
        """Follow the needle from where the run is sure of it back to where it came from."""
        view = int(np.bincount(self.scan.views).argmax())
        shown = {i: needle for i, needle in enumerate(self.needles) if needle is not None and self.scan.views[i] == view}
        frames = of_one_needle({i: (self._pose(i).back(needle.tip), needle) for i, needle in shown.items()})
        if not frames:
            return
        # what was found elsewhere is no needle
        for index in set(shown) - set(frames):
            self.needles[index] = None
            self.same.drop(index)
        self.last, self.last_index, self.speed_px = self.needles[frames[0]], frames[0], 0.0
        missing = 0
        for index in (i for i in range(frames[0] - 1, -1, -1) if i in self.early.pixels and self.scan.views[i] == view):
            found = self._follow(index, self.early.pixels[index])
            missing = 0 if found is not None else missing + 1
            if missing > GIVEN_UP:
                return
            if found is not None:
                self._remember(index, found)
                self.needles[index] = found

    def _follow(self, index: int, pixels: FloatImage) -> Needle | None:
        last = self._predicted(index)
        needle = self._fit(index, pixels, last)
        if needle is None:
            return None
        step = (needle.tip[0] - last.tip[0]) * last.axis[0] + (needle.tip[1] - last.tip[1]) * last.axis[1]
        return needle if abs(step) < STEP_WIDTHS * last.width_px else None

    def _fit(self, index: int, pixels: FloatImage, last: Needle) -> Needle | None:
        """Shaft and tip anew around a place; remembers that the tip has the run's middle curve."""
        width = last.width_px
        back = min(PIECE_WIDTHS * width, max(last.length_px, 4 * width)) / 2
        centre = last.tip[0] + back * last.axis[0], last.tip[1] + back * last.axis[1]
        bar = Bar(centre=centre, direction=last.axis, width_px=width, bright=True, score=1.0)
        shaft = fit_shaft(pixels, self._usable, bar, piece_px=1.2 * back)
        if shaft is None or not is_alike(shaft, last, self.support):
            return None
        shaft = end_of_metal(pixels, shaft, at_stop=False)
        # the shaft's axis was started toward the hub: its beginning is the tip
        expected = float(np.dot(np.subtract(last.tip, shaft.origin), shaft.axis))
        tip, section = self.curves.fit(pixels, shaft, self.before.seen_from(self._pose(index)), expected)
        self.support = max(self.support, min(shaft.support, 2.0))
        self.fitted.add(index)
        return needle_of(shaft, tip, section, last)

    @property
    def _usable(self) -> FloatImage:
        return self.scan.exposure.field.astype(np.float32)

    def _predicted(self, index: int) -> Needle:
        """The last needle moved with the patient, and on with its own speed."""
        assert self.last is not None
        before, now = (self._pose(i) for i in (self.last_index, index))
        tip = now.move(before.back(self.last.tip))
        far = now.move(before.back((self.last.tip[0] + 100 * self.last.axis[0], self.last.tip[1] + 100 * self.last.axis[1])))
        axis = (far[0] - tip[0]) / 100, (far[1] - tip[1]) / 100
        way = self.speed_px * (index - self.last_index)
        return replace(self.last, tip=(tip[0] - way * axis[0], tip[1] - way * axis[1]), axis=axis)

    def _pose(self, index: int) -> Alignment:
        return self.scan.poses[index].scaled(self.scan.factor)

    def _search(self, index: int, pixels: FloatImage, followed: Needle | None) -> Needle | None:
        self.searched.append(index)
        self.since_search = 0
        exposure = self._exposure(pixels)
        # the width of something that may be no needle is not looked for
        width = self.last.width_px if self.last is not None and self._sure(self.last) else self.expected
        try:
            found = locate_needle(exposure, prior=self.prior, expected_width_px=width)
        except NotAssessable:
            return followed
        if self._gives_way(index, found):
            self._take_back()
            followed = None
        if followed is not None:
            gap = np.hypot(found.tip[0] - followed.tip[0], found.tip[1] - followed.tip[1])
            if gap < AGREE_WIDTHS * followed.width_px:
                return replace(followed, confidence=max(followed.confidence, found.confidence))
            if not self._sure(found):
                return followed
            # two answers: neither is sure
            doubt = float(gap) / 2
            better = found if self.last is None or found.confidence > followed.confidence else followed
            if better is found:
                self.fitted.discard(index)
            return replace(better, tip_sd_along_px=float(np.hypot(better.tip_sd_along_px, doubt)))
        if found.confidence < LEAST_SURE:
            return None
        self.support = 0.0
        return self._refined(index, pixels, found)

    @staticmethod
    def _sure(needle: Needle | None) -> bool:
        return needle is not None and needle.confidence >= SURE

    def _gives_way(self, index: int, found: Needle) -> bool:
        """Whether what was followed in doubt is another thing than a needle that is found, surely or far more so."""
        if self.last is None or self._sure(self.last):
            return False
        if (
            not (self._sure(found) or found.confidence > self.last.confidence + SURER)
            or self.scan.views[index] != self.scan.views[self.last_index]
        ):
            return False
        last = self._predicted(index)
        ratio = last.width_px / found.width_px
        turned = last.axis[0] * found.axis[0] + last.axis[1] * found.axis[1] < TURN_COS
        off = np.hypot(found.tip[0] - last.tip[0], found.tip[1] - last.tip[1]) > STEP_WIDTHS * found.width_px
        return bool(turned or off or not 1 / WIDTH_RATIO < ratio < WIDTH_RATIO)

    def _take_back(self) -> None:
        """Forget a track that was no needle's: its frames count as lost."""
        self.needles = [needle if self._sure(needle) else None for needle in self.needles]
        self.last, self.last_index, self.support, self.speed_px = None, -1, 0.0, 0.0
        self.curves, self.before, self.widths_px = CurveDoubt(), Before(), []
        self.same.forget()

    def _refined(self, index: int, pixels: FloatImage, found: Needle) -> Needle:
        """A found needle fitted like the followed ones, where both agree."""
        fitted = self._fit(index, pixels, found)
        if fitted is not None and np.hypot(fitted.tip[0] - found.tip[0], fitted.tip[1] - found.tip[1]) < (
            AGREE_WIDTHS * found.width_px
        ):
            return fitted
        self.fitted.discard(index)
        return found

    def _exposure(self, pixels: FloatImage) -> Exposure:
        field = self.scan.exposure.field
        low, high = float(pixels[field].min()), float(pixels[field].max())
        stretched = np.clip((pixels - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)
        return replace(self.scan.exposure, attenuation=stretched, bars=None)

    def _remember(self, index: int, found: Needle) -> None:
        if self.last is not None and self.scan.views[index] == self.scan.views[self.last_index]:
            before, now = self._pose(self.last_index), self._pose(index)
            rest = now.move(before.back(self.last.tip))
            way = (rest[0] - found.tip[0]) * found.axis[0] + (rest[1] - found.tip[1]) * found.axis[1]
            speed = way / (index - self.last_index)
            self.speed_px = 0.5 * self.speed_px + 0.5 * float(np.clip(speed, -2 * found.width_px, 2 * found.width_px))
        self.widths_px.append(found.width_px)
        self.last, self.last_index = replace(found, width_px=float(np.median(self.widths_px))), index
