"""Curves over time around a line at zero, drawn without Plotly: a page of which they are the only plot is there at once.

Knows names, times and numbers; not what they mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil, floor, log10

from dash import html

from dashboard import palette, wording
from dashboard.components.still import Still, Tree

_WIDTH, _HEIGHT = 1000, 200
"""Of the drawing, which is stretched to its place."""
_LEAST_SPAN = timedelta(hours=1)
_LEAST_TOP = 2.0
_MOST_TICKS = 5
_STEPS_OF_TIME_S = (600, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86_400)

Curve = Sequence[tuple[datetime, float]]


def curves(given: Mapping[str, Sequence[tuple[str, float]]], *, unit: str) -> html.Div | None:
    """Curves of (time, value) by name; the legend says where each stands now. None without a point."""
    read = {name: _read(points) for name, points in given.items()}
    shown = {name: points for name, points in read.items() if points}
    if not shown:
        return None
    last = max(points[-1][0] for points in shown.values())
    first = min(*(points[0][0] for points in shown.values()), last - _LEAST_SPAN)
    values = [value for points in shown.values() for _, value in points]
    ticks = _ticks(min(*values, -_LEAST_TOP), max(*values, _LEAST_TOP))
    place = _Place(first, last, ticks[0], ticks[-1])
    colours = {name: palette.SERIES[index % len(palette.SERIES)] for index, name in enumerate(shown)}
    lines = [_line(name, points, colours[name], place, unit) for name, points in shown.items()]
    drawing: Tree = ["svg", {"viewBox": f"0 0 {_WIDTH} {_HEIGHT}", "preserveAspectRatio": "none"}, lines]
    field = html.Div([*(_tick(value, place, unit) for value in ticks), Still([drawing])], className="curves-field")
    times = html.Div([_time(at, place) for at in _times(first, last)], className="curves-times")
    legend = html.Ul([_entry(name, points[-1][1], colours[name], unit) for name, points in shown.items()])
    return html.Div([legend, field, times], className="curves")


class _Place:
    """Where a time and a value stand in the drawing, as parts of one."""

    def __init__(self, first: datetime, last: datetime, bottom: float, top: float) -> None:
        self._first, self._span = first, last - first
        self._bottom, self._height = bottom, top - bottom

    def x(self, at: datetime) -> float:
        return (at - self._first) / self._span

    def y(self, value: float) -> float:
        return (value - self._bottom) / self._height


def _read(points: Sequence[tuple[str, float]]) -> Curve:
    return [(at, value) for at, value in ((wording.moment(text), value) for text, value in points) if at is not None]


def _ticks(least: float, most: float) -> list[float]:
    """Round numbers around all values, zero among them."""
    rough = (most - least) / (_MOST_TICKS - 1)
    size = 10.0 ** floor(log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
    return [index * step for index in range(floor(least / step), ceil(most / step) + 1)]


def _times(first: datetime, last: datetime) -> list[datetime]:
    step = next((size for size in _STEPS_OF_TIME_S if (last - first).total_seconds() / size <= 6), 86_400)
    begin = ceil(first.timestamp() / step) * step
    return [datetime.fromtimestamp(at, last.tzinfo) for at in range(begin, int(last.timestamp()) + 1, step)]


def _line(name: str, points: Curve, colour: str, place: _Place, unit: str) -> Tree:
    # a single point is a line without length, which round ends make a dot
    drawn = list(points) if len(points) > 1 else [points[0], points[0]]
    where = " ".join(f"{_WIDTH * place.x(at):.1f},{_HEIGHT * (1 - place.y(value)):.1f}" for at, value in drawn)
    look = {"points": where, "stroke": colour, "strokeWidth": 2 if len(points) > 2 else 7, "fill": "none"}
    look |= {"vectorEffect": "non-scaling-stroke", "strokeLinecap": "round", "strokeLinejoin": "round"}
    low, high = min(value for _, value in points), max(value for _, value in points)
    words = f"{name}: between {_signed(low)} and {_signed(high)} {unit}, now {_signed(points[-1][1])} {unit}"
    return ["polyline", look, [["title", {}, [words]]]]


def _tick(value: float, place: _Place, unit: str) -> html.Div:
    kind = "curves-tick" if value else "curves-tick curves-zero"
    return html.Div(
        html.Span(f"{_signed(value)} {unit}"), className=kind, style={"bottom": f"{100 * place.y(value):.2f}%"}
    )


def _time(at: datetime, place: _Place) -> html.Span:
    return html.Span(f"{at:%H:%M}", style={"left": f"{100 * place.x(at):.2f}%"})


def _entry(name: str, now: float, colour: str, unit: str) -> html.Li:
    swatch = html.Span(className="curves-swatch", style={"background": colour})
    return html.Li([swatch, name, html.Span(f"{_signed(now)} {unit}", className="dim")])


def _signed(value: float) -> str:
    return f"{value:+.3g}" if value else "0"
