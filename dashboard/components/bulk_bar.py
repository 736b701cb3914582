"""The bar that acts on every marked incident at once; each of its buttons leads to a preview."""

from __future__ import annotations

from dash import html

from dashboard.components import buttons

_DEEDS = (
    ("Acknowledge", "acknowledge-many", "you become their owner"),
    ("Assign", "assign-many", "ask somebody to look at them"),
    ("Silence", "silence-many", "tell nobody for a while"),
    ("Resolve", "resolve-many", "the trouble is over"),
    ("Reopen", "reopen-many", "it is not over"),
    ("Retry what was lost", "retry-many", "the tasks whose work they lost are tried again"),
)


def bulk_bar() -> html.Div:
    """How many are marked, and what can be done to them (assets/works.js counts)."""
    made = [buttons.button(words, work, buttons.MARKED, title=title) for words, work, title in _DEEDS]
    return html.Div(
        [
            html.Div([buttons.mark_all(), html.Span(className="bulk-count", role="status")], className="bulk-head"),
            html.Div(made, className="choices bulk-choices"),
        ],
        className="bulk-bar",
    )
