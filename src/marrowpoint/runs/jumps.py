"""Tips that their neighbours in time do not confirm are doubted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from marrowpoint.needle import Needle
from marrowpoint.runs.scan import Scan

JUMP_SHARE = 0.5  # of a deviation from its neighbours in time enters the doubt


def with_jumps(needles: Sequence[Needle | None], scan: Scan) -> list[Needle | None]:
    """Widen the doubt of a tip that its neighbours in time, moved with the patient, do not confirm.

    Parameters
    ----------
    needles : sequence of Needle or None
        By frame.
    scan : Scan

    Returns
    -------
    list of Needle or None
    """
    placed = [None if n is None else scan.poses[i].scaled(scan.factor).back(n.tip) for i, n in enumerate(needles)]
    out: list[Needle | None] = []
    for index, needle in enumerate(needles):
        if needle is None:
            out.append(None)
            continue
        here = placed[index]
        near = [p for k in range(max(0, index - 2), min(len(placed), index + 3)) if k != index and (p := placed[k]) is not None]
        if here is None or len(near) < 2:
            out.append(needle)
            continue
        middle = np.median(np.array(near), axis=0)
        off = JUMP_SHARE * float(np.hypot(here[0] - middle[0], here[1] - middle[1]))
        out.append(replace(needle, tip_sd_along_px=float(np.hypot(needle.tip_sd_along_px, off))))
    return out
