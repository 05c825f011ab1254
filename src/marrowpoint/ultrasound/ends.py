"""Where a shaft begins and ends along its line: runs of bright echo, and the valley between its end and bone."""

from __future__ import annotations

import numpy as np

from marrowpoint.frame import Mask

FINE_MM = 0.1  # sampling along a shaft for its tip
GAP_MM = 9.0  # a shaft fades out over so much where it lies askew to the beams
VALLEY = 0.35  # share of the shaft's contrast that must be lost between its end and the bone to tell the two apart
BEFORE_MM, SURE_MM = 6.0, 4.0  # of echo before its end: what its level is taken from, and where the end is not sought
END_BLUR_MM = 0.7  # from the tip to the half height of the visible end


def longest_chain(on: Mask) -> tuple[int, int, int, int] | None:
    """The longest chain of bright runs with small gaps between.

    Parameters
    ----------
    on : ndarray of shape (S,), bool
        Where a shaft shows, every `FINE_MM`.

    Returns
    -------
    tuple of int or None
        First sample, last sample, last sample before the last gap, and how many samples show it.
    """
    runs = [r for r in _runs(on) if (r[1] - r[0]) * FINE_MM >= 1.0]
    if not runs:
        return None
    chains: list[list[tuple[int, int]]] = [[runs[0]]]
    for run in runs[1:]:
        if (run[0] - chains[-1][-1][1]) * FINE_MM <= GAP_MM and (run[1] - run[0]) * FINE_MM >= 2.0:
            chains[-1].append(run)
        else:
            chains.append([run])
    best = max(chains, key=lambda chain: sum(b - a for a, b in chain))
    return best[0][0], best[-1][1] - 1, best[max(len(best) - 2, 0)][1] - 1, sum(b - a for a, b in best)


def end_of_echo(echo: np.ndarray, ground: float, *, near_bone: bool) -> int | None:
    """Half height of the end of a shaft's echo.

    Parameters
    ----------
    echo : ndarray of shape (S,)
        Grey values every `FINE_MM`: `BEFORE_MM` of shaft, the last sample that was taken for shaft, and what lies ahead.
    ground : float
        Grey value of the tissue beside the shaft.
    near_bone : bool
        Bone lies ahead.

    Returns
    -------
    int or None
        Index of the sample; None where the echo runs into that of bone without a valley between both.
    """
    level = float(np.percentile(echo[: int(BEFORE_MM / FINE_MM)], 75))
    first = int(SURE_MM / FINE_MM)
    tail = echo[first:]
    lowest = int(np.argmin(tail)) if len(tail) else 0
    lost = (level - float(tail[lowest])) / max(level - ground, 0.05) if len(tail) else 0.0
    if near_bone and lost < VALLEY:
        return None
    if len(tail) == 0:
        return first
    above = np.flatnonzero(tail[: lowest + 1] >= (level + float(tail[lowest])) / 2)
    return first + (int(above[-1]) if len(above) else 0)


def _runs(on: Mask) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], on.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
