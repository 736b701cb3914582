"""What people did, with the buttons that take it back or let it stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from dashboard import wording
from dashboard.components import buttons, marks, panels, preview


def deed_table(rows: Sequence[Mapping[str, Any]], *, may_act: bool) -> html.Div:
    """The newest first."""
    heads = ["#Deed", "When", "Who", "What", "To", "How it went", "Goes back", *([""] if may_act else [])]
    return panels.table(heads, [_row(row, may_act) for row in rows], class_name="deeds cards")


def _row(row: Mapping[str, Any], may_act: bool) -> list[Any]:
    parameters = ", ".join(f"{name} {value}" for name, value in (row["parameters"] or {}).items() if value)
    what = html.Div(
        [html.Span(str(row["action"])), html.Div(html.Span(row["reason"] or "", className="dim wrap"))],
        title=parameters,
    )
    cells = [
        str(row["deed_id"]),
        marks.age(row["time"]),
        html.Span(row["who"], title=f"by way of {row['via']}"),
        what,
        wording.plural(row["target_count"], row["target_kind"]),
        preview.deed_state(row),
        _revert(row),
    ]
    return [*cells, buttons.row(*_buttons(row))] if may_act else cells


def _revert(row: Mapping[str, Any]) -> Any:
    kind, state = row.get("revert_kind"), row.get("revert_state")
    if not kind or kind in ("never", "none"):
        return html.Span("–", className="dim")
    when = f"at {wording.clock_time(row['revert_time'])[:16]} UTC" if row.get("revert_time") else "after test jobs"
    return html.Span(when if state in ("waiting", "", None) else f"{state}", title=when)


def _buttons(row: Mapping[str, Any]) -> list[Any]:
    can_undo = row.get("can_be_undone", bool(row.get("inverse")))
    made = []
    if can_undo and not row.get("undone_time") and row["state"] in ("done", "partly"):
        made.append(buttons.button("Undo", "undo", row["deed_id"], title=f"puts back: {_inverse(row)}"))
    if row.get("revert_state") == "waiting":
        made.append(
            buttons.button("Let it stay", "cancel-revert", row["deed_id"], title="it takes itself back no more")
        )
    return made


def _inverse(row: Mapping[str, Any]) -> str:
    return str(row.get("inverse") or "what was before")
