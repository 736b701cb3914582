"""Every command in every state: what server-api.md 5.8 accepts is accepted, the rest is refused in words and changes nothing."""

from __future__ import annotations

import pytest

from core.database import Database
from core.states import TaskStatus
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import COMMANDS, Outcome, run_command
from tests.core.taskengine.rows import history, insert_task, task_row
from tests.support.builders import everything, make_queue

ALICE, BOB, CAROL = Issuer("alice"), Issuer("bob"), Issuer("carol", is_production=True)

STOP = "finished done prepared broken aborted toabort aborting failed"
REFUSED_IN = {"kill": STOP, "finish": STOP, "pause": "finished failed done aborted broken paused"}
ACCEPTED_IN = {
    "retry": "finished failed running scouting pending",
    "incexec": "finished failed aborted done exhausted",
    "resubmit": "finished failed aborted done exhausted",
    "reassign": "defined ready running scouting scouted pending assigning exhausted paused throttled merging",
    "resume": "paused throttled staging",
    "avalanche": "scouting",
    "release": "scouting pending running ready assigning defined",
}
NEVER_AT_REST = frozenset(
    {
        *("prepared", "passed", "toabort", "tobroken", "aborting", "finishing"),
        *("toretry", "toincexec", "rerefine", "toreassign", "reassigning"),
    }
)
OPTIONS = {"reassign": {"site": "Q"}, "resubmit": {"new_parameters": {"nFilesPerJob": 2}}}


def accepted(name: str, status: TaskStatus) -> bool:
    """The table of server-api.md 5.8 and client-wire.md 5.2, said once more by hand."""
    if name == "reactivate":
        return status not in NEVER_AT_REST | {"broken"}
    if name in REFUSED_IN:
        stricter = NEVER_AT_REST if name == "pause" else set()
        return status not in {*REFUSED_IN[name].split(), *stricter}
    return status in ACCEPTED_IN[name].split()


@pytest.fixture(scope="module")
def site(shared_database: Database) -> Database:
    make_queue(shared_database)
    return shared_database


def run(database: Database, name: str, task_id: int, issuer: Issuer = ALICE, **options: object) -> Outcome:
    return run_command(database, name, task_id, issuer, **options)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_accepted_exactly_where_the_table_says(site, name):
    for status in TaskStatus:
        task_id = insert_task(site, status=status, parameters={"taskName": "t"})
        before = (task_row(site, task_id), history(site, task_id))
        outcome = run(site, name, task_id, **OPTIONS.get(name, {}))
        assert outcome.is_accepted is accepted(name, status), (name, status, outcome)
        if outcome.is_accepted:
            assert outcome.code == (3 if name == "resubmit" else 0)
            continue
        assert (task_row(site, task_id), history(site, task_id)) == before
        if name == "resubmit":
            assert outcome.code == 2
            assert outcome.message.startswith(f"jediTaskID={task_id} is in the {status} state for outDS=user.alice.t")
        else:
            words = f"Command rejected: the {name} command is not accepted if the task is in {status} status "
            assert (outcome.code, outcome.message) == (4, words)


def test_what_is_accepted_is_said_in_upstreams_words(site):
    task_id = insert_task(site, status="running", parameters={"taskName": "t"})
    outcome = run(site, "kill", task_id)
    assert outcome.message == f"command=kill is registered for task ID {task_id}. will be executed in a few minutes"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_task_that_does_not_exist_and_one_of_somebody_else_are_refused(site, name):
    unknown = run(site, name, 5, CAROL, **OPTIONS.get(name, {}))
    assert (unknown.is_accepted, unknown.code) == (False, 2)
    task_id = insert_task(site, status="finished", parameters={"taskName": "t"})
    before = everything(site)
    foreign = run(site, name, task_id, BOB, **OPTIONS.get(name, {}))
    assert (foreign.is_accepted, foreign.code) == (False, 3)
    assert foreign.message == "not the task owner or no production role"
    assert everything(site) == before


def test_only_production_retries_what_the_system_gave_up(site):
    task_id = insert_task(site, status="exhausted", parameters={"taskName": "t"})
    assert run(site, "retry", task_id).code == 4
    assert run(site, "retry", task_id, CAROL).is_accepted


def test_every_command_has_a_meaning_in_words():
    assert all(command.meaning for command in COMMANDS.values())
