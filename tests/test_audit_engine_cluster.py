"""The same audit on a real dask cluster: a scheduler, two workers, one of them killed half-way."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from audit_cases import a_job, audit_here, dump, make_folder, pictures

from marrowpoint.audit.cluster import Cluster
from marrowpoint.audit.task import Done
from marrowpoint.errors import InvalidAudit

pytest.importorskip("distributed", reason="the extra [cluster] is not installed")

pytestmark = [
    pytest.mark.timeout(900),  # several processes start; on a machine under load that takes minutes
    # dask's own loops are ended while sockets close
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@contextmanager
def process(*words: str) -> Iterator[subprocess.Popen]:
    started = subprocess.Popen([sys.executable, "-m", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield started
    finally:
        started.kill()
        started.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[tuple[str, list[subprocess.Popen]]]:
    """Address of the scheduler, and its two workers."""
    place = tmp_path_factory.mktemp("dask")
    told = place / "scheduler.json"
    scheduler = ("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
    worker = (
        "distributed.cli.dask_worker", "--scheduler-file", str(told), "--nthreads", "1", "--no-nanny", "--no-dashboard",
        "--local-directory", str(place), "--memory-limit", "0",
    )  # fmt: skip
    with process(*scheduler, "--scheduler-file", str(told)), process(*worker) as first, process(*worker) as second:
        deadline = time.monotonic() + 240
        while not told.exists() or not told.read_text().strip().endswith("}"):
            assert time.monotonic() < deadline, "the scheduler does not start"
            time.sleep(0.2)
        yield json.loads(told.read_text())["address"], [first, second]


def connected(address: str, width: int, job=None) -> Cluster:
    deadline = time.monotonic() + 240
    joined = Cluster(address, job or a_job(), limit_s=200)
    while joined.width < width:
        assert time.monotonic() < deadline, "the workers do not come"
        time.sleep(0.2)
    return joined


def test_workers_that_differ_are_refused(cluster, tmp_path) -> None:
    address, _ = cluster
    with connected(address, 2, replace(a_job(), program="another")) as joined, pytest.raises(InvalidAudit) as caught:
        joined.check(tmp_path)
    assert caught.value.code == "other_program"
    with connected(address, 2) as joined, pytest.raises(InvalidAudit) as caught:
        joined.check(tmp_path / "not shared.dcm")
    assert caught.value.code == "files_not_seen"


def test_a_worker_killed_half_way_loses_and_doubles_nothing(cluster, tmp_path) -> None:
    address, workers = cluster
    folder = make_folder(tmp_path / "case", singles=3)
    audit_here(folder, tmp_path / "undisturbed")
    done = 0
    with connected(address, 2) as joined:
        joined.check(folder / "a0.dcm")

        def run(tasks):
            nonlocal done
            for task, event in joined.run(tasks):
                yield task, event
                done += isinstance(event, Done)
                if done == 1 and workers[0].poll() is None:
                    workers[0].send_signal(signal.SIGKILL)

        audit_here(folder, tmp_path / "out", run=run)
    assert workers[0].wait(10) == -signal.SIGKILL
    assert dump(tmp_path / "out") == dump(tmp_path / "undisturbed")
    assert pictures(tmp_path / "out") == pictures(tmp_path / "undisturbed")


def test_nobody_there_is_said_in_one_line(monkeypatch) -> None:
    monkeypatch.setattr("marrowpoint.audit.cluster.CONNECT_S", 1)
    with pytest.raises(InvalidAudit) as caught:
        Cluster("tcp://127.0.0.1:9", a_job(), limit_s=60)
    assert caught.value.code == "no_scheduler"
