"""A program and a person in a device flow, over real HTTP."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import httpx

from api.auth.configuration import DEVICE_GRANT
from tests.support.system import RunningSystem


@dataclass
class Program:
    """What the real client does: reads where to go, gets a code, polls, refreshes (client-wire.md 2.2)."""

    system: RunningSystem
    vo: str = "local"
    configuration: dict[str, Any] = field(default_factory=dict)
    endpoints: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.configuration = httpx.get(f"{self.system.url}/auth/{self.vo}_auth_config.json").json()
        self.endpoints = httpx.get(self.configuration["oidc_config_url"]).json()

    def ask(self) -> dict[str, Any]:
        """Open a flow."""
        form = {"client_id": self.configuration["client_id"], "scope": "openid profile email offline_access "}
        form["audience"] = self.configuration["audience"]
        response = httpx.post(self.endpoints["device_authorization_endpoint"], data=form)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def poll(self, device_code: str, **changes: str) -> httpx.Response:
        """Ask for the tokens once."""
        form = {"client_id": self.configuration["client_id"], "grant_type": DEVICE_GRANT, "device_code": device_code}
        return httpx.post(self.endpoints["token_endpoint"], data=form | changes)

    def refresh(self, refresh_token: str) -> httpx.Response:
        """Ask for the next tokens."""
        form = {"client_id": self.configuration["client_id"], "client_secret": "", "grant_type": "refresh_token"}
        return httpx.post(self.endpoints["token_endpoint"], data=form | {"refresh_token": refresh_token})


def confirm(address: str, token: str, *, decision: str = "approve", by_cookie: bool = False) -> httpx.Response:
    """Open the page and press a button, as a browser without scripts does."""
    with httpx.Client() as browser:
        if by_cookie:
            browser.cookies.set("panda_session", token)
        shown = browser.get(address)
        fields = dict(re.findall(r'name="(user_code|form_token)" value="([^"]*)"', shown.text))
        assert "form_token" in fields, shown.text
        given = {**fields, "decision": decision, **({} if by_cookie else {"token": token})}
        return browser.post(address.partition("?")[0], data=given)
