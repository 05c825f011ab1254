"""What the study level says of simulated studies, by true placement.

python training/judge_studies.py --cache DIR --names studies1 hard1     (after assess_studies.py, without --inside)
"""

from __future__ import annotations

import argparse
import pickle
from collections import Counter, defaultdict
from pathlib import Path

from marrowpoint.read import read_profile
from marrowpoint.study import judge_study
from marrowpoint.verdict import Code


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--names", nargs="+", required=True)
    args = parser.parse_args()
    profile = read_profile(None)
    said: dict[str, Counter[str]] = defaultdict(Counter)
    missing: Counter[str] = Counter()
    for name in args.names:
        for truth, frames in pickle.loads((args.cache / f"{name}_assessed.pkl").read_bytes()):
            thick = truth["thickness_mm"] >= profile.verdict.thick_from_mm
            place = truth["kind"] if truth["kind"] not in ("marrow", "thin") else "thick bone" if thick else "thinner bone"
            verdict = judge_study(frames, profile).verdict if frames else None
            said[place][verdict.code.value if verdict else "tip in no field"] += 1
            if place == "thick bone" and verdict and verdict.code is Code.INDETERMINATE:
                missing.update(
                    {reason.code for reason in verdict.reasons if reason.code not in ("view", "frame_not_assessable")}
                )
    for place, codes in sorted(said.items()):
        print(f"{place:13} {codes.total():4}:", ", ".join(f"{code} {count}" for code, count in codes.most_common()))
    wrong = sum(codes["right_spot"] for place, codes in said.items() if place != "thick bone")
    print(f"right_spot outside thick bone: {wrong} of {sum(c.total() for p, c in said.items() if p != 'thick bone')}")
    print("what is missing in thick bone:", ", ".join(f"{code} {count}" for code, count in missing.most_common()))


if __name__ == "__main__":
    main()
