"""Where files lie at deterministic endpoints: one rule, in Python, in SQL, and as the production pilot computes it."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.database import Database
from core.dataservice.places import SQL_DETERMINISTIC_PATH, deterministic_path, place

_RULE = SQL_DETERMINISTIC_PATH.format(scope="scope", lfn="lfn")
_IN_SQL = f"SELECT {_RULE} AS path FROM (VALUES (%(scope)s, %(lfn)s)) v (scope, lfn)"
# what PostgreSQL can store: no NUL, no lone surrogates
_TEXT = st.text(st.characters(blacklist_characters="\x00", blacklist_categories=["Cs"]), max_size=40)


def test_the_place_is_the_one_the_production_pilot_reported():
    # pilot-wire.md 2.2, captured
    assert deterministic_path("user.spike", "spike.1101.out.txt") == "user/spike/80/99/spike.1101.out.txt"


@given(scope=_TEXT, lfn=_TEXT)
@example(scope="", lfn="a.txt")
@example(scope="..", lfn="a.txt")
@example(scope="a/../../b", lfn="c/d.txt")
@example(scope="user.ü", lfn="%(x)s 'é'")
def test_python_and_sql_agree(shared_database: Database, scope: str, lfn: str):
    row = shared_database.fetch_one(_IN_SQL, {"scope": scope, "lfn": lfn})
    assert row is not None
    assert row["path"] == deterministic_path(scope, lfn)


@given(scope=_TEXT)
def test_no_scope_leads_out_of_the_endpoint(scope: str):
    parts = deterministic_path(scope, "a.txt").split("/")
    assert not {"", ".", ".."} & set(parts)


@pytest.mark.parametrize("path", ["/pool", "/pool/", "/"])
def test_a_place_is_below_the_directory_of_its_endpoint(path):
    assert place(path, "user.spike", "spike.1101.out.txt") == f"{path.rstrip('/')}/user/spike/80/99/spike.1101.out.txt"
