"""`panda token`: tokens with the person's name, and codes confirmed from the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from api.identity.issuer import Issuer
from tests.support.signing_in import Program
from tests.support.system import RunningSystem, running_system

PANDA = [sys.executable, "-P", "-m", "pandascope.cli.main"]


@pytest.fixture(scope="module")
def served(module_database_url, tmp_path_factory):
    with running_system(module_database_url, tmp_path_factory.mktemp("tokens"), agents=False) as system:
        yield system


def panda(system: RunningSystem, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PANDA_DATABASE_URL": system.settings.database_url}
    program = [*PANDA, *words, "--data", str(system.settings.data)]
    return subprocess.run(program, env=environment, capture_output=True, text=True, check=False)


def test_a_token_carries_the_persons_name(served):
    done = panda(
        served, "token", "create", "--user", "jdoe", "--vo", "v", "--name", "jane DOE", "--nickname", "jd", "--json"
    )
    made = json.loads(done.stdout)
    claims = Issuer(served.settings.data).verify(made["token"])
    assert (claims["sub"], claims["name"], claims["preferred_username"]) == ("jdoe", "jane DOE", "jd")
    assert (made["user"], made["owner_name"]) == ("jdoe", "Jane Doe")
    assert served.database.fetch("SELECT user_name FROM users WHERE vo = 'v'") == [{"user_name": "Jane Doe"}]


@pytest.mark.parametrize(
    ("words", "field"), [(("--name", "a\tb"), "name"), (("--name", "x" * 300), "name"), (("--role", "root"), "role")]
)
def test_a_name_that_cannot_be_one_is_refused(served, words, field):
    done = panda(served, "token", "create", "--user", "jdoe", "--vo", "v", *words)
    assert done.returncode != 0
    assert f"error: {field}: " in done.stderr
    assert done.stdout == ""


def test_a_code_is_confirmed_from_the_command_line(served):
    program = Program(served, "local:pilot")
    asked = program.ask()
    done = panda(served, "token", "approve", asked["user_code"], "--user", "jdoe", "--name", "jane DOE")
    assert done.stdout == "confirmed: jdoe of local with the role pilot\n"
    answer = program.poll(asked["device_code"]).json()
    claims = Issuer(served.settings.data).verify(answer["id_token"])
    assert (claims["name"], claims["roles"]) == ("jane DOE", ["pilot"])
    again = panda(served, "token", "approve", asked["user_code"], "--user", "jdoe")
    assert again.returncode != 0
    assert "used already" in again.stderr


def test_a_code_that_nobody_shows_is_refused(served):
    done = panda(served, "token", "approve", "BBBB-BBBB", "--user", "jdoe")
    assert done.returncode != 0
    assert "there is no such code" in done.stderr
