"""What an audit rule says of one procedure: outcome, one calm sentence, and where the rule comes from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What a rule found; a rule that does not apply to a procedure gives no finding at all."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    NOT_ASSESSABLE = "not_assessable"


# worst first: one bad site outweighs one that cannot be told, and that one outweighs every good one
WORST_FIRST = (Outcome.FAIL, Outcome.WARN, Outcome.NOT_ASSESSABLE, Outcome.PASS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule's answer about one procedure, or about one of its sites.

    Parameters
    ----------
    rule : str
        ``A01`` to ``A30``.
    outcome : Outcome
    study_instance_uid : str
    site : str or None
        Name of the site the finding is about; None for the procedure as a whole. A rule gives at most one finding with None a
        procedure: only those are counted in shares.
    sentence : str
        What was found, with the numbers; never more than the files and the sheet tell.
    source : str
        Where the rule and its threshold come from.
    """

    rule: str
    outcome: Outcome
    study_instance_uid: str
    site: str | None = None
    sentence: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A rule's words before they become a finding.

    Parameters
    ----------
    outcome : Outcome
    sentence : str
    site : str or None
    """

    outcome: Outcome
    sentence: str
    site: str | None = None


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The outcome that decides for the whole; not assessable where there is none."""
    seen = set(outcomes)
    return next((outcome for outcome in WORST_FIRST if outcome in seen), Outcome.NOT_ASSESSABLE)
