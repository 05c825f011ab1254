"""What the mouse does on the picture: pull the needle, the outline, a live-wire, a known length."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from marrowpoint.frame import Points
from marrowpoint.review.corrections import KnownLength, Point
from marrowpoint.review.lines import joined, sparse
from marrowpoint.review.livewire import (
    EdgeCost,
    delete_point,
    edge_cost,
    insert_point,
    move_point,
    nearest_edge,
    nearest_index,
    snap_path,
)
from napari_marrowpoint.canvas import Canvas
from napari_marrowpoint.desk import Desk
from napari_marrowpoint.hints import NOT_PULLED, Tool
from napari_marrowpoint.layers import AT_ENTRY, DRAFT, SEEN, TIP, VERTICES, Line
from napari_marrowpoint.scene import camera_of
from napari_marrowpoint.targets import TargetTool

GRAB_PX = 14.0  # on the screen: how near to a point the mouse must be to take it
SNAP_PX = 8.0  # on the screen: how far a click of the live-wire looks for an edge
MOVED_PX = 0.5  # on the screen: the mouse knows whole pixels, so a shorter way is none
DRAWN_PX = 4.0  # on the screen: a needle or a known length that is drawn shorter is a slip
FINE = 0.1  # with Shift a pull goes this share of the mouse's way


class Tools:
    """Mouse tools on one viewer.

    Parameters
    ----------
    viewer : napari.Viewer
    desk : Desk
    canvas : Canvas
    ask_length : callable
        Asked for the millimetres between two points; calls back with them.
    chosen : callable
        Told the tool whenever it changes.
    """

    def __init__(
        self,
        viewer: Any,
        desk: Desk,
        canvas: Canvas,
        *,
        ask_length: Callable[[Callable[[float], None]], None],
        chosen: Callable[[Tool], None],
    ) -> None:
        self.viewer, self.desk, self.canvas = viewer, desk, canvas
        self.tool = Tool.LOOK
        self.mouse: Point = (0.0, 0.0)
        self._ask_length, self._chosen = ask_length, chosen
        self.hovered: Callable[[Point | None], None] = lambda point: None
        self.target = TargetTool(canvas)
        self._pulling = False
        self._lines: list[Points] = []
        self._wire: list[Points] = []
        self._edges: tuple[Any, EdgeCost] | None = None
        viewer.mouse_drag_callbacks.append(self._press)
        viewer.mouse_move_callbacks.append(self._hover)
        viewer.mouse_double_click_callbacks.append(self._double)

    @property
    def pulling(self) -> bool:
        """Whether the mouse is pulling something."""
        return self._pulling

    def release(self) -> None:
        """Leave the viewer to itself."""
        self.viewer.mouse_drag_callbacks.remove(self._press)
        self.viewer.mouse_move_callbacks.remove(self._hover)
        self.viewer.mouse_double_click_callbacks.remove(self._double)

    def choose(self, tool: Tool) -> None:
        """Take a tool, or put it down if it is in the hand already."""
        self.drop()
        self.tool = Tool.LOOK if tool is self.tool else tool
        self._take_up()
        self._chosen(self.tool)

    def drop(self) -> bool:
        """Forget what is half done; returns whether there was anything."""
        busy = self.target.drop() or self._pulling or bool(self._wire) or self.canvas.draws(DRAFT)
        self._pulling, self._wire = False, []
        self.canvas.remove(DRAFT)
        self.canvas.remove(VERTICES)
        if busy:
            self.desk.cancel()
        return busy

    def resume(self) -> None:
        """Show again what the tool works on, after something was dropped."""
        if self.tool is Tool.OUTLINE:
            self._take_up()

    def put_down(self) -> None:
        """Back to looking."""
        self.drop()
        if self.tool is not Tool.LOOK:
            self.tool = Tool.LOOK
            self._chosen(self.tool)

    def end_wire(self) -> bool:
        """Take the line that was clicked as part of the outline; returns whether there was one."""
        if self.tool is not Tool.WIRE or not self._wire:
            return False
        path = np.concatenate(self._wire)
        self.put_down()
        if len(path) > 1:
            self.desk.correct(outline=tuple(joined(self._lines, path, self._reach())))
        return True

    def end_target(self) -> bool:
        """Close the region that was clicked; returns whether one was being drawn."""
        if self.tool is not Tool.TARGET or not self.target.corners:
            return False
        corners = np.array(self.target.corners)
        self.put_down()
        self.target.drawn(corners)
        return True

    def delete_point(self) -> None:
        """Remove the point of the outline that the mouse is on; the last corner of a target, or the whole target."""
        if self.tool is Tool.TARGET:
            self.target.take_back(self.mouse)
            return
        found = self._vertex_at(self.mouse)
        if self.tool is Tool.OUTLINE and found is not None:
            try:
                self._take_line(found[0], delete_point(self._lines[found[0]], found[1]))
            except ValueError as error:
                self.desk.told.emit(str(error))

    def _take_up(self) -> None:
        if self.tool in (Tool.OUTLINE, Tool.WIRE) and self.desk.shown is not None:
            cortex = self.desk.shown.cortex
            self._lines = [] if cortex is None else [sparse(line) for line in cortex.lines]
            if self.tool is Tool.OUTLINE:
                self._show_vertices()

    def _press(self, viewer: Any, event: Any) -> Iterator[None]:
        if event.button != 1 or viewer.dims.ndisplay != 2 or (self.desk.base is None and self.tool is not Tool.TARGET):
            return
        start = self.canvas.pixel_at(event.position)
        pull = self._begin(start)
        if pull is None:
            return
        camera = camera_of(viewer)
        camera.mouse_pan = False
        self._pulling, mouse, last = True, start, start
        try:
            yield
            while True:
                here = self.canvas.pixel_at(event.position)
                share = FINE if "Shift" in event.modifiers else 1.0
                last = last[0] + share * (here[0] - mouse[0]), last[1] + share * (here[1] - mouse[1])
                mouse = here
                if event.type != "mouse_move":
                    break  # the place where it was let go counts, whether or not the mouse was seen on its way
                if self._pulling:
                    pull(last, False)
                yield
        finally:
            camera.mouse_pan = True
        if self._pulling:
            self._pulling = False
            moved = np.hypot(last[0] - start[0], last[1] - start[1]) * self.canvas.px_per_pixel
            least = DRAWN_PX if self.tool in (Tool.NEEDLE, Tool.SCALE) else FINE * MOVED_PX
            if moved >= least:
                pull(last, True)
            else:
                self.desk.cancel()
                self.canvas.remove(DRAFT)
                self.desk.told.emit(NOT_PULLED[self.tool])

    def _begin(self, start: Point) -> Callable[[Point, bool], None] | None:
        """What a pull from here does, at each move and (True) at its end."""
        if self.tool is Tool.WIRE:
            self._click_wire(start)
            return None
        if self.tool is Tool.TARGET:
            if self.target.click(start):
                self.end_target()
            return None
        if self.tool is Tool.NEEDLE:
            return self._draw_needle(start)
        if self.tool is Tool.SCALE:
            return self._pull_scale(start)
        if self.tool is Tool.OUTLINE:
            found = self._vertex_at(start)
            return None if found is None else self._pull_vertex(*found)
        return self._pull_needle(start)

    def _pull_needle(self, start: Point) -> Callable[[Point, bool], None] | None:
        ends = self.canvas.handle_places()[:2]
        if len(ends) < 2 or self.desk.shown is None or self.desk.shown.needle is None:
            return None
        away = np.hypot(*(ends - start).T) * self.canvas.px_per_pixel
        which = int(np.argmin(away))
        if away[which] > GRAB_PX:
            return None
        # a point taken beside its middle does not jump
        gap = ends[which] - start
        name = ("tip", "far_end")[which]

        def pull(at: Point, done: bool) -> None:
            place = (at[0] + float(gap[0]), at[1] + float(gap[1]))
            (self.desk.correct if done else self.desk.preview)(**{name: place})

        return pull

    def _draw_needle(self, start: Point) -> Callable[[Point, bool], None]:
        def pull(at: Point, done: bool) -> None:
            if done:
                self.put_down()
                self.desk.correct(tip=start, far_end=at)
            elif np.hypot(at[0] - start[0], at[1] - start[1]) >= GRAB_PX / max(self.canvas.px_per_pixel, 1e-6):
                self.desk.preview(tip=start, far_end=at)

        return pull

    def _pull_scale(self, start: Point) -> Callable[[Point, bool], None]:
        def pull(at: Point, done: bool) -> None:
            self.canvas.draft(DRAFT, [Line(points=np.array([start, at]), colour=AT_ENTRY)])
            if done:
                self._ask_length(lambda length_mm: self._take_scale(start, at, length_mm))

        return pull

    def _take_scale(self, start: Point, end: Point, length_mm: float) -> None:
        self.put_down()
        try:
            self.desk.correct(scale=KnownLength(start=start, end=end, length_mm=length_mm))
        except ValueError as error:
            self.desk.told.emit(str(error))

    def _pull_vertex(self, number: int, index: int) -> Callable[[Point, bool], None]:
        line = self._lines[number]

        def pull(at: Point, done: bool) -> None:
            self._take_line(number, move_point(line, index, at), done=done)

        return pull

    def _take_line(self, number: int, line: Points, *, done: bool = True) -> None:
        self._lines = [line if k == number else old for k, old in enumerate(self._lines)]
        (self.desk.correct if done else self.desk.preview)(outline=tuple(self._lines))
        self._show_vertices()

    def _double(self, viewer: Any, event: Any) -> None:
        at = self.canvas.pixel_at(event.position)
        if self.tool is Tool.WIRE:
            self.end_wire()
        elif self.tool is Tool.TARGET:
            self.end_target()
        elif self.tool is Tool.OUTLINE and self._lines:
            away = [float(np.min(np.hypot(*(line - at).T))) for line in self._lines]
            number = int(np.argmin(away))
            self._take_line(number, insert_point(self._lines[number], at))

    def _hover(self, viewer: Any, event: Any) -> None:
        self.mouse = self.canvas.pixel_at(event.position)
        self.hovered(self.mouse)
        if self.tool is Tool.WIRE and self._wire:
            drawn = [Line(points=piece, colour=AT_ENTRY) for piece in self._wire if len(piece) > 1]
            ahead = snap_path(self._costs(), _point(self._wire[-1][-1]), self._snapped(self.mouse))
            self.canvas.draft(DRAFT, [*drawn, Line(points=ahead, colour=TIP)])

        elif self.tool is Tool.TARGET and self.target.corners:
            self.target.show(self.mouse)

    def _click_wire(self, at: Point) -> None:
        at = self._snapped(at)
        self._wire.append(snap_path(self._costs(), _point(self._wire[-1][-1]), at) if self._wire else np.array([at]))
        drawn = [Line(points=piece, colour=AT_ENTRY) for piece in self._wire if len(piece) > 1]
        if drawn:
            self.canvas.draft(DRAFT, drawn)

    def _snapped(self, at: Point) -> Point:
        return nearest_edge(self._costs(), at, SNAP_PX / max(self.canvas.px_per_pixel, 1e-6))

    def _costs(self) -> EdgeCost:
        shown = self.desk.shown
        assert shown is not None
        if self._edges is None or self._edges[0] is not shown.frame:
            exposure, needle = shown.exposure, shown.needle
            image = shown.frame.pixels if exposure is None else exposure.attenuation
            hidden = None if needle is None else needle.footprint(image.shape, margin_px=3.0)
            self._edges = shown.frame, edge_cost(image, shown.frame.valid if exposure is None else exposure.field, hidden)
        return self._edges[1]

    def _vertex_at(self, at: Point) -> tuple[int, int] | None:
        best: tuple[float, int, int] | None = None
        for number, line in enumerate(self._lines):
            index = nearest_index(line, at)
            away = float(np.hypot(*(line[index] - at)))
            if best is None or away < best[0]:
                best = away, number, index
        return None if best is None or best[0] > self._reach() else best[1:]

    def _reach(self) -> float:
        return GRAB_PX / max(self.canvas.px_per_pixel, 1e-6)

    def _show_vertices(self) -> None:
        points = np.concatenate(self._lines) if self._lines else np.zeros((0, 2))
        self.canvas.dots(VERTICES, points, SEEN)


def _point(at: Points) -> Point:
    return float(at[0]), float(at[1])
