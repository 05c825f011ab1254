#!/usr/bin/env python3
"""Print what textbook methods reach on the frames that score_fluoro.py scores, beside which ours are printed.

usage: python scripts/baselines.py SET          (SET holds <person>/truth.json and <person>/<frame>.dcm)

Each baseline is told what the product has to find out for itself: whether metal is bright or dark, and where the picture
ends. So the figures flatter them.

longest line     Canny, HoughLinesP, the longest line; its better end (the one nearer to the true tip) is the tip
threshold tip    the true axis is given; the shaft's profile along it is cut at half between shaft and surroundings
Canny contour    distance from the true tip to the nearest Canny edge outside the needle's shadow, signed by the truth
FWHM scale       declared diameter over the width at half height of the mean profile across the true shaft near the tip
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
from scipy.ndimage import map_coordinates

from marrowpoint.frame import Frame
from marrowpoint.read import find_images, read_frames, read_profile

# Edges are the strongest twentieth of the gradients in the field; Hough as the tutorials set it, in shares of the picture.
EDGE_SHARE = 0.05
HOUGH_VOTES, HOUGH_LENGTH, HOUGH_GAP = 60, 0.06, 0.01


def metal_bright(frame: Frame, truth: dict) -> np.ndarray:
    """The picture 0..255 with metal bright, the truth telling the polarity."""
    low, high = np.percentile(frame.pixels, (0.5, 99.5))
    picture = np.clip((frame.pixels - low) / max(float(high - low), 1e-6), 0, 1)
    stored_bright = truth["bone_white"] != (truth["dicom"]["photometric"] == "MONOCHROME1")
    return np.asarray(255 * (picture if stored_bright else 1 - picture), dtype=np.uint8)


def smooth(picture: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 2.0))


def canny(picture: np.ndarray, field: np.ndarray) -> np.ndarray:
    """Canny edges in the field, thresholds from the picture's own gradients."""
    soft = smooth(picture)
    size = np.abs(cv2.Sobel(soft, cv2.CV_32F, 1, 0)) + np.abs(cv2.Sobel(soft, cv2.CV_32F, 0, 1))
    high = float(np.quantile(size[field], 1 - EDGE_SHARE)) if field.any() else 1.0
    edges = cv2.Canny(soft, high / 2, high)
    edges[~field] = 0
    return np.asarray(edges)


def longest_line(picture: np.ndarray, field: np.ndarray, tip: np.ndarray, axis: np.ndarray) -> tuple[float, float] | None:
    """Distance [px] of the line's better end to the tip and angle to the axis [deg]."""
    edges = canny(picture, field)
    size = max(picture.shape)
    found = cv2.HoughLinesP(edges, 1, np.pi / 360, HOUGH_VOTES, minLineLength=HOUGH_LENGTH * size, maxLineGap=HOUGH_GAP * size)
    if found is None:
        return None
    lines = np.asarray(found).reshape(-1, 4).astype(float)
    best = lines[np.argmax(np.hypot(lines[:, 2] - lines[:, 0], lines[:, 3] - lines[:, 1]))]
    ends = best.reshape(2, 2)
    way = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    angle = np.degrees(np.arccos(min(1.0, abs(float(way @ axis)))))
    return float(np.linalg.norm(ends - tip, axis=1).min()), float(angle)


def threshold_tip(picture: np.ndarray, field: np.ndarray, tip: np.ndarray, axis: np.ndarray, width_px: float) -> float | None:
    """Signed distance [px] of the half-height crossing from the tip along the axis, positive toward the hub."""
    along = np.arange(-6 * width_px, 10 * width_px, 0.25)
    across = np.linspace(-0.25, 0.25, 5) * width_px
    normal = np.array([-axis[1], axis[0]])
    x = tip[0] + along[None] * axis[0] + across[:, None] * normal[0]
    y = tip[1] + along[None] * axis[1] + across[:, None] * normal[1]
    profile = map_coordinates(smooth(picture).astype(float), [y, x], order=1, mode="nearest").mean(axis=0)
    seen = map_coordinates(field.astype(float), [y[2], x[2]], order=0, mode="constant") > 0.5
    back = seen & (along > 2 * width_px) & (along < 5 * width_px)
    front = seen & (along < -1.5 * width_px) & (along > -3 * width_px)
    if not back.any() or not front.any():
        return None
    shaft, outside = np.median(profile[back]), np.median(profile[front])
    if shaft - outside < 2:
        return None
    above = profile > (shaft + outside) / 2
    # the last place, coming from the shaft, that is still above half
    below = np.flatnonzero(~above & (along < 2 * width_px))
    return float(along[below[-1]]) if below.size else None


def canny_distance(picture: np.ndarray, field: np.ndarray, truth: dict, tip: np.ndarray, axis: np.ndarray) -> float | None:
    """Distance [px] from the true tip to the nearest edge that is not the needle's own."""
    y, x = np.nonzero(canny(picture, field))
    width = truth["needle_od_mm"] / truth["mm_per_px_at_tip"]
    along = (x - tip[0]) * axis[0] + (y - tip[1]) * axis[1]
    side = np.abs((x - tip[0]) * axis[1] - (y - tip[1]) * axis[0])
    own = (along > -width) & (side < 1.0 * width)
    return float(np.hypot(x - tip[0], y - tip[1])[~own].min()) if (~own).any() else None


def fwhm_px(picture: np.ndarray, tip: np.ndarray, axis: np.ndarray, width_px: float) -> float | None:
    """Width at half height across the shaft, mean of the stretch from 2 to 8 widths behind the tip [px]."""
    along = np.arange(2, 8, 0.1) * width_px
    across = np.arange(-2.5, 2.5, 0.02) * width_px
    x = tip[0] + along[:, None] * axis[0] - across[None] * axis[1]
    y = tip[1] + along[:, None] * axis[1] + across[None] * axis[0]
    inside = (x > 0) & (y > 0) & (x < picture.shape[1] - 1) & (y < picture.shape[0] - 1)
    rows = inside.all(axis=1)
    if not rows.any():
        return None
    profile = map_coordinates(picture.astype(float), [y[rows], x[rows]], order=1).mean(axis=0)
    edge = np.median(profile[np.abs(across) > 1.5 * width_px])
    top = np.median(profile[np.abs(across) < 0.15 * width_px])
    wide = np.count_nonzero(profile > (edge + top) / 2) * 0.02 * width_px if top - edge > 2 else 0.0
    return float(wide) if wide > 0 else None


def one_frame(path: Path, truth: dict) -> dict[str, float | None]:
    (image,) = find_images([path])
    frame = next(iter(read_frames(image, scale=read_profile(None).scale)))
    picture = metal_bright(frame, truth)
    tip, axis, mm = np.array(truth["tip_xy_px"]), np.array(truth["shaft_dir_xy"]), truth["mm_per_px_at_tip"]
    # the field's edge is given too: nothing within 2 % of the border of what varies
    varied = cv2.GaussianBlur((np.abs(cv2.Laplacian(picture, cv2.CV_32F)) > 0).astype(np.float32), (0, 0), 4) > 0.2
    # saturated metal and air do not vary, yet they are in the picture
    hole = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * (max(picture.shape) // 24) + 1,) * 2)
    closed = cv2.morphologyEx(varied.astype(np.uint8), cv2.MORPH_CLOSE, hole)
    margin = max(3, round(0.02 * max(picture.shape)))
    field = cv2.erode(closed, np.ones((margin, margin), np.uint8)) > 0
    width = truth["needle_od_mm"] / mm
    line, short = longest_line(picture, field, tip, axis), threshold_tip(picture, field, tip, axis, width)
    edge, fwhm = canny_distance(picture, field, truth, tip, axis), fwhm_px(picture, tip, axis, width)
    signed = truth["signed_tip_to_silhouette_mm"]
    return {
        "line_mm": None if line is None else line[0] * mm,
        "line_deg": None if line is None else line[1],
        "threshold_mm": None if short is None else short * mm,
        "canny_mm": None if edge is None else edge * mm - abs(signed),
        "scale": None if fwhm is None else width / fwhm - 1,
    }


def main(folder: Path) -> None:
    truths = [(file.parent, entry) for file in sorted(folder.glob("*/truth.json")) for entry in json.loads(file.read_text())]
    rows = [one_frame(person / f"{truth['id']}.dcm", truth) for person, truth in truths]
    count = len(rows)

    def column(key: str) -> np.ndarray:
        return np.array([row[key] for row in rows if row[key] is not None], dtype=float)

    line, angle, short, canny, scale = (column(key) for key in ("line_mm", "line_deg", "threshold_mm", "canny_mm", "scale"))
    print(f"frames: {count}")
    print(f"{'method':16s} {'reported':>8s}  figure")
    print(
        f"{'longest line':16s} {len(line):8d}  tip: median {np.median(line):.1f} mm, 95 % {np.percentile(line, 95):.1f} mm, "
        f"within 2 mm {100 * np.sum(line < 2) / count:.0f} % of all; axis median {np.median(angle):.1f} deg"
    )
    size = np.abs(short)
    print(
        f"{'threshold tip':16s} {len(short):8d}  tip: median {np.median(size):.2f} mm, 95 % {np.percentile(size, 95):.2f} mm, "
        f"within 2 mm {100 * np.sum(size < 2) / count:.0f} % of all; bias {np.median(short):+.2f} mm (toward the hub)"
    )
    print(
        f"{'Canny contour':16s} {len(canny):8d}  distance to cortex: median error {np.median(np.abs(canny)):.1f} mm, "
        f"95 % {np.percentile(np.abs(canny), 95):.1f} mm, bias {np.median(canny):+.1f} mm"
    )
    print(
        f"{'FWHM scale':16s} {len(scale):8d}  scale: median error {100 * np.median(np.abs(scale)):.1f} %, "
        f"95 % {100 * np.percentile(np.abs(scale), 95):.0f} %, bias {100 * np.median(scale):+.1f} %"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
