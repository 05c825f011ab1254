"""From path lengths to grey values: attenuation in three energies, scatter, quantum noise, blur, display.

Attenuation coefficients: NIST XCOM/X-Ray Mass Attenuation Coefficients (Hubbell and Seltzer) times the density.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from marrowpoint.frame import FloatImage

# Detected share of each energy bin (40, 55, 70 keV) behind the tube's filter.
BIN_SHARE = (0.30, 0.45, 0.25)
# Linear attenuation [1/mm] in these bins: water 1.00, cortical bone 1.92, marrow with trabeculae 1.15, iron 7.87 g/cm3.
ATTENUATION: dict[str, tuple[float, float, float]] = {
    "tissue": (0.0268, 0.0215, 0.0193),
    "cortex": (0.1278, 0.0700, 0.0505),
    "marrow": (0.0440, 0.0315, 0.0262),
    "steel": (2.86, 1.20, 0.66),
    "plastic": (0.0390, 0.0335, 0.0300),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposition:
    """Dose and imperfections of the detector.

    Parameters
    ----------
    counts : float
        Mean X-ray quanta a pixel behind the patient.
    scatter_share : float
        Scatter over primary, mean over the field.
    scatter_mm : float
        Width (sigma) of the scatter at the detector [mm].
    blur_px, grain_px : float
        Width (sigma) of focal spot and motion before, and of the detector after the quanta are counted [px].
    electronic_counts : float
        Electronic noise, as quanta a pixel.
    """

    counts: float = 150.0
    scatter_share: float = 0.5
    scatter_mm: float = 45.0
    blur_px: float = 0.9
    grain_px: float = 0.7
    electronic_counts: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Display:
    """From detected quanta to the saved picture.

    Parameters
    ----------
    bits : int
        Stored bits, 8 to 16.
    bone_bright : bool
        True: more attenuation is a larger stored value.
    field_shape : {"circle", "rectangle", "open"}
        Collimation.
    field_share : float
        Diameter or side of the field over the picture's.
    surround : float
        Grey outside the field, 0..1 of the stored range.
    contrast : float
        Steepness of the sigmoid display curve; 0 = linear window.
    sharpen : float
        Edge enhancement (unsharp mask), 0 = none.
    window : tuple of float
        Percentiles of the field that become black and white.
    labels : tuple of (str, tuple of float)
        Burned-in texts and where they start, (row, column) as shares of the picture.
    """

    bits: int = 12
    bone_bright: bool = False
    field_shape: str = "circle"
    field_share: float = 0.96
    surround: float = 0.0
    contrast: float = 0.0
    sharpen: float = 0.0
    window: tuple[float, float] = (0.5, 99.5)
    labels: tuple[tuple[str, tuple[float, float]], ...] = field(default=())


def transmission(paths_mm: dict[str, FloatImage]) -> FloatImage:
    """Share of the beam that passes, for path lengths in each material.

    Parameters
    ----------
    paths_mm : dict of str to ndarray of shape (m, n)
        Length of each ray in a material of `ATTENUATION` [mm].

    Returns
    -------
    ndarray of shape (m, n), float32
        0..1, detected energy-bin shares summed (Beer-Lambert in each bin).
    """
    total: FloatImage = np.zeros_like(next(iter(paths_mm.values())))
    for k, share in enumerate(BIN_SHARE):
        exponent: FloatImage = np.zeros_like(total)
        for material, path in paths_mm.items():
            exponent += np.float32(ATTENUATION[material][k]) * path
        total += np.float32(share) * np.exp(-exponent)
    return total


def detect(passed: FloatImage, exposition: Exposition, pitch_mm: float, rng: np.random.Generator) -> FloatImage:
    """Quanta counted by the detector, with scatter, blur and noise.

    Parameters
    ----------
    passed : ndarray of shape (m, n)
        Transmission of the primary beam.
    exposition : Exposition
    pitch_mm : float
        Distance of pixels at the detector [mm].
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of shape (m, n), float32
        Mean 1 where the transmission has its median.
    """
    step = 8
    small = cv2.resize(passed, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA)
    haze = cv2.GaussianBlur(small, (0, 0), exposition.scatter_mm / pitch_mm / step, borderType=cv2.BORDER_REFLECT)
    haze = cv2.resize(haze, passed.shape[::-1], interpolation=cv2.INTER_CUBIC)
    primary = cv2.GaussianBlur(passed, (0, 0), exposition.blur_px)
    quanta = np.maximum(primary + np.float32(exposition.scatter_share) * haze, 0)
    gain = exposition.counts / float(np.median(quanta))
    counted = rng.poisson(quanta.astype(np.float64) * gain) + rng.normal(0, exposition.electronic_counts, quanta.shape)
    return np.asarray(cv2.GaussianBlur((counted / exposition.counts).astype(np.float32), (0, 0), exposition.grain_px))


def show(detected: FloatImage, display: Display, field_mask: FloatImage) -> FloatImage:
    """Log, window, display curve, collimator and texts.

    Parameters
    ----------
    detected : ndarray of shape (m, n)
    display : Display
    field_mask : ndarray of shape (m, n)
        1 inside the collimator, soft at its edge.

    Returns
    -------
    ndarray of shape (m, n), float32
        0..1 as stored.
    """
    dark = -np.log(np.maximum(detected, 0.004))
    if display.sharpen > 0:
        dark = dark + display.sharpen * (dark - cv2.GaussianBlur(dark, (0, 0), 4))
    low, high = np.percentile(dark[field_mask > 0.5], display.window)
    value = np.clip((dark - low) / (high - low), 0, 1)
    if display.contrast > 0:
        edge = np.tanh(display.contrast / 2)
        value = 0.5 + 0.5 * np.tanh(display.contrast * (value - 0.5)) / edge
    if not display.bone_bright:
        value = 1 - value
    value = value * field_mask + display.surround * (1 - field_mask)
    return _label(value.astype(np.float32), display)


def collimator(shape: tuple[int, int], display: Display) -> FloatImage:
    """The collimated field, 1 inside and soft at its edge, shape (m, n)."""
    rows, columns = np.indices(shape, dtype=np.float32)
    r, c = rows - (shape[0] - 1) / 2, columns - (shape[1] - 1) / 2
    half = display.field_share * min(shape) / 2
    if display.field_shape == "open":
        return np.ones(shape, dtype=np.float32)
    inside = half - np.hypot(r, c) if display.field_shape == "circle" else half - np.maximum(np.abs(r), np.abs(c))
    soft: FloatImage = np.clip(inside / 3 + 0.5, 0, 1).astype(np.float32)
    return soft


def _label(value: FloatImage, display: Display) -> FloatImage:
    size = value.shape[0] / 768
    ink = np.zeros(value.shape, dtype=np.uint8)
    for text, (row, column) in display.labels:
        place = round(column * value.shape[1]), round(row * value.shape[0])
        cv2.putText(ink, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.75 * size, (255,), max(1, round(1.6 * size)), cv2.LINE_AA)
    labelled: FloatImage = np.maximum(value, ink.astype(np.float32) / 255)
    return labelled
