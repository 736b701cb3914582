"""Commands beside the console on a terminal of 80 columns: what a person needs is not what is cut."""

from __future__ import annotations

import re

import pytest
from rich.console import Console

from pandascope.cli import main, queues, timeouts

GROUPS = ("alarms", "notices", "token", "queues")


@pytest.fixture
def at_the_system(story, monkeypatch):
    """Commands that speak to the story's system, as an operator."""
    monkeypatch.setenv("PANDA_URL", story.system.url)
    monkeypatch.setenv("PANDA_TOKEN", story.system.token("olga", "operator"))


def terminal(width):
    return lambda: Console(width=width, highlight=False, markup=False, force_terminal=True, color_system=None)


@pytest.mark.parametrize("group", ["alarms", "notices"])
def test_a_group_without_a_command_shows_its_help_and_no_complaint(group, capsys):
    assert main._run([group]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"Usage: panda {group} ")
    assert "error" not in shown.err


@pytest.mark.parametrize("group", GROUPS)
def test_what_a_command_does_is_said_whole_in_the_list_of_commands(group, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main._run([group, "--help"]) == 0
    listed = capsys.readouterr().out.partition("Commands:")[2].splitlines()
    assert len(listed) > 2
    assert [line for line in listed if line.endswith("...")] == []


@pytest.mark.parametrize(("width", "has_limits"), [(80, False), (160, True)])
def test_queues_say_who_set_the_status_before_what_their_limits_are(
    at_the_system, monkeypatch, capsys, width, has_limits
):
    monkeypatch.setattr(queues, "console", terminal(width))
    assert main._run(["queues"]) == 0
    heading, *rows = capsys.readouterr().out.splitlines()
    assert re.split(r"\s\s+", heading.strip())[:6] == ["queue", "status", "jobs", "done/h", "failed/h", "last pilot"]
    assert "status set" in heading
    assert ("limits" in heading) is has_limits
    assert rows[0].startswith("LOCAL")


@pytest.mark.parametrize(("width", "has_states"), [(80, False), (160, True)])
def test_timeouts_keep_their_numbers_on_a_narrow_terminal(at_the_system, monkeypatch, capsys, width, has_states):
    monkeypatch.setattr(timeouts, "console", terminal(width))
    assert main._run(["timeouts"]) == 0
    heading, *rows = capsys.readouterr().out.splitlines()
    assert [word in heading for word in ("what", "limit", "past half", "ended", "last")] == [True] * 5
    assert ("states" in heading) is has_states
    assert rows[0].startswith("pending too long ")
    assert "+00:00" not in rows[-1], "a time for people"
