"""The review in a napari window: everything on the screen tied to the desk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QDialog, QDockWidget, QLabel, QSplitter, QVBoxLayout, QWidget

from marrowpoint.assessment import Assessment
from marrowpoint.errors import MarrowpointError
from marrowpoint.fluoroscopy.prior import BoneNetwork, load_network
from marrowpoint.review import Action
from marrowpoint.review.cache import AssessmentCache
from marrowpoint.review.launch import ReviewRequest, account_name, request_from_environment
from marrowpoint.review.session import State
from marrowpoint.study.epipolar import epipolar_line
from marrowpoint.study.group import zero_view_of
from napari_marrowpoint.analysis import Analysis
from napari_marrowpoint.banner import Banner
from napari_marrowpoint.canvas import Canvas, tell_scale
from napari_marrowpoint.desk import Desk
from napari_marrowpoint.frames import FrameList
from napari_marrowpoint.keys import FAR, KEYS, card
from napari_marrowpoint.layers import BONE, HANDLES, NEEDLE, THICKNESS, WORDS
from napari_marrowpoint.panel import Panel
from napari_marrowpoint.partner import PartnerView
from napari_marrowpoint.profile_form import ProfilePanel
from napari_marrowpoint.tools import Tool, Tools
from napari_marrowpoint.words import headline, row_state

if TYPE_CHECKING:
    import napari

NUDGE_PX, FAR_NUDGE_PX = 0.1, 1.0
TIP_ZOOM = 6.0  # screen pixels a frame pixel when the tip is shown large


class Review(QWidget):
    """The side panel, and through it the whole review of one window.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Named as napari wants it.
    request : ReviewRequest or None
    """

    def __init__(self, napari_viewer: napari.Viewer, request: ReviewRequest | None = None) -> None:
        super().__init__()
        self.viewer: Any = napari_viewer
        self.request = request or request_from_environment()
        self.desk: Desk | None = None
        self.analysis: Analysis | None = None
        self.tools: Tools | None = None
        self.canvas = Canvas(napari_viewer)
        self.banner, self.list, self.partner = Banner(), FrameList(), PartnerView()
        self.profile_panel = ProfilePanel(self.request.profile)
        self.panel = Panel(self.profile_panel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.panel)
        self._card: QDialog | None = None
        self._bare = self._moving = False
        self._dock()
        self._connect()
        self._bind_keys()

    def open(self, paths: list[Path], request: ReviewRequest | None = None) -> None:
        """Begin the review of files and folders; what was open is closed.

        Parameters
        ----------
        paths : list of Path
        request : ReviewRequest or None
            Ledger, profile and rater; those of the window if not given.
        """
        self.shut()
        self.request = request or self.request
        first = paths[0] if paths else None
        rater = self.request.rater or self.panel.rater.text().strip()
        asked = replace(self.request, folder=first, rater=rater)
        try:
            self.desk = Desk(asked, network=_network(self.say), cache=AssessmentCache.of_user())
        except MarrowpointError as error:
            self.banner.tell(None, error.text, "", "")
            return
        self._begin(self.desk)
        assert self.analysis is not None
        self.banner.tell(None, "Looking for frames \N{HORIZONTAL ELLIPSIS}", "", self.desk.ledger_note)
        self.analysis.open(paths)

    def shut(self) -> None:
        """End the review: threads stop after the frame at hand, the journal is free for the next window."""
        if self.analysis is not None:
            self.analysis.close()
        if self.tools is not None:
            self.tools.release()
        if self.desk is not None:
            self.desk.close()
        self.desk, self.analysis, self.tools = None, None, None
        self.list.model.empty()
        self.canvas.clear()

    def say(self, text: str) -> None:
        """A sentence in the line under the window and in the panel."""
        self.viewer.status = text
        self.panel.hint.setText(text)
        self.panel.hint.setVisible(bool(text))

    # what keys and buttons do

    def go_next(self) -> None:
        """Next frame."""
        self._step(1)

    def go_previous(self) -> None:
        """Previous frame."""
        self._step(-1)

    def go_open(self) -> None:
        """Next frame that this person has not reviewed."""
        if self.desk is not None and self.desk.place is not None:
            self._go(self.desk.session.next_not_reviewed(self.desk.place, self.desk.rater), "Every frame is reviewed.")

    def go_problem(self) -> None:
        """Next frame that needs a look first."""
        if self.desk is not None and self.desk.place is not None:
            self._go(self.desk.session.next_problem(self.desk.place), "No other problem.")

    def go_partner(self) -> None:
        """The other view of this needle."""
        if self.desk is not None and self.desk.place is not None:
            self._go(self.desk.session.partner(self.desk.place), "No other view of this needle was found.")

    def accept(self) -> None:
        """Accept, or end a live-wire, or sign a correction."""
        if self.tools is not None and self.tools.end_wire():
            return
        self._sign(Action.ACCEPT)

    def reject(self) -> None:
        """Ask why, then reject."""
        if self.desk is not None and self.desk.shown is not None:
            self.panel.offer_reasons()

    def flag(self) -> None:
        """Flag the frame."""
        self._sign(Action.FLAG, go_on=False)

    def comment(self) -> None:
        """Ask for a comment."""
        if self.desk is not None and self.desk.shown is not None:
            self.panel.ask("Comment", lambda text: self._sign(Action.COMMENT, text, go_on=False))

    def withdraw(self) -> None:
        """Take one's decision back."""
        self._sign(Action.WITHDRAW, go_on=False)

    def place_needle(self) -> None:
        """Draw a needle."""
        self._choose(Tool.NEEDLE)

    def edit_outline(self) -> None:
        """Pull points of the outline."""
        self._choose(Tool.OUTLINE)

    def draw_wire(self) -> None:
        """Draw along the cortex."""
        self._choose(Tool.WIRE)

    def set_scale(self) -> None:
        """Scale by two points."""
        self._choose(Tool.SCALE)

    def delete_point(self) -> None:
        """Remove an outline point."""
        if self.tools is not None:
            self.tools.delete_point()

    def confirm_outline(self) -> None:
        """The outline near the tip is right, or no longer said to be."""
        if self.desk is not None:
            self.desk.correct(outline_confirmed=None if self.desk.corrections.outline_confirmed else True)

    def toggle_end_on(self) -> None:
        """Whether the needle points along the beam."""
        if self.desk is not None and self.desk.shown is not None and self.desk.shown.needle is not None:
            self.desk.correct(end_on=not self.desk.shown.needle.end_on)

    def nudge_up(self, step: float = NUDGE_PX) -> None:
        """Tip up."""
        self._nudge(-step, 0.0)

    def nudge_down(self, step: float = NUDGE_PX) -> None:
        """Tip down."""
        self._nudge(step, 0.0)

    def nudge_left(self, step: float = NUDGE_PX) -> None:
        """Tip left."""
        self._nudge(0.0, -step)

    def nudge_right(self, step: float = NUDGE_PX) -> None:
        """Tip right."""
        self._nudge(0.0, step)

    def undo(self) -> None:
        """Take the last correction back."""
        if self.desk is not None and self.tools is not None:
            self.tools.put_down()
            self.desk.undo()

    def redo(self) -> None:
        """Make it again."""
        if self.desk is not None and self.tools is not None:
            self.tools.put_down()
            self.desk.redo()

    def escape(self) -> None:
        """Drop what is half done; then the tool; then the question."""
        if self.tools is not None and not self.tools.drop():
            self.tools.put_down()
        elif self.tools is not None:
            self.tools.resume()
        self.panel.leave()
        self.say("")

    def toggle_outline(self) -> None:
        """Outline."""
        self.canvas.toggle(BONE)

    def toggle_needle(self) -> None:
        """Needle."""
        self.canvas.set_shown([HANDLES], self.canvas.toggle(NEEDLE))

    def toggle_lengths(self) -> None:
        """Lengths."""
        self.canvas.toggle(WORDS)

    def toggle_thickness(self) -> None:
        """Thickness map."""
        shown = self.canvas.toggle(THICKNESS)
        if shown and THICKNESS not in self.canvas.layers:
            self.say("This frame has no thickness map.")

    def toggle_all(self) -> None:
        """Everything over the picture."""
        self._bare = not self._bare
        self.canvas.set_shown([BONE, NEEDLE, HANDLES, WORDS], not self._bare)

    def invert(self) -> None:
        """Black and white."""
        self.canvas.invert()

    def zoom_tip(self) -> None:
        """Tip large, or the whole picture."""
        needle = None if self.desk is None or self.desk.shown is None else self.desk.shown.needle
        if needle is None or self.canvas.px_per_pixel >= TIP_ZOOM * 0.99:
            self.viewer.reset_view()
        else:
            self.canvas.look_at(needle.tip, TIP_ZOOM)

    def show_why(self) -> None:
        """The reasons."""
        self.panel.tabs.setCurrentIndex(0)
        self.panel.why.verticalScrollBar().setValue(0)

    def show_partner(self) -> None:
        """The other view beside this one, or not."""
        self.partner.setVisible(not self.partner.isVisible())
        self._update_partner()

    def show_keys(self) -> None:
        """The card of the keys."""
        if self._card is None:
            self._card = _key_card(self)
        self._card.setVisible(not self._card.isVisible())

    # the screen follows the desk

    def _begin(self, desk: Desk) -> None:
        self.analysis = Analysis(desk, self)
        self.analysis.progressed.connect(self.list.progress)
        self.tools = Tools(self.viewer, desk, self.canvas, ask_length=self._ask_length, chosen=self.panel.show_tool)
        self.tools.hovered = self._show_epipolar
        desk.rows_changed.connect(self._rows_changed)
        desk.moved.connect(self._moved)
        desk.shown_changed.connect(self._shown)
        desk.partner_changed.connect(self._partner_changed)
        desk.told.connect(self.say)
        self.panel.rater.setText(desk.rater)
        self.panel.show_tool(Tool.LOOK)
        desk.partner_wanted = not self.partner.isHidden()

    def _rows_changed(self, rows: tuple[Any, ...]) -> None:
        self.list.put(rows)
        if self.desk is None:
            return
        if self.desk.place is not None and any(row.place == self.desk.place for row in rows):
            self._tell_banner(self.desk.shown)
            self.panel.show_history(self.desk.session.entries(self.desk.place))

    def _moved(self, place: int) -> None:
        assert self.desk is not None and self.tools is not None
        self._moving = True
        self.tools.put_down()
        self.panel.leave()
        self.list.show_place(place)
        if self.desk.frame is None:
            self.canvas.clear()
        else:
            self.canvas.show_picture(self.desk.picture, self.desk.frame)
            number = self.desk.frame.reference.frame_number
            if self.viewer.dims.ndim > 2 and self.viewer.dims.current_step[0] != number - 1:
                self.viewer.dims.set_current_step(0, number - 1)
            tell_scale(self.viewer, self.desk.frame.header_spacing)
        self._moving = False
        self.panel.show_history(self.desk.session.entries(place))
        self._update_partner()

    def _shown(self, shown: Assessment | None) -> None:
        assert self.desk is not None
        if shown is not None:
            self.canvas.show(shown, thin_below_mm=self.desk.profile.verdict.thin_below_mm)
            tell_scale(self.viewer, shown.calibration)
        self._tell_banner(shown)
        quick = self.tools is not None and self.tools.pulling
        if not quick:
            self.panel.show_assessment(shown, self.desk.corrections, self.desk.study())
            self._show_epipolar(None)

    def _tell_banner(self, shown: Assessment | None) -> None:
        assert self.desk is not None
        row = self.desk.row
        if row is None:
            return
        place = f"{row.place + 1} of {len(self.desk.session)}"
        note = f"{place}   {row.name}   {row_state(row)}"
        if not self.desk.corrections.empty:
            note += f"   corrected by {self.desk.corrections.set_by(*self.desk.corrections.fields_set)}, not signed yet"
        if shown is not None:
            self.banner.tell(shown.verdict.severity, shown.verdict.text, headline(shown), note)
        elif row.state is State.FAILURE:
            self.banner.tell(None, f"Cannot be read: {row.text}", "", note)
        else:
            self.banner.tell(None, "Being measured \N{HORIZONTAL ELLIPSIS}", "", note)

    def _update_partner(self) -> None:
        if self.desk is not None:
            self.desk.want_partner(wanted=not self.partner.isHidden())

    def _partner_changed(self, other: Assessment | None) -> None:
        self.partner.show_frame(other)
        self._show_epipolar(None)

    def _show_epipolar(self, point: tuple[float, float] | None) -> None:
        """Line of a point, or of the tip, in the other view."""
        shown, other = (None, None) if self.desk is None else (self.desk.shown, self.partner.assessment)
        if shown is None or other is None or self.partner.isHidden():
            return
        if point is None:
            point = None if shown.needle is None else shown.needle.tip
        line = None if point is None else epipolar_line(point, shown, other, zero_view_of((shown, other)))
        self.partner.show_line(line)

    # small things

    def _go(self, place: int | None, otherwise: str) -> None:
        if place is None or self.desk is None:
            self.say(otherwise)
        else:
            self.desk.go(place)

    def _step(self, step: int) -> None:
        if self.desk is not None and self.desk.place is not None:
            place = self.desk.place + step
            there = 0 <= place < len(self.desk.session)
            self._go(place if there else None, "This is the last frame." if step > 0 else "This is the first frame.")

    def _choose(self, tool: Tool) -> None:
        if self.tools is not None and self.desk is not None and self.desk.base is not None:
            self.tools.choose(tool)

    def _sign(self, action: Action, reason: str = "", *, go_on: bool = True) -> None:
        if self.desk is None:
            return
        if not self.desk.rater:
            self.panel.ask("Your name, for the ledger", lambda name: self._named(name, action, reason, go_on), account_name())
            return
        if self.desk.decide(action, reason) and go_on:
            self.go_open()

    def _named(self, name: str, action: Action, reason: str, go_on: bool) -> None:
        self._set_rater(name)
        self._sign(action, reason, go_on=go_on)

    def _set_rater(self, name: str) -> None:
        self.panel.rater.setText(name)
        if self.desk is not None:
            self.desk.rater = name
            self._tell_banner(self.desk.shown)

    def _nudge(self, rows: float, columns: float) -> None:
        if self.desk is not None and self.desk.shown is not None and self.desk.shown.needle is not None:
            row, column = self.desk.shown.needle.tip
            self.desk.correct(tip=(row + rows, column + columns))

    def _ask_length(self, answered: Any) -> None:
        def understood(text: str) -> None:
            try:
                answered(float(text.lower().replace("mm", "").replace(",", ".")))
            except ValueError:
                self.say(f"{text!r} is no length: write a number of mm.")

        self.panel.ask("True length in mm", understood)

    def _correct(self, **fields: Any) -> None:
        if self.desk is not None:
            self.desk.correct(**fields)

    def _use_profile(self, profile: Any) -> None:
        if self.desk is not None and self.analysis is not None:
            self.analysis.stop()
            self.desk.use_profile(profile)
            self.analysis.go_on_soon()

    def _slider(self) -> None:
        """The slider of a run chooses the frame."""
        desk = self.desk
        if self._moving or desk is None or desk.place is None or desk.row is None or self.viewer.dims.ndim < 3:
            return
        number = int(self.viewer.dims.current_step[0]) + 1
        if desk.row.number_of_frames > 1 and number != desk.row.frame_number:
            desk.go(desk.place + number - desk.row.frame_number)

    def _dock(self) -> None:
        beside = QSplitter(Qt.Orientation.Vertical)
        beside.addWidget(self.list)
        beside.addWidget(self.partner)
        self.partner.hide()
        window = self.viewer.window
        window.add_dock_widget(self.banner, name="Verdict", area="top", allowed_areas=["top", "bottom"])
        window.add_dock_widget(beside, name="Frames", area="left")

    def _connect(self) -> None:
        self.banner.clicked.connect(self.show_why)
        self.list.chosen.connect(lambda place: None if self.desk is None or place == self.desk.place else self.desk.go(place))
        self.list.stopped.connect(lambda: None if self.analysis is None else self.analysis.stop())
        self.panel.tool_chosen.connect(self._choose)
        self.panel.needle_set.connect(lambda outer_mm: self._correct(outer_diameter_mm=outer_mm))
        self.panel.view_set.connect(lambda kind: self._correct(view=kind))
        self.panel.side_set.connect(lambda side: self._correct(side=side))
        self.panel.pressed.connect(lambda does: getattr(self, does)())
        self.panel.rejected.connect(lambda reason: self._sign(Action.REJECT, reason))
        self.panel.rater_set.connect(self._set_rater)
        self.profile_panel.used.connect(self._use_profile)
        self.profile_panel.told.connect(self.say)
        self.viewer.dims.events.current_step.connect(self._slider)
        QTimer.singleShot(0, self._watch_window)

    def _bind_keys(self) -> None:
        for key in KEYS:
            for sequence in key.keys:
                self._bind(sequence, getattr(self, key.does))
        for does, sequence in FAR.items():
            self._bind(sequence, lambda does=does: getattr(self, does)(FAR_NUDGE_PX))

    def _bind(self, sequence: str, does: Any) -> None:
        shortcut = QShortcut(QKeySequence(sequence), self)
        shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
        shortcut.activated.connect(does)
        # napari's own menus know some of these keys; in a review they are ours
        shortcut.activatedAmbiguously.connect(does)

    def _watch_window(self) -> None:
        window = self.window()
        if window is not None and window is not self:
            window.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """End the review when the window closes."""
        if event.type() == QEvent.Type.Close and watched is self.window():
            self.shut()
        return bool(super().eventFilter(watched, event))


def open_review(viewer: Any, paths: list[Path], request: ReviewRequest | None = None) -> Review:
    """Open files and folders for review in a napari window; the window's review if it has one.

    Parameters
    ----------
    viewer : napari.Viewer
    paths : list of Path
    request : ReviewRequest or None

    Returns
    -------
    Review
    """
    _, review = viewer.window.add_plugin_dock_widget("marrowpoint", "Review")
    review.open(paths, request)
    found: Review = review
    return found


def make_room(viewer: Any) -> None:
    """Hide napari's own lists, which a review does not need; the View menu brings them back."""
    window = viewer.window.add_plugin_dock_widget("marrowpoint", "Review")[1].window()
    for dock in window.findChildren(QDockWidget):
        if dock.objectName() in ("layer controls", "layer list"):
            dock.hide()


def _network(say: Any) -> BoneNetwork | None:
    try:
        return load_network()
    except MarrowpointError as error:
        say(f"{error.text}; going on without the learned model")
        return None


def _key_card(parent: QWidget) -> QDialog:
    dialog = QDialog(parent)
    dialog.setWindowTitle("Keys")
    rows = "".join(
        f"<tr><td colspan=2><b>{group}</b></td></tr>"
        + "".join(f"<tr><td>{keys}&nbsp;&nbsp;</td><td>{what}</td></tr>" for keys, what in told)
        for group, told in card()
    )
    QVBoxLayout(dialog).addWidget(QLabel(f"<table>{rows}</table>"))
    return dialog
