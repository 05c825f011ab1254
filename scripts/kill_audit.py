"""Kill an audit at random moments with SIGKILL, go on with it, and compare the database with an undisturbed one.

    python scripts/kill_audit.py [FOLDER] [--procedure FILE.csv] [--kills 20] [--fork]

Without FOLDER: pictures of noise, as in the tests. The whole command runs, with its workers; with --fork the engine alone,
which starts at once. Prints one line a kill with what the database held at that moment.

Compared: every table and column but the tables `timings` and `sessions` and the column `files.mtime_ns`; overlays, film
strips, `results.jsonl` and the CSV tables to the last byte. Not compared: the report, which names the day.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from audit_cases import audit_here, dump, make_folder


def audit(options: list[str], folder: Path, out: Path, limit_s: float | None = None) -> tuple[int, float]:
    """Exit status and seconds; killed after `limit_s`."""
    command = [sys.executable, "-m", "marrowpoint", "audit", str(folder), "--out", str(out), *options]
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


def audit_forked(folder: Path, out: Path, limit_s: float | None = None) -> tuple[int, float]:
    """As `audit`, in a fork of this process and without workers."""
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        try:
            audit_here(folder, out)
        finally:
            os._exit(0)
    ended, status = 0, 0
    while not ended and (limit_s is None or time.monotonic() - began < limit_s):
        ended, status = os.waitpid(child, os.WNOHANG)
        time.sleep(0.002)
    if not ended:
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), time.monotonic() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--procedure", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fork", action="store_true")
    asked = parser.parse_args()
    options = ["--workers", str(asked.workers), *(("--procedure", str(asked.procedure)) if asked.procedure else ())]
    run = audit_forked if asked.fork else partial(audit, options)
    chance = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as place:
        folder = asked.folder or make_folder(Path(place) / "case", singles=10)
        whole, broken = Path(place) / "undisturbed", Path(place) / "killed"
        status, whole_s = run(folder, whole)
        print(f"undisturbed: {whole_s:.1f} s, exit status {status}, {held(whole)}", flush=True)
        kills = 0
        equal = True
        for turn in range(20 * asked.kills):
            # a short way on, so that one audit is killed several times before its end
            status, spent_s = run(folder, broken, chance.uniform(0.0, 0.8) * whole_s)
            if status >= 0:
                print(f"{turn:3d} came to its end (exit status {status}); begun anew", flush=True)
                equal = same(whole, broken) and equal
                broken = Path(place) / f"killed_{turn}"
                continue
            kills += 1
            print(f"{turn:3d} killed after {spent_s:.1f} s: {held(broken)}", flush=True)
            if kills == asked.kills:
                break
        run(folder, broken)
        equal = same(whole, broken) and equal
    print(f"{kills} kills: the database is {'the same' if equal else 'ANOTHER ONE'} each time an audit came to its end")
    return 0 if equal and kills == asked.kills else 1


def same(whole: Path, other: Path) -> bool:
    """Rows, pictures, tables and result file, to the last byte; says what differs."""
    one, two = files_of(whole), files_of(other)
    differ = sorted(name for name in one.keys() | two.keys() if one.get(name) != two.get(name))
    rows, others = dump(whole), dump(other)
    differ += sorted({row[0] for row in rows + others if rows.count(row) != others.count(row)})
    if differ:
        print(f"  NOT the same as the undisturbed one: {', '.join(differ)}", flush=True)
    return not differ


def files_of(out: Path) -> dict[str, bytes]:
    """Everything an audit writes but report, locks and the database itself."""
    kept = [*out.glob("overlays/**/*"), *out.glob("runs/**/*"), *out.glob("tables/*.csv"), out / "results.jsonl"]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in kept if path.is_file()}


def held(out: Path) -> str:
    """What the database holds, in words."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"{(out / 'audit.sqlite').as_uri()}?mode=ro", uri=True)) as db:
        tables = ("frames", "runs", "studies", "findings")
        counts = [f"{db.execute(f'SELECT count(*) FROM {table}').fetchone()[0]} {table}" for table in tables]
        (state,) = db.execute("SELECT value FROM facts WHERE name = 'state'").fetchone() or ('"begun"',)
        return f"{state.strip(chr(34))}, {', '.join(counts)}"
    return "no database yet"


if __name__ == "__main__":
    raise SystemExit(main())
