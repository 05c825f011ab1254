"""What may be said: the closed lists of verdicts and flags, and a verdict with its reasons."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """Every verdict of a frame or of a study."""

    # a fluoroscopic frame
    OUTSIDE_BONE = "outside_bone"
    AT_CORTEX = "at_cortex"
    PROJECTED_IN_THIN_BONE = "projected_in_thin_bone"
    PROJECTED_IN_MARGINAL_BONE = "projected_in_marginal_bone"
    PROJECTED_IN_THICK_BONE = "projected_in_thick_bone"
    PROJECTED_INSIDE = "projected_inside"
    BREACH_SUSPECTED = "breach_suspected"
    INDETERMINATE = "indeterminate"
    NOT_ASSESSABLE = "not_assessable"
    # an ultrasound frame
    ABOVE_CORTEX = "above_cortex"
    AT_OR_BEYOND_CORTEX = "at_or_beyond_cortex"
    # a study
    RIGHT_SPOT = "right_spot"
    THIN_BONE = "thin_bone"
    # a run
    SPREAD_AT_TARGET = "spread_at_target"
    LOCAL_POOL = "local_pool"
    VASCULAR_PATTERN_SEEN = "vascular_pattern_seen"
    SPREAD_AWAY = "spread_away"
    NO_CONTRAST_SEEN = "no_contrast_seen"
    NEEDLE_FOLLOWED = "needle_followed"


class Severity(StrEnum):
    """How a verdict is coloured; a missing answer is a problem, never a pass."""

    GOOD = "good"
    CAUTION = "caution"
    PROBLEM = "problem"
    UNKNOWN = "unknown"


class Flag(StrEnum):
    """What stands beside a verdict."""

    SHALLOW = "shallow"
    NEAR_DEPTH_LIMIT = "near_depth_limit"
    NEAR_THIN_BONE = "near_thin_bone"
    END_ON = "end_on"
    SCALE_AT_DETECTOR_PLANE = "scale_at_detector_plane"
    SCALE_UNKNOWN = "scale_unknown"
    SCALE_CONFLICT = "scale_conflict"
    SECOND_INSTRUMENT = "second_instrument"
    AMBIGUOUS_NEEDLE = "ambiguous_needle"
    LOW_CONFIDENCE_BONE = "low_confidence_bone"
    LOW_CONFIDENCE_NEEDLE = "low_confidence_needle"
    THICKNESS_NOT_JUDGED = "thickness_not_judged"
    NO_LEARNED_PRIOR = "no_learned_prior"
    OUT_OF_PLANE = "out_of_plane"
    SECOND_VIEW_NEEDED = "second_view_needed"
    AWAITING_CONFIRMATION = "awaiting_confirmation"
    NOT_IN_THICK_BONE = "not_in_thick_bone"
    LEAK_ALONG_NEEDLE = "leak_along_needle"
    CHANGE_ELSEWHERE = "change_elsewhere"
    LEAVES_FIELD = "leaves_field"
    TIMES_UNKNOWN = "times_unknown"
    RUN_INCOMPLETE = "run_incomplete"


SEVERITY: dict[Code, Severity] = {
    Code.OUTSIDE_BONE: Severity.PROBLEM,
    Code.AT_CORTEX: Severity.CAUTION,
    Code.PROJECTED_IN_THIN_BONE: Severity.PROBLEM,
    Code.PROJECTED_IN_MARGINAL_BONE: Severity.CAUTION,
    Code.PROJECTED_IN_THICK_BONE: Severity.GOOD,
    Code.PROJECTED_INSIDE: Severity.CAUTION,
    Code.BREACH_SUSPECTED: Severity.PROBLEM,
    Code.INDETERMINATE: Severity.UNKNOWN,
    Code.NOT_ASSESSABLE: Severity.UNKNOWN,
    Code.ABOVE_CORTEX: Severity.PROBLEM,
    Code.AT_OR_BEYOND_CORTEX: Severity.CAUTION,
    Code.RIGHT_SPOT: Severity.GOOD,
    Code.THIN_BONE: Severity.PROBLEM,
    Code.SPREAD_AT_TARGET: Severity.GOOD,
    Code.LOCAL_POOL: Severity.CAUTION,
    Code.VASCULAR_PATTERN_SEEN: Severity.PROBLEM,
    Code.SPREAD_AWAY: Severity.PROBLEM,
    # not seen is not absent
    Code.NO_CONTRAST_SEEN: Severity.UNKNOWN,
    Code.NEEDLE_FOLLOWED: Severity.CAUTION,
}


# beside one of these a good verdict is no good news yet
CAVEATS = frozenset(
    {
        Flag.NEAR_THIN_BONE, Flag.SCALE_UNKNOWN, Flag.SCALE_AT_DETECTOR_PLANE, Flag.SCALE_CONFLICT, Flag.END_ON,
        Flag.NO_LEARNED_PRIOR, Flag.LEAK_ALONG_NEEDLE,
    }
)  # fmt: skip


# beside one of these an open verdict is bad news all the same
ALARMS = frozenset({Flag.NOT_IN_THICK_BONE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a verdict was given: a stable code and a sentence with the numbers."""

    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is said of a frame or a study.

    Parameters
    ----------
    code : Code
        The verdict.
    text : str
        One short sentence in words, as shown on the overlay.
    flags : tuple of Flag
        What stands beside it.
    reasons : tuple of Reason
        Why, with the numbers; never empty for an abstention.
    """

    code: Code
    text: str
    flags: tuple[Flag, ...] = ()
    reasons: tuple[Reason, ...] = ()

    @property
    def severity(self) -> Severity:
        """How this verdict is coloured: good news with a caveat is a caution, an open verdict with an alarm a problem."""
        severity = SEVERITY[self.code]
        if ALARMS & set(self.flags):
            return Severity.PROBLEM
        return Severity.CAUTION if severity is Severity.GOOD and CAVEATS & set(self.flags) else severity
