"""What a report is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from marrowpoint.audit.facts import FailureFacts, ProcedureFacts
from marrowpoint.audit.findings import Finding
from marrowpoint.profile import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportMaterial:
    """Everything the report is made of.

    Parameters
    ----------
    procedures : tuple of ProcedureFacts
        From `gather_procedures`.
    findings : tuple of Finding
        From `judge_procedures`.
    profile : Profile
        The thresholds used.
    pictures : Path
        Folder from which the records' ``overlay`` paths are found.
    failures : tuple of FailureFacts
        All files that could not be analysed.
    made : datetime
        When.
    program : str
        Version of marrowpoint.
    identities : mapping of str to str
        Name and id by study UID; used only where the caller asks to identify.
    """

    procedures: tuple[ProcedureFacts, ...]
    findings: tuple[Finding, ...]
    profile: Profile
    pictures: Path
    failures: tuple[FailureFacts, ...] = ()
    made: datetime
    program: str
    identities: Mapping[str, str] = field(default_factory=dict)
