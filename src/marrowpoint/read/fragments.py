"""Look at compressed pixels before they are decoded: are all bytes there, is the picture what the header says.

Decoders are not safe with what is caught here: one reads on for ever in a JPEG-LS stream that was cut, another ends the process
on a JPEG of 96 bits.
"""

from __future__ import annotations

from typing import BinaryIO

from marrowpoint.errors import UnreadableImage
from marrowpoint.read.header import OpenFile

_ITEM = b"\xfe\xff\x00\xe0"
_END = b"\xfe\xff\xdd\xe0"
# Markers of a JPEG or JPEG-LS stream that are followed by the picture's size.
_START_OF_FRAME = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7}
_HEAD_BYTES, _TAIL_BYTES = 65_536, 4_096
# A stream of the JPEG family begins and ends so.
_START_OF_PICTURE = (b"\xff\xd8", b"\xff\x4f\xff\x51")
_END_OF_PICTURE = b"\xff\xd9"
_JPEG_BITS = range(2, 17)


def check_fragments(file: OpenFile, frames: int, shape: tuple[int, int]) -> None:
    """Walk over the fragments without loading them.

    Parameters
    ----------
    file : OpenFile
        With compressed pixel data.
    frames : int
        Frames that the header claims.
    shape : tuple of int
        Rows and columns that the header claims.

    Raises
    ------
    UnreadableImage
        If a fragment ends behind the file's end, if there are fewer fragments than frames, if a picture inside is of another
        size than the header says (a decoder would allocate what the picture claims), or has no end.
    """
    stream, count, position, whole = file.stream, -1, file.pixel_offset, True
    while position + 8 <= file.size:
        stream.seek(position)
        head = stream.read(8)
        length = int.from_bytes(head[4:], "little")
        if head[:4] == _END:
            break
        if head[:4] != _ITEM:
            raise UnreadableImage("wrong_length", "the compressed pixels are not in fragments: export the file again")
        position += 8
        if position + length > file.size:
            raise _cut()
        # the first item is the offset table
        count += 1
        if count > 0:
            whole = _check_fragment(stream, (position, length), shape, whole=whole)
        position += length
    if count < frames:
        text = f"the file holds {max(count, 0)} pieces of picture for {frames} frames: it was cut short, export it again"
        raise UnreadableImage("truncated", text)
    if not whole:
        raise _cut()


def _check_fragment(stream: BinaryIO, place: tuple[int, int], shape: tuple[int, int], *, whole: bool) -> bool:
    """Whether the picture is whole that this fragment begins or goes on with; only its last fragment has the end."""
    position, length = place
    head = stream.read(min(length, _HEAD_BYTES))
    _check_size(head, shape)
    begins = head.startswith(_START_OF_PICTURE)
    if begins and not whole:
        raise _cut()
    if whole and not begins:
        return True
    stream.seek(position + max(0, length - _TAIL_BYTES))
    # coded pixels never hold these two bytes; what follows them is the encoder's unwashed buffer
    return _END_OF_PICTURE in stream.read(min(length, _TAIL_BYTES))


def _cut() -> UnreadableImage:
    return UnreadableImage("truncated", "the compressed picture is not whole: the file was cut short, export it again")


def _check_size(head: bytes, shape: tuple[int, int]) -> None:
    inside = codestream_shape(head)
    if inside is not None and inside != shape:
        text = f"the header says {shape[0]} x {shape[1]} pixels, the picture {inside[0]} x {inside[1]}: export the file again"
        raise UnreadableImage("size_mismatch", text)


def codestream_shape(head: bytes) -> tuple[int, int] | None:
    """Rows and columns that a JPEG, JPEG-LS or JPEG 2000 stream states for itself.

    Parameters
    ----------
    head : bytes
        Beginning of the stream.

    Returns
    -------
    tuple of int or None
        None where this is the beginning of none, or it does not say.

    Raises
    ------
    UnreadableImage
        If it states a depth that no such stream has.

    Notes
    -----
    JPEG 2000: SIZ marker, ISO/IEC 15444-1 A.5.1. JPEG: frame header, ISO/IEC 10918-1 B.2.2; JPEG-LS: ISO/IEC 14495-1 C.2.2.
    """
    if head[:4] == b"\xff\x4f\xff\x51" and len(head) >= 24:
        width, height, left, top = (int.from_bytes(head[i : i + 4], "big") for i in (8, 12, 16, 20))
        return height - top, width - left
    if head[:2] != b"\xff\xd8":
        return None
    position = 2
    while position + 9 <= len(head) and head[position] == 0xFF:
        marker = head[position + 1]
        if marker == 0xFF:
            position += 1
        elif marker in _START_OF_FRAME:
            if head[position + 4] not in _JPEG_BITS:
                raise UnreadableImage("cannot_decode", "the compressed picture's own header is damaged: export the file again")
            rows, columns = (int.from_bytes(head[position + i : position + i + 2], "big") for i in (5, 7))
            return rows, columns
        else:
            position += 2 + int.from_bytes(head[position + 2 : position + 4], "big")
    return None
