"""runPrepro: the command's result becomes the report that pilots send along; good run lists say what they lack."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from tests.transformations.conftest import Job

PREPRO = "runPrepro-00-00-01"


def prepare(job: Job, command: str, *options: str, program: str = PREPRO):  # type: ignore[no-untyped-def]
    words = ("--sourceURL", job.cache.url, "-r", ".", *options)
    return job.start(program, *words, *(("-p", quote(command)) if command else ()))


def test_what_the_command_writes_is_the_report(job: Job) -> None:
    job.cache.add("sources.1.tar.gz", find_sh='#!/bin/sh\necho \'{"%%INDS%%": "\'$1\'", "nFilesPerJob": 2}\'\n')
    done = prepare(job, "./find.sh 'a,b' > found.json", "-a", "sources.1.tar.gz", "-o", "found.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(job.text("jobReport.json")) == {"%%INDS%%": "a,b", "nFilesPerJob": 2}
    assert "worked out %%INDS%%, nFilesPerJob" in done.stdout


def test_the_usual_name_needs_no_option_and_no_archive(job: Job) -> None:
    assert prepare(job, "echo '{\"x\": 1}' > preprocessed.json").returncode == 0
    assert json.loads(job.text("jobReport.json")) == {"x": 1}


def test_a_command_that_fails_gives_its_exit_code_and_no_report(job: Job) -> None:
    done = prepare(job, "echo '{}' > preprocessed.json; echo no such run >&2; exit 3")
    assert (done.returncode, done.stderr) == (3, "no such run\n")
    assert "jobReport.json" not in job.names()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("true", "made no preprocessed.json"),
        ("echo nonsense > preprocessed.json", "preprocessed.json is no JSON"),
        ("echo '[1]' > preprocessed.json", "is no JSON object, but begins with [1]"),
        ("head -c 1000001 /dev/zero > preprocessed.json", "larger than the 1 MB"),
        ("mkdir preprocessed.json", "made no preprocessed.json"),
    ],
)
def test_a_result_that_no_server_could_use_is_an_error_in_one_line(job: Job, command: str, said: str) -> None:
    done = prepare(job, command)
    assert (done.returncode, len(done.stderr.splitlines()), said in done.stderr) == (65, 1, True)
    assert "jobReport.json" not in job.names()


@pytest.mark.parametrize(
    ("program", "arguments", "said"),
    [
        ("preGoodRunList-00-00-01", ["--goodRunListXML", "runs.xml", "--goodRunListDS", "a"], "AMI"),
        ("preEvtPick-00-00-01", ["--eventPickEvtList", "list.txt"], "event index"),
    ],
)
def test_what_only_services_of_atlas_know_is_said_plainly(
    job: Job, program: str, arguments: list[str], said: str
) -> None:
    done = prepare(job, "", *arguments, program=program)
    assert (done.returncode, len(done.stderr.splitlines())) == (69, 1)
    assert said in done.stderr
    assert "have a command of yours do it" in done.stderr


def test_with_a_command_a_good_run_list_is_its_business(job: Job) -> None:
    done = prepare(
        job,
        'echo \'{"%%INDS%%": "a"}\' > preprocessed.json',
        "--goodRunListXML",
        "x",
        program="preGoodRunList-00-00-01",
    )
    assert (done.returncode, json.loads(job.text("jobReport.json"))) == (0, {"%%INDS%%": "a"})


@pytest.mark.parametrize(
    ("options", "command", "code"),
    [
        ([], "", 64),
        (["-o", "../x.json"], "true", 64),
        (["-a", "not.there.tar.gz"], "true", 74),
        (["--useAthenaPackages"], "true", 69),
    ],
)
def test_one_that_cannot_be_is_refused_in_one_line(job: Job, options: list[str], command: str, code: int) -> None:
    done = prepare(job, command, *options)
    assert (done.returncode, len(done.stderr.splitlines())) == (code, 1)
