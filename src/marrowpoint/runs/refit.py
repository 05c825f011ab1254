"""A shaft fitted anew: whether it is the needle that was expected, and the needle it makes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from marrowpoint.fluoroscopy.section import Section
from marrowpoint.fluoroscopy.shaft import Shaft
from marrowpoint.fluoroscopy.tip import Tip
from marrowpoint.needle import Needle

LEAST_SUPPORT = 0.35  # of the shaft's evidence where it was last searched: less is not the needle
OFF_WIDTHS, TURN_COS, WIDTH_RATIO = 2.0, 0.99, 1.5  # a followed shaft may differ so much from its prediction


def is_alike(shaft: Shaft, last: Needle, support: float) -> bool:
    """Whether a shaft may be the needle that was expected there.

    Parameters
    ----------
    shaft : Shaft
        From the tip toward the hub.
    last : Needle
        As expected.
    support : float
        The shaft's evidence where it was last searched.

    Returns
    -------
    bool
    """
    cosine = shaft.axis[0] * last.axis[0] + shaft.axis[1] * last.axis[1]
    dr, dc = shaft.point(shaft.start_px)[0] - last.tip[0], shaft.point(shaft.start_px)[1] - last.tip[1]
    across = abs(dr * last.axis[1] - dc * last.axis[0])
    ratio = shaft.width_px / last.width_px
    return (
        cosine > TURN_COS
        and across < OFF_WIDTHS * last.width_px
        and 1 / WIDTH_RATIO < ratio < WIDTH_RATIO
        and shaft.support > max(LEAST_SUPPORT * support, LEAST_SUPPORT)
    )


def needle_of(shaft: Shaft, tip: Tip, section: Section, last: Needle) -> Needle:
    """The needle of a shaft with its tip, all else as it was.

    Parameters
    ----------
    shaft : Shaft
    tip : Tip
    section : Section
    last : Needle

    Returns
    -------
    Needle
    """
    lever = abs(tip.along_px - (shaft.start_px + shaft.stop_px) / 2)
    return replace(
        last,
        tip=shaft.point(tip.along_px),
        axis=shaft.axis,
        width_px=section.width_px,
        width_sd_px=section.width_sd_px,
        tip_sd_along_px=tip.sd_px,
        tip_sd_across_px=float(np.sqrt(shaft.across_sd_px**2 + (lever * shaft.angle_sd_rad) ** 2 + 0.15**2)),
        length_px=abs(shaft.stop_px - tip.along_px),
        alternatives=(),
    )
