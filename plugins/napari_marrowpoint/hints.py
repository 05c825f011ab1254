"""The tools of the mouse, and what the window says of each."""

from __future__ import annotations

from enum import StrEnum


class Tool(StrEnum):
    """What a pull of the mouse means."""

    LOOK = "look"
    NEEDLE = "needle"
    OUTLINE = "outline"
    WIRE = "wire"
    SCALE = "scale"
    TARGET = "target"


HINTS = {
    Tool.LOOK: "",
    Tool.NEEDLE: "Press at the tip, pull to the far end of the shaft.",
    Tool.OUTLINE: "Pull points of the outline. Double-click adds one, Delete removes the one under the mouse.",
    Tool.WIRE: "Click along the cortex. Return ends the line, Esc drops it.",
    Tool.SCALE: "Pull from one point to another whose distance you know.",
    Tool.TARGET: "Click the corners of where the contrast should be. Return closes, Delete takes away, Esc drops.",
}

# a press and a pull that changed nothing say so
STILL_THERE = "Nothing is changed: the point lies where it lay. Pull it; with Shift it goes a tenth as far as the mouse."
NOT_PULLED = {
    Tool.LOOK: STILL_THERE,
    Tool.NEEDLE: "No needle is drawn: press at the tip and pull to the far end of the shaft.",
    Tool.OUTLINE: STILL_THERE,
    Tool.WIRE: "",
    Tool.SCALE: "No length is drawn: press at one point and pull to the other.",
    Tool.TARGET: "",
}
