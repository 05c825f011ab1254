"""What stands in the review ledger: one entry a decision, who took it, and on what it was taken."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256

from marrowpoint.assessment import Assessment, Provenance
from marrowpoint.frame import FrameReference
from marrowpoint.review.corrections import Corrections
from marrowpoint.review.said import Said, said_of
from marrowpoint.runs.run import RunAssessment

__all__ = [
    "DECISIONS",
    "MAX_RATER",
    "MAX_TEXT",
    "NEED_REASON",
    "WHOLE_RUN",
    "Action",
    "Entry",
    "FrameKey",
    "Said",
    "about",
    "about_run",
    "decide",
    "flagged",
    "last_signed",
    "run_digest",
    "stale_because",
    "standing",
]

MAX_RATER, MAX_TEXT = 80, 2000  # characters
WHOLE_RUN = 0  # as the number of a frame: all frames of the file, as the run that they are


class Action(StrEnum):
    """What a person decided about a frame."""

    ACCEPT = "accept"
    CORRECT = "correct"
    REJECT = "reject"
    FLAG = "flag"
    COMMENT = "comment"
    WITHDRAW = "withdraw"  # takes the rater's own standing decision back; the entry it takes back stays


DECISIONS = frozenset({Action.ACCEPT, Action.CORRECT, Action.REJECT})
NEED_REASON = frozenset({Action.REJECT, Action.COMMENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameKey:
    """Which frame an entry is about; nothing of the patient.

    Parameters
    ----------
    path : str
        Relative to the reviewed folder's parent, with forward slashes, as in every result.
    frame_number : int
        1-based; `WHOLE_RUN` for the run that all frames of a file make.
    pixel_sha256 : str
        Hash of the frame's decoded pixels; of a run, hash of those of its frames in their order.
    sop_instance_uid, study_instance_uid : str
        Empty where the file has none.
    """

    path: str
    frame_number: int
    pixel_sha256: str
    sop_instance_uid: str = ""
    study_instance_uid: str = ""

    @classmethod
    def of(cls, reference: FrameReference) -> FrameKey:
        """Key of a frame that was read."""
        return cls(
            path=reference.path,
            frame_number=reference.frame_number,
            pixel_sha256=reference.pixel_sha256,
            sop_instance_uid=reference.sop_instance_uid,
            study_instance_uid=reference.study_instance_uid,
        )

    @classmethod
    def of_run(cls, references: Sequence[FrameReference]) -> FrameKey:
        """Key of a run whose frames were read.

        Parameters
        ----------
        references : sequence of FrameReference
            Of all its frames, in their order.

        Returns
        -------
        FrameKey
        """
        digest = run_digest(each.pixel_sha256 for each in references)
        return replace(cls.of(references[0]), frame_number=WHOLE_RUN, pixel_sha256=digest)

    @property
    def whole_run(self) -> bool:
        """Whether this names a run and no frame of it."""
        return self.frame_number == WHOLE_RUN

    def same_frame(self, other: FrameKey) -> bool:
        """Whether both name one frame: the same place in the folder, or the same picture in a folder that was moved."""
        if self.frame_number != other.frame_number:
            return False
        same_pixels = self.pixel_sha256 == other.pixel_sha256 != ""
        return self.path == other.path or (same_pixels and self.sop_instance_uid == other.sop_instance_uid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One decision of one person about one frame.

    Parameters
    ----------
    frame : FrameKey
    action : Action
    rater : str
        Who; not empty.
    decided_at : datetime
        Time zone UTC.
    before : Said
        What the program said, uncorrected.
    after : Said
        What stands with the person's corrections; equal to `before` where nothing was corrected.
    corrections : Corrections or None
        What the person set.
    reason : str
        Why; required for a rejection and a comment.
    provenance : Provenance
        Program, profile and model that the decision was taken on.
    number : int
        From 1, in the order of the ledger; 0 until it stands in one.
    """

    frame: FrameKey
    action: Action
    rater: str
    decided_at: datetime
    before: Said
    after: Said
    corrections: Corrections | None = None
    reason: str = ""
    provenance: Provenance
    number: int = 0

    def __post_init__(self) -> None:
        if not self.rater.strip() or len(self.rater) > MAX_RATER:
            raise ValueError(f"a rater's name has 1 to {MAX_RATER} characters")
        if len(self.reason) > MAX_TEXT:
            raise ValueError(f"a reason has at most {MAX_TEXT} characters")
        if self.action in NEED_REASON and not self.reason.strip():
            raise ValueError(f"to {self.action} needs a reason in words")
        if self.decided_at.tzinfo is None:
            raise ValueError("a decision's time needs its time zone")


def run_digest(hashes: Iterable[str]) -> str:
    """Hash of a run's pictures from those of its frames, in their order."""
    return sha256("".join(hashes).encode()).hexdigest()


def decide(
    base: Assessment | RunAssessment,
    action: Action,
    *,
    rater: str,
    corrected: Assessment | RunAssessment | None = None,
    corrections: Corrections | None = None,
    reason: str = "",
    at: datetime | None = None,
) -> Entry:
    """Put a decision about a frame, or about the run that frames make, into words for the ledger.

    Parameters
    ----------
    base : Assessment or RunAssessment
        The program's own.
    action : Action
    rater : str
    corrected : Assessment, RunAssessment or None
        From `reassess` or followed with the person's target, where the person corrected something.
    corrections : Corrections or None
    reason : str
    at : datetime or None
        Now, if not given.

    Returns
    -------
    Entry
        Not in a ledger yet.

    Raises
    ------
    ValueError
        Without a rater, without a reason where one is needed, a correction without corrections, or a run without frames.
    """
    if action is Action.CORRECT and (corrections is None or corrections.empty or corrected is None):
        raise ValueError("to correct needs corrections and what came of them")
    before = said_of(base)
    return Entry(
        frame=_key_of(base),
        action=action,
        rater=rater.strip(),
        decided_at=(at or datetime.now(UTC)).astimezone(UTC),
        before=before,
        after=before if corrected is None else said_of(corrected),
        corrections=None if corrections is None or corrections.empty else corrections,
        reason=reason.strip(),
        provenance=base.provenance,
    )


def _key_of(base: Assessment | RunAssessment) -> FrameKey:
    if isinstance(base, Assessment):
        return FrameKey.of(base.frame.reference)
    if not base.references:
        raise ValueError("not one frame of this run could be read: there is nothing to decide about")
    return FrameKey.of_run(base.references)


def stale_because(entry: Entry, frame: FrameKey, provenance: Provenance) -> tuple[str, ...]:
    """What changed since an entry was made.

    Parameters
    ----------
    entry : Entry
    frame : FrameKey
        The frame as it is now.
    provenance : Provenance
        What it would be analysed with now.

    Returns
    -------
    tuple of str
        Of ``"image"``, ``"program"``, ``"profile"``, ``"model"``; empty for an entry that still holds.
    """
    then = entry.provenance
    changed = {
        "image": entry.frame.pixel_sha256 != frame.pixel_sha256,
        "program": then.marrowpoint != provenance.marrowpoint,
        "profile": then.profile_sha256 != provenance.profile_sha256,
        "model": then.model_sha256 != provenance.model_sha256,
    }
    return tuple(name for name, differs in changed.items() if differs)


def about(entries: Iterable[Entry], frame: FrameKey) -> Iterator[Entry]:
    """The entries of one frame, in their order."""
    return (entry for entry in entries if entry.frame.same_frame(frame))


def about_run(entries: Iterable[Entry], run: FrameKey, paths: Container[str]) -> Iterator[Entry]:
    """The entries of one run, in their order, also those from before other stills belonged to it.

    Parameters
    ----------
    entries : iterable of Entry
    run : FrameKey
        The run as it is now.
    paths : container of str
        Of all its files: a run of stills bears the name of its first, and another may come to be the first.

    Yields
    ------
    Entry
        Named as the run is now, with the pixels that it was taken on.
    """
    for entry in entries:
        if entry.frame.same_frame(run):
            yield entry
        elif entry.frame.whole_run and entry.frame.path in paths:
            yield replace(entry, frame=replace(entry.frame, path=run.path))


def standing(entries: Iterable[Entry], frame: FrameKey) -> dict[str, Entry]:
    """The last decision of each rater about a frame, side by side.

    Parameters
    ----------
    entries : iterable of Entry
        In the order of the ledger.
    frame : FrameKey

    Returns
    -------
    dict of str to Entry
        By rater. Flags and comments decide nothing; a decision that was withdrawn is left out.
    """
    last: dict[str, Entry] = {}
    for entry in about(entries, frame):
        if entry.action in DECISIONS:
            last[entry.rater] = entry
        elif entry.action is Action.WITHDRAW:
            last.pop(entry.rater, None)
    return last


def last_signed(entries: Iterable[Entry], rater: str) -> Corrections:
    """What a rater had set when they last decided, or took a decision back; empty where they never did.

    Parameters
    ----------
    entries : iterable of Entry
        About one frame or run, in the order of the ledger.
    rater : str

    Returns
    -------
    Corrections
    """
    signed = [entry for entry in entries if entry.rater == rater and entry.action in (*DECISIONS, Action.WITHDRAW)]
    return (signed[-1].corrections if signed else None) or Corrections()


def flagged(entries: Iterable[Entry], frame: FrameKey) -> dict[str, Entry]:
    """The raters whose flag stands on a frame; a withdrawal lowers it."""
    raised: dict[str, Entry] = {}
    for entry in about(entries, frame):
        if entry.action is Action.FLAG:
            raised[entry.rater] = entry
        elif entry.action is Action.WITHDRAW:
            raised.pop(entry.rater, None)
    return raised
