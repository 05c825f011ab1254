"""Decode stored values frame by frame, after a look at whether they can be there at all."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames, get_frame
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.pixels.utils import as_pixel_options
from pydicom.uid import JPEGTransferSyntaxes

from marrowpoint.errors import MarrowpointError, UnreadableImage, UnsupportedImage
from marrowpoint.read.fragments import check_fragments
from marrowpoint.read.header import OpenFile, out_of_memory
from marrowpoint.read.overheard import check_jpeg, refuse_damaged
from marrowpoint.read.quiet import quiet

Stored = NDArray[Any]

# The largest radiographs have about 28 million pixels; beyond this the work would not fit 1.5 GB.
_MAX_PIXELS = 30_000_000
_MAX_FRAMES = 100_000
# The decoder that stands damaged data best comes first, and no other gets a second try: inside the fast RLE decoder and inside
# GDCM damaged data can end the whole process. GDCM alone reads JPEG Lossless. It tells of damage on standard error, pillow
# keeps silent.
_PLUGINS = ("pydicom", "pyjpegls", "pylibjpeg", "pillow", "gdcm")
_JPEG = frozenset(JPEGTransferSyntaxes)
_GREY = {"MONOCHROME1", "MONOCHROME2"}
_COLOUR = {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelDescription:
    """What the header says the pixels are, checked to be possible.

    Parameters
    ----------
    rows, columns, frames, samples : int
    photometric : str
        Photometric Interpretation.
    bits_allocated, bits_stored : int
    signed : bool
    """

    rows: int
    columns: int
    frames: int
    samples: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    signed: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredFrame:
    """One decoded frame.

    Parameters
    ----------
    values : ndarray of shape (M, N) or (M, N, 3)
        Stored values.
    photometric : str
        What they mean after decoding.
    """

    values: Stored
    photometric: str

    @property
    def sha256(self) -> str:
        """Hash of the stored values, little endian."""
        little = self.values.astype(self.values.dtype.newbyteorder("<"), copy=False)
        return hashlib.sha256(np.ascontiguousarray(little).data).hexdigest()


def describe_pixels(file: OpenFile) -> PixelDescription:
    """Check that the pixels which the header claims can be there, before any memory is spent on them.

    Parameters
    ----------
    file : OpenFile

    Returns
    -------
    PixelDescription

    Raises
    ------
    UnreadableImage
        Impossible or absurd numbers, or fewer bytes than claimed.
    UnsupportedImage
        Possible, but no picture that marrowpoint reads.
    """
    try:
        described = _described(file.dataset)
    except MarrowpointError:
        raise
    except Exception as error:
        raise UnreadableImage("broken_header", "the description of the pixels is damaged: export the file again") from error
    if file.transfer_syntax.is_encapsulated:
        if file.pixel_length is not None:
            raise UnreadableImage("wrong_length", "the compressed pixels are not in fragments: export the file again")
        check_fragments(file, described.frames, (described.rows, described.columns))
    else:
        _check_length(file, described)
    return described


def _described(header: Dataset) -> PixelDescription:
    rows, columns, frames = _count(header, "Rows"), _count(header, "Columns"), _count(header, "NumberOfFrames", 1)
    samples = _count(header, "SamplesPerPixel", 1)
    allocated = _count(header, "BitsAllocated")
    stored = _count(header, "BitsStored", allocated)
    photometric = str(header.get("PhotometricInterpretation") or ("RGB" if samples == 3 else "MONOCHROME2")).strip().upper()
    if rows < 1 or columns < 1:
        raise UnreadableImage("no_pixels", "the picture has no rows or no columns: export the file again")
    if frames < 1:
        raise UnreadableImage("zero_frames", "the file says that it holds no frame: export it again")
    if rows * columns > _MAX_PIXELS or frames > _MAX_FRAMES:
        text = f"the header claims {frames} frames of {rows} x {columns} pixels, beyond any X-ray: it is damaged or hostile"
        raise UnreadableImage("absurd_size", text)
    grey = samples == 1 and photometric in _GREY | {"PALETTE COLOR"}
    if not grey and not (samples == 3 and photometric in _COLOUR):
        raise UnsupportedImage("unsupported_colour", "the colours are not grey, palette, RGB or YBR: export it as grey")
    if allocated not in (8, 16) or not 1 <= stored <= allocated:
        raise UnsupportedImage("unsupported_bits", f"{stored} bits stored in {allocated} are not read: export 8 to 16 bits")
    signed = _count(header, "PixelRepresentation", 0) == 1
    return PixelDescription(
        rows=rows, columns=columns, frames=frames, samples=samples, photometric=photometric,
        bits_allocated=allocated, bits_stored=stored, signed=signed,
    )  # fmt: skip


def _count(header: Dataset, keyword: str, default: int | None = None) -> int:
    value = header.get(keyword)
    if value is None or value == "":
        if default is None:
            raise UnreadableImage("broken_header", f"the header has no {keyword}: export the file again")
        return default
    return int(value)


def _check_length(file: OpenFile, described: PixelDescription) -> None:
    pixels = described.rows * described.columns * described.frames
    per_pixel = 2 if described.photometric == "YBR_FULL_422" else described.samples
    needed = pixels * per_pixel * described.bits_allocated // 8
    held = file.size - file.pixel_offset
    claimed = held if file.pixel_length is None else file.pixel_length
    if min(held, claimed) < needed:
        text = f"the picture needs {needed} bytes but the file holds {min(held, claimed)}: it was cut short, export it again"
        raise UnreadableImage("truncated", text)


def decode_frames(file: OpenFile, described: PixelDescription) -> Iterator[StoredFrame]:
    """Decode the frames one after the other.

    Parameters
    ----------
    file : OpenFile
    described : PixelDescription

    Yields
    ------
    StoredFrame

    Raises
    ------
    UnreadableImage
        No decoder, or damaged data.
    """
    file.stream.seek(file.pixel_offset)
    number = 0
    with _decoding(file):
        decoder, options = _decoder(file), _options(file, described)
        frames = decoder.iter_array(file.stream, raw=True, decoding_plugin=_plugin(decoder), **options)
    coded = _coded_frames(file, options) if _keeps_silent(decoder) else None
    while number < described.frames:
        with _decoding(file):
            values, properties = next(frames, (None, {}))
            if coded is not None and values is not None:
                check_jpeg(next(coded))
        if values is None:
            text = f"the file holds {number} of {described.frames} frames: it was cut short, export it again"
            raise UnreadableImage("truncated", text)
        number += 1
        yield _checked(values, str(properties.get("photometric_interpretation", described.photometric)), described)


def decode_frame(file: OpenFile, described: PixelDescription, index: int) -> StoredFrame:
    """Decode one frame.

    Parameters
    ----------
    file : OpenFile
    described : PixelDescription
    index : int
        0-based.

    Returns
    -------
    StoredFrame

    Raises
    ------
    UnreadableImage
        No decoder, or damaged data.
    """
    file.stream.seek(file.pixel_offset)
    with _decoding(file):
        decoder, options = _decoder(file), _options(file, described)
        values, properties = decoder.as_array(file.stream, index=index, raw=True, decoding_plugin=_plugin(decoder), **options)
        if _keeps_silent(decoder):
            file.stream.seek(file.pixel_offset)
            check_jpeg(get_frame(file.stream, index, **_offsets(options)))
    return _checked(values, str(properties.get("photometric_interpretation", described.photometric)), described)


@contextmanager
def _decoding(file: OpenFile) -> Iterator[None]:
    # decoders warn, print and raise whatever they like
    try:
        with ExitStack() as watched:
            watched.enter_context(quiet())
            if file.transfer_syntax in _JPEG and not _keeps_silent(get_decoder(file.transfer_syntax)):
                watched.enter_context(refuse_damaged())
            # more pixels than the picture has: what is shown is not what was stored
            warnings.filterwarnings("error", message="The decoded RLE segment contains non-conformant padding")
            yield
    except MarrowpointError:
        raise
    except MemoryError as error:
        raise out_of_memory() from error
    except Exception as error:
        name = file.transfer_syntax.name
        text = f"the pixels cannot be decoded: damaged, or {name} that no decoder here reads; export the file uncompressed"
        raise UnreadableImage("cannot_decode", text) from error


def _decoder(file: OpenFile) -> Decoder:
    try:
        return get_decoder(file.transfer_syntax)
    except NotImplementedError as error:
        text = f"no decoder for {file.transfer_syntax.name}: export the file uncompressed"
        raise UnreadableImage("no_decoder", text) from error


def _plugin(decoder: Decoder) -> str:
    if not decoder.is_encapsulated:
        return ""
    return next((name for name in _PLUGINS if name in decoder.available_plugins), "")


def _keeps_silent(decoder: Decoder) -> bool:
    """Whether the picture comes from a JPEG decoder that tells nobody of damage."""
    return decoder.UID in _JPEG and _plugin(decoder) == "pillow"


def _coded_frames(file: OpenFile, options: dict[str, Any]) -> Iterator[bytes]:
    """The frames as they are stored; another reader of the same stream finds it where it left it."""
    frames, place = generate_frames(file.stream, **_offsets(options)), file.pixel_offset
    while True:
        kept = file.stream.tell()
        file.stream.seek(place)
        coded = next(frames, None)
        place = file.stream.tell()
        file.stream.seek(kept)
        if coded is None:
            return
        yield coded


def _offsets(options: dict[str, Any]) -> dict[str, Any]:
    return {"number_of_frames": options["number_of_frames"], "extended_offsets": options.get("extended_offsets")}


def _options(file: OpenFile, described: PixelDescription) -> dict[str, Any]:
    options = as_pixel_options(file.dataset)
    options.update(
        transfer_syntax_uid=file.transfer_syntax,
        pixel_keyword="PixelData",
        number_of_frames=described.frames,
        samples_per_pixel=described.samples,
        photometric_interpretation=described.photometric,
        bits_stored=described.bits_stored,
        pixel_representation=int(described.signed),
    )
    if described.samples > 1:
        options.setdefault("planar_configuration", 0)
    return options


def _checked(values: Stored, photometric: str, described: PixelDescription) -> StoredFrame:
    expected = (described.rows, described.columns) + ((3,) if described.samples == 3 else ())
    if values.shape != expected:
        raise UnreadableImage("wrong_length", f"a frame decoded to {values.shape}, not to {expected}: export the file again")
    return StoredFrame(values=values, photometric=photometric)
