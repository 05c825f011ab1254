"""Straight bright bands that may be a needle: line integrals over all directions a needle can have."""

from __future__ import annotations

import cv2
import numpy as np

from marrowpoint.frame import FloatImage, Mask
from marrowpoint.ultrasound.plane import Line

PITCH_MM = 0.6  # a shaft's echo is 1.5 to 4 mm wide
STEP_DEG = 4.5  # a piece of LENGTH_MM stays in a band of WIDTH_MM within 5 degrees
STEEPEST_DEG = 78.0  # from the vertical; flatter needles lie along the layers and are no marrow needles
LENGTH_MM = 12.0  # shortest piece searched for
WIDTH_MM = 1.2
FLANK_MM = 3.4  # beyond the reverberations that stick to the shaft
WALL_MM = 6.4  # beyond the far wall of the thickest needle (8G, 4.2 mm)
SAME_DEG, SAME_MM = 22.0, 4.0  # a band so near to another is drawn to the same shaft
MIN_CONTRAST = 0.06  # grey value over both flanks
MAX_CANDIDATES = 4


def find_candidates(grid: FloatImage, known: Mask) -> list[tuple[float, Line]]:
    """Brightest straight bands, best first.

    Parameters
    ----------
    grid : ndarray of shape (m, n)
        The frame at `PITCH_MM`, with everything that is not tissue or needle painted over.
    known : ndarray of shape (m, n), bool
        Where the grid shows tissue or needle.

    Returns
    -------
    list of (float, Line)
        Contrast over both flanks, and the band's middle.
    """
    height, width = grid.shape
    size = int(np.ceil(np.hypot(height, width)))
    grey, mask = cv2.convertScaleAbs(np.clip(grid, 0, 1), alpha=255.0), known.view(np.uint8) * np.uint8(255)
    found: list[tuple[float, Line]] = []
    for angle in np.arange(-STEEPEST_DEG, STEEPEST_DEG + 0.1, STEP_DEG):
        turn = np.radians(angle)
        direction = np.array([np.cos(turn), np.sin(turn)])  # (down, right)
        across = np.array([-direction[1], direction[0]])
        # column of the turned picture = along, row = across
        start = np.array([height / 2, width / 2]) - direction * size / 2 - across * size / 2
        matrix = np.array([[direction[1], across[1], start[1]], [direction[0], across[0], start[0]]])
        turned = (
            cv2.warpAffine(picture, matrix, (size, size), flags=way | cv2.WARP_INVERSE_MAP)
            for picture, way in ((grey, cv2.INTER_LINEAR), (mask, cv2.INTER_NEAREST))
        )
        contrast = _contrast(*turned, upward=bool(angle > 0))
        for _ in range(2):
            row, column = np.unravel_index(int(np.argmax(contrast)), contrast.shape)
            value = float(contrast[row, column])
            if value < MIN_CONTRAST:
                break
            origin = (start + direction * column + across * row) * PITCH_MM
            line = Line(origin=(float(origin[0]), float(origin[1])), direction=(float(direction[0]), float(direction[1])))
            found.append((value, line))
            contrast[max(row - 8, 0) : row + 9, max(column - 20, 0) : column + 21] = 0
    found.sort(key=lambda item: -item[0])
    return _distinct(found)


def _contrast(grey: np.ndarray, mask: np.ndarray, *, upward: bool) -> FloatImage:
    """Mean grey value of a band over that of both its flanks; 0 where any of them is not in the picture.

    `upward`: rows count toward the probe. On the far side the other wall of a thick needle may lie: it is looked past.
    """
    kernel = (int(LENGTH_MM / PITCH_MM) | 1, int(WIDTH_MM / PITCH_MM) | 1)
    band, share = cv2.boxFilter(grey, cv2.CV_32F, kernel), cv2.blur(mask, kernel)
    flank = round(FLANK_MM / PITCH_MM)
    contrast: FloatImage = np.zeros_like(band)
    middle = contrast[flank:-flank]
    wall = round((WALL_MM - FLANK_MM) / PITCH_MM)
    if upward:
        near, far = band[2 * flank :], band[: -2 * flank]
        far = np.minimum(far, np.vstack([far[:1].repeat(wall, axis=0), far[:-wall]]))
    else:
        near, far = band[: -2 * flank], band[2 * flank :]
        far = np.minimum(far, np.vstack([far[wall:], far[-1:].repeat(wall, axis=0)]))
    np.maximum(near, far, out=middle)
    np.subtract(band[flank:-flank], middle, out=middle)
    beside = np.minimum(share[: -2 * flank], share[2 * flank :])
    middle *= np.float32(1 / 255) * ((share[flank:-flank] >= 0.75 * 255) & (beside >= 0.5 * 255))
    return contrast


def _distinct(found: list[tuple[float, Line]]) -> list[tuple[float, Line]]:
    kept: list[tuple[float, Line]] = []
    for value, line in found:
        if len(kept) == MAX_CANDIDATES:
            break
        if not any(_same(line, other) for _, other in kept):
            kept.append((value, line))
    return kept


def _same(a: Line, b: Line) -> bool:
    cosine = a.direction[0] * b.direction[0] + a.direction[1] * b.direction[1]
    offset = (b.origin[0] - a.origin[0]) * a.normal[0] + (b.origin[1] - a.origin[1]) * a.normal[1]
    return cosine > np.cos(np.radians(SAME_DEG)) and abs(offset) < SAME_MM
