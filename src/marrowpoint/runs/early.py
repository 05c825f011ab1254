"""The first frames once more, backwards from where the needle was surely found.

A needle comes into the picture as a stub, and an edge of bone may be taken for it, or nothing at all. Once it has come farther
it is found, and can be followed back to where it came from: the first frames are kept until then.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from marrowpoint.frame import FloatImage
from marrowpoint.needle import Needle

MOST_BYTES = 64 * 2**20  # of the frames that are kept
MOST = 0.9  # of the frames must agree that one thing is followed
TURN_DEG, ASIDE_WIDTHS = 25.0, 6.0  # an operator tilts and redirects a needle by less while a run lasts
GIVEN_UP = 6  # frames without a needle, going back


class Early:
    """The first frames of a run, as many as fit."""

    def __init__(self) -> None:
        self.pixels: dict[int, FloatImage] = {}
        self.full = False

    def add(self, index: int, pixels: FloatImage) -> None:
        """Keep a frame, where there is room.

        Parameters
        ----------
        index : int
        pixels : ndarray of shape (M, N), float32
        """
        self.full = self.full or (len(self.pixels) + 1) * pixels.nbytes > MOST_BYTES
        if not self.full:
            self.pixels[index] = pixels


def agreeing(placed: Sequence[tuple[tuple[float, float], Needle]]) -> NDArray[np.bool_]:
    """Which of the shafts found in a run are the same one, as most of them are.

    Parameters
    ----------
    placed : sequence of (tuple of float, Needle)
        Tip where the patient lay in the first frame, and needle.

    Returns
    -------
    ndarray of shape (K,), bool
    """
    axes = np.array([needle.axis for _, needle in placed])
    tips = np.array([tip for tip, _ in placed])
    middle = np.median(axes, axis=0)
    middle = middle / max(float(np.linalg.norm(middle)), 1e-9)
    turn = np.degrees(np.arccos(np.clip(axes @ middle, -1, 1)))
    aside = np.abs((tips - np.median(tips, axis=0)) @ np.array([middle[1], -middle[0]]))
    width = float(np.median([needle.width_px for _, needle in placed]))
    return np.asarray((turn < TURN_DEG) & (aside < ASIDE_WIDTHS * width))


def of_one_needle(placed: dict[int, tuple[tuple[float, float], Needle]]) -> list[int]:
    """The frames that show the needle which a run follows, from the first on.

    Parameters
    ----------
    placed : dict of int to (tuple of float, Needle)
        By frame, as for `agreeing`.

    Returns
    -------
    list of int
        Empty where what comes after the first such frame is not one needle.
    """
    if not placed:
        return []
    frames = sorted(placed)
    agree = agreeing([placed[frame] for frame in frames])
    if not agree.any() or float(agree[int(np.argmax(agree)) :].mean()) < MOST:
        return []
    return [frame for frame, same in zip(frames, agree, strict=True) if same]
