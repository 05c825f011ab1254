"""The part of a fluoroscopic frame that X-rays reached, with its polarity settled."""

from __future__ import annotations

from dataclasses import dataclass

from marrowpoint.frame import FloatImage, Mask


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
    """

    attenuation: FloatImage
    field: Mask
    inverted: bool
    polarity_confidence: float
