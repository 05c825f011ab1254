"""What may be said of a needle run: that the needle was followed, never that it lies right."""

from __future__ import annotations

from marrowpoint.profile import RunLimits
from marrowpoint.runs.run import NeedleResult, RunEvent
from marrowpoint.verdict import Code, Flag, Reason, Verdict

WORDS = {
    "cortex_reached": "reaches the outline of the bone",
    "cortex_passed": "passes the cortex in this view",
    "deepest": "stands deepest",
    "withdrawn": "is drawn back",
    "needle_lost": "is not seen",
    "table_moved": "table or patient moves",
    "brightness_jump": "brightness jumps",
}


def event_words(event: RunEvent) -> str:
    """An event as a short sentence with its frame and time."""
    time = "" if event.time_s is None else f", {event.time_s:.1f} s"
    spread = "" if event.earliest == event.latest else f" ({event.earliest + 1} to {event.latest + 1})"
    extra = f": {event.text}" if event.text else ""
    subject = "" if event.code in ("table_moved", "brightness_jump") else "the needle "
    return f"{subject}{WORDS[event.code]} at frame {event.frame + 1}{spread}{time}{extra}"


def judge_needle(result: NeedleResult | None, limits: RunLimits, least_confidence: float = 0.0) -> Verdict:
    """Judge a needle run.

    Parameters
    ----------
    result : NeedleResult or None
    limits : RunLimits
    least_confidence : float
        That what was followed is the needle; with less the verdict says so.

    Returns
    -------
    Verdict
    """
    if result is None:
        reason = Reason(code="no_needle", text="No needle is found in any frame of the run.")
        return Verdict(code=Code.NOT_ASSESSABLE, text="No needle followed", reasons=(reason,))
    if not result.steady:
        text = "What was found in the frames lies now here, now there: it is not one needle that moves along its shaft."
        return Verdict(code=Code.NOT_ASSESSABLE, text="No needle followed", reasons=(Reason(code="no_needle", text=text),))
    share = result.followed_share
    reasons = [Reason(code=event.code, text=f"{event_words(event).capitalize()}.") for event in result.events]
    if share < limits.followed_share:
        text = f"The needle is found in only {100 * share:.0f} % of the frames: its curves have gaps."
        return Verdict(
            code=Code.NOT_ASSESSABLE,
            text="Needle lost in parts of the run",
            reasons=(Reason(code="needle_lost", text=text), *reasons),
        )
    flags = [Flag.SECOND_VIEW_NEEDED]
    if result.confidence < least_confidence:
        flags.append(Flag.LOW_CONFIDENCE_NEEDLE)
        text = f"What was followed is the needle with a confidence of only {result.confidence:.2f}: look at the film strip."
        reasons.append(Reason(code="low_confidence_needle", text=text))
    one_view = "One view: distances inside the outline are upper bounds, and the depth is at least what is seen."
    return Verdict(
        code=Code.NEEDLE_FOLLOWED,
        text=f"Needle followed; it travels {result.travel:.1f} {result.unit} against the bone",
        flags=tuple(flags),
        reasons=(*reasons, Reason(code="one_view", text=one_view)),
    )
