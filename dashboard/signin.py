"""Who is looking, and signing in with a token. The token travels in a cookie that scripts cannot read."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, ctx, html, no_update

from dashboard.context import SESSION_COOKIE, Monitor, visitor_headers
from dashboard.page import ADDRESS
from dashboard.visitors import token_of
from pandascope.errors import ClientError

HOW = (
    "To act here, sign in (top right) with the token of an operator: "
    "'panda token create --user NAME --vo VO --role operator' prints one."
)
_ACTING_ROLES = frozenset({"operator", "admin"})


def corner() -> html.Div:
    """The name of the visitor, or the way to sign in."""
    return html.Div([html.Button("Sign in", id="signin-open", className="text-button")], className="who")


def parts() -> list[Any]:
    """The dialogue."""
    return [
        dmc.Modal(
            [
                html.P(
                    "Paste a token. 'panda up' wrote the local user's one into panda.env in its data directory (PANDA_TOKEN); "
                    "'panda token create --user NAME --vo VO' prints another."
                ),
                dmc.PasswordInput(id="signin-token", label="Token", autoComplete="off"),
                html.Div(id="signin-problem", className="form-problem", role="alert"),
                dmc.Group(
                    [
                        dmc.Button("Sign out", id="signin-out", variant="subtle", color="gray"),
                        dmc.Button("Sign in", id="signin-go"),
                    ],
                    justify="flex-end",
                    mt="md",
                ),
            ],
            id="signin-dialogue",
            title="Sign in",
            centered=True,
        )
    ]


def may_act() -> bool:
    """Whether it makes sense to offer actions to the visitor; the API decides each time anew."""
    return bool(_ACTING_ROLES & set(claims(token_of(visitor_headers())).get("roles") or []))


def claims(token: str) -> dict[str, Any]:
    """What a token says about its bearer, unchecked: good for showing a name, for nothing else."""
    try:
        body = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (IndexError, ValueError, binascii.Error):
        return {}
    return found if isinstance(found, dict) else {}


def register(app: Dash, monitor: Monitor) -> None:
    """Connect the dialogue."""

    @app.callback(Output("signin-open", "children"), Output("signin-open", "title"), Input(ADDRESS, "pathname"))
    def name_visitor(_path: str | None) -> tuple[str, str]:
        known = claims(token_of(visitor_headers()))
        if not known:
            return "Sign in", "nobody is signed in"
        return str(known.get("name") or known.get("sub") or "somebody"), "roles: " + ", ".join(
            known.get("roles") or ["none"]
        )

    @app.callback(Output("signin-dialogue", "opened"), Input("signin-open", "n_clicks"), prevent_initial_call=True)
    def open_dialogue(_clicks: int | None) -> bool:
        return True

    @app.callback(
        Output("signin-problem", "children"),
        Output("signin-dialogue", "opened", allow_duplicate=True),
        Output("signin-token", "value"),
        Output("reload", "data"),
        Input("signin-go", "n_clicks"),
        Input("signin-token", "n_submit"),
        State("signin-token", "value"),
        prevent_initial_call=True,
    )
    async def sign_in(_clicks: int | None, _submits: int | None, text: str | None) -> tuple[Any, Any, Any, Any]:
        token = (text or "").strip()
        if not token.isascii() or len(token.split(".")) != 3 or any(sign in token for sign in " ;,\r\n"):
            return "This is not a token: it has three parts joined by dots.", no_update, no_update, no_update
        try:
            async with monitor.client_for({"authorization": f"Bearer {token}"}) as client:
                await client.endpoints()
        except ClientError as error:
            return str(error), no_update, no_update, no_update
        _set_cookie(token)
        return None, False, "", "signed in"

    @app.callback(
        Output("reload", "data", allow_duplicate=True), Input("signin-out", "n_clicks"), prevent_initial_call=True
    )
    def sign_out(_clicks: int | None) -> str:
        _set_cookie("")
        return "signed out"


def _set_cookie(value: str) -> None:
    age_s = 30 * 86_400 if value else 0
    ctx.response.set_cookie(SESSION_COOKIE, value, max_age=age_s, httponly=True, samesite="strict", path="/")
