"""The one dialogue in which people act: it asks, shows what would follow, and does it when that is confirmed.

A button (components/buttons.py) names a work of `dashboard.pages.WORKS` or `dashboard.deeds.WORKS`. What is confirmed is
what was shown: answers that changed since are shown anew first, and so is a set that the server found changed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.exceptions import PreventUpdate

from dashboard import deeds
from dashboard.components import panels, preview
from dashboard.components.attributes import attributes
from dashboard.context import Monitor
from dashboard.page import AGAIN
from dashboard.pages import WORKS
from dashboard.works import Question, Shown, Work, shown_preview
from pandascope.errors import ClientError, Refused

REQUEST = "work"
"""The store in which the browser puts what was pressed: {"do", "to", "note"}."""
_BY_NAME = {work.name: work for work in (*WORKS, *deeds.WORKS)}
_FIELDS = {"answer": ALL}
_NO_FRAME = {"borderLeft": 0, "borderRight": 0, "borderBottom": 0, "minInlineSize": 0}
"""A fieldset, because that puts all its buttons out of reach at once."""
_DEAD = frozenset({"preview_outdated", "preview_used", "preview_expired", "preview_unknown", "preview_not_yours"})
"""Codes of previews that no confirmation can use any more (docs/actions.md)."""


def parts() -> list[Any]:
    """The dialogue and the place for what came of it."""
    return [
        dcc.Store(id=REQUEST),
        dcc.Store(id="dialogue-of"),
        dcc.Store(id="dialogue-shown"),
        dmc.Modal(
            [
                html.Div(id="dialogue-head"),
                html.Div(id="dialogue-questions", className="questions"),
                html.Div(id="dialogue-preview", className="dialogue-body", **attributes(aria_live="polite")),
                html.Fieldset(
                    [
                        html.Button("Cancel", id="dialogue-leave", className="button", type="button"),
                        html.Button(id="dialogue-try", className="button", type="button", hidden=True),
                        html.Button(id="dialogue-go", className="button button-main", type="button"),
                    ],
                    id="dialogue-end",
                    className="choices dialogue-end",
                    style=_NO_FRAME,
                ),
            ],
            id="dialogue",
            opened=False,
            centered=True,
            size="lg",
            className="dialogue",
        ),
        html.Div(
            [
                html.Div(id="outcome", role="status"),
                html.Button("×", className="outcome-close", title="put it away", type="button"),
            ],
            className="outcome",
        ),
    ]


def register(app: Dash, monitor: Monitor) -> None:
    """Connect it."""
    _register_opening(app, monitor)
    _register_showing(app, monitor)
    _register_doing(app, monitor)


def _register_opening(app: Dash, monitor: Monitor) -> None:
    @app.callback(
        Output("dialogue", "opened"),
        Output("dialogue", "title"),
        Output("dialogue", "size"),
        Output("dialogue-head", "children"),
        Output("dialogue-questions", "children"),
        Output("dialogue-preview", "children"),
        Output("dialogue-of", "data"),
        Output("outcome", "children"),
        Output(AGAIN, "data", allow_duplicate=True),
        Input(REQUEST, "data"),
        prevent_initial_call=True,
    )
    async def take_up(request: Mapping[str, Any] | None) -> Sequence[Any]:
        work = _BY_NAME.get(str((request or {}).get("do")))
        if request is None or work is None:
            raise PreventUpdate
        to = str(request.get("to") or "")
        try:
            async with monitor.client() as client:
                if work.is_instant:
                    came = await work.carry_out(client, to, {"note": str(request.get("note") or "").strip()})
                    return [*[no_update] * 7, _words(came), _again(work)]
                questions = [*work.questions, *(await work.ask(client, to) if work.ask else ())]
        except ClientError as error:
            return [*[no_update] * 7, panels.problem(error), no_update]
        head = html.P(work.sentence, className="dim") if work.sentence else None
        drawn = [_drawn(question, request) for question in questions]
        title = work.title.format(to=work.named(to))
        size = "xl" if work.is_wide else "lg"
        of = {"do": work.name, "to": to, "at": time.time()}
        return [True, title, size, head, drawn, panels.skeleton(90) if _shows(work) else None, of, None, no_update]

    @app.callback(
        Output("dialogue", "opened", allow_duplicate=True),
        Input("dialogue-leave", "n_clicks"),
        prevent_initial_call=True,
    )
    def leave(_clicks: int | None) -> bool:
        return False


def _register_showing(app: Dash, monitor: Monitor) -> None:
    @app.callback(
        Output("dialogue-preview", "children", allow_duplicate=True),
        Output("dialogue-shown", "data"),
        Output("dialogue-go", "children"),
        Output("dialogue-go", "disabled"),
        Output("dialogue-try", "children"),
        Output("dialogue-try", "hidden"),
        Input("dialogue-of", "data"),
        Input(_FIELDS, "value"),
        Input("dialogue-try", "n_clicks"),
        State(_FIELDS, "id"),
        State("dialogue-shown", "data"),
        prevent_initial_call=True,
    )
    async def show(
        of: Mapping[str, Any] | None, given: list[Any], _tries: Any, ids: list[Any], known: Mapping[str, Any] | None
    ) -> Sequence[Any]:
        work = _BY_NAME.get(str((of or {}).get("do")))
        if of is None or work is None:
            raise PreventUpdate
        values, is_asked = _values(given, ids), ctx.triggered_id == "dialogue-try"
        if not is_asked and known and known.get("at") == of["at"] and known.get("values") == values:
            raise PreventUpdate
        beside = [work.try_words, not work.try_words]
        if work.show is None or not (work.shows_at_once or is_asked):
            return [None, _known(of, values, Shown(None)), work.go, False, *beside]
        try:
            async with monitor.client() as client:
                shown = await work.show(client, of["to"], values)
        except ClientError as error:
            is_stuck = bool(work.shows_at_once)
            return [panels.problem(error), _known(of, values, Shown(None)), work.go, is_stuck, *beside]
        return [shown.body, _known(of, values, shown), shown.go or work.go, not shown.may_go, *beside]


def _register_doing(app: Dash, monitor: Monitor) -> None:
    @app.callback(
        Output("dialogue", "opened", allow_duplicate=True),
        Output("dialogue-preview", "children", allow_duplicate=True),
        Output("dialogue-shown", "data", allow_duplicate=True),
        Output("dialogue-go", "children", allow_duplicate=True),
        Output("dialogue-go", "disabled", allow_duplicate=True),
        Output("outcome", "children", allow_duplicate=True),
        Output(AGAIN, "data", allow_duplicate=True),
        Input("dialogue-go", "n_clicks"),
        State("dialogue-of", "data"),
        State("dialogue-shown", "data"),
        State(_FIELDS, "value"),
        State(_FIELDS, "id"),
        running=[(Output("dialogue-end", "disabled"), True, False)],
        prevent_initial_call=True,
    )
    async def go(
        clicks: int | None,
        of: Mapping[str, Any] | None,
        known: Mapping[str, Any] | None,
        given: list[Any],
        ids: list[Any],
    ) -> Sequence[Any]:
        work = _BY_NAME.get(str((of or {}).get("do")))
        if not clicks or of is None or work is None:
            raise PreventUpdate
        values = _values(given, ids)
        try:
            async with monitor.client() as client:
                if _shows(work) and not _is_of(known, of, values):
                    shown = await work.show(client, of["to"], values) if work.show else Shown(None)
                    return _anew(_changed(shown.body), of, values, shown, work)
                came = await work.carry_out(client, of["to"], {**values, "token": (known or {}).get("token", "")})
        except Refused as error:
            fresh = error.problem.get("preview") if error.code == "preview_outdated" else None
            if fresh is None:
                return _refused(error, is_dead=error.code in _DEAD)
            shown = shown_preview(fresh, accept_ended=work.accept_ended)
            body = [preview.difference(error.problem.get("difference") or []), shown.body]
            return _anew(body, of, values, shown, work)
        except ClientError as error:
            return _refused(error)
        return [False, None, None, no_update, no_update, _words(came), _again(work)]


def _anew(body: Any, of: Mapping[str, Any], values: Mapping[str, str], shown: Shown, work: Work) -> list[Any]:
    """What follows now, to be confirmed anew; of what is nobody's to touch any more there is nothing to confirm."""
    go = [shown.go or work.go, not shown.may_go]
    return [no_update, body, _known(of, values, shown), *go, no_update, no_update]


def _refused(error: ClientError, *, is_dead: bool = False) -> list[Any]:
    """Why nothing was done. `is_dead`: what was shown can never be confirmed again, so there is nothing to press."""
    return [no_update, panels.problem(error), no_update, no_update, is_dead or no_update, no_update, no_update]


def _shows(work: Work) -> bool:
    return work.show is not None and work.shows_at_once


def _is_of(known: Mapping[str, Any] | None, of: Mapping[str, Any], values: Mapping[str, str]) -> bool:
    """Whether what was shown is what would be done; the reason may still change."""
    if not known or known.get("at") != of["at"]:
        return False
    before = dict(known.get("values") or {})
    return {**before, "reason": ""} == {**values, "reason": ""}


def _known(of: Mapping[str, Any], values: Mapping[str, str], shown: Shown) -> dict[str, Any]:
    return {"at": of["at"], "values": dict(values), "token": shown.token}


def _changed(body: Any) -> list[Any]:
    words = html.Strong("Nothing was done yet: this is what follows from what you changed. Confirm again.")
    return [html.Div(words, className="problem stale", role="alert"), body]


def _values(given: Sequence[Any], ids: Sequence[Mapping[str, str]]) -> dict[str, str]:
    names = [str(one["answer"]) for one in ids]
    return {name: "" if value is None else str(value).strip() for name, value in zip(names, given, strict=True)}


def _again(work: Work) -> dict[str, Any]:
    return {"work": work.name, "at": time.time()}


def _words(came: Any) -> Any:
    return html.Div(html.Span(came), className="outcome-line") if isinstance(came, str) else came


def _drawn(question: Question, request: Mapping[str, Any]) -> Any:
    """A question as a field. The note that stands on the page is taken along as the comment."""
    value = question.value
    if question.name in ("comment", "reason") and not value:
        value = str(request.get("note") or "").strip()
    common: dict[str, Any] = {
        "id": {"answer": question.name},
        "label": question.label,
        "value": value,
        "debounce": True,
        "size": "sm",
        "description": question.hint or None,
    }
    if question.kind == "choice":
        data = [{"value": name, "label": words} for name, words in question.choices]
        return dmc.Select(data=data, allowDeselect=False, checkIconPosition="right", **common)
    if question.kind == "long":
        return dmc.Textarea(autosize=True, minRows=6, maxRows=22, className="wide-question", **common)
    return dmc.TextInput(autoComplete="off", **common)
