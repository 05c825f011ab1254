"""How thick the bone is that the tip lies in: a small second network that looks at the tip in millimetres.

The map of the first network has no scale and answers for any depth along the ray. This one is asked a narrower question: it
sees the surroundings of the tip at two sizes in millimetres and the way of the needle, and answers with a median and limits.
"""

from __future__ import annotations

import cv2
import numpy as np

from marrowpoint.fluoroscopy.prior import network_input
from marrowpoint.frame import FloatImage, Mask

CROP_PX = 96
WIDE_MM, NEAR_MM = 150.0, 54.0  # sides of the two crops
SHIFT = 4  # bits of sub-pixel position when the shaft is drawn


def crop_planes(
    attenuation: FloatImage,
    field: Mask,
    tip: tuple[float, float],
    axis: tuple[float, float],
    width_px: float,
    mm_per_px: float,
    turn_deg: float = 0.0,
) -> FloatImage:
    """Both crops around a tip, four channels each: contrast, band-passed detail, field, shaft.

    Parameters
    ----------
    attenuation : ndarray of shape (M, N), float32
        Larger = more attenuating.
    field : ndarray of shape (M, N), bool
    tip, axis : tuple of float
        (row, column) of the tip [px] and unit vector toward the hub; a zero vector draws no shaft.
    width_px : float
        Of the needle.
    mm_per_px : float
        Scale at the needle.
    turn_deg : float
        Turn of the crop about the tip, for training.

    Returns
    -------
    ndarray of shape (8, CROP_PX, CROP_PX), float32
    """
    crops = [_crop(attenuation, field, tip, side / mm_per_px / CROP_PX, turn_deg) for side in (WIDE_MM, NEAR_MM)]
    turn = np.deg2rad(turn_deg)
    # the picture is turned back by the crop's own turn
    across = np.cos(turn) * axis[1] + np.sin(turn) * axis[0], -np.sin(turn) * axis[1] + np.cos(turn) * axis[0]
    shafts = [_shaft(across, width_px * mm_per_px * CROP_PX / side) for side in (WIDE_MM, NEAR_MM)]
    return np.concatenate([np.concatenate([crop, shaft[None]]) for crop, shaft in zip(crops, shafts, strict=True)])


def _crop(attenuation: FloatImage, field: Mask, tip: tuple[float, float], step: float, turn_deg: float) -> FloatImage:
    """Three channels of a square of CROP_PX pixels, `step` frame pixels each, centred on the tip."""
    turn, middle = np.deg2rad(turn_deg), (CROP_PX - 1) / 2
    matrix = step * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    reach = int(np.ceil(step * CROP_PX * 0.75)) + 2
    top, left = max(0, round(tip[0]) - reach), max(0, round(tip[1]) - reach)
    part = np.s_[top : max(round(tip[0]), top) + reach, left : max(round(tip[1]), left) + reach]
    there = np.column_stack([matrix, np.array([tip[1] - left, tip[0] - top]) - matrix @ (middle, middle)])
    width = max(1, round(step))
    seen = cv2.blur(attenuation[part], (width, width)) if width > 1 else attenuation[part]
    flags, size = cv2.WARP_INVERSE_MAP, (CROP_PX, CROP_PX)
    level = cv2.warpAffine(seen, there, size, flags=flags | cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine(field[part].astype(np.uint8), there, size, flags=flags | cv2.INTER_NEAREST)
    return network_input(np.asarray(level, np.float32), inside > 0, CROP_PX)


def _shaft(across: tuple[float, float], width: float) -> FloatImage:
    """The needle's way from the middle of a crop, along (x, y)."""
    drawn = np.zeros((CROP_PX, CROP_PX), np.uint8)
    if across != (0.0, 0.0):
        middle, unit = (CROP_PX - 1) / 2, 1 << SHIFT
        start = (round(middle * unit), round(middle * unit))
        end = (round((middle + across[0] * CROP_PX) * unit), round((middle + across[1] * CROP_PX) * unit))
        cv2.line(drawn, start, end, 255, max(1, round(width)), cv2.LINE_AA, SHIFT)
    return drawn.astype(np.float32) / 255
