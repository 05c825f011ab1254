"""Runs in files: a multi-frame file is a run, and so are the stills of one series in order of time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import TypeVar

from marrowpoint.assessment import Assessment
from marrowpoint.errors import MarrowpointError
from marrowpoint.fluoroscopy.prior import BoneNetwork
from marrowpoint.frame import Frame, FrameReference, View, ViewKind
from marrowpoint.profile import Profile
from marrowpoint.read import ImageFile, read_frames
from marrowpoint.read.times import read_run_facts
from marrowpoint.runs.assess import assess_run
from marrowpoint.runs.run import RunAssessment, RunSource, RunTimes

LEAST_FRAMES = 2  # of a multi-frame file that is called a run
KEPT_FRAMES, KEPT_BYTES = 200, 128 * 2**20  # a short run is decoded once: it is gone through up to five times
LEAST_STILLS = 4
STILLS_WITHIN_S = 600.0  # a longer pause between stills ends a run
PROJECTIONS = {"XA", "RF", "DX", "CR", "DR"}

Still = TypeVar("Still")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What the operator states about runs; as in `marrowpoint.analyze.Request`."""

    profile: Profile
    network: BoneNetwork | None = None
    view: ViewKind | None = None
    outer_diameter_mm: float | None = None
    sides: Mapping[str, str] | None = None


def is_run(image: ImageFile) -> bool:
    """Whether a file holds several projections."""
    try:
        facts = read_run_facts(image)
    except MarrowpointError:
        return False
    return facts.frames >= LEAST_FRAMES and facts.modality in PROJECTIONS


def assess_file(image: ImageFile, request: RunRequest) -> RunAssessment:
    """Assess a multi-frame file as a run; one that ends early is assessed as far as it goes and says so.

    Parameters
    ----------
    image : ImageFile
    request : RunRequest

    Returns
    -------
    RunAssessment

    Raises
    ------
    MarrowpointError
        Where not one frame can be read.
    """
    return assess_run(
        run_source(image, request),
        profile=request.profile,
        network=request.network,
        outer_diameter_mm=request.outer_diameter_mm,
    )


def _frames(image: ImageFile, request: RunRequest) -> Iterator[Frame]:
    return read_frames(image, view=request.view, sides=request.sides, scale=request.profile.scale)


def run_source(image: ImageFile, request: RunRequest) -> RunSource:
    """A multi-frame file as a run that can be read again and again.

    Parameters
    ----------
    image : ImageFile
    request : RunRequest

    Returns
    -------
    RunSource

    Raises
    ------
    MarrowpointError
        Where the file is no DICOM file.
    """
    facts = read_run_facts(image)
    ended: list[tuple[int, MarrowpointError]] = []
    kept: list[Frame] = []
    small = facts.frames <= KEPT_FRAMES

    def frames() -> Iterator[Frame]:
        nonlocal small
        if small and len(kept) == facts.frames:
            yield from kept
            return
        count = 0
        try:
            for frame in _frames(image, request):
                if ended and count >= ended[0][0]:
                    return
                if small and count == len(kept):
                    kept.append(frame)
                    small = len(kept) * frame.pixels.nbytes <= KEPT_BYTES
                    if not small:
                        kept.clear()
                yield frame
                count += 1
        except MarrowpointError as error:
            if count == 0:
                raise
            ended.append((count, error))

    return RunSource(
        frames=frames,
        times=RunTimes(seconds=facts.seconds, origin=facts.origin, code=facts.code),
        orientation=facts.orientation,
        log_linear=facts.log_linear,
        cut_short=lambda: ended[0][1] if ended else None,
    )


def still_series(seen: Iterable[Assessment]) -> list[list[Assessment]]:
    """Single frames of one series, view angle and size, in order of time, without long pauses.

    Parameters
    ----------
    seen : iterable of Assessment
        Without pixels.

    Returns
    -------
    list of list of Assessment
        As `group_stills` gives them.
    """
    return group_stills(seen, lambda each: (each.frame.reference, each.frame.view))


def group_stills(seen: Iterable[Still], told: Callable[[Still], tuple[FrameReference, View]]) -> list[list[Still]]:
    """Whatever stands for single frames, put together where they make a run.

    Parameters
    ----------
    seen : iterable
    told : callable
        Reference and view of each; the hash of its pixels is not asked for.

    Returns
    -------
    list of list
        At least `LEAST_STILLS` each, in order of time; stills without a time of their own are no run, for their order is not
        known.
    """
    groups: dict[tuple[object, ...], list[tuple[datetime, Still]]] = {}
    for still in seen:
        reference, view = told(still)
        if reference.number_of_frames > 1 or reference.acquired is None or reference.modality not in PROJECTIONS:
            continue
        angles = tuple(None if angle is None else round(angle) for angle in (view.primary_deg, view.secondary_deg))
        key = (reference.study_instance_uid, reference.series_instance_uid, reference.rows, reference.columns, angles)
        groups.setdefault(key, []).append((moment_of(reference), still))
    runs: list[list[Still]] = []
    for members in groups.values():
        ordered = sorted(members, key=lambda member: member[0])
        gaps = [(b - a).total_seconds() for (a, _), (b, _) in pairwise(ordered)]
        breaks = [0, *(i + 1 for i, gap in enumerate(gaps) if gap > STILLS_WITHIN_S), len(ordered)]
        for piece in (ordered[a:b] for a, b in pairwise(breaks)):
            if len(piece) >= LEAST_STILLS and len({moment for moment, _ in piece}) == len(piece):
                runs.append([still for _, still in piece])
    return runs


def moment_of(reference: FrameReference) -> datetime:
    """When a frame was taken, by the clock of its machine; the first of all days where the file does not say."""
    return datetime.min if reference.acquired is None else reference.acquired.replace(tzinfo=None)


def assess_stills(stills: Sequence[Assessment], images: Mapping[str, ImageFile], request: RunRequest) -> RunAssessment:
    """Assess stills in order of time as a run.

    Parameters
    ----------
    stills : sequence of Assessment
        From `still_series`.
    images : mapping of str to ImageFile
        By relative path.
    request : RunRequest

    Returns
    -------
    RunAssessment
    """
    files = [images[still.frame.reference.path] for still in stills]
    return assess_run(
        stills_source(files, [moment_of(still.frame.reference) for still in stills], request),
        profile=request.profile,
        network=request.network,
        outer_diameter_mm=request.outer_diameter_mm,
    )


def stills_source(files: Sequence[ImageFile], moments: Sequence[datetime], request: RunRequest) -> RunSource:
    """Stills as a run that can be read again and again.

    Parameters
    ----------
    files : sequence of ImageFile
        In order of time.
    moments : sequence of datetime
        When each was taken.
    request : RunRequest

    Returns
    -------
    RunSource

    Raises
    ------
    MarrowpointError
        Where the first file is no DICOM file.
    """

    def frames() -> Iterator[Frame]:
        for image in files:
            yield from _frames(image, request)

    facts = read_run_facts(files[0])
    times = RunTimes(seconds=still_seconds(moments), origin="acquisition times of the stills", code="")
    return RunSource(frames=frames, times=times, orientation=facts.orientation, log_linear=facts.log_linear)


def still_seconds(moments: Sequence[datetime]) -> tuple[float, ...]:
    """Time of each still from the first [s]."""
    return tuple((moment - moments[0]).total_seconds() for moment in moments)
