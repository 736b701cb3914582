"""Scouts from the submission to the jobs that follow them: what they measured, and what stops a task."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from core.agents.generator import Generator
from core.agents.scouts import Scouts
from core.database import Database, Row
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import run_command
from core.workload_settings import GenerationSettings, ScoutSettings, TaskTimes
from tests.core.taskengine.submitting import accept, captured, history, jobs, place, row_of_task
from tests.support.builders import (
    add_up,
    everything,
    jobs_of_task,
    make_queue,
    make_task,
    put_into,
    report,
    report_finished,
)

CAROL = Issuer("carol", is_production=True)
GB_KB = 1024 * 1024
SETTINGS = ScoutSettings()


@pytest.fixture(scope="module")
def site(shared_database: Database) -> Database:
    make_queue(shared_database)
    return shared_database


@pytest.fixture(autouse=True)
def no_tasks_of_others(site: Database) -> None:
    site.execute(
        "UPDATE tasks SET status = 'aborted', generate_at = NULL WHERE status = ANY('{scouting,running,ready}')"
    )


def of_house(database: Database, **parameters: Any) -> int:
    """Thirty jobs of `panda run --scouts`, of which ten were made."""
    return make_task(database, **{"nJobs": 30, "useScout": True, "ramCount": 1000, **parameters})


def of_prun(database: Database, events: int = 300, **parameters: Any) -> int:
    """A task of the real client with thirty jobs of so many events each, of which ten were made."""
    known = {
        "taskName": f"user.testuser.scouted{row_count(database)}/",
        "nEvents": 30 * events,
        "nEventsPerJob": events,
    }
    return accept(
        database, captured("memory", **{**known, "coreCount": 1, "ramCount": 1000, "site": "Q", **parameters})
    )


def row_count(database: Database) -> int:
    return int(database.fetch("SELECT count(*) AS n FROM tasks")[0]["n"])


def end(database: Database, panda_ids: list[int], *, wall_s: float = 7200, **said: Any) -> None:
    """Let jobs run for a while and finish with these figures."""
    place(database)
    for panda_id in panda_ids:
        put_into(database, panda_id, "running")
        database.execute(
            "UPDATE jobs_live SET start_time = clock_timestamp() - make_interval(secs => %(s)s) WHERE panda_id = %(id)s",
            {"s": wall_s, "id": panda_id},
        )
        report(database, panda_id, "running", **said)
        report_finished(database, panda_id)
    add_up(database)


def fail(database: Database, panda_ids: list[int]) -> None:
    place(database)
    for panda_id in panda_ids:
        put_into(database, panda_id, "running")
        report(
            database, panda_id, "failed", exe_error_code=65, exe_error_diag="the program fell over", trans_exit_code=3
        )
    add_up(database)


def judge(database: Database) -> int:
    return Scouts(database, SETTINGS, 1).cycle()


def generate(database: Database) -> None:
    generator = Generator(database, GenerationSettings(), TaskTimes(), 1)
    while generator.cycle():
        pass


def rest(database: Database, task_id: int) -> list[Row]:
    """The jobs that are no scouts."""
    return [job for job in jobs(database, task_id) if "scout" not in job["special_handling"].split(",")]


def wake(database: Database, task_id: int) -> None:
    """What comes with time: the generator looks at the task again."""
    database.execute("UPDATE tasks SET generate_at = clock_timestamp() WHERE jedi_task_id = %(id)s", {"id": task_id})


@pytest.mark.parametrize("make", [of_house, of_prun])
def test_ten_jobs_go_first_and_hurry(site, make):
    task_id = make(site)
    scouts = jobs(site, task_id)
    assert len(scouts) == 10
    assert {job["special_handling"] for job in scouts} == {"scout"}
    assert {job["current_priority"] for job in scouts} == {1001}
    assert row_of_task(site, task_id)["status"] == "scouting"
    wake(site, task_id)
    generate(site)
    assert len(jobs_of_task(site, task_id)) == 10


@pytest.mark.parametrize(
    ("make", "parameters"),
    [
        (of_house, {"useScout": False}),
        (of_house, {"useScout": None}),
        (of_house, {"nJobs": 10}),
        (of_prun, {"skipScout": True}),
        (of_prun, {"nEvents": 3000}),
    ],
)
def test_small_tasks_and_those_that_want_none_send_no_scouts(site, make, parameters):
    task_id = make(site, **parameters)
    generate(site)
    assert len(rest(site, task_id)) == len(jobs_of_task(site, task_id)) in (10, 30)
    assert "scouting" not in history(site, task_id)


def test_low_priority_does_not_keep_scouts_waiting(site):
    task_id = of_house(site, taskPriority=10)
    assert {job["current_priority"] for job in jobs(site, task_id)} == {901}


@pytest.mark.parametrize("make", [of_house, of_prun])
def test_a_task_of_one_gigabyte_whose_scouts_need_three_gets_three_for_the_rest(site, make):
    task_id = make(site)
    scouts = jobs_of_task(site, task_id)
    end(site, scouts[:4], max_pss_kb=3 * GB_KB)
    assert judge(site) == 0
    assert row_of_task(site, task_id)["status"] == "scouting"
    end(site, scouts[4:5], max_pss_kb=3 * GB_KB)
    assert judge(site) == 1
    generate(site)
    assert history(site, task_id)[-3:] == ["scouting", "scouted", "running"]
    others = rest(site, task_id)
    assert len(others) == 20
    # 3072 MB and a tenth
    assert {job["min_ram_mb"] for job in others} == {3380}
    task = row_of_task(site, task_id)
    assert task["ram_count"] == 3380
    told = task["measured"]["scouts"]
    assert told["changed"]["ramCount"] == {"old": 1000, "new": 3380}
    assert (told["outcome"], told["finished"], told["under_way"]) == ("scouted", 5, 5)
    # the scouts that are out run on and the task ends
    end(site, [*scouts[5:], *(job["panda_id"] for job in others)], max_pss_kb=3 * GB_KB)
    assert row_of_task(site, task_id)["status"] == "done"


def test_time_scratch_and_traffic_are_learned_too(site):
    task_id = of_prun(site)
    scouts = jobs_of_task(site, task_id)
    end(site, scouts[:5], max_pss_kb=500 * 1024, work_dir_mb=2000, metrics={"tot_rbytes": 7200, "tot_wbytes": 7200})
    judge(site)
    generate(site)
    # 7200 s x 10 HS06 x 1 core x 0.9 x 1.5 / 300 events, and back again with the queue's power unknown
    split_rule = row_of_task(site, task_id)["split_rule"]
    assert split_rule["cpuTimeUnit"] == "HS06sPerEvent"
    assert split_rule["cpuTime"] in (324, 325)
    assert (split_rule["workDiskCount"], split_rule["diskIO"]) == (2000, 2)
    assert split_rule["ramCount"] == 550
    others = rest(site, task_id)
    assert {job["min_ram_mb"] for job in others} == {550}
    assert 10800 <= others[0]["max_walltime_s"] <= 10850
    assert others[0]["max_disk_mb"] == 2500


def test_what_the_submitter_fixed_stays(site):
    task_id = of_prun(site, ramCountUnit="MBPerCoreFixed", cpuTime=70, cpuTimeUnit="HS06sPerEventFixed")
    end(site, jobs_of_task(site, task_id)[:5], max_pss_kb=2 * GB_KB)
    judge(site)
    generate(site)
    assert {job["min_ram_mb"] for job in rest(site, task_id)} == {1000}
    assert not {"ramCount", "cpuTime"} & set(row_of_task(site, task_id)["split_rule"])
    assert row_of_task(site, task_id)["measured"]["scouts"]["values"]["ram_mb_per_core"] == 2253


def test_a_scout_that_is_tried_again_is_a_scout(site):
    task_id = of_house(site, maxAttempt=3, maxFailure=3)
    first = jobs_of_task(site, task_id)[0]
    fail(site, [first])
    assert judge(site) == 0
    generate(site)
    scouts = jobs(site, task_id)
    assert len(scouts) == 11
    assert scouts[-1]["special_handling"] == "scout"
    assert scouts[-1]["parent_id"] == first
    assert scouts[-1]["attempt_nr"] == 2
    assert row_of_task(site, task_id)["status"] == "scouting"


def test_a_reactivated_task_whose_scouts_are_all_out_waits_for_them(site):
    task_id = of_house(site)
    for command in ("pause", "reactivate"):
        assert run_command(site, command, task_id, CAROL).is_accepted
    generate(site)
    assert len(jobs_of_task(site, task_id)) == 10
    assert history(site, task_id)[-3:] == ["paused", "ready", "scouting"]
    end(site, jobs_of_task(site, task_id))
    assert judge(site) == 1
    generate(site)
    assert len(rest(site, task_id)) == 20


def test_a_task_none_of_whose_scouts_succeeded_is_broken_and_says_why(site, caplog):
    task_id = of_house(site, maxAttempt=1)
    fail(site, jobs_of_task(site, task_id))
    with caplog.at_level(logging.WARNING):
        assert judge(site) == 1
    task = row_of_task(site, task_id)
    assert task["status"] == "broken"
    assert task["error_dialog"] == "none of the 10 scouts succeeded: the program fell over"
    assert history(site, task_id)[-2:] == ["tobroken", "broken"]
    assert "none of the 10 scouts succeeded" in caplog.text
    assert task["measured"]["scouts"]["changed"] == {}


def test_a_task_most_of_whose_scouts_failed_waits_for_a_person_and_scouts_again(site):
    task_id = of_house(site, maxAttempt=1, scoutSuccessRate=8)
    scouts = jobs_of_task(site, task_id)
    end(site, scouts[:7])
    fail(site, scouts[7:])
    judge(site)
    task = row_of_task(site, task_id)
    assert task["status"] == "exhausted"
    assert task["error_dialog"].startswith("only 7 of 10 scouts succeeded, 80% are wanted")
    assert run_command(site, "retry", task_id, CAROL).is_accepted
    generate(site)
    assert len(jobs_of_task(site, task_id)) == 13
    assert rest(site, task_id) == []
    assert row_of_task(site, task_id)["status"] == "scouting"
    end(site, jobs_of_task(site, task_id)[10:])
    judge(site)
    generate(site)
    assert len(rest(site, task_id)) == 20


def test_a_guard_stops_the_task_and_a_retry_accepts_what_it_said(site):
    task_id = of_house(site, ramCount=100)
    end(site, jobs_of_task(site, task_id)[:5], max_pss_kb=3 * GB_KB)
    judge(site)
    task = row_of_task(site, task_id)
    assert task["status"] == "exhausted"
    assert task["error_dialog"].startswith("its jobs need 3380 MB per core, more than 4 times the 100 MB")
    assert task["generate_at"] is None
    assert run_command(site, "retry", task_id, CAROL).is_accepted
    generate(site)
    assert {job["min_ram_mb"] for job in rest(site, task_id)} == {3380}


def test_an_avalanche_sends_the_rest_at_once(site):
    task_id = of_house(site)
    assert run_command(site, "avalanche", task_id, CAROL).is_accepted
    generate(site)
    assert len(rest(site, task_id)) == 20
    assert row_of_task(site, task_id)["measured"]["scouts"]["reason"] == "avalanche asked for by carol"
    # scouts that are still out decide nothing any more
    assert judge(site) == 0


def test_needs_are_measured_once_more_after_the_first_jobs(site):
    task_id = of_house(site)
    scouts = jobs_of_task(site, task_id)
    end(site, scouts[:5], max_pss_kb=1 * GB_KB)
    judge(site)
    generate(site)
    end(site, [*scouts[5:], *(job["panda_id"] for job in rest(site, task_id)[:3])], max_pss_kb=2 * GB_KB)
    agent = Scouts(site, ScoutSettings(recompute_after_jobs=8), 1)
    assert agent.cycle() == 1
    task = row_of_task(site, task_id)
    assert task["measured"]["again"]["changed"]["ramCount"] == {"old": 1127, "new": 2253}
    assert task["split_rule"]["ramCount"] == 2253
    assert agent.cycle() == 0


def test_nothing_moves_while_scouts_run(site):
    of_house(site)
    of_prun(site)
    before = everything(site)
    assert judge(site) == 0
    assert everything(site) == before


def test_a_task_that_cannot_be_read_any_more_keeps_nobody_waiting(site, caplog):
    broken, sound = of_house(site), of_house(site)
    site.execute('UPDATE tasks SET split_rule = \'{"ramCount": "odd"}\' WHERE jedi_task_id = %(id)s', {"id": broken})
    end(site, jobs_of_task(site, sound)[:5])
    with caplog.at_level(logging.WARNING):
        assert judge(site) == 1
    assert row_of_task(site, sound)["status"] == "running"
    assert "ramCount" in caplog.text


def test_an_operator_says_how_many_scouts_there_are(site):
    parameters = captured("memory", taskName="user.testuser.few/", nEvents=30, nEventsPerJob=1, coreCount=1, site="Q")
    task_id = accept(site, parameters, scouts=ScoutSettings(jobs=3))
    assert len(jobs_of_task(site, task_id)) == 3
    end(site, jobs_of_task(site, task_id)[:2])
    assert judge(site) == 1


def test_a_task_is_read_again_when_one_of_its_jobs_has_ended(site):
    task_id = of_house(site)
    scouts = jobs_of_task(site, task_id)
    agent = Scouts(site, SETTINGS, 1)
    assert agent.cycle() == 0
    for panda_id in scouts[:4]:
        end(site, [panda_id])
        assert agent.cycle() == 0
    end(site, scouts[4:5])
    assert agent.cycle() == 1
    assert row_of_task(site, task_id)["status"] == "running"


def test_the_kernels_account_of_memory_will_do_where_the_pilot_saw_none(site):
    task_id = of_house(site)
    end(site, jobs_of_task(site, task_id)[:5], max_rss_kb=2 * GB_KB)
    judge(site)
    assert row_of_task(site, task_id)["split_rule"]["ramCount"] == 2253


def test_scouts_that_are_more_than_wanted_now_are_tried_again(site):
    """The setting was lowered, or a command made the usual number: the verdict waits for all of them."""
    task_id = of_house(site, maxAttempt=5, maxFailure=5)
    first = jobs_of_task(site, task_id)
    end(site, first[:4])
    fail(site, first[4:])
    fewer = ScoutSettings(jobs=3)
    generator = Generator(site, GenerationSettings(), TaskTimes(), 1, fewer)
    for _ in range(6):
        wake(site, task_id)
        generator.cycle()
        end(site, [panda_id for panda_id in jobs_of_task(site, task_id)[10:] if panda_id in live_jobs(site, task_id)])
    assert Scouts(site, fewer, 1).cycle() == 1
    assert row_of_task(site, task_id)["status"] == "running"


def live_jobs(database: Database, task_id: int) -> set[int]:
    statement = "SELECT panda_id FROM jobs_live WHERE jedi_task_id = %(id)s"
    return {row["panda_id"] for row in database.fetch(statement, {"id": task_id})}
