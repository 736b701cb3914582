"""Tokens of an external issuer, over real HTTP on both sides: what counts, what is refused, who asks whom how often."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from api.identity import providers
from api.identity.external import ExternalIssuers
from core.errors import NotAllowed, Unavailable
from core.issuers import ExternalIssuer
from tests.api.test_identity import claims_of, unsigned
from tests.support.providers import CLIENT, OtherIssuer
from tests.support.system import RunningSystem, eventually, running_system

WHO = "/api/v1/system/get_user_attributes"


@pytest.fixture(scope="module")
def other():
    issuer = OtherIssuer()
    with issuer.running():
        yield issuer


@pytest.fixture(scope="module")
def trusting(module_database_url, tmp_path_factory, other):
    """A server that takes the other issuer's tokens for two organisations."""
    entries = [
        {"vo": "physics", "client_id": CLIENT, "client_secret": "open", "oidc_config_url": other.discovery_url},
        {
            "vo": "physics",
            "role": "pilot",
            "client_id": "pilot-client",
            "audience": "pilots",
            "oidc_config_url": other.discovery_url,
            "robot_ids": ["factory-17"],
            "auto_roles": ["pilot"],
        },
        {"vo": "wlcg.example", "client_id": "w", "oidc_config_url": other.discovery_url, "jwt_profile": "wlcg"},
    ]
    directory = tmp_path_factory.mktemp("trusting")
    with pytest.MonkeyPatch.context() as settings:
        settings.setattr("api.identity.access._REFUSED_AGE_S", 0.1)  # ten seconds are long in a test
        with running_system(module_database_url, directory, agents=False, issuers=entries) as system:
            yield system


def who(system: RunningSystem, token: str, origin: str = "physics") -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} | ({"Origin": origin} if origin else {})
    return httpx.get(system.url + WHO, headers=headers)


def refusal(system: RunningSystem, token: str, origin: str = "physics") -> str:
    response = who(system, token, origin)
    assert response.status_code == 403, response.text
    answer = response.json()
    assert (answer["success"], answer["data"]) == (False, None)
    return str(answer["message"])


# what counts


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_token_of_an_external_issuer_counts(trusting, other, algorithm):
    data = who(trusting, other.token(algorithm)).json()["data"]
    assert (data["user_name"], data["vo"], data["roles"]) == ("Jane Doe", "physics", [])
    assert data["nickname"] == "jdoe"


@pytest.mark.parametrize(
    ("origin", "roles"),
    [
        ("physics", []),
        ("physics:production", ["production"]),
        ("physics.production", ["production"]),
        ("physics:pilot", ["pilot"]),
    ],
)
def test_the_role_is_the_one_that_is_asked_for(trusting, other, origin, roles):
    assert who(trusting, other.token(), origin).json()["data"]["roles"] == roles


@pytest.mark.parametrize(
    "groups", [["/physics/Role=production"], ["physics/production"], ["/physics/production"], ["physics", "x", 7, None]]
)
def test_groups_in_every_form_make_a_member(trusting, other, groups):
    data = who(trusting, other.token(groups=groups)).json()["data"]
    assert data["vo"] == "physics"


def test_groups_of_the_wlcg_profile_stand_elsewhere(trusting, other):
    token = other.token(aud=["w", "others"], groups=None, **{"wlcg.groups": ["/wlcg.example"]})
    assert who(trusting, token, "wlcg.example").json()["data"]["vo"] == "wlcg.example"


def test_audiences_in_every_form_name_the_client(trusting, other):
    for claims in (
        {"aud": CLIENT},
        {"aud": ["elsewhere", CLIENT]},
        {"aud": None, "client_id": CLIENT},
        {"aud": "pilots"},
    ):
        origin = "physics:pilot" if claims["aud"] == "pilots" else "physics"
        assert who(trusting, other.token(**claims), origin).status_code == 200, claims


def test_a_robot_is_a_member_with_its_roles_by_configuration(trusting, other):
    claims = {"aud": None, "client_id": None, "sub": "factory-17", "name": None, "groups": None}
    data = who(trusting, other.token(**claims), "physics").json()
    # its entry is that of the role, so the role is what it must ask for
    assert not data["success"]
    data = who(trusting, other.token(**claims), "physics:pilot").json()["data"]
    assert (data["user_name"], data["roles"]) == ("factory-17", ["pilot"])


def test_an_audience_makes_nobody_a_robot(trusting, other):
    assert "physics" in refusal(trusting, other.token(aud="factory-17", groups=[]), "physics:pilot")


def test_clocks_may_differ_by_a_minute(trusting, other):
    now = int(time.time())
    assert who(trusting, other.token(exp=now - 50)).status_code == 200
    assert who(trusting, other.token(nbf=now + 50)).status_code == 200


def test_a_browser_is_no_organisation(trusting, other):
    for origin in ("https://monitor.example", "null"):
        assert "Origin" in refusal(trusting, other.token(), origin)
        own = httpx.get(
            trusting.url + WHO, headers={"Authorization": f"Bearer {trusting.token('ann')}", "Origin": origin}
        )
        assert own.json()["data"]["user_name"] == "ann"


# what is refused


def test_without_origin_it_is_refused_with_the_remedy(trusting, other):
    assert "send 'Origin: <vo>'" in refusal(trusting, other.token(), "")


@pytest.mark.parametrize(
    ("origin", "missing"),
    [
        ("chemistry", "chemistry"),
        ("physics:operator", "physics/operator"),
        ("physics.admin", "physics/admin"),
        ("vo.physics", "vo.physics"),
        ("vo.physics:admin", "vo.physics"),
        ("physic", "physic"),
        (":production", ""),
    ],
)
def test_a_missing_group_is_named(trusting, other, origin, missing):
    assert f"no group '{missing}'" in refusal(trusting, other.token(), origin)


def test_a_deeper_group_gives_no_role_of_the_organisation(trusting, other):
    token = other.token(groups=["/physics/higgs/Role=production", "/physics/higgs/production"])
    assert "physics/production" in refusal(trusting, token, "physics:production")


def test_a_client_of_one_organisation_does_not_speak_for_another(trusting, other):
    token = other.token(groups=["wlcg.example", "physics"])
    assert "client" in refusal(trusting, token, "wlcg.example")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"exp": int(time.time()) - 70}, "expired"),
    ({"exp": None}, "exp"),
    ({"exp": "soon"}, "exp"),
    ({"nbf": int(time.time()) + 3600}, "not yet valid"),
    ({"aud": "another"}, "another audience"),
    ({"aud": []  , "sub": "x"}, "another audience"),
    ({"aud": None}, "another audience"),
    ({"aud": [{"a": 1}]}, "aud"),
    ({"iss": "https://evil.example"}, "not known here"),
    ({"sub": None}, "sub"),
    ({"name": "a\x00b"}, "no JSON Web Token"),
    ({"sub": "a\x00b"}, "no JSON Web Token"),
    ({"groups": ["\ud800"]}, "no JSON Web Token"),
    ({"name": "a\tb", "sub": "a\tb"}, "cannot be the name"),
    ({"name": "\ud800"}, "no JSON Web Token"),
    ({"name": "x" * 5000}, "cannot be the name"),
    ({"groups": "physics"}, "no group"),
    ({"groups": {"physics": 1}}, "no group"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "said"), WRONG, ids=[f"{number} {said}" for number, (_, said) in enumerate(WRONG)])
def test_a_wrong_claim_is_said(trusting, other, changes, said):
    assert said in refusal(trusting, other.token(**changes))


def test_forged_tokens_are_refused(trusting, other):
    claims = claims_of(other.token())
    public = other.keys["RS256"].as_pem(private=False)
    stranger = ECKey.generate_key("P-256", private=True)
    good = other.token("ES256")
    forged = {
        "alg none": unsigned(claims),
        "alg None": unsigned(claims, alg="None"),
        "public key as a secret": jwt.encode(
            {"alg": "HS256", "kid": other.keys["RS256"].kid},
            claims,
            OctKey.import_key(public.decode().replace("-----", "")),
            algorithms=["HS256"],
        ),
        "another key under a known name": jwt.encode(
            {"alg": "ES256", "kid": other.keys["ES256"].kid}, claims, stranger
        ),
        "another key without a name": jwt.encode({"alg": "ES256"}, claims, stranger),
        "a key of the other kind": other.token("ES256", header={"kid": other.keys["RS256"].kid}),
        "its own key": jwt.encode({"alg": "ES256", "jwk": stranger.as_dict(private=False)}, claims, stranger),
        "cut signature": good[:-8],
        "no signature": ".".join(good.split(".")[:2]) + ".",
        "the embedded issuer's name": other.token(iss="pandascope"),
    }
    for name, token in forged.items():
        assert who(trusting, token).status_code == 403, name


def test_the_embedded_issuers_tokens_go_on_without_origin(trusting):
    assert who(trusting, trusting.token("ann", "pilot"), "").json()["data"]["roles"] == ["pilot"]
    assert who(trusting, trusting.token("ann", "pilot"), "testvo").json()["data"]["roles"] == ["pilot"]
    assert "testvo/production" in refusal(trusting, trusting.token("ann", "pilot"), "testvo:production")
    assert "physics" in refusal(trusting, trusting.token("ann", "pilot"), "physics")


def test_a_missing_group_is_no_missing_token(trusting, other):
    headers = {"Authorization": f"Bearer {other.token()}", "Origin": "chemistry"}
    response = httpx.get(f"{trusting.url}/api/control/endpoints", headers=headers)
    assert (response.status_code, response.json()["field"]) == (403, "Origin")


def test_a_banned_user_is_refused_everywhere(trusting, other):
    token = other.token(name="Bad Boy", sub="666")
    assert who(trusting, token).status_code == 200
    admin = trusting.client("root", "admin")
    assert admin.put("/api/control/user/Bad Boy", json={"status": "disabled"}).json()["user"]["vo"] == "physics"
    eventually(lambda: who(trusting, token).status_code == 403, what="the ban is known")
    assert "Bad Boy is disabled" in refusal(trusting, token)
    control = httpx.get(
        f"{trusting.url}/api/control/endpoints", headers={"Authorization": f"Bearer {token}", "Origin": "physics"}
    )
    assert control.status_code == 403


def test_a_name_belongs_to_who_came_with_it_first(trusting, other):
    assert who(trusting, other.token(name="Ann Other", sub="1")).status_code == 200
    assert "belongs to another account" in refusal(trusting, other.token(name="ann OTHER", sub="2"))
    freed = trusting.client("root", "admin").put("/api/control/user/Ann Other", json={"subject": ""})
    assert freed.status_code == 200
    assert who(trusting, other.token(name="ann OTHER", sub="2")).status_code == 200


# the configuration that clients read


def test_clients_are_sent_to_the_issuer_of_their_organisation(trusting, other):
    known = httpx.get(f"{trusting.url}/auth/physics_auth_config.json").json()
    assert known == {
        "client_id": CLIENT,
        "client_secret": "open",
        "audience": CLIENT,
        "oidc_config_url": other.discovery_url,
        "vo": "physics",
    }
    for name in ("physics.pilot", "physics:pilot"):
        role = httpx.get(f"{trusting.url}/auth/{name}_auth_config.json").json()
        assert (role["client_id"], role["audience"]) == ("pilot-client", "pilots")
    wlcg = httpx.get(f"{trusting.url}/auth/wlcg.example_auth_config.json").json()
    assert wlcg["jwt_profile"] == "wlcg"


# who asks whom how often


def entries_for(other: OtherIssuer) -> list[ExternalIssuer]:
    return [ExternalIssuer(vo="physics", client_id=CLIENT, oidc_config_url=other.discovery_url)]


def test_the_provider_is_asked_once_for_many_tokens(other):
    known = ExternalIssuers(entries_for(other))
    other.requests.clear()
    for number in range(5):
        known.verify(other.token(jti=str(number)), other.name)
    assert other.requests == ["discovery", "jwks"]


def test_a_new_key_is_found_and_an_unknown_one_never_hammers_the_provider(other):
    known = ExternalIssuers(entries_for(other))
    known.verify(other.token(), other.name)
    other.renew_keys()
    other.requests.clear()
    assert known.verify(other.token(), other.name).claims["sub"] == "4711"
    assert other.requests == ["discovery", "jwks"]
    for number in range(5):
        with pytest.raises(NotAllowed, match="no RSA key"):
            known.verify(other.token(header={"kid": f"unknown {number}"}), other.name)
    assert other.requests == ["discovery", "jwks"]


def test_keys_are_read_again_after_an_hour_and_go_on_while_the_provider_is_away():
    other, now = OtherIssuer(), [1000.0]
    provider = providers.Provider(other.discovery_url, clock=lambda: now[0])
    with other.running():
        first = provider.published()
        now[0] += providers.KEEP_S + 1
        assert provider.published() is not first
        second = provider.published()
    now[0] += providers.KEEP_S + 1
    assert provider.published() is second
    now[0] += 10 * providers.KEEP_S
    assert provider.published() is second


def test_an_issuer_that_is_down_is_said_to_be_and_comes_back(monkeypatch):
    other = OtherIssuer()
    known = ExternalIssuers(entries_for(other))
    with pytest.raises(Unavailable, match="does not answer"):
        known.verify(other.token(), other.name)
    with other.running():
        with pytest.raises(Unavailable):  # not asked again at once
            known.verify(other.token(), other.name)
        assert other.requests == []
        monkeypatch.setattr(known._providers[0], "_next_try", 0.0)
        assert known.verify(other.token(), other.name).claims["sub"] == "4711"


def test_an_issuer_that_is_down_is_503_over_http(module_database_url, tmp_path):
    other = OtherIssuer()
    entries = [{"vo": "physics", "client_id": CLIENT, "oidc_config_url": other.discovery_url}]
    with running_system(module_database_url, tmp_path, agents=False, issuers=entries) as system:
        response = who(system, other.token())
        assert (response.status_code, response.json()["success"]) == (503, False)
        assert other.url in response.json()["message"]
        assert who(system, system.token("ann"), "").json()["success"]  # ours go on
        stranger = who(system, other.token(iss="https://stranger.example"))
        assert stranger.status_code == 403
        headers = {"Authorization": f"Bearer {other.token()}", "Origin": "physics"}
        assert httpx.get(f"{system.url}/api/monitor/queues", headers=headers).status_code == 503


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b'{"issuer": 5}', b"<html>", b"x" * 2_000_000])
def test_a_provider_that_talks_nonsense_is_said_to_be_unreadable(answer, monkeypatch):
    other = OtherIssuer()

    async def nonsense(request: Any) -> Any:
        from starlette.responses import Response

        return Response(answer)

    monkeypatch.setattr(other, "_discovery", nonsense)
    with other.running(), pytest.raises(Unavailable):
        providers.Provider(other.discovery_url).published()


# speed


def test_a_token_is_verified_once_and_its_issuer_not_asked_again(trusting, other):
    from api.identity.access import Gate
    from api.identity.issuer import Issuer

    gate = Gate(Issuer(trusting.settings.data), trusting.database, trusting.settings)
    headers = {"authorization": f"Bearer {other.token()}", "origin": "physics"}
    first = gate.identify(headers, {})
    other.requests.clear()
    assert all(gate.identify(headers, {}) is first for _ in range(100))
    assert other.requests == []
