"""The verdict of an incident: whose trouble it is, how sure that is, and the shares that say so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import html

from dashboard import wording
from dashboard.components import marks, panels
from dashboard.links import Links

NAMES = {
    "site": "Site",
    "task": "Task",
    "user": "User",
    "node": "Worker node",
    "storage": "Storage",
    "dataset": "Dataset",
    "data": "Data",
    "central": "Central service",
    "unclear": "Unclear",
}
_HEADS = ["Most of it is in", "Of these failures", "Of all that ended", "#Ratio", "Is it that?"]
_CONFIDENCE = {"strong": "strong: many jobs, far from usual", "fair": "fair", "weak": "weak: few jobs"}


def verdict_panel(answer: Mapping[str, Any], links: Links) -> html.Section:
    """Sentence, confidence, and one row for each dimension that was compared; before it is judged, who usually helps."""
    found, row = answer.get("verdict"), answer["incident"]
    owner = _owner_hint(answer.get("owner_hint") or "", row)
    if found is None:
        words = html.P("Not judged yet: that is done when it opens, and again as it goes on.", className="dim")
        return panels.panel("Whose trouble is it?", [words, owner])
    document = found["document"]
    head = html.P(
        [
            html.Strong(NAMES.get(found["verdict"], found["verdict"]), className="verdict-name"),
            html.Span(str(found["value"] or ""), className="mono verdict-value"),
            _confidence(document.get("confidence")),
        ],
        className="verdict-head",
    )
    sentence = html.P(found["sentence"], className="verdict-sentence") if found["sentence"] else None
    rows = [_dimension(one, links) for one in document.get("dimensions") or [] if one.get("value") not in (None, "")]
    table = panels.table(_HEADS, rows, class_name="verdict-table cards") if rows else None
    aside = html.Span(["judged ", marks.age(found["time"])], className="dim")
    return panels.panel("Whose trouble is it?", [head, sentence, table, _basis(document), owner], aside=aside)


def _confidence(name: Any) -> html.Span | None:
    if not name:
        return None
    return html.Span(str(name), className=f"chip confidence-{name}", title=_CONFIDENCE.get(str(name), ""))


def _owner_hint(owner: str, row: Mapping[str, Any]) -> html.P | None:
    """Step and class of the failure, and who usually mends such."""
    named = [("step", row.get("step")), ("class", row.get("error_class"))]
    chips = [
        html.Span([html.Span(name, className="chip-field"), value], className="chip") for name, value in named if value
    ]
    if not (chips or owner):
        return None
    words = html.Span(f"troubles of this class are usually mended by: {owner}", className="dim") if owner else None
    return html.P([*chips, words], className="verdict-class")


def _dimension(one: Mapping[str, Any], links: Links) -> list[Any]:
    name = str(one["dimension"])
    value: Any = marks.mono(one["value"])
    if name == "site":
        value = html.A(
            str(one["value"]),
            href=links.page("jobs", computing_site=one["value"], job_status="failed"),
            className="mono",
        )
    elif name == "task" and str(one["value"]).isdecimal():
        value = html.A(str(one["value"]), href=links.page("task", one["value"]), className="mono")
    elif name == "user":
        value = html.A(str(one["value"]), href=links.page("jobs", prod_user_name=one["value"], job_status="failed"))
    score = f"× {one['score']:.1f}" if one.get("score") is not None else "–"
    label = html.Div(NAMES.get(name, name), className="verdict-winner" if _wins(one) else None)
    return [
        html.Div([label, value], className="verdict-what"),
        _share(one["k"], one["p"], one["p_low"], one["p_high"], "share-of-failures"),
        _share(one["b"], one["q"], one["q_low"], one["q_high"], "share-of-all"),
        html.Span(score, title="lower bound of the first share over upper bound of the second"),
        _but(one),
    ]


def _wins(one: Mapping[str, Any]) -> bool:
    return bool(one.get("is_candidate")) and not one.get("explained_by")


def _share(count: int, part: float, low: float, high: float, class_name: str) -> html.Div:
    """A count with its share and the bounds of it, as words and as a bar whose pale end is the uncertainty."""
    title = f"between {wording.per_cent(low)} and {wording.per_cent(high)} with 95 % confidence"
    bar = html.Div(
        [
            html.Div(
                className="bound", style={"left": f"{100 * low:.1f}%", "width": f"{max(0.5, 100 * (high - low)):.1f}%"}
            ),
            html.Div(className="point", style={"left": f"{min(99.0, 100 * part):.1f}%"}),
        ],
        className=f"share-bounds {class_name}",
    )
    words = f"{wording.count(count)} · {wording.per_cent(part)}"
    bounds = html.Span(f"{wording.per_cent(low)}–{wording.per_cent(high)}", className="dim bounds-words")
    return html.Div([html.Span(words), bounds, bar], className="verdict-share", title=title)


def _but(one: Mapping[str, Any]) -> html.Div:
    """What speaks for or against it, and how much of what ended there failed like this."""
    rate = html.Div(f"{wording.count(one['k'])} of {wording.count(one['b'])} there failed", className="dim")
    if one.get("explained_by"):
        by = NAMES.get(one["explained_by"], one["explained_by"]).lower()
        others = f"of the others {wording.count(one['others_failed'])} of {wording.count(one['others'])}"
        words: Any = html.Span(f"explained by the {by}: {others}", className="dim")
    elif one.get("is_candidate"):
        words = html.Strong("far more than its part")
    else:
        words = html.Span("not more than usual", className="dim")
    return html.Div([words, rate], className="but")


def _basis(document: Mapping[str, Any]) -> html.P | None:
    n, ended, window = document.get("n"), document.get("ended"), document.get("window")
    if not n or not ended:
        return None
    words = f"{wording.count(n)} failures against {wording.count(ended)} jobs that ended meanwhile"
    when = f" ({wording.window(dict(window))})" if isinstance(window, Mapping) else ""
    note = "; some shares are estimated" if document.get("estimated") else ""
    return html.P(f"{words}{when}{note}.", className="dim verdict-basis")
