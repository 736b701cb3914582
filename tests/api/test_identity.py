"""Who is calling: tokens of ours and nobody else's, roles, the session cookie, disabled users."""

from __future__ import annotations

import base64
import json
import stat
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from api.identity.access import SESSION_COOKIE, Access, Caller, Gate
from api.identity.issuer import Issuer
from core.configuration import Settings
from core.database import Database
from core.errors import NotAllowed, PandaError, Unavailable
from core.identity import record_token
from tests.support.system import RunningSystem, running_system

WHO = "/api/v1/system/get_user_attributes"


@pytest.fixture(scope="module")
def issuer(tmp_path_factory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("issuer"))


@pytest.fixture(scope="module")
def guarded(module_database_url, tmp_path_factory):
    """A server whose monitor wants a token, too."""
    directory = tmp_path_factory.mktemp("guarded")
    with running_system(module_database_url, directory, agents=False, monitor_access="token") as system:
        yield system


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def signed(issuer: Issuer, **changes: Any) -> str:
    """A token with our own signature over other claims; a claim of None is left out."""
    claims = claims_of(issuer.issue(user="eve", vo="testvo", roles=["admin"], lifetime_s=600).text) | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode({"alg": "ES256"}, claims, issuer._key)


def unsigned(claims: dict[str, Any], **header: Any) -> str:
    parts = [json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT", **header}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + "."


def get(system: RunningSystem, path: str, **headers: str) -> httpx.Response:
    with httpx.Client(base_url=system.url, timeout=30) as client:
        return client.get(path, headers=headers)


# the issuer


def test_a_token_says_who_and_what_for_how_long(issuer):
    token = issuer.issue(user="ann", vo="atlas", roles=["pilot"], lifetime_s=600)
    claims = issuer.verify(token.text)
    assert (claims["name"], claims["vo"], claims["roles"]) == ("ann", "atlas", ["pilot"])
    assert claims["groups"] == ["/atlas", "atlas/pilot", "/atlas/Role=pilot"]
    assert claims["exp"] - claims["iat"] == 600
    assert claims["jti"] == token.token_id


def test_the_key_is_its_owners_alone_and_lasts(tmp_path):
    token = Issuer(tmp_path).issue(user="ann", vo="v", roles=[], lifetime_s=60)
    assert stat.S_IMODE((tmp_path / "issuer.jwk").stat().st_mode) == 0o600
    assert Issuer(tmp_path).verify(token.text)["sub"] == "ann"


def test_processes_that_start_together_share_one_key(tmp_path):
    made: list[Issuer] = []
    begin = threading.Barrier(8)

    def start() -> None:
        begin.wait()
        made.append(Issuer(tmp_path))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    token = made[0].issue(user="ann", vo="v", roles=[], lifetime_s=60).text
    assert all(issuer.verify(token)["sub"] == "ann" for issuer in made)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"kty": "EC"}', "\x00"])
def test_a_broken_key_is_said_to_be_broken(tmp_path: Path, content):
    (tmp_path / "issuer.jwk").write_text(content)
    with pytest.raises(Unavailable) as refused:
        Issuer(tmp_path)
    assert "issuer.jwk" in refused.value.detail


def test_foreign_and_forged_tokens_are_refused(issuer, tmp_path):
    claims = claims_of(issuer.issue(user="ann", vo="v", roles=[], lifetime_s=600).text)
    other = Issuer(tmp_path)
    public = json.dumps(issuer._key.as_dict(private=False))
    good = issuer.issue(user="ann", vo="v", roles=[], lifetime_s=600).text
    head, payload, signature = good.split(".")
    promoted = base64.urlsafe_b64encode(json.dumps(claims | {"roles": ["admin"]}).encode()).decode().rstrip("=")
    forged = {
        "another key": other.issue(user="ann", vo="v", roles=[], lifetime_s=600).text,
        "no signature": unsigned(claims),
        "None": unsigned(claims, alg="None"),
        "public key as a secret": jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(public), algorithms=["HS256"]),
        "its own key": jwt.encode({"alg": "ES256", "jwk": {}}, claims, ECKey.generate_key("P-256")),
        "changed claims": f"{head}.{promoted}.{signature}",
        "cut signature": good[:-10],
        "no signature at all": f"{head}.{payload}.",
    }
    for name, token in forged.items():
        with pytest.raises(NotAllowed):
            issuer.verify(token)
            pytest.fail(name)


WRONG_CLAIMS = [
    {"iss": "somebody"},
    {"iss": None},
    {"aud": "another"},
    {"aud": None},
    {"aud": ["another"]},
    {"exp": 1},
    {"exp": None},
    {"exp": "soon"},
    {"sub": None},
    {"nbf": time.time() + 3600},
]


@pytest.mark.parametrize(
    "wrong", WRONG_CLAIMS, ids=[f"{name}{number}" for number, entry in enumerate(WRONG_CLAIMS) for name in entry]
)
def test_a_token_for_somebody_else_or_another_time_is_refused(issuer, wrong):
    assert issuer.verify(signed(issuer))
    with pytest.raises(NotAllowed) as refused:
        issuer.verify(signed(issuer, **wrong))
    assert refused.value.field == "Authorization"
    assert "panda token create" in refused.value.remedy


segment = st.binary(max_size=30).map(lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("="))
json_segment = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("ES256"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["alg", "kid", "crit", "b64", "zip"]), inner)
    ),
    max_leaves=5,
).map(lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("="))
any_segment = segment | json_segment | st.text(max_size=10)


@given(st.lists(any_segment, max_size=6).map(".".join))
def test_any_text_is_a_token_or_refused(issuer, text):
    with pytest.raises(NotAllowed):
        issuer.verify(text)


# roles


@pytest.mark.parametrize(
    ("role", "grants"),
    [
        ("", set()),
        ("pilot", {Access.PILOT}),
        ("production", {Access.PILOT, Access.PRODUCTION}),
        ("operator", {Access.OPERATOR}),
        ("admin", {Access.PILOT, Access.PRODUCTION, Access.OPERATOR, Access.ADMIN}),
        ("root", set()),
    ],
)
def test_what_a_role_grants(role, grants):
    caller = Caller("ann", roles=frozenset({role}))
    asked = (Access.PILOT, Access.PRODUCTION, Access.OPERATOR, Access.ADMIN)
    assert {access for access in asked if caller.may(access)} == grants


def gate_of(database: Database, directory: Path, **overrides: Any) -> tuple[Gate, Issuer]:
    settings = Settings(data=directory, **overrides)
    issuer = Issuer(directory)
    return Gate(issuer, database, settings), issuer


def caller_of(gate: Gate, token: str) -> Caller:
    return gate.identify({"authorization": f"Bearer {token}"}, {})


def test_every_access_lets_in_whom_it_names(shared_database, tmp_path):
    open_gate, _ = gate_of(shared_database, tmp_path)
    closed_gate, _ = gate_of(shared_database, tmp_path, monitor_access="token")
    nobody, somebody = Caller(), Caller("ann")
    for access in Access:
        admitted = {
            "open gate": (open_gate, nobody),
            "closed gate": (closed_gate, nobody),
            "known": (closed_gate, somebody),
        }
        let_in = {name for name, (gate, caller) in admitted.items() if _admits(gate, caller, access)}
        expected = {
            Access.OPEN: {"open gate", "closed gate", "known"},
            Access.READER: {"open gate", "known"},
            Access.USER: {"known"},
        }.get(access, set())
        assert let_in == expected, access


def _admits(gate: Gate, caller: Caller, access: Access) -> bool:
    try:
        gate.admit(caller, access)
    except NotAllowed as refused:
        assert refused.remedy
        return False
    return True


# revocation, bans, outages


def test_a_revoked_token_and_a_disabled_user_are_refused(shared_database, tmp_path):
    gate, issuer = gate_of(shared_database, tmp_path)
    tokens = {name: issuer.issue(user=name, vo="v", roles=[], lifetime_s=600) for name in ("ann", "bob", "cid")}
    for name, token in tokens.items():
        record_token(
            shared_database,
            token_id=token.token_id,
            user_name=name,
            vo="v",
            roles=["pilot"],
            expiry_time=token.expiry_time,
        )
        assert caller_of(gate, token.text).user_name == name
    shared_database.execute(
        "UPDATE tokens SET revoked_time = clock_timestamp() WHERE token_id = %(id)s", {"id": tokens["ann"].token_id}
    )
    shared_database.execute("UPDATE users SET status = 'disabled' WHERE user_name = 'bob'")
    later, _ = gate_of(shared_database, tmp_path)
    with pytest.raises(NotAllowed, match="revoked"):
        caller_of(later, tokens["ann"].text)
    with pytest.raises(NotAllowed, match="bob is disabled"):
        caller_of(later, tokens["bob"].text)
    assert caller_of(later, tokens["cid"].text).user_name == "cid"


def test_a_token_that_expires_while_it_is_remembered_is_refused(shared_database, tmp_path):
    gate, issuer = gate_of(shared_database, tmp_path)
    text = signed(issuer, exp=int(time.time()) - 59)  # within the leeway for clocks that differ
    assert caller_of(gate, text).user_name == "eve"
    gate._callers[(text, "")] = (Caller("eve"), time.time() - 1)
    with pytest.raises(NotAllowed):
        while True:  # until the leeway is over
            caller_of(gate, text)


def test_a_database_that_is_away_keeps_nobody_out(tmp_path):
    away = Database("postgresql+psycopg2://nobody@/nothing?host=/nowhere")
    gate, issuer = gate_of(away, tmp_path)
    token = issuer.issue(user="ann", vo="v", roles=[], lifetime_s=60).text
    assert caller_of(gate, token).user_name == "ann"


# over HTTP


def test_who_am_i(guarded):
    data = get(guarded, WHO, Authorization=f"Bearer {guarded.token('ann', 'pilot', vo='atlas')}").json()["data"]
    assert data == {
        "user_name": "ann",
        "vo": "atlas",
        "roles": ["pilot"],
        "nickname": "ann",
        "groups": ["/atlas", "atlas/pilot", "/atlas/Role=pilot"],
    }


@pytest.mark.parametrize("form", ["bearer {}", "BEARER  {}", "Bearer {}"])
def test_the_word_bearer_in_any_case(guarded, form):
    response = get(guarded, WHO, Authorization=form.format(guarded.token("ann")))
    assert response.json()["data"]["user_name"] == "ann"


def test_the_session_cookie_is_a_token_too(guarded):
    response = get(guarded, WHO, Cookie=f"{SESSION_COOKIE}={guarded.token('ann')}")
    assert response.json()["data"]["user_name"] == "ann"
    assert get(guarded, WHO, Cookie=f"{SESSION_COOKIE}=nonsense").status_code == 403


def test_the_header_counts_before_the_cookie(guarded):
    headers = {"Authorization": f"Bearer {guarded.token('ann')}", "Cookie": f"{SESSION_COOKIE}={guarded.token('bob')}"}
    assert get(guarded, WHO, **headers).json()["data"]["user_name"] == "ann"


@pytest.mark.parametrize("authorization", ["Basic YTpi", "Bearer", "nonsense", ""])
def test_no_token_is_nobody(guarded, authorization):
    response = get(guarded, WHO, Authorization=authorization)
    assert (response.status_code, response.json()["success"]) == (200, False)


def test_the_monitor_asks_who_reads_when_it_is_told_to(guarded):
    response = get(guarded, "/api/monitor/queues")
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    problem = response.json()
    assert (problem["code"], problem["field"]) == ("not_allowed", "Authorization")
    assert "panda token create" in problem["remedy"]
    assert get(guarded, "/api/monitor/queues", Authorization=f"Bearer {guarded.token('ann')}").status_code == 200


def test_a_missing_role_is_named(guarded):
    client = guarded.client("ann")
    response = client.put("/api/control/queue/Q", json={})
    assert response.status_code == 403
    assert response.json()["detail"] == "Authorization: this needs the role admin or operator"


def test_a_bad_token_is_no_better_than_none(guarded):
    response = get(guarded, "/api/monitor/queues", Authorization="Bearer nonsense")
    assert response.status_code == 401
    assert isinstance(response.json()["detail"], str)


def test_every_refusal_of_an_identity_is_one_of_ours():
    assert issubclass(NotAllowed, PandaError)
