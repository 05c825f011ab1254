"""The review in a napari window: everything on the screen tied to the desk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from qtpy.QtWidgets import QMainWindow, QSizePolicy, QSplitter, QVBoxLayout, QWidget

from marrowpoint.assessment import Assessment
from marrowpoint.errors import MarrowpointError
from marrowpoint.frame import Calibration
from marrowpoint.review import Action
from marrowpoint.review.cache import AssessmentCache
from marrowpoint.review.launch import ReviewRequest, request_from_environment
from marrowpoint.review.session import State
from marrowpoint.verdict import Code
from napari_marrowpoint.analysis import Analysis, network_or_none
from napari_marrowpoint.banner import Banner
from napari_marrowpoint.canvas import Canvas
from napari_marrowpoint.commands import Commands
from napari_marrowpoint.desk import Desk
from napari_marrowpoint.frames import FrameList
from napari_marrowpoint.hints import Tool
from napari_marrowpoint.layers import PICTURE
from napari_marrowpoint.pane import Pane
from napari_marrowpoint.panel import Panel
from napari_marrowpoint.partner import PartnerView
from napari_marrowpoint.profile_form import ProfilePanel
from napari_marrowpoint.run_panel import RunPanel, show_counts
from napari_marrowpoint.run_review import RunReview
from napari_marrowpoint.scene import count_frames, scale_note
from napari_marrowpoint.tools import Tools
from napari_marrowpoint.words import headline, row_state

if TYPE_CHECKING:
    import napari

PARTNER_SHARE = 0.21  # of the window's width: the other view, where it is shown
LAYOUT_MS = 50  # until a dock that came or went has its place
RUN_SHARE, RUN_PX = 0.24, (170, 340)  # of the window's height: the dock of a run, and its limits [px]


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
        self._moving = self._docked = False
        self._told_scale: Calibration | None = None
        self.viewer: Any = napari_viewer
        self.request = request or request_from_environment()
        self.desk: Desk | None = None
        self.analysis: Analysis | None = None
        self.tools: Tools | None = None
        self.canvas = Canvas(napari_viewer)
        self.banner, self.list, self.partner = Banner(), FrameList(), PartnerView()
        self.profile_panel = ProfilePanel(self.request.profile)
        self.panel, self.run_panel = Panel(self.profile_panel), RunPanel()
        self.runs = RunReview(self.canvas, self.run_panel, self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.panel)
        # as high as the window: the reasons take what is left
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.commands = Commands(self)
        self._dock()
        self._connect()
        self.commands.bind()

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
            self.desk = Desk(asked, network=network_or_none(self.say), cache=AssessmentCache.of_user())
        except MarrowpointError as error:
            self.banner.tell(None, error.text, "", "")
            return
        self.profile_panel.load(asked.profile)
        self._begin(self.desk)
        assert self.analysis is not None
        self.banner.tell(None, "Looking for frames \N{HORIZONTAL ELLIPSIS}", "", self.desk.ledger_note)
        self.analysis.open(paths)

    def open_examples(self, chosen: dict[Code, Assessment]) -> None:
        """Begin a review of drawn examples."""
        self.shut()
        self.desk = Desk(replace(self.request, folder=None, rater=self.panel.rater.text().strip()))
        self._begin(self.desk)
        for code, example in chosen.items():
            self.desk.give(f"examples/{code.value.replace('_', ' ')}", example)

    def shut(self) -> None:
        """End the review: threads stop after the frame at hand, the journal is free for the next window."""
        if self.analysis is not None:
            self.analysis.close()
        if self.tools is not None:
            self.tools.release()
        if self.desk is not None:
            self.desk.close()
        self.runs.detach()
        self.say("")
        show_counts(self.window(), shown=True)
        self.desk, self.analysis, self.tools = None, None, None
        self.list.model.empty()
        self.canvas.clear()

    def say(self, text: str) -> None:
        """A sentence in the line under the window and in the panel."""
        self.viewer.status = text
        self.panel.hint.setText(text)
        self.panel.hint.setVisible(bool(text))

    # the screen follows the desk

    def _begin(self, desk: Desk) -> None:
        self.analysis = Analysis(desk, self)
        self.analysis.progressed.connect(self.list.progress)
        self.tools = Tools(self.viewer, desk, self.canvas, ask_length=self._ask_length, chosen=self._show_tool)
        self.tools.hovered = self._show_epipolar
        self.tools.target.drawn = self.runs.take_target
        desk.rows_changed.connect(self._rows_changed)
        desk.moved.connect(self._moved)
        desk.regrouped.connect(self._regrouped)
        desk.shown_changed.connect(self._shown)
        desk.partner_changed.connect(self._partner_changed)
        desk.told.connect(self.say)
        self.runs.attach(desk, self.analysis.held)  # after ours: the picture lies there already
        self.panel.rater.setText(desk.rater)
        self.panel.show_tool(Tool.LOOK)
        desk.partner_wanted = not self.partner.isHidden()

    def _show_tool(self, tool: Tool) -> None:
        self.panel.show_tool(tool)
        self.run_panel.show_tool(drawing=tool is Tool.TARGET)

    def _rows_changed(self, rows: tuple[Any, ...]) -> None:
        self.list.put(rows)
        if self.desk is None:
            return
        if self.desk.place is not None and any(row.place == self.desk.place for row in rows):
            self.tell_banner(self.desk.shown)
            self.panel.show_history(self.desk.session.entries(self.desk.place))

    def _moved(self, place: int) -> None:
        assert self.desk is not None and self.tools is not None
        self.tools.put_down()
        self.panel.leave()
        self.list.show_place(place)
        self._show_picture()
        self.panel.show_history(self.desk.session.entries(place))
        self.update_partner()

    def _show_picture(self) -> None:
        desk = self.desk
        self._moving = True
        if desk is None or desk.frame is None:
            self.canvas.clear()
        else:
            self.canvas.show_picture(desk.picture, desk.frame)
            self._stay()
            self._tell_scale()
        self._moving = False

    def _stay(self) -> None:
        """The slider at the frame on the screen: napari puts it into the middle where a picture is laid anew."""
        row = None if self.desk is None else self.desk.row
        if row is not None and self.viewer.dims.ndim > 2 and self.viewer.dims.current_step[0] != row.run_index:
            self.viewer.dims.set_current_step(0, row.run_index)

    def _regrouped(self) -> None:
        """The frame on the screen is one of other stills than before: their slider, and what is drawn over it."""
        self._show_picture()
        self._shown(None if self.desk is None else self.desk.shown)

    def _shown(self, shown: Assessment | None) -> None:
        assert self.desk is not None
        if shown is not None:
            self._moving = True  # with another scale the picture is laid anew
            self.canvas.show(shown, thin_below_mm=self.desk.profile.verdict.thin_below_mm)
            self._stay()
            self._moving = False
            if shown.calibration != self._told_scale:
                self._tell_scale()
        self.tell_banner(shown)
        quick = self.tools is not None and self.tools.pulling
        if not quick:
            self.panel.show_assessment(shown, self.desk.corrections, self.desk.study())
            self._show_epipolar(None)

    def _tell_scale(self) -> None:
        desk = self.desk
        if desk is not None and desk.frame is not None and desk.row is not None:
            calibration = desk.frame.header_spacing if desk.shown is None else desk.shown.calibration
            self._told_scale = calibration
            place, kind = (desk.row.run_index + 1, len(desk.row.run_places)), "still" if desk.row.stills else "frame"
            self.pane.tell(scale_note(calibration, place, self.runs.time_s, self.runs.note, kind))
            count_frames(self.viewer, place)
            show_counts(self.window(), shown=False)

    def _run_changed(self) -> None:
        if self.run_dock.isHidden() == self.runs.followable:
            self.run_dock.setVisible(self.runs.followable)
            QTimer.singleShot(LAYOUT_MS, self._refit)
        self._tell_scale()

    def _refit(self) -> None:
        """The dock of a run took room from the picture, or gave it back."""
        if self.desk is not None and PICTURE in self.canvas.layers:
            self.viewer.reset_view()

    def tell_banner(self, shown: Assessment | None) -> None:
        """Verdict, length and state of the review."""
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

    def update_partner(self) -> None:
        """Show the other view beside this one, where that is wanted."""
        if self.desk is not None:
            self.desk.want_partner(wanted=not self.partner.isHidden())

    def _partner_changed(self, other: Assessment | None) -> None:
        self.partner.show_frame(other)
        self._show_epipolar(None)

    def _show_epipolar(self, point: tuple[float, float] | None) -> None:
        """Line of a point, or of the tip, in the other view."""
        if self.desk is not None and self.desk.shown is not None:
            self.partner.follow(point, self.desk.shown)

    # small things

    def set_rater(self, name: str) -> None:
        """Who reviews from now on."""
        self.panel.rater.setText(name)
        if self.desk is not None:
            self.desk.rater = name
            self.tell_banner(self.desk.shown)

    def _ask_length(self, answered: Any) -> None:
        self.panel.ask_mm("True length in mm", answered)

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
        if not self._moving and self.desk is not None and self.viewer.dims.ndim > 2:
            self.runs.go(int(self.viewer.dims.current_step[0]))

    def _dock(self) -> None:
        beside = QSplitter(Qt.Orientation.Vertical)
        beside.addWidget(self.list)
        beside.addWidget(self.partner)
        self.partner.hide()
        window = self.viewer.window
        window.add_dock_widget(self.banner, name="Verdict", area="top", allowed_areas=["top", "bottom"])
        window.add_dock_widget(beside, name="Frames", area="left")
        self.run_dock = window.add_dock_widget(self.run_panel, name="Run", area="bottom")
        self.run_dock.hide()
        self.pane = Pane(self.banner.window(), self.canvas)

    def _connect(self) -> None:
        self.banner.clicked.connect(self.commands.show_why)
        self.list.chosen.connect(lambda place: None if self.desk is None or place == self.desk.place else self.desk.go(place))
        self.list.stopped.connect(lambda: None if self.analysis is None else self.analysis.stop())
        self.panel.tool_chosen.connect(self.commands.choose)
        self.panel.needle_set.connect(lambda outer_mm: None if self.desk is None else self.desk.declare_needle(outer_mm))
        self.panel.view_set.connect(lambda kind: self._correct(view=kind))
        self.panel.side_set.connect(lambda side: self._correct(side=side))
        self.panel.pressed.connect(self.commands.do)
        self.panel.rejected.connect(lambda reason: self.commands.sign(Action.REJECT, reason))
        self.panel.rater_set.connect(self.set_rater)
        self.run_panel.pressed.connect(self.commands.do)
        self.runs.changed.connect(self._run_changed)
        self.profile_panel.used.connect(self._use_profile)
        self.profile_panel.told.connect(self.say)
        self.viewer.dims.events.current_step.connect(self._slider)
        QTimer.singleShot(0, self._watch_window)

    def _watch_window(self) -> None:
        window = self.window()
        if window is not None and window is not self:
            window.installEventFilter(self)
            if isinstance(window, QMainWindow):  # the reasons keep their height beside a run
                window.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
            self._fit()

    def _fit(self) -> None:
        """A larger window has larger words and a larger second picture."""
        height = self.window().height()
        self.banner.fit(height)
        self.run_panel.setFixedHeight(round(min(max(RUN_SHARE * height, RUN_PX[0]), RUN_PX[1])))
        self.partner.setMinimumWidth(round(PARTNER_SHARE * self.window().width()))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """End the review when the window closes; follow its size."""
        if watched is self.window() and event.type() == QEvent.Type.Close:
            self.shut()
        elif watched is self.window() and event.type() == QEvent.Type.Resize:
            self._fit()
        return bool(super().eventFilter(watched, event))

    def event(self, event: QEvent) -> bool:
        """End the review when napari takes the panel out of its window."""
        if event.type() == QEvent.Type.ParentChange:
            if self._docked and self.parent() is None:
                self.shut()
            self._docked = self.parent() is not None
        return bool(super().event(event))
