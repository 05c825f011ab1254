"""The report: what stands in it, what must not, and that it opens however large or hostile its material is."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

import cv2
import numpy as np
import pytest
from build_audit import PROFILE, UID, failure, frame, imaged_sites, length, reinjection, sheet, study

from marrowpoint.audit import report_html
from marrowpoint.audit.agreement import reader_study
from marrowpoint.audit.charts import Part, histogram, plain_rows, stacked_rows, ticks
from marrowpoint.audit.charts_share import Group, funnel, run_chart
from marrowpoint.audit.drawing import Box, Dot, Words
from marrowpoint.audit.facts import Reading
from marrowpoint.audit.gather import gather_procedures
from marrowpoint.audit.report import ReportMaterial, write_report
from marrowpoint.audit.rules import judge_procedures
from marrowpoint.audit.summary import summarize
from marrowpoint.audit.svg import to_svg
from marrowpoint.audit.typed import failure_facts
from marrowpoint.case import Site
from marrowpoint.verdict import Code

needs_paper = pytest.mark.skipif(find_spec("reportlab") is None, reason="the report extra is not installed")
HOSTILE = "<script>alert('x')</script>"


class Page(HTMLParser):
    """Tags and text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def overlay(folder: Path, name: str) -> str:
    path = folder / "overlays" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.random.default_rng(1).integers(0, 255, (90, 120, 3), np.uint8))
    return f"overlays/{name}"


def material(folder: Path, records, rows=(), *, readings=(), of_runs=(), identities=None) -> ReportMaterial:
    by_study: dict[str, tuple[Site, ...]] = {}
    for row in rows:
        by_study[row.study_instance_uid] = (*by_study.get(row.study_instance_uid, ()), row)
    procedures = gather_procedures(records, by_study, readings, of_runs)
    return ReportMaterial(
        procedures=procedures,
        findings=judge_procedures(procedures, PROFILE),
        profile=PROFILE,
        pictures=folder,
        failures=tuple(failure_facts(record) for record in records if record["record"] == "failure"),
        made=datetime(2026, 4, 1, 12),
        program="0.1.0",
        identities=identities or {},
    )


def page_of(tmp_path: Path, records, rows=(), **more) -> Page:
    identify = more.pop("identify", False)
    write_report(tmp_path, material(tmp_path, records, rows, **more), identify=identify)
    return Page(tmp_path / "report.html")


def test_what_stands_in_it(tmp_path):
    records = imaged_sites(6, overlay=overlay(tmp_path, "a.png"))
    page = page_of(tmp_path, [*records, failure("lost.dcm")], (*sheet(6), reinjection()))
    for words in (
        "Audit of 1 procedure, 2026-03-02 to 2026-03-02",
        "1 of 1",
        "s0/tangential.dcm",
        "2026-03-02 10:01:00",
        "A02 Imaging at re-injection",
        "No imaging evidence of the re-injection in the files given.",
        "lost.dcm: cut short",
        f"profile {PROFILE.label}",
        PROFILE.sha256,
        "indeterminate",
    ):
        assert words in page.text, words
    assert page.text.count("Research and quality review only") == 1


def test_it_is_whole_in_itself(tmp_path):
    page = page_of(tmp_path, imaged_sites(2, overlay=overlay(tmp_path, "a.png")), sheet(2))
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "base", "form"}
    sources = [attributes["src"] for tag, attributes in page.tags if tag == "img"]
    assert len(sources) == 4
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert all(link.startswith(("#procedure-", "overlays/")) for link in links)
    text = (tmp_path / "report.html").read_text("utf-8")
    assert not re.search(r"https?://|url\((?!#hatch)|@import", text)


def test_links_lead_to_what_is_there(tmp_path):
    page = page_of(tmp_path, imaged_sites(2, overlay=overlay(tmp_path, "ä b#1.png")), sheet(2))
    ids = {attributes.get("id") for _, attributes in page.tags}
    for tag, attributes in page.tags:
        if tag == "a":
            link = attributes["href"]
            assert link[1:] in ids if link.startswith("#") else (tmp_path / unquote(link)).is_file()


def test_hostile_text_stays_text(tmp_path):
    held = frame(f"{HOSTILE}.dcm")
    rows = [replace(sheet(1)[0], site=HOSTILE, operator_role=HOSTILE, note=HOSTILE, needle=HOSTILE)]
    bad = study(HOSTILE, [held])
    bad["verdict"]["text"] = bad["verdict"]["reasons"][0]["text"] = HOSTILE
    said = replace(reading("accept", HOSTILE, HOSTILE), key=f"{HOSTILE}.dcm#1", rater=HOSTILE)
    page = page_of(tmp_path, [held, bad, failure(HOSTILE)], rows, readings=[said], identities={UID: HOSTILE}, identify=True)
    assert "script" not in {tag for tag, _ in page.tags}
    assert HOSTILE in page.text
    assert all(not name.startswith("on") for _, attributes in page.tags for name in attributes)


@needs_paper
def test_letters_of_every_kind(tmp_path):
    rows = [replace(sheet(1)[0], site="\N{BONE} крыло")]
    page = page_of(tmp_path, [frame("骨髄/Müller\N{RIGHT-TO-LEFT OVERRIDE}.dcm")], rows)
    assert "骨髄/Müller" in page.text
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")


def test_identity_stands_nowhere_unless_asked_for(tmp_path):
    rows = [replace(row, note="Jane Doe, born 1970", adverse_event="Jane Doe bled") for row in sheet(1)]
    said = replace(reading("accept", "a", "a"), key="s0/tangential.dcm#1", rater="Dr. Doe")
    told = {"rows": rows, "identities": {UID: "Jane Doe, id 4711"}, "readings": [said]}
    silent = page_of(tmp_path / "silent", imaged_sites(1), **told)
    assert "Doe" not in silent.text
    assert "4711" not in silent.text
    assert "Jane Doe, id 4711" in page_of(tmp_path / "told", imaged_sites(1), identify=True, **told).text


@needs_paper
def test_names_are_not_in_the_pdf_either(tmp_path, monkeypatch):
    # without compression a PDF's text can be read from its bytes
    monkeypatch.setattr("reportlab.rl_config.pageCompression", 0)
    rows = [replace(row, note="Jane Doe") for row in sheet(1)]
    for identify in (False, True):
        write_report(tmp_path, material(tmp_path, imaged_sites(1), rows, identities={UID: "Jane Doe"}), identify=identify)
        data = (tmp_path / "report.pdf").read_bytes()
        assert (b"Jane Doe" in data) == identify
        assert b"Audit of 1 procedure" in data
        assert b"s0/tangential.dcm" in data


def many(count: int, folder: Path):
    held = overlay(folder, "one.png")
    records, rows = [], []
    for k in range(count):
        uid, at = f"1.{k + 1}", f"2026-{1 + k % 12:02d}-02T10:00:00"
        pair = [frame(f"p{k}/{n}.dcm", uid=uid, acquired=at, overlay=held) for n in range(3)]
        records += [*pair, study("1", pair, uid=uid)]
        rows += sheet(1, uid=uid)
    return records, rows


def test_many_frames_go_on_pages_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(report_html, "MOST_FRAMES", 12)
    records, rows = many(11, tmp_path)
    written = write_report(tmp_path, material(tmp_path, records, rows))
    cards = sorted((tmp_path / "report_cards").iterdir())
    assert len(cards) == 3  # 4, 4 and 3 procedures of 3 frames
    assert set(cards) < set(written)
    report, pages = Page(tmp_path / "report.html"), [Page(path) for path in cards]
    assert not [tag for tag, _ in report.tags if tag == "img"]
    assert [sum(tag == "img" for tag, _ in page.tags) for page in pages] == [12, 12, 9]
    shown = [attributes["id"] for page in pages for _, attributes in page.tags if "id" in attributes]
    assert [name for name in shown if name != "hatch"] == [f"procedure-{k}" for k in range(1, 12)]
    links = [attributes["href"] for tag, attributes in report.tags if tag == "a" and "#" in attributes["href"]]
    assert links[4] == "report_cards/cards_0002.html#procedure-5"
    sources = [attributes["href"] for tag, attributes in pages[0].tags if tag == "a" and "overlays" in attributes["href"]]
    assert all((tmp_path / "report_cards" / source).resolve().is_file() for source in sources)


def test_a_second_report_leaves_no_page_of_the_first(tmp_path, monkeypatch):
    records, rows = many(11, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(report_html, "MOST_FRAMES", 12)
        write_report(tmp_path, material(tmp_path, records, rows))
    write_report(tmp_path, material(tmp_path, records[:4], rows[:1]))
    assert list((tmp_path / "report_cards").iterdir()) == []


def test_an_audit_of_nothing(tmp_path):
    page = page_of(tmp_path, [])
    assert "Audit of 0 procedures" in page.text
    assert "0 of 0" in page.text


def test_without_reportlab_there_is_a_page_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("marrowpoint.audit.report.find_spec", lambda _: None)
    written = write_report(tmp_path, material(tmp_path, imaged_sites(1), sheet(1)))
    assert [path.name for path in written] == ["report.html"]


def test_pictures_that_are_gone_are_said_to_be(tmp_path):
    page = page_of(tmp_path, imaged_sites(1, overlay="overlays/lost.png"), sheet(1))
    assert "img" not in {tag for tag, _ in page.tags}
    assert "Picture not shown here" in page.text


@needs_paper
def test_absurdly_long_text_still_makes_a_pdf(tmp_path):
    rows = [replace(sheet(1)[0], site="x" * 20_000, note="y" * 20_000)]
    write_report(tmp_path, material(tmp_path, imaged_sites(1), rows))
    assert (tmp_path / "report.pdf").stat().st_size > 1000


# ------------------------------------------------------------------------------------------------ numbers of the summary


def test_no_tile_is_green_over_nothing():
    """0 of 0 sites in the wrong spot is no good news, and neither is 0 of 3 where none of the 3 could be told."""
    nothing = summarize([], [], [], PROFILE)
    assert {tile.kind for tile in nothing.tiles} == {"not_assessable"}
    frames = [frame("a.dcm", Code.NOT_ASSESSABLE)]
    (untold,) = gather_procedures([*frames, study("1", frames, Code.NOT_ASSESSABLE)], {})
    tiles = {tile.label: tile for tile in summarize([untold], [], [], PROFILE).tiles}
    wrong = tiles["imaged sites in the wrong spot"]
    assert (wrong.count, wrong.total, wrong.kind) == (0, 1, "not_assessable")


def test_tiles_count_procedures_and_sites_with_their_denominators(tmp_path):
    records = [*imaged_sites(2, Code.OUTSIDE_BONE), frame("b.dcm", Code.NOT_ASSESSABLE, uid="9.9", needle=False)]
    records.append(study("1", [records[-1]], Code.NOT_ASSESSABLE, uid="9.9"))
    held = material(tmp_path, [*records, failure("x.dcm")], [*sheet(2), *sheet(6, uid="7.7")])
    summary = summarize(held.procedures, held.findings, held.failures, PROFILE)
    counts = {tile.label: (tile.count, tile.total) for tile in summary.tiles}
    assert counts["procedures with harvest imaging in the files"] == (1, 3)
    assert counts["imaged sites in the wrong spot"] == (2, 3)
    assert counts["imaged sites that cannot be told"] == (1, 3)
    assert counts["imaged sites consistent with the right spot"] == (0, 3)
    assert counts["frames without an answer"] == (1, 5)
    assert counts["files or frames that could not be read or analysed"] == (1, 6)


def reading(action: str, program: str, reader: str, lengths=(None, None)) -> Reading:
    return Reading(
        key="a#1", pixel_sha256="", rater="r", action=action, program=program, reader=reader,
        program_mm=lengths[0], reader_mm=lengths[1],
    )  # fmt: skip


def test_readers_beside_the_program():
    said = [
        reading("accept", "a", "a", (5.0, 5.0)),
        reading("correct", "a", "b", (5.0, 4.0)),
        reading("correct", "b", "b", (7.0, 4.0)),
        reading("reject", "b", "b"),
    ]
    study_ = reader_study(said)
    assert study_ is not None
    assert (study_.accepted, study_.corrected, study_.rejected, study_.raters) == (1, 2, 1, 1)
    assert (study_.same, len(study_.verdicts)) == (2, 3)
    assert study_.agreement is not None
    assert study_.agreement.bias.value == pytest.approx((0 + 1 + 3) / 3)
    assert study_.corrected_agreement is None  # two pairs show nothing
    assert reader_study([]) is None


# ------------------------------------------------------------------------------------------------ charts


def inside(drawing) -> bool:
    """Whether every mark lies on the paper, letters too."""
    for mark in drawing.marks:
        if isinstance(mark, Words):
            reach = 0.6 * mark.size * len(mark.text)
            left = {"start": mark.x, "middle": mark.x - reach / 2, "end": mark.x - reach}[mark.anchor]
            if not (left >= -6 and left + reach <= drawing.width + 6 and 0 < mark.y <= drawing.height):
                return False
        if isinstance(mark, Box) and not (mark.x >= 0 and mark.x + mark.width <= drawing.width + 1 and mark.height >= 0):
            return False
        if isinstance(mark, Dot) and not (0 <= mark.x <= drawing.width and 0 <= mark.y <= drawing.height):
            return False
    return True


TWO = (Part(name="good", colour="#009e73"), Part(name="bad", colour="#d55e00", hatched=True))


@pytest.mark.parametrize("count", [0, 1, 3, 40])
def test_charts_stay_on_their_paper(count):
    groups = [Group(name=f"group {k}", count=k % 3, total=3 + 7 * k) for k in range(count)]
    values = [float(k * k) for k in range(count)]
    for drawing in (
        stacked_rows("t", "n", TWO, [(f"row {k}", (k, 2 * k)) for k in range(count)]),
        plain_rows("t", "n", [("a very long name of a reason indeed, truly", count)], count),
        run_chart("t", "n", groups),
        histogram("t", "n", TWO, (values, [-v for v in values]), [(0.0, "cortex")], "mm"),
    ):
        assert inside(drawing), drawing.title
        assert "<svg" in to_svg(drawing)
    assert inside(funnel("t", "n", groups[:6]))


def test_bars_are_as_long_as_their_counts():
    drawing = stacked_rows("t", "n", TWO, [("a", (3, 1)), ("b", (1, 0))])
    bars = [mark for mark in drawing.marks if isinstance(mark, Box)][2:]  # after the legend
    assert [bar.width / bars[-1].width for bar in bars] == pytest.approx([3, 1, 1])
    assert [bar.hatched for bar in bars] == [False, True, False]


def test_a_month_out_of_the_limits_is_marked():
    # 5 % overall; a month with 12 of 20 is far beyond chance, a month with 2 of 20 is not
    groups = [Group(name=f"m{k}", count=0, total=40) for k in range(6)]
    groups += [Group(name="odd", count=12, total=20), Group(name="even", count=2, total=20)]
    dots = [mark for mark in run_chart("t", "n", groups).marks if isinstance(mark, Dot)]
    assert [dot.radius > 5 for dot in dots] == [False] * 6 + [True, False]


def test_every_value_is_in_one_bin():
    values = [0.0, 0.1, 4.9, 5.0, 5.1, 9.9, 10.0, 70.0]
    drawing = histogram("t", "n", TWO[:1], (values,), [], "mm")
    bars = [mark for mark in drawing.marks if isinstance(mark, Box)][1:]
    unit = min(bar.height for bar in bars)
    assert sum(round(bar.height / unit) for bar in bars) == len(values)


def test_ticks_are_round():
    assert ticks(0, 30) == [0, 10, 20, 30]
    assert ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(-7, 7) == [-5, 0, 5]


def test_hostile_text_in_a_chart():
    assert "<script>" not in to_svg(plain_rows(HOSTILE, "n", [(HOSTILE, 1)], 1))


def test_lengths_reach_the_histogram(tmp_path):
    lengths = {"a.dcm": length(7), "b.dcm": length(7, unit="px")}
    records = [frame(name, measurements={"tip_to_cortex": value}) for name, value in lengths.items()]
    held = material(tmp_path, records)
    drawing = summarize(held.procedures, held.findings, (), PROFILE).lengths[0]
    assert "1 of 2 frames have this length in mm" in drawing.note
