"""A run over files: frame by frame, one bad file is a failure beside the results, never the end of the run."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from marrowpoint.assess import assess_frame, without_pixels
from marrowpoint.assessment import Assessment, StudyAssessment
from marrowpoint.case import Site, stated_diameter_mm
from marrowpoint.errors import MarrowpointError
from marrowpoint.fluoroscopy.prior import BoneNetwork
from marrowpoint.frame import Frame, ViewKind
from marrowpoint.profile import Profile
from marrowpoint.read import ImageFile, read_frames
from marrowpoint.runs.collect import RunRequest, assess_file, assess_stills, is_run, still_series
from marrowpoint.runs.run import RunAssessment
from marrowpoint.study import judge_studies


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the operator states about a run.

    Parameters
    ----------
    profile : Profile
        Thresholds.
    network : BoneNetwork or None
        The learned prior.
    view : ViewKind or None
        View of every frame, where the operator says so; else the header's.
    outer_diameter_mm : float or None
        Needle of every study that the procedure sheet says nothing about [mm].
    procedure : mapping of str to tuple of Site
        The operator's sheet: sites by study instance UID.
    """

    profile: Profile
    network: BoneNetwork | None = None
    view: ViewKind | None = None
    outer_diameter_mm: float | None = None
    procedure: Mapping[str, tuple[Site, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A file, or one frame of it, that could not be read or analysed.

    Parameters
    ----------
    path : str
        As in `FrameReference`.
    frame_number : int or None
        1-based; None for the file as a whole.
    code, text : str
        Stable reason, and what is wrong and what to do in one sentence.
    """

    path: str
    code: str
    text: str
    frame_number: int | None = None


FAULT = "internal_error"

Outcome = Assessment | StudyAssessment | RunAssessment | Failure


def analyze_images(images: Iterable[ImageFile], request: Request) -> Iterator[Outcome]:
    """Analyse files one by one; the studies follow when all frames are done.

    Parameters
    ----------
    images : iterable of ImageFile
    request : Request

    Yields
    ------
    Assessment or Failure or RunAssessment or StudyAssessment
        In the order of `images`, a multi-frame file's run after its frames; then the runs that stills of one series make, and a
        `StudyAssessment` for each needle position. Only one frame's pixels are held.
    """
    seen: list[Assessment] = []
    files: dict[str, ImageFile] = {}
    for image in images:
        files[image.relative_path] = image
        faulty = False
        for outcome in analyze_image(image, request):
            if isinstance(outcome, Assessment):
                seen.append(without_pixels(outcome))
            elif outcome.code == FAULT:
                faulty = True
            yield outcome
        if not faulty:  # a fault of ours is told once
            yield from analyze_run(image, request)
    for stills in still_series(seen) if request.profile.run is not None else ():
        yield from analyze_stills(stills, files, request)
    yield from judge_studies(seen, request.profile, [site for sites in request.procedure.values() for site in sites])


def analyze_image(image: ImageFile, request: Request, *, skip: Container[int] = ()) -> Iterator[Assessment | Failure]:
    """Analyse the frames of one file.

    Parameters
    ----------
    image : ImageFile
    request : Request
    skip : container of int
        Numbers of frames that are passed over, from 1.

    Yields
    ------
    Assessment or Failure
        At most one `Failure`, and it is the last.
    """
    number = 0
    try:
        for frame in read_frames(image, view=request.view, sides=_sides(request), scale=request.profile.scale):
            number = frame.reference.frame_number
            if number in skip:
                continue
            yield _analyze_frame(frame, request)
    except MarrowpointError as error:
        yield Failure(path=image.relative_path, code=error.code, text=error.text)
    except Exception as error:  # a fault of ours in one file must not cost the other files their results
        yield Failure(path=image.relative_path, frame_number=number or None, code=FAULT, text=_fault(error))


def analyze_run(image: ImageFile, request: Request) -> Iterator[RunAssessment | Failure]:
    """Assess a multi-frame file as a run.

    Parameters
    ----------
    image : ImageFile
    request : Request

    Yields
    ------
    RunAssessment or Failure
        Nothing for a file with one frame, or without a frame that can be read: that failure is told by its frames.
    """
    if request.profile.run is not None and is_run(image):
        yield from _guarded(image.relative_path, partial(assess_file, image, _run_request(request)))


def analyze_stills(
    stills: Sequence[Assessment], files: Mapping[str, ImageFile], request: Request
) -> Iterator[RunAssessment | Failure]:
    """Assess stills of one series as a run.

    Parameters
    ----------
    stills : sequence of Assessment
        As `still_series` finds them.
    files : mapping of str to ImageFile
        By relative path.
    request : Request

    Yields
    ------
    RunAssessment or Failure
    """
    yield from _guarded(stills[0].frame.reference.path, partial(assess_stills, stills, files, _run_request(request)))


def _guarded(path: str, work: Callable[[], RunAssessment]) -> Iterator[RunAssessment | Failure]:
    try:
        yield work()
    except MarrowpointError:
        return  # the frames of the file have told it
    except Exception as error:  # as in analyze_image
        yield Failure(path=path, code=FAULT, text=_fault(error))


def _run_request(request: Request) -> RunRequest:
    return RunRequest(
        profile=request.profile,
        network=request.network,
        view=request.view,
        outer_diameter_mm=request.outer_diameter_mm,
        sides=_sides(request),
    )


def _analyze_frame(frame: Frame, request: Request) -> Assessment:
    sites = request.procedure.get(frame.reference.study_instance_uid, ())
    stated_mm, contradictory = stated_diameter_mm(sites, frame.reference.acquired)
    outer_diameter_mm = stated_mm if contradictory else stated_mm or request.outer_diameter_mm
    if contradictory:
        note = "the procedure sheet lists needles of different size for this study; none was used for the scale"
        frame = replace(frame, header_spacing=replace(frame.header_spacing, conflicts=(*frame.header_spacing.conflicts, note)))
    return assess_frame(frame, profile=request.profile, network=request.network, outer_diameter_mm=outer_diameter_mm)


def _sides(request: Request) -> dict[str, str]:
    """Side by study, where the sheet names only one."""
    found = {uid: {site.side for site in sites if site.side} for uid, sites in request.procedure.items()}
    return {uid: next(iter(sides)) for uid, sides in found.items() if len(sides) == 1}


def _fault(error: Exception) -> str:
    # the message of a foreign error may quote the file's content: only its kind and our line leave the house
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(where.filename).name}:{where.lineno}"
    return f"an unexpected {type(error).__name__} at {place}: please report it with this line"
