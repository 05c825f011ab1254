"""The audit thresholds of a profile, or a clear refusal."""

from __future__ import annotations

from marrowpoint.errors import InvalidProfile
from marrowpoint.profile import AuditLimits, Profile


def limits_of(profile: Profile) -> AuditLimits:
    """Thresholds of the audit rules.

    Parameters
    ----------
    profile : Profile

    Returns
    -------
    AuditLimits

    Raises
    ------
    InvalidProfile
        Where the profile comes from before there were audit rules.
    """
    if profile.audit is None:
        text = f"profile {profile.label} has no [audit] section: copy it from default.toml to judge procedures"
        raise InvalidProfile("no_audit_section", text)
    return profile.audit
