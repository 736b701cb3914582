"""The pages of jobs and tasks say what rules did about failures."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.core.retrial.failing import add_rule, fail, judge, make_task

pytestmark = pytest.mark.browser


def test_job_and_task_say_what_the_rules_did(story, tab):
    database = story.system.database
    number = add_rule(database, "limit_retry", 1364, parameters={"maxAttempt": 2})
    task = make_task(database, files=1)
    job = fail(database, task, code=1364)
    judge(database, job)
    page = tab.open(f"job/{job}/")
    panel = page.locator("section", has_text="Retries").last
    expect(panel).to_contain_text("Attempt 1 of 2")
    expect(panel).to_contain_text("A fault of the system.")
    expect(panel).to_contain_text(f"rule {number}")
    expect(panel).to_contain_text("at most 2 attempts instead of 10")
    page = tab.open(f"task/{task}/")
    table = page.locator("section", has_text="What rules did about its failed jobs").last
    expect(table).to_contain_text("pilot:1364")
    expect(table).to_contain_text("limit retry")
