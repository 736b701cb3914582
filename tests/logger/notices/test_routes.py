"""Routes over HTTP: added, changed, tried and removed by operators, with secrets that nobody reads and an audit of it all."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from api.app import create_app
from api.identity.issuer import Issuer
from core.configuration import Settings
from tests.support.hooks import http_hook

ROUTES = "/api/control/notice-routes"


class Client:
    """Calls the API without a socket."""

    def __init__(self, app, token):
        self._app = app
        self._token = token

    def __call__(self, method, path, body=None):
        async def ask():
            transport = httpx.ASGITransport(self._app)
            headers = {"Authorization": f"Bearer {self._token}"}
            async with httpx.AsyncClient(transport=transport, base_url="http://panda", headers=headers) as client:
                return await client.request(method, path, json=body)

        return asyncio.run(ask())


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return Settings(data=tmp_path_factory.mktemp("data"), notices={"timeout_s": 20})


@pytest.fixture(scope="module")
def client(settings, shared_database):
    app = create_app(settings, shared_database.url)
    issuer = Issuer(settings.data, name=settings.issuer, audience=settings.audience)

    def of(user, *roles):
        return Client(app, issuer.issue(user=user, vo="testvo", roles=list(roles), lifetime_s=3600).text)

    return of


@pytest.fixture(scope="module")
def operator(client):
    return client("olga", "operator")


def test_a_route_is_made_changed_shown_and_removed_and_each_is_in_the_audit(operator, client, shared_database):
    made = operator("POST", ROUTES, {"name": "chat", "channel": "slack", "target": "https://hooks.example.org/T0/B0/x"})
    assert made.status_code == 201, made.text
    route = made.json()["route"]
    assert route["target"] == "https://hooks.example.org/…" and route["is_active"]
    path = f"/api/control/notice-route/{route['route_id']}"
    changed = operator("PUT", path, {"matcher": {"severity": "critical"}, "version": 1, "via": "web"})
    assert changed.json()["route"]["version"] == 2
    assert operator("PUT", path, {"position": 3, "version": 1}).status_code == 409
    shown = client("rita")("GET", "/api/monitor/notice-routes").json()["routes"]
    assert [(one["name"], one["matcher"], one["waiting"]) for one in shown] == [("chat", {"severity": "critical"}, 0)]
    assert operator("DELETE", path).status_code == 200 and operator("DELETE", path).status_code == 404
    rows = shared_database.fetch(
        "SELECT who, action, via, after::text FROM audit WHERE object_kind = 'notice_route' ORDER BY audit_id"
    )
    assert [(row["who"], row["action"]) for row in rows] == [("olga", "add"), ("olga", "change"), ("olga", "remove")]
    assert [row["via"] for row in rows] == ["api", "web", "api"]
    assert not any("B0" in row["after"] for row in rows)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": "x", "channel": "pigeon", "target": "https://a/"}, "channel"),
        ({"name": "x", "target": "ftp://a/"}, "target"),
        ({"name": "x", "target": "https://user:pw@a/"}, "target"),
        ({"name": "x", "target": "https://a/ b"}, "target"),
        ({"name": "x", "target": "https://hooks.example.org/…"}, "target"),
        ({"name": "x", "channel": "mail", "target": "a@b\nBcc: c@d"}, "target"),
        ({"name": "x", "channel": "mail", "target": "a@b, c@d"}, "target"),
        ({"name": "x", "target": "https://a/", "matcher": {"colour": "red"}}, "matcher.colour"),
        ({"name": "x", "target": "https://a/", "changes": ["exploded"]}, "changes"),
        ({"name": "x", "target": "https://a/", "group_by": ["panda_id"]}, "group_by"),
        ({"name": "x", "target": "https://a/", "options": {"loud": True}}, "options.loud"),
        ({"name": "x", "target": "https://a/", "max_per_hour": 0}, "max_per_hour"),
        ({"name": "x", "target": "https://a/", "secret_name": "a b"}, "secret_name"),
        ({"name": "x", "target": "https://a/", "colour": "red"}, "colour"),
    ],
)
def test_what_cannot_be_a_route_is_refused_by_field(operator, body, field):
    refused = operator("POST", ROUTES, body)
    assert (refused.status_code, refused.json()["field"]) == (422, field)


def test_two_routes_of_one_name_are_refused(operator):
    body = {"name": "twin", "target": "https://a/"}
    first = operator("POST", ROUTES, body)
    assert [first.status_code, operator("POST", ROUTES, body).status_code] == [201, 409]
    operator("DELETE", f"/api/control/notice-route/{first.json()['route']['route_id']}")


def test_readers_and_users_change_no_route(client):
    assert client("rita")("POST", ROUTES, {"name": "x", "target": "https://a/"}).status_code == 403


def test_the_test_button_says_what_the_receiver_answers_once_in_five_seconds(operator, client):
    with http_hook() as hook:
        route = operator("POST", ROUTES, {"name": "button", "target": hook.address}).json()["route"]
        path = f"/api/control/notice-route/{route['route_id']}/test"
        answer = operator("POST", path).json()["test"]
        assert (answer["is_taken"], answer["status"], answer["known"]) == (True, 200, "taken") and answer["ms"] >= 0
        assert hook.messages[0]["is_test"] and hook.messages[0]["changes"] == []
        again = operator("POST", path)
        assert again.status_code == 429 and 1 <= int(again.headers["Retry-After"]) <= 5
    told = client("rita")("GET", f"/api/monitor/notices?route_id={route['route_id']}").json()
    assert [(row["incident_id"], row["change"], row["state"]) for row in told["notices"]] == [(0, "test", "sent")]


def test_the_test_of_a_dead_receiver_says_so(operator):
    route = operator("POST", ROUTES, {"name": "dead", "target": "http://127.0.0.1:1/"}).json()["route"]
    answer = operator("POST", f"/api/control/notice-route/{route['route_id']}/test").json()["test"]
    assert not answer["is_taken"] and "refused" in answer["answer"].lower()
    assert operator("GET", "/api/monitor/notices?route=dead&state=failed").json()["count"] == 1
    assert operator("POST", "/api/control/notice-route/999999/test").status_code == 404


def test_notices_come_in_pages(operator, shared_database):
    shared_database.execute(
        "INSERT INTO incident_notices (route_id, incident_id, change_seq, change, state)"
        " SELECT 77, n, 1, 'opened', 'sent' FROM generate_series(1, 5) n"
    )
    first = operator("GET", "/api/monitor/notices?route_id=77&limit=3").json()
    second = operator("GET", f"/api/monitor/notices?route_id=77&limit=3&cursor={first['next_cursor']}").json()
    assert [row["incident_id"] for page in (first, second) for row in page["notices"]] == [5, 4, 3, 2, 1]
    assert second["next_cursor"] is None


def test_a_number_that_no_route_can_have_is_no_route(operator):
    path = f"/api/control/notice-route/{10**30}"
    assert {operator("DELETE", path).status_code, operator("POST", f"{path}/test").status_code} <= {404, 422}
