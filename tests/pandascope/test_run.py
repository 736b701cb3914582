"""Running commands over files gives what running them by hand gives; whatever the files are called."""

from __future__ import annotations

import asyncio
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pandascope import AsyncClient, Client, waiting
from pandascope.cli.progress import TaskProgress
from pandascope.errors import ClientError, TimedOut, Usage
from pandascope.running import RunRequest, task_parameters
from tests.support.builders import make_queue
from tests.support.system import RunningSystem, eventually

WEIRD = [
    "a b.txt",
    "it's.txt",
    'say "hi".txt',
    "ünï-日本.txt",
    "new\nline.txt",
    "c,d.txt",
    "-rf.txt",
    "x[1].txt",
    "$(id) `id` $HOME.txt",
    "%IN.txt",
    "back\\slash.txt",
    ".txt.",
    "tab\there.txt",
    "empty.txt",
]


def make_weird(folder: str) -> list[str]:
    Path(folder).mkdir()
    for number, name in enumerate(WEIRD):
        content = "" if name == "empty.txt" else f"{name!r} line\n" * (number + 1)
        Path(folder, name).write_text(content)
    return [f"{folder}/{name}" for name in WEIRD if not name.startswith(".")]


def by_hand(command: str, names: list[str]) -> bytes:
    text = command.replace("%IN", " ".join(map(shlex.quote, names))).replace(" > %OUT", "")
    return subprocess.run(text, shell=True, check=True, capture_output=True).stdout


def test_the_result_is_the_one_by_hand_in_one_job_and_in_several(here: Path, client: Client) -> None:
    make_weird("data")
    names = sorted(f"data/{name}" for name in WEIRD if not name.startswith("."))
    command = "grep -Hc '' %IN > %OUT || true"
    expected = by_hand("grep -Hc '' %IN || true", names)
    for files_per_job, folder in ((100, "one"), (4, "several")):
        sent = client.run(command, inputs=["data/*"], outputs=["counts.txt"], files_per_job=files_per_job)
        task = client.wait(sent.jedi_task_id, timeout_s=180)
        assert (task["status"], sent.n_inputs) == ("done", len(names))
        collected = client.collect(sent.jedi_task_id, folder, merge=True)
        assert Path(folder, "counts.txt").read_bytes() == expected
        shown = sorted(path.name for path in Path(folder).iterdir())
        if files_per_job == 100:
            assert shown == ["counts.txt"]
        else:
            assert shown == [
                "counts.000001.txt",
                "counts.000002.txt",
                "counts.000003.txt",
                "counts.000004.txt",
                "counts.txt",
            ]
            assert collected.merged == [Path(folder, "counts.txt")]


def test_a_first_job_chooses_the_files(here: Path, panda: Callable[..., Any]) -> None:
    make_weird("data")
    chosen = ["data/a b.txt", "data/it's.txt", "data/ünï-日本.txt"]
    Path("find.py").write_text(f"import json\nprint(json.dumps({{'inputFiles': {chosen!r}}}))\n")
    ended = panda(
        *("run", "--exec", "cat %IN > %OUT", "--in", "data/*", "--out", "all.txt", "--sandbox", "find.py"),
        *("--preprocess", "python3 find.py > %OUT", "--collect", "results", "--merge"),
    )
    assert Path("results/all.txt").read_bytes() == by_hand("cat %IN", chosen)
    assert "done: finished 4" in ended.stdout


def test_a_first_job_that_makes_no_sense_is_told(here: Path, panda: Callable[..., Any]) -> None:
    ended = panda("run", "--exec", "true", "--preprocess", "echo '{\"nJobs\": 0}' > %OUT", "--wait", check=1)
    assert "broken" in ended.stdout and "nJobs: '0' will not do" in ended.stdout


def test_coroutines_run_wait_and_collect_too(here: Path, working_system: RunningSystem) -> None:
    async def work() -> bytes:
        async with AsyncClient(working_system.url, working_system.token()) as client:
            sent = await client.run("echo job %JOB of %% > %OUT", outputs=["o"], n_jobs=2)
            seen: list[dict[str, Any]] = []
            assert (await client.wait(sent.jedi_task_id, timeout_s=180, on_progress=seen.append))["status"] == "done"
            assert seen[-1]["n_finished"] == 2
            collected = await client.collect(sent.jedi_task_id, "results", merge=True)
            return collected.merged[0].read_bytes()

    assert asyncio.run(work()) == b"job 1 of %%\njob 2 of %%\n"


def test_the_sandbox_is_where_it_is_by_hand_and_stays_executable(here: Path, client: Client) -> None:
    Path("tools").mkdir()
    Path("tools/count.sh").write_text('#!/bin/sh\nwc -c "$@"\n')
    Path("tools/count.sh").chmod(0o755)
    Path("a.txt").write_text("12345")
    sent = client.run("./tools/count.sh %IN > %OUT", inputs=["a.txt"], outputs=["o.txt"], sandbox=["tools/count.sh"])
    client.wait(sent.jedi_task_id, timeout_s=180)
    client.collect(sent.jedi_task_id, "r")
    assert Path("r/o.txt").read_bytes() == by_hand("./tools/count.sh %IN", ["a.txt"])


def test_an_output_that_changed_after_the_job_is_not_collected(here: Path, client: Client) -> None:
    sent = client.run("echo right > %OUT", outputs=["o.txt"])
    client.wait(sent.jedi_task_id, timeout_s=180)
    (output,) = [row for row in client.outputs(sent.jedi_task_id) if row["type"] == "output"]
    Path(output["pfn"]).write_text("wrong\n")
    with pytest.raises(ClientError, match="o") as caught:
        client.collect(sent.jedi_task_id, "r")
    assert caught.value.code == "corrupt_output"
    assert list(Path("r").iterdir()) == []


def test_waiting_ends_at_its_limit_and_says_how_far_it_is(here: Path, client: Client) -> None:
    sent = client.run("sleep 60")
    eventually(lambda: client.task(sent.jedi_task_id)["task"]["n_jobs"], what="the job of the task is made")
    with pytest.raises(TimedOut, match="0 of 1 jobs"):
        client.wait(sent.jedi_task_id, timeout_s=0.5)
    client.kill_task(sent.jedi_task_id)
    assert client.wait(sent.jedi_task_id, timeout_s=180)["status"] == "aborted"


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"command": "  "}, "--exec"),
        ({"command": "wc %IN"}, "--exec"),
        ({"command": "echo > %OUT"}, "--exec"),
        ({"command": "x", "files_per_job": 2}, "--files-per-job"),
        ({"command": "x", "inputs": ["a.txt"], "n_jobs": 2}, "--jobs"),
        ({"command": "x", "n_jobs": 0}, "--jobs"),
        ({"command": "x", "preprocess": "./find.py"}, "--preprocess"),
        ({"command": "x", "preprocess": ""}, "--preprocess"),
        ({"command": "x", "inputs": ["a.txt"], "outputs": ["a.txt"]}, "--out"),
        ({"command": "x", "inputs": ["a.txt"], "sandbox": ["./a.txt"]}, "--sandbox"),
        ({"command": "x", "outputs": ["../o"]}, "--out"),
        ({"command": "x", "outputs": ["o", "o"]}, "--out"),
        ({"command": "x", "inputs": ["none.txt"]}, "--in"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_sent(
    here: Path, client: Client, options: dict[str, Any], field: str
) -> None:
    Path("a.txt").write_text("")
    before = client.tasks(limit=1)["count"]
    with pytest.raises(Usage) as caught:
        client.run(**options)
    assert caught.value.field == field
    assert client.tasks(limit=1)["count"] == before


def test_the_command_waits_collects_and_merges(here: Path, panda: Callable[..., Any]) -> None:
    make_weird("data")
    names = sorted(f"data/{name}" for name in WEIRD if not name.startswith("."))
    ended = panda(
        *("run", "--exec", "cat %IN > %OUT", "--in", *names, "--out", "all.txt", "--files-per-job", "5"),
        *("--collect", "results", "--merge"),
    )
    assert Path("results/all.txt").read_bytes() == by_hand("cat %IN", names)
    assert "done" in ended.stdout and "results/all.txt" in ended.stdout


def test_the_command_tells_why_jobs_failed_and_what_to_type_next(here: Path, panda: Callable[..., Any]) -> None:
    command = "echo begin >&2; ls /nowhere/at/all; exit 3"
    ended = panda("run", "--exec", command, "--wait", "--timeout", "180", check=1)
    assert "failed 1" in ended.stdout
    assert "culprit line  ls: cannot access '/nowhere/at/all'" in ended.stdout
    assert re.search(r"next +panda logs \d+ --culprit", ended.stdout)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("run", "--exec", "x", "--in", "*.nothing"), 2, "no file matches"),
        (("run",), 2, "--exec"),
        (("run", "--exec", "x", "--merge"), 2, "--collect"),
        (("run", "--exec", "x", "--site", "NOWHERE"), 1, "NOWHERE"),
        (("job", "999999999"), 1, "999999999"),
        (("jobs", "statsu=failed"), 1, "statsu"),
        (("jobs", "failed"), 2, "name=value"),
        (("kill",), 2, "nothing to kill"),
        (("kill", "999999999"), 1, None),
        (("incidents", "1", "--ack"), 2, "panda incidents --help"),
        (("incidents", "x"), 2, "is no incident"),
        (("jobs", "--url", "http://"), 2, "no host"),
        (("jobs", "--url", "http://127.0.0.1:99999"), 2, "no host and port"),
        (("run", "--exec", "x", "--collect", "r"), 2, "--out NAME"),
        (("run", "--exec", "x", "--out", "o", "--collect", "/dev/null/r"), 2, "not a directory"),
        (("run", "--exec", "x", "--timeout", "3"), 2, "--wait"),
        (("run", "--exec", "x", "--wait", "--timeout", "-1"), 2, "--timeout"),
        (("tui",), 2, "needs a terminal"),
        (("pilot", "--queue", "LOCAL", "--work-dir", "/dev/null/w"), 2, "cannot be made"),
        (("up", "--port", "99999"), 2, "65535"),
    ],
)
def test_errors_have_words_and_codes(
    here: Path, panda: Callable[..., Any], words: list[str], code: int, told: str | None
) -> None:
    ended = panda(*words, check=code)
    assert told is None or told in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("words", [("jobs",), ("kill", "1"), ("run", "--exec", "true")])
def test_a_wrong_token_is_told_with_its_remedy_once(here: Path, panda: Callable[..., Any], words: list[str]) -> None:
    told = panda(*words, check=1, PANDA_TOKEN="wrong").stderr
    assert told.startswith("error: Authorization: the token was refused")
    assert told.count("panda token create") == 1


def test_a_reader_that_goes_away_is_no_failure(working_system: RunningSystem) -> None:
    program = f"{sys.executable} -P -m pandascope.cli.main jobs | true; exit ${{PIPESTATUS[0]}}"
    variables = {**os.environ, "PANDA_URL": working_system.url, "PANDA_TOKEN": working_system.token()}
    ended = subprocess.run(["bash", "-c", program], env=variables, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_nobody_there_is_code_three(here: Path, panda: Callable[..., Any]) -> None:
    assert "panda up" in panda("jobs", check=3, PANDA_URL="http://127.0.0.1:1").stderr
    assert "panda up" in panda("jobs", "--data", str(here), check=3).stderr


def test_waiting_says_why_nothing_runs_once_for_each_reason(
    here: Path, client: Client, working_system: RunningSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_STALLED_AFTER_S", 0.2)
    monkeypatch.setattr(waiting, "_REASON_PERIOD_S", 0.2)
    make_queue(working_system.database, "CLOSED", status="offline", endpoint="")
    sent = client.run("true", site="CLOSED", n_jobs=2)
    said = "nothing runs; 2 jobs are activated: queue CLOSED is offline"
    # until they are activated they wait for something else, and a slow machine would have time to say so
    eventually(lambda: client.task(sent.jedi_task_id)["jobs"].get("activated") == 2, what="the jobs are activated")
    for timeout_s in (4, 8, 16, 32):  # as long as it takes to ask for the reason
        written = io.StringIO()
        progress = TaskProgress("task")
        progress._terminal.file = written
        with pytest.raises(TimedOut) as caught, progress:
            client.wait(sent.jedi_task_id, timeout_s=timeout_s, on_progress=progress.show)
        if written.getvalue():
            break
    assert written.getvalue() == f"{said}\n"
    assert said in caught.value.detail
    client.kill_task(sent.jedi_task_id)
    seen: list[dict[str, Any]] = []
    client.wait(sent.jedi_task_id, timeout_s=180, on_progress=seen.append)
    assert not seen[-1].get("waiting_reason")


def test_scouts_are_asked_for_only_when_they_are_wanted() -> None:
    assert task_parameters(RunRequest("true", n_jobs=20, scouts=True), "t", {})["useScout"] is True
    assert "useScout" not in task_parameters(RunRequest("true", n_jobs=20), "t", {})
