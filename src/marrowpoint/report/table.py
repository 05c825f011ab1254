"""The table at the end of a run, for a person at a terminal."""

from __future__ import annotations

import os
from pathlib import PurePosixPath

from rich.console import Console
from rich.table import Table
from rich.text import Text

from marrowpoint.frame import SpacingSource
from marrowpoint.report.ink import SEVERITY_COLOUR
from marrowpoint.report.page import frame_label, measurement_words, seen_by_sound
from marrowpoint.report.record import Record, printable
from marrowpoint.report.results import OVERLAYS, PAGE, RESULTS, Written
from marrowpoint.report.words import RESEARCH_ONLY
from marrowpoint.verdict import Severity

# A longer table is no longer read; the page shows every frame.
MOST_ROWS = 100
MOST_NAMES = 4
SIGNS: dict[Severity, str] = {Severity.PROBLEM: "x", Severity.UNKNOWN: "?", Severity.CAUTION: "!", Severity.GOOD: "+"}


def print_results(written: Written, console: Console) -> None:
    """Print the frames, the studies, where everything lies, and how many frames got no answer.

    Parameters
    ----------
    written : Written
    console : Console
    """
    folder = _common_folder([*written.frames, *written.failures])
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title, ratio in (("file", 3), ("verdict", 5), ("tip to cortex", 3), ("bone thickness", 3), ("scale", 3)):
        table.add_column(title, overflow="fold", ratio=ratio)
    for record in written.frames[:MOST_ROWS]:
        name = Text(frame_label(record).removeprefix(folder))
        table.add_row(name, _verdict(record), *_lengths(record), Text(_scale(record)))
    if written.frames:
        console.print(table)
    if len(written.frames) > MOST_ROWS:
        console.print(f"... and {len(written.frames) - MOST_ROWS} more frames: see {PAGE}")
    console.print()
    for study in written.studies[:MOST_ROWS]:
        console.print(Text.assemble("study ", _frames_of(study, folder), ": ", _verdict(study)))
    for title, place in (("results", RESULTS), ("overlays", OVERLAYS), ("page", PAGE)):
        console.print(Text(f"{title:9} {printable(str(written.out / place))}"), soft_wrap=True)
    console.print(_counted(written))
    console.print(RESEARCH_ONLY)


def _counted(written: Written) -> str:
    frames, failed = len(written.frames), len(written.failures)
    silent = sum(record["verdict"]["severity"] == Severity.UNKNOWN for record in written.frames)
    return f"{frames} frame{_s(frames)}, {silent} without an answer; {failed} file{_s(failed)} failed"


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _common_folder(records: list[Record]) -> str:
    folders = [str(PurePosixPath(record["source"]["path"]).parent) for record in records]
    common = os.path.commonpath(folders) if folders else "."
    return "" if common in (".", "") else f"{common}/"


def _frames_of(study: Record, folder: str) -> str:
    paths = [str(name).rpartition("#")[0].removeprefix(folder) for name in study["frames"]]
    names = list(dict.fromkeys(paths))
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def _verdict(record: Record) -> Text:
    verdict = record["verdict"]
    severity = Severity(verdict["severity"])
    red, green, blue = SEVERITY_COLOUR[severity]
    return Text(f"{SIGNS[severity]} {verdict['text']}", style=f"rgb({red},{green},{blue})")


def _lengths(record: Record) -> list[Text]:
    names = ("tip_to_cortex", "bone_thickness")
    sound = seen_by_sound(record)
    return [Text(measurement_words(name, record["measurements"][name], sound=sound) or "-") for name in names]


def _scale(record: Record) -> str:
    calibration = record["calibration"]
    if calibration["method"] == SpacingSource.NONE or calibration["mm_per_px"] is None:
        return "none"
    percent = 100 * calibration["relative_u"]
    return f"{calibration['mm_per_px']:.3f} mm/px {calibration['method']} \N{PLUS-MINUS SIGN}{percent:.0f} %"
