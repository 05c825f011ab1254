"""What all tests share: threads and time limits that do not depend on how busy the machine is, and a window."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import cv2
import pytest
from hypothesis import settings

cv2.setNumThreads(1)
settings.register_profile("house", deadline=None, max_examples=40)
settings.load_profile("house")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """A screen for each process: of the windows on one screen only one has the keyboard."""
    if "PYTEST_XDIST_WORKER" not in os.environ or "DISPLAY" not in os.environ or shutil.which("Xvfb") is None:
        return
    told, tells = os.pipe()
    size = ("-screen", "0", "1400x1000x24", "-nolisten", "tcp")
    server = subprocess.Popen(("Xvfb", "-displayfd", str(tells), *size), pass_fds=(tells,), stderr=subprocess.DEVNULL)
    config.add_cleanup(server.wait)
    config.add_cleanup(server.kill)
    os.close(tells)
    with os.fdopen(told) as number:
        screen = number.readline().strip()
    if screen:
        os.environ["DISPLAY"] = f":{screen}"


@pytest.fixture
def viewer(make_napari_viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An empty window; nothing of the user's own is touched."""
    window = make_napari_viewer(show=True)  # napari's own icons stay where it put them
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "user"))
    return window
