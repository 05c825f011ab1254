"""Records, overlays and a PDF become DICOM objects of the patient's study, one folder a study, named by UIDs only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from marrowpoint.archive.extra import require
from marrowpoint.archive.material import DicomMaterial, DicomWritten, frame_key
from marrowpoint.archive.source import read_source, same_patient
from marrowpoint.errors import ArchiveError
from marrowpoint.read.quiet import quiet
from marrowpoint.report.record import Record
from marrowpoint.report.write import whole_file

PDF_TITLE = "Needle placement report (research and quality review only)"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Study:
    # the frames of one study whose source files could be read
    uid: str
    frames: list[Record]
    positions: list[Record]
    sources: dict[str, Dataset]
    runs: list[Record]


def write_dicom(
    out: Path, material: DicomMaterial, *, tell: Callable[[int, int], None] = lambda done, of: None
) -> DicomWritten:
    """Write a Structured Report a study, a Secondary Capture an overlay, a presentation state a file, and PDFs.

    Parameters
    ----------
    out : Path
        Folder; ``<study instance UID>/SR.dcm``, ``SC_0001.dcm``, ``PR_0001.dcm``, ``PDF.dcm`` appear in it, each whole or
        not at all. Written twice from the same material, an object keeps its SOP Instance UID.
    material : DicomMaterial
    tell : callable
        Called with studies done and studies in all.

    Returns
    -------
    DicomWritten
        With everything that was left out and why.

    Raises
    ------
    ArchiveError
        ``missing_extra``.
    OSError
        Where `out` cannot be written.

    Notes
    -----
    The objects belong to the patient's study: they carry the patient module of the source file. File names carry UIDs only.
    """
    require("highdicom")
    left_out: list[tuple[str, str]] = []
    notes: list[tuple[str, str]] = []
    files: list[Path] = []
    studies = _studies(material, left_out)
    for number, study in enumerate(studies, 1):
        if not same_patient(list(study.sources.values())):
            left_out.append((study.uid, "the files of this study name different patients: nothing was written for it"))
            continue
        for name, made in _objects(study, material, left_out, notes):
            path = out / study.uid / f"{name}.dcm"
            with quiet(), whole_file(path) as stream:
                made.save_as(stream, enforce_file_format=True)
            files.append(path)
        tell(number, len(studies))
    return DicomWritten(files=tuple(files), left_out=tuple(left_out), notes=tuple(notes))


def _studies(material: DicomMaterial, left_out: list[tuple[str, str]]) -> list[_Study]:
    frames: dict[str, list[Record]] = defaultdict(list)
    sources: dict[str, dict[str, Dataset]] = defaultdict(dict)
    headers: dict[Path, Dataset] = {}
    for record in material.records:
        if record["record"] != "frame":
            continue
        try:
            source = _source_of(record, material, headers)
        except ArchiveError as error:
            left_out.append((frame_key(record), error.text))
            continue
        uid = str(source.StudyInstanceUID)
        frames[uid].append(record)
        sources[uid][frame_key(record)] = source
    positions = [record for record in material.records if record["record"] == "study"]
    runs = [record for record in material.records if record["record"] == "run"]
    return [
        _Study(
            uid=uid,
            frames=found,
            positions=[p for p in positions if _about(p, found)],
            sources=sources[uid],
            runs=[run for run in runs if run["source"]["study_instance_uid"] == found[0]["source"]["study_instance_uid"]],
        )
        for uid, found in frames.items()
    ]


def _about(position: Record, frames: Sequence[Record]) -> bool:
    return any(frame_key(frame) in position["frames"] for frame in frames)


def _source_of(record: Record, material: DicomMaterial, headers: dict[Path, Dataset]) -> Dataset:
    path = material.sources.get(record["source"]["path"])
    if path is None:
        raise ArchiveError("no_source", "its DICOM file is not in the folder given")
    if path not in headers:
        headers[path] = read_source(path)
    source, stated = headers[path], record["source"]
    same = (str(source.SOPInstanceUID), source.Rows, source.Columns)
    if same != (stated["sop_instance_uid"], stated["rows"], stated["columns"]):
        raise ArchiveError("other_source", "its DICOM file is another one than was analysed: run analyze again")
    return source


def _objects(
    study: _Study, material: DicomMaterial, left_out: list[tuple[str, str]], notes: list[tuple[str, str]]
) -> Iterator[tuple[str, Dataset]]:
    # highdicom is imported here, so that the rest of the package works without it
    from marrowpoint.archive.documents import build_capture, build_pdf  # noqa: PLC0415
    from marrowpoint.archive.structured import build_report  # noqa: PLC0415
    from marrowpoint.archive.structured_run import run_group  # noqa: PLC0415

    with quiet():
        made = [(record, run_group(record, study.sources)) for record in study.runs]
        groups = [(record, group) for record, group in made if group is not None]
        yield "SR", build_report(study.frames, study.positions, study.sources, material.reviews, groups)
    for number, record in enumerate(study.frames, 1):
        key = frame_key(record)
        overlay = material.overlays.get(key)
        if overlay is None:
            continue
        try:
            yield f"SC_{number:04d}", build_capture(record, study.sources[key], overlay, number)
        except ArchiveError as error:
            left_out.append((key, error.text))
    yield from _presentations(study, material, notes)
    if study.uid in material.pdfs:
        yield "PDF", build_pdf(material.pdfs[study.uid], next(iter(study.sources.values())), PDF_TITLE)


def _presentations(study: _Study, material: DicomMaterial, notes: list[tuple[str, str]]) -> Iterator[tuple[str, Dataset]]:
    from marrowpoint.archive.presentation import build_presentation  # noqa: PLC0415

    files: dict[str, list[Record]] = defaultdict(list)
    for record in study.frames:
        files[str(study.sources[frame_key(record)].SOPInstanceUID)].append(record)
    for number, records in enumerate(files.values(), 1):
        try:
            with quiet():
                made = build_presentation(records, study.sources[frame_key(records[0])], number, material.reviews)
            yield f"PR_{number:04d}", made
        except ArchiveError as error:
            notes.append((frame_key(records[0]), error.text))
