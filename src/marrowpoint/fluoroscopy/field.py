"""Field of view and polarity: which part of the frame X-rays reached, and whether bone is bright or dark in it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from marrowpoint.errors import NotAssessable
from marrowpoint.exposure import Bar, Exposure
from marrowpoint.fluoroscopy.aperture import find_aperture
from marrowpoint.fluoroscopy.candidates import find_bars
from marrowpoint.frame import FloatImage, Frame, Mask

WORK_SIDE_PX = 512  # the border is needed to a few pixels only
LEVEL = 0.004  # one grey level of an 8-bit picture: "the same value"
BORDER_LEVEL = 0.02  # stray light and noise behind the blades
LEAST_FIELD = 0.02  # of the frame: less picture than this is none
TEXT_SIZE = 0.07  # of the longest side: burned-in letters are smaller
TEXT_JUMP = 0.15  # of the full range: letters stand out
TEXT_RIM = 0.6  # nearly extreme over extreme pixels
TEXT_SHARP = 0.85  # of the step is over within two pixels: letters have no X-ray blur


def find_exposure(frame: Frame) -> Exposure:
    """Find the field of view and the polarity of a frame.

    Parameters
    ----------
    frame : Frame
        Frame whose polarity is unknown.

    Returns
    -------
    Exposure

    Raises
    ------
    NotAssessable
        ``no_field`` if there is no picture in the frame.

    Notes
    -----
    Inverting the frame changes only ``inverted``; the tag is not asked.
    """
    pixels = frame.pixels
    field = find_field(pixels, frame.valid)
    if field.mean() < LEAST_FIELD:
        raise NotAssessable("no_field", "the frame holds no exposed picture")
    values = pixels[field]
    low, high = float(values.min()), float(values.max())
    stretched: FloatImage = np.clip((pixels - np.float32(low)) * np.float32(1 / max(high - low, 1e-6)), 0.0, 1.0)
    bars = find_bars(stretched, field)
    bright, confidence = metal_is_bright(bars, stretched[field])
    return Exposure(
        attenuation=stretched if bright else 1 - stretched,
        field=field,
        inverted=not bright,
        polarity_confidence=confidence,
        bars=tuple(replace(bar, bright=True) for bar in bars if bar.bright is bright),
    )


def find_field(pixels: FloatImage, valid: Mask) -> Mask:
    """Find where X-rays reached the detector: not border, shutter or burned-in text.

    Parameters
    ----------
    pixels : ndarray of shape (M, N), float32
    valid : ndarray of shape (M, N), bool

    Returns
    -------
    ndarray of shape (M, N), bool
    """
    scale = max(1.0, max(pixels.shape) / WORK_SIDE_PX)
    shape = (round(pixels.shape[0] / scale), round(pixels.shape[1] / scale))
    small = np.asarray(cv2.resize(pixels, shape[::-1], interpolation=cv2.INTER_AREA), np.float32)
    shut = cv2.resize((~valid).astype(np.uint8), shape[::-1], interpolation=cv2.INTER_AREA) > 0
    border = _border(small, shut)
    inside = ~border
    if inside.mean() < LEAST_FIELD:
        return np.zeros(pixels.shape, bool)
    field = find_aperture(small, border) & ~shut
    full: Mask = cv2.resize(field.astype(np.uint8), pixels.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    full &= valid
    for box in _text(pixels, small, inside):
        full[box] = False
    return full


def _border(small: FloatImage, shut: Mask) -> Mask:
    """Uniform area connected to the frame's edge, black or white."""
    out = shut.copy()
    smooth = cv2.medianBlur(small, 3)
    edge = np.zeros_like(shut)
    edge[[0, -1], :] = edge[:, [0, -1]] = True
    for level in (float(small.min()), float(small.max())):
        same = (np.abs(smooth - level) <= BORDER_LEVEL) | shut
        count, labels = cv2.connectedComponents(same.astype(np.uint8), connectivity=4)
        if count > 1:
            touching = np.unique(labels[edge & same])
            out |= np.isin(labels, touching[touching > 0])
    return out


def _text(pixels: FloatImage, small: FloatImage, inside: Mask) -> list[tuple[slice, slice]]:
    """Boxes around small pieces of extreme value with edges too sharp for X-rays."""
    boxes = []
    size = TEXT_SIZE * max(small.shape)
    factor = pixels.shape[0] / small.shape[0], pixels.shape[1] / small.shape[1]
    for level, sign in ((float(small.max()), 1.0), (float(small.min()), -1.0)):
        extreme = (np.abs(small - level) <= 2 * LEVEL) & inside
        count, _, stats, _ = cv2.connectedComponentsWithStats(extreme.astype(np.uint8), connectivity=8)
        for i in range(1, count):
            x, y, w, h, area = (int(v) for v in stats[i])
            if max(w, h) > size or area < 12:
                continue
            box = (_stretch(y, h, factor[0], pixels.shape[0]), _stretch(x, w, factor[1], pixels.shape[1]))
            if _is_sharp(pixels[box], level, sign):
                boxes.append(box)
    return boxes


def _stretch(start: int, length: int, factor: float, limit: int) -> slice:
    return slice(max(0, int((start - 4) * factor)), min(limit, int((start + length + 4) * factor) + 1))


def _is_sharp(patch: FloatImage, level: float, sign: float) -> bool:
    """Whether the step at the border of the extreme pixels is over within two pixels, as drawn letters are."""
    piece = (np.abs(patch - level) <= 2 * LEVEL).astype(np.uint8)
    near = cv2.dilate(piece, np.ones((5, 5), np.uint8)) - cv2.dilate(piece, np.ones((3, 3), np.uint8)) > 0
    far = cv2.dilate(piece, np.ones((11, 11), np.uint8)) - cv2.dilate(piece, np.ones((7, 7), np.uint8)) > 0
    if not near.any() or not far.any():
        return False
    step = sign * (level - float(np.median(patch[near])))
    whole = sign * (level - float(np.median(patch[far])))
    noise = 1.48 * float(np.median(np.abs(patch[far] - np.median(patch[far]))))
    # a letter is solid with a thin soft rim; a saturated piece of needle has as many nearly saturated pixels in and around it
    gap = sign * (level - patch)
    nearly = float(np.sum((gap > 2 * LEVEL) & (gap < 0.45 * whole))) / float(piece.sum())
    return whole > max(TEXT_JUMP, 5 * noise) and step > TEXT_SHARP * whole and nearly < TEXT_RIM


def metal_is_bright(bars: tuple[Bar, ...], values: FloatImage) -> tuple[bool, float]:
    """Decide from the picture whether metal has the larger values.

    Parameters
    ----------
    bars : tuple of Bar
        Bright and dark bars of the picture.
    values : ndarray of shape (K,), float32
        Pixels of the field, 0..1.

    Returns
    -------
    bright : bool
    confidence : float
        0.5..1.
    """
    bright = max((b.score for b in bars if b.bright), default=0.0)
    dark = max((b.score for b in bars if not b.bright), default=0.0)
    # unattenuated beam saturates the detector: the larger clipped area is air
    air_dark = float(np.mean(values < 0.01))
    air_bright = float(np.mean(values > 0.99))
    evidence = 8.0 * (_logit(bright) - _logit(dark)) / 4.0 + 2.0 * float(np.tanh(8.0 * (air_dark - air_bright)))
    return evidence >= 0, float(1.0 / (1.0 + np.exp(-min(abs(evidence), 30.0))))


def _logit(score: float) -> float:
    p = min(max(score, 0.02), 0.98)
    return float(np.log(p / (1 - p)))
