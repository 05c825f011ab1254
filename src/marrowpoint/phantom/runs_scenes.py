"""Whole phantom runs drawn by chance from a seed, as frames with their truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from marrowpoint.frame import Calibration, FloatImage, Frame, FrameReference, PixelSpacing, SpacingSource
from marrowpoint.phantom.bone import HipBone
from marrowpoint.phantom.geometry import ConeBeam
from marrowpoint.phantom.physics import Display, Exposition
from marrowpoint.phantom.runs import Background, Camera, Pose, added_log, cast_background, smooth_walk, take_frame
from marrowpoint.phantom.runs_contrast import Injection, Place, SpreadKind, inject
from marrowpoint.phantom.runs_needle import FlatNeedle, NeedlePlan, advance, find_entry
from marrowpoint.phantom.scene import Scene

TRIES = 12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PhantomRun:
    """A run that can be rendered frame by frame, again and again the same.

    Parameters
    ----------
    background : Background
    camera : Camera
    plan : NeedlePlan
    injection : Injection
    poses : tuple of Pose
        Of each frame.
    gains : ndarray of shape (F,)
        Dose of each frame over the camera's.
    copies : frozenset of int
        Frames that repeat the one before (last image hold).
    seed : int
        Of the noise.
    """

    background: Background
    camera: Camera
    plan: NeedlePlan
    injection: Injection
    poses: tuple[Pose, ...]
    gains: NDArray[np.float64]
    copies: frozenset[int] = field(default_factory=frozenset)
    seed: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """(M, N) of the frames."""
        rows, columns = self.background.aperture.shape
        return rows, columns

    def tip(self, index: int) -> tuple[float, float]:
        """True tip (row, column) [px] in a frame."""
        return self.poses[index].move(self.plan.tip(index, self.background.mm_per_px), self.shape)

    def time_s(self, index: int) -> float:
        """Time of a frame from the first [s]."""
        return index * self.camera.frame_ms / 1000

    def onset(self) -> int | None:
        """First frame taken after the injection began."""
        return next((i for i in range(len(self.poses)) if self.injection.iodine(self.time_s(i)) is not None), None)

    def contrast_log(self, index: int) -> FloatImage:
        """What contrast truly adds to the log signal, where the patient lay in the first frame, shape (M, N)."""
        iodine = self.injection.iodine(self.time_s(index))
        if iodine is None:
            return np.zeros(self.shape, np.float32)
        return added_log(self.background, iodine, self.camera.exposition)

    def frames(self) -> Iterator[Frame]:
        """Render the frames one by one, as `read_frames` would give them."""
        rng = np.random.default_rng([self.seed, 77])
        values: NDArray[np.uint16] | None = None
        for index, pose in enumerate(self.poses):
            if values is None or index not in self.copies:
                steel = self.plan.needle.steel_mm(
                    self.plan.tip(index, self.background.mm_per_px), self.shape, self.background.mm_per_px
                )
                iodine = self.injection.iodine(self.time_s(index))
                drawn = steel, np.zeros(self.shape, np.float32) if iodine is None else iodine
                values = take_frame(self.background, drawn, pose, self.camera, float(self.gains[index]), rng)
            yield self._frame(values, index)

    def _frame(self, values: NDArray[np.uint16], index: int) -> Frame:
        top = np.float32(2**self.camera.display.bits - 1)
        size = self.background.mm_per_px
        spacing = PixelSpacing(row_mm=size, column_mm=size, source=SpacingSource.MAGNIFICATION, relative_u=0.06)
        reference = FrameReference(
            path=f"phantom_{self.seed}.dcm",
            frame_number=index + 1,
            number_of_frames=len(self.poses),
            modality="XA",
            rows=values.shape[0],
            columns=values.shape[1],
        )
        return Frame(
            pixels=values.astype(np.float32) / top,
            valid=np.ones(values.shape, bool),
            reference=reference,
            header_spacing=Calibration(spacing=spacing, rungs=(spacing,)),
        )


def random_background(seed: int, shape: tuple[int, int] = (512, 512)) -> Background:
    """A pelvis seen from somewhere, always the same for a seed, with a way for a needle.

    Parameters
    ----------
    seed : int
    shape : tuple of int
        (M, N) of the picture.

    Returns
    -------
    Background
    """
    rng = np.random.default_rng([seed, 1])
    while True:
        side = "L" if rng.uniform() < 0.5 else "R"
        mirror = 1.0 if side == "L" else -1.0
        beam = ConeBeam(
            shape=shape,
            pitch_mm=float(rng.uniform(0.38, 0.46)) * 512 / min(shape),
            sod_mm=float(rng.uniform(620, 760)),
            primary_deg=float(rng.choice([rng.uniform(-8, 8), rng.uniform(30, 52), rng.uniform(-52, -30)])),
            secondary_deg=float(rng.uniform(-8, 8)),
            roll_deg=float(rng.uniform(-6, 6)),
        )
        centre = (mirror * float(rng.uniform(55, 85)), float(rng.uniform(35, 65)), float(rng.uniform(70, 105)))
        display = Display(bits=12, bone_bright=bool(rng.uniform() < 0.3), field_share=float(rng.uniform(0.92, 1.0)))
        body = (float(rng.uniform(160, 200)), float(rng.uniform(95, 130)))
        scene = Scene(
            beam=beam, bone=HipBone(origin=(mirror * 88.0, 0.0, 0.0), side=side), display=display, centre=centre,
            body_radii_mm=body, seed=int(rng.integers(2**31)),
        )  # fmt: skip
        background = cast_background(scene)
        if find_entry(background, np.random.default_rng([seed, 2])) is not None:
            return background


def contrast_run(
    background: Background,
    kind: SpreadKind,
    seed: int,
    *,
    frames: int = 50,
    counts: float = 120.0,
    vein_width_mm: float | None = None,
) -> PhantomRun:
    """A needle standing in the bone, and an injection.

    Parameters
    ----------
    background : Background
    kind : SpreadKind
    seed : int
    frames : int
    counts : float
        Mean quanta a pixel: fluoroscopy has 50 to 200.
    vein_width_mm : float or None
        None draws 0.8 to 3 mm.

    Returns
    -------
    PhantomRun
    """
    rng = np.random.default_rng([seed, 3])
    plan = _standing(background, rng, frames)
    width = float(rng.uniform(0.8, 3.0)) if vein_width_mm is None else vein_width_mm
    camera = _camera(rng, counts, frame_ms=100.0)
    start_s = float(rng.uniform(1.0, 1.6))
    window = start_s, start_s + float(rng.uniform(1.3, 2.2))
    place = Place(tip=plan.tip(0, background.mm_per_px), axis=plan.needle.axis, mm_per_px=background.mm_per_px,
                  shape=(background.aperture.shape[0], background.aperture.shape[1]))  # fmt: skip
    injection = inject(kind, place, rng, window_s=window, vein_width_mm=width)
    return PhantomRun(
        background=background,
        camera=camera,
        plan=plan,
        injection=injection,
        poses=_breathing(rng, frames, background.mm_per_px),
        gains=_brightness(rng, frames),
        seed=seed,
    )


def needle_run(background: Background, seed: int, *, counts: float = 120.0) -> PhantomRun:
    """A needle that comes, passes the cortex, goes deeper, rests and is drawn back; the patient and the brightness move, too.

    Parameters
    ----------
    background : Background
    seed : int
    counts : float
        Mean quanta a pixel.

    Returns
    -------
    PhantomRun
    """
    rng = np.random.default_rng([seed, 4])
    needle, entry = _needle(background, rng)
    fast, slow = float(rng.uniform(6, 10)), float(rng.uniform(3, 6))
    segments = (
        (float(rng.uniform(0.8, 1.4)), 0.0),
        (float(rng.uniform(1.2, 2.0)), fast),
        (float(rng.uniform(0.6, 1.0)), 0.0),
        (float(rng.uniform(1.6, 2.4)), slow),
        (float(rng.uniform(0.8, 1.4)), 0.0),
        (float(rng.uniform(1.0, 1.6)), -slow),
        (float(rng.uniform(0.4, 0.8)), 0.0),
    )
    camera = _camera(rng, counts, frame_ms=100.0)
    depth = advance(segments, -float(rng.uniform(8, 12)), camera.frame_ms / 1000)
    count = len(depth)
    gains = _brightness(rng, count)
    jump = int(rng.integers(10, count - 10))
    gains[jump:] *= rng.choice([0.75, 1.3])
    copies = frozenset(range(jump + 3, jump + 3 + int(rng.integers(2, 5))))
    depth = _held(depth, copies)
    return PhantomRun(
        background=background,
        camera=camera,
        plan=NeedlePlan(needle=needle, entry=entry, depth_mm=depth),
        injection=Injection(kind=SpreadKind.NONE, parts=(), concentration=1.0, start_s=1e6, stop_s=1e6),
        poses=_hold(_breathing(rng, count, background.mm_per_px, table=True), copies),
        gains=gains,
        copies=copies,
        seed=seed,
    )


def _needle(background: Background, rng: np.random.Generator) -> tuple[FlatNeedle, tuple[float, float]]:
    for _ in range(TRIES):
        found = find_entry(background, rng)
        if found is not None:
            entry, axis = found
            needle = FlatNeedle(
                axis=(float(axis[0]), float(axis[1])),
                outer_diameter_mm=float(rng.choice([3.05, 2.41, 3.4])),
                lean_deg=float(rng.uniform(65, 90)),
            )
            return needle, (float(entry[0]), float(entry[1]))
    raise ValueError("no straight way into this bone: take another background")


def _standing(background: Background, rng: np.random.Generator, frames: int) -> NeedlePlan:
    needle, entry = _needle(background, rng)
    return NeedlePlan(needle=needle, entry=entry, depth_mm=np.full(frames, float(rng.uniform(8, 18))))


def _camera(rng: np.random.Generator, counts: float, frame_ms: float) -> Camera:
    exposition = Exposition(
        counts=counts, scatter_share=float(rng.uniform(0.3, 0.8)), blur_px=float(rng.uniform(0.7, 1.1)), grain_px=0.7
    )
    curve = float(rng.choice([0.0, 0.0, 2.0]))
    return Camera(
        exposition=exposition,
        display=Display(bits=12, bone_bright=bool(rng.uniform() < 0.3), contrast=curve),
        frame_ms=frame_ms,
    )


def _breathing(rng: np.random.Generator, frames: int, mm_per_px: float, *, table: bool = False) -> tuple[Pose, ...]:
    """Breathing of up to 2 mm with a slow drift; with `table`, the table is moved once by up to a centimetre."""
    down = smooth_walk(rng, frames, float(rng.uniform(0.1, 1.0)) / mm_per_px, float(rng.uniform(30, 50)))
    right = smooth_walk(rng, frames, float(rng.uniform(0.05, 0.5)) / mm_per_px, float(rng.uniform(30, 50)))
    turn = smooth_walk(rng, frames, float(rng.uniform(0, 0.15)), 40.0)
    if table:
        first = int(rng.integers(frames // 4, frames // 2))
        share = np.clip((np.arange(frames) - first) / 6, 0, 1)
        down += share * rng.uniform(-6, 6) / mm_per_px
        right += share * rng.uniform(-6, 6) / mm_per_px
    return tuple(Pose(shift_px=(float(a), float(b)), turn_deg=float(c)) for a, b, c in zip(down, right, turn, strict=True))


def _brightness(rng: np.random.Generator, frames: int) -> NDArray[np.float64]:
    """Automatic exposure: bright first frames that settle, and small drifts."""
    settle = 1 + rng.uniform(0, 0.4) * np.exp(-np.arange(frames) / rng.uniform(0.6, 2.0))
    drift = 1 + 0.03 * np.sin(2 * np.pi * (np.arange(frames) / rng.uniform(20, 60) + rng.uniform()))
    return np.asarray(settle * drift, dtype=np.float64)


def _held(values: NDArray[np.float64], copies: frozenset[int]) -> NDArray[np.float64]:
    out = values.copy()
    for index in sorted(copies):
        out[index] = out[index - 1]
    return out


def _hold(poses: tuple[Pose, ...], copies: frozenset[int]) -> tuple[Pose, ...]:
    out = list(poses)
    for index in sorted(copies):
        out[index] = replace(out[index - 1])
    return tuple(out)
