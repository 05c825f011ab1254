"""Read the frames of a file one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from pydicom.dataset import Dataset

from marrowpoint.calibrate import spacing_from_header
from marrowpoint.errors import MarrowpointError, UnreadableImage
from marrowpoint.frame import Frame, ViewKind
from marrowpoint.profile import ScaleLimits
from marrowpoint.read.documented import documented, header_side
from marrowpoint.read.files import ImageFile
from marrowpoint.read.geometry import beam_geometry, header_geometry, ultrasound_regions
from marrowpoint.read.header import OpenFile, nested_too_deep, open_dicom, out_of_memory
from marrowpoint.read.heads import head_of, modality_of, tag_text
from marrowpoint.read.luminance import Scaling, luminance, scaling_of
from marrowpoint.read.pixels import PixelDescription, StoredFrame, decode_frame, decode_frames, describe_pixels
from marrowpoint.read.quiet import quiet
from marrowpoint.read.shutters import padding_range, valid_area


@dataclass(frozen=True, slots=True, kw_only=True)
class _Statement:
    # what the operator says, and the thresholds
    view: ViewKind | None
    side: str
    scale: ScaleLimits


def read_frames(
    image: ImageFile,
    *,
    view: ViewKind | None = None,
    side: str = "",
    sides: Mapping[str, str] | None = None,
    scale: ScaleLimits,
) -> Iterator[Frame]:
    """Read the frames of a file, one in memory at a time.

    Parameters
    ----------
    image : ImageFile
        From `find_images`.
    view : ViewKind or None
        View of every frame, where the operator says so; it wins over the header's angles.
    side : {"L", "R", ""}
        Side of the hip bone, where the operator says so; else the header's laterality.
    sides : mapping of str to str, or None
        The same by study instance UID, from the procedure sheet; used where `side` is empty.
    scale : ScaleLimits
        Uncertainties and absurd values of the scale ladder.

    Yields
    ------
    Frame

    Raises
    ------
    UnreadableImage
        Not DICOM, cut short, damaged, no decoder, absurd numbers.
    UnsupportedImage
        DICOM, but neither a projection nor ultrasound, or without pixels.
    """
    if side not in ("", "L", "R"):
        raise ValueError(f"side must be L, R or empty, not {side!r}")
    with open_dicom(image) as file, _own_errors():
        yield from _frames(file, image, _Statement(view=view, side=side or _side(file.dataset, sides or {}), scale=scale))


def read_frame(image: ImageFile, number: int, *, scale: ScaleLimits) -> Frame:
    """Read one frame of a file, without the frames before it: the same that `read_frames` would yield.

    Parameters
    ----------
    image : ImageFile
        From `find_images`.
    number : int
        1-based.
    scale : ScaleLimits
        Uncertainties and absurd values of the scale ladder.

    Returns
    -------
    Frame

    Raises
    ------
    UnreadableImage, UnsupportedImage
        As `read_frames`; also where the file has no such frame.
    """
    with open_dicom(image) as file, _own_errors():
        return next(_frames(file, image, _Statement(view=None, side=_side(file.dataset, {}), scale=scale), only=number))


@contextmanager
def _own_errors() -> Iterator[None]:
    try:
        yield
    except MarrowpointError:
        raise
    except RecursionError as error:
        raise nested_too_deep() from error
    except MemoryError as error:
        raise out_of_memory() from error


def _frames(file: OpenFile, image: ImageFile, statement: _Statement, only: int | None = None) -> Iterator[Frame]:
    with quiet():
        modality = modality_of(file.dataset)
        described = describe_pixels(file)
    padding = padding_range(file.dataset, described.signed, described.bits_allocated)
    shared = _shared_scaling(file, described, padding)
    for index, stored in _stored_frames(file, described, only):
        scaling = scaling_of([stored], described, padding)
        if shared is not None:
            scaling = shared.widened(scaling)
        with quiet():
            frame = _frame(file, stored, index, scaling, (described, padding, modality, image.relative_path), statement)
        yield frame


def _stored_frames(file: OpenFile, described: PixelDescription, only: int | None) -> Iterator[tuple[int, StoredFrame]]:
    if only is None:
        yield from enumerate(decode_frames(file, described))
    elif 1 <= only <= described.frames:
        yield only - 1, decode_frame(file, described, only - 1)
    else:
        raise UnreadableImage("no_such_frame", f"the file has frames 1 to {described.frames}, none with number {only}")


def _shared_scaling(file: OpenFile, described: PixelDescription, padding: tuple[int, int] | None) -> Scaling | None:
    if described.frames == 1:
        return None
    probes = sorted({0, described.frames // 2, described.frames - 1})
    return scaling_of((decode_frame(file, described, index) for index in probes), described, padding)


def _frame(
    file: OpenFile,
    stored: StoredFrame,
    index: int,
    scaling: Scaling,
    context: tuple[PixelDescription, tuple[int, int] | None, str, str],
    statement: _Statement,
) -> Frame:
    described, padding, modality, path = context
    header = file.dataset
    pixels, coloured = luminance(stored, header, index, scaling)
    valid = valid_area(stored.values, header, index, padding)
    for array in (pixels, valid, *(() if coloured is None else (coloured,))):
        array.flags.writeable = False
    geometry = header_geometry(file, index, ultrasound=modality == "US")
    head = head_of(file, described, modality, (path, index), side=statement.side, view=statement.view)
    return Frame(
        pixels=pixels,
        valid=valid,
        reference=replace(head.reference, pixel_sha256=stored.sha256),
        view=head.view,
        header_spacing=spacing_from_header(geometry, statement.scale),
        side=statement.side,
        regions=ultrasound_regions(header)[0],
        coloured=coloured,
        geometry=beam_geometry(header, geometry),
        low_is_bright=stored.photometric == "MONOCHROME1",
        documented=documented(header, index),
        person=file.person,
    )


def _side(header: Dataset, sides: Mapping[str, str]) -> str:
    stated = sides.get(tag_text(header, "StudyInstanceUID"), "")
    if stated in ("L", "R"):
        return stated
    return header_side(header, 0)
