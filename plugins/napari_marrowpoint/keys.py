"""Every key of a review, in one table: what is bound and what the card shows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One thing to do by key.

    Parameters
    ----------
    does : str
        Name of the method of `commands.Commands`.
    keys : tuple of str
        As Qt writes them; any of them does it.
    what : str
        In words, for the card.
    group : str
        Heading on the card.
    """

    does: str
    keys: tuple[str, ...]
    what: str
    group: str


GO, SIGN, CORRECT, SHOW = "Go", "Sign", "Correct", "Show"

KEYS = (
    Key(does="go_next", keys=("Right", "PgDown"), what="next frame", group=GO),
    Key(does="go_previous", keys=("Left", "PgUp"), what="previous frame", group=GO),
    Key(does="go_open", keys=("N",), what="next not reviewed", group=GO),
    Key(does="go_problem", keys=("B",), what="next problem", group=GO),
    Key(does="go_partner", keys=("G",), what="go to the other view of this needle", group=GO),
    Key(does="go_event", keys=("J",), what="next event of the run", group=GO),
    Key(does="accept", keys=("A", "Return", "Enter"), what="accept, or sign your correction, and go on", group=SIGN),
    Key(does="reject", keys=("R",), what="reject, with a reason, and go on", group=SIGN),
    Key(does="flag", keys=("F",), what="flag for somebody else", group=SIGN),
    Key(does="comment", keys=("M",), what="comment", group=SIGN),
    Key(does="withdraw", keys=("U",), what="take your decision or flag back", group=SIGN),
    Key(does="accept_run", keys=("Shift+A",), what="run: accept, or sign your target", group=SIGN),
    Key(does="reject_run", keys=("Shift+R",), what="run: reject, with a reason", group=SIGN),
    Key(does="comment_run", keys=("Shift+M",), what="run: comment", group=SIGN),
    Key(does="withdraw_run", keys=("Shift+U",), what="run: take your decision back", group=SIGN),
    Key(does="place_needle", keys=("T",), what="draw the needle: press at the tip, pull to the shaft's far end", group=CORRECT),
    Key(does="edit_outline", keys=("O",), what="outline: pull points; double-click adds, Delete removes", group=CORRECT),
    Key(does="draw_wire", keys=("W",), what="live-wire: click along the cortex, Return ends", group=CORRECT),
    Key(does="set_scale", keys=("S",), what="scale: pull between two points, type the mm", group=CORRECT),
    Key(does="draw_target", keys=("D",), what="run: target of the contrast; Return closes, Delete removes", group=CORRECT),
    Key(does="confirm_outline", keys=("K",), what="the outline near the tip is right", group=CORRECT),
    Key(does="toggle_end_on", keys=("E",), what="needle points along the beam", group=CORRECT),
    Key(
        does="delete_point",
        keys=("Del", "Backspace"),
        what="remove the outline point under the mouse",
        group=CORRECT,
    ),
    Key(does="nudge_up", keys=("Shift+Up",), what="tip up by 0.1 px (with Ctrl: 1 px)", group=CORRECT),
    Key(does="nudge_down", keys=("Shift+Down",), what="tip down", group=CORRECT),
    Key(does="nudge_left", keys=("Shift+Left",), what="tip left", group=CORRECT),
    Key(does="nudge_right", keys=("Shift+Right",), what="tip right", group=CORRECT),
    Key(does="undo", keys=("Ctrl+Z",), what="undo", group=CORRECT),
    Key(does="redo", keys=("Ctrl+Y", "Ctrl+Shift+Z"), what="do again", group=CORRECT),
    Key(does="escape", keys=("Esc",), what="cancel what is half done", group=CORRECT),
    Key(does="toggle_outline", keys=("1",), what="outline", group=SHOW),
    Key(does="toggle_needle", keys=("2",), what="needle and distance", group=SHOW),
    Key(does="toggle_lengths", keys=("3",), what="lengths", group=SHOW),
    Key(does="toggle_thickness", keys=("4",), what="thickness of the bone", group=SHOW),
    Key(does="toggle_subtracted", keys=("5",), what="run: what came since before contrast", group=SHOW),
    Key(does="toggle_before", keys=("6",), what="run: the picture before contrast", group=SHOW),
    Key(does="toggle_followed", keys=("7",), what="run: contrast and tip as followed", group=SHOW),
    Key(does="toggle_all", keys=("H",), what="the bare picture", group=SHOW),
    Key(does="invert", keys=("I",), what="swap black and white", group=SHOW),
    Key(does="zoom_tip", keys=("Z",), what="the tip, large; again: the whole picture", group=SHOW),
    Key(does="show_why", keys=("Y",), what="why: reasons, numbers, what is missing", group=SHOW),
    Key(does="show_partner", keys=("P",), what="the other view beside it", group=SHOW),
    Key(does="export", keys=("X",), what="save record and overlay of this frame", group=SHOW),
    Key(does="show_keys", keys=("F1", "?"), what="this card", group=SHOW),
)

# the same with Ctrl moves ten times as far
FAR = {f"nudge_{way.lower()}": f"Ctrl+Shift+{way}" for way in ("Up", "Down", "Left", "Right")}


def card() -> list[tuple[str, list[tuple[str, str]]]]:
    """Headings with their keys and what they do."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for key in KEYS:
        groups.setdefault(key.group, []).append((" or ".join(key.keys), key.what))
    return list(groups.items())
