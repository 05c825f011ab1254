"""Find the scanned sector in a saved ultrasound screen, and mask what the user interface drew on it.

The shape of the sector is found from the picture alone: convex and phased probes by the two straight sides that meet in
one point above (or below) the picture, linear probes by an upright rectangle. Left and right are never guessed: nothing
here depends on which side of the picture is which side of the patient.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from marrowpoint.errors import NotAssessable
from marrowpoint.frame import FloatImage, Frame, Mask, UltrasoundRegion
from marrowpoint.ultrasound.fan import MIN_SIDE_PX, fit_sector, grown_hull, hull_of
from marrowpoint.ultrasound.marks import Levels, find_marks, levels_of
from marrowpoint.ultrasound.sector import Sector

ABOVE_BACKGROUND = 4  # grey levels; lossy JPEG ripples by up to three around the empty screen
BLOCK_PX = 13  # speckle is denser than this; text and rulers are not
DENSE = 0.45  # share of a block that must be lit
TISSUE = 1  # 0018,6014: tissue
COLOUR_FLOW = 2  # 0018,6014: colour flow, drawn over tissue
TWO_DIMENSIONAL = 1  # 0018,6012
COARSE = 4  # what surrounds a gap is as smooth as this [px]


def tissue_region(regions: tuple[UltrasoundRegion, ...]) -> UltrasoundRegion | None:
    """The largest region that shows tissue in two dimensions, or None.

    Parameters
    ----------
    regions : tuple of UltrasoundRegion

    Returns
    -------
    UltrasoundRegion or None
    """
    shown = [r for r in regions if r.spatial_format == TWO_DIMENSIONAL and r.data_type in (TISSUE, COLOUR_FLOW)]
    return max(shown, key=lambda r: (r.bottom - r.top) * (r.right - r.left), default=None)


def find_sector(frame: Frame, *, row_aspect: float = 1.0) -> Sector:
    """Find the scanned area of a saved ultrasound screen.

    Parameters
    ----------
    frame : Frame
    row_aspect : float
        Height of a pixel over its width.

    Returns
    -------
    Sector

    Raises
    ------
    NotAssessable
        Code ``no_ultrasound_picture`` if there is no area of speckle large enough.
    """
    levels = levels_of(frame.pixels)
    shown = frame.valid & _window(frame) & ~find_marks(frame, levels)
    active = _active(levels, shown)
    body = _body(active)
    hull = hull_of(body, row_aspect)
    sector = fit_sector(hull, body, active, row_aspect)
    return replace(sector, picture=shown & sector.covers(body.shape) & grown_hull(hull, body.shape, row_aspect))


def fill_unknown(pixels: FloatImage, known: Mask, *, reach_px: int) -> FloatImage:
    """Grey values with everything that is not known replaced by what surrounds it, so that no false edge is left.

    Parameters
    ----------
    pixels : ndarray of shape (M, N)
    known : ndarray of shape (M, N), bool
    reach_px : int
        Width of the surroundings.

    Returns
    -------
    ndarray of shape (M, N), float32
    """
    rows, columns = known.shape
    small = (max(columns // COARSE, 1), max(rows // COARSE, 1))
    share = known.astype(np.float32)
    block = (reach_px // COARSE | 1,) * 2
    weight = cv2.blur(cv2.resize(share, small, interpolation=cv2.INTER_AREA), block)
    around = cv2.blur(cv2.resize(pixels * share, small, interpolation=cv2.INTER_AREA), block) / np.maximum(weight, 1e-3)
    filled = np.asarray(cv2.resize(around, (columns, rows), interpolation=cv2.INTER_LINEAR), np.float32)
    np.copyto(filled, pixels, where=known)
    return filled


def _window(frame: Frame) -> Mask:
    window: Mask = np.ones(frame.pixels.shape, dtype=bool)
    region = tissue_region(frame.regions)
    if region is None:
        return window
    inside = np.zeros_like(window)
    inside[max(region.top, 0) : region.bottom + 1, max(region.left, 0) : region.right + 1] = True
    # a region that misses the picture (written for another screen layout) would hide it all
    return inside if inside.sum() > MIN_SIDE_PX**2 else window


def _active(levels: Levels, shown: Mask) -> Mask:
    """Pixels brighter than the empty screen."""
    histogram = cv2.calcHist([levels], [0], None, [64], [0, 64]).ravel()
    active: Mask = (levels >= int(np.argmax(histogram)) + ABOVE_BACKGROUND) & shown
    return active


def _body(active: Mask) -> Mask:
    """Largest connected area of speckle, holes filled."""
    lit = active.view(np.uint8)
    share = cv2.blur(lit * np.uint8(255), (BLOCK_PX, BLOCK_PX), borderType=cv2.BORDER_REPLICATE)
    dense = cv2.morphologyEx((share > 255 * DENSE).view(np.uint8), cv2.MORPH_OPEN, np.ones((BLOCK_PX, BLOCK_PX), np.uint8))
    # parts are as large as a block: every second pixel tells them apart
    count, labels, stats, _ = cv2.connectedComponentsWithStats(np.ascontiguousarray(dense[::2, ::2]))
    if count < 2:
        raise NotAssessable("no_ultrasound_picture", "no scanned area was found in the frame")
    area = stats[:, cv2.CC_STAT_AREA].copy()
    area[0] = 0
    # parts cut off by a bone's shadow belong to the picture when they are large
    kept = (area > 0.04 * area.max())[labels].view(np.uint8)
    whole = cv2.resize(kept, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)[: dense.shape[0], : dense.shape[1]]
    body: Mask = (whole & dense & cv2.dilate(lit, np.ones((3, 3), np.uint8))).view(bool)
    rows, columns = np.flatnonzero(body.any(axis=1)), np.flatnonzero(body.any(axis=0))
    if min(np.ptp(rows), np.ptp(columns)) < MIN_SIDE_PX:
        raise NotAssessable("no_ultrasound_picture", "the scanned area is too small to be measured")
    return body
