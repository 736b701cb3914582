"""The page where a person confirms the code that a program shows (RFC 8628, 3.3). Knows who may confirm what; no SQL.

A person is known by the session cookie of the monitor or by a token pasted into the form. Another site can neither make a
browser confirm (same-origin check, and a form token sealed for this browser and code) nor frame the page.
"""

from __future__ import annotations

import hmac
import secrets
import time
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from api.addresses import address_of
from api.auth.html import code_form, decision_form, facts, page, paragraph
from api.bodies import parse_form, refuse_nul
from api.identity.access import SESSION_COOKIE, Gate
from api.identity.external import peek
from api.identity.issuer import Issuer
from api.identity.names import user_name_of
from api.operations import Services
from core import device_codes
from core.device_codes import DeviceRequest
from core.errors import NotAllowed, PandaError, Unavailable

_COOKIE = "panda_device"
_FORM_AGE_S = 1800


class DevicePage:
    """The page of one installation."""

    def __init__(self, services: Services, gate: Gate, issuer: Issuer) -> None:
        self._services = services
        self._gate = gate
        self._issuer = issuer

    def show(self, request: Request, body: bytes) -> Response:
        """What a code asks for, with the way to confirm or deny it; without a code, where to type one."""
        user_code = request.query_params.get("user_code", "").strip()[:40]
        refuse_nul(user_code, "user_code")
        if not user_code:
            return page("Connect a program", paragraph("Type the code that the program shows.") + code_form())
        asked = device_codes.look_up(self._services.database, user_code, address_of(request))
        return self._question(request, user_code, asked)

    def decide(self, request: Request, body: bytes) -> Response:
        """Take the confirmation or denial."""
        form = {name: value for name, value in parse_form(body).items() if isinstance(value, str)}
        refuse_nul(form, "")
        user_code = form.get("user_code", "").strip()[:40]
        self._refuse_other_sites(request, form, user_code)
        database, address = self._services.database, address_of(request)
        if form.get("decision") == "deny":
            device_codes.decide(database, user_code, address, is_approved=False, identity={})
            return page("Denied", paragraph("The program gets no access. You can close this page.", "note good"))
        if form.get("decision") != "approve":
            raise NotAllowed("the form says neither confirm nor deny", field="decision", remedy="use its buttons")
        asked = device_codes.look_up(database, user_code, address)
        try:
            identity = self._identity(form.get("token", "").strip() or request.cookies.get(SESSION_COOKIE, ""), asked)
        except NotAllowed as error:
            return self._question(request, user_code, asked, refusal=error)
        device_codes.decide(database, user_code, address, is_approved=True, identity=identity)
        name = str(identity["user_name"])
        said = f"The program now acts as {name}. Go back to it; you can close this page."
        return page("Confirmed", paragraph(said, "note good"))

    def _question(
        self, request: Request, user_code: str, asked: DeviceRequest, refusal: NotAllowed | None = None
    ) -> Response:
        signed_in = ""
        try:
            signed_in = str(self._identity(request.cookies.get(SESSION_COOKIE, ""), asked)["user_name"])
        except NotAllowed as error:
            if refusal is None and request.cookies.get(SESSION_COOKIE):
                refusal = error
        known = [
            ("Code", user_code.upper()),
            ("Organisation", asked.vo),
            ("Role", asked.role or "none, a plain user"),
            ("Client", asked.client_id),
            ("Asked from", f"{asked.address or 'unknown'}, {asked.creation_time:%Y-%m-%d %H:%M} UTC"),
        ]
        known += [("You are", signed_in)] if signed_in else []
        nonce = request.cookies.get(_COOKIE) or secrets.token_urlsafe(24)
        content = (
            (paragraph(f"{refusal.detail}. {refusal.remedy.capitalize()}.", "note") if refusal else "")
            + paragraph("A program asks to act in your name. Confirm only if you started it and it shows this code.")
            + facts(known)
            + decision_form(user_code, self._form_token(nonce, user_code), asks_for_token=not signed_in, vo=asked.vo)
        )
        response = page("Confirm a program", content, 403 if refusal and request.method == "POST" else 200)
        is_https = request.url.scheme == "https"
        response.set_cookie(_COOKIE, nonce, path="/auth", httponly=True, samesite="strict", secure=is_https)
        return response

    def _identity(self, text: str, asked: DeviceRequest) -> dict[str, Any]:
        """The claims of the token to be, when the bearer of `text` may confirm. Raises NotAllowed saying why not.

        It gets the asked role and no other: a program that needs one says so (`PANDA_AUTH_VO=vo:role`).
        """
        if not text:
            raise NotAllowed("a token is needed", field="token", remedy="paste yours, or sign in to the monitor")
        if peek(text)[1].get("iss") != self._issuer.name:
            raise NotAllowed(
                "only a token of this server's own issuer can confirm",
                field="token",
                remedy="users of another issuer sign in there: start the program with the VO of that issuer",
            )
        self._gate.identify({"authorization": f"Bearer {text}"}, {})
        claims = self._issuer.verify(text)
        if claims.get("vo") != asked.vo:
            remedy = f"use a token of '{asked.vo}', or start the program with PANDA_AUTH_VO={claims.get('vo')}"
            raise NotAllowed(f"your token is for the organisation '{claims.get('vo')}'", field="token", remedy=remedy)
        if asked.role and asked.role not in claims.get("roles", []):
            raise NotAllowed(
                f"your token does not have the role '{asked.role}'", field="token", remedy="use one that has"
            )
        return {
            "sub": claims["sub"],
            "name": claims.get("name", claims["sub"]),
            "preferred_username": claims.get("preferred_username", claims["sub"]),
            "vo": asked.vo,
            "roles": [asked.role] if asked.role else [],
            "user_name": user_name_of(claims),
            "until": float(claims["exp"]),
            "confirmed_with": str(claims.get("jti", "")),
        }

    def _form_token(self, nonce: str, user_code: str) -> str:
        until = int(time.time()) + _FORM_AGE_S
        return f"{until}.{self._issuer.seal(f'{until}|{nonce}|{user_code}')}"

    def _refuse_other_sites(self, request: Request, form: dict[str, str], user_code: str) -> None:
        origin = request.headers.get("origin", "")
        is_ours = not origin or urlsplit(origin).netloc == request.url.netloc
        is_ours = is_ours and request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
        until, _, seal = form.get("form_token", "").partition(".")
        nonce = request.cookies.get(_COOKIE, "")
        wanted = self._issuer.seal(f"{until}|{nonce}|{user_code}")
        is_sealed = bool(nonce) and hmac.compare_digest(wanted.encode(), seal.encode())
        if not is_ours or not is_sealed or not until.isascii() or not until.isdecimal() or int(until) < time.time():
            raise NotAllowed(
                "this form is too old or did not come from this page", field="form_token", remedy="open the page again"
            )


def problem_page(error: PandaError) -> Response:
    """One of our errors for people."""
    status = 503 if isinstance(error, Unavailable) else 403 if isinstance(error, NotAllowed) else 400
    said = f"{error.detail[:1].upper()}{error.detail[1:]}."
    remedy = f"{error.remedy[:1].upper()}{error.remedy[1:]}." if error.remedy else ""
    content = paragraph(said, "note") + (paragraph(remedy) if remedy else "")
    return page("That did not work", content + (code_form() if error.field == "user_code" else ""), status)
