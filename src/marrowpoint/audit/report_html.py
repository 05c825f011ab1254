"""The report as one HTML page that opens without a network; where there are many frames, its cards stand on pages beside it."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from marrowpoint.audit.cards import ROW_TITLES, SEVERITY_KIND, Card, make_cards
from marrowpoint.audit.drawing import FAILED, PASSED, UNKNOWN, WARNED
from marrowpoint.audit.facts import ProcedureFacts
from marrowpoint.audit.findings import Finding
from marrowpoint.audit.material import ReportMaterial
from marrowpoint.audit.report_words import SIGNS, list_rows, method_lines, reader_lines
from marrowpoint.audit.rules import RULES
from marrowpoint.audit.summary import Summary
from marrowpoint.audit.svg import HATCH, to_svg
from marrowpoint.report.words import RESEARCH_ONLY
from marrowpoint.report.write import whole_file

PAGE, CARDS = "report.html", "report_cards"
COLOURS = {"pass": PASSED, "warn": WARNED, "fail": FAILED, "not_assessable": UNKNOWN}
# Small pictures of 440 px take about 24 kB: beyond so many on one page a phone no longer opens it.
MOST_FRAMES, PICTURE_PX, SMALL_PICTURE_PX = 240, 440, 340


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPage:
    """Some procedures on a page of their own.

    Parameters
    ----------
    link : str
        From the report.
    first, last : int
        Numbers of the procedures on it.
    """

    link: str
    first: int
    last: int


def write_html(out: Path, material: ReportMaterial, summary: Summary, *, identify: bool) -> tuple[Path, ...]:
    """Write the page, and the pages of cards where there are many.

    Parameters
    ----------
    out : Path
    material : ReportMaterial
    summary : Summary
    identify : bool

    Returns
    -------
    tuple of Path
        The report first.
    """
    findings = by_study(material.findings)
    identities = material.identities if identify else {}
    pages = split(material.procedures)
    context = _context(material, summary, findings, pages)
    written = [out / PAGE]
    inside = not pages
    cards = _cards(material, findings, identities, out, PICTURE_PX) if inside else iter(())
    _write(out / PAGE, "report.html", context | {"card_stream": cards})
    for former in (out / CARDS).glob("cards_*.html"):
        former.unlink()
    stream = _cards(material, findings, identities, out / CARDS, SMALL_PICTURE_PX)
    for number, page in enumerate(pages):
        held = (next(stream) for _ in range(page.first, page.last + 1))
        around = {
            "page": page,
            "before": Path(pages[number - 1].link).name if number else "",
            "after": Path(pages[number + 1].link).name if number + 1 < len(pages) else "",
        }
        written.append(out / page.link)
        _write(out / page.link, "cards.html", context | around | {"card_stream": held})
    return tuple(written)


def by_study(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    """Findings by study, in their order."""
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        found.setdefault(finding.study_instance_uid, []).append(finding)
    return found


def split(procedures: Sequence[ProcedureFacts]) -> tuple[CardPage, ...]:
    """Pages for the cards, at most `MOST_FRAMES` frames each unless one procedure has more; none where one page holds all."""
    if sum(len(procedure.frames) for procedure in procedures) <= MOST_FRAMES and len(procedures) <= MOST_FRAMES:
        return ()
    pages: list[CardPage] = []
    first, held = 1, 0
    for number, procedure in enumerate(procedures, start=1):
        weight = max(1, len(procedure.frames))
        if held and held + weight > MOST_FRAMES:
            pages.append(_page(len(pages) + 1, first, number - 1))
            first, held = number, 0
        held += weight
    pages.append(_page(len(pages) + 1, first, len(procedures)))
    return tuple(pages)


def _page(number: int, first: int, last: int) -> CardPage:
    return CardPage(link=f"{CARDS}/cards_{number:04d}.html", first=first, last=last)


def _cards(
    material: ReportMaterial,
    findings: Mapping[str, Sequence[Finding]],
    identities: Mapping[str, str],
    beside: Path,
    side_px: int,
) -> Iterator[Card]:
    return make_cards(
        material.procedures, findings, pictures=material.pictures, beside=beside, side_px=side_px, identities=identities
    )


def _context(
    material: ReportMaterial, summary: Summary, findings: Mapping[str, Sequence[Finding]], pages: Sequence[CardPage]
) -> dict[str, Any]:
    places = {number: page.link for page in pages for number in range(page.first, page.last + 1)}
    rows = [
        {
            **{name: getattr(row, name) for name in type(row).__slots__},
            "link": f"{places.get(row.number, '')}#procedure-{row.number}",
        }
        for row in list_rows(material.procedures, findings)
    ]
    drawings = ("rules", "placement", "groups", "lengths", "reasons", "readers")
    return {
        "hatch": HATCH,
        "procedures_total": len(material.procedures),
        "span": f"{summary.first:%Y-%m-%d} to {summary.last:%Y-%m-%d}" if summary.first and summary.last else "",
        "summary": summary,
        "charts": [drawing for name in drawings for drawing in getattr(summary, name)],
        "made": f"{material.made:%Y-%m-%d %H:%M}",
        "program": material.program,
        "profile": material.profile,
        "research_only": RESEARCH_ONLY,
        "colours": COLOURS,
        "signs": SIGNS,
        "kinds": SEVERITY_KIND,
        "rows": rows,
        "row_titles": ROW_TITLES,
        "titles": {rule.name: rule.title for rule in RULES},
        "rules": RULES,
        "unknown": [each.study_instance_uid for each in material.procedures if each.sites and not each.frames],
        "silent": [each.study_instance_uid for each in material.procedures if each.frames and not each.sites],
        "failures": material.failures,
        "pages": pages,
        "reader_lines": reader_lines(summary.reading, summary.run_reading),
        "methods": method_lines(material.procedures, material.profile, material.program),
    }


def _write(path: Path, template: str, context: Mapping[str, Any]) -> None:
    environment = Environment(
        loader=PackageLoader("marrowpoint.audit"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"svg": to_svg, "data_uri": _data_uri}
    with whole_file(path) as stream:
        for piece in environment.get_template(template).generate(context):
            stream.write(piece.encode("utf-8", "backslashreplace"))


def _data_uri(jpeg: bytes) -> Markup:
    return Markup("data:image/jpeg;base64,") + base64.b64encode(jpeg).decode("ascii")
