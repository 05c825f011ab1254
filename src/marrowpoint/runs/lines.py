"""Thin lines in noise: a picture correlated with short lines of some widths and directions (a matched filter)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np

from marrowpoint.frame import FloatImage, Mask
from marrowpoint.runs.grid import GridScale, disc

WIDTHS_MM = (0.5, 1.0)  # half widths (sigma) of the lines looked for
# half lengths (sigma) of the lines looked for, and how many directions they have: long ones see fainter, straighter veins
PIECES_MM = ((3.5, 16), (7.0, 32))
LEAST_SHARE = 0.3  # of a short line: with less of it outside of a body no noise is reckoned away
FILL_MM = 2.5  # what replaces a body is the mean of its surroundings (sigma)
PLACE_MM, BORNE_SHARE = (0.6, 2.4), 0.25  # fine and wide blur; share of a line's height that its places show at least
SIDE_MM, NARROW = 3.2, 0.55  # beside a vein, this far from its middle, this share of its density is gone


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lines:
    """Answer of the line filters on the grid.

    Parameters
    ----------
    answer : ndarray of shape (m, n), float32
        Of the line that fits best at each place, in noise SDs.
    thin : ndarray of shape (m, n), bool
        Where it is as narrow as a vein, and where the place itself bears out what the filter claims.
    density : ndarray of shape (m, n), float32
        What each place shows above its surroundings, in noise SDs of one pixel.
    unit : float
        Noise SDs of one pixel that make one SD of the answer.
    """

    answer: FloatImage
    thin: Mask
    density: FloatImage
    unit: float


def filter_lines(most: FloatImage, inside: Mask, body: Mask, scale: GridScale) -> Lines:
    """Look for thin lines outside of bodies; the answer is held against what the same filter gives where there is no contrast.

    Parameters
    ----------
    most : ndarray of shape (m, n), float32
        In noise SDs.
    inside, body : ndarray of shape (m, n), bool
        The field, and what is no line in it.
    scale : GridScale

    Returns
    -------
    Lines
    """
    free = inside & ~body
    held = _without(most, free, scale)
    answer, height, unit = _answer(held, free, inside & ~(cv2.dilate(body.astype(np.uint8), disc(scale.px(4.0))) > 0), scale)
    fine, wide = (cv2.GaussianBlur(held, (0, 0), max(0.5, scale.px(sigma))) for sigma in PLACE_MM)
    density = np.asarray(fine - wide, dtype=np.float32)
    thin = free & _narrow(most, scale) & _borne_out(density, height, free, scale)
    return Lines(answer=answer, thin=thin, density=density, unit=unit)


def _without(most: FloatImage, free: Mask, scale: GridScale) -> FloatImage:
    """The picture with what lies around in place of bodies: the end of a body would ring, and look like a line around it."""
    if not free.any():
        return np.zeros_like(most)
    usual = np.float32(np.median(most[free]))
    sigma = scale.px(FILL_MM)
    weight = cv2.GaussianBlur(free.astype(np.float32), (0, 0), sigma)
    # far from anything free the usual value takes over
    level = (cv2.GaussianBlur(np.where(free, most - usual, 0).astype(np.float32), (0, 0), sigma)) / (weight + np.float32(0.01))
    return np.where(free, most, usual + level).astype(np.float32)


def _answer(held: FloatImage, free: Mask, quiet: Mask, scale: GridScale) -> tuple[FloatImage, FloatImage, float]:
    """Best answer of the filters in noise SDs, the height of its line, and the noise SDs of a pixel that make one SD of it."""
    # what is bright would ring as far as a line is long: its height is held
    limit = float(np.median(held)) + 6 * 1.4826 * float(np.median(np.abs(held - np.median(held)))) + 1e-6
    held = np.minimum(held, limit)
    best = np.full(held.shape, -1e3, np.float32)
    height = np.zeros_like(best)
    unit = 1e3
    for width_mm, (piece_mm, turns) in product(WIDTHS_MM, PIECES_MM):
        for turn in range(turns):
            kernel = _kernel(scale.px(width_mm), scale.px(piece_mm), np.pi * turn / turns)
            answer = cv2.filter2D(held, cv2.CV_32F, kernel, borderType=cv2.BORDER_REFLECT)
            values = answer[quiet]
            spread = 1.4826 * float(np.median(np.abs(values - np.median(values)))) if len(values) > 100 else 1.0
            # beside a body a part of the line is missing, and its noise too
            share = cv2.filter2D(free.astype(np.float32), cv2.CV_32F, kernel**2, borderType=cv2.BORDER_REFLECT) / float(
                (kernel**2).sum()
            )
            here = spread * np.sqrt(np.clip(share, LEAST_SHARE, 1))
            height_now = answer - np.float32(np.median(values) if len(values) else 0)
            sure = height_now / np.maximum(here, 1e-6)
            height = np.where(sure > best, height_now, height)
            best = np.maximum(best, sure)
            unit = min(unit, spread)
    return best, height, unit


def _borne_out(density: FloatImage, height: FloatImage, free: Mask, scale: GridScale) -> Mask:
    """Where a place itself shows some of what a filter claims and of what is near; past its end and beside it no line does."""
    noise = 1.4826 * float(np.median(np.abs(density[free]))) if free.any() else 0.0
    claimed = np.maximum(height, cv2.dilate(np.where(free, density, 0).astype(np.float32), disc(scale.px(SIDE_MM))))
    return np.asarray(density > BORNE_SHARE * claimed - 2 * noise)


def _kernel(across_px: float, along_px: float, turn: float) -> FloatImage:
    """A short line: Gaussian along, Gaussian less its surroundings across; sum 0, answer 1 to a line of height 1."""
    reach = int(np.ceil(max(2.5 * along_px, 5 * across_px)))
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    along = rows * np.sin(turn) + columns * np.cos(turn)
    across = rows * np.cos(turn) - columns * np.sin(turn)
    inner, outer = max(across_px, 0.6), 2.2 * max(across_px, 0.6)
    profile = np.exp(-0.5 * (across / inner) ** 2) / inner - np.exp(-0.5 * (across / outer) ** 2) / outer
    kernel = profile * np.exp(-0.5 * (along / along_px) ** 2)
    kernel -= kernel.mean()
    line = np.exp(-0.5 * (across / inner) ** 2)
    return np.asarray(kernel / (kernel * line).sum(), dtype=np.float32)


def _narrow(most: FloatImage, scale: GridScale) -> Mask:
    """Where the surroundings at the distance `SIDE_MM` on both sides of some direction show much less."""
    smooth = cv2.GaussianBlur(most, (0, 0), max(0.8, scale.px(0.5)))
    base = float(np.median(smooth))
    narrow = np.zeros(most.shape, np.bool_)
    for turn in range(8):
        angle = np.pi * turn / 8
        dr, dc = scale.px(SIDE_MM) * np.sin(angle), scale.px(SIDE_MM) * np.cos(angle)
        sides = []
        for sign in (-1, 1):
            shift = np.array([[1, 0, sign * dc], [0, 1, sign * dr]])
            sides.append(cv2.warpAffine(smooth, shift, smooth.shape[::-1], borderMode=cv2.BORDER_REPLICATE))
        most_beside = np.maximum(sides[0], sides[1]) - base
        narrow |= most_beside < (1 - NARROW) * np.maximum(smooth - base, 0)
    return narrow
