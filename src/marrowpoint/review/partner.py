"""Which other frame to show beside a frame: the same needle position from the most different side."""

from __future__ import annotations

from collections.abc import Mapping

from marrowpoint.assessment import Assessment
from marrowpoint.study.geometry import picture_axes, separation_deg
from marrowpoint.study.group import Position, zero_view_of


def best_partner(found: Mapping[int, Assessment], position: Position, place: int) -> int | None:
    """Choose the second view.

    Parameters
    ----------
    found : mapping of int to Assessment
        Assessments by place in the list.
    position : Position
        Holds the frame at `place`.
    place : int

    Returns
    -------
    int or None
        Place of the frame whose beam is turned farthest from this one's; without angles one whose named view differs,
        nearest in the list; None where the position has no other view.
    """
    mine = found[place]
    others = [k for k, each in found.items() if k != place and any(each is frame for frame in position.frames)]
    zero = zero_view_of(position.frames)

    def turned_deg(other: int) -> float:
        views = mine.frame.view, found[other].frame.view
        beams = []
        for view in views:
            if view.primary_deg is None or view.secondary_deg is None:
                return 45.0 if views[0].kind is not views[1].kind else 0.0
            beams.append(picture_axes(view.primary_deg, view.secondary_deg, zero)[2])
        return separation_deg(beams[0], beams[1])

    ranked = sorted(others, key=lambda other: (-turned_deg(other), abs(other - place)))
    return ranked[0] if ranked and turned_deg(ranked[0]) > 0 else None
