"""A drawing as SVG inside a page."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from marrowpoint.audit.drawing import Box, Dot, Drawing, Line, Mark, Words

HATCH = Markup(
    '<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs><pattern id="hatch" width="7" height="7" '
    'patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="3" height="7" fill="#fff" fill-opacity=".45"/>'
    "</pattern></defs></svg>"
)
"""Stands once in a page, before the first drawing."""


def to_svg(drawing: Drawing) -> Markup:
    """Markup of a drawing; every text in it is escaped.

    Parameters
    ----------
    drawing : Drawing

    Returns
    -------
    markupsafe.Markup
        One ``<svg>`` element that scales with its box.
    """
    head = Markup('<svg class="chart" viewBox="0 0 {:g} {:g}" role="img" aria-label="{}">').format(
        drawing.width, drawing.height, drawing.title
    )
    return head + Markup("").join(part for mark in drawing.marks for part in _mark(mark)) + Markup("</svg>")


def _mark(mark: Mark) -> Iterator[Markup]:
    if isinstance(mark, Line):
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in mark.points)
        dash = Markup(' stroke-dasharray="5 4"') if mark.dashed else Markup("")
        yield Markup('<polyline points="{}" fill="none" stroke="{}" stroke-width="{:g}"{}/>').format(
            points, mark.colour, mark.width, dash
        )
    elif isinstance(mark, Box):
        place = Markup('x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"').format(mark.x, mark.y, mark.width, mark.height)
        yield Markup('<rect {} fill="{}"/>').format(place, mark.colour)
        if mark.hatched:
            yield Markup('<rect {} fill="url(#hatch)"/>').format(place)
    elif isinstance(mark, Dot):
        yield Markup('<circle cx="{:.1f}" cy="{:.1f}" r="{:g}" fill="{}" stroke="#fff" stroke-width=".8"/>').format(
            mark.x, mark.y, mark.radius, mark.colour
        )
    elif isinstance(mark, Words):
        weight = Markup(' font-weight="700"') if mark.bold else Markup("")
        yield Markup('<text x="{:.1f}" y="{:.1f}" font-size="{:g}" fill="{}" text-anchor="{}"{}>{}</text>').format(
            mark.x, mark.y, mark.size, mark.colour, mark.anchor, weight, mark.text
        )
