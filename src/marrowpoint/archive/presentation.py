"""What was found as a Grayscale Softcopy Presentation State: drawn over the untouched frame by the viewer."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import numpy as np
from highdicom.color import CIELabColor
from highdicom.content import PresentationLUTTransformation
from highdicom.pr import GraphicAnnotation, GraphicLayer, GraphicObject, GrayscaleSoftcopyPresentationState, TextObject
from pydicom.dataset import Dataset

from marrowpoint.archive import codes
from marrowpoint.archive.graphics import Graphic, all_graphics
from marrowpoint.archive.material import Review, frame_key
from marrowpoint.archive.source import UTF8, derived_uid
from marrowpoint.assess import marrowpoint_version
from marrowpoint.errors import ArchiveError
from marrowpoint.report.record import Record

SERIES_NUMBER = 9904
# CIELab; the colour of nothing in a grey picture.
YELLOW = (92.0, -14.0, 85.0)
GREY = ("MONOCHROME1", "MONOCHROME2")
# A viewer draws each point it is given: an outline needs no more of them than this to look like itself.
OUTLINE_POINTS = 500


def build_presentation(records: Sequence[Record], source: Dataset, number: int, reviews: Mapping[str, Review]) -> Dataset:
    """Build the presentation state of one file.

    Parameters
    ----------
    records : sequence of dict
        Frame records of one file.
    source : Dataset
        Its header.
    number : int
        Instance number in its series, from 1.
    reviews : mapping of str to Review
        By `frame_key`.

    Returns
    -------
    Dataset

    Raises
    ------
    ArchiveError
        ``no_presentation``: a colour picture, or nothing was found that could be drawn.
    """
    if str(source.get("PhotometricInterpretation")) not in GREY:
        raise ArchiveError("no_presentation", "a colour picture takes no grayscale presentation state")
    shown = _as_enhanced(source)
    layer = GraphicLayer(
        layer_name="MARROWPOINT", order=1, description="Found by marrowpoint", display_color=CIELabColor(*YELLOW)
    )
    annotations = [
        _annotation(record, shown, layer, confirmed=_confirmed(record, reviews)) for record in records if all_graphics(record)
    ]
    if not annotations:
        raise ArchiveError("no_presentation", "nothing was found that could be drawn")
    inverse = source.PhotometricInterpretation == "MONOCHROME1"
    state = GrayscaleSoftcopyPresentationState(
        referenced_images=[shown],
        series_instance_uid=derived_uid("pr series", str(source.StudyInstanceUID)),
        series_number=SERIES_NUMBER,
        sop_instance_uid=derived_uid(
            "pr", str(source.SOPInstanceUID), list(records), [_confirmed(record, reviews) for record in records]
        ),
        instance_number=number,
        manufacturer="marrowpoint",
        manufacturer_model_name="marrowpoint",
        software_versions=marrowpoint_version(),
        device_serial_number="none",
        content_label="MARROWPOINT",
        content_description="Needle and bone found by marrowpoint",
        graphic_annotations=annotations,
        graphic_layers=[layer],
        presentation_lut_transformation=PresentationLUTTransformation(
            presentation_lut_shape="INVERSE" if inverse else "IDENTITY"
        ),
        content_creator_name="marrowpoint^",
        series_description="marrowpoint: presentation states",
        specific_character_set=UTF8,
    )
    # required of a series that may show a paired part; empty where nobody said
    sides = {record["view"].get("side") or "" for record in records}
    state.Laterality = sides.pop() if len(sides) == 1 else ""
    return state


def _as_enhanced(source: Dataset) -> Dataset:
    # the library takes every class that may hold several frames for an enhanced one; this copy is never saved
    shown = copy.deepcopy(source)
    frames = int(source.get("NumberOfFrames") or 1)
    if frames > 1:
        shown.NumberOfFrames = frames
    shown.SharedFunctionalGroupsSequence = [Dataset()]
    shown.PerFrameFunctionalGroupsSequence = [Dataset() for _ in range(frames)]
    return shown


def _annotation(record: Record, shown: Dataset, layer: GraphicLayer, *, confirmed: bool) -> GraphicAnnotation:
    several = int(shown.get("NumberOfFrames") or 1) > 1
    return GraphicAnnotation(
        referenced_images=[shown],
        referenced_frame_number=record["source"]["frame"] if several else None,
        graphic_layer=layer,
        graphic_objects=[_object(graphic) for graphic in all_graphics(record)],
        text_objects=[_words(record, confirmed=confirmed)],
    )


def _object(graphic: Graphic) -> GraphicObject:
    points = graphic.points
    if graphic.code == codes.OUTLINE and len(points) > OUTLINE_POINTS:
        points = points[np.linspace(0, len(points) - 1, OUTLINE_POINTS).round().astype(int)]
    return GraphicObject(graphic_type=graphic.kind, graphic_data=points, units="PIXEL")


def _confirmed(record: Record, reviews: Mapping[str, Review]) -> bool:
    review = reviews.get(frame_key(record))
    return review is not None and review.agrees


def _words(record: Record, *, confirmed: bool) -> TextObject:
    rows, columns = record["source"]["rows"], record["source"]["columns"]
    box = (1.0, 1.0, float(columns), max(2.0, 0.06 * rows))
    standing = "confirmed by a person" if confirmed else "unverified"
    text = f"marrowpoint: {record['verdict']['text']} ({standing})"
    return TextObject(text_value=text[:1000], units="PIXEL", bounding_box=box, text_justification="LEFT")
