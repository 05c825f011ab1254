"""Damaged compressed pixels: refused where damage can be told, and never the end of the process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pydicom
import pydicom.encaps
import pytest

from marrowpoint.errors import UnreadableImage
from marrowpoint.read import find_images, read_frames, read_profile
from marrowpoint.read.header import open_dicom
from marrowpoint.read.overheard import refuse_damaged
from marrowpoint.read.pixels import decode_frame, decode_frames, describe_pixels

SCRIPTS = Path(__file__).parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))
fuzz_decoders = pytest.importorskip("fuzz_decoders", reason="needs os.fork") if hasattr(os, "fork") else None
pytestmark = pytest.mark.skipif(fuzz_decoders is None, reason="the script forks")


@pytest.fixture(scope="module")
def intact():
    return fuzz_decoders.streams()


def read(path):
    (image,) = find_images([path])
    (frame,) = read_frames(image, scale=read_profile(None).scale)
    return frame


def refusal(path):
    begin = time.monotonic()
    with pytest.raises(UnreadableImage) as caught:
        read(path)
    assert time.monotonic() - begin < 5
    return caught.value.code


@pytest.mark.parametrize("name", ["JPEG baseline", "JPEG lossless", "JPEG-LS", "JPEG 2000"])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.97])
def test_a_stream_without_its_end_is_refused_before_it_is_decoded(intact, tmp_path, name, share):
    header, stream = intact[name]
    length = int(share * len(stream)) // 2 * 2
    assert refusal(fuzz_decoders._written(tmp_path / "a.dcm", header, stream[:length])) == "truncated"


@pytest.mark.parametrize("padding", [b"", b"\0\0", b"\0" * 64, b"\x28\xa2\x8a\x45"])
def test_padding_after_the_end_is_none_of_the_picture(intact, tmp_path, padding):
    header, stream = intact["JPEG-LS"]
    whole = stream + b"\0" * (len(stream) % 2)
    plain = read(fuzz_decoders._written(tmp_path / "a.dcm", header, whole))
    padded = read(fuzz_decoders._written(tmp_path / "b.dcm", header, whole + padding))
    assert np.array_equal(plain.pixels, padded.pixels)


def test_a_depth_that_no_jpeg_has_is_refused_before_a_decoder_sees_it(intact, tmp_path):
    header, stream = intact["JPEG lossless"]
    place = stream.index(b"\xff\xc3") + 4
    broken = stream[:place] + bytes([96]) + stream[place + 1 :]
    assert refusal(fuzz_decoders._written(tmp_path / "a.dcm", header, broken + b"\0" * (len(broken) % 2))) == "cannot_decode"


def test_run_lengths_that_give_too_many_pixels_are_refused(intact, tmp_path):
    header, stream = intact["RLE"]
    longer = stream + bytes([129, 7]) * 40  # forty runs of 128 pixels that the picture does not have
    assert refusal(fuzz_decoders._written(tmp_path / "a.dcm", header, longer)) == "cannot_decode"


def without_a_piece(stream, share=0.5):
    """The stream's end is there, but coded pixels before it are not."""
    middle = int(share * len(stream))
    return stream[:middle] + stream[-2 - (len(stream) - middle) // 3 :]


@pytest.mark.parametrize("name", ["JPEG baseline", "JPEG lossless"])
@pytest.mark.parametrize("share", [0.4, 0.7])
def test_a_picture_of_which_a_piece_is_lost_is_refused(intact, tmp_path, name, share):
    header, stream = intact[name]
    assert refusal(fuzz_decoders._written(tmp_path / "a.dcm", header, without_a_piece(stream, share))) == "damaged_pixels"


@pytest.mark.parametrize("name", ["JPEG baseline", "JPEG lossless"])
def test_bytes_that_belong_to_no_pixel_are_refused(intact, tmp_path, name):
    header, stream = intact[name]
    longer = stream[:-2] + b"\x5a" * 20 + stream[-2:]
    assert refusal(fuzz_decoders._written(tmp_path / "a.dcm", header, longer)) == "damaged_pixels"


def test_a_damaged_frame_of_many_is_refused_and_those_before_it_are_whole(intact, tmp_path):
    header, stream = intact["JPEG baseline"]
    fuzz_decoders._written(tmp_path / "a.dcm", header, stream)
    many = pydicom.dcmread(tmp_path / "a.dcm")
    many.NumberOfFrames = 3
    many.PixelData = pydicom.encaps.encapsulate([stream, stream, without_a_piece(stream)])
    many.save_as(tmp_path / "many.dcm")
    with open_dicom(next(iter(find_images([tmp_path / "many.dcm"])))) as file:
        described = describe_pixels(file)
        frames = decode_frames(file, described)
        whole = [next(frames).values, next(frames).values, decode_frame(file, described, 1).values]
        with pytest.raises(UnreadableImage, match="damaged"):
            next(frames)
        with pytest.raises(UnreadableImage, match="damaged"):
            decode_frame(file, described, 2)
    plain = pydicom.dcmread(tmp_path / "a.dcm").pixel_array
    assert all(np.array_equal(frame, plain) for frame in whole)


@pytest.mark.parametrize("name", ["XA1_JPLL", "OutOfBoundsOverlay"])
def test_a_real_lossless_picture_is_read_whole_and_refused_without_a_piece(tmp_path, name):
    path = Path(__file__).parents[1].parent / "shared" / "real" / "dicom" / f"{name}.dcm"
    if not path.is_file():
        pytest.skip("the shared example pictures are not here")
    real = pydicom.dcmread(path)
    frame = next(pydicom.encaps.generate_frames(real.PixelData, number_of_frames=1))
    fate, _ = fuzz_decoders.fate(path, None, 10)
    assert fate == fuzz_decoders.OTHER  # read: there is no other picture to compare it with
    end = frame.rindex(b"\xff\xd9") + 2
    real.PixelData = pydicom.encaps.encapsulate([without_a_piece(frame[:end])])
    real.save_as(tmp_path / "a.dcm")
    assert refusal(tmp_path / "a.dcm") == "damaged_pixels"


def test_what_others_say_while_a_decoder_works_is_not_lost(capfd):
    with refuse_damaged():
        os.write(2, b"frame 3 of 9\n")
    assert capfd.readouterr().err == "frame 3 of 9\n"
    with pytest.raises(UnreadableImage), refuse_damaged():
        os.write(2, b"frame 4 of 9\nCorrupt JPEG data: premature end of data segment\nframe 5 of 9\n")
    assert capfd.readouterr().err == "frame 4 of 9\nframe 5 of 9\n"


def test_random_damage_ends_neither_the_process_nor_takes_for_ever():
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "fuzz_decoders.py"), "--each", "12"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("refused") == len(fuzz_decoders.SYNTAXES)
