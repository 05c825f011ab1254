"""Kill an audit at random moments with SIGKILL, go on with it, and compare the database with an undisturbed one.

    python scripts/kill_audit.py [FOLDER] [--kills 20]

Without FOLDER: pictures of noise, as in the tests. The whole command runs, with its workers; prints one line a kill.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from audit_cases import dump, make_folder, pictures


def audit(folder: Path, out: Path, workers: int, limit_s: float | None = None) -> tuple[int, float]:
    """Exit status and seconds; killed after `limit_s`."""
    command = [sys.executable, "-m", "marrowpoint", "audit", str(folder), "--out", str(out), "--workers", str(workers)]
    if (out / "audit.sqlite").exists():
        command.append("--resume")
    began = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        child.wait(limit_s)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
        child.wait()
    return child.returncode, time.monotonic() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as place:
        folder = asked.folder or make_folder(Path(place) / "case", singles=20)
        whole, broken = Path(place) / "undisturbed", Path(place) / "killed"
        status, whole_s = audit(folder, whole, asked.workers)
        print(f"undisturbed: {whole_s:.1f} s, exit status {status}")
        kills = 0
        for turn in range(20 * asked.kills):
            status, spent_s = audit(folder, broken, asked.workers, chance.uniform(0.0, 1.0) * whole_s)
            if status >= 0:
                print(f"{turn:3d} came to its end (exit status {status}); begun anew")
                same(whole, broken)
                broken = Path(place) / f"killed_{turn}"
                continue
            kills += 1
            print(f"{turn:3d} killed after {spent_s:.1f} s")
            if kills == asked.kills:
                break
        audit(folder, broken, asked.workers)
        equal = same(whole, broken)
    print(f"{kills} kills: the database is {'the same' if equal else 'ANOTHER ONE'}")
    return 0 if equal and kills == asked.kills else 1


def same(whole: Path, other: Path) -> bool:
    """Rows, pictures and result file, to the last byte."""
    equal = dump(whole) == dump(other) and pictures(whole) == pictures(other)
    equal = equal and (whole / "results.jsonl").read_bytes() == (other / "results.jsonl").read_bytes()
    if not equal:
        print("  NOT the same as the undisturbed one")
    return equal


if __name__ == "__main__":
    raise SystemExit(main())
