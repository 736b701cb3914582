"""Leaves that nothing seen so far matches are named, with the expression; as soon as something matches, nothing is said."""

from __future__ import annotations

from typing import Any

import pytest

from core.database import Database
from core.shares.reading import read_nodes
from core.shares.unseen import LOOKED_AT, Unseen, unseen_by, warnings_of
from tests.core.shares.conftest import plant
from tests.support.builders import make_queue, make_task, submit


def unseen(database: Database) -> list[tuple[str, str]]:
    return [(entry.share, entry.field) for entry in unseen_by(database, read_nodes(database))]


@pytest.fixture
def worked(site: Database) -> Database:
    """Two tasks, of a group and of none, and a job of its own."""
    make_task(site, workingGroup="higgs", processingType="evgen")
    make_task(site, processingType="reco")
    site.execute(
        "UPDATE tasks SET vo = 'atlas', prod_source_label = 'managed', campaign = 'MC16a' WHERE working_group <> ''"
    )
    submit(site, 1, queue="Q")
    return site


@pytest.mark.parametrize(
    ("share", "fields"),
    [
        ({}, []),
        ({"working_group": "higgs"}, []),
        ({"working_group": "hig"}, ["working_group"]),
        ({"working_group": "susy|higgs"}, []),
        ({"working_group": "susy.*", "vo": "lhcb"}, ["vo", "working_group"]),
        ({"campaign": "MC16."}, []),
        ({"campaign": "MC23"}, ["campaign"]),
        ({"processing_type": "evgen|reco"}, []),
        ({"trans_path": "nothing like it"}, ["trans_path"]),
        ({"working_group": "higgs", "processing_type": "reco"}, [""]),
        ({"prod_source_label": "install"}, ["prod_source_label"]),
        ({"rtype": "cloud"}, ["rtype"]),
        ({"rtype": "hpc"}, []),
        ({"rtype": "hpc", "working_group": "susy"}, ["working_group"]),
    ],
)
def test_an_expression_that_no_work_matches_is_named(worked, share, fields):
    make_queue(worked, "HPC", parameters={"resource_type": "hpc"})
    plant(worked, {"name": "S", "value": 1, **share})
    assert unseen(worked) == [("S", field) for field in fields]


def test_what_was_never_matched_is_said_until_work_comes(worked):
    shares: list[dict[str, Any]] = [
        {"name": "Top", "value": 1},
        {"name": "S", "parent": "Top", "working_group": "susy"},
    ]
    plant(worked, *shares, {"name": "Rest", "value": 1})
    assert unseen(worked) == [("S", "working_group")]
    assert warnings_of(unseen_by(worked, read_nodes(worked))) == ["S: no working group seen so far matches 'susy'"]
    make_task(worked, workingGroup="susy")
    assert unseen(worked) == []


def test_where_nothing_was_seen_nothing_is_said(site):
    plant(site, {"name": "S", "value": 1, "working_group": "susy"})
    assert unseen(site) == []
    assert unseen_by(site, []) == []


def test_only_so_much_is_looked_at(worked):
    plant(worked, {"name": "S", "value": 1, "working_group": "higgs"})
    worked.execute(
        """INSERT INTO tasks (jedi_task_id, status, user_name, prod_source_label)
           SELECT max(jedi_task_id) + n, 'done', 'x', 'user' FROM tasks, generate_series(1, %(n)s) AS n GROUP BY n""",
        {"n": LOOKED_AT},
    )
    assert unseen(worked) == [("S", "working_group")]


def test_a_warning_without_a_field_names_the_share():
    assert warnings_of([Unseen("S", "", "nothing")]) == ["S: nothing"]


def test_a_leaf_that_can_never_match_is_told_with_the_one_before_it(site):
    plant(site, {"name": "All", "value": 1})
    site.execute("INSERT INTO global_shares (name, parent, value, position, vo) VALUES ('Old', '', 3, 70, 'atlas')")
    assert unseen(site) == [("Old", "position")]
    [warning] = warnings_of(unseen_by(site, read_nodes(site)))
    assert warning.startswith("Old: can never match: 'All' comes before it (position 10, this one 70)")
