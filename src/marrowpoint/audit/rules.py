"""The rules A01 to A30 asked in order; each is a small pure function of one procedure's facts and the profile."""

from __future__ import annotations

from collections.abc import Iterable

from marrowpoint.audit.facts import ProcedureFacts
from marrowpoint.audit.findings import Finding
from marrowpoint.profile import Profile


def judge_procedure(procedure: ProcedureFacts, profile: Profile) -> tuple[Finding, ...]:
    """Ask every rule about one procedure.

    Parameters
    ----------
    procedure : ProcedureFacts
    profile : Profile
        With an ``[audit]`` section.

    Returns
    -------
    tuple of Finding
        In order of the rules; at most one with ``site`` None a rule, none where the rule does not apply.

    Raises
    ------
    InvalidProfile
        Where the profile has no ``[audit]`` section.
    """
    raise NotImplementedError


def judge_procedures(procedures: Iterable[ProcedureFacts], profile: Profile) -> tuple[Finding, ...]:
    """Ask every rule about every procedure.

    Parameters
    ----------
    procedures : iterable of ProcedureFacts
        From `gather_procedures`.
    profile : Profile

    Returns
    -------
    tuple of Finding
    """
    return tuple(finding for procedure in procedures for finding in judge_procedure(procedure, profile))
