"""What two incidents have in common and what keeps them apart, part by part of their fingerprints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import html

from dashboard.components import marks, panels


def comparison(answer: Mapping[str, Any]) -> html.Div:
    """The sentence, then one row for each part; those that differ are marked."""
    one, other, words = answer["one"], answer["other"], answer["words"]
    is_alike = not (words["only_one"] or words["only_other"])
    rows = [
        _row(str(part["part"]).replace("_", " "), part["is_equal"], part["one"], part["other"])
        for part in answer["parts"]
    ]
    rows.append(_row("words", is_alike, " ".join(words["only_one"]), " ".join(words["only_other"])))
    rows.append(
        _row("failing line", one["culprit_line"] == other["culprit_line"], one["culprit_line"], other["culprit_line"])
    )
    heads = ["", "", f"Incident {one['incident_id']}", f"Incident {other['incident_id']}"]
    titles = [["title", "", one["title"], other["title"]], *rows]
    return html.Div(
        [html.P(answer["sentence"], className="verdict-sentence"), panels.table(heads, titles, class_name="cards")],
        className="preview",
    )


def _row(name: str, is_equal: bool, one: Any, other: Any) -> list[Any]:
    word = html.Span("same", className="dim") if is_equal else html.Strong("differs")
    return [name, word, marks.mono(one, class_name="wrap"), marks.mono(other, class_name="wrap")]
