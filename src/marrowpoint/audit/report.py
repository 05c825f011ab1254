"""The audit's report: one HTML page that opens offline, card pages beside it where there are many, and a PDF."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from marrowpoint.audit.material import ReportMaterial
from marrowpoint.audit.report_html import write_html
from marrowpoint.audit.summary import summarize

PDF = "report.pdf"

__all__ = ["ReportMaterial", "write_report"]


def write_report(out: Path, material: ReportMaterial, *, identify: bool = False) -> tuple[Path, ...]:
    """Write ``report.html`` and, where the extra ``[report]`` is installed, ``report.pdf``.

    Parameters
    ----------
    out : Path
        Folder.
    material : ReportMaterial
    identify : bool
        Print `ReportMaterial.identities`.

    Returns
    -------
    tuple of Path
        What was written; without a PDF where reportlab is not installed.
    """
    summary = summarize(material.procedures, material.findings, material.failures, material.profile)
    written = write_html(out, material, summary, identify=identify)
    (out / PDF).unlink(missing_ok=True)
    if find_spec("reportlab") is None:
        return written
    # reportlab is an extra: nothing else of the audit needs it
    from marrowpoint.audit.report_pdf import write_pdf  # noqa: PLC0415

    write_pdf(out / PDF, material, summary, identify=identify)
    return (written[0], out / PDF, *written[1:])
