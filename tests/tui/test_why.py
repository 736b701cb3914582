"""w says why a job or a task does not run, above whatever is open."""

from __future__ import annotations

import shlex
import sys

import pytest

from tests.support import builders
from tests.support.system import eventually
from tests.tui.conftest import console
from tests.tui.test_terminal import Terminal

pytestmark = pytest.mark.anyio


def a_job_too_large(fresh) -> int:
    """A job of a task that no queue takes, once brokerage has looked at it."""
    database = fresh.database
    for number in range(3):
        builders.make_queue(database, f"SMALL{number}", max_ram_mb=3000)
    database.execute("UPDATE queues SET max_ram_mb = 1000 WHERE queue_name = 'LOCAL'")
    task = builders.make_task(database, site="", ramCount=6000)
    (panda_id,) = builders.jobs_of_task(database, task)
    look = "SELECT 1 FROM jobs_live WHERE panda_id = %(id)s AND brokerage_error_diag <> ''"
    eventually(lambda: database.fetch(look, {"id": panda_id}), what="brokerage looks at the job")
    return panda_id


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_w_on_a_job_explains_it_and_closes_again(fresh, size):
    panda_id = a_job_too_large(fresh)
    async with console(fresh.system, f"job {panda_id}", size=size) as seen:
        await seen.shows("defined")
        await seen.press("w")
        await seen.shows(
            f"Why · job {panda_id}", "None of 4 queues can take it", "responsible", "user: whoever submitted"
        )
        await seen.press("escape")
        await seen.until(lambda: f"Why · job {panda_id}" not in "\n".join(seen.lines), "the dialogue has closed")
        assert seen.page == f"/job/{panda_id}/"


async def test_w_on_a_task_and_on_rows_of_lists(fresh):
    panda_id = a_job_too_large(fresh)
    task = builders.row_of(fresh.database, panda_id)["jedi_task_id"]
    async with console(fresh.system, f"task {task}", size=(120, 60)) as seen:
        await seen.shows("ready")
        await seen.press("w")
        await seen.shows(f"Why · task {task}", "1 of 1 job under way is defined", "with 3000 MB: 3 of 4 queues")
    async with console(fresh.system, "/jobs/", size=(120, 40)) as seen:
        await seen.until(lambda: seen.table().has_key(str(panda_id)), "the job is in the list")
        seen.table().move_to(str(panda_id))
        await seen.press("w")
        await seen.shows(f"Why · job {panda_id}", "None of 4 queues can take it")


def test_panda_why_and_the_console_in_a_terminal(fresh, short_directory) -> None:
    panda_id = a_job_too_large(fresh)
    terminal = Terminal(short_directory)
    try:
        command = shlex.join([sys.executable, "-P", "-m", "pandascope.cli.main", "tui", f"/job/{panda_id}/"])
        terminal.open(command, PANDA_URL=fresh.system.url, PANDA_TOKEN=fresh.system.token("olga", "operator"))
        terminal.shows(f"{panda_id}", "w why")
        terminal.press("w")
        terminal.shows("None of 4 queues can take it", "Accepted by 0 of 4 queues")
        terminal.press("End")
        terminal.shows("4 → 0")
    finally:
        terminal.close()
