"""Direction of the needle, and its tip, from two or more views whose tags are a little wrong.

What is trusted: the needle is one straight line in all views. What is not: angle tags (a few degrees), the turn of each
picture (up to about 12 degrees), the place of the isocentre (the C-arm is moved between shots). So the direction is a posterior
over the whole sphere, not a solution of equations, and the tip's covariance holds the isocentre's doubt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import chi2

from marrowpoint.frame import Points
from marrowpoint.profile import StudyLimits
from marrowpoint.study.geometry import separation_deg
from marrowpoint.study.sight import Sight

# directions on the sphere: neighbours 2 degrees apart, finer than any posterior here is wide
DIRECTIONS = 10000

# directions drawn from the posterior, to carry its correlation between views into the depth
DRAWS = 512

# one in a thousand honest studies is refused
REFUSE_BELOW_P = 0.001

# Doubt about how the pictures were hung, common to a study, as (quarter turns, mirrored, penalty in chi-square):
# the usual hanging first; a half turn and a mirror image are met in the wild, quarter turns seldom.
HANGINGS = (
    (0, False, 0.0), (2, False, 4.0), (0, True, 4.0), (2, True, 6.0),
    (1, False, 9.0), (3, False, 9.0), (1, True, 11.0), (3, True, 11.0),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class BeamAngle:
    """Angle between needle and beam [deg], 0 (end on) to 90 (in the plane of the picture), with 95 % limits."""

    value_deg: float
    lower_deg: float
    upper_deg: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shaft:
    """Direction of the needle in the patient.

    Parameters
    ----------
    direction : ndarray of shape (3,)
        Unit vector from the tip toward the hub, patient axes.
    sd_deg : float
        Root-mean-square angle of the posterior about it.
    usual_hanging : bool
        Whether the pictures hang as usual (patient's left on the right, head up); else they seem turned or mirrored.
    beam_angles : tuple of BeamAngle
        One a sight; over all hangings.
    sines : ndarray of shape (views, draws)
        Foreshortening in each view (sine of the angle to the beam) for directions drawn from the posterior.
    chi_square, p_value : float
        Misfit of the best direction, and how often an honest study is worse.
    """

    direction: Points
    sd_deg: float
    usual_hanging: bool
    beam_angles: tuple[BeamAngle, ...]
    sines: Points
    chi_square: float
    p_value: float

    @property
    def contradicted(self) -> bool:
        """Whether no direction explains all views."""
        return self.p_value < REFUSE_BELOW_P


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TipPoint:
    """The tip in the patient, relative to the isocentre of the tags.

    Parameters
    ----------
    position_mm : ndarray of shape (3,)
    covariance_mm2 : ndarray of shape (3, 3)
        With the doubt about the isocentre in it.
    residual_mm : float
        Root-mean-square distance of the tip's rays from the point [mm].
    p_value : float
        How often the isocentre's doubt alone gives a larger misfit.
    """

    position_mm: Points
    covariance_mm2: Points
    residual_mm: float
    p_value: float


def widest_separation_deg(sights: Sequence[Sight]) -> float:
    """Largest angle between two of the beams [deg]; 0 for fewer than two."""
    return max((separation_deg(a.beam, b.beam) for a, b in combinations(sights, 2)), default=0.0)


def triangulate_shaft(sights: Sequence[Sight], limits: StudyLimits) -> Shaft | None:
    """Direction of the needle from its direction in each picture.

    A direction's misfit in a view is the turn between the drawn and the predicted shaft, in units of its doubt: the picture's
    unknown turn, the shaft's own doubt, and the tag's doubt, which weighs more the more the needle points along the beam.

    Parameters
    ----------
    sights : sequence of Sight
    limits : StudyLimits
        Doubt about angles and turns, least separation, greatest needle length.

    Returns
    -------
    Shaft or None
        None for fewer than two views, or beams too close together to tell a direction.
    """
    if len(sights) < 2 or widest_separation_deg(sights) < limits.separate_from_deg:
        return None
    grid = _sphere(DIRECTIONS)
    cosines = np.abs(np.stack([grid @ sight.beam for sight in sights]))
    sines = np.sqrt(np.maximum(1 - cosines**2, 1e-6))
    too_long = _too_long(sights, sines, limits)
    fits = [_misfit(sights, grid, sines, limits, quarter_turns, mirrored) for quarter_turns, mirrored, _ in HANGINGS]
    misfits = np.stack([misfit for misfit, _ in fits]) + too_long
    # the normaliser keeps end-on directions, which explain anything, from being favoured
    scores = misfits + np.stack([spread for _, spread in fits]) + np.array([[hanging[2]] for hanging in HANGINGS])
    best = float(misfits.min())
    weights = np.exp(-(scores - scores.min()) / 2).sum(axis=0)
    weights /= weights.sum()
    # angles to the beams hardly depend on how the pictures hang; the direction does, so it is the likeliest hanging's
    hung = int(np.argmin(scores.min(axis=1)))
    own = np.exp(-(scores[hung] - scores[hung].min()) / 2)
    own /= own.sum()
    mean = own @ grid
    direction = mean / max(float(np.linalg.norm(mean)), 1e-9)
    away = np.degrees(np.arccos(np.clip(grid @ direction, -1, 1)))
    angles = np.degrees(np.arcsin(np.clip(sines, 0, 1)))
    # three pictures leave one turn over that the two angles of a direction cannot explain; two pictures leave none
    spare = max(len(sights) - 2, 1)
    return Shaft(
        direction=direction,
        sd_deg=float(np.sqrt(own @ away**2)),
        usual_hanging=hung == 0,
        beam_angles=tuple(_quantiles(row, weights) for row in angles),
        sines=sines[:, np.searchsorted(np.cumsum(weights), (np.arange(DRAWS) + 0.5) / DRAWS).clip(max=DIRECTIONS - 1)],
        chi_square=best,
        p_value=float(chi2.sf(best, spare)),
    )


def _misfit(
    sights: Sequence[Sight], grid: Points, sines: Points, limits: StudyLimits, quarter_turns: int, mirrored: bool
) -> tuple[Points, Points]:
    """Chi-square of each direction, and twice the logarithm of its normaliser."""
    total, spread = np.zeros(len(grid)), np.zeros(len(grid))
    for sight, sine in zip(sights, sines, strict=True):
        shaft, tip = (_hang(vector, quarter_turns, mirrored) for vector in (sight.shaft, sight.tip_mm))
        seen = grid @ sight.axes.T
        # a point further along the beam is magnified more: the shaft off the picture's centre leans outward
        right = seen[:, 0] - seen[:, 2] * tip[0] / sight.distance_mm
        down = seen[:, 1] - seen[:, 2] * tip[1] / sight.distance_mm
        turn = np.degrees(np.arctan2(right * shaft[1] - down * shaft[0], right * shaft[0] + down * shaft[1]))
        tagged = limits.angle_sd_deg * np.sqrt(1 - sine**2) / sine
        variance = limits.roll_sd_deg**2 + sight.shaft_sd_deg**2 + np.minimum(tagged, 60.0) ** 2
        total, spread = total + turn**2 / variance, spread + np.log(variance)
    return total, spread


def _too_long(sights: Sequence[Sight], sines: Points, limits: StudyLimits) -> Points:
    """Misfit of directions that would make the visible shaft longer than any needle, soft over a tenth of it."""
    visible = np.array([sight.visible_mm for sight in sights])[:, None]
    excess = np.maximum(visible / sines / limits.longest_needle_mm - 1, 0.0).max(axis=0)
    return np.asarray((excess / 0.1) ** 2)


def _hang(vector: tuple[float, float], quarter_turns: int, mirrored: bool) -> tuple[float, float]:
    right, down = (-vector[0], vector[1]) if mirrored else vector
    for _ in range(quarter_turns):
        right, down = -down, right
    return right, down


def _sphere(count: int) -> Points:
    """Evenly spread unit vectors (golden-angle spiral), shape (count, 3)."""
    k = np.arange(count) + 0.5
    z = 1 - 2 * k / count
    around = np.pi * (1 + 5**0.5) * k
    radius = np.sqrt(1 - z**2)
    return np.stack([radius * np.cos(around), radius * np.sin(around), z], axis=1)


def _quantiles(values: Points, weights: Points) -> BeamAngle:
    order = np.argsort(values)
    below = np.cumsum(weights[order]) - weights[order] / 2
    low, middle, high = np.interp([0.025, 0.5, 0.975], below, values[order])
    return BeamAngle(value_deg=float(middle), lower_deg=float(low), upper_deg=float(high))


def triangulate_tip(sights: Sequence[Sight], limits: StudyLimits) -> TipPoint | None:
    """The point nearest to the rays of the tip, weighted by their doubt.

    Parameters
    ----------
    sights : sequence of Sight
    limits : StudyLimits

    Returns
    -------
    TipPoint or None
        None for fewer than two views with a known isocentre, or beams too close together.
    """
    placed = [sight for sight in sights if sight.sod_mm is not None]
    if len(placed) < 2 or widest_separation_deg(placed) < limits.separate_from_deg:
        return None
    information, pull = np.zeros((3, 3)), np.zeros(3)
    for sight in placed:
        weight = _ray_information(sight, limits)
        information += weight
        pull += weight @ _tip_estimate(sight)
    covariance: Points = np.asarray(np.linalg.inv(information), dtype=np.float64)
    position = covariance @ pull
    gaps = [position - _tip_estimate(sight) for sight in placed]
    across = [gap - (gap @ _ray(sight)) * _ray(sight) for gap, sight in zip(gaps, placed, strict=True)]
    misfit = sum(float(gap @ _ray_information(sight, limits) @ gap) for gap, sight in zip(gaps, placed, strict=True))
    return TipPoint(
        position_mm=position,
        covariance_mm2=covariance,
        residual_mm=float(np.sqrt(np.mean([gap @ gap for gap in across]))),
        p_value=float(chi2.sf(misfit, 3 * len(placed) - 3)),
    )


def _tip_estimate(sight: Sight) -> Points:
    """Tip from this view alone, relative to the isocentre [mm]."""
    assert sight.sod_mm is not None
    right, down, beam = sight.axes
    return np.asarray(sight.tip_mm[0] * right + sight.tip_mm[1] * down + (sight.distance_mm - sight.sod_mm) * beam)


def _ray(sight: Sight) -> Points:
    """Unit vector of the ray from the focal spot through the tip."""
    right, down, beam = sight.axes
    ray = sight.tip_mm[0] * right + sight.tip_mm[1] * down + sight.distance_mm * beam
    return np.asarray(ray / np.linalg.norm(ray))


def _ray_information(sight: Sight, limits: StudyLimits) -> Points:
    """Inverse covariance of `_tip_estimate`: isocentre and turned picture across the ray, distance too along it."""
    ray = _ray(sight)
    turned = np.radians(limits.roll_sd_deg) * float(np.hypot(*sight.tip_mm))
    across = 1 / (limits.isocentre_sd_mm**2 + turned**2 / 2)
    along = 1 / (limits.isocentre_sd_mm**2 + sight.distance_sd_mm**2)
    outer = np.outer(ray, ray)
    return np.asarray(across * (np.eye(3) - outer) + along * outer)
