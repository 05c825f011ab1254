"""The frames of a folder and how far their review is: small rows in memory, pixels only of the frame that is shown.

A `Session` belongs to the thread of the window; workers hand their results over (`worker`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from marrowpoint.assess import without_pixels
from marrowpoint.assessment import Assessment, Provenance, StudyAssessment
from marrowpoint.errors import MarrowpointError
from marrowpoint.frame import FrameReference
from marrowpoint.profile import Profile
from marrowpoint.read import ImageFile
from marrowpoint.review.entry import DECISIONS, Action, Entry, FrameKey, about, about_run, flagged, stale_because, standing
from marrowpoint.review.film import Film, film_of_file, film_of_stills
from marrowpoint.review.ledger import Ledger
from marrowpoint.review.listing import Listed, Review, Row, State, list_frames
from marrowpoint.review.partner import best_partner
from marrowpoint.runs.collect import group_stills, moment_of
from marrowpoint.study import Position, group_positions, judge_studies

__all__ = ["Listed", "Review", "Row", "Session", "State", "list_frames"]


class Session:
    """The list of a review.

    Parameters
    ----------
    profile : Profile
        Thresholds in force.
    provenance : Provenance
        What frames are analysed with now; decisions on anything else are stale.
    ledger : Ledger or None
        None keeps no decisions.
    """

    def __init__(self, *, profile: Profile, provenance: Provenance, ledger: Ledger | None = None) -> None:
        self.profile = profile
        self.provenance = provenance
        self.ledger = ledger
        self._rows: list[Row] = []
        self._found: dict[int, Assessment] = {}  # without pixels: kilobytes each
        self._corrected: dict[int, Assessment] = {}
        self._entries: tuple[Entry, ...] = ()
        self._positions: tuple[Position, ...] | None = None
        self._studies: tuple[StudyAssessment, ...] | None = None

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows in the order of the list."""
        return tuple(self._rows)

    def row(self, place: int) -> Row:
        """One row."""
        return self._rows[place]

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, listed: Listed) -> Row:
        """Put a frame that was found at the end of the list."""
        state = State.FAILURE if listed.failure else State.WAITING
        row = Row(
            place=len(self._rows), image=listed.image, frame_number=listed.frame_number,
            number_of_frames=listed.number_of_frames, state=state, failure=listed.failure, text=listed.text,
            head=listed.head,
        )  # fmt: skip
        self._rows.append(row)
        return row

    def begin(self, place: int) -> Row:
        """Mark a frame as being analysed."""
        return self._put(replace(self._rows[place], state=State.ANALYSING))

    def reset(self, place: int) -> Row:
        """Mark a frame as waiting again: its analysis was cancelled."""
        return self._put(replace(self._rows[place], state=State.WAITING))

    def finish(self, place: int, assessment: Assessment) -> Row:
        """Take the program's assessment of a frame; its pixels are not kept."""
        small = without_pixels(assessment)
        self._found[place] = small
        self._corrected.pop(place, None)
        self._positions = self._studies = None
        row = replace(
            self._rows[place], state=State.VERDICT, key=FrameKey.of(small.frame.reference), code=small.verdict.code,
            text=small.verdict.text, failure="",
        )  # fmt: skip
        return self._put(self._reviewed(row))

    def correct(self, place: int, corrected: Assessment | None) -> None:
        """Let a frame speak in its study as a person corrected it; None gives it back to the program."""
        if corrected is None:
            self._corrected.pop(place, None)
        else:
            self._corrected[place] = without_pixels(corrected)
        self._positions = self._studies = None

    def fail(self, place: int, code: str, text: str) -> Row:
        """Take a failure."""
        self._found.pop(place, None)
        self._corrected.pop(place, None)
        self._positions = self._studies = None
        return self._put(replace(self._rows[place], state=State.FAILURE, failure=code, text=text, code=None))

    def find_runs(self) -> tuple[Row, ...]:
        """Put stills together that make a run, without those that cannot be read; returns the rows that changed."""
        told = [(row.place, row.head) for row in self._rows if row.head is not None and row.state is not State.FAILURE]
        runs = [] if self.profile.run is None else group_stills(told, lambda each: (each[1].reference, each[1].view))
        places = {place: tuple(other for other, _ in run) for run in runs for place, _ in run}
        changed = [row for row in self._rows if row.stills != places.get(row.place, ())]
        return tuple(self._put(replace(row, stills=places.get(row.place, ()))) for row in changed)

    def run_files(self, place: int) -> tuple[ImageFile, ...]:
        """Files of the run that a frame belongs to: one, or stills in order of time; none where it belongs to none."""
        row = self._rows[place]
        if row.state is State.FAILURE or len(row.run_places) < 2:
            return ()
        return tuple(self._rows[still].image for still in row.stills) or (row.image,)

    def film(self, place: int) -> Film | None:
        """The run that a frame belongs to, before it is followed.

        Raises
        ------
        MarrowpointError
            Where its file is no DICOM file any more.
        """
        row, files = self._rows[place], self.run_files(place)
        heads = [head for still in row.stills if (head := self._rows[still].head) is not None]
        if heads:
            moments = [moment_of(head.reference) for head in heads]
            return film_of_stills(files, moments, heads[0].reference.modality) if files else None
        return film_of_file(row.image) if files else None

    def found(self, place: int) -> Assessment | None:
        """The program's assessment of a frame, without pixels."""
        return self._found.get(place)

    def refresh(self) -> tuple[Row, ...]:
        """Read what any window added to the ledger; returns the rows that changed."""
        if self.ledger is None:
            return ()
        last = self._entries[-1].number if self._entries else 0
        fresh = self.ledger.entries(after=last)
        if not fresh and last:
            return ()
        self._entries += fresh
        before = self.rows
        for row in before:
            if row.key is not None:
                self._put(self._reviewed(row))
        return tuple(new for old, new in zip(before, self._rows, strict=True) if new != old)

    def decide(self, place: int, entry: Entry) -> Row:
        """Write a decision into the ledger and show it.

        Raises
        ------
        MarrowpointError
            Where the ledger cannot be written; the row stays as it was.
        """
        self.write(entry)
        return self._rows[place]

    def write(self, entry: Entry) -> None:
        """Write a decision into the ledger: about a run, where it belongs to no row.

        Raises
        ------
        MarrowpointError
            Where the ledger cannot be written.
        """
        if self.ledger is None:
            raise MarrowpointError("no_ledger", "no ledger is open: choose one before deciding")
        self.ledger.append(entry)
        self.refresh()

    def restate(self, provenance: Provenance, profile: Profile) -> None:
        """Go over to another profile or model: decisions on the old one become stale, verdicts are for the worker to renew."""
        self.provenance, self.profile = provenance, profile
        self._positions = self._studies = None
        self.find_runs()
        for row in self.rows:
            if row.key is not None:
                self._put(self._reviewed(row))

    def entries(self, place: int) -> tuple[Entry, ...]:
        """Everything that anyone wrote about a frame, in order."""
        key = self._rows[place].key
        return () if key is None else self.entries_about(key)

    def entries_about(self, key: FrameKey) -> tuple[Entry, ...]:
        """Everything that anyone wrote about a frame or a run, in order."""
        return tuple(about(self._entries, key))

    def entries_about_run(self, references: Sequence[FrameReference]) -> tuple[Entry, ...]:
        """Everything that anyone wrote about a run of these frames, in order."""
        paths = {reference.path for reference in references}
        return tuple(about_run(self._entries, FrameKey.of_run(references), paths))

    def needle_of(self, study_instance_uid: str, rater: str) -> float | None:
        """Outer diameter [mm] with which a rater last signed a frame of a study; None where they stated none."""
        signed = [
            entry for entry in self._entries
            if study_instance_uid and entry.frame.study_instance_uid == study_instance_uid and entry.rater == rater
            and entry.action in DECISIONS and not entry.frame.whole_run
        ]  # fmt: skip
        return None if not signed or signed[-1].corrections is None else signed[-1].corrections.outer_diameter_mm

    def next(self, place: int, wanted: Callable[[Row], bool] = lambda row: True, *, step: int = 1) -> int | None:
        """Place of the nearest wanted row after this one (``step=-1``: before it), round the ends of the list; else None."""
        count = len(self._rows)
        for away in range(1, count + 1):
            other = (place + step * away) % count
            if other != place and wanted(self._rows[other]):
                return other
        return None

    def next_not_reviewed(self, place: int, rater: str) -> int | None:
        """The next frame that this rater has not decided on, or whose decision is stale."""
        return self.next(place, lambda row: row.state is not State.FAILURE and not row.reviewed_by(rater))

    def next_problem(self, place: int) -> int | None:
        """The next frame that a person should look at first."""
        return self.next(place, lambda row: row.problem)

    def partner(self, place: int) -> int | None:
        """The frame that shows the same needle position from the most different side; None where the study has none."""
        position = self._position(place)
        return None if position is None else best_partner(self._standing(), position, place)

    def study(self, place: int) -> StudyAssessment | None:
        """What all frames of this needle position say together."""
        found = self._found.get(place)
        if found is None:
            return None
        if self._studies is None:
            # all at once: a picture that turns up in two studies refuses both
            self._studies = judge_studies(self._standing().values(), self.profile)
        name = f"{found.frame.reference.path}#{found.frame.reference.frame_number}"
        return next((study for study in self._studies if name in study.frames), None)

    def _position(self, place: int) -> Position | None:
        found = self._standing().get(place)
        if found is None:
            return None
        if self._positions is None:
            self._positions = group_positions(self._standing().values(), self.profile.study)
        return next((each for each in self._positions if any(frame is found for frame in each.frames)), None)

    def _standing(self) -> dict[int, Assessment]:
        return self._found | self._corrected

    def _put(self, row: Row) -> Row:
        self._rows[row.place] = row
        return row

    def _reviewed(self, row: Row) -> Row:
        key = row.key
        if key is None:
            return row
        told = self.entries_about(key)
        comments = sum(1 for entry in told if entry.action is Action.COMMENT)
        return replace(row, reviews=self.reviews_of(key), flags=tuple(flagged(told, key)), comments=comments)

    def reviews_of(self, key: FrameKey, entries: Sequence[Entry] | None = None) -> tuple[Review, ...]:
        """The standing decision of each rater about a frame, or about a run, of which these are the `entries`."""
        return tuple(
            Review(rater=rater, action=entry.action, stale=stale_because(entry, key, self.provenance), entry=entry)
            for rater, entry in standing(self._entries if entries is None else entries, key).items()
        )
