"""Whether a frame is a copy of another one that was saved anew: brighter, inverted, compressed, larger, mirrored.

Hashes find only copies to the bit. A frame that was saved once more after the arm had moved carries new angles over the old
picture, and would pass for a second view. But no arm shows a needle twice at the very same place.
"""

from __future__ import annotations

from math import cos, hypot, radians

from marrowpoint.assessment import Assessment

# plain numbers, for the frames of two long runs are compared each with each
_Drawn = tuple[float, float, float, float, float, float]

# A copy moves tip and shaft by less; two shots from other directions agree so far by chance in one of ten thousand pairs.
TIP_WIDTHS, WIDTH_RATIO, LENGTH_RATIO, AXIS_DEG = 0.75, 0.08, 0.08, 0.7
LEAST_COSINE = cos(radians(AXIS_DEG))

# how a copy may hang: as it was, turned over, or by half a turn
MIRRORS = ((1, 1), (1, -1), (-1, 1), (-1, -1))


def is_same_picture(first: Assessment, second: Assessment, same_view_within_deg: float) -> bool:
    """Whether two frames that are marked as different views show one and the same picture.

    Parameters
    ----------
    first, second : Assessment
        Their pixels are not needed.
    same_view_within_deg : float
        Angles that differ by less are one view; pictures of one view may look alike.

    Returns
    -------
    bool
        False where one of them has no needle, or an end-on one.
    """
    if not _marked_apart(first, second, same_view_within_deg):
        return False
    a, b = _drawn(first), _drawn(second)
    if a is None or b is None:
        return False
    return _near(a, b)


def _marked_apart(first: Assessment, second: Assessment, same_view_within_deg: float) -> bool:
    a, b = first.frame.view, second.frame.view
    if a.kind is not b.kind:
        return True
    pairs = ((a.primary_deg, b.primary_deg), (a.secondary_deg, b.secondary_deg))
    return any(p is not None and q is not None and abs(p - q) > same_view_within_deg for p, q in pairs)


def _drawn(assessment: Assessment) -> _Drawn | None:
    """Tip (row, column) from the picture's middle, width and length, all over the number of columns, and the axis."""
    needle, reference = assessment.needle, assessment.frame.reference
    if needle is None or needle.end_on or needle.width_px <= 0:
        return None
    row, column = needle.tip[0] - (reference.rows - 1) / 2, needle.tip[1] - (reference.columns - 1) / 2
    size = reference.columns
    return row / size, column / size, needle.width_px / size, needle.length_px / size, *needle.axis


def _near(a: _Drawn, b: _Drawn) -> bool:
    width = a[2]
    if abs(b[2] / width - 1) > WIDTH_RATIO or abs(b[3] - a[3]) > LENGTH_RATIO * a[3] + width:
        return False
    return any(
        hypot(a[0] - row * b[0], a[1] - column * b[1]) < TIP_WIDTHS * width
        and a[4] * row * b[4] + a[5] * column * b[5] > LEAST_COSINE
        for row, column in MIRRORS
    )
