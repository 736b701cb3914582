"""Signing in with a code: the program's side and the person's, every way it can go wrong."""

from __future__ import annotations

import base64
import json
import re
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.auth.configuration import DEVICE_GRANT
from tests.support.builders import everything
from tests.support.signing_in import Program, confirm
from tests.support.system import RunningSystem, eventually, running_system

WHO = "/api/v1/system/get_user_attributes"


@pytest.fixture(scope="module")
def served(module_database_url, tmp_path_factory):
    with running_system(module_database_url, tmp_path_factory.mktemp("signin"), agents=False) as system:
        yield system


@pytest.fixture(autouse=True)
def no_guesses(served):
    served.database.execute("DELETE FROM device_guesses")


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def person(system: RunningSystem, *roles: str, user: str = "ann", **more: Any) -> str:
    given = {"user": user, "vo": "local", "roles": list(roles), "lifetime_s": 3600, **more}
    return system.issuer.issue(**given).text


def granted(system: RunningSystem, token: str = "", vo: str = "local") -> tuple[Program, dict[str, Any]]:
    program = Program(system, vo)
    asked = program.ask()
    assert confirm(asked["verification_uri_complete"], token or person(system)).status_code == 200
    answer = program.poll(asked["device_code"])
    assert answer.status_code == 200, answer.text
    return program, answer.json()


def who(system: RunningSystem, token: str, origin: str = "local") -> httpx.Response:
    return httpx.get(system.url + WHO, headers={"Authorization": f"Bearer {token}", "Origin": origin})


# what programs read first


def test_the_configuration_names_what_the_real_client_needs(served):
    for address in (served.url, served.url.replace("127.0.0.1", "localhost")):
        known = httpx.get(f"{address}/auth/local_auth_config.json").json()
        assert known["oidc_config_url"].startswith(address)  # under the address that the client used
        assert {"client_id", "client_secret", "audience", "oidc_config_url", "vo"} <= set(known)
        discovery = httpx.get(known["oidc_config_url"]).json()
        names = ("token_endpoint", "device_authorization_endpoint", "jwks_uri")
        assert all(discovery[name].startswith(address) for name in names)
        assert discovery["issuer"] == served.settings.issuer


def test_the_keys_are_public_and_check_our_tokens(served):
    from joserfc import jwt
    from joserfc.jwk import KeySet

    published = httpx.get(f"{served.url}/auth/jwks").json()
    assert all("d" not in key for key in published["keys"])
    assert (
        jwt.decode(served.token("ann"), KeySet.import_key_set(published), algorithms=["ES256"]).claims["sub"] == "ann"
    )


@pytest.mark.parametrize("name", ["nosuchvo", "vo.example.org", "%2e%2e", "nosuchvo:production"])
def test_an_unknown_organisation_is_named(served, name):
    response = httpx.get(f"{served.url}/auth/{name}_auth_config.json")
    assert (response.status_code, response.json()["field"]) == (404, "vo")
    assert httpx.URL(f"http://x/{name}").path.lstrip("/") in response.json()["detail"]


def test_an_organisation_is_served_once_somebody_of_it_has_a_token(served):
    from core.identity import record_token

    assert httpx.get(f"{served.url}/auth/late.org_auth_config.json").status_code == 404
    token = served.issuer.issue(user="lea", vo="late.org", roles=[], lifetime_s=60)
    record_token(
        served.database,
        token_id=token.token_id,
        user_name="lea",
        vo="late.org",
        roles=[],
        expiry_time=token.expiry_time,
    )
    assert httpx.get(f"{served.url}/auth/late.org_auth_config.json").json()["vo"] == "late.org"


# the way it should go


def test_a_confirmed_program_acts_as_the_person(served):
    token = person(served, "pilot", name="ann OF cleves", nickname="annc")
    _, answer = granted(served, token)
    assert answer["expires_in"] <= 3600  # no longer than the token it was confirmed with
    claims = claims_of(answer["id_token"])
    assert (claims["name"], claims["preferred_username"], claims["vo"]) == ("ann OF cleves", "annc", "local")
    data = who(served, answer["id_token"]).json()["data"]
    assert (data["user_name"], data["roles"]) == ("Ann Of Cleves", [])  # roles only when they are asked for
    assert who(served, answer["access_token"]).json()["success"]


@pytest.mark.parametrize("mark", [":", "."])
def test_a_role_is_granted_when_it_is_asked_for_and_held(served, mark):
    vo = f"local{mark}production"
    _, answer = granted(served, person(served, "production", "admin"), vo)
    assert "local/production" in claims_of(answer["id_token"])["groups"]
    assert who(served, answer["id_token"], vo).json()["data"]["roles"] == ["production"]
    program = Program(served, vo)
    asked = program.ask()
    refused = confirm(asked["verification_uri_complete"], person(served))
    assert refused.status_code == 403
    assert "does not have the role &#x27;production&#x27;" in refused.text
    assert program.poll(asked["device_code"]).json()["error"] == "authorization_pending"


def test_the_session_of_the_monitor_is_enough(served):
    program = Program(served)
    asked = program.ask()
    page = httpx.get(asked["verification_uri_complete"], cookies={"panda_session": person(served)}).text
    assert ">ann<" in page
    assert 'type="password"' not in page
    assert "is_ours" not in page
    done = confirm(asked["verification_uri_complete"], person(served), by_cookie=True)
    assert "acts as ann" in done.text
    assert program.poll(asked["device_code"]).status_code == 200


def test_the_code_may_be_typed_as_people_type(served):
    program = Program(served)
    asked = program.ask()
    typed = asked["user_code"].lower().replace("-", " ")
    assert confirm(f"{asked['verification_uri']}?user_code={typed}", person(served)).status_code == 200
    assert program.poll(asked["device_code"]).status_code == 200


def test_a_form_needs_no_content_type(served):
    client_id = Program(served).configuration["client_id"]
    body = f"client_id={client_id}&scope=openid".encode()
    response = httpx.post(f"{served.url}/auth/device_authorization", content=body)
    assert response.json()["interval"] > 0
    assert response.headers["cache-control"] == "no-store"


# the program's side


def test_before_the_confirmation_the_program_waits_and_must_not_hurry(served):
    program = Program(served)
    asked = program.ask()
    assert re.fullmatch(r"[B-Z]{4}-[B-Z]{4}", asked["user_code"])
    first = program.poll(asked["device_code"])
    assert (first.status_code, first.json()["error"]) == (400, "authorization_pending")

    def is_slowed() -> bool:  # unless the machine pauses for as long as the program should
        again = program.poll(asked["device_code"])
        assert again.status_code == 400
        return again.json()["error"] == "slow_down"

    eventually(is_slowed, what="a program that hurries is told so")


def test_a_denied_code_says_so_to_both(served):
    program = Program(served)
    asked = program.ask()
    assert "no access" in confirm(asked["verification_uri_complete"], "", decision="deny").text
    assert program.poll(asked["device_code"]).json()["error"] == "access_denied"
    assert "denied already" in httpx.get(asked["verification_uri_complete"]).text


def test_an_expired_code_says_so_to_both(served):
    program = Program(served)
    asked = program.ask()
    served.database.execute("UPDATE device_codes SET expiry_time = clock_timestamp()")
    assert program.poll(asked["device_code"]).json()["error"] == "expired_token"
    assert "has expired" in httpx.get(asked["verification_uri_complete"]).text


def test_a_code_is_good_once(served):
    program = Program(served)
    asked = program.ask()
    confirm(asked["verification_uri_complete"], person(served))
    assert program.poll(asked["device_code"]).status_code == 200
    again = program.poll(asked["device_code"])
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert "used already" in httpx.get(asked["verification_uri_complete"]).text


def test_a_code_belongs_to_its_client(served):
    program = Program(served)
    asked = program.ask()
    confirm(asked["verification_uri_complete"], person(served))
    other = program.poll(asked["device_code"], client_id="pandascope:local:admin")
    assert other.json()["error"] == "invalid_grant"
    assert program.poll(asked["device_code"]).status_code == 200


BAD_FORMS = [
    (b"", "client_id"),
    (b"client_id=", "client_id"),
    (b"client_id=a&client_id=b", "client_id"),
    (b"client_id=a", "grant_type"),
    (b"client_id=a&grant_type=refresh_token", "refresh_token"),
    (b"client_id=a&grant_type=password&username=x", "grant_type"),
    (b"client_id=a&grant_type=refresh_token&refresh_token=%00", "refresh_token"),
    (b"\xff\xfe=1", "body"),
    (b"{" * 100, "client_id"),
]


@pytest.mark.parametrize(("body", "named"), BAD_FORMS)
def test_a_bad_form_is_refused_by_name(served, body, named):
    before = everything(served.database)
    response = httpx.post(f"{served.url}/auth/token", content=body)
    answer = response.json()
    assert response.status_code == 400
    assert answer["error"] in ("invalid_request", "unsupported_grant_type")
    assert named in answer["error_description"]
    assert everything(served.database) == before


def test_an_unknown_client_gets_no_code(served):
    for client_id in ("somebody", "pandascope:", "pandascope:nosuchvo", "pandascope:nosuchvo:production"):
        response = httpx.post(f"{served.url}/auth/device_authorization", data={"client_id": client_id})
        assert (response.status_code, response.json()["error"]) == (400, "invalid_client")


def test_one_address_cannot_fill_the_table(served, monkeypatch):
    from core import device_codes

    monkeypatch.setattr(device_codes, "_OPEN_PER_ADDRESS", 1)
    program = Program(served)
    form = {"client_id": program.configuration["client_id"]}
    answers = [httpx.post(program.endpoints["device_authorization_endpoint"], data=form) for _ in range(2)]
    assert (answers[-1].status_code, answers[-1].json()["error"]) == (503, "temporarily_unavailable")


# refresh


def test_a_refresh_token_is_renewed_at_each_use(served):
    program, answer = granted(served, person(served, "production"), "local:production")
    renewed = program.refresh(answer["refresh_token"]).json()
    assert renewed["refresh_token"] != answer["refresh_token"]
    claims = claims_of(renewed["id_token"])
    assert (claims["sub"], claims["roles"]) == ("ann", ["production"])
    assert claims["exp"] == claims_of(answer["id_token"])["exp"]  # still not longer than the confirming token
    assert program.refresh(renewed["refresh_token"]).status_code == 200


def test_an_old_refresh_token_ends_the_family(served):
    program, answer = granted(served)
    renewed = program.refresh(answer["refresh_token"]).json()
    again = program.refresh(answer["refresh_token"])
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert "revoked" in again.json()["error_description"]
    assert program.refresh(renewed["refresh_token"]).json()["error"] == "invalid_grant"
    revoked = served.database.fetch("SELECT 1 FROM tokens WHERE revoked_time IS NOT NULL AND token_id = ANY(%(ids)s)", {
        "ids": [claims_of(token["id_token"])["jti"] for token in (answer, renewed)]
    })  # fmt: skip
    assert len(revoked) == 2


def test_a_refresh_token_belongs_to_its_client_and_its_time(served):
    program, answer = granted(served)
    other = Program(served, "local:admin")
    assert other.refresh(answer["refresh_token"]).json()["error"] == "invalid_grant"
    assert program.refresh("nonsense").json()["error"] == "invalid_grant"
    served.database.execute("UPDATE refresh_tokens SET expiry_time = clock_timestamp()")
    assert "expired" in program.refresh(answer["refresh_token"]).json()["error_description"]


def test_a_banned_user_and_a_revoked_token_refresh_nothing(served):
    banned = person(served, user="bob")
    program, answer = granted(served, banned)
    served.database.execute("UPDATE users SET status = 'disabled' WHERE user_name = 'bob'")
    assert "disabled" in program.refresh(answer["refresh_token"]).json()["error_description"]
    served.database.execute("UPDATE users SET status = 'active' WHERE user_name = 'bob'")
    known = program.refresh(answer["refresh_token"])  # the refusal has not used it up
    assert known.status_code == 200
    statement = """INSERT INTO tokens (token_id, revoked_time) VALUES (%(id)s, clock_timestamp())"""
    served.database.execute(statement, {"id": claims_of(banned)["jti"]})
    assert "revoked" in program.refresh(known.json()["refresh_token"]).json()["error_description"]


def test_codes_and_refresh_tokens_are_kept_as_hashes(served):
    program, answer = granted(served)
    asked = program.ask()
    kept = json.dumps(everything(served.database), default=str)
    for secret in (asked["device_code"], asked["user_code"], answer["refresh_token"], answer["id_token"]):
        assert secret not in kept


# the person's side


def test_the_page_says_what_is_asked_and_loads_nothing(served):
    asked = Program(served, "local:production").ask()
    response = httpx.get(asked["verification_uri_complete"])
    for shown in (asked["user_code"], "local", "production", "pandascope:local:production", "panda token create"):
        assert shown in response.text
    assert "<script" not in response.text
    assert not re.findall(r'(?:src|href)="(?!/monitor/)', response.text)
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "prefers-color-scheme: dark" in response.text


@pytest.mark.parametrize("code", ["BCDF-GHJK", "<script>alert(1)</script>", "x" * 5000, "\x7f", "%00", "ü"])
def test_a_wrong_code_is_said_and_never_echoed_as_markup(served, code):
    response = httpx.get(f"{served.url}/auth/device", params={"user_code": code})
    assert response.status_code == 400
    assert "<script" not in response.text


def test_without_a_code_the_page_asks_for_one(served):
    assert 'name="user_code"' in httpx.get(f"{served.url}/auth/device").text


def test_who_guesses_codes_is_not_answered_any_more(served):
    address = Program(served).ask()["verification_uri_complete"]
    for _ in range(20):
        httpx.get(f"{served.url}/auth/device?user_code=BBBB-BBBB")
    assert "too many wrong codes" in httpx.get(f"{served.url}/auth/device?user_code=BBBB-BBBB").text.lower()
    assert "too many wrong codes" in httpx.get(address).text.lower()  # the right one, too
    served.database.execute("UPDATE device_guesses SET since = since - interval '16 minutes'")
    assert httpx.get(address).status_code == 200


def test_a_form_from_elsewhere_confirms_nothing(served):
    program = Program(served)
    asked = program.ask()
    page, token = asked["verification_uri"], person(served)
    with httpx.Client(cookies={"panda_session": token}) as browser:
        shown = browser.get(asked["verification_uri_complete"]).text
        fields = dict(re.findall(r'name="(user_code|form_token)" value="([^"]*)"', shown))
        good = {**fields, "decision": "approve"}
        until, _, seal = fields["form_token"].partition(".")
        other_code = Program(served).ask()["user_code"]
        attempts: list[tuple[dict[str, str], dict[str, str]]] = [
            (good, {"Origin": "https://evil.example"}),
            (good, {"Origin": "null"}),
            (good, {"Sec-Fetch-Site": "cross-site"}),
            (good | {"form_token": ""}, {}),
            (good | {"form_token": f"{until}.{seal[::-1]}"}, {}),
            (good | {"form_token": f"{int(until) + 9}.{seal}"}, {}),
            (good | {"user_code": other_code}, {}),
        ]
        for form, headers in attempts:
            assert browser.post(page, data=form, headers=headers).status_code == 403, (form, headers)
        assert httpx.post(page, data=good, cookies={"panda_session": token}).status_code == 403  # another browser
        assert program.poll(asked["device_code"]).json()["error"] == "authorization_pending"
        assert browser.post(page, data=good, headers={"Origin": served.url}).status_code == 200


def test_only_a_good_token_of_that_organisation_confirms(served, tmp_path):
    from api.identity.issuer import Issuer

    program = Program(served)
    asked = program.ask()
    foreign = Issuer(tmp_path).issue(user="eve", vo="local", roles=[], lifetime_s=60).text
    other_issuer = (
        Issuer(tmp_path, name="https://elsewhere.example").issue(user="e", vo="local", roles=[], lifetime_s=9).text
    )
    tried = {
        "": "a token is needed",
        "nonsense": "no JSON Web Token",
        foreign: "refused",
        other_issuer: "only a token of this server&#x27;s own issuer",
        served.token("ann", vo="othervo"): "organisation &#x27;othervo&#x27;",
    }
    for token, said in tried.items():
        response = confirm(asked["verification_uri_complete"], token)
        assert response.status_code == 403
        assert said.lower() in response.text.lower()
    assert program.poll(asked["device_code"]).json()["error"] == "authorization_pending"


def test_the_forms_of_the_page_take_no_nonsense(served):
    before = everything(served.database)
    for body in (b"", b"\xff", b"decision=approve", b"user_code=%00&decision=approve", b"decision=a&decision=b"):
        response = httpx.post(f"{served.url}/auth/device", content=body)
        assert response.status_code in (400, 403)
        assert response.headers["content-type"].startswith("text/html")
    assert everything(served.database) == before


def test_the_grant_name_is_that_of_the_standard():
    assert DEVICE_GRANT == "urn:ietf:params:oauth:grant-type:device_code"


form_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
form_fields = st.dictionaries(
    st.sampled_from(
        ["client_id", "grant_type", "device_code", "refresh_token", "user_code", "decision", "form_token", "x"]
    ),
    form_text | st.sampled_from(["pandascope:local", "refresh_token", DEVICE_GRANT, "approve", "deny"]),
)


@settings(max_examples=40)
@given(st.binary(max_size=60) | form_fields, st.sampled_from(["device_authorization", "token", "device"]))
def test_no_form_breaks_an_endpoint(served, form, path):
    given_form: dict[str, Any] = {"content": form} if isinstance(form, bytes) else {"data": form}
    response = httpx.post(f"{served.url}/auth/{path}", **given_form)
    assert response.status_code in (200, 400, 403), response.text


@settings(max_examples=40)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_no_text_breaks_the_pages(served, text):
    served.database.execute("DELETE FROM device_guesses")
    page = httpx.get(f"{served.url}/auth/device", params={"user_code": text})
    assert page.status_code in (200, 400)
    client = httpx.get(f"{served.url}/auth/{quote(text, safe='')}_auth_config.json")
    assert client.status_code in (200, 404)
