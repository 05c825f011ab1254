"""What is kept at hand: whole assessments of frames seen lately, drawn examples, and the run on the screen."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from marrowpoint.assessment import Assessment
from marrowpoint.profile import ScaleLimits
from marrowpoint.read import ImageFile
from marrowpoint.review import Corrections
from napari_marrowpoint.stack import FrameStack

# whole assessments, about 10 MB each
KEPT = 6
NOWHERE = -1  # place of what was stated before this window


class Shelf:
    """Assessments with their pixels, by place in the list."""

    def __init__(self) -> None:
        self._examples: dict[int, Assessment] = {}
        self._kept: OrderedDict[int, Assessment] = OrderedDict()
        self._stack: tuple[tuple[ImageFile, ...], FrameStack] | None = None

    def put(self, place: int, assessment: Assessment) -> None:
        """Keep an assessment; the one not asked for longest goes."""
        self._kept[place] = assessment
        self._kept.move_to_end(place)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def put_example(self, place: int, assessment: Assessment) -> None:
        """Keep an assessment that belongs to no file, for good."""
        self._examples[place] = assessment

    def example(self, place: int | None) -> Assessment | None:
        """A drawn example, if that is what stands at this place."""
        return None if place is None else self._examples.get(place)

    def whole(self, place: int) -> Assessment | None:
        """The assessment at a place, if it is at hand."""
        return self._examples.get(place) or self._kept.get(place)

    def clear(self) -> None:
        """Let go of what another analysis would change."""
        self._kept.clear()

    def stack(self, images: Sequence[ImageFile], scale: ScaleLimits, first: int = 1) -> FrameStack:
        """The frames of a file, or stills in order of time; the last ones stay open. As `FrameStack`."""
        if self._stack is None or self._stack[0] != tuple(images):
            self._stack = tuple(images), FrameStack(images, scale, first)
        return self._stack[1]


class StatedNeedles:
    """The needle of each study, as a person stated it: outer diameter [mm], and the place in the list where that was.

    Parameters
    ----------
    before : callable
        What held for a study before this window.
    """

    def __init__(self, before: Callable[[str], float | None]) -> None:
        self._before = before
        self._by_study: dict[str, tuple[float | None, int]] = {}

    def of(self, study: str) -> float | None:
        """What holds for a study."""
        if study not in self._by_study:
            self._by_study[study] = self._before(study), NOWHERE
        return self._by_study[study][0]

    def onto(self, corrections: Corrections, study: str, by: str) -> Corrections:
        """Corrections with the needle that was stated for the study, where nothing else was."""
        outer_mm = self.of(study)
        if outer_mm is None or corrections.outer_diameter_mm is not None:
            return corrections
        return corrections.changed(by=by, outer_diameter_mm=outer_mm)

    def state(self, study: str, outer_mm: float | None, place: int) -> None:
        """State it, or take it back."""
        self._by_study[study] = outer_mm, place

    def forget(self, study: str, place: int | None) -> None:
        """Let what was stated at this place hold no longer."""
        if study in self._by_study and self._by_study[study][1] == place:
            self._by_study.pop(study)
