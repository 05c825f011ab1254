"""Writing drawn over frames: what share of it an export blanks or tells, and what of the frames it blanks without any.

    python scripts/bench_writing.py FRAME.dcm ... [--font FILE.ttf ...] [--seed 7]

Words of 8 to 24 pixels (height of a capital) and of little to much contrast are drawn inside the exposed field, level, bright
or dark, smooth or hard edged. Counted as blanked: more than nine tenths of a word's ink. Counted as told: any of it is blanked
or suspected.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from marrowpoint.archive.writing import Box, find_writing
from marrowpoint.fluoroscopy.field import find_field
from marrowpoint.read import find_images, read_frames, read_profile

WORDS = (
    "LEAKOWITZ ZACHARIAS", "DOE^JANE 03.12.1950", "ID 77881234", "St. Mary Hospital", "2026-01-12 10:14", "Acc 4471/B F 75Y",
    "Dr. Krause", "PELVIS L", "mueller, anna", "12345678",
)  # fmt: skip
HEIGHTS_PX, CONTRASTS = ((8, 10, 12), (16, 24, 10)), (0.1, 0.18, 0.3, 0.5, 0.8)
A_PICTURE, TRIES = 9, 600


def inked(word: str, font: Path | int, height_px: int) -> np.ndarray:
    """Ink of a word, 0..1; an integer is a line type of OpenCV's own letters."""
    if isinstance(font, int):
        size = height_px / 21
        (width, height), below = cv2.getTextSize(word, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
        drawn = np.zeros((height + below + 6, width + 6), np.uint8)
        cv2.putText(drawn, word, (3, height + 2), cv2.FONT_HERSHEY_SIMPLEX, size, 255, 1, font)
        return drawn / 255
    letters = ImageFont.truetype(str(font), round(height_px / 0.73))
    left, top, right, bottom = (int(side) for side in letters.getbbox(word))
    paper = Image.new("L", (right - left + 6, bottom - top + 6))
    ImageDraw.Draw(paper).text((3 - left, 3 - top), word, font=letters, fill=255)
    return np.asarray(paper) / 255


def draw(pixels: np.ndarray, field: np.ndarray, heights: Sequence[int], fonts: Sequence[Path | int], rng) -> tuple:
    """The picture with words, and the ink, height and contrast of each."""
    out, taken, words = pixels.copy(), np.zeros(pixels.shape, bool), []
    inside = cv2.erode(field.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    for _ in range(TRIES):
        if len(words) == A_PICTURE:
            break
        height, contrast = heights[len(words) % len(heights)], CONTRASTS[rng.integers(len(CONTRASTS))]
        ink = inked(WORDS[rng.integers(len(WORDS))], fonts[rng.integers(len(fonts))], height)
        if ink.shape[0] + 2 >= pixels.shape[0] or ink.shape[1] + 2 >= pixels.shape[1]:
            continue
        y, x = (int(rng.integers(whole - part)) for whole, part in zip(pixels.shape, ink.shape, strict=True))
        box = slice(y, y + ink.shape[0]), slice(x, x + ink.shape[1])
        around = slice(max(0, y - 25), box[0].stop + 25), slice(max(0, x - 40), box[1].stop + 40)
        if not inside[box].all() or taken[around].any():
            continue
        local = float(np.median(pixels[box]))
        brighter = local + contrast <= 1.02 and (rng.random() < 0.8 or local - contrast < 0)
        level = min(local + contrast, 1.0) if brighter else max(local - contrast, 0.0)
        out[box] = pixels[box] * (1 - ink) + level * ink
        where = np.zeros(pixels.shape, bool)
        where[box], taken[box] = ink > 0.4, True
        words.append((where, height, contrast))
    return out.astype(np.float32), words


def covered(boxes: Sequence[Box], shape: tuple[int, ...]) -> np.ndarray:
    out = np.zeros(shape, bool)
    for box in boxes:
        out[box] = True
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frames", nargs="+", type=Path)
    parser.add_argument("--font", nargs="*", type=Path, default=[])
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    rng = np.random.default_rng(asked.seed)
    fonts = [*asked.font, cv2.LINE_AA, cv2.LINE_8]
    told: defaultdict[tuple[int, float], list[tuple[bool, bool]]] = defaultdict(list)
    for image in find_images(asked.frames):
        frame = next(iter(read_frames(image, scale=read_profile(None).scale)))
        field = find_field(frame.pixels, frame.valid)
        plain = find_writing(frame.pixels, frame.valid)
        lost = (covered(plain.found, field.shape) & field).sum() / field.sum()
        print(
            f"{image.path.name}: {100 * lost:.2f} % of the field blanked, {len(plain.suspected)} places suspected", flush=True
        )
        for heights in HEIGHTS_PX:
            picture, words = draw(frame.pixels, field, heights, fonts, rng)
            writing = find_writing(picture, frame.valid)
            gone, seen = covered(writing.found, field.shape), covered((*writing.found, *writing.suspected), field.shape)
            for ink, height, contrast in words:
                told[height, contrast].append(((ink & gone).sum() > 0.9 * ink.sum(), (ink & seen).sum() > 0.02 * ink.sum()))
    print("height [px]   blanked / told / drawn at a contrast of " + ", ".join(map(str, CONTRASTS)))
    for height in sorted({height for height, _ in told}):
        cells = [told[height, contrast] for contrast in CONTRASTS]
        row = (f"{sum(b for b, _ in cell)}/{sum(t for _, t in cell)}/{len(cell)}" for cell in cells)
        print(f"{height:8d}      " + "  ".join(f"{cell:>9s}" for cell in row))
    every = np.array([pair for cell in told.values() for pair in cell])
    print(f"blanked {every[:, 0].mean():.2f}, told {every[:, 1].mean():.2f} of {len(every)} words")


if __name__ == "__main__":
    main()
