"""What all tests share: threads and time limits that do not depend on how busy the machine is, and a window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import pytest
from hypothesis import settings

cv2.setNumThreads(1)
settings.register_profile("house", deadline=None, max_examples=40)
settings.load_profile("house")


ON_SCREEN = {"make_napari_viewer", "qtbot", "qapp"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one file share what they build; windows share one screen, whose keyboard only one of them has."""
    for item in items:
        on_screen = ON_SCREEN & set(getattr(item, "fixturenames", ()))
        item.add_marker(pytest.mark.xdist_group("screen" if on_screen else item.path.stem))


@pytest.fixture
def viewer(make_napari_viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An empty window; nothing of the user's own is touched."""
    window = make_napari_viewer(show=True)  # napari's own icons stay where it put them
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "user"))
    return window
