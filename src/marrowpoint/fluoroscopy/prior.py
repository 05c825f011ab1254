"""The learned prior: a small network that finds the hip bone, the shaft and how thick the bone is, coarsely.

It is a prior, never the measurement: `segment` refines its outline on the full-resolution picture.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from threading import Lock

import cv2
import numpy as np

from marrowpoint.cortex import BonePrior, ThicknessMap
from marrowpoint.errors import MarrowpointError
from marrowpoint.exposure import Exposure
from marrowpoint.fluoroscopy.windows import (
    INPUT_PX,
    OUTPUT_PX,
    Window,
    closer_window,
    field_window,
    lay_over,
    placed,
    rim_weight,
)
from marrowpoint.frame import FloatImage, Mask

MODEL_FILE = "bone_prior.onnx"
THICKNESS_UNIT_MM = 20.0  # the network speaks of thickness in these units
# Sides of the boxes of the band-pass channel at the network's size: it shows faint bone edges on steep soft-tissue slopes.
FINE_PX, COARSE_PX, STRENGTH_PX = 3, 15, 25
LARGEST_MODEL_BYTES = 64_000_000
SURE_ENOUGH = 0.7  # overlap of straight and mirrored answers times their certainty; above it no other quarter turn is tried
CLEARLY_SURER = 0.15  # another quarter turn must be surer by this much: most frames are upright
EMPTY_PX = 40.0  # less bone than this is no bone to agree on
# A second look, closer, where a generous and a strict reading of the first put the edge near the tip at different places
GENEROUS, STRICT = 0.1, 0.9
LOOK_AGAIN = 0.05  # of the window's side: up to this nearly all outlines are right at the first look


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoneNetwork:
    """A loaded network.

    Parameters
    ----------
    net : cv2.dnn.Net
    sha256 : str
        Hash of the model file; it stands in every result.
    lock : Lock
        Held while the network runs.
    """

    net: cv2.dnn.Net
    sha256: str
    lock: Lock = field(default_factory=Lock, repr=False)


def network_input(attenuation: FloatImage, field: Mask, size: int = INPUT_PX) -> FloatImage:
    """Three channels for the network: overall contrast, band-passed detail in units of its local strength, field.

    Parameters
    ----------
    attenuation : ndarray of shape (size, size), float32
        Larger = more attenuating, any monotone display curve.
    field : ndarray of shape (size, size), bool
        Where there is a picture.
    size : int
        Side [px].

    Returns
    -------
    ndarray of shape (3, size, size), float32
    """
    seen = attenuation[field]
    if seen.size < 16:
        return np.zeros((3, size, size), np.float32)
    low, high = np.percentile(seen, (1.0, 99.0))
    level: FloatImage = np.clip((attenuation - low) / max(high - low, 1e-6), -0.2, 1.2).astype(np.float32)
    weight = field.astype(np.float32)
    level = np.asarray(level * weight, np.float32)
    fine = _mean(level, FINE_PX) / (_mean(weight, FINE_PX) + np.float32(1e-3))
    coarse = _mean(level, COARSE_PX) / (_mean(weight, COARSE_PX) + np.float32(1e-3))
    band = (fine - coarse) * weight
    power = _mean(band * band, STRENGTH_PX) / (_mean(weight, STRENGTH_PX) + np.float32(1e-3))
    strength = np.sqrt(np.maximum(power, 0))
    detail = np.clip(band / (strength + np.float32(0.003)), -3, 3) / 3
    return np.stack([level, detail, weight]).astype(np.float32)


def _mean(image: FloatImage, side: int) -> FloatImage:
    """Two box means, close to a Gaussian and much cheaper."""
    once = cv2.blur(image, (side, side), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.blur(once, (side, side), borderType=cv2.BORDER_REPLICATE), np.float32)


def load_network(path: Path | None = None, *, expected_sha256: str | None = None) -> BoneNetwork | None:
    """Read the model file.

    Parameters
    ----------
    path : Path or None
        None = the model that comes with the package.
    expected_sha256 : str or None
        Refuse a file with another hash.

    Returns
    -------
    BoneNetwork or None
        None where the package was installed without its model.

    Raises
    ------
    MarrowpointError
        Codes ``model_unreadable``, ``model_changed``, ``model_wrong_shape``: the file is named and the classical path serves.
    """
    if path is None:
        packaged = resources.files("marrowpoint") / "models" / MODEL_FILE
        if not packaged.is_file():
            return None
        data, name = packaged.read_bytes(), MODEL_FILE
        expected_sha256 = expected_sha256 or _packaged_hash()
    else:
        name = path.name
        try:
            data = path.read_bytes()
        except OSError as error:
            raise MarrowpointError("model_unreadable", f"model {name} cannot be read: {error.strerror}") from error
    sha256 = hashlib.sha256(data).hexdigest()
    if expected_sha256 is not None and sha256 != expected_sha256:
        text = f"model {name} is not the file it should be (its hash changed): install marrowpoint again"
        raise MarrowpointError("model_changed", text)
    return BoneNetwork(net=_parsed(data, name), sha256=sha256)


def _packaged_hash() -> str | None:
    stated = resources.files("marrowpoint") / "models" / (MODEL_FILE + ".sha256")
    return stated.read_text("ascii").split()[0] if stated.is_file() else None


def _parsed(data: bytes, name: str) -> cv2.dnn.Net:
    if not 1000 < len(data) < LARGEST_MODEL_BYTES:
        raise MarrowpointError("model_unreadable", f"model {name} is cut short or far too large: install marrowpoint again")
    try:
        net = cv2.dnn.readNetFromONNX(np.frombuffer(data, np.uint8))
        net.setInput(np.zeros((1, 3, INPUT_PX, INPUT_PX), np.float32))
        shape = net.forward().shape
    except cv2.error as error:
        text = f"model {name} is no network that OpenCV can run: install marrowpoint again"
        raise MarrowpointError("model_unreadable", text) from error
    if shape != (1, 7, OUTPUT_PX, OUTPUT_PX):
        raise MarrowpointError("model_wrong_shape", f"model {name} gives {shape}, not what this version of marrowpoint expects")
    return net


def _sigmoid(x: FloatImage) -> FloatImage:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -30, 30))), np.float32)


def _run(network: BoneNetwork, planes: FloatImage) -> FloatImage:
    with network.lock:  # one cv2 network keeps one picture: two threads would get each other's answers
        network.net.setInput(planes[None])
        return np.asarray(network.net.forward()[0], np.float32)


def infer_prior(network: BoneNetwork, exposure: Exposure) -> BonePrior:
    """Run the network on a frame and on its mirror image, and lay the mean over the frame; look closer where it is unsure.

    Parameters
    ----------
    network : BoneNetwork
    exposure : Exposure
        (M, N).

    Returns
    -------
    BonePrior
        On a grid of at most the frame's own size, about 1.5 network pixels a grid pixel.
    """
    window = field_window(exposure.field)
    maps, agreement, turns = _upright(network, _planes(exposure, window))
    laid = lay_over(maps, window, window, exposure.field)
    if _unsure(maps):
        closer = closer_window(maps[3], window)
        planes = np.ascontiguousarray(np.rot90(_planes(exposure, closer), turns, axes=(1, 2)))
        again, agrees, _ = _with_mirror(network, planes)
        again = np.ascontiguousarray(np.rot90(again, -turns, axes=(1, 2)))
        share = rim_weight(closer, window, exposure.field)
        laid = _blend(laid, lay_over(again, closer, window, exposure.field), share)
        agreement = (agreement + agrees) / 2
    return _on_frame(laid, exposure.field, agreement, network.sha256)


def _planes(exposure: Exposure, window: Window) -> FloatImage:
    """The network's input for a window of a frame, shape (3, INPUT_PX, INPUT_PX)."""
    there = placed(window, INPUT_PX)
    blurred = _antialiased(exposure.attenuation, window)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    seen = cv2.warpAffine(blurred, there, (INPUT_PX, INPUT_PX), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    nearest = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    inside = cv2.warpAffine(exposure.field.astype(np.uint8), there, (INPUT_PX, INPUT_PX), flags=nearest)
    return network_input(np.asarray(seen, np.float32), inside > 0)


def _unsure(maps: FloatImage) -> bool:
    """Whether the edge nearest to the likeliest tip lies elsewhere in a generous than in a strict reading of the map."""
    row, column = np.unravel_index(int(maps[3].argmax()), maps[3].shape)
    return reading_spread(maps[0], (int(row), int(column)), np.ones(maps[0].shape, np.bool_)) > LOOK_AGAIN * len(maps[0])


def reading_spread(hip: FloatImage, place: tuple[int, int], seen: Mask) -> float:
    """By how much a place's signed distance to the bone's edge differs between a generous and a strict reading of a map.

    Parameters
    ----------
    hip : ndarray of shape (m, n)
        Probability of bone, 0..1.
    place : tuple of int
        (row, column) in it.
    seen : ndarray of shape (m, n), bool
        Where there is a picture.

    Returns
    -------
    float
        In cells of the map.
    """
    signed = []
    for level in (GENEROUS, STRICT):
        bone = hip > level
        inside = bool(bone[place])
        other = (bone != inside) & seen
        far = float(np.hypot(*hip.shape))
        if other.any():
            far = float(cv2.distanceTransform((~other).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[place])
        signed.append(far if inside else -far)
    return signed[0] - signed[1]


def _upright(network: BoneNetwork, planes: FloatImage) -> tuple[FloatImage, float, int]:
    """Maps in the picture's own orientation, the agreement of straight and mirrored answers, and the quarter turns taken.

    The network knows upright patients only. A turned frame gives itself away: the answer is unsure and its mirror image
    disagrees; then the four quarter turns are tried and the surest is taken, if it is clearly surer.
    """
    best, agreement, sureness = _with_mirror(network, planes)
    turns = taken = 0
    while sureness < SURE_ENOUGH and (turns := turns + 1) < 4:
        maps, agrees, sure = _with_mirror(network, np.ascontiguousarray(np.rot90(planes, turns, axes=(1, 2))))
        if sure > sureness + CLEARLY_SURER:
            best, agreement, sureness = np.ascontiguousarray(np.rot90(maps, -turns, axes=(1, 2))), agrees, sure
            taken = turns
    return best, agreement, taken


def _with_mirror(network: BoneNetwork, planes: FloatImage) -> tuple[FloatImage, float, float]:
    """Mean of the answers to a picture and to its mirror image, their overlap, and how sure of the bone they are."""
    straight = _run(network, planes)
    mirrored = _run(network, np.ascontiguousarray(planes[:, :, ::-1]))[:, :, ::-1]
    one, other = _sigmoid(straight[0]), _sigmoid(mirrored[0])
    # rounded: sums of the same numbers differ in their last digits with where they lie in memory
    common, both_sums = np.minimum(one, other).sum(dtype=np.float64), one.sum(dtype=np.float64) + other.sum(dtype=np.float64)
    overlap = round(float(2 * common / max(both_sums, EMPTY_PX)), 6)
    both = np.asarray((_activated(straight) + _activated(mirrored)) / 2, np.float32)
    bone = both[0][both[0] > 0.5]
    certainty = round(float(2 * bone.mean(dtype=np.float64) - 1), 6) if bone.size > EMPTY_PX else 0.0
    return both, overlap, overlap * certainty


def _antialiased(image: FloatImage, window: Window) -> FloatImage:
    """Mean over a network pixel before the picture is sampled at the network's coarse steps."""
    width = max(1, round(window.side / INPUT_PX))
    return np.asarray(cv2.blur(image, (width, width)), np.float32) if width > 1 else image


def _activated(raw: FloatImage) -> FloatImage:
    """(7, m, n): hip, other, shaft as probabilities, tip as a map that sums to one, thickness limits and median [mm]."""
    tip = np.exp(raw[3] - raw[3].max())
    spread_down, spread_up = _softplus(raw[5]), _softplus(raw[6])
    median = _softplus(raw[4])
    thickness = np.stack([np.maximum(median - spread_down, 0), median, median + spread_up]) * THICKNESS_UNIT_MM
    return np.concatenate([_sigmoid(raw[:3]), (tip / tip.sum())[None], thickness]).astype(np.float32)


def _softplus(x: FloatImage) -> FloatImage:
    return np.asarray(np.logaddexp(0, x), np.float32)


def _blend(one: FloatImage, other: FloatImage, share: FloatImage) -> FloatImage:
    return np.asarray(one + share * (other - one), np.float32)


def _on_frame(laid: FloatImage, field: Mask, agreement: float, sha256: str) -> BonePrior:
    hip, other, shaft, tip, low, median, high = laid
    bone = hip > 0.5
    thickness = ThicknessMap(
        median_mm=median * bone,
        lower_mm=low * bone,
        upper_mm=high * bone,
        frame_shape=(field.shape[0], field.shape[1]),
        method="learned thickness map",
    )
    return BonePrior(
        hip=hip,
        other_bone=other,
        shaft=shaft,
        tip=tip / max(float(tip.max()), 1e-9),
        thickness=thickness,
        agreement=agreement,
        frame_shape=(field.shape[0], field.shape[1]),
        model_sha256=sha256,
    )
