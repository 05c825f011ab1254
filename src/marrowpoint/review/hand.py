"""Needle and scale as a person left them: the program's where untouched, with the person's own doubt where touched."""

from __future__ import annotations

from dataclasses import replace
from math import hypot, radians, sin, sqrt

import numpy as np

from marrowpoint.assessment import Assessment
from marrowpoint.errors import NotAssessable
from marrowpoint.exposure import Bar, Exposure
from marrowpoint.fluoroscopy.section import fit_section
from marrowpoint.fluoroscopy.shaft import fit_shaft
from marrowpoint.frame import Calibration, PixelSpacing, SpacingSource
from marrowpoint.needle import Needle
from marrowpoint.profile import Profile, ReviewLimits
from marrowpoint.review.corrections import Corrections, KnownLength

USUAL_NEEDLE_MM, USUAL_FIELD_MM = 2.9, 200.0  # for a person's doubt in pixels where no scale is known
SAME_SHAFT_DEG = 5.0  # a shaft turned less, its tip less than a width aside, is the one whose width was fitted
MIN_SHAFT_PX = 4.0


def reader(name: str) -> str:
    """How a part that a person set is marked."""
    return f"reader {name}"


def hand_sd_px(limits: ReviewLimits, calibration: Calibration, shape: tuple[int, ...], width_px: float | None) -> float:
    """A person's own doubt of one mark (k = 1) [px]: in mm where a scale is known or can be guessed, never below a pixel's."""
    if calibration.spacing is not None:
        mm_per_px = calibration.spacing.mm_per_px
    elif width_px is not None and width_px > 0:
        mm_per_px = USUAL_NEEDLE_MM / width_px
    else:
        mm_per_px = USUAL_FIELD_MM / max(shape)
    return max(limits.hand_point_sd_px, limits.hand_point_sd_mm / mm_per_px)


def hand_needle(
    base: Assessment, corrections: Corrections, calibration: Calibration, limits: ReviewLimits, *, quick: bool = False
) -> Needle | None:
    """The needle with what a person set of it.

    Parameters
    ----------
    base : Assessment
        The program's own.
    corrections : Corrections
    calibration : Calibration
        For the doubt of a hand in pixels.
    limits : ReviewLimits
    quick : bool
        For every move of a mouse: the width that the program found stands until the mouse is let go.

    Returns
    -------
    Needle or None
        The program's where nothing was set; None where neither found one.

    Raises
    ------
    NotAssessable
        ``needle_half_marked``, ``tip_outside_picture``.
    """
    found, tip, far_end = base.needle, corrections.tip, corrections.far_end
    if tip is None and far_end is None and corrections.end_on is None:
        return found
    if found is not None:
        end_on = found.end_on if corrections.end_on is None else corrections.end_on
        # a disc has no far end that stays behind when its tip moves
        moved = (0.0, 0.0) if tip is None or not end_on else (tip[0] - found.tip[0], tip[1] - found.tip[1])
        rest = tuple(found.tip[k] + found.length_px * found.axis[k] + moved[k] for k in (0, 1))
        far_end = far_end or (rest[0], rest[1])
        tip = tip or found.tip
    if tip is None or far_end is None:
        missing = "tip" if tip is None else "shaft's other end"
        raise NotAssessable("needle_half_marked", f"Mark the needle's {missing} as well: one point alone is no needle.")
    shape = base.frame.pixels.shape
    if not (-0.5 <= tip[0] <= shape[0] - 0.5 and -0.5 <= tip[1] <= shape[1] - 0.5):
        raise NotAssessable("tip_outside_picture", "The tip lies outside the picture: put it where it is seen.")
    length = hypot(far_end[0] - tip[0], far_end[1] - tip[1])
    if length < MIN_SHAFT_PX:
        raise NotAssessable("needle_half_marked", "Tip and far end of the shaft lie on one another: pull them apart.")
    axis = ((far_end[0] - tip[0]) / length, (far_end[1] - tip[1]) / length)
    if quick and found is not None:
        width, width_sd = found.width_px, found.width_sd_px
    else:
        width, width_sd = _width(base, tip, axis, length, calibration)
    by = reader(corrections.set_by("tip", "far_end", "end_on"))
    end_on = bool(corrections.end_on) if corrections.end_on is not None or found is None else found.end_on
    if found is not None and corrections.tip is None:
        # the tip is still the program's, with its doubt and with what was seen of it
        return replace(
            found, axis=axis, length_px=length, width_px=width, width_sd_px=width_sd, end_on=end_on, alternatives=(),
            located_by=by,
        )  # fmt: skip
    sd = hand_sd_px(limits, calibration, shape, width)
    return Needle(
        tip=tip,
        axis=axis,
        width_px=width,
        width_sd_px=width_sd,
        tip_sd_along_px=sd,
        tip_sd_across_px=sd,
        length_px=length,
        confidence=limits.hand_confidence,
        end_on=end_on,
        second_instrument=found is not None and found.second_instrument,
        located_by=by,
    )


def _width(
    base: Assessment, tip: tuple[float, float], axis: tuple[float, float], length: float, calibration: Calibration
) -> tuple[float, float]:
    """Width of the shaft and its standard deviation [px]: the program's on its own shaft, else fitted where the person drew."""
    found = base.needle
    if found is not None:
        turned = abs(axis[0] * found.axis[1] - axis[1] * found.axis[0])
        aside = abs((tip[0] - found.tip[0]) * found.axis[1] - (tip[1] - found.tip[1]) * found.axis[0])
        if found.end_on or (turned < sin(radians(SAME_SHAFT_DEG)) and aside < found.width_px):
            return found.width_px, found.width_sd_px
    mm_per_px = calibration.spacing.mm_per_px if calibration.spacing else USUAL_FIELD_MM / max(base.frame.pixels.shape)
    guess = USUAL_NEEDLE_MM / mm_per_px
    fitted = None if base.exposure is None else fitted_width(base.exposure, tip, axis, length, guess)
    # a width that nobody measured is no ruler: with half of itself as its doubt no scale comes of it
    return fitted or (guess, guess / 2)


def fitted_width(
    exposure: Exposure, tip: tuple[float, float], axis: tuple[float, float], length: float, guess_px: float
) -> tuple[float, float] | None:
    """Width of the bar under a hand-drawn shaft.

    Parameters
    ----------
    exposure : Exposure
    tip, axis : tuple of float
        (row, column) [px], and unit vector toward the hub.
    length : float
        [px].
    guess_px : float
        About how wide it should be.

    Returns
    -------
    width_px, width_sd_px : float
        Or None where no bar of about that width lies under the line.
    """
    middle = (tip[0] + axis[0] * length / 2, tip[1] + axis[1] * length / 2)
    usable = exposure.field.astype(np.float32)
    for factor in (1.0, 0.7, 1.4):
        bar = Bar(centre=middle, direction=axis, width_px=guess_px * factor, score=1.0, bright=True)
        shaft = fit_shaft(exposure.attenuation, usable, bar, piece_px=length)
        if shaft is None:
            continue
        turned = abs(axis[0] * shaft.axis[1] - axis[1] * shaft.axis[0])
        aside = abs((middle[0] - shaft.origin[0]) * shaft.axis[1] - (middle[1] - shaft.origin[1]) * shaft.axis[0])
        if turned > sin(radians(SAME_SHAFT_DEG)) or aside > shaft.width_px:
            continue
        at_stop = (shaft.axis[0] * axis[0] + shaft.axis[1] * axis[1]) < 0
        section = fit_section(exposure.attenuation, shaft, at_stop=at_stop)
        return section.width_px, section.width_sd_px
    return None


def operator_rung(known: KnownLength, header: Calibration, profile: Profile, limits: ReviewLimits) -> PixelSpacing:
    """Scale from two points whose distance a person knows.

    Parameters
    ----------
    known : KnownLength
    header : Calibration
        For the shape of a pixel, where it knows one.
    profile : Profile
        What is too absurd to use.
    limits : ReviewLimits

    Returns
    -------
    PixelSpacing
        Relative uncertainty (k = 2): both clicks over the length in pixels, and the plane the length may lie in, as a root sum
        of squares (JCGM 100, 5.1.6).

    Raises
    ------
    NotAssessable
        ``absurd_scale``.
    """
    shape = header.spacing.row_mm / header.spacing.column_mm if header.spacing else 1.0
    rows, columns = known.end[0] - known.start[0], known.end[1] - known.start[1]
    length_px = hypot(rows * shape, columns)  # in columns
    column_mm = known.length_mm / length_px
    clicks = 2 * sqrt(2) * limits.hand_point_sd_px / length_px
    if not profile.scale.min_mm_per_px <= column_mm < profile.scale.max_mm_per_px:
        text = f"The two points make a pixel {column_mm:.3g} mm wide, which no such picture has: set the known length again."
        raise NotAssessable("absurd_scale", text)
    return PixelSpacing(
        row_mm=column_mm * shape,
        column_mm=column_mm,
        source=SpacingSource.OPERATOR,
        relative_u=hypot(clicks, limits.hand_scale_u),
        note=f"two points {known.length_mm:g} mm apart, set by hand",
    )
