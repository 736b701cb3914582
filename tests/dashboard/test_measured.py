"""The page of a task tells what its scouts measured, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.support.builders import make_task
from tests.support.measured import note_measured

pytestmark = pytest.mark.browser


def test_a_task_tells_what_its_scouts_measured(story, tab):
    task_id = make_task(story.system.database, site="LOCAL", jobParameters="true")
    note_measured(story.system.database, task_id)
    page = tab.open(f"task/{task_id}/")
    body = page.locator("#task-body")
    expect(body).to_contain_text("Measured needs")
    expect(body).to_contain_text("5 of 10 scouts succeeded")
    expect(body).to_contain_text("3,380 MB")
    expect(body).to_contain_text("System acts next")
    expect(body).to_contain_text("80 %")
