"""The learned prior: refused by name when damaged, the same answer whichever way the frame lies."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import pytest
from reference import SAMPLES

from marrowpoint.assess import assess_frame
from marrowpoint.errors import MarrowpointError
from marrowpoint.exposure import Exposure
from marrowpoint.fluoroscopy.field import find_exposure
from marrowpoint.fluoroscopy.prior import MODEL_FILE, infer_prior, load_network, network_input
from marrowpoint.fluoroscopy.windows import INPUT_PX, field_window
from marrowpoint.read import find_images, read_frames, read_profile
from marrowpoint.verdict import Code

MODEL = Path(str(resources.files("marrowpoint"))) / "models" / MODEL_FILE


def exposure_of(name: str) -> Exposure:
    (image,) = find_images([SAMPLES / name])
    return find_exposure(next(read_frames(image, scale=read_profile(None).scale)))


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * np.minimum(a, b).sum() / (a.sum() + b.sum()))


def test_packaged_model_is_the_stated_one() -> None:
    network = load_network()
    assert network is not None
    assert network.sha256 == MODEL.with_name(MODEL_FILE + ".sha256").read_text().split()[0]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.95])
def test_model_cut_short_is_refused_by_name(tmp_path: Path, share: float) -> None:
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(MODEL.read_bytes()[: int(MODEL.stat().st_size * share)])
    with pytest.raises(MarrowpointError, match=r"cut\.onnx") as caught:
        load_network(cut)
    assert caught.value.code == "model_unreadable"


def test_changed_model_is_refused_by_name(tmp_path: Path) -> None:
    changed = tmp_path / "changed.onnx"
    content = bytearray(MODEL.read_bytes())
    content[len(content) // 2] ^= 1
    changed.write_bytes(content)
    expected = MODEL.with_name(MODEL_FILE + ".sha256").read_text().split()[0]
    with pytest.raises(MarrowpointError, match=r"changed\.onnx") as caught:
        load_network(changed, expected_sha256=expected)
    assert caught.value.code == "model_changed"


def test_model_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(MarrowpointError, match=r"absent\.onnx"):
        load_network(tmp_path / "absent.onnx")


def test_without_a_model_no_bone_is_invented() -> None:
    (image,) = find_images([SAMPLES / "psis_iliac_oblique.dcm"])
    frame = next(read_frames(image, scale=read_profile(None).scale))
    assessment = assess_frame(frame, profile=read_profile(None), network=None, outer_diameter_mm=3.05)
    assert assessment.cortex is None
    assert assessment.verdict.code is Code.NOT_ASSESSABLE
    assert assessment.verdict.reasons
    assert assessment.needle is not None


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_quarter_turns_turn_the_answer(turns: int) -> None:
    network = load_network()
    assert network is not None
    seen = exposure_of("psis_iliac_oblique.dcm")
    turned = Exposure(
        attenuation=np.ascontiguousarray(np.rot90(seen.attenuation, turns)),
        field=np.ascontiguousarray(np.rot90(seen.field, turns)),
        inverted=seen.inverted,
        polarity_confidence=seen.polarity_confidence,
    )
    straight = infer_prior(network, seen).hip
    back = np.rot90(infer_prior(network, turned).hip, -turns)
    assert straight.sum() > 500
    assert overlap(straight, cv2.resize(np.ascontiguousarray(back), straight.shape[::-1])) > 0.9


def test_mirror_mirrors_the_answer() -> None:
    network = load_network()
    assert network is not None
    seen = exposure_of("psis_iliac_oblique.dcm")
    mirrored = Exposure(
        attenuation=np.ascontiguousarray(seen.attenuation[:, ::-1]),
        field=np.ascontiguousarray(seen.field[:, ::-1]),
        inverted=seen.inverted,
        polarity_confidence=seen.polarity_confidence,
    )
    assert overlap(infer_prior(network, seen).hip, infer_prior(network, mirrored).hip[:, ::-1]) > 0.95


def test_brightness_and_contrast_do_not_matter() -> None:
    rng = np.random.default_rng(3)
    picture = cv2.GaussianBlur(rng.random((INPUT_PX, INPUT_PX)).astype(np.float32), (0, 0), 4)
    field = np.ones(picture.shape, bool)
    field[:20] = False
    assert np.allclose(network_input(picture, field), network_input(picture * 0.3 + 0.2, field), atol=2e-3)


def test_window_is_the_smallest_centred_square() -> None:
    field = np.zeros((100, 200), bool)
    field[10:50, 30:110] = True
    window = field_window(field)
    assert (window.row, window.column, window.side) == (-10.0, 30.0, 80.0)


def test_model_travels_with_the_package(tmp_path: Path) -> None:
    copied = tmp_path / MODEL_FILE
    shutil.copy(MODEL, copied)
    network = load_network(copied)
    assert network is not None
    prior = infer_prior(network, exposure_of("thin_wing.dcm"))
    assert prior.model_sha256 == network.sha256
    assert prior.thickness is not None
    assert (prior.thickness.lower_mm <= prior.thickness.median_mm).all()
    assert (prior.thickness.median_mm <= prior.thickness.upper_mm).all()


def test_threads_get_their_own_answers() -> None:
    network = load_network()
    assert network is not None
    pictures = [exposure_of(name) for name in ("thin_wing.dcm", "psis_iliac_oblique.dcm")]
    alone = [infer_prior(network, picture).hip for picture in pictures]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda k: infer_prior(network, pictures[k % 2]).hip, range(6)))
    assert all(np.array_equal(hip, alone[k % 2]) for k, hip in enumerate(together))
