"""The table at the end of a run, for a person at a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from marrowpoint.frame import SpacingSource
from marrowpoint.report.ink import SEVERITY_COLOUR
from marrowpoint.report.page import frame_label, measurement_words
from marrowpoint.report.record import Record, printable
from marrowpoint.report.results import OVERLAYS, PAGE, RESULTS, Written
from marrowpoint.report.words import RESEARCH_ONLY
from marrowpoint.verdict import Severity

# A longer table is no longer read; the page shows every frame.
MOST_ROWS = 100
SIGNS: dict[Severity, str] = {Severity.PROBLEM: "x", Severity.UNKNOWN: "?", Severity.CAUTION: "!", Severity.GOOD: "+"}


def print_results(written: Written, console: Console) -> None:
    """Print the frames, the studies, how many answers there are, and where everything lies.

    Parameters
    ----------
    written : Written
    console : Console
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("file", overflow="fold", min_width=18)
    table.add_column("verdict", overflow="fold", min_width=16)
    for title in ("tip to cortex", "bone thickness", "scale"):
        table.add_column(title, overflow="fold")
    for record in written.frames[:MOST_ROWS]:
        table.add_row(Text(frame_label(record)), _verdict(record), *_lengths(record), Text(_scale(record)))
    if written.frames:
        console.print(table)
    if len(written.frames) > MOST_ROWS:
        console.print(f"... and {len(written.frames) - MOST_ROWS} more frames: see {PAGE}")
    for study in written.studies[:MOST_ROWS]:
        frames = f"{len(study['frames'])} frame{'' if len(study['frames']) == 1 else 's'}"
        console.print(Text.assemble(f"study of {frames}: ", _verdict(study)))
    silent = sum(record["verdict"]["code"] == "not_assessable" for record in written.frames)
    console.print()
    console.print(f"{len(written.frames)} frames, {silent} of them without an answer, {len(written.failures)} files failed")
    for title, name in (("results", RESULTS), ("overlays", OVERLAYS), ("page", PAGE)):
        console.print(Text(f"{title:9} {printable(str(written.out / name))}"), soft_wrap=True)
    console.print(RESEARCH_ONLY)


def _verdict(record: Record) -> Text:
    verdict = record["verdict"]
    severity = Severity(verdict["severity"])
    red, green, blue = SEVERITY_COLOUR[severity]
    return Text(f"{SIGNS[severity]} {verdict['text']}", style=f"rgb({red},{green},{blue})")


def _lengths(record: Record) -> list[Text]:
    names = ("tip_to_cortex", "bone_thickness")
    return [Text(measurement_words(name, record["measurements"][name]) or "-") for name in names]


def _scale(record: Record) -> str:
    calibration = record["calibration"]
    if calibration["method"] == SpacingSource.NONE or calibration["mm_per_px"] is None:
        return "none"
    percent = 100 * calibration["relative_u"]
    return f"{calibration['mm_per_px']:.3f} mm/px {calibration['method']} \N{PLUS-MINUS SIGN}{percent:.0f} %"
