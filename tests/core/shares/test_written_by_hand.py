"""Rows that operators write past every door: the tables refuse what would stop submissions and pilots."""

from __future__ import annotations

import psycopg2
import pytest

from core.database import Database
from core.errors import InvalidInput
from core.shares.editing import set_share
from core.shares.reading import read_nodes
from tests.support.builders import make_queue

BACK_REFERENCES = (r"(a+)(a+)\1\2", r"\\(x)\1", r"(x)\\\1")
UNSOUND = [
    *(("vo", "("), ("rtype", "***=x"), ("trans_path", "[[:nothing:]]"), ("campaign", "a)|(b")),
    *(("processing_type", text) for text in BACK_REFERENCES),
    *(("value", "NaN"), ("value", "Infinity"), ("value", "-1"), ("name", "")),
]


@pytest.fixture
def tree(database: Database) -> Database:
    set_share(database, "A", {"value": 1, "vo": r"atlas\\1|\d+"}, who="olga")
    return database


@pytest.mark.parametrize(("column", "value"), UNSOUND)
def test_a_share_that_would_stop_the_others_cannot_be_written(tree, column, value):
    before = read_nodes(tree)
    with pytest.raises(psycopg2.DatabaseError):
        tree.execute(f"UPDATE global_shares SET {column} = %(value)s WHERE name = 'A'", {"value": value})
    assert read_nodes(tree) == before


@pytest.mark.parametrize("expression", BACK_REFERENCES)
def test_expressions_that_may_take_minutes_are_refused_at_the_door(tree, expression):
    with pytest.raises(InvalidInput) as refused:
        set_share(tree, "A", {"processing_type": expression}, who="olga")
    assert (refused.value.field, bool(refused.value.remedy)) == ("A.processing_type", True)


@pytest.mark.parametrize("parameters", ["[]", '"online"', "1", "null"])
def test_the_parameters_of_a_queue_are_an_object(database, parameters):
    make_queue(database)
    with pytest.raises(psycopg2.errors.CheckViolation):
        database.execute("UPDATE queues SET parameters = %(given)s::jsonb", {"given": parameters})
