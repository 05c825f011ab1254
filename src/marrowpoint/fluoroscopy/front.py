"""Where the front of an instrument is thinner than the rest of it.

Guide wires are ground down behind their point, cannulas are drawn in toward it, a stylet looks out of its cannula: the declared
diameter is that of the shaft behind. A short visible piece may be front only, which no picture of it can tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from marrowpoint.edges import peak_offset, sample_strip
from marrowpoint.fluoroscopy.shaft import EDGE_BLUR, Shaft
from marrowpoint.frame import FloatImage

Floats = NDArray[np.float64]

BLOCK, LEAST_BLOCK_PX = 0.35, 4.0  # widths of shaft, and pixels at least, that give one width
CONE = 1.3  # widths behind the tip: the point itself, whose taper says nothing of the shaft
REACH = 14.0  # widths behind the tip that are looked at
STEP_PX = 0.25  # sampling across
SEARCH = 0.25  # of the half width, to each side, in which an edge is looked for
STRENGTH = 0.4  # of that side's usual slope: less is a guide in front, or another edge
LEAST_BLOCKS = 3  # at each of both widths
LONGEST_RISE = 4  # blocks from one to the other
LEAST_STEP, MOST_STEP = 0.06, 0.4  # of the thinner width: less is blur or perspective, more is another instrument
BESIDE_SHAFT = 0.75  # widths from the mid-line: where the picture beside a shaft begins
CLIPPED, CLIPPED_SHARE = 0.004, 0.2  # attenuation at which air is burnt out, and the share of a row's flank that may be
SURE = 7.0  # standard deviations: neighbouring widths share their background
BESIDE = 3.0  # widths of shaft before and behind a step that must differ by themselves
CORRELATED = 3.0  # neighbouring widths that share their errors
# SD and limit of an even taper, of the width over a width of shaft: at 30 degrees to the beam it is 0.007, at 17 0.013
PERSPECTIVE, MOST_PERSPECTIVE = 0.005, 0.015


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How the width of a shaft goes on behind its tip.

    Parameters
    ----------
    full_px : float or None
        Distance behind the tip at which a shaft with a thinner front has its full width [px]; None = as thick in front.
    front_px : float
        Distance behind the tip up to which it is front only [px].
    taper, taper_sd : float
        Even change of the width over a width of shaft, of the width (perspective), and its standard deviation.
    """

    full_px: float | None
    front_px: float
    taper: float
    taper_sd: float


UNKNOWN = Course(full_px=None, front_px=np.inf, taper=0.0, taper_sd=PERSPECTIVE)


def follow_width(attenuation: FloatImage, shaft: Shaft, *, at_stop: bool) -> Course:
    """Measure the distance of both edges along a shaft, and tell a step of the instrument from perspective.

    Parameters
    ----------
    attenuation : ndarray of shape (M, N), float32
    shaft : Shaft
    at_stop : bool
        Which end is the tip.

    Returns
    -------
    Course
    """
    block = max(BLOCK * shaft.width_px, LEAST_BLOCK_PX)
    place, width = _widths(attenuation, shaft, block, at_stop=at_stop)
    if len(place) < 2 * LEAST_BLOCKS + 2:
        return UNKNOWN
    width = median_filter(width, 3, mode="nearest")
    step = _step(place, width, block, BESIDE * shaft.width_px)
    if step is not None:
        return Course(full_px=step[1], front_px=step[0], taper=0.0, taper_sd=PERSPECTIVE)
    away, width = (place - place.mean()) / shaft.width_px, width / width.mean()
    slope = float(away @ width / (away @ away))
    rest = width - 1.0 - slope * away
    variance = CORRELATED * float(rest @ rest) / (len(place) - 2) / float(away @ away)
    # a prior keeps noise from being taken for perspective
    known = PERSPECTIVE**2 / (PERSPECTIVE**2 + variance)
    taper = float(np.clip(slope * known, -MOST_PERSPECTIVE, MOST_PERSPECTIVE))
    return Course(full_px=None, front_px=np.inf, taper=taper, taper_sd=PERSPECTIVE * float(np.sqrt(1 - known)))


def burnt_out(strip: FloatImage, across: Floats, width_px: float) -> NDArray[np.bool_]:
    """Rows of a strip beside which the picture is burnt out: the edges of a shaft are cut away with the air.

    Parameters
    ----------
    strip : ndarray of shape (S, K), float32
    across : ndarray of shape (K,), float64
        Distance of its columns from the mid-line [px].
    width_px : float
        Width of the shaft [px].

    Returns
    -------
    ndarray of shape (S,), bool
    """
    flanks = [sign * across > BESIDE_SHAFT * width_px for sign in (-1.0, 1.0)]
    clipped = np.maximum(*((strip[:, flank] < CLIPPED).mean(1) for flank in flanks))
    return np.asarray(clipped > CLIPPED_SHARE)


def _step(place: Floats, width: Floats, block: float, beside: float) -> tuple[float, float] | None:
    """Where a step of the width begins and is complete; None where an even taper explains the widths."""
    starts, stops = _steps(place, block)
    if not len(starts):
        return None
    rises = np.clip((place[None, :] - starts[:, None]) / (stops - starts)[:, None], 0.0, 1.0)
    even = np.linalg.qr(np.column_stack([np.ones_like(place), place]))[0]
    rest = width - even @ (even.T @ width)
    free = rises - (rises @ even) @ even.T
    power = np.maximum((free**2).sum(1), 1e-9)
    height = free @ rest / power
    gain = np.where(height > 0, height**2 * power, 0.0)
    best = int(np.argmax(gain))
    left = max(float(rest @ rest) - float(gain[best]), 1e-9) / (len(place) - 3)
    start, stop = float(starts[best]), float(stops[best])
    front, back = (place > start - beside) & (place <= start), (place >= stop) & (place < stop + beside)
    if not (front.any() and back.any()):
        return None
    before, behind = float(width[front].mean()), float(width[back].mean())
    sure = height[best] > SURE * float(np.sqrt(left / power[best]))
    return (start, stop) if sure and LEAST_STEP < behind / before - 1 < MOST_STEP else None


def _steps(place: Floats, block: float) -> tuple[Floats, Floats]:
    """Begin and end of every step tried, with enough widths on both sides."""
    starts = np.repeat(place[LEAST_BLOCKS - 1 :], LONGEST_RISE)
    stops = starts + np.tile(block * np.arange(1, LONGEST_RISE + 1), len(starts) // LONGEST_RISE)
    enough = stops <= place[-LEAST_BLOCKS] + 1e-6
    return starts[enough], stops[enough]


def _widths(attenuation: FloatImage, shaft: Shaft, block: float, *, at_stop: bool) -> tuple[Floats, Floats]:
    """Distance between both edges, block by block behind the tip, where both are as steep as usual."""
    half = 0.5 * shaft.width_px
    end, inward = (shaft.stop_px, -1.0) if at_stop else (shaft.start_px, 1.0)
    first = CONE * shaft.width_px
    count = int((min(REACH * shaft.width_px, shaft.length_px) - first) / block)
    if count < 1:
        return np.empty(0), np.empty(0)
    side = np.ceil((1.8 * half + 4.0) / STEP_PX)
    across = np.arange(-side, side + 1) * STEP_PX
    rows = round(block)
    along = np.asarray(first + (np.arange(count * rows) + 0.5) * (block / rows), dtype=np.float64)
    strip = sample_strip(attenuation, shaft.origin, shaft.axis, end + inward * along, across)
    slope = np.gradient(strip.reshape(count, rows, -1).mean(1), STEP_PX, axis=1)
    kernel = np.exp(-0.5 * ((across[:, None] - across[None, :]) / max(0.9, EDGE_BLUR * shaft.width_px)) ** 2)
    total, good = np.zeros(count), ~burnt_out(strip, across, shaft.width_px).reshape(count, rows).any(1)
    for sign in (-1.0, 1.0):
        near = np.flatnonzero(np.abs(sign * across - half) < SEARCH * half + 1.0)
        strength = -sign * (slope @ kernel[:, near])
        offset = np.array([peak_offset(values) for values in strength])
        peak = strength.max(1)
        good &= (peak > STRENGTH * np.median(peak)) & (offset > 0) & (offset < len(near) - 1)
        total += sign * (across[near[0]] + STEP_PX * offset)
    places = np.asarray(first + (np.arange(count) + 0.5) * block, dtype=np.float64)
    return places[good], total[good]
