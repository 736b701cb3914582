"""kill -9 of every part in mid-load: afterwards every job has ended exactly once, and people can see what happened."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

import psutil
import pytest

from pandascope.errors import ClientError
from tests.chaos.conftest import Installation, Load
from tests.support.system import eventually

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]


def incident_titles(installation: Installation) -> list[str]:
    with installation.client() as client:
        return [row["title"] for row in client.incidents(state="*", kind="service")["incidents"]]


def answers(load: Load) -> bool:
    try:
        return load.ended()
    except ClientError:
        return False


@pytest.mark.parametrize("part", ["api-1", "agents", "site"])
def test_a_part_killed_in_mid_load_comes_back_and_loses_nothing(
    installation: Installation, load: Load, part: str
) -> None:
    old = installation.pid(part)
    installation.kill_nine(part)
    eventually(lambda: installation.pid(part) not in (0, old), timeout_s=60, what=f"{part} is started again")
    eventually(lambda: answers(load), timeout_s=200, what="the task ends")
    load.check_every_job_ended_once(failed=0)
    named = f"an incident names {part}"
    eventually(lambda: any(part in title for title in incident_titles(installation)), timeout_s=60, what=named)


def test_postgres_killed_in_mid_load_recovers_and_loses_nothing(installation: Installation, load: Load) -> None:
    old, restarts = installation.pid("postgres"), installation.restarts("postgres")
    installation.kill_nine("postgres")
    eventually(lambda: installation.pid("postgres") not in (0, old), timeout_s=60, what="PostgreSQL is started again")
    assert installation.restarts("postgres") == restarts + 1
    eventually(lambda: answers(load), timeout_s=200, what="the task ends")
    load.check_every_job_ended_once(failed=0)
    named = "an incident names postgres"
    eventually(
        lambda: any("postgres" in one.lower() for one in incident_titles(installation)), timeout_s=60, what=named
    )


def test_a_killed_pilot_loses_its_job_and_no_other_and_the_payload_dies_with_it(
    installation: Installation, load: Load
) -> None:
    pilot, family = eventually(lambda: _busy_pilot(installation), what="a pilot runs a payload")
    os.kill(pilot.pid, signal.SIGKILL)
    eventually(lambda: not any(_runs(process) for process in family), timeout_s=60, what="the payload dies too")
    eventually(lambda: answers(load), timeout_s=200, what="the task ends")
    load.check_every_job_ended_once(failed=1)
    eventually(lambda: _uncovered_failures(load) == [], timeout_s=60, what="an incident covers it")


def _uncovered_failures(load: Load) -> list[int]:
    rows = load.rows("SELECT panda_id FROM jobs_archive WHERE jedi_task_id = %(task)s AND job_status = 'failed'")
    with load.installation.client() as client:
        return [row["panda_id"] for row in rows if not client.job(row["panda_id"])["incidents"]]


def _busy_pilot(installation: Installation) -> tuple[psutil.Process, list[psutil.Process]] | None:
    """A pilot with its payload. Payloads are short, and to ask who the pilots are takes longer: that is done seldom."""
    pilots = installation.pilots()
    for _ in range(200):
        for pilot in pilots:
            with suppress(psutil.NoSuchProcess):
                payload = pilot.children(recursive=True)
                if any("sleep" in process.name() for process in payload):
                    return pilot, [pilot, *payload]
        time.sleep(0.01)
    return None


def test_the_supervisor_killed_in_mid_load_is_replaced_by_the_next_up(installation: Installation, load: Load) -> None:
    supervisor = psutil.Process(installation.pid("supervisor"))
    installation.kill_nine("supervisor")
    eventually(lambda: not _runs(supervisor), timeout_s=60, what="the supervisor is gone")
    installation.up()
    eventually(lambda: answers(load), timeout_s=200, what="the task ends")
    load.check_every_job_ended_once(failed=3)


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
