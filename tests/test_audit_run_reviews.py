"""Decisions about whole runs, and targets, in an audit: figures after review beside what the program said, which stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from build_audit import PROFILE, PROVENANCE, ask, frame, outcome, procedure, reinjection
from run_files import PLACE, RADIUS_PX, write_stills
from test_audit_report import material
from test_audit_rules_files import run

from marrowpoint.analyze import Request, analyze_images
from marrowpoint.assessment import Assessment, Provenance
from marrowpoint.audit.agreement_run import run_reader_lines, run_study
from marrowpoint.audit.cards import make_cards
from marrowpoint.audit.gather import gather_procedures
from marrowpoint.audit.report import write_report
from marrowpoint.read import find_images
from marrowpoint.report.record import frame_record
from marrowpoint.report.run_record import run_record
from marrowpoint.review import Action, Corrections
from marrowpoint.review.entry import WHOLE_RUN, Entry, FrameKey, Said, decide, run_digest
from marrowpoint.review.film import film_of_stills
from marrowpoint.review.runs import follow_film
from marrowpoint.runs.collect import RunRequest
from marrowpoint.runs.run import RunAssessment

TARGET = Corrections().changed(by="x", target=np.array([(1.0, 1.0), (1.0, 5.0), (5.0, 5.0)]))
PATHS = tuple(f"still_{k}.dcm" for k in range(5))


def frames(paths=PATHS):
    return [frame(path, pixels=f"{k:064d}") for k, path in enumerate(paths)]


def said(code: str, **numbers: float) -> Said:
    text = code.replace("_", " ").capitalize()
    return Said(code=code, text=text, numbers={name: {"value": value, "unit": "1"} for name, value in numbers.items()})


def entry(
    action: Action, rater: str = "A. Reader", paths=PATHS, *, after: Said | None = None, pixels: str | None = None
) -> Entry:
    before = said("local_pool")
    return Entry(
        frame=FrameKey(
            path=paths[0], frame_number=WHOLE_RUN,
            pixel_sha256=pixels or run_digest(f"{PATHS.index(path):064d}" for path in paths),
        ),
        action=action, rater=rater, decided_at=datetime(2026, 3, 3, tzinfo=UTC), before=before, after=after or before,
        corrections=TARGET if action is Action.CORRECT else None, reason="so" if action is Action.REJECT else "",
        provenance=Provenance(**PROVENANCE),
    )  # fmt: skip


def facts(*entries: Entry, paths=PATHS):
    (found,) = procedure([*frames(paths), run(paths=paths)], of_runs=entries).runs
    return found


AT_TARGET = said("spread_at_target", in_target=0.92)


@pytest.mark.parametrize(
    ("entries", "after"),
    [
        ((), "local_pool"),
        ((entry(Action.ACCEPT),), "local_pool"),
        ((entry(Action.CORRECT, after=AT_TARGET),), "spread_at_target"),
        ((entry(Action.REJECT),), "rejected"),
        ((entry(Action.REJECT), entry(Action.ACCEPT)), "local_pool"),  # one reader, who thought again
        ((entry(Action.REJECT), entry(Action.WITHDRAW)), "local_pool"),
        ((entry(Action.ACCEPT), entry(Action.REJECT, "B. Reader")), "readers_differ"),
        ((entry(Action.CORRECT, after=AT_TARGET), entry(Action.ACCEPT, "B. Reader")), "readers_differ"),
        ((entry(Action.REJECT, pixels="0" * 64),), "local_pool"),  # on other pictures
    ],
)
def test_what_stands_after_review_and_the_programs_own_beside_it(entries, after) -> None:
    found = facts(*entries)
    assert found.after_review == after
    assert found.verdict.code.value == "local_pool"


def test_a_decision_from_before_an_earlier_still_came_is_shown_and_not_counted() -> None:
    found = facts(entry(Action.REJECT, paths=PATHS[1:]))
    (reading,) = found.readings
    assert not reading.same_pictures
    assert found.after_review == "local_pool"


def test_figures_after_review() -> None:
    procedures = [
        facts(entry(Action.CORRECT, after=AT_TARGET), entry(Action.CORRECT, "B. Reader", after=AT_TARGET)),
        facts(entry(Action.REJECT)),
        facts(entry(Action.ACCEPT), entry(Action.REJECT, "C. Reader", pixels="1" * 64)),
        facts(),
    ]
    study = run_study(procedures)
    assert study is not None
    assert (study.runs, study.reviewed, study.raters) == (4, 3, 2)
    assert (study.accepted, study.corrected, study.rejected, study.other_pictures) == (1, 2, 1, 1)
    assert (study.same, len(study.verdicts)) == (1, 3)
    assert study.in_target == (0.92, 0.92)
    assert dict(study.by_program) == {"local_pool": 4}
    assert dict(study.after_review) == {"spread_at_target": 1, "rejected": 1, "local_pool": 2}
    told = " ".join(run_reader_lines(study))
    assert "Runs: 3 of 4 reviewed by 2 readers" in told
    assert "Runs as the program judges them: 4 local pool." in told
    assert "1 rejected by a reader" in told and "92 %, 92 %" in told
    assert run_study([facts()]) is None and run_reader_lines(None) == []


def test_contrast_that_a_reader_rejected_documents_none() -> None:
    claims, records = reinjection(contrast="yes"), [frame("run.dcm"), run()]
    digest = run_digest([records[0]["source"]["pixel_sha256"]])
    no = replace(entry(Action.REJECT), frame=FrameKey(path="run.dcm", frame_number=WHOLE_RUN, pixel_sha256=digest))
    yes = replace(no, action=Action.ACCEPT, reason="")
    assert outcome("A22", records, [claims]) == "pass"
    assert outcome("A22", records, [claims], of_runs=[yes]) == "pass"
    found = ask("A22", records, [claims], of_runs=[no])
    assert found is not None and found.outcome.value == "not_assessable"
    assert "rejected by a reader" in found.sentence


def test_the_report_shows_both_and_no_name(tmp_path: Path) -> None:
    records = [*frames(), run(paths=PATHS)]
    made = material(tmp_path, records, of_runs=[entry(Action.CORRECT, after=AT_TARGET), entry(Action.REJECT, "B. Reader")])
    (card,) = make_cards(made.procedures, {}, pictures=tmp_path, beside=tmp_path, side_px=100, identities={})
    (view,) = card.runs
    assert view.words == "Local pool."
    assert view.reviews == (
        "A reader drew a target (92 % of the contrast lies inside): Spread at target. The program alone: Local pool.",
        "A reader rejected: Local pool.",
    )
    pages = write_report(tmp_path, made, identify=False)
    page = next(each for each in pages if each.suffix == ".html").read_text("utf-8")
    assert "After review" in page and "Spread at target" in page and "Local pool." in page
    assert "Readers and program" in page and "The same runs after review: 1 readers differ." in page
    assert "A. Reader" not in page and "B. Reader" not in page


def test_what_is_signed_in_a_review_counts_for_the_run_that_analyze_wrote(tmp_path: Path) -> None:
    paths = write_stills(tmp_path / "study")
    images = list(find_images([tmp_path / "study"]))
    found = list(analyze_images(images, Request(profile=PROFILE)))
    (written,) = [each for each in found if isinstance(each, RunAssessment)]
    seen = [each for each in found if isinstance(each, Assessment)]
    by_path = {image.path: image for image in images}
    moments = {each.frame.reference.path: each.frame.reference.acquired for each in seen}
    ordered = [by_path[path] for path in paths]
    film = film_of_stills(ordered, [moments[image.relative_path] for image in ordered], "RF")
    corners = np.add(PLACE, 2 * RADIUS_PX * np.array([(-1, -1), (-1, 1), (1, 1), (1, -1)]))
    drawn = Corrections().changed(by="A. Reader", target=corners)
    request = RunRequest(profile=PROFILE)
    base, held = follow_film(film, request), follow_film(film, request, target=drawn.target)
    signed = decide(base, Action.CORRECT, rater="A. Reader", corrected=held, corrections=drawn)
    records = [*(frame_record(each) for each in seen), run_record(written)]
    uid = written.references[0].study_instance_uid
    (run_after,) = next(p for p in gather_procedures(records, {}, (), [signed]) if p.study_instance_uid == uid).runs
    (reading,) = run_after.readings
    assert reading.same_pictures and reading.target
    assert reading.in_target == pytest.approx(1.0, abs=0.03)
    assert run_after.after_review == "spread_at_target" != run_after.verdict.code.value
