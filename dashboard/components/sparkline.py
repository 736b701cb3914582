"""A dozen counts as a small bar plot: one element, coloured by the text colour around it."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from dash import html

from dashboard.components.attributes import attributes

_HEIGHT = 24
_STEP = 7


def sparkline(values: Sequence[float], *, caption: str, colour: str = "currentColor") -> html.Span:
    """Bars, oldest first. `caption` is what a screen reader says and the tooltip shows."""
    return html.Span(
        role="img",
        title=caption,
        className="sparkline",
        style={
            "--bars": f'url("data:image/svg+xml,{quote(_drawing(values))}")',
            "width": f"{max(1, len(values)) * _STEP - 2}px",
            "color": colour,
        },
        **attributes(aria_label=caption),
    )


def _drawing(values: Sequence[float]) -> str:
    top = max([*values, 1])
    bars = []
    for index, value in enumerate(values):
        height = 1.5 if value <= 0 else max(3.0, _HEIGHT * value / top)
        bars.append(
            f'<rect x="{index * _STEP}" y="{_HEIGHT - height:.1f}" width="{_STEP - 2}" height="{height:.1f}" rx="1"/>'
        )
    width = max(1, len(values)) * _STEP - 2
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{_HEIGHT}">{"".join(bars)}</svg>'
