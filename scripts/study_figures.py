#!/usr/bin/env python3
"""Figures of the study level from pictures of an evaluation set with truth.json files, through the whole program.

usage: python scripts/study_figures.py SET [--angles 3] [--isocentre 10] [--seed 1] [--blockers] [--only PERSON/study_000 ...]

SET holds PERSON/truth.json and PERSON/STUDY/VIEW.dcm. With --angles the positioner angles, with --isocentre the place of the
isocentre are off by so much (standard deviations in degrees and mm), in copies that are deleted afterwards.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pydicom

from marrowpoint.analyze import Request, analyze_images
from marrowpoint.assessment import StudyAssessment
from marrowpoint.case import Site
from marrowpoint.fluoroscopy.prior import load_network
from marrowpoint.measurement import Bound
from marrowpoint.read import find_images, read_profile
from marrowpoint.verdict import Flag


@dataclass(frozen=True)
class Study:
    """What is true of one needle position."""

    name: str
    uid: str
    files: tuple[Path, ...]
    views: tuple[dict, ...]

    @property
    def placement(self) -> str:
        """Where the tip truly is."""
        return self.views[0]["placement"]

    @property
    def site(self) -> Site:
        """What the operator would write."""
        side = "R" if self.views[0]["subject_side"].endswith("R") else "L"
        return Site(study_instance_uid=self.uid, site="1", side=side, needle_od_mm=self.views[0]["needle_od_mm"])


def studies_of(folder: Path) -> list[Study]:
    """Studies of a set, in order."""
    out = []
    for file in sorted(folder.glob("*/truth.json")):
        groups: dict[str, list[dict]] = defaultdict(list)
        for view in json.loads(file.read_text()):
            groups[view["study"]].append(view)
        for name, views in groups.items():
            files = tuple(file.parent / f"{view['id']}.dcm" for view in views)
            uid = str(pydicom.dcmread(files[0], stop_before_pixels=True).StudyInstanceUID)
            out.append(Study(name=f"{file.parent.name}/{name}", uid=uid, files=files, views=tuple(views)))
    return out


def disturb(source: Path, target: Path, view: dict, rng: np.random.Generator, angle_sd: float, isocentre_sd_mm: float) -> None:
    """A copy with angles a little wrong and the isocentre elsewhere: along the beam by its tag, across it by a rim."""
    data = pydicom.dcmread(source)
    for keyword in ("PositionerPrimaryAngle", "PositionerSecondaryAngle"):
        if keyword in data:
            setattr(data, keyword, f"{float(data[keyword].value) + rng.normal(0, angle_sd):.2f}")
    along, *across = rng.normal(0, isocentre_sd_mm, 3)
    if "DistanceSourceToPatient" in data:
        data.DistanceSourceToPatient = f"{float(data.DistanceSourceToPatient) + along:.2f}"
    if isocentre_sd_mm > 0:
        if data.file_meta.TransferSyntaxUID.is_compressed:
            data.decompress()
        pixels = data.pixel_array
        # the middle moves by half the rim
        rims = np.rint(2 * np.array(across) / view["mm_per_px_at_tip"]).astype(int)
        pixels = np.pad(pixels, [(max(rim, 0), max(-rim, 0)) for rim in rims], constant_values=int(pixels[0, 0]))
        data.Rows, data.Columns = pixels.shape
        data.PixelData = np.ascontiguousarray(pixels).tobytes()
    target.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(target)


def analysed(studies: list[Study], folder: Path | None) -> Iterator[tuple[Study, StudyAssessment]]:
    """Each study with what the program says of it; with a folder, of the copies there."""
    profile, network = read_profile(None), load_network(None)
    for study in studies:
        files = study.files if folder is None else tuple(folder / study.name / file.name for file in study.files)
        request = Request(profile=profile, network=network, procedure={study.uid: (study.site,)})
        said = [x for x in analyze_images(find_images(files), request) if isinstance(x, StudyAssessment)]
        if len(said) != 1:
            raise SystemExit(f"{study.name}: {len(said)} needle positions instead of one")
        yield study, said[0]


def print_figures(results: list[tuple[Study, StudyAssessment]]) -> None:
    """Verdicts by true placement, then lengths."""
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for study, said in results:
        excluded = Flag.NOT_IN_THICK_BONE in said.verdict.flags
        table[study.placement]["no thick bone" if excluded else said.verdict.code.value] += 1
    for placement, counts in sorted(table.items()):
        print(f"{placement:9}", ", ".join(f"{code} {count}" for code, count in counts.most_common()))
    unsafe = [s.name for s, said in results if said.verdict.code.value == "right_spot" and s.placement != "marrow"]
    print("right_spot elsewhere than in marrow:", unsafe or f"0 of {sum(s.placement != 'marrow' for s, _ in results)}")
    misses = [said.tip_residual_mm for _, said in results if said.tip_residual_mm is not None]
    if misses:
        print(f"tip residual: median {np.median(misses):.1f} mm, {len(misses)} studies")
    print_depths("marrow", [pair for pair in results if pair[0].placement == "marrow"])
    print_depths("marrow and thin", [pair for pair in results if pair[0].placement in ("marrow", "thin")])
    off = [
        (said.bone_thickness.value - s.views[0]["local_thickness_3d_mm"],
         said.bone_thickness.lower <= s.views[0]["local_thickness_3d_mm"] <= said.bone_thickness.upper)
        for s, said in results if said.bone_thickness and s.placement in ("marrow", "thin")
    ]  # fmt: skip
    if off:
        errors, held = np.array(off, dtype=float).T
        print(f"thickness: median error {np.median(abs(errors)):.1f} mm, 95 % interval held {held.mean():.0%} of {len(off)}")


def print_depths(name: str, results: list[tuple[Study, StudyAssessment]]) -> None:
    """What is measured apart from what is only bounded."""
    pairs = [(said.insertion_depth, s.views[0]["depth_past_entry_3d_mm"]) for s, said in results if said.insertion_depth]
    measured = [(depth, true) for depth, true in pairs if depth.bound is Bound.ESTIMATE]
    bounds = [(depth, true) for depth, true in pairs if depth.bound is Bound.UPPER]
    if measured:
        off = [abs(depth.value - true) for depth, true in measured]
        held = sum(depth.lower <= true <= depth.upper for depth, true in measured)
        print(f"insertion depth, {name}, measured: median error {np.median(off):.1f} mm, interval held {held} of {len(off)}")
    if bounds:
        over = [depth.value - true for depth, true in bounds]
        held = sum(true <= depth.upper for depth, true in bounds)
        print(f"insertion depth, {name}, at most: {np.median(over):.1f} mm too much (median), held {held} of {len(over)}")


def print_blockers(results: list[tuple[Study, StudyAssessment]]) -> None:
    """What each study is told, one line a study."""
    for study, said in sorted(results, key=lambda pair: (pair[0].placement, pair[0].name)):
        codes = Counter(r.code for r in said.verdict.reasons if r.code not in ("view", "operator"))
        why = ", ".join(f"{code} x{count}" if count > 1 else code for code, count in codes.items())
        at_most = "at most " if said.insertion_depth and said.insertion_depth.bound is Bound.UPPER else ""
        lengths = f"thickness {said.bone_thickness}, depth {at_most}{said.insertion_depth}"
        print(f"{study.placement:9} {study.name}: {said.verdict.code.value}; {lengths}; {why}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", type=Path)
    parser.add_argument("--angles", type=float, default=0.0, help="standard deviation [deg]")
    parser.add_argument("--isocentre", type=float, default=0.0, help="standard deviation [mm]")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--blockers", action="store_true", help="say of each study what stands in the way")
    parser.add_argument("--only", nargs="*", default=[], help="studies, such as PERSON/study_000")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    studies = [study for study in studies_of(args.set) if not args.only or study.name in args.only]
    with tempfile.TemporaryDirectory() as scratch:
        copies = Path(scratch) if args.angles or args.isocentre else None
        rng = np.random.default_rng(args.seed)
        for study in studies if copies is not None else ():
            for file, view in zip(study.files, study.views, strict=True):
                disturb(file, Path(scratch) / study.name / file.name, view, rng, args.angles, args.isocentre)
        results = list(analysed(studies, copies))
    print_figures(results)
    if args.blockers:
        print_blockers(results)


if __name__ == "__main__":
    main()
