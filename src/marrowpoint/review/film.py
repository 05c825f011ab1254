"""What a person steps through with a slider: the frames of one file, or stills of one series in order of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from marrowpoint.read import ImageFile
from marrowpoint.read.times import read_run_facts
from marrowpoint.runs.collect import PROJECTIONS, RunRequest, run_source, still_seconds, stills_source
from marrowpoint.runs.run import RunSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """A run before it is followed.

    Parameters
    ----------
    images : tuple of ImageFile
        One file with all frames, or a file for each.
    count : int
        Frames.
    seconds : tuple of float or None
        Time of each frame from the first; None where the files do not say.
    modality : str
    moments : tuple of datetime
        When each still was taken; empty for one file.
    """

    images: tuple[ImageFile, ...]
    count: int
    seconds: tuple[float, ...] | None
    modality: str
    moments: tuple[datetime, ...] = ()

    @property
    def followable(self) -> bool:
        """Whether needle and contrast can be followed through it: it holds projections."""
        return self.modality in PROJECTIONS

    def source(self, request: RunRequest) -> RunSource:
        """Its frames, to be read again and again.

        Raises
        ------
        MarrowpointError
            Where the first file is no DICOM file.
        """
        return stills_source(self.images, self.moments, request) if self.moments else run_source(self.images[0], request)


def film_of_file(image: ImageFile) -> Film:
    """The frames of one file.

    Raises
    ------
    MarrowpointError
        Where it is no DICOM file.
    """
    facts = read_run_facts(image)
    return Film(images=(image,), count=facts.frames, seconds=facts.seconds, modality=facts.modality)


def film_of_stills(images: Sequence[ImageFile], moments: Sequence[datetime], modality: str) -> Film:
    """Stills in order of time, and when each was taken."""
    return Film(
        images=tuple(images), count=len(images), seconds=still_seconds(moments), modality=modality, moments=tuple(moments)
    )
