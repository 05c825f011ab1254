"""The report as a PDF."""

from __future__ import annotations

from pathlib import Path

from marrowpoint.audit.material import ReportMaterial
from marrowpoint.audit.summary import Summary

PDF = "report.pdf"


def write_pdf(path: Path, material: ReportMaterial, summary: Summary, *, identify: bool) -> None:
    """PLACEHOLDER."""
