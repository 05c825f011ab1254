"""What is drawn on a frame, from its record: tip, shaft, outline, and the line that was measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydicom.sr.coding import Code

from marrowpoint.archive import codes
from marrowpoint.frame import Points
from marrowpoint.report.record import Record

# In DICOM the top-left corner of the top-left pixel is 0\0 (PS3.3 C.18.6.1.1, C.10.5); ours is the pixel's centre.
CENTRE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Graphic:
    """A point or a line on the frame.

    Parameters
    ----------
    code : Code
        What it shows.
    points : ndarray of shape (K, 2), float64
        (column, row) in DICOM's pixel coordinates, inside the frame; one row for a point.
    """

    code: Code
    points: Points

    @property
    def kind(self) -> str:
        """Graphic Type: ``POINT`` or ``POLYLINE``."""
        return "POINT" if len(self.points) == 1 else "POLYLINE"


def needle_graphics(record: Record) -> tuple[Graphic, ...]:
    """Tip and shaft of a frame record; empty without a needle."""
    needle = record["needle"]
    if needle is None:
        return ()
    tip = np.array(needle["tip_xy"], dtype=np.float64)
    hub = tip + np.array(needle["axis_xy"]) * float(needle.get("length_px") or 0)
    return _drawn(record, codes.TIP, [tip]) + _drawn(record, codes.SHAFT, [tip, hub])


def outline_graphics(record: Record) -> tuple[Graphic, ...]:
    """Outline of the bone, one graphic a piece; empty without one."""
    bone = record["bone"]
    lines = () if bone is None else bone.get("contour_xy", ())
    return tuple(graphic for line in lines if len(line) > 1 for graphic in _drawn(record, codes.OUTLINE, line))


def measured_graphics(record: Record, name: str) -> tuple[Graphic, ...]:
    """The line that a measurement was taken along.

    Parameters
    ----------
    record : dict
    name : str
        Of the measurement.

    Returns
    -------
    tuple of Graphic
        Empty where it was not taken along a line, or its end is not in the record.
    """
    needle, points = record["needle"], record.get("points") or {}
    ends = {
        "tip_to_cortex": (codes.TO_CORTEX, "nearest_cortex_xy"),
        "insertion_depth": (codes.FROM_ENTRY, "entry_xy"),
        "thin_bone_margin": (codes.TO_THIN, "nearest_thin_xy"),
    }
    if needle is None or name not in ends or record["measurements"].get(name) is None:
        return ()
    code, end = ends[name]
    return () if points.get(end) is None else _drawn(record, code, [needle["tip_xy"], points[end]])


def all_graphics(record: Record) -> tuple[Graphic, ...]:
    """Everything that is drawn on one frame."""
    lines = (graphic for name in record["measurements"] for graphic in measured_graphics(record, name))
    return (*outline_graphics(record), *needle_graphics(record), *lines)


def _drawn(record: Record, code: Code, xy: object) -> tuple[Graphic, ...]:
    points = np.asarray(xy, dtype=np.float64).reshape(-1, 2)
    size = np.array([record["source"]["columns"], record["source"]["rows"]], dtype=np.float64)
    inside = np.clip(points + CENTRE, 0, size)
    if len(inside) > 1 and not np.ptp(inside, axis=0).any():
        # a line without length says nothing
        return ()
    return (Graphic(code=code, points=inside),)
