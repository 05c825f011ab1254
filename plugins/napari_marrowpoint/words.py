"""What the window says in words: why, from which numbers, what is missing, which picture next, and what a person set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from marrowpoint.assess import ULTRASOUND
from marrowpoint.assessment import Assessment, StudyAssessment
from marrowpoint.frame import View, ViewOrigin
from marrowpoint.report.words import FLAG_WORDS, MEASUREMENT_WORDS, VIEW_WORDS, in_words, measured, next_view, scale_words
from marrowpoint.review import Action, Corrections, Entry
from marrowpoint.review.listing import Review
from marrowpoint.review.session import Row, State
from marrowpoint.verdict import Severity

# the two lengths that decide
MAIN = ("tip_to_cortex", "bone_thickness")
HAND_WORDS = {
    "tip": "tip", "far_end": "far end of the shaft", "end_on": "end-on", "outline": "outline",
    "outline_confirmed": "outline confirmed", "outer_diameter_mm": "needle", "view": "view", "side": "side", "scale": "scale",
    "target": "target",
}  # fmt: skip
ACTION_WORDS = {
    Action.ACCEPT: "accepted", Action.CORRECT: "corrected", Action.REJECT: "rejected", Action.FLAG: "flagged",
    Action.COMMENT: "comment", Action.WITHDRAW: "withdrawn",
}  # fmt: skip
SEVERITY_WORDS = {
    Severity.GOOD: "good", Severity.CAUTION: "caution", Severity.PROBLEM: "problem", Severity.UNKNOWN: "cannot tell",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """A heading with its sentences."""

    title: str
    sentences: tuple[str, ...]


def headline(assessment: Assessment) -> str:
    """The length that is read across the room, or nothing where there is none."""
    placement = assessment.placement
    if placement is None or placement.tip_to_cortex is None:
        return ""
    return in_words("tip_to_cortex", placement.tip_to_cortex)[0]


def numbers(assessment: Assessment) -> list[tuple[str, str]]:
    """Name and value of each length, the missing ones of the main two said to be missing."""
    told: list[tuple[str, str]] = []
    for name, title in MEASUREMENT_WORDS.items():
        found = None if assessment.placement is None else getattr(assessment.placement, name)
        if found is not None:
            told.append((title, measured(name, found)))
        elif name == MAIN[0] or (name in MAIN and assessment.frame.reference.modality not in ULTRASOUND):
            told.append((title, "not measured"))
    return told


def chapters(assessment: Assessment, corrections: Corrections, study: StudyAssessment | None = None) -> list[Chapter]:
    """Everything that stands behind a verdict, in the order in which it is asked.

    Parameters
    ----------
    assessment : Assessment
        As it is shown, with what a person set.
    corrections : Corrections
    study : StudyAssessment or None
        What all frames of this needle position say together.

    Returns
    -------
    list of Chapter
        Without empty ones.
    """
    verdict = assessment.verdict
    missing = [FLAG_WORDS[flag] for flag in verdict.flags]
    missing += [f"{title} was not measured" for title, value in numbers(assessment) if value == "not measured"]
    why = [reason.text for reason in verdict.reasons if reason.text != verdict.text]
    told = [
        Chapter(title="Why", sentences=(verdict.text, *why)),
        Chapter(title="From which numbers", sentences=tuple(f"{title}: {value}" for title, value in numbers(assessment))),
        Chapter(title="Found by", sentences=_found_by(assessment)),
        Chapter(title="Scale", sentences=(scale_words(assessment.calibration), *assessment.calibration.conflicts)),
        Chapter(title="What is missing", sentences=tuple(missing)),
        Chapter(title="What you can do", sentences=tuple(ways_out(assessment))),
        Chapter(title="Next picture", sentences=(next_view(assessment.frame.view, verdict).removeprefix("Next: "),)),
        Chapter(title="Set by hand", sentences=tuple(hand_sentences(corrections))),
        Chapter(title="All views of this needle", sentences=() if study is None else (study.verdict.text,)),
    ]
    kept = [Chapter(title=each.title, sentences=tuple(text for text in each.sentences if text)) for each in told]
    return [each for each in kept if each.sentences]


def ways_out(assessment: Assessment) -> list[str]:
    """What a person could set so that more can be said."""
    codes = {reason.code for reason in assessment.verdict.reasons}
    told = []
    if assessment.needle is None:
        told.append("Mark the needle: T, press at the tip, pull to the far end.")
    elif "low_confidence_needle" in codes:
        told.append("Pull the tip to where you see it, or draw the needle anew: T.")
    if assessment.cortex is None:
        told.append("Draw the outline along the cortex: W.")
    elif codes & {"low_confidence_bone", "too_uncertain"}:
        told.append("If the outline near the tip is right, say so: K. Else pull it right: O, or draw it: W.")
    if assessment.calibration.spacing is None:
        told.append("For mm choose the needle, or pull between two points of known distance: S.")
    return told


def _found_by(assessment: Assessment) -> tuple[str, ...]:
    needle, cortex = assessment.needle, assessment.cortex
    told = [] if needle is None else [f"needle: {needle.located_by}, confidence {needle.confidence:.2f}"]
    if cortex is not None:
        told.append(f"outline: {cortex.located_by}, confidence {cortex.confidence:.2f}")
    told.append(view_words(assessment.frame.view, assessment.frame.side))
    made = assessment.provenance
    return (*told, f"marrowpoint {made.marrowpoint}, profile {made.profile}")


def view_words(view: View, side: str) -> str:
    """The view, its angles and who says so."""
    told = VIEW_WORDS[view.kind]
    if view.primary_deg is not None and view.secondary_deg is not None:
        told += f", {view.primary_deg:.0f}/{view.secondary_deg:.0f} deg"
    if view.origin is ViewOrigin.OPERATOR:
        told += ", by hand"
    return f"{told}, {'left' if side == 'L' else 'right'} side" if side else told


def hand_sentences(corrections: Corrections) -> list[str]:
    """What a person set, who and when."""
    told = []
    for name in corrections.fields_set:
        mark = corrections.marks.get(name)
        who = "" if mark is None else f", by {mark.by} at {mark.at.astimezone():%H:%M}"
        told.append(f"{HAND_WORDS[name]}{who}")
    return told


def as_html(told: list[Chapter]) -> str:
    """Chapters for a text field."""
    return "".join(
        f"<p><b>{_safe(each.title)}</b><br>" + "<br>".join(_safe(text) for text in each.sentences) + "</p>" for each in told
    )


def row_state(row: Row) -> str:
    """How far the review of a frame is, in a few words."""
    if row.state is State.FAILURE:
        return "cannot be read"
    if row.state is not State.VERDICT:
        return "being analysed" if row.state is State.ANALYSING else "waiting"
    told = [f"{ACTION_WORDS[review.action]} by {review.rater}" + (" (stale)" if review.stale else "") for review in row.reviews]
    told += [f"flagged by {rater}" for rater in row.flags]
    if row.comments:
        told.append(f"{row.comments} comment{'s' if row.comments > 1 else ''}")
    return ", ".join(told) or "not reviewed"


def still_words(row: Row) -> str:
    """Which still of a run a frame is; nothing for any other frame."""
    return f"({row.run_index + 1} of {len(row.stills)})   " if row.stills else ""


def run_state(reviews: Sequence[Review], target_by: str, *, signed: bool) -> str:
    """How far the review of a run is, in a few words."""
    told = [f"{ACTION_WORDS[review.action]} by {review.rater}" + (" (stale)" if review.stale else "") for review in reviews]
    if target_by and not signed:
        told.append("target not signed yet")
    return ", ".join(told) or "not reviewed"


def run_history(entries: Sequence[Entry]) -> tuple[str, ...]:
    """What anyone decided about a run, last first."""
    return tuple(entry_words(entry) for entry in reversed(entries[-4:]))


def entry_words(entry: Entry) -> str:
    """One decision in a line."""
    reason = f" ({entry.reason})" if entry.reason else ""
    return f"{entry.decided_at.astimezone():%Y-%m-%d %H:%M} {entry.rater}: {ACTION_WORDS[entry.action]}{reason}"


def row_mark(row: Row) -> str:
    """The same as one or two signs for a list."""
    signs = {Action.ACCEPT: "\N{CHECK MARK}", Action.CORRECT: "\N{LOWER RIGHT PENCIL}", Action.REJECT: "\N{MULTIPLICATION X}"}
    told = "".join(dict.fromkeys(signs[review.action] for review in row.reviews))
    if row.stale:
        told += "\N{CLOCKWISE OPEN CIRCLE ARROW}"
    return told + ("\N{BLACK FLAG}" if row.flags else "")


def _safe(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
