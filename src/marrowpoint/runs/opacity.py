"""Two pictures of what a run showed of contrast: the most of each place at any time, and what came and stayed.

The most shows veins that fill and clear within a second; what stays averages more frames and shows fainter ones.
"""

from __future__ import annotations

import numpy as np

from marrowpoint.frame import FloatImage
from marrowpoint.runs.grid import misregistered
from marrowpoint.runs.subtract import Subtraction

KEEP_SHARE = 0.3  # of the newest frame in the running mean: contrast that comes and goes within a second is kept
MEAN_NOISE = 0.5  # of one difference: noise of the means of frames here, mask included
EDGE_PX = 1.0  # of the grid: edges are looked at with so much blur
RISE_SHARE = 0.25  # of the frames after the mask, in which what stays comes


def most_opaque(subtraction: Subtraction) -> FloatImage:
    """The most contrast that each place showed in a running mean of the frames after the mask, in noise SDs, shape (m, n)."""
    running = np.zeros_like(subtraction.noise)
    most = np.zeros_like(subtraction.noise)
    for frame, difference in zip(subtraction.frames, subtraction.stack, strict=True):
        running = running + np.float32(KEEP_SHARE) * (difference - running)
        if frame > subtraction.mask_frames[-1]:
            np.maximum(most, running, out=most)
    return np.asarray(most / doubt(subtraction), dtype=np.float32)


def steadily_opaque(subtraction: Subtraction) -> FloatImage:
    """The contrast of each place that rises soon after the mask and stays, by least squares, in noise SDs, shape (m, n)."""
    later = [k for k, frame in enumerate(subtraction.frames) if frame > subtraction.mask_frames[-1]]
    course = np.clip((np.arange(len(later)) + 0.5) / max(RISE_SHARE * len(later), 1.0), 0, 1).astype(np.float32)
    total = np.zeros_like(subtraction.noise)
    for share, index in zip(course, later, strict=True):
        total += share * subtraction.stack[index]
    return np.asarray(total / float(course @ course) / doubt(subtraction), dtype=np.float32)


def doubt(subtraction: Subtraction) -> FloatImage:
    """Noise SD of one difference, larger at edges: means of frames have about half the noise, misregistration stays.

    Parameters
    ----------
    subtraction : Subtraction

    Returns
    -------
    ndarray of shape (m, n), float32
        Attenuation.
    """
    return np.asarray(np.hypot(subtraction.noise, misregistered(subtraction, EDGE_PX) / MEAN_NOISE), dtype=np.float32)
