"""Why a job or a task does not run, as the pages of both say it, in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.builders import jobs_of_task, make_dataset, make_queue, make_task, submit
from tests.support.system import eventually

pytestmark = pytest.mark.browser

PICTURES = Path(__file__).parents[2] / "screenshots" / "monitor"


def test_the_pages_of_a_job_and_a_task_say_why_and_what_would_help(story, tab):
    database = story.system.database
    for number in range(4):
        make_queue(database, f"SMALL{number}", max_ram_mb=2000 + 1000 * (number > 1))
    database.execute("UPDATE queues SET max_ram_mb = 1000 WHERE queue_name = 'LOCAL'")
    (panda_id,) = submit(database, queue="", min_ram_mb=6000, job_name="a large one")
    look = "SELECT 1 FROM jobs_live WHERE panda_id = %(id)s AND brokerage_error_diag <> ''"
    eventually(lambda: database.fetch(look, {"id": panda_id}), what="brokerage looks at the job")
    page = tab.open(f"job/{panda_id}/")
    expect(page.locator("#why-reason")).to_contain_text("the last 5 fail at 'the queue allows the memory")
    panel = page.locator(".why")
    expect(panel).to_contain_text("Accepted by 0 of 5 queues; with 1000 MB by 5.")
    expect(panel).to_contain_text("with 3000 MB: 2 of 5 queues")
    expect(panel.locator("#why-brokerage")).to_have_attribute("open", "")
    page.screenshot(path=PICTURES / "why-job.png")
    make_dataset(database, "input of why", ["far/away"], at=["SMALL0_DISK"])
    task = make_task(database, site="SMALL1", inputDataset="input of why")
    (waiting,) = jobs_of_task(database, task)
    assigned = "SELECT 1 FROM jobs_live WHERE panda_id = %(id)s AND job_status = 'assigned'"
    eventually(lambda: database.fetch(assigned, {"id": waiting}), what="a queue is chosen")
    page = tab.open(f"task/{task}/")
    expect(page.locator("#why-reason")).to_contain_text("1 input file is not at SMALL1_DISK: far/away")
    page.screenshot(path=PICTURES / "why-task.png")
    page.locator(".why-facts a", has_text=str(waiting)).click()
    expect(page.locator("#why-reason")).to_contain_text("Queue SMALL1 is chosen")
    assert tab.complaints == []
