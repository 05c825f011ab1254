"""An assessment as napari layers: pure translation, no viewer and no window."""

from __future__ import annotations

from typing import Any

import numpy as np

from marrowpoint.assessment import Assessment
from marrowpoint.frame import Points

LayerData = tuple[Any, dict[str, Any], str]

# Okabe and Ito, as on the overlay
OUTLINE, SHAFT, TIP = "#56B4E9", "#F0E442", "#FFFFFF"


def assessment_layers(assessment: Assessment) -> list[LayerData]:
    """Everything that was found in one frame as layers of one scale.

    Parameters
    ----------
    assessment : Assessment

    Returns
    -------
    list of (data, attributes, kind)
        The picture, and where they were found the outline, the needle and its tip, all (row, column), in mm where there is a
        scale, else in px.
    """
    frame, needle, cortex = assessment.frame, assessment.needle, assessment.cortex
    spacing = assessment.calibration.spacing
    scale = (1.0, 1.0) if spacing is None else (spacing.row_mm, spacing.column_mm)
    units = ("px", "px") if spacing is None else ("mm", "mm")
    name = frame.reference.path.rsplit("/", 1)[-1]
    common: dict[str, Any] = {"scale": scale, "units": units}
    note = {"verdict": assessment.verdict.code.value, "text": assessment.verdict.text, "path": frame.reference.path}
    layers: list[LayerData] = [(frame.pixels, common | {"name": name, "metadata": {"marrowpoint": note}}, "image")]
    width = max(frame.pixels.shape) / 400
    if cortex is not None and cortex.lines:
        looks = {"shape_type": "path", "edge_color": OUTLINE, "edge_width": width, "name": f"{name} hip bone"}
        layers.append(([np.asarray(line) for line in cortex.lines], common | looks, "shapes"))
    if needle is not None:
        looks = {"shape_type": "line", "edge_color": SHAFT, "edge_width": width, "name": f"{name} needle"}
        layers.append(([shaft_line(assessment)], common | looks, "shapes"))
        tip = {"face_color": "transparent", "border_color": TIP, "size": 8 * width, "symbol": "cross", "name": f"{name} tip"}
        layers.append((np.asarray([needle.tip]), common | tip, "points"))
    return layers


def shaft_line(assessment: Assessment) -> Points:
    """Ends of the visible shaft, tip first, shape (2, 2), (row, column) [px]."""
    needle = assessment.needle
    if needle is None:
        return np.zeros((0, 2))
    tip = np.asarray(needle.tip, np.float64)
    return np.stack([tip, tip + needle.length_px * np.asarray(needle.axis)])
