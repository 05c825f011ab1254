"""Simulated studies through the product, up to the study level: assessments without pixels beside the truth, as a pickle.

python training/assess_studies.py --cache DIR --model FILE.onnx --name studies1
"""

from __future__ import annotations

import argparse
import hashlib
import json
import pickle
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
from appearance import clutter, display, expose, random_field

from marrowpoint.assess import assess_frame, without_pixels
from marrowpoint.fluoroscopy.prior import load_network
from marrowpoint.frame import BeamGeometry, Calibration, Frame, FrameReference, PixelSpacing, SpacingSource, View, ViewOrigin
from marrowpoint.needle import Needle
from marrowpoint.read.profiles import read_profile
from marrowpoint.read.views import name_view

SCALE_SD, TIP_SD_MM = 0.02, 0.3


def frame_of(rng: np.random.Generator, integral: np.ndarray, view: dict, study: str, number: int) -> Frame | None:
    """What would have been saved; None where the field leaves the tip out."""
    size = len(integral)
    field = random_field(rng, size)
    x, y = view["tip_xy"]
    if not (10 < x < size - 11 and 10 < y < size - 11 and field[int(y), int(x)]):
        return None
    picture = display(rng, expose(rng, integral.astype(np.float32), (2, 8)), field)
    picture = np.where(field, np.clip(clutter(rng, picture), 0, 1), 0).astype(np.float32)
    picture = np.round(picture * 255) / np.float32(255)
    scale = view["mm_per_px"] * (1 + rng.normal(0, SCALE_SD))
    spacing = PixelSpacing(row_mm=scale, column_mm=scale, source=SpacingSource.MAGNIFICATION, relative_u=0.06)
    kind = name_view(view["primary"], view["secondary"], side="R", position="HFP")
    return Frame(
        pixels=picture,
        valid=np.ones(picture.shape, np.bool_),
        reference=FrameReference(
            path=f"{study}/view_{number}.dcm", rows=size, columns=size, study_instance_uid=study, modality="XA",
            pixel_sha256=hashlib.sha256(picture.tobytes()).hexdigest(), acquired=datetime(2026, 1, 1, 12, number, tzinfo=UTC),
        ),
        view=View(kind=kind, origin=ViewOrigin.DICOM, primary_deg=view["primary"], secondary_deg=view["secondary"]),
        header_spacing=Calibration(spacing=spacing, rungs=(spacing,)),
        side="R",
        geometry=BeamGeometry(
            sid_mm=view["sid_mm"], sod_mm=view.get("sod_mm"), imager_spacing_mm=(view["pitch_mm"],) * 2, patient_position="HFP"
        ),
    )  # fmt: skip


def needle_of(rng: np.random.Generator, view: dict) -> Needle:
    """The needle as the program finds it, a little off: how it is found is measured elsewhere."""
    sd = TIP_SD_MM / view["mm_per_px"]
    tip = np.array(view["tip_xy"]) + rng.normal(0, sd, 2)
    return Needle(
        tip=(float(tip[1]), float(tip[0])), axis=(view["axis_xy"][1], view["axis_xy"][0]),
        width_px=2 * view["radius_mm"] / view["mm_per_px"], width_sd_px=0.2, tip_sd_along_px=sd, tip_sd_across_px=sd,
        length_px=max(view["shaft_px"], 1.0), confidence=0.95, end_on=view["beam_deg"] < 15,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--seed", type=int, default=41)
    parser.add_argument("--inside", action="store_true", help="only tips in bone, which is all that the fit of thickness needs")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    network, profile, rng = load_network(args.model), read_profile(None), np.random.default_rng(args.seed)
    truths = json.loads((args.cache / f"{args.name}.json").read_text())
    integral = np.load(args.cache / f"{args.name}_integral.npy", mmap_mode="r")
    studies = []
    for k, truth in enumerate(truths):
        frames = []
        if args.inside and truth["thickness_mm"] <= 0:
            continue
        for number, view in enumerate(truth["views"], start=1):
            frame, needle = frame_of(rng, integral[k][number - 1], view, f"{args.name}.{k}", number), needle_of(rng, view)
            if frame is not None:
                found = assess_frame(
                    frame, profile=profile, network=network, outer_diameter_mm=2 * view["radius_mm"], needle=needle
                )
                frames.append(without_pixels(found))
        studies.append((truth, frames))
        if k % 20 == 19:
            print(k + 1, flush=True)
    with (args.cache / f"{args.name}_assessed.pkl").open("wb") as stream:
        pickle.dump(studies, stream)


if __name__ == "__main__":
    main()
