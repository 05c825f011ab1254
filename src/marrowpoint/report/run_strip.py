"""A run as one picture: a film strip of its key frames, and its curves below."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from marrowpoint.runs.run import ContrastResult, NeedleResult, RunAssessment, StripPicture

Picture = NDArray[np.uint8]
SIDE_PX, MOST, CURVE_PX, BAND_PX = 300, 6, 190, 26
INK, QUIET, SEEN, TIP, CURVES = (20, 20, 20), (120, 120, 120), (0, 120, 255), (200, 160, 0), ((160, 60, 0), (0, 120, 200))
FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_run(run: RunAssessment) -> Picture | None:
    """Draw the film strip of a run and its curves.

    Parameters
    ----------
    run : RunAssessment

    Returns
    -------
    ndarray of shape (M, N, 3), uint8, or None
        Blue, green, red, as OpenCV writes it; None where there is nothing to show.
    """
    if not run.strip:
        return None
    step = max(1, -(-len(run.strip) // MOST))
    tiles = [_tile(picture) for picture in run.strip[::step]]
    height = max(tile.shape[0] for tile in tiles)
    strip = np.hstack([_padded(tile, height) for tile in tiles])
    curves = _curves(run, strip.shape[1])
    return np.ascontiguousarray(np.vstack([strip, *curves]))


def strip_png(run: RunAssessment) -> bytes:
    """The film strip of a run as PNG.

    Parameters
    ----------
    run : RunAssessment

    Returns
    -------
    bytes
        Empty where there is nothing to show.
    """
    picture = draw_run(run)
    return b"" if picture is None else cv2.imencode(".png", picture)[1].tobytes()


def _tile(picture: StripPicture) -> Picture:
    scale = SIDE_PX / max(picture.picture.shape)
    size = round(picture.picture.shape[1] * scale), round(picture.picture.shape[0] * scale)
    grey = cv2.resize((np.clip(picture.picture, 0, 1) * 255).astype(np.uint8), size, interpolation=cv2.INTER_LINEAR)
    colour = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    if picture.outline is not None and picture.outline.any():
        grown = cv2.resize(picture.outline.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        lines, _ = cv2.findContours(grown, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(colour, lines, -1, SEEN, 1, cv2.LINE_AA)
    if picture.point is not None:
        place = round((picture.point[1] + 0.5) * scale), round((picture.point[0] + 0.5) * scale)
        cv2.circle(colour, place, 7, TIP, 1, cv2.LINE_AA)
    band = np.full((BAND_PX, colour.shape[1], 3), 255, np.uint8)
    cv2.putText(band, picture.label, (5, 18), FONT, 0.42, INK, 1, cv2.LINE_AA)
    return np.vstack([band, colour]).astype(np.uint8)


def _padded(tile: Picture, height: int) -> Picture:
    out = np.full((height, tile.shape[1] + 4, 3), 255, np.uint8)
    out[: tile.shape[0], : tile.shape[1]] = tile
    return out


def _curves(run: RunAssessment, width: int) -> list[Picture]:
    seconds = run.times.seconds
    if run.contrast is not None and any(spread.seen_area > 0 for spread in run.contrast.spreads):
        return [_contrast_curves(run.contrast, seconds, width)]
    return [] if run.needle is None else _needle_curves(run.needle, seconds, width)


def _contrast_curves(contrast: ContrastResult, seconds: tuple[float, ...] | None, width: int) -> Picture:
    frames = [spread.frame for spread in contrast.spreads]
    places = _places(frames, seconds)
    unit = contrast.unit
    lines = [
        (f"area [{unit}2]", places, [spread.area for spread in contrast.spreads]),
        (f"front from the tip [{unit}]", places, [spread.front for spread in contrast.spreads]),
    ]
    return _plot(lines, _axis(seconds), width, [])


def _needle_curves(needle: NeedleResult, seconds: tuple[float, ...] | None, width: int) -> list[Picture]:
    lines = []
    for name, field in (("way along the shaft", "advance"), ("tip to outline", "tip_to_cortex")):
        known = [(point.frame, getattr(point, field)) for point in needle.points if getattr(point, field) is not None]
        if len(known) > 1:
            lines.append((f"{name} [{needle.unit}]", _places([f for f, _ in known], seconds), [m.value for _, m in known]))
    marks = _places([event.frame for event in needle.events], seconds)
    return [_plot(lines, _axis(seconds), width, marks)] if lines else []


def _places(frames: Sequence[int], seconds: tuple[float, ...] | None) -> list[float]:
    return [float(frame + 1) if seconds is None else seconds[frame] for frame in frames]


def _axis(seconds: tuple[float, ...] | None) -> str:
    return "frame" if seconds is None else "s"


def _plot(lines: Sequence[tuple[str, list[float], list[float]]], axis: str, width: int, marks: Sequence[float]) -> Picture:
    """Curves side by side, each with its own scale written at its ends."""
    panel = max(1, width // max(1, len(lines)))
    out = np.full((CURVE_PX, width, 3), 255, np.uint8)
    for number, (name, across, up) in enumerate(lines):
        left, right, top, bottom = number * panel + 52, (number + 1) * panel - 14, 26, CURVE_PX - 26
        x_low, x_high = min(across), max(*across, min(across) + 1e-9)
        low, high = min(0.0, *up), max(*up, min(up) + 1e-9, 1e-9)
        cv2.rectangle(out, (left, top), (right, bottom), (210, 210, 210), 1)
        columns = left + (np.array(across) - x_low) / (x_high - x_low) * (right - left)
        rows = bottom - (np.array(up) - low) / (high - low) * (bottom - top)
        for mark in marks:
            column = round(left + (mark - x_low) / (x_high - x_low) * (right - left))
            cv2.line(out, (column, top), (column, bottom), (200, 200, 230), 1)
        points = np.round(np.stack([columns, rows], axis=1)).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(out, [points], False, CURVES[number % 2], 2, cv2.LINE_AA)
        for text, place in (
            (name, (left, 18)),
            (f"{high:.4g}", (number * panel + 4, top + 10)),
            (f"{low:.4g}", (number * panel + 4, bottom)),
            (f"{x_low:.4g}", (left, CURVE_PX - 8)),
            (f"{x_high:.4g} {axis}", (right - 62, CURVE_PX - 8)),
        ):
            cv2.putText(out, text, place, FONT, 0.42, QUIET if place[1] != 18 else INK, 1, cv2.LINE_AA)
    return out
