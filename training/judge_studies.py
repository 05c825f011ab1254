"""What the study level says of simulated studies, by true placement.

python training/judge_studies.py --cache DIR --names studies1 hard1     (after assess_studies.py, without --inside)

With --other-hip thickness is fitted on studies2 for sets whose name ends in 1, and on studies1 for the others, so that no set
is judged by a fit that saw its hip. With --threshold a rule can be tried: --threshold verdict.complementary_from_deg=45.
"""

from __future__ import annotations

import argparse
import pickle
from collections import Counter, defaultdict
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from fuse import LADDER_MM, fit, margin_of, rows_of

from marrowpoint.profile import Profile
from marrowpoint.read import read_profile
from marrowpoint.study import evidence, judge_study
from marrowpoint.study.thickness import Fusion
from marrowpoint.verdict import Code, Flag

# reasons that are told, not asked for
SHOWN = {"view", "frame_not_assessable", "views_disagree", "duplicate_picture", "same_picture"}


def other_hip(cache: Path) -> dict[str, Fusion]:
    """For sets of the left hip (1) and of the right (2) a fit of thickness on the other, with their common margin."""
    fits, left_out, used = {}, [], ""
    for end, name, other in (("1", "studies1", "studies2"), ("2", "studies2", "studies1")):
        own, others = (pickle.loads((cache / f"{key}_assessed.pkl").read_bytes()) for key in (name, other))
        used = next(frame.cortex.model_sha256 for _, frames in own for frame in frames if frame.cortex)
        fits[end] = [fit(*rows_of(others, counts)) for counts in ((1,), (2, 3))]
        left_out += [(weights, *rows_of(own, counts)) for weights, counts in zip(fits[end], ((1,), (2, 3)), strict=True)]
    shared = {"model_sha256": used, "ladder_mm": np.array(LADDER_MM), "margin": margin_of(left_out)}
    return {end: Fusion(single=single, several=several, **shared) for end, (single, several) in fits.items()}


def changed(profile: Profile, thresholds: list[str]) -> Profile:
    """The profile with other thresholds."""
    for text in thresholds:
        place, value = text.split("=")
        section, name = place.split(".")
        profile = replace(profile, **{section: replace(getattr(profile, section), **{name: float(value)})})
    return profile


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--names", nargs="+", required=True)
    parser.add_argument("--other-hip", action="store_true")
    parser.add_argument("--threshold", action="append", default=[], metavar="SECTION.NAME=VALUE")
    args = parser.parse_args()
    profile = changed(read_profile(None), args.threshold)
    fits = other_hip(args.cache) if args.other_hip else {}
    said: dict[str, Counter[str]] = defaultdict(Counter)
    missing: Counter[str] = Counter()
    alone: Counter[tuple[str, bool]] = Counter()
    for name in args.names:
        if fits:
            evidence.packaged_fusion = partial(fits.__getitem__, name[-1])
        for truth, frames in pickle.loads((args.cache / f"{name}_assessed.pkl").read_bytes()):
            thick = truth["thickness_mm"] >= profile.verdict.thick_from_mm
            place = truth["kind"] if truth["kind"] not in ("marrow", "thin") else "thick bone" if thick else "thinner bone"
            verdict = judge_study(frames, profile).verdict if frames else None
            excluded = verdict is not None and Flag.NOT_IN_THICK_BONE in verdict.flags
            said[place]["no thick bone" if excluded else verdict.code.value if verdict else "tip in no field"] += 1
            if verdict and verdict.code is Code.INDETERMINATE:
                codes = {reason.code for reason in verdict.reasons} - SHOWN
                missing.update(codes if place == "thick bone" else ())
                alone.update([(*codes, place == "thick bone")] if len(codes) == 1 else ())
    for place, codes in sorted(said.items()):
        print(f"{place:13} {codes.total():4}:", ", ".join(f"{code} {count}" for code, count in codes.most_common()))
    wrong = sum(codes["right_spot"] for place, codes in said.items() if place != "thick bone")
    print(f"right_spot outside thick bone: {wrong} of {sum(c.total() for p, c in said.items() if p != 'thick bone')}")
    print("what is missing in thick bone:", ", ".join(f"{code} {count}" for code, count in missing.most_common()))
    print("what alone forbids a right spot:")
    for code in sorted({code for code, _ in alone}):
        print(f"  {code}: in thick bone {alone[code, True]}, elsewhere {alone[code, False]}")


if __name__ == "__main__":
    main()
