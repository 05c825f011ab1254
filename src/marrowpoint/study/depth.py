"""True insertion depth from projected ones: foreshortening taken out, and the tightest view believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import radians, sin

from marrowpoint.measurement import Bound, Measurement, Unit
from marrowpoint.study.triangulate import BeamAngle

# a needle nearly along the beam: its sine, and with it its depth, is no longer known to better than a factor
LEAST_SINE = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """Length of needle past the entry cortex.

    Parameters
    ----------
    views : tuple of Measurement or None
        One a view: distance from the tip back to where the shaft leaves that view's outline, foreshortening taken out [mm].
        A shaft outside an outline is outside the bone, so each is an **upper bound** of the true depth.
    smallest : Measurement
        The tightest of them.
    in_plane : bool
        Whether the tightest comes from a view that sees the needle near the plane of the picture.
    """

    views: tuple[Measurement | None, ...]
    smallest: Measurement
    in_plane: bool


def true_depth(
    projected: Sequence[Measurement | None], angles: Sequence[BeamAngle], depth_view_from_deg: float
) -> Depth | None:
    """Take the foreshortening out of projected depths.

    Parameters
    ----------
    projected : sequence of Measurement or None
        Insertion depth in each view [mm]; None where it was not measured.
    angles : sequence of BeamAngle
        Angle between needle and beam in each view.
    depth_view_from_deg : float
        From this angle on, a view counts as seeing the needle in plane [deg].

    Returns
    -------
    Depth or None
        None where no view measured a depth in mm.
    """
    views = tuple(_unforeshortened(length, angle) for length, angle in zip(projected, angles, strict=True))
    known = [(view, angle) for view, angle in zip(views, angles, strict=True) if view is not None]
    if not known:
        return None
    tightest, angle = min(known, key=lambda pair: pair[0].upper)
    value = min(view.value for view, _ in known)
    smallest = Measurement(
        value=value,
        lower=min(value, *(view.lower for view, _ in known)),
        upper=max(value, tightest.upper),
        unit=Unit.MM,
        bound=Bound.UPPER,
        method=f"tightest of {len(known)} views, foreshortening taken out (needle {angle.value_deg:.0f} degrees from the beam)",
    )
    return Depth(views=views, smallest=smallest, in_plane=angle.value_deg >= depth_view_from_deg)


def _unforeshortened(length: Measurement | None, angle: BeamAngle) -> Measurement | None:
    if length is None or length.unit is not Unit.MM:
        return None
    sines = [max(sin(radians(a)), LEAST_SINE) for a in (angle.upper_deg, angle.value_deg, angle.lower_deg)]
    return Measurement(
        value=length.value / sines[1],
        lower=min(length.lower / sines[0], length.value / sines[1]),
        upper=max(length.upper / sines[2], length.value / sines[1]),
        unit=Unit.MM,
        bound=Bound.UPPER,
        method="projected depth over the sine of the angle to the beam",
    )
