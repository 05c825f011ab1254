"""How much each echo looks like the surface of bone: bright, a line, dark and quiet behind."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import fft

from marrowpoint.frame import FloatImage
from marrowpoint.ultrasound.beams import BeamSpace

TAIL_MM = 5.0  # the echo of bone rings on for several millimetres; the shadow counts from there
SHADOW_MM = 25.0  # deeper than this the picture fades by itself
SKIN_MM = 4.0  # probe face and skin are bright everywhere and are no bone
RIDGE_WAVELENGTH_MM = 4.0  # a line about 1 to 2 mm thick
FINE_WAVELENGTH = 14.0  # samples a wave; more cost time and tell nothing
CREST_MM = 1.5  # behind a surface its own echo still rises so far
ABOVE_MM = (1.2, 6.0)  # where the tissue is that an echo must stand out from


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Echoes:
    """Echoes blurred by less than a pulse, and the grey values that matter among them.

    Parameters
    ----------
    smooth : ndarray of shape (B, D), float32
    brightest : float
        Grey value of the brightest echoes (0.4 at least).
    tissue, ceiling : float
        Grey value of common tissue, and one that little tissue exceeds.
    """

    smooth: FloatImage
    brightest: float
    tissue: float
    ceiling: float


def echoes_of(beams: BeamSpace) -> Echoes:
    """Blur the echoes and read off their grey values.

    Parameters
    ----------
    beams : BeamSpace

    Returns
    -------
    Echoes
    """
    sigma = max(0.35 / beams.mm_per_sample, 0.5)
    smooth = np.asarray(cv2.GaussianBlur(beams.echo, (0, 0), sigmaX=sigma, sigmaY=1.0), np.float32)
    seen = smooth[::2][beams.known[::2]]
    if len(seen) == 0:
        return Echoes(smooth=smooth, brightest=1.0, tissue=0.0, ceiling=1.0)
    top, tissue, ceiling = (float(v) for v in np.percentile(seen, (99.5, 65, 75)))
    return Echoes(smooth=smooth, brightest=max(top, 0.4), tissue=tissue, ceiling=ceiling)


def bone_score(echoes: Echoes, beams: BeamSpace) -> FloatImage:
    """How much each sample looks like the surface of bone: bright, a line, and dark behind.

    Parameters
    ----------
    echoes : Echoes
    beams : BeamSpace
        The beams that they are of.

    Returns
    -------
    ndarray of shape (B, D), float32
        0..1.
    """
    mm = beams.mm_per_sample
    bright = _brightness(echoes, beams)
    ridge = phase_symmetry(echoes.smooth, wavelength=RIDGE_WAVELENGTH_MM / mm)
    score: FloatImage = 0.65 * bright + 0.35 * np.sqrt(ridge * bright)
    score *= _shadow(echoes, beams) * _quiet(echoes.smooth, beams)
    score[~beams.known] = 0
    score[:, : int(SKIN_MM / mm)] = 0
    return score


def phase_symmetry(image: FloatImage, *, wavelength: float) -> FloatImage:
    """Bright-line phase symmetry of the monogenic signal at one scale.

    Parameters
    ----------
    image : ndarray of shape (M, N)
    wavelength : float
        Centre wavelength of the log-Gabor band [px].

    Returns
    -------
    ndarray of shape (M, N), float32
        0..1, large on bright lines.
    """
    factor = max(int(wavelength / FINE_WAVELENGTH), 1)
    size = image.shape[::-1]
    if factor > 1:
        small = cv2.resize(image, (size[0] // factor, size[1] // factor), interpolation=cv2.INTER_AREA)
        image = np.asarray(small, np.float32)
    symmetry = _symmetry(image, wavelength / factor)
    return symmetry if factor == 1 else np.asarray(cv2.resize(symmetry, size, interpolation=cv2.INTER_LINEAR), np.float32)


def _symmetry(image: FloatImage, wavelength: float) -> FloatImage:
    rows, columns = (fft.next_fast_len(n, real=True) for n in image.shape)
    spectrum = fft.rfft2(image, s=(rows, columns))
    v = fft.fftfreq(rows)[:, None].astype(np.float32)
    u = fft.rfftfreq(columns)[None].astype(np.float32)
    radius = np.hypot(u, v)
    radius[0, 0] = 1.0
    band = np.exp(-(np.log(radius * np.float32(wavelength)) ** 2) / (2 * np.log(0.55) ** 2)).astype(np.float32)
    band[0, 0] = 0.0
    filtered = spectrum * band
    even = fft.irfft2(filtered, s=(rows, columns))[: image.shape[0], : image.shape[1]]
    filtered *= 1j / radius
    odd_u = fft.irfft2(filtered * u, s=(rows, columns))[: image.shape[0], : image.shape[1]]
    odd_v = fft.irfft2(filtered * v, s=(rows, columns))[: image.shape[0], : image.shape[1]]
    odd = np.hypot(odd_u, odd_v)
    amplitude = np.hypot(even, odd)
    threshold = 0.01  # echoes fainter than this are noise of the empty screen
    symmetry: FloatImage = (np.clip(even - 0.6 * odd - threshold, 0, None) / (amplitude + threshold)).astype(np.float32)
    return symmetry


def _sums(values: np.ndarray) -> FloatImage:
    """Sums from the probe to each sample, with a leading zero."""
    sums: FloatImage = np.zeros((values.shape[0], values.shape[1] + 1), np.float32)
    np.cumsum(values, axis=1, dtype=np.float32, out=sums[:, 1:])
    return sums


def _brightness(echoes: Echoes, beams: BeamSpace) -> FloatImage:
    """How far each sample stands out from the tissue just above it, as a share of what the grey scale leaves (0..1)."""
    smooth, mm, depth = echoes.smooth, beams.mm_per_sample, echoes.smooth.shape[1]
    top = np.float32(echoes.brightest)
    total = _sums(smooth)
    last = np.clip(np.arange(depth) - int(ABOVE_MM[0] / mm), 1, depth)
    first = np.clip(np.arange(depth) - int(ABOVE_MM[1] / mm), 0, last - 1)
    above = (total[:, last] - total[:, first]) * (1 / (last - first)).astype(np.float32)
    # a flank that the beam grazes glows long before it is met: there only the common tissue level tells it from tissue
    tissue = np.minimum(above, np.float32(echoes.tissue))
    step = (smooth - above) / (np.float32(0.6) * np.maximum(top - above, np.float32(0.2)))
    level = (smooth - tissue) / (np.float32(0.9) * np.maximum(top - tissue, np.float32(0.2)))
    bright: FloatImage = np.clip(np.maximum(step, level), 0, 1)
    return bright


def _quiet(smooth: FloatImage, beams: BeamSpace) -> FloatImage:
    """Whether nothing rises again behind each sample (0..1): an echo of bone only decays, behind a layer follow more."""
    calm = cv2.blur(smooth, (max(int(0.8 / beams.mm_per_sample), 1), 1))
    highest = np.maximum.accumulate(calm[:, ::-1], axis=1)[:, ::-1]
    rise = np.maximum.accumulate((highest - calm)[:, ::-1], axis=1)[:, ::-1]
    after = np.minimum(np.arange(smooth.shape[1]) + int(CREST_MM / beams.mm_per_sample), smooth.shape[1] - 1)
    quiet: FloatImage = np.clip(np.float32(1.6) - 2 * rise[:, after] / np.maximum(calm, np.float32(0.1)), 0, 1)
    return quiet


def _shadow(echoes: Echoes, beams: BeamSpace) -> FloatImage:
    """How dark it is behind each sample (0..1)."""
    smooth, mm, depth = echoes.smooth, beams.mm_per_sample, echoes.smooth.shape[1]
    # what lies outside the picture is dark too, but no shadow
    total, count = _sums(np.where(beams.known, smooth, 0)), _sums(beams.known)
    index = np.arange(depth)
    first = np.minimum(index + int(TAIL_MM / mm), depth)
    last = np.minimum(first + int(SHADOW_MM / mm), depth)
    samples = count[:, last] - count[:, first]
    behind = (total[:, last] - total[:, first]) / np.maximum(samples, 1)
    above = _tissue_above(echoes, beams)
    # how bright tissue would be behind: the picture fades with depth, which a shadow must not be mistaken for
    tissue = np.percentile(smooth[::4], 75, axis=0)
    level = _sums(np.minimum(tissue, echoes.ceiling)[None])[0]
    expected = np.clip((level[last] - level[first]) / np.maximum(last - first, 1), 0.5 * above, above)
    dark = np.clip(np.float32(1.5) - np.float32(2.2) * behind / np.maximum(expected, np.float32(0.02)), 0, 1)
    # near the end of the beam there is little or no shadow left to judge by
    evidence = np.clip(samples * np.float32(mm / 3.0), 0, 1)
    shadow: FloatImage = (dark * evidence + np.float32(0.5) * (1 - evidence)).astype(np.float32)
    return shadow


def _tissue_above(echoes: Echoes, beams: BeamSpace) -> FloatImage:
    """Grey value of the tissue above each sample, shared among neighbouring beams: one beam's tissue is patchy."""
    mm, depth = beams.mm_per_sample, echoes.smooth.shape[1]
    index = np.arange(depth)
    start = int(SKIN_MM / mm)
    first = np.clip(index - int(SHADOW_MM / mm), min(start, depth - 1), depth)
    last = np.maximum(index - int(1.0 / mm), first + 1)
    # a needle or a fascia above would make any tissue look dark by comparison
    plain = _sums(np.minimum(echoes.smooth, np.float32(echoes.ceiling)))
    above = (plain[:, np.minimum(last, depth)] - plain[:, first]) * (1 / np.maximum(last - first, 1)).astype(np.float32)
    return np.asarray(cv2.blur(np.ascontiguousarray(above), (1, 41), borderType=cv2.BORDER_REPLICATE), np.float32)
