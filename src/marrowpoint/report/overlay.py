"""The picture a person looks at: the frame with what was found, the verdict above it, the numbers beside it.

Words stand outside of the picture, but for the lengths drawn on it; nothing covers the tip.
"""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image, ImageDraw

from marrowpoint.assess import ULTRASOUND
from marrowpoint.assessment import Assessment
from marrowpoint.report.greys import Window, cut_out, grey_levels
from marrowpoint.report.icons import draw_icon, draw_key, severity_band
from marrowpoint.report.ink import BLACK, PAPER, QUIET, WHITE, Picture, wrap, write_text
from marrowpoint.report.marks import draw_marks
from marrowpoint.report.panel import Line, number_lines, reason_lines, write_lines
from marrowpoint.report.words import RESEARCH_ONLY, VIEW_WORDS, frame_name, scale_words

# A picture smaller than this is enlarged until its longer side has it [px]; a larger one stays as it is.
SMALLEST_SIDE_PX = 1000


def draw_overlay(assessment: Assessment, *, thin_below_mm: float | None = None) -> Picture:
    """Draw one frame with everything that is said about it.

    Parameters
    ----------
    assessment : Assessment
        With its pixels.
    thin_below_mm : float or None
        Bone thinner than this gets a border, where there is a thickness map [mm].

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
        RGB; larger than the frame.
    """
    grey = grey_levels(assessment)
    rows, columns = grey.shape
    zoom = max(1.0, SMALLEST_SIDE_PX / max(rows, columns))
    size = (max(1, round(columns * zoom)), max(1, round(rows * zoom)))
    large = cv2.cvtColor(cv2.resize(grey, size, interpolation=cv2.INTER_CUBIC), cv2.COLOR_GRAY2RGB)
    unit_px = max(size) / 1000
    window = Window(row=0.5 / zoom - 0.5, column=0.5 / zoom - 0.5, zoom=zoom, line_px=2 * unit_px)
    left = draw_marks(large.astype(np.uint8), assessment, window, thin_below_mm)
    width_px = round(460 * unit_px)
    detail = _detail(assessment, width_px, zoom, thin_below_mm)
    under = _under_picture(assessment, max(size[0], round(700 * unit_px)), zoom, unit_px)
    side = _beside_picture(assessment, width_px, unit_px, detail)
    return _compose(assessment, [left, under], side, unit_px)


def encode_png(picture: Picture) -> bytes:
    """An RGB picture as PNG.

    Parameters
    ----------
    picture : ndarray of shape (H, W, 3), uint8

    Returns
    -------
    bytes
    """
    _, data = cv2.imencode(".png", picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 3])
    return data.tobytes()


def _detail(assessment: Assessment, width_px: int, zoom: float, thin_below_mm: float | None) -> Picture | None:
    needle, placement = assessment.needle, assessment.placement
    if needle is None:
        return None
    # wide enough for the tip's doubt, a few needle widths and the distance line
    reach_px = max(4 * needle.width_px, 3 * needle.tip_sd_along_px, 0.04 * max(assessment.frame.pixels.shape))
    if placement is not None and placement.nearest_cortex is not None:
        reach_px = max(reach_px, 1.5 * float(np.hypot(*np.subtract(placement.nearest_cortex, needle.tip))))
    closer = max(width_px / (2 * reach_px), zoom)
    half_px = width_px / (2 * closer)
    window = Window(row=needle.tip[0] - half_px, column=needle.tip[1] - half_px, zoom=closer, line_px=width_px / 230)
    crop = cv2.cvtColor(cut_out(assessment.frame, window, width_px), cv2.COLOR_GRAY2RGB).astype(np.uint8)
    return draw_marks(crop, assessment, window, thin_below_mm)


def _beside_picture(assessment: Assessment, width_px: int, unit_px: float, detail: Picture | None) -> Picture:
    words = write_lines(number_lines(assessment, width_px, unit_px), width_px)
    return words if detail is None else np.vstack([detail, words])


def _under_picture(assessment: Assessment, width_px: int, zoom: float, unit_px: float) -> Picture:
    size = round(24 * unit_px)
    spacing = assessment.calibration.spacing
    length, unit, px_per_unit = _bar(width_px, zoom, None if spacing is None else spacing.column_mm)
    bar_px, y, thick = length * px_per_unit, 0.9 * size, max(2, round(4 * unit_px))
    caption = wrap(
        f"{length:g} {unit}: {scale_words(assessment.calibration)}", size, width_px - bar_px - 1.5 * size, most_lines=3
    )
    page = Image.new("RGB", (width_px, round((2.6 + 1.3 * len(caption)) * size)), PAPER)
    draw = ImageDraw.Draw(page)
    draw.rectangle((2, y, 2 + bar_px, y + thick), fill=WHITE)
    for x in (2.0, 2 + bar_px):
        draw.rectangle((x - thick / 2, y - 0.35 * size, x + thick / 2, y + 0.35 * size + thick), fill=WHITE)
    for number, text in enumerate(caption):
        write_text(draw, (bar_px + size, (0.4 + 1.3 * number) * size), text, size, WHITE)
    draw_key(page, (2, page.height - 1.7 * size), size, assessment)
    return np.vstack([np.asarray(page), write_lines(reason_lines(assessment, width_px, size), width_px)])


def _bar(width_px: int, zoom: float, column_mm: float | None) -> tuple[float, str, float]:
    # the roundest length near a quarter of the picture
    unit, px_per_unit = ("px", zoom) if column_mm is None else ("mm", zoom / column_mm)
    rounds = [m * 10.0**e for e in range(-2, 5) for m in (1, 2, 5)]
    length = min(rounds, key=lambda value: abs(np.log(value * px_per_unit / (0.22 * width_px))))
    return length, unit, px_per_unit


def _compose(assessment: Assessment, left: list[Picture], side: Picture, unit_px: float) -> Picture:
    margin = round(20 * unit_px)
    left_px = max(part.shape[1] for part in left)
    width = left_px + side.shape[1] + 3 * margin
    banner = _banner(assessment, width, unit_px)
    footer = _footer(assessment, width, unit_px)
    body_height = max(sum(part.shape[0] for part in left) + margin, side.shape[0]) + 2 * margin
    body = np.full((body_height, width, 3), PAPER, np.uint8)
    y = margin
    for part in left:
        body[y : y + part.shape[0], margin : margin + part.shape[1]] = part
        y += part.shape[0] + margin // 2
    body[margin : margin + side.shape[0], left_px + 2 * margin : left_px + 2 * margin + side.shape[1]] = side
    return np.vstack([banner, body, footer])


def _banner(assessment: Assessment, width_px: int, unit_px: float) -> Picture:
    verdict = assessment.verdict
    size = round(52 * unit_px)
    pad = round(22 * unit_px)
    icon_px = round(2.0 * size)
    room_px = width_px - icon_px - 3 * pad
    lines = wrap(verdict.text, size, room_px, most_lines=3)
    if len(lines) > 1:
        size = round(40 * unit_px)
        lines = wrap(verdict.text, size, room_px, most_lines=3)
    height = max(round(1.25 * size * len(lines)), icon_px) + 2 * pad
    page = severity_band(verdict.severity, (width_px, height), pad)
    draw = ImageDraw.Draw(page)
    draw_icon(draw, verdict.severity, (pad, (height - icon_px) / 2), icon_px)
    y = (height - 1.25 * size * len(lines)) / 2
    for line in lines:
        write_text(draw, (2 * pad + icon_px, y), line, size, BLACK, bold=True)
        y += 1.25 * size
    return np.asarray(page)


def _footer(assessment: Assessment, width_px: int, unit_px: float) -> Picture:
    reference, provenance = assessment.frame.reference, assessment.provenance
    size = round(19 * unit_px)
    acquired = "date not stated" if reference.acquired is None else reference.acquired.strftime("%Y-%m-%d %H:%M")
    view = VIEW_WORDS[assessment.frame.view.kind]
    made = f"marrowpoint {provenance.marrowpoint}, profile {provenance.profile} {provenance.profile_sha256[:8]}"
    told = (frame_name(reference), acquired, "ultrasound" if reference.modality in ULTRASOUND else view, made, RESEARCH_ONLY)
    text = " | ".join(told)
    margin = round(20 * unit_px)
    lines = [Line(text=part, size_px=size, colour=QUIET) for part in wrap(text, size, width_px - 2 * margin, most_lines=4)]
    words = write_lines(lines, width_px - 2 * margin)
    return np.pad(words, ((0, margin), (margin, margin), (0, 0)), constant_values=PAPER[0])
