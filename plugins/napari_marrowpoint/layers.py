"""An assessment as napari layers: pure translation, no viewer and no window."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from marrowpoint.assessment import Assessment
from marrowpoint.frame import Calibration, Frame, Points
from marrowpoint.measurement import Measurement
from marrowpoint.needle import Needle
from marrowpoint.placement import Placement
from marrowpoint.report.greys import grey_limits
from marrowpoint.report.ink import ORANGE, PURPLE, SKY, VERMILLION, WHITE, YELLOW, Colour
from marrowpoint.report.marks import doubtful_outline, thin_borders
from marrowpoint.report.record import thin_out
from marrowpoint.report.words import frame_name, in_words
from marrowpoint.runs.run import RunAssessment

LayerData = tuple[Any, dict[str, Any], str]

# names of the layers, as they stand in napari's list
PICTURE, THICKNESS, BONE, NEEDLE, HANDLES, WORDS = "picture", "bone thickness", "hip bone", "needle", "handles", "lengths"
# of a run: its mean before contrast, the frame with that taken away, and what was followed through it
BEFORE, SUBTRACTED, RUN = "before contrast", "subtracted", "followed"
# what a tool is drawing
DRAFT, VERTICES, TARGET = "draft", "outline points", "target"
# the thickest hip bone a map tells of ends the colours [mm]
THICKEST_MM = 20.0
ELLIPSE = np.linspace(0, 2 * np.pi, 41)
# the shaft is drawn from this many widths behind the tip on: neither the tip nor its metal is hidden
CLEAR_OF_TIP = 2.5
DASH_SHARE = 1 / 80  # of the longer side of the frame: dashes are as long on the screen for few pixels as for many
LEAST_RING_PX = 3.0  # a smaller ring is a dot


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Scale and units that every layer of a frame shares.

    Parameters
    ----------
    scale : tuple of float
        Length of one row and one column.
    units : str
        ``"mm"``, or ``"px"`` where there is no scale.
    """

    scale: tuple[float, float]
    units: str

    def attributes(self, dimensions: int = 2) -> dict[str, Any]:
        """As napari takes them; frames of a run lie along a first axis without length.

        That axis has the picture's unit all the same: a viewer that finds another one there measures the picture in it.
        """
        return {"scale": (1.0,) * (dimensions - 2) + self.scale, "units": (self.units,) * dimensions}


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Words beside a point of the picture, (row, column) [px], on the side to which `toward` points."""

    text: str
    at: tuple[float, float]
    colour: str
    toward: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Line:
    """A line over the picture.

    Parameters
    ----------
    points : ndarray of shape (K, 2)
        (row, column) [px].
    colour : str
    dash_px : float
        Length of a dash, and of the gap behind it [px]; 0 for a whole line.
    """

    points: Points
    colour: str
    dash_px: float = 0.0

    @property
    def dashed(self) -> bool:
        """Whether there are gaps in it."""
        return self.dash_px > 0

    def segments(self) -> Points:
        """Start and step of each piece that is drawn, shape (S, 2, 2); every second dash of a dashed line is left out."""
        points = self.points
        if self.dashed:
            way = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
            at = np.linspace(0, way[-1], 2 * max(round(way[-1] / self.dash_px / 2), 1))
            points = np.column_stack([np.interp(at, way, points[:, k]) for k in (0, 1)])
        pieces = np.stack([points[:-1], np.diff(points, axis=0)], axis=1)
        return pieces[::2] if self.dashed else pieces

    def paths(self) -> list[Points]:
        """The line as whole lines: itself, or each of its dashes."""
        return [np.stack([start, start + step]) for start, step in self.segments()] if self.dashed else [self.points]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Marks:
    """What is drawn over a frame, in its (row, column) pixels.

    Parameters
    ----------
    lines : dict of str to list of Line
        By layer; a layer that is not named stays as it is.
    handles : ndarray of shape (P, 2)
        Tip and far end of the shaft, if there is a needle; then the entry, if there is one.
    symbols, colours : tuple of str
        One a handle.
    labels : tuple of Label
    """

    lines: dict[str, list[Line]]
    handles: Points
    symbols: tuple[str, ...] = ()
    colours: tuple[str, ...] = ()
    labels: tuple[Label, ...] = field(default_factory=tuple)


def code_of(colour: Colour) -> str:
    """A colour as napari and Qt take it."""
    return "#{:02X}{:02X}{:02X}".format(*colour)


FOLLOWED = code_of(YELLOW)  # what the run says, not the frame alone
SEEN, SHAFT, TIP, AT_ENTRY, DOUBTFUL, THIN = (code_of(colour) for colour in (SKY, YELLOW, WHITE, ORANGE, PURPLE, VERMILLION))


def dash_of(frame: Frame) -> float:
    """Length of a dash on a frame [px]."""
    return float(DASH_SHARE * max(frame.pixels.shape))


def ground_of(calibration: Calibration) -> Ground:
    """Scale and units of a frame."""
    spacing = calibration.spacing
    if spacing is None:
        return Ground(scale=(1.0, 1.0), units="px")
    return Ground(scale=(spacing.row_mm, spacing.column_mm), units="mm")


def marks_of(assessment: Assessment, *, thin_below_mm: float | None = None, outline: bool = True) -> Marks:
    """Everything that is drawn over a frame.

    Parameters
    ----------
    assessment : Assessment
    thin_below_mm : float or None
        Bone thinner than this gets a border, where there is a thickness map [mm].
    outline : bool
        Whether to draw the bone too; a moved needle leaves it where it is.

    Returns
    -------
    Marks
    """
    needle = assessment.needle
    lines = {BONE: _bone_lines(assessment, thin_below_mm)} if outline else {}
    drawn: list[Line] = []
    labels: list[Label] = []
    others = assessment.candidates if needle is None else needle.alternatives
    for number, other in enumerate(others, start=1 if needle is None else 2):
        drawn.append(Line(points=shaft_line(other), colour=DOUBTFUL, dash_px=dash_of(assessment.frame)))
        labels.append(Label(text=f"needle ({number})?", at=other.tip, colour=DOUBTFUL, toward=other.axis))
    lines[NEEDLE] = drawn
    if needle is None:
        return Marks(lines=lines, handles=np.zeros((0, 2)), labels=tuple(labels))
    drawn += [Line(points=side, colour=SHAFT) for side in _beside_shaft(needle)]
    drawn.append(Line(points=_doubt(needle), colour=TIP))
    handles, symbols, colours = [*shaft_line(needle)], ["cross", "ring"], [TIP, SHAFT]
    placement = assessment.placement
    if placement is not None and placement.nearest_cortex is not None and placement.tip_to_cortex is not None:
        drawn.append(Line(points=np.asarray([needle.tip, placement.nearest_cortex], np.float64), colour=TIP))
        labels.append(_length(placement.tip_to_cortex, needle, placement.nearest_cortex))
    if placement is not None and placement.entry is not None:
        handles.append(np.asarray(placement.entry, np.float64))
        symbols.append("diamond")
        colours.append(AT_ENTRY)
        if placement.insertion_depth is not None:
            depth = in_words("insertion_depth", placement.insertion_depth)[0]
            labels.append(Label(text=f"depth {depth}", at=placement.entry, colour=AT_ENTRY, toward=_away(needle, placement)))
    return Marks(lines=lines, handles=np.asarray(handles), symbols=tuple(symbols), colours=tuple(colours), labels=tuple(labels))


def _bone_lines(assessment: Assessment, thin_below_mm: float | None) -> list[Line]:
    cortex = assessment.cortex
    if cortex is None:
        return []
    dash_px = dash_of(assessment.frame)
    doubtful = doubtful_outline(assessment)
    gaps_px = dash_px if doubtful else 0.0
    lines = [Line(points=thin_out(np.asarray(line)), colour=SEEN, dash_px=gaps_px) for line in cortex.lines if len(line) > 1]
    if thin_below_mm is not None and not doubtful:  # nobody knows what bone such a map is of
        lines += [Line(points=line, colour=THIN, dash_px=dash_px) for line in thin_borders(cortex, thin_below_mm)]
    return lines


def _away(needle: Needle, placement: Placement) -> tuple[float, float]:
    """Across the shaft, to the side where the line to the cortex does not go."""
    across = (-needle.axis[1], needle.axis[0])
    if placement.nearest_cortex is None:
        return across
    there = np.subtract(placement.nearest_cortex, needle.tip)
    return across if float(there @ across) < 0 else (-across[0], -across[1])


def followed_lines(run: RunAssessment, frame: int, *, in_frame: bool) -> list[Line]:
    """What was followed through a run, in one of its frames.

    Parameters
    ----------
    run : RunAssessment
    frame : int
        From 0.
    in_frame : bool
        As it lies in that frame; else as it lies in the picture before contrast.

    Returns
    -------
    list of Line
        The contrast seen so far, and a ring around the followed tip as wide as its doubt.
    """
    pictures, needle = run.pictures, run.needle
    lines = [] if pictures is None else [
        Line(points=line, colour=FOLLOWED) for line in pictures.spread_lines(frame, in_frame=in_frame)
    ]  # fmt: skip
    point = needle.points[frame] if needle is not None and frame < len(needle.points) else None
    if point is None or point.tip is None:
        return lines
    pose = None if pictures is None or in_frame else pictures.alignments.get(frame)
    tip = point.tip if pose is None else pose.back(point.tip)
    radius = max(2 * max(point.sd_along_px or 0.0, point.sd_across_px or 0.0), LEAST_RING_PX)
    ring = np.column_stack([tip[0] + radius * np.sin(ELLIPSE), tip[1] + radius * np.cos(ELLIPSE)])
    return [*lines, Line(points=ring, colour=FOLLOWED)]


def thickness_layer(assessment: Assessment) -> tuple[Any, dict[str, Any]] | None:
    """The thickness map as a picture on the frame's ground, or None where there is none."""
    if assessment.cortex is None or assessment.cortex.thickness is None:
        return None
    found = assessment.cortex.thickness
    ground = ground_of(assessment.calibration)
    step = np.array(found.frame_shape) / found.median_mm.shape
    cells: dict[str, Any] = {
        "scale": tuple(step * ground.scale),
        "translate": tuple((step / 2 - 0.5) * ground.scale),
        "units": (ground.units,) * 2,
    }
    looks = {"colormap": "cividis", "contrast_limits": (0.0, THICKEST_MM), "opacity": 0.45, "blending": "translucent"}
    return np.where(found.median_mm > 0, found.median_mm, np.nan), cells | looks


def picture_looks(frame: Frame, field: Any = None) -> dict[str, Any]:
    """Window and polarity in which the file asks to be shown."""
    return {"contrast_limits": grey_limits(frame, field), "colormap": "gray_r" if frame.low_is_bright else "gray"}


def frame_note(assessment: Assessment) -> dict[str, str]:
    """What a layer tells of where it comes from; nothing of the patient."""
    return {
        "verdict": assessment.verdict.code.value,
        "text": assessment.verdict.text,
        "frame": frame_name(assessment.frame.reference),
        "sop_instance_uid": assessment.frame.reference.sop_instance_uid,
    }


def assessment_layers(assessment: Assessment) -> list[LayerData]:
    """Everything that was found in one frame as layers of one scale.

    Parameters
    ----------
    assessment : Assessment

    Returns
    -------
    list of (data, attributes, kind)
        The picture, and where they were found the outline, the needle and its tip, all (row, column), in mm where there is a
        scale, else in px.
    """
    frame, exposure = assessment.frame, assessment.exposure
    common = ground_of(assessment.calibration).attributes()
    name = frame_name(frame.reference).rsplit("/", 1)[-1]
    looks = picture_looks(frame, None if exposure is None else exposure.field)
    note = {"metadata": {"marrowpoint": frame_note(assessment)}}
    layers: list[LayerData] = [(frame.pixels, common | looks | note | {"name": name}, "image")]
    width = max(frame.pixels.shape) / 400
    marks = marks_of(assessment)
    for kind, lines in marks.lines.items():
        if lines:
            drawn = [(path, line.colour) for line in lines for path in line.paths()]
            paths = {"shape_type": "path", "edge_color": [colour for _, colour in drawn], "edge_width": width}
            layers.append(([path for path, _ in drawn], common | paths | {"name": f"{name} {kind}"}, "shapes"))
    if len(marks.handles):
        points = {"symbol": list(marks.symbols), "border_color": list(marks.colours), "face_color": "transparent"}
        layers.append((marks.handles, common | points | {"size": 8 * width, "name": f"{name} {HANDLES}"}, "points"))
    return layers


def shaft_line(needle: Needle) -> Points:
    """Ends of the visible shaft, tip first, shape (2, 2), (row, column) [px]."""
    tip = np.asarray(needle.tip, np.float64)
    return np.stack([tip, tip + needle.length_px * np.asarray(needle.axis)])


def _beside_shaft(needle: Needle) -> list[Points]:
    tip, axis = np.asarray(needle.tip), np.asarray(needle.axis)
    across = np.asarray((-axis[1], axis[0])) * (needle.width_px / 2 + 1.5)
    start = min(CLEAR_OF_TIP * needle.width_px, 0.5 * needle.length_px)
    return [np.stack([tip + start * axis + side, tip + needle.length_px * axis + side]) for side in (-across, across)]


def _doubt(needle: Needle) -> Points:
    """The 95 % ellipse of the tip."""
    axis = np.asarray(needle.axis)
    along, across = max(2 * needle.tip_sd_along_px, 1.0), max(2 * needle.tip_sd_across_px, 1.0)
    ring = np.outer(np.cos(ELLIPSE) * along, axis) + np.outer(np.sin(ELLIPSE) * across, (-axis[1], axis[0]))
    return np.asarray(needle.tip + ring)


def _length(distance: Measurement, needle: Needle, end: tuple[float, float]) -> Label:
    # a length on a line is positive; on which side of the bone it lies, the picture shows
    there = np.subtract(end, needle.tip)
    gap = float(np.hypot(*there))
    toward = (float(there[0]) / gap, float(there[1]) / gap) if gap > 1 else (-needle.axis[0], -needle.axis[1])
    return Label(text=f"{abs(distance.value):.1f} {distance.unit}", at=end, colour=TIP, toward=toward)
