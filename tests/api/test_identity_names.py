"""Owner names out of claims, and memberships out of groups and Origin: tables and properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.identity.membership import (
    Membership,
    asked_membership,
    groups_of,
    memberships_of,
    origin_of,
    split_origin,
)
from api.identity.names import is_usable_name, user_name_of
from core.errors import NotAllowed

NAMES = [
    ({"name": "test user"}, "Test User"),
    ({"name": "TEST  McUSER"}, "Test Mcuser"),
    ({"name": "jane doe 123456"}, "Jane Doe"),
    ({"name": "jane (nick) doe"}, "Jane Nick Doe"),
    ({"name": 'jane o\'neil "x"'}, "Jane Oneil X"),
    ({"name": "émile ÖZ"}, "Émile Öz"),
    ({"name": "alice", "preferred_username": "alice"}, "alice"),
    ({"name": "alice", "sub": "alice"}, "alice"),
    ({"name": "alice", "preferred_username": "other", "sub": "s"}, "Alice"),
    ({"name": "", "sub": "robot-1"}, "robot-1"),
    ({"name": "   ", "sub": "robot-1"}, "robot-1"),
    ({"name": "123 (4)", "sub": "s"}, "s"),
    ({"name": 5, "sub": "s"}, "s"),
    ({"name": None}, ""),
]


@pytest.mark.parametrize(("claims", "expected"), NAMES, ids=[str(claims) for claims, _ in NAMES])
def test_the_owner_is_named_as_the_real_client_shows_it(claims, expected):
    assert user_name_of(claims) == expected


@given(st.text(st.characters(categories=["L", "Zs"]), min_size=1))
def test_plain_names_are_what_the_client_computes(name):
    shown = " ".join(word[:1].upper() + word[1:].lower() for word in name.split())
    assert user_name_of({"name": name, "sub": "s"}) == (shown or "s") or name == "s"


@given(st.dictionaries(st.sampled_from(["name", "preferred_username", "sub"]), st.none() | st.integers() | st.text()))
def test_any_claims_give_a_name_that_can_be_judged(claims):
    assert is_usable_name(user_name_of(claims)) in (True, False)


@pytest.mark.parametrize("name", ["", " ", " a", "a\n", "a\x00", "\ud800", "x" * 201, "a\u202eb"])
def test_names_that_cannot_be_kept_or_shown(name):
    assert not is_usable_name(name)


ORIGINS = [
    ("atlas", "atlas", ""),
    ("atlas:production", "atlas", "production"),
    ("atlas.production", "atlas", "production"),
    ("vo.example.org", "vo.example.org", ""),
    ("vo.example.org:pilot", "vo.example.org", "pilot"),
    ("a.b:c", "a.b", "c"),
    ("", "", ""),
]


@pytest.mark.parametrize(("text", "vo", "role"), ORIGINS)
def test_origin_is_split_as_panda_splits_it(text, vo, role):
    assert split_origin(text) == Membership(vo, role)


@pytest.mark.parametrize("origin", ["null", "https://x.example", "http://127.0.0.1:25080", ""])
def test_a_site_is_no_organisation(origin):
    assert origin_of({"origin": origin}) == ""


def test_an_organisation_with_a_dot_is_found_among_the_groups():
    held = memberships_of(["/my.org", "my.org/production"])
    assert asked_membership("my.org", held) == Membership("my.org")
    assert asked_membership("my.org:production", held) == Membership("my.org", "production")


@given(st.lists(st.text() | st.integers() | st.none()) | st.text() | st.none(), st.text())
def test_only_what_is_held_is_granted(groups, origin):
    held = memberships_of(groups)
    try:
        assert asked_membership(origin, held) in held
    except NotAllowed as refused:
        assert refused.field == "Origin"


@given(st.text(st.characters(exclude_characters="/"), min_size=1), st.text("abc", min_size=1))
def test_all_forms_of_a_group_say_the_same(vo, role):
    vo = vo.strip() or "v"
    for form in (f"{vo}/{role}", f"/{vo}/{role}", f"/{vo}/Role={role}"):
        assert memberships_of([form]) == {Membership(vo), Membership(vo, role)}


def test_the_profile_says_where_groups_stand():
    claims = {"groups": ["a"], "wlcg.groups": ["/b"]}
    assert (groups_of(claims), groups_of(claims, "wlcg")) == (["a"], ["/b"])
