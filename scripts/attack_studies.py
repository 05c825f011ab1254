#!/usr/bin/env python3
"""Attack the verdict of several views with a pair of views that is called the right spot: altered, forged and mixed up.

usage: python scripts/attack_studies.py FIRST.dcm SECOND.dcm OUT [--other FRAME.dcm] [--needle 3.05mm]

FIRST and SECOND are two views of one needle in the right spot, OTHER a frame of another person or another needle position.
Every attack is a study of its own. Prints one line an attack; the exit status is 1 where a study that may not be called the
right spot is, or a record breaks the contract.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
from attack import analyze, folder_of, write
from attack_checks import COMMENT, NAME, NUMBER, read_records, violations
from attack_pictures import Shot, inverted, mirrored, renamed, respaced, scaled, screenshot, squeezed, tagged, turned
from pydicom import dcmread

from marrowpoint.case import parse_needle

ANGLES = ("PositionerPrimaryAngle", "PositionerSecondaryAngle")

Pair = tuple[Shot, Shot]
Study = tuple[bool, Callable[[Pair, Shot | None], list[Shot]]]


def angled(shot: Shot, primary: float | None, secondary: float | None) -> Shot:
    return tagged(shot, PositionerPrimaryAngle=primary, PositionerSecondaryAngle=secondary)


def like(shot: Shot, other: Shot) -> Shot:
    """With the angles and times of another view: the same picture dressed up as a second one."""
    header = other.header
    return tagged(angled(shot, *(float(header[name].value) for name in ANGLES)), ContentTime=header.ContentTime)


def sooner(shot: Shot, minutes: int) -> Shot:
    """Taken that much before ten o'clock."""
    hour, rest = divmod(600 - minutes, 60)
    time = f"{hour:02d}{rest:02d}00"
    return tagged(shot, StudyTime=time, AcquisitionTime=time, ContentTime=time)


def dressed(pair: Pair, change: Callable[[Shot], Shot]) -> list[Shot]:
    return [pair[0], like(change(pair[0]), pair[1])]


def brighter(shot: Shot) -> Shot:
    return replace(shot, grey=np.clip(0.9 * shot.grey + 0.05, 0, 1))


def with_angles_off(pair: Pair, by: float) -> list[Shot]:
    primary, secondary = (float(pair[1].header[name].value) for name in ANGLES)
    return [pair[0], angled(pair[1], primary + by, secondary)]


def alike(pair: Pair, change: Callable[[Shot], Shot]) -> list[Shot]:
    return [change(shot) for shot in pair]


# name: whether the right spot may be said, and the frames of the study
STUDIES: dict[str, Study] = {
    "plain": (True, lambda p, o: list(p)),
    "in the other order": (True, lambda p, o: [p[1], p[0]]),
    "both inverted": (True, lambda p, o: alike(p, inverted)),
    "both mirrored": (True, lambda p, o: alike(p, mirrored)),
    "both turned by 180": (True, lambda p, o: alike(p, partial(turned, quarters=2))),
    "one twice as large": (True, lambda p, o: [p[0], scaled(p[1], 2.0)]),
    "one view": (False, lambda p, o: [p[0]]),
    "one view twice": (False, lambda p, o: [p[0], p[0]]),
    "one view twice, once inverted": (False, lambda p, o: [p[0], inverted(p[0])]),
    "one picture as two views": (False, lambda p, o: dressed(p, lambda s: s)),
    "one picture as two views, inverted": (False, lambda p, o: dressed(p, inverted)),
    "one picture as two views, brighter": (False, lambda p, o: dressed(p, brighter)),
    "one picture as two views, JPEG": (False, lambda p, o: dressed(p, partial(squeezed, quality=60))),
    "one picture as two views, larger": (False, lambda p, o: dressed(p, partial(scaled, factor=1.5))),
    "one picture as two views, mirrored": (False, lambda p, o: dressed(p, mirrored)),
    "one picture as two views, turned": (False, lambda p, o: dressed(p, partial(turned, quarters=2))),
    "one picture as two views, renamed": (False, lambda p, o: dressed(p, renamed)),
    "the second one as two views": (False, lambda p, o: [p[1], like(brighter(p[1]), p[0])]),
    "angles swapped": (False, lambda p, o: [like(p[0], p[1]), like(p[1], p[0])]),
    "angles of one view off by 25 degrees": (False, lambda p, o: with_angles_off(p, 25.0)),
    "angles missing": (False, lambda p, o: alike(p, partial(angled, primary=None, secondary=None))),
    "both screenshots": (False, lambda p, o: alike(p, screenshot)),
    "two people": (False, lambda p, o: [p[0], tagged(p[1], PatientID="ANOTHER", PatientName="Another")]),
    "two sides": (False, lambda p, o: [p[0], tagged(p[1], ImageLaterality="R")]),
    "half an hour between, no site named": (False, lambda p, o: [sooner(p[0], 30), sooner(p[1], 0)]),
    "another needle beside it": (False, lambda p, o: [*p, *([o] if o else [])]),
    "another person's second view": (False, lambda p, o: [p[0], like(o, p[1])] if o else []),
    "spacing x 2 in both": (False, lambda p, o: alike(p, partial(respaced, factor=2.0))),
    "spacing / 2 in both": (False, lambda p, o: alike(p, partial(respaced, factor=0.5))),
    "spacing x 2 in one": (False, lambda p, o: [p[0], respaced(p[1], 2.0)]),
    "15G declared": (False, lambda p, o: [replace(s, needle_mm=1.83) for s in p]),
    "8G declared": (False, lambda p, o: [replace(s, needle_mm=4.19) for s in p]),
    "15G declared, no scale": (False, lambda p, o: [replace(tagged(s, ImagerPixelSpacing=None), needle_mm=1.83) for s in p]),
    "no scale, no needle": (False, lambda p, o: [replace(tagged(s, ImagerPixelSpacing=None), needle_mm=0.0) for s in p]),
    "scale at the detector": (False, lambda p, o: [replace(tagged(s, DistanceSourceToPatient=None), needle_mm=0.0) for s in p]),
}


# what no program can see: then the study must say what it rests on
CANNOT_KNOW = {"15G declared, no scale": "scale_from_one_source"}


def shot_of(file: Path, needle_mm: float) -> Shot:
    """A frame as a shot; what only the truth knows is left empty."""
    header = dcmread(file)
    grey = header.pixel_array.astype(np.float32) / (2**header.BitsStored - 1)
    del header.PixelData
    header.PatientName, header.PatientID, header.PatientComments = NAME, NUMBER, COMMENT
    nothing = np.zeros(2)
    field = np.ones(grey.shape, np.bool_)
    return Shot(
        grey=grey, header=header, tip=nothing, axis=nothing, width_px=1.0, hip=~field, field=field, mm_per_px=1.0,
        needle_mm=needle_mm, distance_mm=None, thickness_mm=None,
    )  # fmt: skip


def marked_by(shot: Shot, count: int) -> Shot:
    grey = shot.grey.copy()
    grey[0, 0] = count / 255
    return replace(shot, grey=grey)


def make_copies(names: list[str], pair: Pair, other: Shot | None, out: Path) -> dict[str, str]:
    """Write the studies; their names by study instance UID."""
    rows, named = ["study_instance_uid,needle"], {}
    for count, name in enumerate(names, start=1):
        # one pixel in a corner, for a picture that stands in two studies refuses both
        marked = (marked_by(pair[0], count), marked_by(pair[1], count))
        frames = STUDIES[name][1](marked, None if other is None else marked_by(other, count))
        uid = f"1.2.826.0.1.3680043.10.{int(sha256(name.encode()).hexdigest()[:12], 16)}"
        folder = out / "copies" / folder_of(name)
        folder.mkdir(parents=True, exist_ok=True)
        for number, shot in enumerate(frames, start=1):
            write(shot, folder / f"view_{number}.dcm", uid)
            if shot.needle_mm and number == 1:
                rows.append(f"{uid},{shot.needle_mm:g}mm")
        if frames:
            named[uid] = name
    (out / "sheet.csv").write_text("\n".join(rows) + "\n")
    return named


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--other", type=Path)
    parser.add_argument("--needle", default="3.05mm")
    parser.add_argument("--only", nargs="*", default=list(STUDIES))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    mm = parse_needle(options.needle)
    pair = shot_of(options.first, mm), shot_of(options.second, mm)
    other = None if options.other is None else shot_of(options.other, mm)
    named = make_copies(options.only, pair, other, options.out)
    wrong = analyze(options.out)
    print("| study | right spot may be said | what is said | first reason |\n|---|---|---|---|")
    for record in read_records(options.out / "results"):
        wrong += [f"contract: {text}" for text in violations(record)]
        if record["record"] != "study":
            continue
        name, code = named[record["study_instance_uid"]], record["verdict"]["code"]
        allowed = STUDIES[name][0]
        print(f"| {name} | {'yes' if allowed else 'no'} | {code} | {record['verdict']['reasons'][0]['code']} |")
        reasons = {reason["code"] for reason in record["verdict"]["reasons"]}
        if code == "right_spot" and not allowed and not (name in CANNOT_KNOW and CANNOT_KNOW[name] in reasons):
            wrong.append(f"false right spot: {name}")
    print(*wrong, sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
