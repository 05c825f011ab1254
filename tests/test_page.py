"""The page of a run: complete, honest about what is missing, harmless whatever a file is called."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from drawn import bare_assessment, drawn_assessment, drawn_frame

from marrowpoint.analyze import Failure
from marrowpoint.report.results import write_results

HOSTILE = "<script>alert(1)</script>\"'&{{ 7 * 7 }}.dcm"


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))


def page_of(tmp_path: Path, *outcomes) -> str:
    write_results(outcomes, tmp_path, masks=False)
    return (tmp_path / "index.html").read_text("utf-8")


def tags_of(text: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    parser.feed(text)
    return parser.tags


def test_a_hostile_name_stays_text(tmp_path) -> None:
    text = page_of(tmp_path, drawn_assessment(frame=drawn_frame(path=HOSTILE)), Failure(path=HOSTILE, code="x", text=HOSTILE))
    assert "script" not in {tag for tag, _ in tags_of(text)}
    assert "{{ 7 * 7 }}" in text
    assert not any(name.startswith("on") for _, attributes in tags_of(text) for name in attributes)


def test_the_page_asks_nothing_of_a_network(tmp_path) -> None:
    text = page_of(tmp_path, drawn_assessment(), bare_assessment(frame=drawn_frame(path="b.dcm")))
    for tag, attributes in tags_of(text):
        assert tag not in {"link", "iframe", "object", "base"}
        assert (attributes.get("src") or "data:").startswith("data:")
        assert not re.match(r"(https?:)?//", attributes.get("href") or "")
    assert "@import" not in text
    assert "url(" not in text


def test_counts_stand_with_their_denominators(tmp_path) -> None:
    frames = [drawn_assessment(frame=drawn_frame(path=f"{k}.dcm")) for k in range(3)]
    text = page_of(
        tmp_path, *frames, bare_assessment(frame=drawn_frame(path="none.dcm")), Failure(path="f", code="c", text="t")
    )
    assert "3 of 4" in text
    assert "1 of 4" in text
    assert len([1 for tag, _ in tags_of(text) if tag == "article"]) == 4
    assert "0 of 4" in text


def test_a_frame_without_answer_is_called_a_problem(tmp_path) -> None:
    text = page_of(tmp_path, bare_assessment())
    assert "Problem: no answer" in text
    assert "not measured" in text


def test_every_picture_link_leads_to_a_file(tmp_path) -> None:
    text = page_of(tmp_path, drawn_assessment(frame=drawn_frame(path="a b/ü#1?.dcm")), drawn_assessment())
    links = [attributes["href"] for tag, attributes in tags_of(text) if tag == "a"]
    assert len(links) == 2
    for link in links:
        assert (tmp_path / unquote(link)).is_file()


@pytest.mark.parametrize(
    "word", ["10.0 mm inside", "9.0 to 11.0", "second view needed", "Because it was drawn so.", "default@1", "ab" * 8]
)
def test_the_card_tells_numbers_flags_reasons_and_versions(tmp_path, word) -> None:
    assert word in page_of(tmp_path, drawn_assessment())


def test_an_empty_run_still_has_a_page(tmp_path) -> None:
    assert "0 frames" in page_of(tmp_path)
