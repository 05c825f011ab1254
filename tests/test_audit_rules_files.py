"""Audit rules about views, verdicts, scale, side, clock, dose, contrast and ultrasound: each worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from build_audit import (
    PROFILE,
    PROVENANCE,
    UID,
    ask,
    by_site,
    failure,
    frame,
    imaged_sites,
    length,
    outcome,
    procedure,
    reinjection,
    sheet,
    study,
    tip,
)

from marrowpoint.assessment import Provenance
from marrowpoint.audit.facts import Reading
from marrowpoint.audit.gather import gather_procedures
from marrowpoint.audit.rules import judge_procedure
from marrowpoint.frame import FrameReference
from marrowpoint.report.run_record import run_record
from marrowpoint.runs.run import ContrastResult, Motion, RunAssessment, RunTimes
from marrowpoint.verdict import Code, Flag, Reason, Verdict


def one_site(*frames, code=Code.INDETERMINATE, **fields):
    return [*frames, study("1", frames, code, **fields)]


def test_a12_views():
    pair = [frame("a.dcm", view="tangential"), frame("b.dcm", view="ap")]
    assert outcome("A12", one_site(*pair)) == "pass"
    assert outcome("A12", one_site(pair[0])) == "warn"
    assert outcome("A12", [], sheet(1)) == "fail"
    dark = frame("a.dcm", Code.NOT_ASSESSABLE, needle=False)
    assert outcome("A12", one_site(dark)) == "not_assessable"
    unknown = [frame("a.dcm", view="unknown"), frame("b.dcm", view="unknown")]
    assert outcome("A12", one_site(*unknown)) == "not_assessable"


@pytest.mark.parametrize(("turn", "expected"), [(59.0, "warn"), (61.0, "pass"), (90.0, "pass"), (175.0, "warn")])
def test_a12_angles_between_beams(turn, expected):
    pair = [frame("a.dcm", view="ap", angles=(0.0, 0.0)), frame("b.dcm", view="ap", angles=(turn, 0.0))]
    assert outcome("A12", one_site(*pair)) == expected


def test_a12_two_sites_with_one_view_each_are_no_pair():
    records = [*one_site(frame("a.dcm", view="tangential")), frame("b.dcm", view="ap")]
    records.append(study("2", [records[-1]]))
    assert outcome("A12", records) == "warn"


@pytest.mark.parametrize(
    ("code", "flags", "expected"),
    [
        (Code.OUTSIDE_BONE, (), "fail"),
        (Code.THIN_BONE, (), "fail"),
        (Code.BREACH_SUSPECTED, (), "fail"),
        (Code.ABOVE_CORTEX, (), "fail"),
        (Code.AT_CORTEX, (), "warn"),
        (Code.INDETERMINATE, (Flag.SHALLOW.value,), "warn"),
        (Code.INDETERMINATE, (), "not_assessable"),
        (Code.NOT_ASSESSABLE, (), "not_assessable"),
        (Code.RIGHT_SPOT, (Flag.AWAITING_CONFIRMATION.value,), "pass"),
    ],
)
def test_a13_where_the_tip_was(code, flags, expected):
    assert outcome("A13", one_site(frame("a.dcm"), code=code, flags=flags)) == expected


def test_a13_one_bad_site_is_not_outweighed():
    records = [*imaged_sites(4, Code.RIGHT_SPOT)]
    bad = frame("bad.dcm")
    records += [bad, study("5", [bad], Code.OUTSIDE_BONE)]
    assert outcome("A13", records, sheet(5)) == "fail"
    assert by_site("A13", records, sheet(5)) == {"1": "pass", "2": "pass", "3": "pass", "4": "pass", "5": "fail"}


@pytest.mark.parametrize(("silent", "expected"), [(0, "pass"), (1, "pass"), (2, "warn"), (4, "warn"), (5, "fail")])
def test_a14_every_fifth_may_be_silent(silent, expected):
    records = []
    for k in range(5):
        held = frame(f"{k}.dcm")
        records += [held, study(str(k), [held], Code.NOT_ASSESSABLE if k < silent else Code.INDETERMINATE)]
    assert outcome("A14", records) == expected


def test_a15_scale():
    millimetres = {"tip_to_cortex": length(7)}
    assert outcome("A15", [frame("a.dcm", measurements=millimetres)]) == "pass"
    assert outcome("A15", [frame("a.dcm", measurements=millimetres, scale="detector_plane")]) == "warn"
    contradictory = frame("a.dcm", measurements=millimetres)
    contradictory["verdict"]["flags"] = ["scale_conflict"]
    assert outcome("A15", [contradictory]) == "warn"
    assert outcome("A15", [frame("a.dcm", measurements=millimetres, scale="none")]) == "fail"
    pixels = {"tip_to_cortex": length(70, unit="px")}
    assert outcome("A15", [frame("a.dcm", measurements=pixels, scale="none")]) == "not_assessable"


def test_a17_sides():
    left, right = {"laterality": "L"}, {"laterality": "R"}
    assert outcome("A17", imaged_sites(2, documented=left, side="L"), sheet(2)) == "pass"
    assert outcome("A17", imaged_sites(2, side="L"), sheet(2)) == "pass"  # only the sheet states it
    assert outcome("A17", imaged_sites(2, documented=right, side="L"), sheet(2)) == "fail"
    assert outcome("A17", imaged_sites(2), [replace(row, side="") for row in sheet(2)]) == "warn"
    assert outcome("A17", [frame("a.dcm", side="L", documented=left)]) == "pass"
    assert outcome("A17", [frame("a.dcm")]) == "warn"


def test_a17_each_site_has_its_own_side():
    rows = [sheet(2)[0], replace(sheet(2)[1], side="R")]
    a = frame("a.dcm", documented={"laterality": "L"}, side="L")
    b = frame("b.dcm", documented={"laterality": "L"}, side="L")
    assert outcome("A17", [a, b, study("1", [a]), study("2", [b])], rows) == "fail"


def test_a18_clock():
    assert outcome("A18", imaged_sites(3), sheet(3)) == "pass"
    assert outcome("A18", imaged_sites(3), sheet(3)[::-1]) == "fail"
    multi = [frame("m.dcm", number=k, acquired=f"2026-03-02T10:0{3 - k}:00") for k in (1, 2, 3)]
    assert outcome("A18", multi) == "fail"
    assert outcome("A18", [frame("a.dcm", acquired=None)]) == "not_assessable"
    assert outcome("A18", [frame("a.dcm", acquired=None), frame("b.dcm")]) == "warn"


@pytest.mark.parametrize(("last", "expected"), [("14:00:00", "pass"), ("14:01:00", "warn")])
def test_a18_a_gap_of_four_hours(last, expected):
    records = [frame("a.dcm", acquired="2026-03-02T10:00:00"), frame("b.dcm", acquired=f"2026-03-02T{last}")]
    assert outcome("A18", records) == expected


def test_a19_prone():
    prone, supine = {"body_position": "HFP"}, {"body_position": "HFS"}
    assert outcome("A19", [frame("a.dcm", documented=prone)]) == "pass"
    assert outcome("A19", [frame("a.dcm")]) == "warn"
    assert outcome("A19", [frame("a.dcm", documented=supine)]) == "warn"  # nobody says it was a posterior site
    assert outcome("A19", [frame("a.dcm", documented=supine)], sheet(1, note="left PSIS")) == "fail"
    old = frame("a.dcm")
    del old["documented"]
    assert outcome("A19", [old]) == "not_assessable"
    assert outcome("A19", [frame("a.dcm", modality="US")]) is None


def test_a20_dose():
    assert outcome("A20", [frame("a.dcm"), frame("b.dcm", documented={"dose_area_gy_cm2": 0.0})]) == "pass"
    assert outcome("A20", [frame("a.dcm", documented={"fluoroscopy_min": 1.0})]) == "warn"
    found = ask("A20", [frame("a.dcm")])
    assert found is not None
    assert found.outcome.value == "fail"
    assert "in the headers of the files given" in found.sentence
    assert outcome("A20", [frame("a.dcm", modality="US")]) is None


@pytest.mark.parametrize(
    ("dose", "expected"),
    [
        ({"air_kerma_gy": 4.99}, "pass"),
        ({"air_kerma_gy": 5.0}, "fail"),
        ({"dose_area_gy_cm2": 499.0}, "pass"),
        ({"dose_area_gy_cm2": 500.0}, "fail"),
        ({"fluoroscopy_min": 60.0}, "fail"),
        ({}, "not_assessable"),
    ],
)
def test_a21_notification_levels(dose, expected):
    assert outcome("A21", [frame("a.dcm", documented=dose)]) == expected


def run(
    frames: int = 4, *, mask: bool = True, onset: int | None = 3, text: str = "Local pool.", reason: str = "by hand",
    paths: tuple[str, ...] = ("run.dcm",),
) -> dict[str, Any]:  # fmt: skip
    """A contrast run with `frames` timed frames from the first contrast on (frames count from 1)."""
    total = frames + (onset or 1) - 1
    return {
        "record": "run",
        "source": {
            "paths": list(paths),
            "study_instance_uid": UID,
            "acquired": None,
            "frames": total,
            "rows": 8,
            "columns": 8,
        },
        "times": {"seconds": [0.5 * k for k in range(total)], "origin": "by hand"},
        "needle": None,
        "contrast": {
            "onset_frame": onset,
            "peak_frame": onset,
            "mask_frames": [1, 2] if mask else [],
            "unit": "mm",
            "points": [],
        },
        "verdict": {"code": "local_pool", "text": text, "flags": [], "reasons": [{"code": "by_hand", "text": reason}]},
        "strip": None,
        "provenance": PROVENANCE,
    }


def test_a22_contrast():
    claims = reinjection(contrast="yes")
    assert outcome("A22", [run()], [claims]) == "pass"
    assert outcome("A22", [run(2)], [claims]) == "pass"
    assert outcome("A22", [run(1)], [claims]) == "warn"
    assert outcome("A22", [run() | {"times": {"seconds": None, "origin": ""}}], [claims]) == "warn"
    assert outcome("A22", [run(onset=None)], [claims]) == "not_assessable"
    assert outcome("A22", [run() | {"contrast": None}], [claims]) == "fail"  # a needle run shows no contrast
    assert outcome("A22", [run(mask=False)], [claims]) == "warn"
    assert outcome("A22", [], [claims]) == "fail"
    assert outcome("A22", [], [reinjection()]) == "not_assessable"
    assert outcome("A22", [], [reinjection(contrast="no")]) is None
    assert outcome("A22", imaged_sites(1)) is None


def test_a22_stills_seconds_apart_show_no_way():
    stills = run(paths=("a.dcm", "b.dcm", "c.dcm", "d.dcm", "e.dcm", "f.dcm"))
    assert outcome("A22", [stills], [reinjection(contrast="yes")]) == "warn"


def test_a02_contrast_of_the_harvest_is_no_reinjection():
    frames = [frame("run.dcm", acquired="2026-03-02T10:00:00")]
    assert outcome("A02", [*frames, run()], sheet(1)) == "not_assessable"
    assert outcome("A02", [run()], [reinjection(contrast="yes")]) == "pass"


def test_positions_that_only_have_numbers_are_no_sites_of_the_sheet():
    """Both are called 1, which says nothing: without entry times nobody knows which phase the picture shows."""
    held = frame("a.dcm", acquired="2026-03-02T10:00:00")
    numbered = study("1", [held])
    numbered["verdict"]["reasons"].append({"code": "sites_without_times", "text": "The pictures decide."})
    rows = [replace(sheet(1)[0], entry_time=""), reinjection(at="")]
    assert [each.phase for each in procedure([held, numbered], rows).frames] == [""]
    assert [each.phase for each in procedure([held, study("1", [held])], rows).frames] == ["harvest"]


def test_a23_absence_is_never_a_fact():
    assert outcome("A23", [run()]) == "pass"
    assert outcome("A23", [run(text="No vascular uptake.")]) == "fail"
    assert outcome("A23", [run(text="No vascular pattern in the frames given; it is not excluded.")]) == "pass"
    assert outcome("A23", [run(text="No vascular pattern seen.", reason="Not seen is not absent: ...")]) == "pass"
    assert outcome("A23", imaged_sites(1)) is None


def test_a24_ultrasound():
    indices = {"mechanical_index": 0.9, "thermal_index": 0.4}
    whole = frame("u.dcm", modality="US", scale="region", side="L", documented=indices)
    assert outcome("A24", [whole]) == "pass"
    assert outcome("A24", [frame("u.dcm", modality="US", scale="instrument", side="L", documented=indices)]) == "warn"
    assert outcome("A24", [frame("u.dcm", modality="US", scale="region", side="L")]) == "warn"
    assert outcome("A24", [whole, frame("v.dcm", modality="US", scale="none")]) == "fail"
    assert outcome("A24", imaged_sites(1)) is None


def test_a25_ultrasound_alone_claims_no_depth():
    above = frame("u.dcm", Code.ABOVE_CORTEX, modality="US", measurements={"tip_to_cortex": length(-4)})
    assert outcome("A25", one_site(above)) == "pass"
    deep = frame("u.dcm", Code.AT_OR_BEYOND_CORTEX, modality="US", measurements={"insertion_depth": length(12)})
    assert outcome("A25", one_site(deep)) == "fail"
    assert outcome("A25", one_site(above, code=Code.RIGHT_SPOT)) == "fail"
    assert outcome("A25", one_site(above, frame("x.dcm"))) is None


STRAIGHT, OBLIQUE = (0.0, 1.0, 0.0), (0.4226, 0.9063, 0.0)  # the second is 25 degrees off


@pytest.mark.parametrize(
    ("value", "half", "axis", "bound", "expected"),
    [
        (20.0, 1.0, STRAIGHT, "estimate", "pass"),
        (25.0, 1.0, STRAIGHT, "estimate", "warn"),  # 26.0 is beyond 25.6
        (33.1, 1.0, STRAIGHT, "estimate", "fail"),  # 32.1 is beyond 32
        (32.5, 1.0, STRAIGHT, "estimate", "warn"),  # 31.5 may be short of it
        (40.0, 1.0, STRAIGHT, "upper_bound", "warn"),  # at most: proves nothing
        (40.0, 1.0, OBLIQUE, "estimate", "pass"),
        (60.0, 1.0, OBLIQUE, "estimate", "warn"),
        (70.0, 1.0, OBLIQUE, "estimate", "fail"),
    ],
)
def test_a26_depth(value, half, axis, bound, expected):
    depth = length(value, half, bound=bound)
    assert outcome("A26", one_site(frame("a.dcm"), tip=tip(0, 0, 0, axis=axis), depth=depth)) == expected


@pytest.mark.parametrize(("value", "expected"), [(20.0, "pass"), (40.0, "warn"), (66.0, "warn"), (70.0, "fail")])
@pytest.mark.parametrize("axis", [STRAIGHT, OBLIQUE])
def test_a26_where_the_path_is_not_known_well(value, expected, axis):
    """25 degrees with a doubt of 9 (k = 1) may be straight in: it passes only as such, and fails only as oblique."""
    record = tip(0, 0, 0, axis=axis) | {"axis_sd_deg": 9.0}
    assert outcome("A26", one_site(frame("a.dcm"), tip=record, depth=length(value))) == expected
    unknown = tip(0, 0, 0, axis=axis) | {"axis_sd_deg": None}
    assert outcome("A26", one_site(frame("a.dcm"), tip=unknown, depth=length(value))) == expected


@pytest.mark.parametrize(("bound", "begin"), [("upper_bound", "at most 20.0 mm"), ("estimate", "20.0 mm")])
def test_a26_tells_a_bound_from_a_measured_depth(bound, begin):
    records = one_site(frame("a.dcm"), depth=length(20.0, bound=bound))
    (found,) = [f for f in judge_procedure(procedure(records), PROFILE) if f.rule == "A26" and f.site is not None]
    assert found.sentence.startswith(begin)


def test_a26_without_depth_or_path():
    assert outcome("A26", one_site(frame("a.dcm"))) == "not_assessable"
    assert outcome("A26", one_site(frame("a.dcm"), depth=length(40))) == "warn"  # an unknown path cannot fail


def reading(key: str, action: str = "accept") -> Reading:
    return Reading(key=key, pixel_sha256="", rater="r", action=action, program="right_spot", reader="right_spot")


def test_a27_a_person_confirmed():
    a, b = frame("a.dcm"), frame("b.dcm", view="ap")
    waiting = one_site(a, b, code=Code.RIGHT_SPOT, flags=(Flag.AWAITING_CONFIRMATION.value,))
    assert outcome("A27", waiting) == "warn"
    assert outcome("A27", waiting, readings=[reading("a.dcm#1")]) == "warn"  # one of two frames
    assert outcome("A27", waiting, readings=[reading("a.dcm#1"), reading("b.dcm#1")]) == "pass"
    assert outcome("A27", waiting, readings=[reading("a.dcm#1"), reading("b.dcm#1", "reject")]) == "warn"
    assert outcome("A27", one_site(a, b, code=Code.RIGHT_SPOT)) == "fail"
    assert outcome("A27", imaged_sites(1)) is None


def test_a28_provenance():
    assert outcome("A28", [frame("a.dcm")]) == "pass"
    bare = frame("a.dcm") | {"provenance": PROVENANCE | {"profile_sha256": ""}}
    assert outcome("A28", [bare]) == "fail"


# ------------------------------------------------------------------------------------------------ gathering


def test_a_failure_belongs_to_the_study_of_its_folder_only_where_that_is_certain():
    records = [
        frame("one/a.dcm"),
        failure("one/b.dcm"),
        frame("two/a.dcm"),
        frame("two/c.dcm", uid="9.9"),
        failure("two/d.dcm"),
    ]
    assert [each.path for each in procedure(records).failures] == ["one/b.dcm"]


def test_frames_take_the_phase_of_the_sheet_row_their_site_has():
    a, b = frame("a.dcm"), frame("b.dcm", acquired="2026-03-02T13:05:00")
    found = procedure([a, b, study("1", [a]), study("disc", [b])], (*sheet(1), reinjection("13:00")))
    assert {each.key: each.phase for each in found.frames} == {"a.dcm#1": "harvest", "b.dcm#1": "reinjection"}


def test_studies_of_the_sheet_alone_are_procedures_too():
    found = gather_procedures([frame("a.dcm")], {"7.7": sheet(1, uid="7.7")})
    assert [(each.study_instance_uid, len(each.frames), len(each.sites)) for each in found] == [(UID, 1, 0), ("7.7", 0, 1)]


def test_records_of_an_older_program_are_read():
    old = frame("a.dcm")
    del old["documented"], old["overlay"], old["view"]["side"], old["calibration"]["note"]
    assert procedure([old]).frames[0].documented is None


def test_run_records_are_read_as_they_are_written():
    reference = FrameReference(path="runs/a.dcm", rows=8, columns=8, study_instance_uid=UID, acquired=datetime(2026, 3, 2, 13))
    contrast = ContrastResult(
        onset=2, mask_frames=(0, 1), settled=0, tip=None, tip_is_needle=False, spreads=(), branches=(), peak=3, unit="mm",
        motion=Motion(largest_shift=0.0, unit="mm"),
    )  # fmt: skip
    verdict = Verdict(
        code=Code.LOCAL_POOL, text="A pool at the tip", reasons=(Reason(code="a", text="Not seen is not absent."),)
    )
    times = RunTimes(seconds=(0.0, 0.5, 1.0, 1.5, 2.0), origin="frame times")
    provenance = Provenance(marrowpoint="0.1.0", profile="default@1", profile_sha256="ab")
    assessed = RunAssessment(
        references=(reference,) * 5, contrast=contrast, times=times, verdict=verdict, provenance=provenance
    )
    (found,) = procedure([run_record(assessed)]).runs
    # contrast from the third of five frames on
    assert (found.path, found.kind, found.mask, found.timed_frames) == ("runs/a.dcm", "contrast", True, 3)
    assert found.acquired == datetime(2026, 3, 2, 13)
    assert (found.frames, found.key_frames, found.stills) == (5, ("runs/a.dcm#3", "runs/a.dcm#4"), False)
    assert "Not seen is not absent." in found.text


def test_the_order_of_the_records_does_not_matter():
    records = imaged_sites(3)
    assert procedure(records, sheet(3)).positions == procedure(records[::-1], sheet(3)).positions[::-1]
