"""Straightened strips: a picture sampled along a straight or bent line and across it, at sub-pixel places."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.frame import FloatImage, Points

Vector = NDArray[np.float64]


def sample_strip(
    image: FloatImage, origin: tuple[float, float], axis: tuple[float, float], along: Vector, across: Vector
) -> FloatImage:
    """Sample a picture on a straight grid.

    Parameters
    ----------
    image : ndarray of shape (M, N), float32
        Picture.
    origin : tuple of float
        (row, column) of the grid's zero [px].
    axis : tuple of float
        Unit vector (row, column) of the `along` direction; `across` runs along (-axis[1], axis[0]) in (row, column).
    along, across : ndarray of shape (S,) and (K,), float64
        Grid coordinates [px].

    Returns
    -------
    ndarray of shape (S, K), float32
        Linear interpolation; outside the picture the nearest border value.
    """
    s, n = along[:, None], across[None, :]
    rows = origin[0] + s * axis[0] - n * axis[1]
    columns = origin[1] + s * axis[1] + n * axis[0]
    return sample(image, rows, columns)


def sample_normals(image: FloatImage, line: Points, normals: Points, across: Vector) -> FloatImage:
    """Sample a picture along the normals of a line.

    Parameters
    ----------
    image : ndarray of shape (M, N), float32
    line, normals : ndarray of shape (S, 2), float64
        Points and unit normals, (row, column) [px].
    across : ndarray of shape (K,), float64
        Distances along the normal [px].

    Returns
    -------
    ndarray of shape (S, K), float32
    """
    rows = line[:, :1] + normals[:, :1] * across[None, :]
    columns = line[:, 1:] + normals[:, 1:] * across[None, :]
    return sample(image, rows, columns)


def sample(image: FloatImage, rows: Vector, columns: Vector) -> FloatImage:
    """Sample a picture at sub-pixel places (linear; the border value is continued outside).

    Parameters
    ----------
    image : ndarray of shape (M, N), float32
    rows, columns : ndarray of shape (S, K), float64
        Places [px].

    Returns
    -------
    ndarray of shape (S, K), float32
    """
    # OpenCV's remap keeps only 5 bits of the fraction, which would move an edge by up to 1/64 px
    r = np.clip(rows, 0, image.shape[0] - 1.001)
    c = np.clip(columns, 0, image.shape[1] - 1.001)
    r0, c0 = np.maximum(r.astype(np.intp), 0), np.maximum(c.astype(np.intp), 0)
    fr, fc = (r - r0).astype(np.float32), (c - c0).astype(np.float32)
    flat, width = image.ravel(), image.shape[1]
    k = r0 * width + c0
    top = flat[k] * (1 - fc) + flat[k + 1] * fc
    bottom = flat[k + width] * (1 - fc) + flat[k + width + 1] * fc
    strip: FloatImage = top * (1 - fr) + bottom * fr
    return strip


def peak_offset(values: Vector) -> float:
    """Sub-sample place of the maximum by a parabola through it and its neighbours.

    Parameters
    ----------
    values : ndarray of shape (K,), float64

    Returns
    -------
    float
        Place in samples from the first; the plain maximum at the ends.
    """
    i = int(np.argmax(values))
    if i == 0 or i == len(values) - 1:
        return float(i)
    a, b, c = float(values[i - 1]), float(values[i]), float(values[i + 1])
    bend = a - 2 * b + c
    return i + (0.5 * (a - c) / bend if bend < 0 else 0.0)


def smooth_along(strip: FloatImage, length: int) -> FloatImage:
    """Mean over `length` samples along the first axis.

    Parameters
    ----------
    strip : ndarray of shape (S, K), float32
    length : int
        Odd number of samples.

    Returns
    -------
    ndarray of shape (S, K), float32
    """
    return np.asarray(cv2.blur(strip, (1, length), borderType=cv2.BORDER_REPLICATE), np.float32)
