"""Secrets, tokens of services, permissions and bans, over HTTP."""

from __future__ import annotations

import json

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.credentials import secrets_of
from tests.support.builders import everything
from tests.support.system import RunningSystem, running_system

SERVICES = [
    {"client_name": "storage", "vo": "testvo", "roles": ["pilot"], "lifetime_s": 60},
    {"client_name": "guarded", "vo": "testvo", "use_token_key": True},
]


@pytest.fixture(scope="module")
def served(module_database_url, tmp_path_factory):
    directory = tmp_path_factory.mktemp("creds")
    with running_system(module_database_url, directory, agents=False, service_tokens=SERVICES) as system:
        yield system


def set_secret(client: httpx.Client, **body: object) -> dict[str, object]:
    return client.post("/api/v1/creds/set_user_secrets", json=body).json()


def secrets(client: httpx.Client, **query: object) -> dict[str, str]:
    answer = client.get("/api/v1/creds/get_user_secrets", params=query).json()
    assert answer["success"], answer
    assert isinstance(answer["data"], str)  # JSON text: the real client crashes on anything else
    return json.loads(answer["data"])


def permit(system: RunningSystem, user: str, permissions: str) -> None:
    response = system.client("root", "admin").put(f"/api/control/user/{user}", json={"permissions": permissions})
    assert response.status_code == 200, response.text


def test_nobody_has_no_secrets(served):
    client = served.client("fresh")
    assert client.get("/api/v1/creds/get_user_secrets").json()["data"] == "{}"


def test_a_secret_is_kept_for_its_owner_alone(served):
    ann, bob = served.client("ann"), served.client("bob")
    assert set_secret(ann, key="site", value="s3cr3t") == {"success": True, "message": "OK", "data": None}
    set_secret(ann, key="site", value="newer")
    assert secrets(ann) == {"site": "newer"}
    assert secrets(bob) == {}
    set_secret(bob, key=None, value=None)
    assert secrets(ann) == {"site": "newer"}


def test_a_file_goes_with_its_name(served):
    client = served.client("cid")
    set_secret(client, key="a", value="1")
    set_secret(client, key="___file___:a", value="Zm9v")
    set_secret(client, key="b", value="2")
    set_secret(client, key="a", value=None)
    assert secrets(client) == {"b": "2"}
    set_secret(client, key="c", value="3")
    set_secret(client, key=None, value=None)
    assert secrets(client) == {}


def test_only_the_keys_asked_for(served):
    client = served.client("dan")
    for name in ("a", "b", "c"):
        set_secret(client, key=name, value=name)
    assert secrets(client, keys=["a", "c", "x"]) == {"a": "a", "c": "c"}
    assert secrets(client, keys="b") == {"b": "b"}
    assert secrets(client, keys="None") == {"a": "a", "b": "b", "c": "c"}


def test_a_thousand_kilobytes_fit_and_no_more(served):
    client = served.client("eve")
    set_secret(client, key="big", value="x" * 1000 * 1024)
    assert len(secrets(client)["big"]) == 1000 * 1024
    answer = set_secret(client, key="big", value="x" * (1000 * 1024 + 1))
    assert not answer["success"]
    assert "value" in str(answer["message"])
    assert len(secrets(client)["big"]) == 1000 * 1024


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"key": "", "value": "x"}, "key"),
        ({"key": "x" * 2000, "value": "x"}, "key"),
        ({"key": "a\x00", "value": "x"}, "key"),
        ({"key": "a", "value": "x\x00"}, "value"),
        ({"key": ["a"], "value": "x"}, "key"),
        ({"key": "a", "value": {"b": 1}}, "value"),
    ],
)
def test_bad_secrets_are_refused_by_name(served, body, named):
    before = everything(served.database)
    answer = set_secret(served.client("ann"), **body)
    assert not answer["success"]
    assert named in str(answer["message"])
    assert everything(served.database) == before


@settings(max_examples=25)
@given(
    st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=50),
    st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=200),
)
def test_any_text_comes_back_as_it_was(served, name, value):
    user = served.issuer.issue(user="hyp", vo="testvo", roles=[], lifetime_s=60).text
    headers = {"Authorization": f"Bearer {user}"}
    httpx.post(f"{served.url}/api/v1/creds/set_user_secrets", json={"key": name, "value": value}, headers=headers)
    expected = {} if name in ("None", "NULL", "null") else {name: value}
    if value in ("None", "NULL", "null"):
        expected = {}
    assert secrets_of(served.database, "hyp", [name]) == expected


def test_secrets_need_a_known_caller(served):
    answer = httpx.get(f"{served.url}/api/v1/creds/get_user_secrets")
    assert (answer.status_code, answer.json()["success"]) == (200, False)


# tokens of services


def ask(system: RunningSystem, user: str, name: str, **query: str) -> dict[str, object]:
    return system.client(user).get(f"/api/v1/creds/{name}", params=query).json()


def test_without_the_permission_there_is_no_token(served):
    for name, letter in (("get_access_token", "p"), ("get_token_key", "t")):
        answer = ask(served, "nora", name, client_name="storage")
        assert (answer["success"], answer["data"]) == (False, {"StatusCode": 70})
        assert f"permission '{letter}'" in str(answer["message"])


def test_a_token_of_a_service_under_both_names(served):
    permit(served, "olga", "p")
    data = ask(served, "olga", "get_access_token", client_name="storage")["data"]
    assert isinstance(data, dict)
    assert data["user_proxy"] == data["access_token"]
    headers = {"Authorization": f"Bearer {data['access_token']}"}
    seen = httpx.get(f"{served.url}/api/v1/system/get_user_attributes", headers=headers).json()["data"]
    assert (seen["user_name"], seen["roles"]) == ("storage", ["pilot"])
    assert 0 < data["expires_in"] <= 60
    unknown = ask(served, "olga", "get_access_token", client_name="nosuch")
    assert "nosuch" in str(unknown["message"])


def test_a_guarded_service_wants_its_key(served):
    permit(served, "pia", "pt")
    without = ask(served, "pia", "get_access_token", client_name="guarded")
    assert without["data"] == {"StatusCode": 80}
    given_key = ask(served, "pia", "get_token_key", client_name="guarded")["data"]
    other_key = ask(served, "pia", "get_token_key", client_name="storage")["data"]
    assert isinstance(given_key, dict)
    assert isinstance(other_key, dict)
    for key, works in ((given_key["tokenKey"], True), (other_key["tokenKey"], False), ("nonsense", False)):
        answer = ask(served, "pia", "get_access_token", client_name="guarded", token_key=key)
        assert answer["success"] is works, answer
    assert given_key["tokenKey"] not in json.dumps(everything(served.database), default=str)
    served.database.execute("UPDATE token_keys SET expiry_time = clock_timestamp()")
    late = ask(served, "pia", "get_access_token", client_name="guarded", token_key=given_key["tokenKey"])
    assert "expired" in str(late["message"])


@pytest.mark.parametrize(
    ("name", "query"), [("get_key_pair", {"public_key_name": "a", "private_key_name": "b"}), ("get_proxy", {})]
)
def test_what_does_not_exist_says_so(served, name, query):
    answer = ask(served, "ann", name, **query)
    assert (answer["success"], answer["data"]["code"]) == (False, "not_implemented")


@pytest.mark.parametrize("name", ["get_access_token", "get_token_key", "get_key_pair"])
def test_a_missing_parameter_is_named_in_pandas_words(served, name):
    assert "missing a required argument" in str(ask(served, "ann", name)["message"])


# users


def test_permissions_are_letters(served):
    admin = served.client("root", "admin")
    user = admin.put("/api/control/user/quinn", json={"permissions": "tpp"}).json()["user"]
    assert (user["user_name"], user["permissions"], user["status"]) == ("quinn", "pt", "active")
    assert admin.put("/api/control/user/quinn", json={"permissions": ""}).json()["user"]["permissions"] == ""


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"permissions": "px"}, "permissions"),
        ({"permissions": 5}, "permissions"),
        ({"status": "banned"}, "status"),
        ({"shoe_size": 42}, "shoe_size"),
        ({"subject": "a\x00"}, "subject"),
    ],
)
def test_a_bad_change_of_a_user_changes_nothing(served, body, field):
    before = everything(served.database)
    response = served.client("root", "admin").put("/api/control/user/ann", json=body)
    assert (response.status_code, response.json()["field"]) == (422, field)
    assert everything(served.database) == before


@pytest.mark.parametrize("roles", [(), ("operator",), ("production", "pilot")])
def test_only_an_administrator_changes_users(served, roles):
    response = served.client("ann", *roles).put("/api/control/user/bob", json={"status": "disabled"})
    assert response.status_code == 403


# how the server sees the caller


def test_everything_is_echoed_but_the_credential(served):
    token = served.token("ann", "pilot")
    headers = {
        "Authorization": f"Bearer {token}",
        "Cookie": f"panda_session={token}",
        "X-Odd": "yes",
        "Origin": "testvo",
    }
    answer = httpx.get(f"{served.url}/api/v1/system/get_attributes?a=1&b=x&b=y", headers=headers)
    data = answer.json()["data"]
    assert data["parameters"] == {"a": "1", "b": ["x", "y"]}
    environment = data["environment"]
    assert (environment["SSL_CLIENT_S_DN"], environment["HTTP_X_ODD"]) == ("ann", "yes")
    assert environment["GRST_CRED_AUTH_TOKEN_0"] == "VOMS /testvo/Role=pilot"
    assert token not in answer.text


def test_roles_in_the_form_of_voms(served):
    headers = {"Authorization": f"Bearer {served.token('ann')}"}
    answer = httpx.get(f"{served.url}/api/v1/system/get_voms_attributes", headers=headers).json()
    assert answer["data"] == {"GRST_CRED_AUTH_TOKEN_0": "VOMS /testvo"}
    assert "VOMS /testvo" in answer["message"]
