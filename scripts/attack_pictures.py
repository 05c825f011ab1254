"""Altered copies of a fluoroscopic picture whose truth stays known: what `attack.py` shows the program.

The needle is lifted off its picture as a layer (picture minus the same picture with the shaft painted over), so that it can be
moved, doubled or laid over other anatomy, and the truth moves with it.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

Floats = NDArray[np.float32]
Points = NDArray[np.float64]

SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "ObjectPixelSpacingInCenterOfBeam")
STRIP = 1.9  # half the painted strip, in needle widths
GAUGES_MM = {4.19: 1.83, 3.4: 1.65, 3.05: 1.27, 2.41: 4.19, 1.83: 4.19}
BLOCK_PX = 96


class Expect(StrEnum):
    """What must hold of an altered copy."""

    SAME = "same"  # another way to save the same picture: nothing contradicts what is said of the plain copy
    TRUE = "true"  # another picture with known truth
    SCALE = "scale"  # lengths may be wrong only where the doubt is told
    NO_TIP = "no tip"  # the tip is not in the picture: nothing may be measured from it
    NOTHING = "nothing"  # no needle, or no anatomy: nothing may be said of bone


@dataclass(frozen=True, kw_only=True, eq=False)
class Shot:
    """A picture with its header and truth.

    Parameters
    ----------
    grey : ndarray of shape (M, N), float32
        Stored values over the largest, 0..1.
    header : Dataset
        Without pixels.
    tip, axis : ndarray of shape (2,)
        (x, y) of the apex [px] and unit vector to the hub.
    width_px : float
        Shaft.
    hip : ndarray of shape (M, N), bool
        True silhouette.
    mm_per_px, needle_mm, distance_mm, thickness_mm : float or None
        At the tip: scale, declared needle, true signed distance to the silhouette, local thickness; None where unknown.
    eight : bool
        Save as an RGB screenshot of 8 bits.
    field : ndarray of shape (M, N), bool
        Where there is a picture at all.
    """

    grey: Floats
    header: Dataset
    tip: Points
    axis: Points
    width_px: float
    hip: NDArray[np.bool_]
    field: NDArray[np.bool_]
    mm_per_px: float
    needle_mm: float
    distance_mm: float | None
    thickness_mm: float | None
    eight: bool = False

    @property
    def across(self) -> Points:
        """Unit vector across the shaft."""
        return np.array([-self.axis[1], self.axis[0]])


Change = Callable[[Shot], Shot | None]


def outlined_mm(shot: Shot, hip: NDArray[np.bool_], tip: Points) -> float | None:
    """Signed distance of a point to the silhouette; None where the edge of the picture is about as near."""
    x, y = (round(float(v)) for v in tip)
    if not (0 <= y < hip.shape[0] and 0 <= x < hip.shape[1]):
        return None
    inside = bool(hip[y, x])
    other = ~hip if inside else hip
    away = cv2.distanceTransform((~other).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[y, x]
    framed = cv2.copyMakeBorder(shot.field.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    border = cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1][y, x]
    if not other.any() or border <= away + 4:
        return None
    return float(away * shot.mm_per_px * (1 if inside else -1))


def bare(shot: Shot) -> Floats:
    """The picture with the shaft painted over from the strips beside it, noise and all."""
    rows, columns = np.indices(shot.grey.shape, dtype=np.float32)
    along = (columns - shot.tip[0]) * shot.axis[0] + (rows - shot.tip[1]) * shot.axis[1]
    across = (columns - shot.tip[0]) * shot.across[0] + (rows - shot.tip[1]) * shot.across[1]
    half = STRIP * shot.width_px
    # mirrored at each flank of the strip, and blended over its width
    left, right = -2 * half - 2 * across, 2 * half - 2 * across
    taken = []
    for step in (left, right):
        x, y = (at.astype(np.float32) for at in (columns + step * shot.across[0], rows + step * shot.across[1]))
        taken.append(cv2.remap(shot.grey, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
    share = np.clip((across + half) / (2 * half), 0, 1)
    soft = np.clip((half - np.abs(across)) / 4, 0, 1) * np.clip((along + half) / 4, 0, 1)
    painted = taken[0] * (1 - share) + taken[1] * share
    return np.asarray(shot.grey * (1 - soft) + painted * soft, np.float32)


def moved(layer: Floats, by: Points) -> Floats:
    matrix = np.array([[1, 0, by[0]], [0, 1, by[1]]], np.float64)
    return np.asarray(cv2.warpAffine(layer, matrix, layer.shape[::-1], borderMode=cv2.BORDER_REPLICATE), np.float32)


def with_needle_at(shot: Shot, by_mm: float, *, sideways: bool = False, keep: bool = False) -> Shot | None:
    """The needle moved along its shaft (negative: back) or sideways, or a second one put there."""
    empty = bare(shot)
    by = (shot.across if sideways else -shot.axis) * by_mm / shot.mm_per_px
    layer = moved(shot.grey - empty, by)
    if keep:
        return replace(shot, grey=np.clip(shot.grey + layer, 0, 1))
    tip = shot.tip + by
    if not _well_inside(shot, tip):
        return None
    grey = np.clip(empty + layer, 0, 1)
    return replace(shot, grey=grey, tip=tip, distance_mm=outlined_mm(shot, shot.hip, tip), thickness_mm=None)


def over_turned_anatomy(shot: Shot, turn: Callable[[NDArray[Any]], NDArray[Any]]) -> Shot | None:
    empty = bare(shot)
    if shot.grey.shape[0] != shot.grey.shape[1]:
        return None
    hip, field = turn(shot.hip), turn(shot.field)
    if not _well_inside(replace(shot, field=field & shot.field), shot.tip):
        return None
    other = replace(shot, grey=np.clip(turn(empty) + (shot.grey - empty), 0, 1), hip=hip, field=field & shot.field)
    return replace(other, distance_mm=outlined_mm(other, hip, shot.tip), thickness_mm=None)


def without_needle(shot: Shot) -> Shot:
    return replace(shot, grey=bare(shot))


def on_water(shot: Shot) -> Shot:
    """The needle on even grey with noise: no anatomy."""
    layer = shot.grey - bare(shot)
    noise = np.random.default_rng(1).normal(0, 0.02, shot.grey.shape)
    return replace(shot, grey=np.clip(0.5 + noise + layer, 0, 1).astype(np.float32))


def shuffled(shot: Shot, *, keep_needle: bool) -> Shot:
    """Blocks in a random order: edges and texture, no anatomy."""
    empty = bare(shot)
    base = empty if keep_needle else shot.grey
    rows, columns = (n // BLOCK_PX * BLOCK_PX for n in base.shape)
    blocks = base[:rows, :columns].reshape(rows // BLOCK_PX, BLOCK_PX, columns // BLOCK_PX, BLOCK_PX).swapaxes(1, 2)
    order = np.random.default_rng(2).permutation(blocks.shape[0] * blocks.shape[1])
    mixed = blocks.reshape(-1, BLOCK_PX, BLOCK_PX)[order].reshape(blocks.shape).swapaxes(1, 2).reshape(rows, columns)
    out = base.copy()
    out[:rows, :columns] = mixed
    return replace(shot, grey=np.clip(out + (shot.grey - empty if keep_needle else 0), 0, 1).astype(np.float32))


def turned(shot: Shot, quarters: int) -> Shot:
    height, width = shot.grey.shape
    x, y = shot.tip
    tip = {1: (y, width - 1 - x), 2: (width - 1 - x, height - 1 - y), 3: (height - 1 - y, x)}[quarters]
    ax, ay = shot.axis
    axis = {1: (ay, -ax), 2: (-ax, -ay), 3: (-ay, ax)}[quarters]
    arrays = {name: np.ascontiguousarray(np.rot90(getattr(shot, name), quarters)) for name in ("grey", "hip", "field")}
    return replace(shot, **arrays, tip=np.array(tip), axis=np.array(axis))


def mirrored(shot: Shot) -> Shot:
    arrays = {name: np.ascontiguousarray(np.fliplr(getattr(shot, name))) for name in ("grey", "hip", "field")}
    tip = np.array([shot.grey.shape[1] - 1 - shot.tip[0], shot.tip[1]])
    return replace(shot, **arrays, tip=tip, axis=shot.axis * [-1, 1])


def padded(shot: Shot, px: int = 64) -> Shot:
    arrays = {name: np.pad(getattr(shot, name), px) for name in ("grey", "hip", "field")}
    return replace(shot, **arrays, tip=shot.tip + px)


def scaled(shot: Shot, factor: float) -> Shot:
    """Saved with more or fewer pixels, its tags of spacing with it."""
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    size = tuple(round(n * factor) for n in shot.grey.shape[::-1])
    grey = np.clip(cv2.resize(shot.grey, size, interpolation=how), 0, 1)
    small = {name: getattr(shot, name).astype(np.uint8) for name in ("hip", "field")}
    masks = {name: cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST) > 0 for name, mask in small.items()}
    other = replace(shot, grey=grey, **masks, tip=(shot.tip + 0.5) * factor - 0.5, width_px=shot.width_px * factor)
    return replace(respaced(other, 1 / factor), mm_per_px=shot.mm_per_px / factor)


def cropped(shot: Shot, margin_px: float) -> Shot | None:
    """Cut so that the tip lies this far inside the picture's edge; negative: outside."""
    height, width = shot.grey.shape
    top, bottom, left, right = 0, height, 0, width
    # the edge that the needle points at most directly
    if abs(shot.axis[0]) > abs(shot.axis[1]):
        left, right = (round(shot.tip[0] - margin_px), width) if shot.axis[0] > 0 else (0, round(shot.tip[0] + margin_px))
    else:
        top, bottom = (round(shot.tip[1] - margin_px), height) if shot.axis[1] > 0 else (0, round(shot.tip[1] + margin_px))
    top, left, bottom, right = max(top, 0), max(left, 0), min(bottom, height), min(right, width)
    if bottom - top < 200 or right - left < 200:
        return None
    arrays = {name: np.ascontiguousarray(getattr(shot, name)[top:bottom, left:right]) for name in ("grey", "hip", "field")}
    return replace(shot, **arrays, tip=shot.tip - [left, top])


def covered(shot: Shot, *, reach_mm: float, value: float, text: str = "") -> Shot | None:
    """A burnt-in patch over the tip, this far around it, or a word across it."""
    grey = shot.grey.copy()
    reach = reach_mm / shot.mm_per_px
    (x0, y0), (x1, y1) = ([round(float(v)) for v in shot.tip + step] for step in (-reach, reach))
    cv2.rectangle(grey, (x0, y0), (x1, y1), value, cv2.FILLED)
    if text:
        letters = np.zeros(grey.shape, np.uint8)
        cv2.putText(letters, text, (x0, round(float(shot.tip[1])) + 8), cv2.FONT_HERSHEY_SIMPLEX, 1.0, 255, 2)
        grey[letters > 127] = 1 - value
    return replace(shot, grey=grey)


def shuttered(shot: Shot, reach_mm: float) -> Shot | None:
    """A straight collimator leaf across the shaft, this far behind the tip: dark and even beyond it."""
    rows, columns = np.indices(shot.grey.shape)
    along = (columns - shot.tip[0]) * shot.axis[0] + (rows - shot.tip[1]) * shot.axis[1]
    dark = 1.0 if shot.grey[~shot.field].size and shot.grey[~shot.field].mean() > 0.5 else 0.0
    grey = np.where(along < reach_mm / shot.mm_per_px, np.float32(dark), shot.grey)
    return replace(shot, grey=grey.astype(np.float32))


def clipped(shot: Shot, low: float, high: float) -> Shot:
    a, b = np.percentile(shot.grey[shot.field], [low, high])
    return replace(shot, grey=np.clip((shot.grey - a) / max(b - a, 1e-6), 0, 1).astype(np.float32))


def squeezed(shot: Shot, quality: int) -> Shot:
    _, data = cv2.imencode(".jpg", np.rint(shot.grey * 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return replace(shot, grey=cv2.imdecode(data, cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255)


def blurred(shot: Shot, sigma_px: float) -> Shot:
    return replace(shot, grey=cv2.GaussianBlur(shot.grey, (0, 0), sigma_px))


def noisy(shot: Shot, sd: float) -> Shot:
    noise = np.random.default_rng(3).normal(0, sd, shot.grey.shape)
    return replace(shot, grey=np.clip(shot.grey + noise, 0, 1).astype(np.float32))


def tagged(shot: Shot, **tags: Any) -> Shot:
    header = deepcopy(shot.header)
    for keyword, value in tags.items():
        if value is None:
            header.pop(keyword, None)
        else:
            setattr(header, keyword, value)
    return replace(shot, header=header)


def respaced(shot: Shot, factor: float, *, rows_only: bool = False) -> Shot:
    """Every tag of spacing multiplied."""
    header = deepcopy(shot.header)
    for keyword in SPACINGS:
        if header.get(keyword):
            row, column = (float(v) for v in header[keyword].value)
            setattr(header, keyword, [f"{row * factor:.6g}", f"{column * (1 if rows_only else factor):.6g}"])
    return replace(shot, header=header)


def wrongly_spaced(shot: Shot, factor: float, *, rows_only: bool = False) -> Shot | None:
    return respaced(shot, factor, rows_only=rows_only) if any(shot.header.get(k) for k in SPACINGS) else None


def screenshot(shot: Shot) -> Shot:
    """What a frame grabber saves: 8 bits, three equal colours, nothing of geometry in the header."""
    keep = ("PatientName", "PatientID", "StudyDate", "StudyTime", "StudyInstanceUID", "SeriesInstanceUID", "PatientComments")
    header = Dataset()
    for keyword in keep:
        if keyword in shot.header:
            setattr(header, keyword, shot.header[keyword].value)
    header.SOPClassUID, header.Modality, header.ConversionType = "1.2.840.10008.5.1.4.1.1.7", "OT", "WSD"
    return replace(shot, header=header, eight=True)


def other_needle(shot: Shot) -> Shot:
    nearest = min(GAUGES_MM, key=lambda mm: abs(mm - shot.needle_mm))
    return replace(shot, needle_mm=GAUGES_MM[nearest])


def _well_inside(shot: Shot, tip: Points) -> bool:
    x, y = (round(float(v)) for v in tip)
    near = shot.field[max(y - 30, 0) : y + 31, max(x - 30, 0) : x + 31]
    return bool(near.size and near.all() and 30 <= y < shot.field.shape[0] - 30 and 30 <= x < shot.field.shape[1] - 30)


def inverted(shot: Shot) -> Shot:
    return replace(shot, grey=1 - shot.grey)


def renamed(shot: Shot) -> Shot:
    """MONOCHROME1 for MONOCHROME2 and the reverse, the values inverted with it: the same on a screen."""
    name = "MONOCHROME2" if shot.header.get("PhotometricInterpretation") == "MONOCHROME1" else "MONOCHROME1"
    return tagged(inverted(shot), PhotometricInterpretation=name)
