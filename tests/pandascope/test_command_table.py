"""The `panda` command itself: quick to answer, helpful when misused, with exit codes scripts can rely on."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from core.errors import Conflict, PandaError, Unavailable
from pandascope.cli.main import COMMANDS, REFUSED, UNREACHABLE, exit_code_of
from pandascope.errors import Refused, ServerUnreachable, Usage

PANDA = [sys.executable, "-P", "-m", "pandascope.cli.main"]
HEAVY = ("dash", "textual", "sqlmodel", "sqlalchemy", "httpx", "uvicorn", "psycopg2")


def panda(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PANDA, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["--version"]])
def test_help_imports_no_part_of_the_system(arguments):
    code = f"""
import sys
from pandascope.cli.main import run
try:
    run({arguments!r})
except SystemExit as end:
    assert end.code == 0, end.code
print("loaded:", [name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded: []"


def test_help_lists_every_command_that_people_use():
    shown = panda("--help").stdout
    assert [entry.name for entry in COMMANDS if not entry.hidden and f" {entry.name} " not in shown] == []
    assert "serve" not in shown


@pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: entry.name)
def test_every_command_explains_itself(entry):
    module = importlib.import_module(entry.module)
    assert hasattr(module, "command") or hasattr(module, "app")
    command = entry.load()
    assert command.help
    assert len(command.help) > len("Do it.")


def test_a_mistyped_command_is_answered_with_the_likely_one():
    done = panda("incident")
    assert done.returncode == 2
    assert "incidents" in done.stderr
    assert done.stderr.startswith("error: ")


def test_a_wrong_option_is_a_usage_error_that_points_to_help():
    done = panda("up", "--prot", "1")
    assert done.returncode == 2
    assert "panda up --help" in done.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PandaError("no"), REFUSED),
        (Conflict("no"), REFUSED),
        (Unavailable("no"), UNREACHABLE),
        (Refused("no"), REFUSED),
        (ServerUnreachable("no"), UNREACHABLE),
        (Usage("no"), 2),
    ],
)
def test_exit_codes_follow_the_kind_of_error(error, code):
    assert exit_code_of(error) == code


def test_shells_complete_command_names():
    words = {"_PANDA_COMPLETE": "complete_bash", "COMP_WORDS": "panda to", "COMP_CWORD": "1"}
    code = f"import os; os.environ.update({words!r}); from pandascope.cli.main import run; run([])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["token"]
