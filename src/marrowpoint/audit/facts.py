"""What an audit knows of one procedure, from records and sheet: plain nouns without pixels and without a patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from marrowpoint.assessment import Provenance
from marrowpoint.audit.facts_run import RunFacts
from marrowpoint.case import Site
from marrowpoint.frame import Documented
from marrowpoint.measurement import Measurement
from marrowpoint.verdict import Verdict

HARVEST, REINJECTION = "harvest", "reinjection"
ULTRASOUND = frozenset({"US"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameFacts:
    """One frame record, typed.

    Parameters
    ----------
    key : str
        ``path#frame``, as study records name it.
    acquired : datetime or None
        By the machine's clock.
    view : str
        Kind of view.
    primary_deg, secondary_deg : float or None
        Positioner angles [deg].
    side : str
        Side in use: the sheet's where it names one, else the header's.
    scale : str
        Rung of the scale ladder, ``none`` without one.
    scale_note : str
        What gave it.
    needle, bone : bool
        Whether the program found them.
    verdict : Verdict
    measurements : mapping of str to Measurement
        Those found.
    overlay : str
        Picture beside the results, relative; empty where there is none.
    phase : {"harvest", "reinjection", ""}
        What the sheet makes of it; empty where nobody says.
    documented : Documented or None
        None in a record of a program that did not look.
    provenance : Provenance
    """

    key: str
    path: str
    frame_number: int
    modality: str
    study_instance_uid: str
    sop_instance_uid: str
    pixel_sha256: str
    acquired: datetime | None
    view: str
    primary_deg: float | None
    secondary_deg: float | None
    side: str
    scale: str
    scale_note: str
    needle: bool
    bone: bool
    verdict: Verdict
    measurements: Mapping[str, Measurement] = field(default_factory=dict)
    overlay: str = ""
    phase: str = ""
    documented: Documented | None = None
    provenance: Provenance

    @property
    def ultrasound(self) -> bool:
        """Whether it is an ultrasound picture."""
        return self.modality in ULTRASOUND


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One person's standing decision about one frame, from the review ledger.

    Parameters
    ----------
    key : str
        ``path#frame``.
    pixel_sha256 : str
        The picture the person saw.
    rater : str
        Who, as the ledger has it; the report numbers raters and prints no names.
    at : datetime or None
    action : {"accept", "correct", "reject"}
    program, reader : str
        Verdict codes before and after; a rejection gives no verdict of its own.
    program_mm, reader_mm : float or None
        Tip to cortex before and after [mm].
    """

    key: str
    pixel_sha256: str
    rater: str
    at: datetime | None = None
    action: str
    program: str
    reader: str
    program_mm: float | None = None
    reader_mm: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionFacts:
    """One study record: what the views of one needle position say together.

    Parameters
    ----------
    site : str
        The operator's name of it, or its number in the study.
    rows : tuple of Site
        Rows of the sheet with this name; empty where it has none.
    frames : tuple of FrameFacts
    tip_mm, tip_sd_mm, axis : tuple of float or None
        Triangulated tip with its standard uncertainty, and direction from tip to hub; patient axes (left, back, head).
    axis_sd_deg : float or None
    insertion_depth, bone_thickness : Measurement or None
    phase : {"harvest", "reinjection", ""}
    """

    study_instance_uid: str
    site: str
    rows: tuple[Site, ...] = ()
    frames: tuple[FrameFacts, ...]
    verdict: Verdict
    tip_mm: tuple[float, ...] | None = None
    tip_sd_mm: tuple[float, ...] | None = None
    axis: tuple[float, ...] | None = None
    axis_sd_deg: float | None = None
    insertion_depth: Measurement | None = None
    bone_thickness: Measurement | None = None
    phase: str = ""

    @property
    def imaged(self) -> tuple[FrameFacts, ...]:
        """Frames in which the program found the needle."""
        return tuple(frame for frame in self.frames if frame.needle)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureFacts:
    """A file or frame that could not be analysed."""

    path: str
    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedPicture:
    """The same pixels in more than one place.

    Parameters
    ----------
    keys : tuple of str
        Every place, ``path#frame``.
    studies : tuple of str
        The studies it turns up in.
    positions : tuple of str
        ``uid/site`` of the needle positions it is used for.
    needle : bool
        The program found a needle in it: it is no empty picture, whose pixels may well repeat.
    """

    keys: tuple[str, ...]
    studies: tuple[str, ...]
    positions: tuple[str, ...]
    needle: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcedureFacts:
    """Everything the files and the sheet say of one study.

    Parameters
    ----------
    study_instance_uid : str
    frames : tuple of FrameFacts
        In order of time, then of the files.
    positions : tuple of PositionFacts
    runs : tuple of RunFacts
    failures : tuple of FailureFacts
        Those that lie in a folder that holds this study's files only.
    sites : tuple of Site
        Rows of the sheet; empty where it says nothing of this study.
    shared : tuple of SharedPicture
        Pictures of this study that turn up more than once, here or in another study.
    readings : tuple of Reading
        What people said of it.
    """

    study_instance_uid: str
    frames: tuple[FrameFacts, ...] = ()
    positions: tuple[PositionFacts, ...] = ()
    runs: tuple[RunFacts, ...] = ()
    failures: tuple[FailureFacts, ...] = ()
    sites: tuple[Site, ...] = ()
    shared: tuple[SharedPicture, ...] = ()
    readings: tuple[Reading, ...] = ()

    @property
    def harvest_sites(self) -> tuple[Site, ...]:
        """Rows of the sheet that are no re-injection; a row without a phase counts as harvest."""
        return tuple(site for site in self.sites if site.phase != REINJECTION)

    @property
    def reinjection_sites(self) -> tuple[Site, ...]:
        """Rows of the sheet that are a re-injection."""
        return tuple(site for site in self.sites if site.phase == REINJECTION)

    @property
    def acquired(self) -> datetime | None:
        """Time of the first dated frame."""
        return min((frame.acquired for frame in self.frames if frame.acquired is not None), default=None)

    @property
    def operator_role(self) -> str:
        """Role of the operator; ``several`` where the sheet names more than one, empty where none."""
        roles = sorted({site.operator_role for site in self.sites if site.operator_role})
        return "" if not roles else roles[0] if len(roles) == 1 else "several"
