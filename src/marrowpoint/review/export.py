"""A frame's record with what people set and decided: the program's own fields, and beside them theirs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from marrowpoint.assessment import Assessment
from marrowpoint.report.record import frame_record, printable
from marrowpoint.review.corrections import Corrections, to_json
from marrowpoint.review.entry import Entry


def reviewed_record(
    assessment: Assessment, corrections: Corrections | None = None, entries: Iterable[Entry] = ()
) -> dict[str, Any]:
    """The record of a frame that was reviewed.

    Parameters
    ----------
    assessment : Assessment
        As it stands: the program's own, or from `reassess`.
    corrections : Corrections or None
        What a person set to get there.
    entries : iterable of Entry
        What anyone wrote into the ledger about this frame.

    Returns
    -------
    dict
        The contract's frame record with two fields more: ``corrections`` (None where nothing was set) and ``reviews``.
    """
    set_by_hand = None if corrections is None or corrections.empty else to_json(corrections)
    return frame_record(assessment) | {"corrections": set_by_hand, "reviews": [_review(entry) for entry in entries]}


def _review(entry: Entry) -> dict[str, Any]:
    return {
        "number": entry.number,
        "action": entry.action.value,
        "rater": printable(entry.rater),
        "decided_at": entry.decided_at.isoformat(),
        "reason": printable(entry.reason),
        "verdict_before": entry.before.code,
        "verdict_after": entry.after.code,
        "program": entry.provenance.marrowpoint,
        "profile": entry.provenance.profile,
        "profile_sha256": entry.provenance.profile_sha256,
        "model_sha256": entry.provenance.model_sha256,
    }
