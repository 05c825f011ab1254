"""The report as a PDF: the same charts and cards, page by page; needs reportlab, which is asked for here alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    KeepTogether,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)

from marrowpoint.audit.cards import ROW_TITLES, SEVERITY_KIND, Card, Picture, make_cards
from marrowpoint.audit.drawing import FAILED, PASSED, UNKNOWN, WARNED
from marrowpoint.audit.findings import Finding, Outcome
from marrowpoint.audit.material import ReportMaterial
from marrowpoint.audit.pdf_chart import Chart
from marrowpoint.audit.pdf_picture import embedded
from marrowpoint.audit.pdf_run import run_parts
from marrowpoint.audit.report_html import by_study
from marrowpoint.audit.report_words import list_rows, method_lines, reader_lines
from marrowpoint.audit.rules import RULES
from marrowpoint.audit.summary import Summary
from marrowpoint.report.ink import plain
from marrowpoint.report.words import RESEARCH_ONLY
from marrowpoint.report.write import whole_file

# A card takes a page or more: beyond so many the PDF holds those that need a look, and says so.
MOST_CARDS = 60
PICTURE_PX, PICTURES_A_ROW = 520, 3
MARGIN = 15 * mm
TALLEST = 535.0  # a chart leaves room for its title on the page [pt]
LONGEST, LONGEST_CELL = 900, 150  # letters of one text: a table row must fit on a page
WIDTH = A4[0] - 2 * MARGIN
INK, QUIET = HexColor("#16191d"), HexColor("#4d555e")
COLOURS = {"pass": PASSED, "warn": WARNED, "fail": FAILED, "not_assessable": UNKNOWN}
# the standard fonts have no check mark
SIGNS = {"pass": "+", "warn": "!", "fail": "x", "not_assessable": "?"}

BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=9, leading=11.5, textColor=INK, splitLongWords=1)
SMALL = ParagraphStyle("small", parent=BODY, fontSize=7.6, leading=9.6, textColor=QUIET)
TITLE = ParagraphStyle("title", parent=BODY, fontName="Helvetica-Bold", fontSize=18, leading=22)
HEAD = ParagraphStyle(
    "head", parent=BODY, fontName="Helvetica-Bold", fontSize=13, leading=16, spaceBefore=8, spaceAfter=4, keepWithNext=1
)
SUBHEAD = ParagraphStyle(
    "subhead", parent=BODY, fontName="Helvetica-Bold", fontSize=10, leading=12.5, spaceBefore=5, spaceAfter=2
)
NUMBER = ParagraphStyle("number", parent=BODY, fontName="Helvetica-Bold", fontSize=15, leading=18)


def write_pdf(path: Path, material: ReportMaterial, summary: Summary, *, identify: bool) -> None:
    """Write the PDF.

    Parameters
    ----------
    path : Path
    material : ReportMaterial
    summary : Summary
    identify : bool
    """
    findings = by_study(material.findings)
    rows = list_rows(material.procedures, findings)
    parts: list[Flowable] = [*_head(material, summary), *_charts(summary), *_readers(summary), *_list(rows)]
    parts += _cards(path, material, findings, identify=identify)
    parts += _methods(material)
    with whole_file(path) as stream:
        document = BaseDocTemplate(
            stream, pagesize=A4, title=_title(material), author="marrowpoint", leftMargin=MARGIN, rightMargin=MARGIN
        )
        body = Frame(MARGIN, MARGIN, WIDTH, A4[1] - 2 * MARGIN - 4 * mm, 0, 0, 0, 0)
        foot = f"marrowpoint {material.program}, profile {material.profile.label} {material.profile.sha256[:12]}"
        document.addPageTemplates(PageTemplate(frames=[body], onPage=lambda canvas, _: _foot(canvas, foot)))
        document.build(parts)


def _title(material: ReportMaterial) -> str:
    count = len(material.procedures)
    return f"Audit of {count} procedure{'' if count == 1 else 's'}"


def _foot(canvas: Canvas, text: str) -> None:
    canvas.setFont("Helvetica", 7.5)
    canvas.setFillColor(QUIET)
    canvas.drawString(MARGIN, 9 * mm, text)
    canvas.drawRightString(A4[0] - MARGIN, 9 * mm, str(canvas.getPageNumber()))


def words(text: str, style: ParagraphStyle = BODY, longest: int = LONGEST) -> Paragraph:
    """A paragraph of text that may hold anything: markup is shown as it is, what is too long for a page is cut."""
    short = text if len(text) <= longest else text[:longest] + " ..."
    return Paragraph(escape(plain(short)), style)


def _heading(text: str, style: ParagraphStyle) -> tuple[Flowable, Flowable]:
    """A heading that does not stand alone at the end of a page."""
    return CondPageBreak(80), words(text, style)


def _head(material: ReportMaterial, summary: Summary) -> Iterator[Flowable]:
    span = f", {summary.first:%Y-%m-%d} to {summary.last:%Y-%m-%d}" if summary.first and summary.last else ""
    yield words(_title(material) + span, TITLE)
    profile = material.profile
    made = f"{material.made:%Y-%m-%d %H:%M} by marrowpoint {material.program}, profile {profile.label} ({profile.sha256[:16]})"
    yield words(f"{summary.frames} frames. Made {made}. {RESEARCH_ONLY}", SMALL)
    yield Spacer(1, 6)
    cells = []
    for tile in summary.tiles:
        held = [words(f"{tile.count} of {tile.total}", NUMBER), words(tile.label, BODY)]
        cells.append([*held, words(tile.interval, SMALL)] if tile.interval else held)
    yield from _tiles(cells, [COLOURS[tile.kind] for tile in summary.tiles])


def _tiles(cells: Sequence[list[Flowable]], colours: Sequence[str]) -> Iterator[Flowable]:
    for first in range(0, len(cells), 4):
        row, bar = list(cells[first : first + 4]), colours[first : first + 4]
        style: list[Any] = [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (-1, -1), 8),
            ("RIGHTPADDING", (0, 0), (-1, -1), 6),
        ]
        style += [("LINEBEFORE", (k, 0), (k, 0), 6, HexColor(colour)) for k, colour in enumerate(bar)]
        yield Table([row + [[]] * (4 - len(row))], colWidths=[WIDTH / 4] * 4, style=TableStyle(style))
        yield Spacer(1, 6)


def _charts(summary: Summary) -> Iterator[Flowable]:
    half = WIDTH / 2 - 5
    groups = (summary.groups[:2], summary.groups[2:])
    for pair in (summary.rules, summary.placement, *groups, summary.lengths, summary.reasons, summary.readers):
        cells = [
            [
                words(drawing.title, SUBHEAD),
                Chart(drawing, half if len(pair) > 1 else min(0.8 * WIDTH, TALLEST * drawing.width / drawing.height)),
                words(drawing.note, SMALL),
            ]
            for drawing in pair
        ]
        if cells:
            widths = [WIDTH / len(cells)] * len(cells)
            style = TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0)])
            yield KeepTogether([Table([cells], colWidths=widths, style=style), Spacer(1, 5)])


def _readers(summary: Summary) -> Iterator[Flowable]:
    lines = reader_lines(summary.reading, summary.run_reading)
    if lines:
        yield from _heading("Readers and program", HEAD)
        yield from (words(line) for line in lines)


def _list(rows: Sequence[Any]) -> Iterator[Flowable]:
    yield from _heading("Procedures", HEAD)
    head = [words(title, SMALL) for title in ("", "Procedure", "Role", "Sites", "Frames", "Failed rules", "Warned")]
    body = [
        [
            _sign(row.kind),
            words(f"{row.number}: {row.date}"),
            words(row.role, BODY, LONGEST_CELL),
            words(row.sites),
            words(str(row.frames)),
            words(row.failed or "none"),
            words(row.warned or "none"),
        ]
        for row in rows
    ]
    widths = [16, 82, 74, 112, 36, 110, WIDTH - 430]
    style = TableStyle([*_PLAIN, ("LINEBELOW", (0, 0), (-1, -1), 0.3, HexColor("#cccccc"))])
    yield Table([head, *body], colWidths=widths, repeatRows=1, style=style)


_PLAIN: list[Any] = [
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ("LEFTPADDING", (0, 0), (-1, -1), 1),
    ("RIGHTPADDING", (0, 0), (-1, -1), 4),
    ("TOPPADDING", (0, 0), (-1, -1), 1.2),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 1.8),
]


def _sign(kind: str) -> Flowable:
    style = ParagraphStyle("sign", parent=BODY, fontName="Helvetica-Bold", alignment=1, backColor=HexColor(COLOURS[kind]))
    return Paragraph(SIGNS[kind], style)


def _cards(path: Path, material: ReportMaterial, findings: dict[str, list[Finding]], *, identify: bool) -> Iterator[Flowable]:
    order = {procedure.study_instance_uid: number for number, procedure in enumerate(material.procedures, start=1)}
    chosen = material.procedures
    if len(chosen) > MOST_CARDS:
        fails = {uid: sum(f.outcome is Outcome.FAIL and f.site is None for f in held) for uid, held in findings.items()}
        ranked = sorted(chosen, key=lambda each: -fails.get(each.study_instance_uid, 0))[:MOST_CARDS]
        chosen = tuple(sorted(ranked, key=lambda each: order[each.study_instance_uid]))
        text = f"Cards of the {MOST_CARDS} of {len(order)} procedures with most failed rules; all stand beside report.html."
        yield words(text, BODY)
    identities = material.identities if identify else {}
    cards = make_cards(
        chosen, findings, pictures=material.pictures, beside=path.parent, side_px=PICTURE_PX, identities=identities
    )
    for procedure, card in zip(chosen, cards, strict=True):
        yield PageBreak()
        yield from _card(card, order[procedure.study_instance_uid])


def _card(card: Card, number: int) -> Iterator[Flowable]:
    yield _banner(f"Procedure {number}: {card.date}, {card.role}", card.kind, HEAD)
    if card.identity:
        yield words(card.identity, SUBHEAD)
    yield words(", ".join(f"{count} {name}" for name, count in card.counts), BODY)
    yield words(f"Study {card.uid}", SMALL)
    for position in card.positions:
        flags = f" [{'; '.join(position.flags)}]" if position.flags else ""
        head = _banner(f"Site {position.site}: {position.words}{flags}", position.kind, SUBHEAD)
        rows = list(_pictures(position.pictures))
        yield KeepTogether([head, *rows[:1]])
        yield from rows[1:]
    if not card.positions:
        yield words("No needle position in the files given.")
    yield from _pictures(card.loose)
    for count, run in enumerate(card.runs, start=1):
        kind = SEVERITY_KIND[run.severity]
        yield KeepTogether([_banner(f"Run {count}: {run.words}", kind, SUBHEAD), *run_parts(run, WIDTH, _small)])
    if card.rows:
        yield from _heading("Sites on the sheet", SUBHEAD)
        head_row = [words(title, SMALL) for title in ROW_TITLES]
        widths = [34, 26, 52, 28, 40, 44, 46, 44, WIDTH - 314]
        body = [[words(cell, SMALL, LONGEST_CELL) for cell in row] for row in card.rows]
        yield Table([head_row, *body], colWidths=widths, repeatRows=1, style=TableStyle(_PLAIN))
    yield from _heading("Rules", SUBHEAD)
    titles = {rule.name: rule.title for rule in RULES}
    told = [
        [_sign(finding.outcome.value), words(f"{finding.rule} {titles[finding.rule]}"), words(finding.sentence)]
        for finding in card.findings
        if finding.outcome is not Outcome.PASS
    ]
    passed = " ".join(finding.rule for finding in card.findings if finding.outcome is Outcome.PASS)
    told.append([_sign("pass"), words("Passed"), words(passed or "none")])
    yield Table(told, colWidths=[16, 140, WIDTH - 156], style=TableStyle(_PLAIN))
    for site in card.sites:
        yield words(f"{site.rule}, site {site.site}: {site.sentence}", SMALL)
    for failure in card.failures:
        yield words(f"Could not be read: {failure}", SMALL)


def _small(text: str) -> Flowable:
    return words(text, SMALL)


def _banner(text: str, kind: str, style: ParagraphStyle) -> Flowable:
    cells = [[_sign(kind), words(text, style)]]
    return Table(cells, colWidths=[18, WIDTH - 18], style=TableStyle([*_PLAIN, ("VALIGN", (0, 0), (-1, -1), "MIDDLE")]))


def _pictures(pictures: Sequence[Picture]) -> Iterator[Flowable]:
    width = WIDTH / PICTURES_A_ROW
    for first in range(0, len(pictures), PICTURES_A_ROW):
        cells: list[Any] = [_picture(picture, width - 6) for picture in pictures[first : first + PICTURES_A_ROW]]
        cells += [""] * (PICTURES_A_ROW - len(cells))
        yield Table([cells], colWidths=[width] * PICTURES_A_ROW, style=TableStyle(_PLAIN))


def _picture(picture: Picture, width: float) -> list[Flowable]:
    said = [words(picture.words, SMALL), words(f"{picture.name}, {picture.taken}, {picture.view}", SMALL)]
    if not picture.jpeg:
        return [words("Picture not found.", SMALL), *said]
    return [embedded(picture.jpeg, width), *said]


def _methods(material: ReportMaterial) -> Iterator[Flowable]:
    yield PageBreak()
    yield from _heading("Methods and limits", HEAD)
    lines = method_lines(material.procedures, material.profile, material.program)
    rows = [[words(title, SMALL), words(text)] for title, text in lines]
    yield Table(rows, colWidths=[90, WIDTH - 90], style=TableStyle(_PLAIN))
    yield from _heading("The rules", SUBHEAD)
    rules = [[words(rule.name, SMALL), words(rule.title, SMALL), words(rule.source, SMALL)] for rule in RULES]
    yield Table(rules, colWidths=[28, 130, WIDTH - 158], style=TableStyle(_PLAIN))
    if material.failures:
        yield from _heading("Could not be read or analysed", SUBHEAD)
        yield from (words(f"{failure.path}: {failure.text}", SMALL) for failure in material.failures[:200])
