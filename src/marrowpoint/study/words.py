"""The sentences of a study's verdict: what each view said, and what the verdict stands on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from marrowpoint.assessment import Assessment
from marrowpoint.profile import Profile
from marrowpoint.study.evidence import Evidence, certain_side, frame_name, said
from marrowpoint.study.place import chance_of
from marrowpoint.verdict import Reason

LEAST_TOLD = 0.001  # a smaller chance is told as this


def view_reasons(evidence: Evidence) -> tuple[Reason, ...]:
    """What each view said, so that disagreement is seen.

    Parameters
    ----------
    evidence : Evidence

    Returns
    -------
    tuple of Reason
        One a usable frame, lengths in mm.
    """
    answered = tuple(
        Reason(code="view", text=f"{frame_name(frame)} ({frame.frame.view.kind}): {frame.verdict.text}.")
        for frame in evidence.adequate
    )
    return (*answered, *(_wide_reason(frame) for frame in evidence.wide))


def _wide_reason(frame: Assessment) -> Reason:
    assert frame.placement is not None
    side = "inside" if certain_side(frame) > 0 else "outside"
    text = (
        f"{frame_name(frame)} ({frame.frame.view.kind}): {side} the outline by {frame.placement.tip_to_cortex}, "
        "too uncertain for a verdict of its own."
    )
    return Reason(code="view", text=text)


def disagreement(evidence: Evidence, telling: Sequence[Assessment]) -> tuple[Reason, ...]:
    """Which views did not show the bad news that others showed.

    Parameters
    ----------
    evidence : Evidence
    telling : sequence of Assessment
        At least one: the frames that showed it.

    Returns
    -------
    tuple of Reason
        Empty where all showed it.
    """
    others = [frame for frame in evidence.usable if said(frame) is not said(telling[0])]
    if not others:
        return ()
    names = ", ".join(frame_name(frame) for frame in others)
    text = f"{names} did not show it; a projection inside the outline does not prove the opposite."
    return (Reason(code="views_disagree", text=text),)


def no_thick_bone(logit: float, profile: Profile) -> Reason:
    """Why thick bone is excluded.

    Parameters
    ----------
    logit : float
        Of the chance that the tip lies in thick bone.
    profile : Profile
        Where thick bone begins [mm].

    Returns
    -------
    Reason
    """
    thick_mm = profile.verdict.thick_from_mm
    text = (
        f"What all views show around the tip leaves a chance of {max(chance_of(logit), LEAST_TOLD):.1%} for bone of "
        f"{thick_mm:.1f} mm and more there: thin or marginal bone, or a tip outside of it. Which, the views do not settle."
    )
    return Reason(code="no_thick_bone", text=text)


def proof(evidence: Evidence) -> tuple[Reason, ...]:
    """What a right spot stands on.

    Parameters
    ----------
    evidence : Evidence
        From which nothing is missing.

    Returns
    -------
    tuple of Reason
        Lengths in mm, and what whoever confirms should look at.
    """
    lengths = tuple(_told_lengths(evidence))
    if all(len(frame.calibration.rungs) < 2 for frame in evidence.usable):
        text = "Nothing checks the scale but one source: see that the needle declared, or the header, is right."
        lengths = (*lengths, Reason(code="scale_from_one_source", text=text))
    return lengths


def _told_lengths(evidence: Evidence) -> Iterator[Reason]:
    if (thickness := evidence.thickness) is not None:
        yield Reason(code="bone_thickness", text=f"Bone at the tip {thickness} thick ({thickness.method}).")
    if (depth := evidence.depth) is None:
        return
    bound, measured = depth.smallest, depth.estimate
    told = f"at most {bound} ({bound.method})" if measured is None else f"{measured} ({measured.method})"
    yield Reason(code="insertion_depth", text=f"Past the entry cortex {told}.")
    if measured is None:
        text = "The depth is bounded, not measured: see in the tightest view that the shaft enters bone at its outline."
        yield Reason(code="depth_only_bounded", text=text)
