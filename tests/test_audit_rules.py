"""Audit rules A01 to A11 and A16, A29, A30: each worked out by hand, its edges too."""

from __future__ import annotations

from dataclasses import replace

import pytest
from build_audit import (
    PROFILE,
    UID,
    ask,
    by_site,
    failure,
    frame,
    imaged_sites,
    outcome,
    procedure,
    reinjection,
    sheet,
    study,
    tip,
)

from marrowpoint.audit.findings import Outcome, worst
from marrowpoint.audit.gather import gather_procedures
from marrowpoint.audit.rules import RULES, judge_procedure, judge_procedures
from marrowpoint.case import Site
from marrowpoint.errors import InvalidProfile
from marrowpoint.verdict import Code

LOST = Code.NOT_ASSESSABLE


# ------------------------------------------------------------------------------------------------ the frame around the rules


def test_there_are_thirty_rules_each_with_a_source():
    assert [rule.name for rule in RULES] == [f"A{number:02d}" for number in range(1, 31)]
    assert all(rule.source and rule.title for rule in RULES)


def test_findings_come_in_order_and_name_the_study():
    found = judge_procedure(procedure(imaged_sites(2), sheet(2)), PROFILE)
    assert [f.rule for f in found] == sorted(f.rule for f in found)
    assert {f.study_instance_uid for f in found} == {UID}
    assert all(f.sentence.endswith(".") and f.source for f in found)


def test_nothing_known_is_never_a_pass():
    (nothing,) = gather_procedures([], {UID: (Site(study_instance_uid=UID),)})
    passed = [f for f in judge_procedure(nothing, PROFILE) if f.outcome is Outcome.PASS]
    assert passed == []


def test_no_sentence_accuses():
    for rows in ((), sheet(6), (*sheet(1, 60.0), reinjection())):
        for records in ([], imaged_sites(1)):
            for finding in judge_procedure(procedure([*records, frame("x.dcm")], rows), PROFILE):
                said = finding.sentence.lower()
                assert not any(word in said for word in ("not guided", "blind", "was not used", "negligen", "malpractice"))


def test_the_worst_decides_and_silence_outweighs_praise():
    assert worst([Outcome.PASS, Outcome.NOT_ASSESSABLE]) is Outcome.NOT_ASSESSABLE
    assert worst([Outcome.NOT_ASSESSABLE, Outcome.WARN]) is Outcome.WARN
    assert worst([Outcome.WARN, Outcome.FAIL, Outcome.PASS]) is Outcome.FAIL
    assert worst([]) is Outcome.NOT_ASSESSABLE


def test_a_profile_without_audit_thresholds_is_refused_clearly():
    with pytest.raises(InvalidProfile, match=r"\[audit\]"):
        judge_procedure(procedure(rows=sheet(1)), replace(PROFILE, audit=None))


def test_another_profile_another_answer():
    assert PROFILE.audit is not None
    stricter = replace(PROFILE, audit=replace(PROFILE.audit, site_ml=4.0))
    facts = procedure(rows=sheet(6, 5.0))
    answers = [
        next(f.outcome for f in judge_procedures([facts], profile) if f.rule == "A04" and f.site is None)
        for profile in (PROFILE, stricter)
    ]
    assert answers == [Outcome.PASS, Outcome.WARN]


# ------------------------------------------------------------------------------------------------ A01 to A03: pictures


def test_a01_harvest_imaging():
    one = [frame("a.dcm")]
    assert outcome("A01", one) == "pass"
    assert outcome("A01", [frame("a.dcm", bone=False)]) == "not_assessable"  # a needle somewhere, by nobody's word the harvest
    assert outcome("A01", [frame("a.dcm", bone=False)], sheet(6)) == "pass"  # the sheet makes it the harvest
    assert outcome("A01", [frame("a.dcm", LOST, needle=False)], sheet(6)) == "not_assessable"
    assert outcome("A01", [], sheet(6)) == "fail"
    assert outcome("A01", [], [reinjection()]) == "not_assessable"


def test_a01_says_evidence_in_the_files_given():
    found = ask("A01", [], sheet(6))
    assert found is not None
    assert "no imaging evidence" in found.sentence.lower()
    assert "in the files given" in found.sentence


def test_a01_where_every_picture_is_of_the_reinjection():
    held = [frame("r.dcm", acquired="2026-03-02T13:05:00")]
    rows = (*sheet(6), reinjection("13:00"))
    assert outcome("A01", [*held, study("disc", held)], rows) == "fail"


def test_a01_an_unreadable_file_forbids_to_say_there_is_none():
    lost = frame("folder/a.dcm", LOST, needle=False)
    found = ask("A01", [lost, failure("folder/b.dcm")], sheet(6))
    assert found is not None
    assert found.outcome is Outcome.NOT_ASSESSABLE
    assert "1 file beside them could not be read" in found.sentence


def test_a02_reinjection_imaging():
    harvest = imaged_sites(1)
    back = frame("r.dcm", acquired="2026-03-02T13:05:00")
    rows = (*sheet(1), reinjection("13:00"))
    assert outcome("A02", harvest, sheet(1)) == "not_assessable"
    assert outcome("A02", harvest, rows) == "fail"
    assert outcome("A02", [*harvest, back], rows) == "pass"
    assert (
        outcome("A02", [*harvest, frame("r.dcm", LOST, needle=False, acquired="2026-03-02T13:05:00")], rows) == "not_assessable"
    )
    assert outcome("A02", [frame("r.dcm", acquired=None)], rows) == "not_assessable"


@pytest.mark.parametrize(("imaged", "expected"), [(6, "pass"), (5, "warn"), (1, "warn"), (0, "fail")])
def test_a03_imaging_per_site(imaged, expected):
    assert outcome("A03", imaged_sites(imaged), sheet(6)) == expected


def test_a03_by_site():
    assert by_site("A03", imaged_sites(2), sheet(3)) == {"1": "pass", "2": "pass", "3": "warn"}


def test_a03_without_a_sheet_or_without_times():
    assert outcome("A03", imaged_sites(3)) == "not_assessable"
    nameless = [replace(row, site="", entry_time="") for row in sheet(6)]
    few, many = imaged_sites(2), imaged_sites(3)
    assert outcome("A03", few, nameless) == "warn"  # 4 frames cannot show 6 sites
    assert outcome("A03", many, nameless) == "not_assessable"  # 6 frames may


def test_a03_pictures_without_a_needle_are_not_counted_as_none():
    dark = frame("s0/a.dcm", LOST, needle=False)
    assert outcome("A03", [dark, study("1", [dark], LOST)], sheet(1)) == "not_assessable"


# ------------------------------------------------------------------------------------------------ A04 to A08: volumes


@pytest.mark.parametrize(
    ("ml", "expected"), [(5.0, "pass"), (10.0, "pass"), (10.1, "warn"), (29.9, "warn"), (30.0, "fail"), (60.0, "fail")]
)
def test_a04_volume_from_one_site(ml, expected):
    assert outcome("A04", rows=sheet(6, ml)) == expected


def test_a04_a_missing_volume_is_no_good_volume():
    rows = (*sheet(5), Site(study_instance_uid=UID, site="6", phase="harvest"))
    assert outcome("A04", rows=rows) == "not_assessable"
    assert by_site("A04", rows=rows)["6"] == "not_assessable"
    assert outcome("A04", rows=(*sheet(5, 30.0), rows[5])) == "fail"


def test_a04_rows_with_one_name_are_one_site():
    twice = (*sheet(1, 8.0), *sheet(1, 8.0))
    assert outcome("A04", rows=twice) == "warn"  # 16 ml
    other_side = (*sheet(1, 8.0), *(replace(row, side="R") for row in sheet(1, 8.0)))
    assert outcome("A04", rows=other_side) == "pass"


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, "fail"), (2, "fail"), (3, "warn"), (4, "warn"), (5, "pass"), (6, "pass"), (15, "pass"), (16, "warn")],
)
def test_a05_number_of_sites(count, expected):
    assert outcome("A05", rows=sheet(count)) == expected


def test_a05_counts_no_reinjection_and_needs_a_sheet():
    assert outcome("A05", rows=(*sheet(2), reinjection(), reinjection("14:00"), reinjection("15:00"))) == "fail"
    assert outcome("A05", imaged_sites(1)) == "not_assessable"


@pytest.mark.parametrize(
    ("total", "expected"),
    [(60.0, "pass"), (63.0, "pass"), (63.2, "fail"), (57.2, "pass"), (57.0, "fail"), (None, "not_assessable")],
)
def test_a06_six_times_ten_is_sixty(total, expected):
    # 5 % of the stated total: 60 against 63 differs by 3 <= 3.15; against 57.2 by 2.8 <= 2.86; against 57 by 3 > 2.85
    assert outcome("A06", rows=sheet(6, 10.0, total_ml=total)) == expected


def test_a06_a_millilitre_is_allowed_where_little_was_drawn():
    assert outcome("A06", rows=sheet(1, 5.0, total_ml=6.0)) == "pass"
    assert outcome("A06", rows=sheet(1, 5.0, total_ml=6.1)) == "fail"


def test_a06_two_totals_or_a_missing_part():
    rows = sheet(6, 10.0, total_ml=60.0)
    assert outcome("A06", rows=(*rows[:5], replace(rows[5], total_ml=70.0))) == "fail"
    assert outcome("A06", rows=(*rows[:5], replace(rows[5], volume_ml=None))) == "not_assessable"


@pytest.mark.parametrize(
    ("ml", "expected"), [(4.9, "warn"), (5.0, "pass"), (10.0, "pass"), (20.0, "pass"), (20.1, "warn"), (None, "fail")]
)
def test_a07_total_volume(ml, expected):
    # six sites: 29.4, 30, 60, 120 and 120.6 ml
    assert outcome("A07", rows=sheet(6, ml)) == expected


def test_a07_a_stated_total_is_enough():
    assert outcome("A07", rows=sheet(6, None, total_ml=60.0)) == "pass"
    assert outcome("A07", imaged_sites(1)) == "not_assessable"


@pytest.mark.parametrize(
    ("ml", "expected"),
    [(5.0, "pass"), (10.0, "pass"), (20.0, "warn"), (49.0, "warn"), (50.0, "fail"), (None, "not_assessable")],
)
def test_a08_syringe(ml, expected):
    assert outcome("A08", rows=sheet(6, syringe_ml=ml)) == expected


def test_a08_half_a_statement():
    rows = sheet(2, syringe_ml=10.0)
    assert outcome("A08", rows=(rows[0], replace(rows[1], syringe_ml=None))) == "not_assessable"


# ------------------------------------------------------------------------------------------------ A09 to A11, A16, A29, A30


def test_a09_what_a_site_is():
    assert outcome("A09", rows=sheet(6, site_kind="entry")) == "pass"
    assert outcome("A09", rows=(*sheet(5, site_kind="entry"), sheet(6)[5])) == "fail"
    assert outcome("A09", imaged_sites(1)) == "not_assessable"


def placed(*tips, pixels=("", "")):
    records = []
    for k, place in enumerate(tips):
        held = frame(f"t{k}.dcm", acquired=f"2026-03-02T10:{6 * k + 1:02d}:00", pixels=pixels[k])
        records += [held, study(str(k + 1), [held], tip=place)]
    return records


def test_a10_sites_lie_apart():
    # doubt of a difference: 2 * sqrt(6 * 0.5**2) = 2.45 mm; the needle is 3.05 mm wide
    assert outcome("A10", placed(tip(0, 0, 0), tip(5, 0, 0)), sheet(2)) == "pass"
    assert outcome("A10", placed(tip(0, 0, 0), tip(3, 0, 0)), sheet(2)) == "warn"
    assert outcome("A10", placed(tip(0, 0, 0, sd=3), tip(10, 0, 0, sd=3)), sheet(2)) == "not_assessable"  # doubt 14.7 mm
    assert outcome("A10", placed(tip(0, 0, 0), None), sheet(2)) == "not_assessable"
    assert outcome("A10", placed(tip(0, 0, 0)), sheet(1)) is None


def test_a10_a11_one_picture_for_two_sites():
    reused = placed(tip(0, 0, 0), tip(30, 0, 0), pixels=("same", "same"))
    assert outcome("A10", reused, sheet(2)) == "fail"
    assert outcome("A11", reused, sheet(2)) == "fail"


def test_a11_one_picture_for_two_studies():
    records = [frame("a.dcm", pixels="same"), frame("b.dcm", pixels="same", uid="9.9")]
    found = ask("A11", records)
    assert found is not None
    assert found.outcome is Outcome.FAIL
    assert "two studies" in found.sentence
    other = next(each for each in gather_procedures(records, {}) if each.study_instance_uid == "9.9")
    assert next(f.outcome for f in judge_procedure(other, PROFILE) if f.rule == "A11") is Outcome.FAIL


def test_a11_copies_and_empty_pictures():
    twice = [frame("a.dcm", pixels="same"), frame("copy.dcm", pixels="same")]
    assert outcome("A11", [*twice, study("1", twice)], sheet(1)) == "pass"
    black = [frame("a.dcm", LOST, needle=False, pixels="0"), frame("b.dcm", LOST, needle=False, pixels="0", uid="9.9")]
    assert outcome("A11", black) == "warn"
    assert outcome("A11", imaged_sites(2), sheet(2)) == "pass"
    assert outcome("A11", [], sheet(2)) == "not_assessable"


def test_a16_a_gauge_is_no_length():
    assert outcome("A16", rows=sheet(6)) == "pass"
    assert outcome("A16", rows=sheet(6, needle="11G")) == "warn"
    assert outcome("A16", rows=(*sheet(5), replace(sheet(6)[5], needle="", needle_od_mm=None))) == "fail"


def test_a29_adverse_event_is_asked_for_but_not_told():
    assert outcome("A29", rows=sheet(6)) == "warn"
    assert outcome("A29", rows=sheet(6, adverse_event="none")) == "pass"
    found = ask("A29", rows=sheet(6, adverse_event="Mr Smith bled"))
    assert found is not None
    assert found.outcome is Outcome.PASS
    assert "Smith" not in found.sentence


def test_a30_harvest_before_reinjection():
    assert outcome("A30", rows=(*sheet(6), reinjection("13:00"))) == "pass"
    assert outcome("A30", rows=(*sheet(6), reinjection("09:00"))) == "fail"
    assert outcome("A30", rows=(*sheet(6), reinjection("10:15"))) == "fail"  # the harvest went on until 10:30
    assert outcome("A30", rows=(*sheet(6), reinjection(""))) == "warn"
    assert outcome("A30", rows=sheet(6)) is None


def test_a30_over_midnight_with_dates():
    harvest = [replace(row, entry_time="2026-03-02T23:50") for row in sheet(1)]
    assert outcome("A30", rows=(*harvest, reinjection("2026-03-03T00:30"))) == "pass"
