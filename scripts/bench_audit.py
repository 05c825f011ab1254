"""What an audit costs beside `analyze`, what a second core brings, what dask costs; ratios, measured side by side in one run.

    python scripts/bench_audit.py [FOLDER] [--frames 60] [--rounds 1] [--no-dask]
    python scripts/bench_audit.py [FOLDER] --memory 2000 [--side 320] [--workers 1]

Without FOLDER: the development set beside the checkout, else the package's sample frames. Imports and the model are loaded
before the clock starts. `--memory` runs the whole command over frames that are repeated under new UIDs, made small, and prints
what memory the audit and each of its workers hold, every twentieth of the way and until the report is written.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import cv2
import pydicom

from marrowpoint.analyze import Request, analyze_images
from marrowpoint.audit.cluster import Cluster
from marrowpoint.audit.engine import Run, run_audit
from marrowpoint.audit.pool import Pool
from marrowpoint.audit.store import open_audit
from marrowpoint.audit.task import FileTask, Job, program_fingerprint
from marrowpoint.fluoroscopy.prior import BoneNetwork, load_network
from marrowpoint.read import ImageFile, find_images, read_profile
from marrowpoint.report.results import write_results

ROOT = Path(__file__).parents[1]
GOALS = {"audit / analyze, frames per second and core": 0.9, "two cores / one core": 1.8}


def job_with(network: BoneNetwork | None) -> Job:
    model = None if network is None else network.sha256
    return Job(profile=read_profile(None), model_sha256=model, program=program_fingerprint())


def files_of(folder: Path | None, frames: int) -> list[Path]:
    """So many files, evenly from the folder."""
    candidates = [folder] if folder else [ROOT.parent / "shared" / "fluoro-dev", ROOT / "sample_dicom"]
    found = next(images for place in candidates if place.is_dir() and (images := list(find_images([place]))))
    step = max(len(found) / frames, 1)
    return [found[int(k * step)].path for k in range(min(frames, len(found)))]


def copied(files: list[Path], place: Path) -> list[ImageFile]:
    for k, file in enumerate(files):
        shutil.copy(file, place / f"{k:05d}.dcm")
    return list(find_images([place]))


def frames_per_s(images: list[ImageFile], out: Path, job: Job, run: Run) -> float:
    """Frames per second of the whole of an audit, from files to result file."""
    out.mkdir()
    with closing(open_audit(out / "audit.sqlite", create=True)) as db:
        began = time.perf_counter()
        run_audit(db, out, images, job, run)
        spent_s = time.perf_counter() - began
        (frames,) = db.execute("SELECT count(*) FROM frames").fetchone()
    return frames / spent_s


def analyze_per_s(images: list[ImageFile], out: Path, job: Job, network: BoneNetwork | None) -> float:
    request = Request(profile=job.profile, network=network)
    began = time.perf_counter()
    thin = job.profile.verdict.thin_below_mm
    written = write_results(analyze_images(images, request), out, masks=False, thin_below_mm=thin)
    return len(written.frames) / (time.perf_counter() - began)


@contextmanager
def warm_pool(job: Job, workers: int, images: list[ImageFile]) -> Iterator[Run]:
    """A pool whose workers have started and done a frame each."""
    with Pool(job, workers, limit_s=300) as pool:
        for _ in pool.run([FileTask(image=image) for image in images[: 2 * workers]]):
            pass
        yield pool.run


@contextmanager
def warm_cluster(job: Job, workers: int, images: list[ImageFile], place: Path) -> Iterator[Run]:
    told = place / "scheduler.json"
    common = ["--scheduler-file", str(told), "--no-dashboard"]
    words = ["distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", *common]
    worker = ["distributed.cli.dask_worker", "--nthreads", "1", "--no-nanny", "--memory-limit", "0", *common]
    worker += ["--local-directory", str(place)]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = [subprocess.Popen([sys.executable, "-m", *command], **silent) for command in (words, *[worker] * workers)]
    try:
        while not told.exists() or not told.read_text().strip().endswith("}"):
            time.sleep(0.1)
        with Cluster(json.loads(told.read_text())["address"], job, limit_s=300) as cluster:
            while cluster.width < workers:
                time.sleep(0.1)
            for _ in cluster.run([FileTask(image=image) for image in images[: 2 * workers]]):
                pass
            yield cluster.run
    finally:
        for process in started:
            process.kill()
            process.wait()


def compare(files: list[Path], rounds: int, *, dask: bool) -> None:
    network = load_network()
    job = job_with(network)
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "files").mkdir()
        images = copied(files, place / "files")
        analyze_per_s(images[:1], place / "warm", job, network)  # what is loaded only once
        for turn in range(rounds):

            def once(what: str, measure: Callable[[Path], float], turn: int = turn) -> None:
                found = measure(place / f"{what.replace(' ', '_')}_{turn}")
                best[what] = max(best.get(what, 0.0), found)
                print(f"  {what:22s} {found:6.3f} frames/s", flush=True)

            once("analyze", lambda out: analyze_per_s(images, out, job, network))
            for workers in (1, 2):
                with warm_pool(job, workers, images) as run:
                    once(f"audit, {workers} processes", lambda out, run=run: frames_per_s(images, out, job, run))
            if dask:
                # half of the files are enough for a rate
                with warm_cluster(job, 2, images, place) as run:
                    once("audit, dask 2 workers", lambda out, run=run: frames_per_s(images[::2], out, job, run))
    one, two = best["audit, 1 processes"], best["audit, 2 processes"]
    ratios = {
        "audit / analyze, frames per second and core": one / best["analyze"],
        "two cores / one core": two / one,
    }
    if dask:
        ratios["dask / processes, both with two"] = best["audit, dask 2 workers"] / two
    print(f"{len(images)} files, best of {rounds} round(s), load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for what, ratio in ratios.items():
        goal = GOALS.get(what)
        judged = "" if goal is None else f"   goal >= {goal}: {'met' if ratio >= goal else 'MISSED'}"
        print(f"  {what:46s} {ratio:5.2f}{judged}")


def resident_mb(pid: int | str) -> float:
    """Memory of a process [MB], 0 where it has ended; Linux only."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
    return 0.0


def children_of(pid: int) -> list[int]:
    """Direct children; Linux only."""
    with suppress(OSError):
        lists = [task.read_text() for task in Path(f"/proc/{pid}/task").glob("*/children")]
        return [int(child) for told in lists for child in told.split()]
    return []


def repeated(files: list[Path], place: Path, frames: int, side_px: int) -> None:
    """The files again and again under new UIDs, three a study, made smaller so that many take no hours."""
    for k in range(frames):
        header = pydicom.dcmread(files[k % len(files)])
        pixels, step = header.pixel_array, max(header.Rows, header.Columns) / side_px
        if step > 1:
            pixels = cv2.resize(pixels, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA)
            for keyword in ("ImagerPixelSpacing", "PixelSpacing"):
                if header.get(keyword):
                    setattr(header, keyword, [f"{float(value) * step:.6f}" for value in header[keyword].value])
        syntax = pydicom.uid.ExplicitVRLittleEndian
        header.set_pixel_data(pixels, header.PhotometricInterpretation, header.BitsStored, generate_instance_uid=False)
        header.file_meta.TransferSyntaxUID = syntax
        header.StudyInstanceUID = f"1.2.826.0.1.3680043.8.498.77.{k // 3}"
        header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = f"1.2.826.0.1.3680043.8.498.78.{k}"
        header.save_as(place / f"{k:05d}.dcm")


def memory(files: list[Path], frames: int, side_px: int, workers: int) -> None:
    """Memory of the whole command, from the first file to the report."""
    with tempfile.TemporaryDirectory() as name:
        place, out = Path(name) / "files", Path(name) / "out"
        place.mkdir()
        repeated(files, place, frames, side_px)
        began = time.perf_counter()
        command = [sys.executable, "-m", "marrowpoint", "audit", str(place), "--out", str(out), "--workers", str(workers)]
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, **silent) as child:
            say_memory(child, out / "audit.sqlite", frames, began)
        kept = sum(path.stat().st_size for path in (out / "overlays").rglob("*.png")) / frames / 1024
        base = (out / "audit.sqlite").stat().st_size / frames / 1024
        print(f"exit status {child.returncode}; disk a frame: database {base:.1f} kB, overlay {kept:.1f} kB")


def say_memory(child: subprocess.Popen[bytes], database: Path, frames: int, began: float) -> None:
    """A line every so many frames and one at the end of each step, with the most that was seen since the line before."""
    most: dict[int, float] = {}
    told = ("", -1)
    step_frames = max(frames // 20, 1)
    while child.poll() is None:
        time.sleep(1.0)
        own = resident_mb(child.pid)
        workers = [resident_mb(pid) for pid in children_of(child.pid)]
        most = {k: max(most.get(k, 0.0), value) for k, value in enumerate([own, *workers])} | {
            k: value for k, value in most.items() if k > len(workers)
        }
        state, done = progress_of(database)
        if (state, done // step_frames) != told:
            told = (state, done // step_frames)
            spent_s = time.perf_counter() - began
            of_workers = " ".join(f"{value:5.0f}" for value in list(most.values())[1:])
            how_far = f"{spent_s:6.0f} s {state:10s} {done:6d} frames"
            print(f"  {how_far}: audit {most[0]:5.0f} MB, workers {of_workers} MB", flush=True)
            most = {}
    print(f"  {time.perf_counter() - began:6.0f} s ended, at its end: audit {most.get(0, 0.0):5.0f} MB")


def progress_of(database: Path) -> tuple[str, int]:
    """What the audit is doing, and frames done, as its database says to a reader."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=5)) as db:
        (done,) = db.execute("SELECT count(*) FROM timings").fetchone()
        (state,) = db.execute("SELECT value FROM facts WHERE name = 'state'").fetchone()
        return json.loads(state), done
    return "starting", 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--no-dask", action="store_true")
    parser.add_argument("--memory", type=int, metavar="FRAMES")
    parser.add_argument("--side", type=int, default=320, help="longer side of the repeated frames [px]")
    parser.add_argument("--workers", type=int, default=1)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    if asked.memory:
        memory(files_of(asked.folder, 30), asked.memory, asked.side, asked.workers)
    else:
        compare(files_of(asked.folder, asked.frames), asked.rounds, dask=not asked.no_dask)


if __name__ == "__main__":
    main()
