"""The analysis of a list of frames as a generator: for a thread beside the window, frame by frame, with cancel and a cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from marrowpoint.assess import assess_frame, marrowpoint_version, without_pixels
from marrowpoint.assessment import Assessment, Provenance
from marrowpoint.errors import MarrowpointError
from marrowpoint.fluoroscopy.prior import BoneNetwork
from marrowpoint.profile import Profile
from marrowpoint.read import read_frame
from marrowpoint.review.cache import AssessmentCache, cache_key
from marrowpoint.review.session import Row, State

ULTRASOUND = frozenset({"US", "IVUS"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Analyst:
    """What frames are analysed with.

    Parameters
    ----------
    profile : Profile
    network : BoneNetwork or None
        The learned prior.
    outer_diameter_mm : float or None
        Needle declared for the whole folder [mm].
    cache : AssessmentCache or None
    """

    profile: Profile
    network: BoneNetwork | None = None
    outer_diameter_mm: float | None = None
    cache: AssessmentCache | None = None

    @property
    def provenance(self) -> Provenance:
        """What stands in its results."""
        return Provenance(
            marrowpoint=marrowpoint_version(),
            profile=self.profile.label,
            profile_sha256=self.profile.sha256,
            model_sha256=None if self.network is None else self.network.sha256,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """One frame of the list is done.

    Parameters
    ----------
    place : int
        Of its row.
    assessment : Assessment or None
        Without pixels; None for a failure.
    failure, text : str
        Code and sentence of a failure.
    done, total : int
        How many of the list are done, for a progress bar.
    """

    place: int
    assessment: Assessment | None = None
    failure: str = ""
    text: str = ""
    done: int
    total: int


def assess_row(row: Row, analyst: Analyst) -> Assessment:
    """Read one frame and analyse it, or take its assessment from the cache: what the window shows.

    Parameters
    ----------
    row : Row
    analyst : Analyst

    Returns
    -------
    Assessment
        With its pixels.

    Raises
    ------
    MarrowpointError
        Where the frame cannot be read.
    """
    frame = read_frame(row.image, row.frame_number, scale=analyst.profile.scale)
    scan = frame.reference.modality in ULTRASOUND
    model = None if analyst.network is None or scan else analyst.network.sha256
    key = cache_key(frame, analyst.profile, model, analyst.outer_diameter_mm)
    found = None if analyst.cache is None else analyst.cache.load(key, frame)
    if found is None:
        found = assess_frame(
            frame, profile=analyst.profile, network=analyst.network, outer_diameter_mm=analyst.outer_diameter_mm
        )
        if analyst.cache is not None:
            analyst.cache.keep(key, found)
    return found


def analyse_frames(
    rows: Iterable[Row],
    analyst: Analyst,
    *,
    cancelled: Callable[[], bool] = lambda: False,
    begun: Callable[[int], None] = lambda place: None,
) -> Iterator[Finished]:
    """Analyse the rows that wait, one after the other.

    Parameters
    ----------
    rows : iterable of Row
        In the order wanted; `work_list` puts the frame that is shown first.
    analyst : Analyst
    cancelled : callable
        Asked before each frame; a frame that was begun is finished.
    begun : callable
        Told the place of each frame before its analysis.

    Yields
    ------
    Finished
        One frame's failure never ends the rest.
    """
    waiting = [row for row in rows if row.state in (State.WAITING, State.ANALYSING)]
    for done, row in enumerate(waiting, start=1):
        if cancelled():
            return
        begun(row.place)
        result = Finished(place=row.place, done=done, total=len(waiting))
        try:
            yield replace(result, assessment=without_pixels(assess_row(row, analyst)))
        except MarrowpointError as error:
            yield replace(result, failure=error.code, text=error.text)
        except Exception as error:  # a fault of ours in one frame must not cost the others their results
            yield replace(result, failure="internal_error", text=f"an unexpected {type(error).__name__}: please report it")


def work_list(rows: tuple[Row, ...], shown: int) -> tuple[Row, ...]:
    """Rows in the order in which a person will want them: the one shown, those after it, then those before."""
    return rows[shown:] + rows[:shown]
