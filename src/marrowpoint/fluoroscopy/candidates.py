"""Straight bars in a reduced picture: pairs of parallel edges of opposite sign, found by rotating the gradient field.

A thick needle is two parallel edges that face each other; a single edge (collimator, bone) has only one of them. The gradient
is normalised by the local noise, so that a faint shaft over bone counts as much as a bright one over sacrum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from marrowpoint.frame import FloatImage, Mask

WORK_SIDE_PX = 256  # longest side of the reduced picture; a 22G needle is still about one pixel wide here
ANGLE_STEP_DEG = 5.0  # half a step moves the end of a piece by under two pixels
PIECE_PX = 26  # length over which an edge must hold, in reduced pixels
STUB_PX = 11  # the same for short bars: foreshortened, or nearly hidden by a handle
WIDTHS_PX = (2, 3, 4, 5, 7, 9, 12)  # reduced pixels: 7 to 43 px at 1024
PEAKS_PER_ANGLE = 3
LEAST_PAIR = 0.2  # mean agreement below which a pair of edges is noise
GRADIENT_FLOOR = 0.004  # of the full range per pixel: below one grey level of an 8-bit picture nothing is an edge


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A piece of a straight bar, in full-resolution pixels.

    Parameters
    ----------
    centre : tuple of float
        (row, column) of its middle [px].
    direction : tuple of float
        Unit vector (row, column) along it; its sign means nothing.
    width_px : float
        Rough width [px].
    score : float
        0..1, mean agreement of the weaker of its two edges.
    bright : bool
        True if the bar has larger values than both sides.
    """

    centre: tuple[float, float]
    direction: tuple[float, float]
    width_px: float
    score: float
    bright: bool


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
    step_deg: float = ANGLE_STEP_DEG,
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
    step_deg : float
        Step of direction.
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
    side = int(np.ceil(np.hypot(*shape))) + 2
    found: list[_Peak] = []
    for angle in np.arange(0.0, 180.0, step_deg):
        turn = _turn(shape, side, float(angle))
        edges = _edge_map(gradient, turn, float(angle), piece)
        back = cv2.invertAffineTransform(turn)
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


def _turn(shape: tuple[int, int], side: int, angle_deg: float) -> np.ndarray:
    turn = cv2.getRotationMatrix2D(((shape[1] - 1) / 2, (shape[0] - 1) / 2), angle_deg, 1.0)
    turn[:, 2] += np.array([(side - shape[1]) / 2, (side - shape[0]) / 2])
    return turn


def _edge_map(gradient: FloatImage, turn: np.ndarray, angle_deg: float, piece: int) -> FloatImage:
    c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    # OpenCV turns anticlockwise on the screen: (x, y) -> (c x + s y, -s x + c y)
    normal = cv2.addWeighted(gradient[0], -s, gradient[1], c, 0.0)
    side = int(np.ceil(np.hypot(*gradient.shape[1:]))) + 2
    turned = cv2.warpAffine(normal, turn, (side, side), flags=cv2.INTER_LINEAR)
    return np.asarray(cv2.blur(turned, (piece, 3)), np.float32)


def _peaks(edges: FloatImage, bright: bool, piece: int) -> list[tuple[float, float, float, float]]:
    opposite = -edges
    signed, opposite = (edges, opposite) if bright else (opposite, edges)
    wide = max(WIDTHS_PX)
    rows = len(signed) - wide
    best = np.full((rows, signed.shape[1]), LEAST_PAIR, np.float32)
    pair = np.empty_like(best)
    for width in WIDTHS_PX:  # both edges are shifted by half the width, so that the bar's middle stays on its row
        first = (wide - width) // 2
        np.minimum(signed[first : first + rows], opposite[first + width : first + width + rows], out=pair)
        np.maximum(best, pair, out=best)
    peaks = []
    for _ in range(PEAKS_PER_ANGLE):
        y, x = divmod(int(best.argmax()), best.shape[1])
        if best[y, x] <= LEAST_PAIR:
            break
        score, width = max(
            (min(float(signed[y + (wide - w) // 2, x]), -float(signed[y + (wide - w) // 2 + w, x])), w) for w in WIDTHS_PX
        )
        peaks.append((score, y + (wide - width) // 2 + width / 2, float(x), float(width)))
        reach = int(width) + 3
        best[max(0, y - reach) : y + reach + 1, max(0, x - piece) : x + piece + 1] = LEAST_PAIR
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
