"""The unmodified client signs in with a code that a person confirms in the browser, and renews its token by itself."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.api.test_identity import claims_of
from tests.support.real_world import RealClient
from tests.support.signing_in import confirm
from tests.support.system import RunningSystem


@pytest.fixture
def newcomer(client_program: Path, shared_system: RunningSystem, tmp_path: Path) -> RealClient:
    """The real client of somebody who has no token yet."""
    return RealClient(client_program, shared_system.url, "", tmp_path, vo="local")


def sign_in(client: RealClient, token: str, *words: str, decision: str = "approve") -> str:
    """Run a command that asks for a sign-in, confirm it as a person would, and return all that was printed."""
    program = [str(client.environment / "bin" / words[0]), *words[1:]]
    process = subprocess.Popen(
        program,
        cwd=client.directory,
        env=client.variables(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if found := re.search(r"go to (\S+) and sign in", line):
            assert confirm(found[1], token, decision=decision).status_code == 200
            process.stdin.write("y\n")
            process.stdin.flush()
            break
    rest, _ = process.communicate(timeout=60)
    return said + rest


def stored(client: RealClient) -> dict[str, Any]:
    """The client's `.token` file."""
    return json.loads((client.directory / ".panda" / ".token").read_text())


def test_a_new_user_confirms_a_code_and_works_on_without_asking(newcomer, shared_system):
    person = shared_system.token("jdoe", vo="local", name="jane DOE")
    said = sign_in(newcomer, person, "pbook", "set_secret", "where", "here")
    assert "All set" in said, said
    claims = claims_of(stored(newcomer)["id_token"])
    assert (claims["name"], claims["preferred_username"], claims["roles"]) == ("jane DOE", "jdoe", [])
    assert "here" in newcomer.run("pbook", "list_secrets")  # no question any more
    secrets = shared_system.database.fetch("SELECT user_name, name FROM user_secrets")
    assert secrets == [{"user_name": "Jane Doe", "name": "where"}]


def test_a_token_that_is_nearly_over_is_renewed_by_itself(newcomer, shared_system):
    sign_in(newcomer, shared_system.token("rita", vo="local"), "pbook", "list_secrets")
    first = stored(newcomer)
    # the client trusts the clock in the token, so one that is over stands in for a day that has passed
    over = shared_system.issuer.issue(user="rita", vo="local", roles=[], lifetime_s=60).text
    (newcomer.directory / ".panda" / ".token").write_text(json.dumps(first | {"id_token": over}))
    said = newcomer.run("pbook", "list_secrets")
    assert "sign in" not in said
    renewed = stored(newcomer)
    assert renewed["refresh_token"] != first["refresh_token"]
    assert claims_of(renewed["id_token"])["sub"] == "rita"


def test_a_denied_code_ends_the_command(newcomer):
    said = sign_in(newcomer, "", "pbook", "list_secrets", decision="deny")
    assert "access_denied" in said
    assert not (newcomer.directory / ".panda" / ".token").exists()


def test_an_unknown_organisation_is_told_to_the_user(newcomer):
    newcomer.vo = "nosuchvo"
    assert "nosuchvo" in newcomer.run("pbook", "list_secrets", check=False)
