"""Small runs made for tests: a textured picture that moves, with discs and lines of contrast drawn into it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np

from marrowpoint.frame import Frame, FrameReference
from marrowpoint.runs.run import RunSource, RunTimes

SIDE = 256


def bone_like(seed: int = 0, side: int = SIDE) -> np.ndarray:
    """Attenuation 0.2..0.7 with edges of many directions, in a circular field of 0 outside."""
    rng = np.random.default_rng(seed)
    picture = cv2.GaussianBlur(rng.normal(0, 1, (side, side)).astype(np.float32), (0, 0), 5)
    picture = 0.45 + 0.08 * picture / picture.std()
    cv2.ellipse(picture, (side // 2, side // 2), (side // 3, side // 5), 30, 0, 360, (0.6,), 3)
    cv2.line(picture, (side // 4, side // 5), (side // 2, 3 * side // 4), (0.35,), 4)
    return np.clip(cv2.GaussianBlur(picture, (0, 0), 1.2), 0.1, 0.8).astype(np.float32)


def shifted(picture: np.ndarray, down: float, right: float, turn_deg: float = 0.0) -> np.ndarray:
    matrix = cv2.getRotationMatrix2D(((picture.shape[1] - 1) / 2, (picture.shape[0] - 1) / 2), turn_deg, 1.0)
    matrix[:, 2] += (right, down)
    return cv2.warpAffine(picture, matrix, picture.shape[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


def circle_field(picture: np.ndarray) -> np.ndarray:
    rows, columns = np.indices(picture.shape)
    middle = (picture.shape[0] - 1) / 2
    return np.where(np.hypot(rows - middle, columns - middle) < 0.47 * picture.shape[0], picture, 0).astype(np.float32)


def make_frame(attenuation: np.ndarray, number: int = 0, count: int = 1) -> Frame:
    reference = FrameReference(
        path="run.dcm", frame_number=number + 1, number_of_frames=count, modality="XA",
        rows=attenuation.shape[0], columns=attenuation.shape[1],
    )  # fmt: skip
    return Frame(pixels=attenuation.astype(np.float32), valid=np.ones(attenuation.shape, bool), reference=reference)


def make_run(
    count: int,
    added: Callable[[int], np.ndarray | None] = lambda _: None,
    *,
    noise: float = 0.006,
    gain: Callable[[int], float] = lambda _: 0.0,
    shift: Callable[[int], tuple[float, float]] = lambda _: (0.0, 0.0),
    seed: int = 0,
) -> list[Frame]:
    """Frames of a moving picture with contrast `added` (in the place of frame 0), brightness `gain` and noise."""
    rng = np.random.default_rng(seed)
    base = bone_like(seed)
    frames = []
    for index in range(count):
        more = added(index)
        whole = base if more is None else base + more
        moved = shifted(whole, *shift(index)) + gain(index) + rng.normal(0, noise, base.shape)
        frames.append(make_frame(circle_field(np.clip(moved, 0.02, 0.98).astype(np.float32)), index, count))
    return frames


def source_of(frames: Sequence[Frame], frame_s: float | None = 0.1, orientation: tuple[str, ...] = ()) -> RunSource:
    if frame_s is None:
        times = RunTimes()
    else:
        times = RunTimes(seconds=tuple(i * frame_s for i in range(len(frames))), origin="test", code="")
    return RunSource(frames=lambda: iter(frames), times=times, orientation=orientation)


def disc(row: float, column: float, radius: float, density: float = 0.12, side: int = SIDE) -> np.ndarray:
    rows, columns = np.indices((side, side))
    soft = np.clip(radius - np.hypot(rows - row, columns - column) + 0.5, 0, 1)
    return (density * soft).astype(np.float32)


def line(points: Sequence[tuple[float, float]], width: int, density: float = 0.12, side: int = SIDE) -> np.ndarray:
    canvas = np.zeros((side, side), np.float32)
    places = np.array([[round(c), round(r)] for r, c in points], np.int32).reshape(-1, 1, 2)
    cv2.polylines(canvas, [places], False, (density,), width, cv2.LINE_8)
    return cv2.GaussianBlur(canvas, (0, 0), 0.7)


def renumbered(frames: Sequence[Frame]) -> list[Frame]:
    return [
        replace(f, reference=replace(f.reference, frame_number=i + 1, number_of_frames=len(frames)))
        for i, f in enumerate(frames)
    ]
