"""What a header alone says of a frame: whose it is, when and from where it was taken. No pixels are decoded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from pydicom.dataset import Dataset
from pydicom.uid import UID

from marrowpoint.errors import UnsupportedImage
from marrowpoint.frame import FrameReference, View, ViewKind
from marrowpoint.read.groups import first_value
from marrowpoint.read.header import OpenFile
from marrowpoint.read.pixels import PixelDescription
from marrowpoint.read.quiet import quiet
from marrowpoint.read.views import frame_view

# Projections and ultrasound; MG only because it is a projection with the same tags of scale.
_MODALITIES = {"XA", "RF", "DX", "CR", "DR", "MG", "SC", "OT", "US", "XC", "DS", "DF"}
_KINDS = {
    "1.2.840.10008.5.1.4.1.1.1": "CR",
    "1.2.840.10008.5.1.4.1.1.1.1": "DX",
    "1.2.840.10008.5.1.4.1.1.12.1": "XA",
    "1.2.840.10008.5.1.4.1.1.12.1.1": "XA",
    "1.2.840.10008.5.1.4.1.1.12.2": "RF",
    "1.2.840.10008.5.1.4.1.1.12.2.1": "RF",
    "1.2.840.10008.5.1.4.1.1.6": "US",
    "1.2.840.10008.5.1.4.1.1.6.1": "US",
    "1.2.840.10008.5.1.4.1.1.3": "US",
    "1.2.840.10008.5.1.4.1.1.3.1": "US",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameHead:
    """A frame before its pixels are read.

    Parameters
    ----------
    reference : FrameReference
        Without the hash of its pixels.
    view : View
    """

    reference: FrameReference
    view: View


def frame_head(file: OpenFile, described: PixelDescription, path: str) -> FrameHead:
    """Head of the first frame of a file, as `read_frames` would give it.

    Parameters
    ----------
    file : OpenFile
    described : PixelDescription
        Of `file`.
    path : str
        How results name the file.

    Returns
    -------
    FrameHead
        Sides that an operator states are not in it: the name of its view may be missing, the angles are not.

    Raises
    ------
    UnsupportedImage
        Neither a projection nor ultrasound.
    """
    with quiet():
        return head_of(file, described, modality_of(file.dataset), (path, 0))


def head_of(
    file: OpenFile,
    described: PixelDescription,
    modality: str,
    place: tuple[str, int],
    *,
    side: str = "",
    view: ViewKind | None = None,
) -> FrameHead:
    """Head of the frame at a place: the file's name in results, and the number of the frame from 0."""
    header, (path, index) = file.dataset, place
    reference = FrameReference(
        path=path,
        frame_number=index + 1,
        number_of_frames=described.frames,
        modality=modality,
        rows=described.rows,
        columns=described.columns,
        sop_class_uid=tag_text(header, "SOPClassUID"),
        sop_instance_uid=tag_text(header, "SOPInstanceUID"),
        series_instance_uid=tag_text(header, "SeriesInstanceUID"),
        study_instance_uid=tag_text(header, "StudyInstanceUID"),
        transfer_syntax_uid=str(file.transfer_syntax),
        acquired=_acquired(header, index),
    )
    return FrameHead(reference=reference, view=frame_view(header, index, side, view))


def modality_of(header: Dataset) -> str:
    """Kind of picture; UnsupportedImage where it is neither a projection nor ultrasound."""
    sop_class = tag_text(header, "SOPClassUID")
    stated = tag_text(header, "Modality").upper()
    kind = stated or _KINDS.get(sop_class, "")
    if not kind and ".1.4.1.1.7" in sop_class:
        kind = "OT"
    if kind in ("IVUS", "OCT") or kind not in _MODALITIES:
        name = kind if kind.isalnum() else UID(sop_class).name
        name = name if name and name.isprintable() and len(name) <= 80 else "unknown"
        text = f"a picture of kind {name} is neither a projection nor ultrasound: leave it out"
        raise UnsupportedImage("unsupported_modality", text)
    return kind


def tag_text(header: Dataset, keyword: str) -> str:
    """A UID or code of the header; empty where it is none."""
    value = str(header.get(keyword) or "").strip().strip("\0")
    # a UID or code of more than 64 characters is none (PS3.5 section 9); hostile text stays out of results
    return value if len(value) <= 64 and all(char.isalnum() or char in ". _-" for char in value) else ""


def _acquired(header: Dataset, index: int) -> datetime | None:
    for keyword in ("FrameAcquisitionDateTime", "FrameReferenceDateTime", "AcquisitionDateTime"):
        found = _moment(str(first_value(header, keyword, index) or ""))
        if found is not None:
            return found
    for kind in ("Acquisition", "Content", "Series", "Study"):
        day, time = str(header.get(f"{kind}Date") or ""), str(header.get(f"{kind}Time") or "")
        found = _moment(day + time) if len(day) == 8 and time else None
        if found is not None:
            return found
    return None


def _moment(text: str) -> datetime | None:
    # the offset from universal time is left off: the time as the machine's clock showed it
    local = re.split(r"[+-]", text, maxsplit=1)[0].strip()
    whole, _, fraction = local.partition(".")
    if len(whole) not in (12, 14) or not whole.isdigit():
        return None
    try:
        moment = datetime.strptime(whole.ljust(14, "0"), "%Y%m%d%H%M%S")
    except ValueError:
        return None
    return moment.replace(microsecond=int(fraction[:6].ljust(6, "0"))) if fraction.isdigit() else moment
