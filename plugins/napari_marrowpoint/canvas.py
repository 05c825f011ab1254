"""Our layers in a viewer: one set, filled anew for each frame. Knows napari's model, no window."""

from __future__ import annotations

from typing import Any

import numpy as np
from psygnal import Signal

from marrowpoint.assessment import Assessment
from marrowpoint.frame import Calibration, Frame, Points
from marrowpoint.report.marks import doubtful_outline
from marrowpoint.runs.run import RunAssessment
from napari_marrowpoint.layers import (
    BEFORE,
    BONE,
    DRAFT,
    NEEDLE,
    PICTURE,
    RUN,
    SUBTRACTED,
    TARGET,
    THICKNESS,
    VERTICES,
    WORDS,
    Ground,
    Label,
    Line,
    Marks,
    ground_of,
    marks_of,
    picture_looks,
    thickness_layer,
)
from napari_marrowpoint.scene import camera_of, show_scale_bar
from napari_marrowpoint.stack import FrameStack, SubtractedStack

LINE_PX, DOT_PX = 2.0, 9.0
ORDER = (PICTURE, BEFORE, SUBTRACTED, THICKNESS, BONE, RUN, VERTICES)
# lines that follow the mouse: no layers of napari, drawn over its canvas (`pane`)
OVER = (TARGET, NEEDLE, DRAFT)
# what stays on the screen from frame to frame of a run
OF_RUN = (PICTURE, BEFORE, SUBTRACTED)


class Canvas:
    """Keeps our layers in step with what is shown.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
    """

    over_changed = Signal()
    """Something else lies over the picture; who draws it follows."""

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        self.layers: dict[str, Any] = {}
        self.ground = Ground(scale=(1.0, 1.0), units="px")
        self._hidden: set[str] = {THICKNESS, BEFORE, SUBTRACTED}
        self._labels: dict[str, tuple[Label, ...]] = {}
        self._over: dict[str, list[Line]] = {}
        self._handles: tuple[tuple[str, str, Points], ...] = ()
        self._inverted = False
        self._lines: Any = ()
        self._map: Any = None
        self._doubtful = False
        camera_of(viewer).events.zoom.connect(self._rescale)

    def show_picture(self, data: Any, frame: Frame, *, field: Any = None, calibration: Calibration | None = None) -> None:
        """Show a frame, or the run it belongs to.

        Parameters
        ----------
        data : array of shape (M, N) or (frames, M, N)
        frame : Frame
        field : ndarray of bool or None
            Where the picture is, if known: sets the greys.
        calibration : Calibration or None
            Scale in use; the header's if not given.
        """
        looks = picture_looks(frame, field)
        if self._inverted:
            looks["colormap"] = "gray" if looks["colormap"] == "gray_r" else "gray_r"
        ground = ground_of(calibration or frame.header_spacing)
        old = self.layers.get(PICTURE)
        if old is not None and old.ndim == data.ndim and ground.units == self.ground.units:
            self._set_ground(ground)
            self.clear_marks()
            if old.data is data and not (isinstance(data, FrameStack) and data.stills):
                return  # one window for all frames of a file: brightness can be compared along it
            whole_view = old.data.shape[-2:] != data.shape[-2:]
            if old.data is not data:
                old.data = data
            if whole_view:
                self.viewer.reset_view()
            old.contrast_limits_range = _wider(looks["contrast_limits"])
            old.contrast_limits, old.colormap = looks["contrast_limits"], looks["colormap"]
            return
        self.clear()
        self.ground = ground
        layer = self.viewer.add_image(data, name=PICTURE, **looks, **ground.attributes(data.ndim))
        layer.contrast_limits_range = _wider(looks["contrast_limits"])
        self.layers[PICTURE] = layer
        self.viewer.layers.selection.active = layer
        layer.help = self.viewer.help = ""  # napari's own keys: some of them are ours
        show_scale_bar(self.viewer)

    def show(self, assessment: Assessment, *, thin_below_mm: float | None = None) -> None:
        """Draw everything that is known of the frame on the screen."""
        if ground_of(assessment.calibration) != self.ground:
            self._change_ground(assessment)
        cortex = assessment.cortex
        # a moved needle makes a new cortex of the same lines and the same map: neither is drawn again
        lines, found = (None, None) if cortex is None else (cortex.lines, cortex.thickness)
        doubtful = doubtful_outline(assessment)
        fresh = self._lines is not lines or self._map is not found or self._doubtful != doubtful
        if fresh:
            self._show_thickness(assessment)
            self._lines, self._map, self._doubtful = lines, found, doubtful
        self.show_marks(marks_of(assessment, thin_below_mm=thin_below_mm, outline=fresh))

    def show_marks(self, marks: Marks) -> None:
        """Draw lines, handles and words; layers that the marks do not name stay as they are."""
        self._labels[NEEDLE] = marks.labels
        self._handles = tuple(zip(marks.symbols, marks.colours, marks.handles, strict=True))
        for name, lines in marks.lines.items():
            self._show_lines(name, lines)
        self.over_changed.emit()

    def lines_over(self) -> list[Line]:
        """Lines that are drawn over the picture."""
        return [line for name in OVER if self.wants(name) for line in self._over.get(name, [])]

    @property
    def labels(self) -> tuple[Label, ...]:
        """Words that are drawn over the picture."""
        return tuple(label for told in self._labels.values() for label in told)

    def handles_over(self) -> tuple[tuple[str, str, Points], ...]:
        """Sign, colour and place of tip, far end and entry."""
        return self._handles

    def clear_marks(self) -> None:
        """Take everything but the picture away."""
        for name in [name for name in self.layers if name not in OF_RUN]:
            self.remove(name)
        self._handles, self._lines, self._map = (), (), None
        self._over.clear()
        self._labels.clear()
        self.over_changed.emit()

    def clear(self) -> None:
        """Take our layers away."""
        self.clear_marks()
        for name in OF_RUN:
            self.remove(name)

    def remove(self, name: str) -> None:
        """Take one of our layers away, if it is there."""
        if self._over.pop(name, None) is not None:
            self._labels.pop(name, None)
            self.over_changed.emit()
        layer = self.layers.pop(name, None)
        if layer is not None and layer in self.viewer.layers:
            self.viewer.layers.remove(layer)

    def draft(self, name: str, lines: list[Line], labels: tuple[Label, ...] = ()) -> None:
        """Draw lines of a tool or of a run."""
        self._show_lines(name, lines)
        if labels:
            self._labels[name] = labels
        self.over_changed.emit()

    def draws(self, name: str) -> bool:
        """Whether anything is drawn under this name, seen or hidden."""
        return name in self.layers or name in self._over

    def picture_over(self, name: str, data: Any, **looks: Any) -> None:
        """Lay another picture of the same ground over the frame, hidden unless it was asked for; replaces the last one."""
        self.remove(name)
        self.layers[name] = self.viewer.add_image(
            data, name=name, visible=name not in self._hidden, **looks, **self.ground.attributes(data.ndim)
        )
        self._in_order()

    def lay_pictures(self, run: RunAssessment | None, stack: Any) -> None:
        """Lay the pictures of a followed run over its frames, unless they lie there already."""
        pictures = None if run is None else run.pictures
        if pictures is None or SUBTRACTED in self.layers or not isinstance(stack, FrameStack):
            return
        picture = self.layers[PICTURE]
        grey = {"contrast_limits": tuple(picture.contrast_limits), "colormap": picture.colormap}
        self.picture_over(BEFORE, pictures.before_as_frame, **grey)
        low, high = pictures.limits
        self.picture_over(SUBTRACTED, SubtractedStack(stack, pictures), contrast_limits=(low, high), colormap="gray_r")

    def shows(self, name: str) -> bool:
        """Whether a layer is there and seen."""
        return name in self.layers and self.wants(name)

    def wants(self, name: str) -> bool:
        """Whether a layer is seen as soon as it is there."""
        return name not in self._hidden

    def dots(self, name: str, points: Points, colour: str) -> None:
        """Draw the points that a tool can take."""
        layer = self.layers.get(name)
        if layer is not None and len(layer.data) == len(points):
            with layer.events.data.blocker():
                layer.data = points
            return
        self.remove(name)
        if len(points):
            self.layers[name] = self.viewer.add_points(
                points, name=name, size=self._width(DOT_PX), face_color=colour, border_color="black", border_width=0.15,
                **self.ground.attributes(),
            )  # fmt: skip
            self._in_order()

    def handle_places(self) -> Points:
        """Where the handles are: tip, far end, and the entry if there is one."""
        return np.array([at for _, _, at in self._handles]).reshape(-1, 2)

    def toggle(self, name: str) -> bool:
        """Hide or show a layer, on this frame and all others; returns whether it is shown now."""
        self._hidden ^= {name}
        if name in self.layers:
            self.layers[name].visible = name not in self._hidden
        if name in (*OVER, WORDS):
            self.over_changed.emit()
        return name not in self._hidden

    def set_shown(self, names: list[str], shown: bool) -> None:
        """Show or hide several layers at once."""
        for name in names:
            if (name in self._hidden) == shown:
                self.toggle(name)

    def invert(self) -> None:
        """Swap black and white; stays so for the frames to come."""
        self._inverted = not self._inverted
        for layer in (self.layers[name] for name in (PICTURE, BEFORE) if name in self.layers):
            layer.colormap = "gray" if layer.colormap.name == "gray_r" else "gray_r"

    @property
    def picture_shape(self) -> tuple[int, int]:
        """Rows and columns of the picture on the screen; none where there is no picture."""
        rows, columns = self.layers[PICTURE].data.shape[-2:] if PICTURE in self.layers else (0, 0)
        return int(rows), int(columns)

    @property
    def px_per_pixel(self) -> float:
        """Screen pixels a pixel of the frame."""
        return float(camera_of(self.viewer).zoom * np.sqrt(self.ground.scale[0] * self.ground.scale[1]))

    def pixel_at(self, position: Any) -> tuple[float, float]:
        """Frame pixel (row, column) under a position of the viewer's world."""
        row, column = position[-2] / self.ground.scale[0], position[-1] / self.ground.scale[1]
        return float(row), float(column)

    def look_at(self, point: tuple[float, float], px_per_pixel: float | None = None) -> None:
        """Centre the screen on a point of the frame."""
        camera = camera_of(self.viewer)
        camera.center = tuple(np.asarray(point) * self.ground.scale)
        if px_per_pixel is not None:
            camera.zoom = px_per_pixel / float(np.sqrt(self.ground.scale[0] * self.ground.scale[1]))

    def _change_ground(self, assessment: Assessment) -> None:
        old = self.layers[PICTURE]
        exposure = assessment.exposure
        data, field = old.data, None if exposure is None else exposure.field
        self.show_picture(data, assessment.frame, field=field, calibration=assessment.calibration)

    def _set_ground(self, ground: Ground) -> None:
        if ground == self.ground:
            return
        camera, zoom = camera_of(self.viewer), self.px_per_pixel
        middle = np.asarray(camera.center)[-2:] / self.ground.scale
        self.ground = ground
        for name, layer in self.layers.items():
            if name != THICKNESS:  # made anew with the bone
                layer.scale = ground.attributes(layer.ndim)["scale"]
        self.look_at((float(middle[0]), float(middle[1])), zoom)

    def _show_thickness(self, assessment: Assessment) -> None:
        found = thickness_layer(assessment)
        self.remove(THICKNESS)
        if found is not None:
            data, looks = found
            self.layers[THICKNESS] = self.viewer.add_image(
                data, name=THICKNESS, visible=THICKNESS not in self._hidden, interpolation2d="linear", **looks
            )
            self._in_order()

    def _show_lines(self, name: str, lines: list[Line]) -> None:
        if name in OVER:
            self._over[name] = lines
            return
        layer = self.layers.get(name)
        pieces = [line.segments() for line in lines]
        colours = [line.colour for line, piece in zip(lines, pieces, strict=True) for _ in piece]
        data = np.concatenate(pieces) if pieces else np.zeros((0, 2, 2))
        if layer is not None and len(data) == len(layer.data) and colours == layer.metadata["colours"]:
            # the size of the layer hardly changes: napari need not measure the whole scene for every move of a mouse
            with layer.events.data.blocker():
                layer.data = data
            return
        self.remove(name)
        if len(data):
            self.layers[name] = self.viewer.add_vectors(
                data, name=name, edge_color=colours, edge_width=self._width(LINE_PX), vector_style="line", opacity=1.0,
                visible=name not in self._hidden, metadata={"colours": colours}, **self.ground.attributes(),
            )  # fmt: skip
            self._in_order()

    def _width(self, screen_px: float) -> float:
        return screen_px / max(self.px_per_pixel, 1e-6)

    def _rescale(self, event: Any = None) -> None:
        """Lines as thin, points as large on the screen at every zoom."""
        for name, layer in self.layers.items():
            if name in (BONE, RUN):
                layer.edge_width = self._width(LINE_PX)
            elif name == VERTICES:
                layer.size = self._width(DOT_PX)

    def _in_order(self) -> None:
        """What matters more lies above; keys and mouse belong to the picture, not to what was added last."""
        ours = [self.layers[name] for name in ORDER if name in self.layers]
        for place, layer in enumerate(ours):
            if self.viewer.layers.index(layer) != place:
                self.viewer.layers.move(self.viewer.layers.index(layer), place)
        self.viewer.layers.selection.active = self.layers[PICTURE]


def _wider(limits: tuple[float, float]) -> tuple[float, float]:
    return min(0.0, limits[0]), max(1.0, limits[1])
