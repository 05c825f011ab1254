"""Damage compressed pixels at random (fixed seed) and see what reading makes of them, each file in a process of its own.

    python scripts/fuzz_decoders.py [--each 40] [--seed 1] [--seconds 5]

Prints, for each compression, how many damaged files were refused, read with the right picture, read with another picture, and
how many ended the process or ran too long. Exit status 1 if any did either. Linux and macOS (it forks).
"""

from __future__ import annotations

import argparse
import os
import random
import select
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import gdcm
import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    XRayRadiofluoroscopicImageStorage,
)

from marrowpoint.errors import MarrowpointError
from marrowpoint.read import find_images, read_frames, read_profile

SIDE = 96
SYNTAXES = {
    "JPEG baseline": JPEGBaseline8Bit,
    "JPEG lossless": JPEGLosslessSV1,
    "JPEG-LS": JPEGLSLossless,
    "RLE": RLELossless,
    "JPEG 2000": JPEG2000Lossless,
}
REFUSED, RIGHT, OTHER, ENDED, HUNG = "refused", "right picture", "other picture", "ended the process", "too slow"
FATES = (REFUSED, RIGHT, OTHER, ENDED, HUNG)


def streams() -> dict[str, tuple[Dataset, bytes]]:
    """A header and an intact compressed picture for each compression."""
    rows, columns = np.indices((SIDE, SIDE))
    grain = np.random.default_rng(0).normal(size=(SIDE, SIDE))
    picture = 1500 + 900 * np.sin(rows / 17) + 700 * np.cos(columns / 23) + 30 * grain
    deep = np.clip(picture, 0, 4095).astype(np.uint16)
    flat = (deep >> 4).astype(np.uint8)
    found = {}
    for name, syntax in SYNTAXES.items():
        header = _header(flat if name == "JPEG baseline" else deep, 8 if name == "JPEG baseline" else 12)
        if name == "JPEG baseline":
            stream = BytesIO()
            Image.fromarray(flat).save(stream, "JPEG", quality=92)
            found[name] = header, stream.getvalue()
        elif name == "JPEG lossless":
            found[name] = header, _lossless(header)
        else:
            header.compress(syntax, generate_instance_uid=False)
            found[name] = header, _only_fragment(header)
        header.file_meta.TransferSyntaxUID = syntax
    return found


def _header(pixels: np.ndarray, bits: int) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    dataset.SOPClassUID, dataset.SOPInstanceUID = XRayRadiofluoroscopicImageStorage, "1.2.826.0.1.3680043.8.498.3"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.826.0.1.3680043.8.498.1", "1.2.826.0.1.3680043.8.498.2"
    dataset.Modality, dataset.PatientName, dataset.PatientID = "RF", "FUZZ", "FUZZ"
    dataset.Rows = dataset.Columns = SIDE
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8 * pixels.dtype.itemsize, bits, bits - 1
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OB" if bits == 8 else "OW"
    return dataset


def _lossless(header: Dataset) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        plain, packed = Path(folder, "a.dcm"), Path(folder, "b.dcm")
        header.save_as(plain, enforce_file_format=True)
        reader = gdcm.ImageReader()
        reader.SetFileName(str(plain))
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
        if not reader.Read():
            raise SystemExit("gdcm cannot read the picture to compress")
        change.SetInput(reader.GetImage())
        writer = gdcm.ImageWriter()
        writer.SetFileName(str(packed))
        if not change.Change():
            raise SystemExit("gdcm cannot compress to JPEG lossless")
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.Write()
        content = packed.read_bytes()
    start = content.index(b"\xff\xd8\xff")
    return content[start : content.rindex(b"\xff\xd9") + 2]


def _only_fragment(header: Dataset) -> bytes:
    data = header.PixelData
    table = int.from_bytes(data[4:8], "little")
    length = int.from_bytes(data[8 + table + 4 : 8 + table + 8], "little")
    return bytes(data[16 + table : 16 + table + length])


def damaged(stream: bytes, chance: random.Random) -> bytes:
    """One of five kinds of damage."""
    data = bytearray(stream)
    kind = chance.randrange(5)
    place = chance.randrange(2, len(data))
    if kind == 0:  # single bits
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(2, len(data))] ^= 1 << chance.randrange(8)
    elif kind == 1:  # its end is lost
        del data[place:]
    elif kind == 2:  # a run of nothing
        length = chance.randint(1, 400)
        data[place : place + length] = bytes(len(data[place : place + length]))
    elif kind == 3:  # bytes too many, or too few
        if chance.random() < 0.5:
            data[place:place] = chance.randbytes(chance.randint(1, 40))
        else:
            del data[place : place + chance.randint(1, 40)]
    else:  # the stream's own header
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(2, min(len(data), 80))] = chance.randrange(256)
    return bytes(data + b"\0" * (len(data) % 2))


def fate(path: Path, right: str | None, seconds: float) -> tuple[str, str]:
    """What becomes of a file, read in a process of its own; and the hash of its picture or the code of its refusal."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receive)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        os.write(send, _read(path).encode())
        os._exit(0)
    os.close(send)
    # no handle is given to a library that may never return: the time is kept here
    ready, _, _ = select.select([receive], [], [], seconds)
    answer = os.read(receive, 200).decode() if ready else ""
    os.close(receive)
    if not ready:
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if not ready:
        return HUNG, ""
    if status != 0 or not answer:
        return ENDED, f"status {status}"
    kind, _, what = answer.partition(" ")
    if kind == "refused":
        return REFUSED, what
    return (RIGHT if what == right else OTHER), what


def _read(path: Path) -> str:
    try:
        (image,) = find_images([path])
        (frame,) = read_frames(image, scale=read_profile(None).scale)
    except MarrowpointError as error:
        return f"refused {error.code}"
    return f"read {frame.reference.pixel_sha256}"


def fuzz(folder: Path, *, each: int, seed: int, seconds: float, tell: Callable[[str], None]) -> dict[str, Counter[str]]:
    """Read `each` damaged files of each compression."""
    found = {}
    for name, (header, stream) in streams().items():
        chance, counts, slowest = random.Random(f"{seed} {name}"), Counter[str](), 0.0
        path = folder / "damaged.dcm"
        right = fate(_written(path, header, stream), None, seconds)
        if right[0] != OTHER:
            raise SystemExit(f"the intact {name} picture is not read: {right}")
        for number in range(each):
            begin = time.monotonic()
            became, what = fate(_written(path, header, damaged(stream, chance)), right[1], seconds)
            slowest = max(slowest, time.monotonic() - begin)
            counts[became] += 1
            if became in (ENDED, HUNG):
                tell(f"{name} number {number}: {became} {what}")
        tell(f"{name:14} " + ", ".join(f"{fate_} {counts[fate_]}" for fate_ in FATES) + f"; slowest {slowest:.2f} s")
        found[name] = counts
    return found


def _written(path: Path, header: Dataset, stream: bytes) -> Path:
    header.PixelData = encapsulate([stream])
    header["PixelData"].VR = "OB"
    header["PixelData"].is_undefined_length = True
    header.save_as(path, enforce_file_format=True)
    return path


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--each", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = fuzz(Path(folder), each=given.each, seed=given.seed, seconds=given.seconds, tell=print)
    sys.exit(any(counts[ENDED] or counts[HUNG] for counts in found.values()))


if __name__ == "__main__":
    main()
