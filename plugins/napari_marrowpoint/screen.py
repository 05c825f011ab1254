"""The napari window on the screen, if there is one; asks for no screen itself."""

from __future__ import annotations

import sys
from typing import Any


def window_on_screen() -> Any:
    """The napari window that asked, or None."""
    napari = sys.modules.get("napari")
    viewer = None if napari is None or "napari._qt" not in sys.modules else napari.current_viewer()
    return viewer if getattr(viewer, "window", None) is not None else None
