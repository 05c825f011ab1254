"""Straight bars in a reduced picture: pairs of parallel edges of opposite sign, found by rotating the gradient field.

A thick needle is two parallel edges that face each other; a single edge (collimator, bone) has only one of them. The gradient
is normalised by the local noise, so that a faint shaft over bone counts as much as a bright one over sacrum.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.exposure import Bar
from marrowpoint.frame import FloatImage, Mask

WORK_SIDE_PX = 256  # longest side of the reduced picture; a 22G needle is still about one pixel wide here
ANGLE_STEP_DEG = 5.0  # half a step moves the end of a piece by under two pixels
PIECE_PX = 26  # length over which an edge must hold, in reduced pixels
STUB_PX = 11  # the same for short bars: foreshortened, or nearly hidden by a handle
WIDTHS_PX = (2, 3, 4, 5, 7, 9, 12)  # reduced pixels: 7 to 43 px at 1024
FIRST_EDGES = (max(WIDTHS_PX) - np.array(WIDTHS_PX)) // 2  # rows of both edges before and behind a bar's first row
SECOND_EDGES = FIRST_EDGES + np.array(WIDTHS_PX)
PEAKS_PER_ANGLE = 3
LEAST_PAIR = 0.2  # mean agreement below which a pair of edges is noise
ZERO = 127.5  # level of no gradient: 8 bits are enough for a mean over a piece, and take a third of the time
GRADIENT_FLOOR = 0.004  # of the full range per pixel: below one grey level of an 8-bit picture nothing is an edge

Levels = NDArray[np.uint8]


class _Peak(NamedTuple):
    score: float
    row: float
    column: float
    angle_deg: float
    width: float
    bright: bool


def find_bars(
    image: FloatImage,
    field: Mask,
    *,
    signs: tuple[bool, ...] = (True, False),
    most: int = 12,
    piece: int = PIECE_PX,
) -> tuple[Bar, ...]:
    """Find pieces of straight bars, best first for each sign.

    Parameters
    ----------
    image : ndarray of shape (M, N), float32
        Picture with values of about 0..1.
    field : ndarray of shape (M, N), bool
        Where the picture may be trusted.
    signs : tuple of bool
        Which bars are looked for: True = bright, False = dark.
    piece : int
        Length over which both edges must hold, in reduced pixels.
    most : int
        Most bars kept of each sign.

    Returns
    -------
    tuple of Bar
    """
    scale = max(1.0, max(image.shape) / WORK_SIDE_PX)
    shape = (round(image.shape[0] / scale), round(image.shape[1] / scale))
    small = np.asarray(cv2.resize(image, shape[::-1], interpolation=cv2.INTER_AREA), np.float32)
    inside = cv2.resize(field.astype(np.uint8), shape[::-1], interpolation=cv2.INTER_AREA)
    gradient = normalised_gradient(small, inside)
    found: list[_Peak] = []
    for angle in np.arange(0.0, 180.0, ANGLE_STEP_DEG):
        edges, back = _edge_map(gradient, float(angle), piece)
        for bright in signs:
            for score, y, x, width in _peaks(edges, bright, piece):
                c, r = back @ (x, y, 1.0)
                found.append(_Peak(score, float(r), float(c), float(angle), width, bright))
    factor = (image.shape[0] / shape[0], image.shape[1] / shape[1])
    return tuple(_bar(f, factor) for bright in signs for f in _thin(found, bright, most))


def normalised_gradient(small: FloatImage, inside: np.ndarray) -> FloatImage:
    """Gradient (d/dx, d/dy) divided by noise and floor, soft-limited to length 1, zero outside the field.

    Parameters
    ----------
    small : ndarray of shape (m, n), float32
    inside : ndarray of shape (m, n), uint8
        Non-zero inside the field.

    Returns
    -------
    ndarray of shape (2, m, n), float32
    """
    smooth = cv2.GaussianBlur(small, (0, 0), 0.8)
    gx = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=0.125)
    gy = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=0.125)
    size = cv2.magnitude(gx, gy)
    # the local median would be better than the mean of limited values, but costs ten times as much
    typical = cv2.blur(np.minimum(size, 4.0 * float(np.median(size[inside > 0])) if inside.any() else 1.0), (31, 31))
    unit = np.sqrt(size**2 + (1.5 * typical) ** 2 + GRADIENT_FLOOR**2)
    keep = cv2.erode(inside, np.ones((7, 7), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=1)
    weight = keep / unit
    return np.stack([gx * weight, gy * weight])


def _edge_map(gradient: FloatImage, angle_deg: float, piece: int) -> tuple[Levels, NDArray[np.float64]]:
    """Mean gradient across pieces of lines at one angle, on the turned picture, and the way back from there."""
    c, s = float(np.cos(np.radians(angle_deg))), float(np.sin(np.radians(angle_deg)))
    # OpenCV turns anticlockwise on the screen: (x, y) -> (c x + s y, -s x + c y)
    normal = cv2.addWeighted(gradient[0], -s * ZERO, gradient[1], c * ZERO, ZERO, dtype=cv2.CV_8U)
    rows, columns = gradient.shape[1:]
    high = int(np.ceil(abs(s) * columns + abs(c) * rows)) + 2 + 2 * max(WIDTHS_PX)
    wide = int(np.ceil(abs(c) * columns + abs(s) * rows)) + 2
    turn = cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), angle_deg, 1.0)
    turn[:, 2] += np.array([(wide - columns) / 2, (high - rows) / 2])
    turned = cv2.warpAffine(normal, turn, (wide, high), flags=cv2.INTER_LINEAR, borderValue=ZERO)
    back = np.asarray(cv2.invertAffineTransform(turn), np.float64)
    return np.asarray(cv2.blur(turned, (piece, 3), borderType=cv2.BORDER_REPLICATE), np.uint8), back


def _peaks(edges: Levels, bright: bool, piece: int) -> list[tuple[float, float, float, float]]:
    """Best pairs of facing edges: score, row, column, width."""
    opposite = ~edges  # mirrors the levels about ZERO
    signed, opposite = (edges, opposite) if bright else (opposite, edges)
    wide = max(WIDTHS_PX)
    rows = len(signed) - wide
    least = int(ZERO * (1 + LEAST_PAIR))
    best = np.full((rows, signed.shape[1]), least, np.uint8)
    pair = np.empty_like(best)
    for width in WIDTHS_PX:  # both edges are shifted by half the width, so that the bar's middle stays on its row
        first = (wide - width) // 2
        np.minimum(signed[first : first + rows], opposite[first + width : first + width + rows], out=pair)
        np.maximum(best, pair, out=best)
    peaks = []
    for _ in range(PEAKS_PER_ANGLE):
        y, x = divmod(int(best.argmax()), best.shape[1])
        if best[y, x] <= least:
            break
        levels = np.minimum(signed[y + FIRST_EDGES, x], opposite[y + SECOND_EDGES, x])
        which = len(levels) - 1 - int(levels[::-1].argmax())
        level, width = int(levels[which]), WIDTHS_PX[which]
        peaks.append((level / ZERO - 1, y + (wide - width) // 2 + width / 2, float(x), float(width)))
        reach = int(width) + 3
        best[max(0, y - reach) : y + reach + 1, max(0, x - piece) : x + piece + 1] = least
    return peaks


def _thin(found: list[_Peak], bright: bool, most: int) -> list[_Peak]:
    kept: list[_Peak] = []
    for one in sorted((f for f in found if f.bright is bright), reverse=True):
        if not any(_same(one, other) for other in kept):
            kept.append(one)
            if len(kept) == most:
                break
    return kept


def _same(a: _Peak, b: _Peak) -> bool:
    turn = abs((a.angle_deg - b.angle_deg + 90) % 180 - 90)
    if turn > 12:
        return False
    rad = np.radians(b.angle_deg)
    dx, dy = a.column - b.column, a.row - b.row
    across = abs(dx * np.sin(rad) + dy * np.cos(rad))
    along = abs(dx * np.cos(rad) - dy * np.sin(rad))
    return bool(across < 4 + along * 0.1 and along < 4 * PIECE_PX)


def _bar(f: _Peak, factor: tuple[float, float]) -> Bar:
    score, r, c, angle, width, bright = f
    rad = np.radians(angle)
    # a line that lies level after an anticlockwise turn ran downward by `angle` from left to right
    direction = np.array([np.sin(rad) * factor[0], np.cos(rad) * factor[1]])
    direction /= np.linalg.norm(direction)
    return Bar(
        centre=((r + 0.5) * factor[0] - 0.5, (c + 0.5) * factor[1] - 0.5),
        direction=(float(direction[0]), float(direction[1])),
        width_px=float(width * np.sqrt(factor[0] * factor[1])),
        score=score,
        bright=bright,
    )
