"""Damaged compressed pixels: refused where damage can be told, and never the end of the process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from marrowpoint.errors import UnreadableImage
from marrowpoint.read import find_images, read_frames, read_profile

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


def test_random_damage_ends_neither_the_process_nor_takes_for_ever():
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "fuzz_decoders.py"), "--each", "12"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("refused") == len(fuzz_decoders.SYNTAXES)
