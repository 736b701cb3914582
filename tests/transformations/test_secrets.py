"""Secrets of the user: there for the command, in every form the documentation promises, and gone after it."""

from __future__ import annotations

import base64
import json
import signal

import pytest

from tests.transformations.conftest import Job

KEY = b"\0private\xff"
SECRETS = {
    "MY_WORD": "sword fish",
    "PATH": "/nowhere",
    "no variable": "in the file only",
    "___file___:key.bin": base64.b64encode(KEY).decode(),
    "___file___:../up.bin": base64.b64encode(KEY).decode(),
    "___file___:bad.bin": "not base64!",
}


@pytest.fixture
def secrets(job: Job) -> Job:
    job.file("panda_secrets.json", json.dumps(SECRETS))
    return job


def left(job: Job) -> set[str]:
    return {path.name for path in job.directory.rglob("*") if path.is_file() or path.is_symlink()}


@pytest.mark.parametrize("code", [0, 3])
def test_the_command_has_the_file_the_variables_and_the_files_and_afterwards_nobody(secrets: Job, code: int) -> None:
    done = secrets.run(f'cp key.bin copy; echo "$MY_WORD" > word; cat panda_secrets.json > all; ls .. ; exit {code}')
    assert done.returncode == code, done.stderr
    run_directory = secrets.directory / "workDir"
    assert (run_directory / "copy").read_bytes() == KEY
    assert (run_directory / "word").read_text() == "sword fish\n"
    assert json.loads((run_directory / "all").read_text()) == SECRETS
    assert not left(secrets) & {"panda_secrets.json", "key.bin", "up.bin", "bad.bin"}
    assert "fish" not in done.stdout + done.stderr


def test_a_secret_wins_over_a_file_of_the_sandbox(secrets: Job) -> None:
    secrets.cache.add("jobO.1.tar.gz", key_bin="from the sandbox")
    assert secrets.run("cmp key.bin - < /dev/null; wc -c < key.bin > size", "-a", "jobO.1.tar.gz").returncode == 0
    assert (secrets.directory / "workDir" / "size").read_text().strip() == str(len(KEY))


def test_a_job_that_is_ended_from_outside_leaves_none(secrets: Job) -> None:
    done = secrets.run("kill -TERM $PPID; exec sleep 60")  # a child would live on, and hold our end of its output
    assert done.returncode == 128 + signal.SIGTERM
    assert not left(secrets) & {"panda_secrets.json", "key.bin"}


def test_the_steps_around_a_container_of_the_pilot_show_and_hide_them(secrets: Job) -> None:
    assert secrets.run("cat key.bin", "--preprocess").returncode == 0
    assert {"panda_secrets.json", "key.bin"} <= left(secrets)
    assert secrets.run("cat key.bin", "--postprocess").returncode == 0
    assert not left(secrets) & {"panda_secrets.json", "key.bin"}


@pytest.mark.parametrize("text", ["", "[]", "{", "\xff", '{"a": 1}'])
def test_a_file_that_holds_no_secrets_disturbs_nothing(job: Job, text: str) -> None:
    job.file("panda_secrets.json", text)
    assert job.run("true").returncode == 0


def test_the_number_of_cores_is_told(job: Job) -> None:
    assert job.run("echo %CORE_NUMBER %CORE_NUMBERS > o", ATHENA_CORE_NUMBER="8").returncode == 0
    assert (job.directory / "workDir" / "o").read_text() == "8 %CORE_NUMBERS\n"
