"""From records and sheet to facts: one procedure a study, whatever order the records come in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from marrowpoint.audit.facts import ProcedureFacts, Reading
from marrowpoint.case import Site
from marrowpoint.report.record import Record


def gather_procedures(
    records: Iterable[Record], sheet: Mapping[str, Sequence[Site]], readings: Sequence[Reading] = ()
) -> tuple[ProcedureFacts, ...]:
    """Put the facts of every study together.

    Parameters
    ----------
    records : iterable of dict
        Frame, study, run and failure records as in the result file; outlines are not needed and not kept.
    sheet : mapping of str to sequence of Site
        From `read_procedure`; a study of which no file was given makes a procedure without frames.
    readings : sequence of Reading
        From the review ledger.

    Returns
    -------
    tuple of ProcedureFacts
        In order of time, undated ones last.
    """
    raise NotImplementedError
