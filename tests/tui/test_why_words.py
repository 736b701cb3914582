"""What the answer says in the console and on the page: a time that the sentence names is not said twice."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from dashboard.components.why import why as on_the_page
from dashboard.links import Links
from tui.palette import Palette
from tui.render.why import why as in_the_console

TIME = "2026-11-29T07:57:50+00:00"


def answer(next_step: str) -> dict[str, Any]:
    """Of a job that waits."""
    reason = {
        **{"id": "no_pilot", "sentence": "No pilot of Q has ever asked for a job.", "clause": "", "advice": []},
        **{"responsible": "site", "responsible_words": "the site that runs the queue", "numbers": {}},
        **{"next_step": next_step, "next_time": TIME},
    }
    what = {"kind": "job", "panda_id": 1, "jedi_task_id": None, "status": "activated", "computing_site": "Q"}
    return {**what, "reason": reason, "also": [], "brokerage": None, "start": None}


@pytest.mark.parametrize(
    ("next_step", "is_said"),
    [
        ("unless it starts before 2026-11-29 07:57 UTC, it is closed, and nothing takes its place", True),
        ("it is tried again at the time given", False),
        ("brokerage looks again (last at 08:02:40 UTC)", False),
    ],
)
def test_a_time_that_the_sentence_names_is_not_said_twice(next_step, is_said):
    console = Console(width=160, record=True, file=None)
    with console.capture() as printed:
        console.print(in_the_console(answer(next_step), Palette.of_theme({})))
    assert ("07:57:50" not in printed.get()) is is_said
    page = str(on_the_page(answer(next_step), Links("/monitor/")).to_plotly_json())
    assert ("07:57:50" not in page) is is_said
