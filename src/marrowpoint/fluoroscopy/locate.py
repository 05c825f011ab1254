"""The needle: which straight bar it is, and which of its ends is the tip."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from marrowpoint.cortex import BonePrior
from marrowpoint.errors import NotAssessable
from marrowpoint.exposure import Bar, Exposure
from marrowpoint.fluoroscopy.candidates import PIECE_PX, STUB_PX, WORK_SIDE_PX, find_bars
from marrowpoint.fluoroscopy.disc import find_disc
from marrowpoint.fluoroscopy.ends import NEAR_EXIT, End, look_at_end, tip_margin
from marrowpoint.fluoroscopy.islands import find_island
from marrowpoint.fluoroscopy.metal import end_of_metal
from marrowpoint.fluoroscopy.point import fit_point
from marrowpoint.fluoroscopy.reach import lengthen, tip_seen
from marrowpoint.fluoroscopy.section import Section, fit_section
from marrowpoint.fluoroscopy.shaft import MOST_SUPPORT, TOLL, Shaft, fit_shaft
from marrowpoint.fluoroscopy.tip import MOST_POINT, Tip
from marrowpoint.fluoroscopy.witness import agreement, shaft_seen, tip_heat
from marrowpoint.needle import Needle

MOST_FITTED = 5  # bars measured at full resolution
MOST_STUBS = 5  # the same for short bars
CLEAR_SCORE = 0.55  # from here on short bars are not looked for
LEAST_LENGTH = 2.0  # widths: a shorter bar has no direction
UNSURE = 0.5  # confidence below which the needle may also be a disc
CLIPPED, BURNT_SHARE = 0.004, 0.15  # attenuation at which air is burnt out, and the share of the field worth a word
LEAST_SCORE = 0.1  # below this nothing is called a needle
RIVAL = 0.6  # of the best score: a close runner-up
SECOND = 0.25  # score from which another bar is metal
HALF_SCORE, SCORE_STEP = 0.3, 0.07  # score at which a bar is a needle as often as not, and how fast that changes
WIDTH_DOUBT = 0.35  # log of found over declared width: display curve and scale are not exact
WIDEST, WIDEST_STEP = 0.036, 0.003  # of the frame: an 8G needle in a 12 cm field; wider straight bars are bones and bolts
LEAST_SD_PX = 0.15  # shafts are not straighter than that, nor pictures flatter
OFF_AXIS = 0.06  # widths: facets and bevels leave the apex beside the axis, by 0 to 0.16 on five real points
CLIPPED_RATIO = 1.4  # over clipped air only the core of a shaft is seen: the same shaft is this much wider beside it
LONG, STICKS_OUT = 8.0, 4.0  # widths: a shaft is this long, or sticks out of its holder this far
HELD = (
    0.6  # what is left of a bar's score where the prior sees no needle, but metal holds the bar: anatomy is not held by metal
)
PRIOR_TURN, MOST_TURN = 2.0, 6.1  # log odds of an end from the log of the heats, and their limit: the network errs, too
# Ends this undecided are asked for their point; weight fitted on simulated pictures (docs/accuracy_needle.md)
CLOSE_ENDS, POINT_WEIGHT = 6.0, 0.6
# Where hub and body name one end and the prior the other, and the sum is under this, the end is a guess: it keeps so much
UNDECIDED, CONTRADICTED = 2.0, 0.6
SHAFT_LENGTHS = 12.0  # widths: a bar so long is a shaft, whatever its ends look like, and no needle is end-on
CLIPPED_SD = 0.4  # widths of doubt where the background at the tip is clipped


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Candidate:
    shaft: Shaft
    score: float
    margin: float
    ends: tuple[End, End]
    contradicted: bool = False  # hub and body name one end, the prior the other

    @property
    def end(self) -> End:
        return self.ends[1 if self.margin >= 0 else 0]


def locate_needle(exposure: Exposure, *, prior: BonePrior | None = None, expected_width_px: float | None = None) -> Needle:
    """Find the needle and its tip.

    Parameters
    ----------
    exposure : Exposure
    prior : BonePrior, optional
        What a coarse prior says of shaft and tip; agreement raises, disagreement lowers the confidence.
    expected_width_px : float, optional
        Declared diameter over the header's scale [px]; bars far from it are unlikely.

    Returns
    -------
    Needle

    Raises
    ------
    NotAssessable
        ``end_on`` if there is a round spot of metal and no needle beside it, ``no_needle`` if nothing stands out.
    """
    needle = _best_needle(exposure, prior, expected_width_px)
    if needle is None:
        needle = find_island(exposure, expected_width_px=expected_width_px)
    unsure = needle is None or (needle.confidence < UNSURE and needle.length_px < SHAFT_LENGTHS * needle.width_px)
    if unsure and find_disc(exposure, expected_width_px=expected_width_px) is not None:
        raise NotAssessable("end_on", "a round spot of metal without a shaft: a needle along the beam? turn the C-arm")
    if needle is None:
        raise NotAssessable("no_needle", _nothing_found(exposure))
    return needle


def _best_needle(exposure: Exposure, prior: BonePrior | None, expected: float | None) -> Needle | None:
    candidates = _candidates(exposure, prior, expected)
    if not candidates or candidates[0].score < LEAST_SCORE:
        return None
    best = candidates[0]
    rivals = [c for c in candidates[1:3] if c.score > RIVAL * best.score]
    share = best.score**2 / (best.score**2 + sum(c.score**2 for c in rivals))
    return replace(
        _needle(exposure, best, share),
        alternatives=tuple(_needle(exposure, c, 1 - share) for c in rivals),
        second_instrument=any(c.score > SECOND and c.shaft.length_px > 8 * c.shaft.width_px for c in candidates[1:]),
        located_by="classical" if prior is None else "classical+learned",
    )


def _nothing_found(exposure: Exposure) -> str:
    text = "no straight needle stands out in the frame; mark it by hand or take another frame"
    sparse = exposure.attenuation[::8, ::8][exposure.field[::8, ::8]]
    if sparse.size and float(np.mean(sparse < CLIPPED)) > BURNT_SHARE:
        text += " (part of it is burnt out, where no needle can be seen: lower the exposure)"
    return text


def _candidates(exposure: Exposure, prior: BonePrior | None, expected: float | None) -> list[_Candidate]:
    found: list[_Candidate] = []
    for piece, most in ((PIECE_PX, MOST_FITTED), (STUB_PX, MOST_STUBS)):
        if all(c.score < CLEAR_SCORE for c in found):
            _fit_bars(exposure, found, (piece, most), prior, expected)
    return sorted(found, key=lambda c: -c.score)


def _fit_bars(
    exposure: Exposure, found: list[_Candidate], length: tuple[int, int], prior: BonePrior | None, expected: float | None
) -> None:
    """Measure the best bars of one length and add them to `found`, one for each line."""
    usable = exposure.field.astype(np.float32)
    piece, left = length
    reach = piece * max(1.0, max(exposure.field.shape) / WORK_SIDE_PX)
    bars = exposure.bars if piece == PIECE_PX else None
    if bars is None:
        bars = find_bars(exposure.attenuation, exposure.field, signs=(True,), piece=piece)
    for bar in bars:
        if left == 0:
            return
        if any(_covers(c.shaft, bar) for c in found):
            continue
        if any(c.score * RIVAL > bar.score for c in found):
            return  # a bar's score only shrinks from here: no rival can follow
        left -= 1
        shaft = fit_shaft(exposure.attenuation, usable, bar, piece_px=reach)
        if shaft is None or shaft.length_px < LEAST_LENGTH * shaft.width_px:
            continue
        candidate = _judge(exposure, shaft, bar, prior, expected)
        for twin in [c for c in found if _same(shaft, c.shaft)]:
            found.remove(twin)
            candidate = _merge(exposure, candidate, twin)
        found.append(candidate)


def _merge(exposure: Exposure, a: _Candidate, b: _Candidate) -> _Candidate:
    """One shaft out of two pieces on one line: the one with more evidence, or the wide one beside clipped air."""
    first, second = sorted((a, b), key=lambda c: -(c.shaft.support - TOLL) * c.shaft.length_px)
    score = max(a.score, b.score)
    thin, wide = first.shaft, second.shaft
    if wide.width_px < CLIPPED_RATIO * thin.width_px or first.end.saturated < 0.5:
        return replace(first, score=score)
    ends = [
        (p[0] - wide.origin[0]) * wide.axis[0] + (p[1] - wide.origin[1]) * wide.axis[1]
        for p in (thin.point(thin.start_px), thin.point(thin.stop_px))
    ]
    joined = replace(wide, start_px=min(wide.start_px, *ends), stop_px=max(wide.stop_px, *ends))
    start, stop = (look_at_end(exposure, joined, at_stop=at_stop) for at_stop in (False, True))
    margin = tip_margin(start, stop)
    return _Candidate(shaft=joined, score=score, margin=margin, ends=(start, stop))


def _covers(shaft: Shaft, bar: Bar) -> bool:
    """Whether a bar is a piece of a shaft already measured."""
    if abs(shaft.axis[0] * bar.direction[0] + shaft.axis[1] * bar.direction[1]) < 0.97:
        return False
    dr, dc = bar.centre[0] - shaft.origin[0], bar.centre[1] - shaft.origin[1]
    along = dr * shaft.axis[0] + dc * shaft.axis[1]
    across = abs(dr * shaft.axis[1] - dc * shaft.axis[0])
    return across < 0.6 * shaft.width_px + 3 and shaft.start_px - 5 < along < shaft.stop_px + 5


def _same(a: Shaft, b: Shaft) -> bool:
    if abs(a.axis[0] * b.axis[0] + a.axis[1] * b.axis[1]) < 0.98:
        return False
    middle = a.point((a.start_px + a.stop_px) / 2)
    dr, dc = middle[0] - b.origin[0], middle[1] - b.origin[1]
    along = dr * b.axis[0] + dc * b.axis[1]
    across = abs(dr * b.axis[1] - dc * b.axis[0])
    return across < a.width_px + b.width_px and b.start_px - 20 < along < b.stop_px + 20


def _judge(exposure: Exposure, shaft: Shaft, bar: Bar, prior: BonePrior | None, expected: float | None) -> _Candidate:
    start, stop = (look_at_end(exposure, shaft, at_stop=at_stop) for at_stop in (False, True))
    widths, held = shaft.length_px / shaft.width_px, max(start.held, stop.held)
    long = max(min(widths / LONG, 1.0), held * min(widths / STICKS_OUT, 1.0))
    score = bar.score * shaft.support / MOST_SUPPORT * long
    if expected is None:
        share = shaft.width_px / max(exposure.field.shape)
        score *= float(np.exp(-0.5 * (max(0.0, share - WIDEST) / WIDEST_STEP) ** 2))
    else:
        score *= float(np.exp(-0.5 * (np.log(shaft.width_px / expected) / WIDTH_DOUBT) ** 2))
    margin, contradicted = tip_margin(start, stop), False
    if prior is not None:
        heats = [tip_heat(prior, shaft.point(p), e) for p, e in ((shaft.start_px, start), (shaft.stop_px, stop))]
        # faint or broken edges ask for a second witness
        score *= float(np.sqrt(shaft.support / MOST_SUPPORT)) * max(
            agreement(score, shaft_seen(prior, shaft), max(heats)), HELD * held
        )
        turn = PRIOR_TURN * float(np.log((0.05 + heats[1]) / (0.05 + heats[0])))
        contradicted = margin * turn < 0
        margin += float(np.clip(turn, -MOST_TURN, MOST_TURN))
    return _Candidate(shaft=shaft, score=score, margin=margin, ends=(start, stop), contradicted=contradicted)


def _tip(exposure: Exposure, shaft: Shaft, *, at_stop: bool) -> tuple[Shaft, Section, Tip]:
    shaft = end_of_metal(exposure.attenuation, lengthen(exposure, shaft, at_stop=at_stop), at_stop=at_stop)
    section = fit_section(exposure.attenuation, shaft, at_stop=at_stop)
    return shaft, section, fit_point(exposure.attenuation, shaft, section, at_stop=at_stop)


def _with_points(exposure: Exposure, candidate: _Candidate) -> _Candidate:
    """Where the tip may be either end, the more pointed one gains."""
    if abs(candidate.margin) > CLOSE_ENDS:
        return candidate
    points = [
        _tip(exposure, candidate.shaft, at_stop=at_stop)[2].pointed if end.exit_widths > NEAR_EXIT else 0.0
        for end, at_stop in zip(candidate.ends, (False, True), strict=True)
    ]
    gain = float(np.clip(points[1] - points[0], -MOST_POINT, MOST_POINT))
    return replace(candidate, margin=candidate.margin + POINT_WEIGHT * gain)


def _needle(exposure: Exposure, candidate: _Candidate, share: float) -> Needle:
    candidate = _with_points(exposure, candidate)
    at_stop = candidate.margin >= 0
    shaft, section, tip = _tip(exposure, candidate.shaft, at_stop=at_stop)
    sign = -1.0 if at_stop else 1.0
    far = shaft.start_px if at_stop else shaft.stop_px
    lever = abs(tip.along_px - (shaft.start_px + shaft.stop_px) / 2)
    # a clipped background hides the thin part of a tip
    along_sd = float(np.hypot(tip.sd_px, CLIPPED_SD * candidate.end.saturated * shaft.width_px))
    off_axis = float(np.hypot(LEAST_SD_PX, OFF_AXIS * section.width_px))
    end_right = 1.0 / (1.0 + np.exp(-abs(candidate.margin)))
    if candidate.contradicted and abs(candidate.margin) < UNDECIDED:
        end_right *= CONTRADICTED
    shaft_right = 1.0 / (1.0 + np.exp(-(candidate.score - HALF_SCORE) / SCORE_STEP))
    seen = tip_seen(exposure, replace(shaft, width_px=section.width_px), tip.along_px, at_stop=at_stop)
    return Needle(
        tip=shaft.point(tip.along_px),
        axis=(sign * shaft.axis[0], sign * shaft.axis[1]),
        width_px=section.width_px,
        width_sd_px=section.width_sd_px,
        tip_sd_along_px=along_sd,
        tip_sd_across_px=float(np.sqrt(shaft.across_sd_px**2 + (lever * shaft.angle_sd_rad) ** 2 + off_axis**2)),
        length_px=abs(far - tip.along_px),
        confidence=float(shaft_right * end_right * share * seen),
    )
