"""Straight bars in a reduced picture: pairs of parallel edges of opposite sign, found by rotating the gradient field.

A thick needle is two parallel edges that face each other; a single edge (collimator, bone) has only one of them. The gradient is
normalised by the local noise, so that a faint shaft over bone counts as much as a bright one over sacrum.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from marrowpoint.frame import FloatImage, Mask

WORK_SIDE_PX = 288  # longest side of the reduced picture; a 22G needle is still about one pixel wide here
ANGLE_STEP_DEG = 5.0  # half a step moves the end of a piece by under two pixels
PIECE_PX = 26  # length over which an edge must hold, in reduced pixels
WIDTHS_PX = (2, 3, 4, 5, 7, 9, 12)  # reduced pixels: 7 to 43 px at 1024
PEAKS_PER_ANGLE = 4
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


def find_bars(image: FloatImage, field: Mask, *, most: int = 12) -> tuple[Bar, ...]:
    """Find pieces of straight bars of either sign, best first.

    Parameters
    ----------
    image : ndarray of shape (M, N), float32
        Picture with values of about 0..1.
    field : ndarray of shape (M, N), bool
        Where the picture may be trusted.
    most : int
        Most bars kept of each sign.

    Returns
    -------
    tuple of Bar
    """
    scale = max(1.0, max(image.shape) / WORK_SIDE_PX)
    shape = (round(image.shape[0] / scale), round(image.shape[1] / scale))
    small = cv2.resize(image, shape[::-1], interpolation=cv2.INTER_AREA)
    inside = cv2.resize(field.astype(np.uint8), shape[::-1], interpolation=cv2.INTER_AREA)
    gradient = normalised_gradient(small, inside)
    side = int(np.ceil(np.hypot(*shape))) + 2
    found: list[tuple[float, float, float, float, float, bool]] = []
    for angle in np.arange(0.0, 180.0, ANGLE_STEP_DEG):
        turn = _turn(shape, side, float(angle))
        edges = _edge_map(gradient, turn, side, float(angle))
        back = cv2.invertAffineTransform(turn)
        for bright in (True, False):
            for score, y, x, width in _peaks(edges, bright):
                c, r = back @ (x, y, 1.0)
                found.append((score, float(r), float(c), float(angle), width, bright))
    factor = (image.shape[0] / shape[0], image.shape[1] / shape[1])
    return tuple(_bar(f, factor) for bright in (True, False) for f in _thin(found, bright, most))


def normalised_gradient(small: FloatImage, inside: np.ndarray) -> FloatImage:
    """Gradient (d/dx, d/dy) divided by noise and floor, soft-limited to length 1, zero outside the field.

    Parameters
    ----------
    small : ndarray of shape (m, n), float32
    inside : ndarray of shape (m, n), uint8
        Non-zero inside the field.

    Returns
    -------
    ndarray of shape (m, n, 2), float32
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
    return np.dstack([gx * weight, gy * weight])


def _turn(shape: tuple[int, int], side: int, angle_deg: float) -> np.ndarray:
    turn = cv2.getRotationMatrix2D(((shape[1] - 1) / 2, (shape[0] - 1) / 2), angle_deg, 1.0)
    turn[:, 2] += (side - 1) / 2 - (shape[1] - 1) / 2, (side - 1) / 2 - (shape[0] - 1) / 2
    return turn


def _edge_map(gradient: FloatImage, turn: np.ndarray, side: int, angle_deg: float) -> FloatImage:
    turned = cv2.warpAffine(gradient, turn, (side, side), flags=cv2.INTER_LINEAR)
    c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    # OpenCV turns anticlockwise on the screen: (x, y) -> (c x + s y, -s x + c y)
    normal = -s * turned[..., 0] + c * turned[..., 1]
    return cv2.blur(normal, (PIECE_PX, 3))


def _peaks(edges: FloatImage, bright: bool) -> list[tuple[float, float, float, float]]:
    signed = edges if bright else -edges
    best = np.zeros_like(signed)
    width_of = np.zeros(signed.shape, np.float32)
    for width in WIDTHS_PX:
        first, second = signed[:-width], -signed[width:]
        pair = np.minimum(first, second)
        top = (width + 1) // 2
        target = best[top : top + len(pair)]
        better = pair > target
        np.copyto(target, pair, where=better)
        width_of[top : top + len(pair)][better] = width
    peaks = []
    for _ in range(PEAKS_PER_ANGLE):
        y, x = divmod(int(best.argmax()), best.shape[1])
        score, width = float(best[y, x]), float(width_of[y, x])
        if score <= 0.1:
            break
        middle = y - ((width + 1) // 2) + width / 2
        peaks.append((score, float(middle), float(x), width))
        reach = int(width) + 3
        best[max(0, y - reach) : y + reach + 1, max(0, x - PIECE_PX) : x + PIECE_PX + 1] = 0
    return peaks


def _thin(found: list[tuple[float, float, float, float, float, bool]], bright: bool, most: int) -> list[tuple]:
    kept: list[tuple] = []
    for one in sorted((f for f in found if f[5] is bright), reverse=True):
        if not any(_same(one, other) for other in kept):
            kept.append(one)
            if len(kept) == most:
                break
    return kept


def _same(a: tuple, b: tuple) -> bool:
    turn = abs((a[3] - b[3] + 90) % 180 - 90)
    if turn > 12:
        return False
    rad = np.radians(b[3])
    dx, dy = a[2] - b[2], a[1] - b[1]
    across = abs(dx * np.sin(rad) + dy * np.cos(rad))
    along = abs(dx * np.cos(rad) - dy * np.sin(rad))
    return bool(across < 4 + along * 0.1 and along < 4 * PIECE_PX)


def _bar(f: tuple, factor: tuple[float, float]) -> Bar:
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
