"""Which frames show one needle position, and why each split was made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from math import acos, degrees

from marrowpoint.assessment import Assessment
from marrowpoint.case import Site
from marrowpoint.profile import StudyLimits
from marrowpoint.study.geometry import ZeroView, separation_deg, zero_view
from marrowpoint.study.sight import Sight, sight_of
from marrowpoint.study.triangulate import triangulate_shaft
from marrowpoint.verdict import Reason


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Position:
    """The frames of one needle position of one study.

    Parameters
    ----------
    study_instance_uid : str
    site : str
        The operator's name for it, or its number in the study from 1.
    frames : tuple of Assessment
        In order of time, then of the files.
    reasons : tuple of Reason
        Why these frames stand apart from the ones before; who said so.
    """

    study_instance_uid: str
    site: str
    frames: tuple[Assessment, ...]
    reasons: tuple[Reason, ...] = ()


def group_positions(assessments: Iterable[Assessment], limits: StudyLimits, sites: Sequence[Site] = ()) -> tuple[Position, ...]:
    """Tell the needle positions of one or more studies apart.

    The operator's word wins: a single site holds all frames of its study, and several sites with entry times take the frames
    from their time on. Without it, frames are followed in order, and a new position starts where the side changes, after a long
    pause, where the same view shows the needle in another direction or deeper, and where no one direction explains the views.

    Parameters
    ----------
    assessments : iterable of Assessment
    limits : StudyLimits
    sites : sequence of Site
        Rows of the procedure sheet, of any study.

    Returns
    -------
    tuple of Position
        Studies in order of appearance, positions in order of time.
    """
    studies: dict[str, list[Assessment]] = {}
    for assessment in assessments:
        studies.setdefault(assessment.frame.reference.study_instance_uid, []).append(assessment)
    positions: list[Position] = []
    for uid, frames in studies.items():
        named = [site for site in sites if site.study_instance_uid == uid]
        ordered = sorted(frames, key=_moment)
        positions.extend(_by_sheet(uid, ordered, named) or _by_pictures(uid, ordered, limits, named))
    return tuple(positions)


def zero_view_of(frames: Iterable[Assessment]) -> ZeroView:
    """Convention of the angles of a study's frames."""
    frames = tuple(frames)
    angles = [frame.frame.view.primary_deg for frame in frames]
    positions = {frame.frame.geometry.patient_position for frame in frames if frame.frame.geometry} - {""}
    return zero_view([angle for angle in angles if angle is not None], positions.pop() if len(positions) == 1 else "")


def _moment(assessment: Assessment) -> datetime:
    # frames without a time keep their place among each other, before the others
    acquired = assessment.frame.reference.acquired
    return datetime.min if acquired is None else acquired.replace(tzinfo=None)


def _by_sheet(uid: str, frames: list[Assessment], sites: list[Site]) -> list[Position]:
    """The operator's split; empty where the sheet does not settle it."""
    names = dict.fromkeys(site.site for site in sites)
    if "" in names:
        return []  # a row without a name tells of the needle or the side, not which position a frame shows
    if len(names) == 1:
        reason = Reason(code="operator", text=f"The procedure sheet lists one site ({sites[0].site}).")
        return [Position(study_instance_uid=uid, site=sites[0].site, frames=tuple(frames), reasons=(reason,))]
    entries = [(_clock(site.entry_time), site.site) for site in sites]
    times = [(clock, name) for clock, name in entries if clock is not None]
    if not sites or len(times) < len(sites) or any(frame.frame.reference.acquired is None for frame in frames):
        return []
    taken: dict[str, list[Assessment]] = {}
    for frame in frames:
        past = [entry for entry in sorted(times) if entry[0] <= _moment(frame).time()]
        taken.setdefault(past[-1][1] if past else min(times)[1], []).append(frame)
    text = "Frames from the site's entry time on, by the procedure sheet."
    return [
        Position(study_instance_uid=uid, site=name, frames=tuple(group), reasons=(Reason(code="operator", text=text),))
        for name, group in taken.items()
    ]


def _clock(text: str) -> time | None:
    try:
        return datetime.fromisoformat(text).time() if "-" in text else time.fromisoformat(text)
    except ValueError:
        return None


def _by_pictures(uid: str, frames: list[Assessment], limits: StudyLimits, sites: list[Site]) -> list[Position]:
    zero = zero_view_of(frames)
    first: tuple[Reason, ...] = ()
    if len(sites) > 1:
        text = "The procedure sheet lists several sites but not by name when each was entered; the pictures decide."
        first = (Reason(code="sites_without_times", text=text),)
    groups: list[tuple[list[Assessment], tuple[Reason, ...]]] = []
    for frame in frames:
        reason = _split(groups[-1][0], frame, zero, limits) if groups else None
        if groups and reason is None:
            groups[-1][0].append(frame)
        else:
            groups.append(([frame], first if reason is None else (reason,)))
    return [
        Position(study_instance_uid=uid, site=str(number), frames=tuple(group), reasons=reasons)
        for number, (group, reasons) in enumerate(groups, start=1)
    ]


def _split(group: list[Assessment], frame: Assessment, zero: ZeroView, limits: StudyLimits) -> Reason | None:
    """Why `frame` cannot belong to the position of `group`, or None."""
    name = f"{frame.frame.reference.path}#{frame.frame.reference.frame_number}"
    before = group[-1].frame.reference.acquired, frame.frame.reference.acquired
    if before[0] is not None and before[1] is not None:
        pause = (_moment(frame) - _moment(group[-1])).total_seconds() / 60
        if pause > limits.pause_min:
            return Reason(code="pause", text=f"{name} was taken {pause:.0f} min after the frame before.")
    sides = {other.frame.side for other in group} - {""}
    if frame.frame.side and sides and frame.frame.side not in sides:
        return Reason(code="other_side", text=f"{name} is marked {frame.frame.side}, the frames before {', '.join(sides)}.")
    sight = sight_of(frame, zero)
    if sight is None:
        return None
    earlier = [(other, seen) for other in group if (seen := sight_of(other, zero)) is not None]
    for other, seen in earlier:
        reason = _moved(other, seen, frame, sight, limits)
        if reason is not None:
            return reason
    shaft = triangulate_shaft([*(seen for _, seen in earlier), sight], limits)
    if shaft is not None and shaft.contradicted:
        return Reason(code="direction", text=f"No one needle direction explains {name} together with the frames before.")
    return None


def _moved(other: Assessment, seen: Sight, frame: Assessment, sight: Sight, limits: StudyLimits) -> Reason | None:
    """Same view, other needle: turned or deeper beyond the doubt of both."""
    if separation_deg(seen.beam, sight.beam) > limits.same_view_within_deg:
        return None
    name = f"{frame.frame.reference.path}#{frame.frame.reference.frame_number}"
    cosine = seen.shaft[0] * sight.shaft[0] + seen.shaft[1] * sight.shaft[1]
    turn = degrees(acos(max(-1.0, min(1.0, cosine))))
    doubt = 2 * (seen.shaft_sd_deg**2 + sight.shaft_sd_deg**2) ** 0.5
    if turn > limits.redirected_from_deg + doubt:
        return Reason(code="redirected", text=f"{name} shows the needle turned by {turn:.0f} degrees in the same view.")
    depths = [assessment.placement.insertion_depth if assessment.placement else None for assessment in (other, frame)]
    if depths[0] is not None and depths[1] is not None and depths[0].unit == depths[1].unit:
        first, second = depths[0], depths[1]
        if second.lower > first.upper or second.upper < first.lower:
            text = f"{name} shows the needle at another depth in the same view: {first}, then {second}."
            return Reason(code="advanced", text=text)
    return None
