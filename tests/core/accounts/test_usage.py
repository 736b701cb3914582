"""Every ended job is counted once, whatever is killed in between and in whatever order transactions end."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from core.accounts.usage import USAGE_CURSOR, account_usage
from core.database import Database
from core.states import JobStatus
from core.taskbuffer.endings import Ending, end_jobs
from tests.support.builders import make_queue
from tests.support.system import eventually


@pytest.fixture
def site(database: Database) -> Database:
    make_queue(database, "Q", parameters={"corepower": "12.5"})
    make_queue(database, "ODD", parameters={"corepower": "fast"})
    return database


_MAKE = """
INSERT INTO jobs_live (panda_id, job_status, computing_site, prod_user_name, working_group, core_count, start_time, end_time,
                       cpu_consumption_time_s)
SELECT nextval('panda_id_seq'), 'running', %(queue)s, %(user)s, %(group)s, %(cores)s,
       clock_timestamp() - interval '100 s', clock_timestamp(), 70
FROM generate_series(1, %(count)s) RETURNING panda_id
"""


def running(database: Database, count: int = 1, *, queue="Q", user="alice", group="", cores=1) -> list[int]:
    values = {"count": count, "queue": queue, "user": user, "group": group, "cores": cores}
    with database.transaction() as transaction:
        return [row["panda_id"] for row in transaction.fetch(_MAKE, values)]


def end(database: Database, panda_ids: list[int], status: JobStatus = JobStatus.FAILED) -> None:
    with database.transaction() as transaction:
        assert len(end_jobs(transaction, [Ending(panda_id, status, "test") for panda_id in panda_ids])) == len(
            panda_ids
        )


def counted(database: Database) -> int:
    row = database.fetch_one(
        "SELECT coalesce(sum(jobs_finished + jobs_failed + jobs_cancelled), 0) AS n FROM usage_days"
    )
    return int(row["n"])


def catch_up(database: Database, expected: int) -> None:
    """Until the margin of the horizon has passed."""
    eventually(lambda: (account_usage(database), counted(database))[1] >= expected, what="all jobs are counted")
    assert counted(database) == expected


def test_use_is_added_up_by_day_user_group_queue_and_label(site):
    end(site, running(site, 3, cores=4), JobStatus.FAILED)
    end(site, running(site, 2, cores=4), JobStatus.CANCELLED)
    end(site, running(site, 1, queue="ODD", user="bob", group="higgs"), JobStatus.CLOSED)
    catch_up(site, 6)
    rows = {row["user_name"]: row for row in site.fetch("SELECT * FROM usage_days")}
    alice, bob = rows["alice"], rows["bob"]
    assert (alice["jobs_finished"], alice["jobs_failed"], alice["jobs_cancelled"]) == (0, 3, 2)
    assert alice["wall_core_s"] == pytest.approx(5 * 400, rel=0.01)
    assert alice["power_s"] == pytest.approx(12.5 * alice["wall_core_s"])
    assert alice["failed_wall_core_s"] == pytest.approx(0.6 * alice["wall_core_s"], rel=0.01)
    assert alice["failed_power_s"] == pytest.approx(12.5 * alice["failed_wall_core_s"])
    assert alice["cpu_s"] == 5 * 70
    assert (bob["working_group"], bob["computing_site"], bob["prod_source_label"]) == ("higgs", "ODD", "user")
    assert bob["power_s"] == pytest.approx(10 * bob["wall_core_s"])


def test_a_job_that_never_started_has_used_nothing(site):
    panda_ids = running(site)
    site.execute("UPDATE jobs_live SET start_time = NULL, cpu_consumption_time_s = 0")
    end(site, panda_ids, JobStatus.CLOSED)
    catch_up(site, 1)
    assert site.fetch_one("SELECT wall_core_s, cpu_s FROM usage_days") == {"wall_core_s": 0, "cpu_s": 0}


def test_a_job_whose_transaction_ends_late_is_not_passed_over(site):
    late, early = running(site), running(site)
    ended, go_on = threading.Event(), threading.Event()

    def slowly() -> None:
        with site.transaction() as transaction:
            end_jobs(transaction, [Ending(late[0], JobStatus.FAILED, "slow")])
            ended.set()
            go_on.wait(30)

    thread = threading.Thread(target=slowly)
    thread.start()
    assert ended.wait(30)
    end(site, early)
    cursor = "SELECT cursor FROM agent_runs WHERE name = %(name)s"
    account_usage(site)
    before = site.fetch_one(cursor, {"name": USAGE_CURSOR})
    assert account_usage(site) is False and counted(site) == 0
    assert site.fetch_one(cursor, {"name": USAGE_CURSOR}) == before, "it stops before the open transaction"
    go_on.set()
    thread.join()
    catch_up(site, 2)


_KEEP = """
import sys
from core.accounts import usage
from core.database import Database
usage._ROWS_AT_ONCE = 7
usage._PAGE_END = usage._PAGE_END.replace("OFFSET 20000", "OFFSET 7")
database = Database(sys.argv[1])
while True:
    usage.account_usage(database)
    print("counted", flush=True)
"""


def test_kill_nine_in_the_middle_counts_nothing_twice_and_nothing_never(site, database_url):
    total = 0
    for round_number in range(4):
        panda_ids = running(site, 60)
        total += len(panda_ids)
        for panda_id in panda_ids:
            end(site, [panda_id])
        keeper = subprocess.Popen([sys.executable, "-c", _KEEP, database_url], stdout=subprocess.PIPE, text=True)
        for _ in range(round_number * 3 + 1):
            keeper.stdout.readline()
        keeper.kill()
        keeper.wait()
        keeper.stdout.close()
    catch_up(site, total)


def test_two_keepers_at_once_count_once(site):
    end(site, running(site, 200))
    threads = [threading.Thread(target=catch_up, args=(site, 200)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted(site) == 200
