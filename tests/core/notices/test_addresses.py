"""Which names of users are addresses, and which are nobody's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.notices.addresses import address_of


@pytest.mark.parametrize(
    ("name", "domain", "address"),
    [
        ("alice", "example.org", "alice@example.org"),
        ("alice", "", ""),
        ("alice@cern.ch", "example.org", "alice@cern.ch"),
        ("alice@cern.ch", "", "alice@cern.ch"),
        ("Test User", "example.org", ""),
        ("a@b@c", "example.org", ""),
        ("alice\nBcc: bob@example.org", "example.org", ""),
        ("alice", "example.org\r\nBcc: bob", ""),
        ("-alice", "example.org", ""),
        ("", "example.org", ""),
        ("a" * 300 + "@example.org", "", ""),
    ],
)
def test_a_name_is_an_address_or_becomes_one_or_is_none(name, domain, address):
    assert address_of(name, domain) == address


@given(name=some.text(max_size=80), domain=some.text(max_size=40))
def test_no_name_smuggles_anything_into_a_header(name, domain):
    found = address_of(name, domain)
    assert not set(found) & set(" \r\n\t,;<>\"'()")
    assert found == "" or found.count("@") == 1
