"""Runs in files: a multi-frame file is a run, and so are the stills of one series in order of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from marrowpoint.assessment import Assessment
from marrowpoint.errors import MarrowpointError
from marrowpoint.fluoroscopy.prior import BoneNetwork
from marrowpoint.frame import Frame, ViewKind
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
        At least `LEAST_STILLS` each; stills without a time of their own are no run, for their order is not known.
    """
    groups: dict[tuple[object, ...], list[Assessment]] = {}
    for assessment in seen:
        reference, view = assessment.frame.reference, assessment.frame.view
        if reference.number_of_frames > 1 or reference.acquired is None or reference.modality not in PROJECTIONS:
            continue
        angles = tuple(None if angle is None else round(angle) for angle in (view.primary_deg, view.secondary_deg))
        key = (reference.study_instance_uid, reference.series_instance_uid, reference.rows, reference.columns, angles)
        groups.setdefault(key, []).append(assessment)
    runs: list[list[Assessment]] = []
    for members in groups.values():
        ordered = sorted(members, key=_moment)
        moments = [_moment(member) for member in ordered]
        gaps = [(b - a).total_seconds() for a, b in pairwise(moments)]
        breaks = [0, *(i + 1 for i, gap in enumerate(gaps) if gap > STILLS_WITHIN_S), len(ordered)]
        pieces = [ordered[a:b] for a, b in pairwise(breaks)]
        runs += [piece for piece in pieces if len(piece) >= LEAST_STILLS and len({_moment(x) for x in piece}) == len(piece)]
    return runs


def _moment(assessment: Assessment) -> datetime:
    acquired = assessment.frame.reference.acquired
    return datetime.min if acquired is None else acquired.replace(tzinfo=None)


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

    def frames() -> Iterator[Frame]:
        for image in files:
            yield from _frames(image, request)

    begin = _moment(stills[0])
    seconds = tuple((_moment(still) - begin).total_seconds() for still in stills)
    facts = read_run_facts(files[0])
    times = RunTimes(seconds=seconds, origin="acquisition times of the stills", code="")
    return assess_run(
        RunSource(frames=frames, times=times, orientation=facts.orientation, log_linear=facts.log_linear),
        profile=request.profile,
        network=request.network,
        outer_diameter_mm=request.outer_diameter_mm,
    )
