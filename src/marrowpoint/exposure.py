"""The part of a fluoroscopic frame that X-rays reached, with its polarity settled."""

from __future__ import annotations

from dataclasses import dataclass

from marrowpoint.frame import FloatImage, Mask


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exposure:
    """A projection ready to be searched.

    Parameters
    ----------
    attenuation : ndarray of shape (M, N), float32
        0..1, **larger = more attenuating**, whatever the file's polarity (monotone in log attenuation, display curve unknown).
    field : ndarray of shape (M, N), bool
        True where the picture is: inside collimator and shutters, without burned-in text.
    inverted : bool
        True if `attenuation` is one minus the frame's pixels.
    polarity_confidence : float
        0.5 = guessed, 1 = certain.
    bars : tuple of Bar, or None
        Attenuating bars that were seen while the polarity was settled, best first; None = not searched.
    """

    attenuation: FloatImage
    field: Mask
    inverted: bool
    polarity_confidence: float
    bars: tuple[Bar, ...] | None = None
