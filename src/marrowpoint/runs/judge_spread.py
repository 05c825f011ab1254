"""What may be said of a spread of contrast. Not seen is never absent."""

from __future__ import annotations

from dataclasses import replace

from marrowpoint.profile import RunLimits
from marrowpoint.runs.run import ContrastResult, Run
from marrowpoint.runs.spread import Spread
from marrowpoint.verdict import Code, Flag, Reason, Verdict

NEVER_ABSENT = (
    "Not seen is not absent: live fluoroscopy misses 20 to 40 % of the vascular uptake that subtraction shows, "
    "and a subtraction misses veins too thin or too fast for it."
)
LEAVES = "Contrast reaches the edge of the field: how far it goes, and whether a vein takes it there, cannot be told."
LEAVES_SHORT = "Contrast leaves the picture: where it goes cannot be judged"
UNTOLD_SHARE = 0.5  # of the frames after the mask: with more whose motion cannot be told, nothing reassuring is said
ELSEWHERE_SHARE = 1.0  # of the spread's own area: a change as large as the spread is told
ELSEWHERE_MM = 12.0  # side of the least area of such a change


def judge_spread(result: ContrastResult, limits: RunLimits) -> Verdict:
    """Judge where contrast went.

    Parameters
    ----------
    result : ContrastResult
    limits : RunLimits

    Returns
    -------
    Verdict
    """
    if result.refusal:
        reason = Reason(code="motion", text=f"{result.refusal[0].upper()}{result.refusal[1:]}.")
        return Verdict(code=Code.NOT_ASSESSABLE, text="Contrast cannot be judged: the bone moves", reasons=(reason,))
    reasons = [Reason(code="limits_of_the_method", text=NEVER_ABSENT)]
    flags = _flags(result, limits, reasons)
    peak = next((s for s in result.spreads if s.frame == result.peak), None)
    veins = [branch for branch in result.branches if is_vein(branch, result, limits)]
    verdict = _vascular(veins[0], result, flags, reasons) if veins else _without_vein(peak, result, limits, (flags, reasons))
    return _as_far_as_told(verdict, result)


def _as_far_as_told(verdict: Verdict, result: ContrastResult) -> Verdict:
    """Motion that cannot be told: what alarms stays and says so, what does not is no answer where it holds for most frames."""
    motion = result.motion
    if not motion.untold:
        return verdict
    share = f"{motion.untold} of {motion.looked_at} frames"
    text = f"In {share} the bone is too faint to tell whether it still moves after registration."
    reason = Reason(code="motion_untold", text=text)
    alarming = verdict.code in (Code.VASCULAR_PATTERN_SEEN, Code.SPREAD_AWAY)
    if alarming or motion.untold <= UNTOLD_SHARE * motion.looked_at:
        return replace(verdict, reasons=(*verdict.reasons, reason))
    return Verdict(
        code=Code.NOT_ASSESSABLE,
        text="Contrast cannot be judged: the bone is too faint to tell its motion",
        flags=verdict.flags,
        reasons=(reason, *verdict.reasons),
    )


def _without_vein(
    peak: Spread | None, result: ContrastResult, limits: RunLimits, said: tuple[tuple[Flag, ...], list[Reason]]
) -> Verdict:
    flags, reasons = said
    if peak is None or peak.seen_area <= 0:
        text = "No contrast is seen to appear in this run; what was there before its first frame cannot be told."
        reasons.insert(0, Reason(code="no_contrast_seen", text=f"{text} {_least(result)}"))
        words = "No contrast seen (not: none)"
        if result.onset is not None:
            # a spread that begins beside the tip, or motion: nobody may read that nothing happens
            words = "No contrast seen at the tip (not: none); something appears elsewhere"
            text = f"From frame {result.onset + 1} something appears that does not hang together with the tip: look at it."
            reasons.insert(0, Reason(code="change_elsewhere", text=text))
            flags = tuple(dict.fromkeys((*flags, Flag.CHANGE_ELSEWHERE)))
        if any(branch.cut_off for branch in result.branches):
            reasons.insert(0, Reason(code="contrast_leaves_field", text=LEAVES))
            flags = (*flags, Flag.LEAVES_FIELD)
            return Verdict(code=Code.NOT_ASSESSABLE, text=LEAVES_SHORT, flags=flags, reasons=tuple(reasons))
        return Verdict(code=Code.NO_CONTRAST_SEEN, text=words, flags=flags, reasons=tuple(reasons))
    code, text = _place(result, limits, peak.front, peak.in_bone, peak.in_target)
    reasons.insert(0, Reason(code=code.value, text=text))
    leaves = any(spread.cut_off for spread in result.spreads) or any(branch.cut_off for branch in result.branches)
    size = f"It covers {peak.area:.0f} {result.unit}\u00b2 ({peak.area_lower:.0f} to {peak.area_upper:.0f})"
    size += " of the picture, and more beyond its edge" if leaves else ""
    size += "; what runs back wholly behind the needle is in none of these." if result.tip_is_needle else "."
    reasons.append(Reason(code="area", text=size))
    behind = " One that runs back behind the needle's shaft is hidden." if result.tip_is_needle else ""
    reasons.append(Reason(code="no_vein_seen", text=f"No vein is seen to fill. {_least(result)}{behind}"))
    if leaves:
        flags = (*flags, Flag.LEAVES_FIELD)
        reasons.insert(1, Reason(code="contrast_leaves_field", text=LEAVES))
        if code in (Code.LOCAL_POOL, Code.SPREAD_AT_TARGET):
            # what is seen stays near, what is not seen may not
            told = (reasons[1], reasons[0], *reasons[2:])
            return Verdict(code=Code.NOT_ASSESSABLE, text=LEAVES_SHORT, flags=flags, reasons=told)
    short = {
        Code.SPREAD_AT_TARGET: "Contrast spreads at the target",
        Code.LOCAL_POOL: "Contrast pools at the tip; no vein seen (not: none)",
        Code.SPREAD_AWAY: "Contrast goes away from the tip or beside the bone",
    }[code]
    return Verdict(code=code, text=short, flags=flags, reasons=tuple(reasons))


def is_vein(branch: Run, result: ContrastResult, limits: RunLimits) -> bool:
    """Whether a thin line is long and thin enough to be called a vein."""
    per_mm = _per_mm(result)
    least_mm = limits.vein_cut_off_from_mm if branch.cut_off else limits.vein_from_mm
    return branch.length >= least_mm * per_mm and branch.width <= limits.vein_below_mm * per_mm


def _per_mm(result: ContrastResult) -> float:
    # without a scale the filters assumed one; the same holds here
    return 1.0 if result.unit == "mm" else result.px_per_mm


def _vascular(vein: Run, result: ContrastResult, flags: tuple[Flag, ...], reasons: list[Reason]) -> Verdict:
    least = "at least " if vein.cut_off else ""
    how = [
        f"a line of contrast {least}{vein.length:.0f} {result.unit} long and {vein.width:.1f} {result.unit} wide leaves the tip"
    ]
    if vein.cut_off:
        how.append("it reaches the edge of the field")
    if vein.outruns:
        how.append("it fills from the tip outward")
    if vein.washout is not None and vein.washout < 0.6:
        how.append(f"{100 * vein.washout:.0f} % of its density is left at the end of the run")
    reasons.insert(0, Reason(code="vein", text=f"{'; '.join(how).capitalize()}."))
    return Verdict(
        code=Code.VASCULAR_PATTERN_SEEN,
        text="Contrast runs off in a vein-like line",
        flags=flags,
        reasons=tuple(reasons),
    )


def _place(
    result: ContrastResult, limits: RunLimits, front: float, in_bone: float | None, in_target: float | None
) -> tuple[Code, str]:
    per_mm = _per_mm(result)
    reach = f"it reaches {front:.0f} {result.unit} from the tip, {result.words}"
    if in_target is not None:
        if in_target >= limits.target_share:
            return Code.SPREAD_AT_TARGET, f"{100 * in_target:.0f} % of the contrast lies in the target; {reach}."
        return Code.SPREAD_AWAY, f"Only {100 * in_target:.0f} % of the contrast lies in the target; {reach}."
    if in_bone is not None and in_bone < limits.outside_share:
        return Code.SPREAD_AWAY, f"{100 * (1 - in_bone):.0f} % of the contrast lies beside the bone's outline; {reach}."
    if front > limits.local_within_mm * per_mm:
        return Code.SPREAD_AWAY, f"The contrast does not stay at the tip: {reach}."
    over = ""
    if in_bone is not None:
        over = f" {100 * in_bone:.0f} % of it is projected over the bone, which does not prove that it lies inside."
    return Code.LOCAL_POOL, f"The contrast stays near the tip: {reach}.{over}"


def _flags(result: ContrastResult, limits: RunLimits, reasons: list[Reason]) -> tuple[Flag, ...]:
    flags = []
    per_mm = _per_mm(result)
    if result.leak > limits.leak_from_mm * per_mm:
        flags.append(Flag.LEAK_ALONG_NEEDLE)
        text = f"Contrast runs back along the needle for {result.leak:.0f} {result.unit}."
        reasons.append(Reason(code="leak_along_needle", text=text))
    largest = max((s.seen_area for s in result.spreads), default=0.0)
    if result.elsewhere > ELSEWHERE_SHARE * max(largest, (ELSEWHERE_MM * per_mm) ** 2):
        flags.append(Flag.CHANGE_ELSEWHERE)
        size = f"{result.elsewhere:.0f} {result.unit}\u00b2"
        text = f"Something of {size} changed away from the tip: bowel, heart or table; look at it."
        reasons.append(Reason(code="change_elsewhere", text=text))
    if result.unit != "mm":
        flags.append(Flag.SCALE_UNKNOWN)
    if not result.tip_is_needle:
        reasons.append(Reason(code="no_needle", text="No needle was found; distances are from where contrast first appeared."))
    return tuple(flags)


def _least(result: ContrastResult) -> str:
    if result.least_density <= 0:
        return "Without a needle, and with nothing that appears, lines of contrast were not looked for."
    return (
        f"A line 1 mm wide must add {100 * result.least_density:.1f} % of the grey range to be seen at the noise of this run."
    )
