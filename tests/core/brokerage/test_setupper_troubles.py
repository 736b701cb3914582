"""What brokerage meets that nobody foresaw: the jobs it happens to wait and say so, all others get their queues."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.agents.setupper import Setupper
from core.brokerage.candidates import Candidate, Request
from core.brokerage.criterion import Criterion
from core.database import Database
from core.errors import Unavailable
from logger.handler import PandaHandler
from tests.core.why.asking import about_job, first
from tests.support.builders import jobs_of_task, live, make_queue, make_task, row_of, submit
from tests.support.system import RunningSystem, running_system

TOO_LARGE = '{"ramCount": ' + "9" * 400 + "}"
"""PostgreSQL keeps such a number, and nobody can read it."""
FAILED = 102


def damage(database: Database, task_id: int) -> None:
    """Write what no door would let in: the row of the task cannot be read any more."""
    statement = "UPDATE tasks SET split_rule = %(rule)s::jsonb WHERE jedi_task_id = %(id)s"
    database.execute(statement, {"rule": TOO_LARGE, "id": task_id})


def refuse(database: Database, panda_ids: list[int], sqlstate: str = "23514") -> None:
    """Have the database refuse to keep a decision about these jobs."""
    listed = ", ".join(map(str, panda_ids))
    database.execute(
        f"""CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF new.panda_id IN ({listed}) THEN RAISE 'refused job %', new.panda_id USING ERRCODE = '{sqlstate}'; END IF;
            RETURN new; END $$"""
    )
    database.execute("CREATE TRIGGER refuse BEFORE INSERT ON job_brokerage FOR EACH ROW EXECUTE FUNCTION refuse()")


def states(database: Database, task_id: int) -> Counter[str]:
    return Counter(row_of(database, panda_id)["job_status"] for panda_id in jobs_of_task(database, task_id))


def let_the_pause_end(database: Database) -> None:
    database.execute("UPDATE jobs_live SET brokerage_time = brokerage_time - interval '1 minute'")


@contextmanager
def log_shipped_to(system: RunningSystem) -> Iterator[None]:
    """What brokerage logs goes to the incident store, as in an installation."""
    handler = PandaHandler(system.url, token=system.token("agents", "admin"), component="agents")
    log = logging.getLogger("panda.brokerage")
    log.addHandler(handler)
    try:
        yield
        handler.flush()
    finally:
        log.removeHandler(handler)
        handler.close()


def test_a_damaged_task_waits_with_an_incident_and_the_others_get_their_queues(
    database: Database, database_url: str, short_directory: Path
):
    make_queue(database)
    tasks = [make_task(database, site="", nJobs=3) for _ in range(7)]
    alone = submit(database, 2, queue="")
    bad = tasks[4]
    damage(database, bad)
    with running_system(database_url, short_directory, agents=False) as system:
        with log_shipped_to(system):
            assert Setupper(database, 1).cycle() == 20
        incidents = system.client("ann").get("/api/monitor/incidents", params={"component": "brokerage"}).json()
    [incident] = incidents["incidents"]
    assert f"no queue can be chosen for 3 jobs of task {bad}" in incident["title"]
    [record] = database.fetch("SELECT * FROM log_records WHERE incident_id IS NOT NULL")
    assert (record["incident_id"], record["jedi_task_id"]) == (incident["incident_id"], bad)
    assert "wishes_of_tasks" in record["traceback"] and record["panda_id"] in jobs_of_task(database, bad)
    assert {task_id: states(database, task_id) for task_id in tasks} == {
        task_id: {"defined": 3} if task_id == bad else {"activated": 3} for task_id in tasks
    }
    assert {row_of(database, panda_id)["job_status"] for panda_id in alone} == {"activated"}
    for panda_id in jobs_of_task(database, bad):
        job = row_of(database, panda_id)
        assert job["brokerage_error_code"] == FAILED
        assert job["brokerage_error_diag"].startswith(
            "brokerage met an error of the system: JSONDecodeError: number is"
        )


def test_they_are_tried_again_after_the_usual_pause_and_told_of_once(database: Database, caplog):
    make_queue(database)
    task_id = make_task(database, site="", nJobs=2)
    [panda_id, _] = jobs_of_task(database, task_id)
    damage(database, task_id)
    setupper = Setupper(database, 1)
    assert setupper.cycle() == 0
    tried = row_of(database, panda_id)["brokerage_time"]
    assert setupper.cycle() == 0
    assert row_of(database, panda_id)["brokerage_time"] == tried
    let_the_pause_end(database)
    assert setupper.cycle() == 0
    assert row_of(database, panda_id)["brokerage_time"] > tried
    assert len([record for record in caplog.records if record.levelno >= logging.ERROR]) == 1
    database.execute("UPDATE tasks SET split_rule = '{}'")
    let_the_pause_end(database)
    assert setupper.cycle() == 2
    job = row_of(database, panda_id)
    assert (job["job_status"], job["brokerage_error_code"], job["brokerage_error_diag"]) == ("activated", 0, "")


def test_what_was_begun_for_jobs_that_the_database_refuses_is_undone(database: Database, caplog):
    make_queue(database, "A")
    make_queue(database, "B")
    refused = submit(database, 1, queue="", min_ram_mb=1)
    sound = submit(database, 4, queue="", min_ram_mb=2)
    refuse(database, refused)
    assert Setupper(database, 1).cycle() == 4
    job = live(database, refused[0])
    assert job is not None
    assert (job["job_status"], job["computing_site"], job["brokerage_error_code"]) == ("defined", "", FAILED)
    # the one that was placed and taken back does not count at its queue
    assert Counter(row_of(database, panda_id)["computing_site"] for panda_id in sound) == {"A": 2, "B": 2}
    [step] = database.fetch("SELECT job_status FROM job_history WHERE panda_id = %(id)s", {"id": job["panda_id"]})
    assert step["job_status"] == "defined"
    [kept, *_] = database.fetch("SELECT weights FROM brokerage_decisions ORDER BY decision_id")
    assert [entry["waiting"] for entry in kept["weights"]] == [0, 0]


def test_one_trouble_of_many_tasks_is_one_record(database: Database, caplog):
    make_queue(database)
    for _ in range(8):
        damage(database, make_task(database, site="", nJobs=1))
    sound = make_task(database, site="", nJobs=1)
    assert Setupper(database, 1).cycle() == 1
    assert states(database, sound) == {"activated": 1}
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "and those of 3 more tasks" in record.getMessage()


@pytest.mark.parametrize("sqlstate", ["40P01", "53200", "57014"])
def test_a_trouble_of_the_database_is_put_on_nobody(database: Database, sqlstate: str):
    make_queue(database)
    [panda_id] = submit(database, queue="")
    refuse(database, [panda_id], sqlstate)
    with pytest.raises(Exception) as caught:
        Setupper(database, 1).cycle()
    assert isinstance(caught.value, Unavailable) or getattr(caught.value, "pgcode", "") == sqlstate
    job = row_of(database, panda_id)
    assert (job["brokerage_time"], job["brokerage_error_diag"]) == (None, "")


def test_why_says_that_brokerage_failed_and_not_that_no_queue_fits(database: Database):
    make_queue(database, max_ram_mb=100)
    [panda_id] = submit(database, queue="", min_ram_mb=200)
    setupper = Setupper(database, 1)
    setupper.cycle()
    assert first(about_job(database, panda_id))[0] == "no_queue"
    make_queue(database, max_ram_mb=1000)
    refuse(database, [panda_id])
    let_the_pause_end(database)
    setupper.cycle()
    answer = about_job(database, panda_id)
    identity, sentence = first(answer)
    assert (identity, answer["reason"]["responsible"]) == ("brokerage_failed", "operators")
    assert f"CheckViolation: refused job {panda_id}" in sentence
    assert answer["reason"]["next_time"] is not None


class Unforeseen(Criterion):
    """Fails at one queue for everybody, or at all queues for one kind of job."""

    name = "unforeseen"
    sentence = "nothing unforeseen happens"

    def reason(self, request: Request, queue: Candidate) -> str | None:
        if queue.queue_name == "ODD" or request.core_count == 13:
            raise ZeroDivisionError("by zero cores")
        return None


def test_a_queue_at_which_a_criterion_fails_is_left_out_and_told_once(database, caplog, monkeypatch):
    monkeypatch.setattr("core.brokerage.judging._told", set())
    make_queue(database, "ODD")
    make_queue(database, "EVEN")
    fine, odd = submit(database, 3, queue=""), submit(database, 2, queue="", core_count=13)
    agent = Setupper(database, 1)
    agent._criteria = {kind: [Unforeseen(), *criteria] for kind, criteria in agent._criteria.items()}
    with caplog.at_level(logging.ERROR, logger="panda.brokerage"):
        agent.cycle()
        let_the_pause_end(database)
        agent.cycle()
    assert {row_of(database, panda_id)["computing_site"] for panda_id in fine} == {"EVEN"}
    assert {row_of(database, panda_id)["job_status"] for panda_id in odd} == {"defined"}
    assert row_of(database, odd[0])["brokerage_error_diag"] == (
        "no queue is left after 'nothing unforeseen happens': EVEN cannot be judged, ZeroDivisionError: by zero cores; "
        "ODD cannot be judged, ZeroDivisionError: by zero cores"
    )
    assert sorted(record.getMessage() for record in caplog.records) == [
        f"criterion unforeseen fails at queue {name}, which is left out: cannot be judged, ZeroDivisionError: by zero cores"
        for name in ("EVEN", "ODD")
    ]
    assert all(record.exc_info for record in caplog.records)
