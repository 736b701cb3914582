"""buildGen makes the library that runGen unpacks."""

from __future__ import annotations

import tarfile
from urllib.parse import quote

import pytest

from tests.transformations.conftest import BUILD, Job


def build(job: Job, *options: str, bexec: str = "", program: str = BUILD, run_in: str = "."):  # type: ignore[no-untyped-def]
    command = ["--bexec", quote(bexec)] if bexec else []
    usual = ["-i", "sources.1.tar.gz", "-o", "user.me.lib.tgz", "--sourceURL", job.cache.url, "-r", run_in]
    return job.start(program, *usual, *command, *options)


@pytest.mark.parametrize("program", [BUILD, "buildJob-00-00-03"])
def test_the_library_of_a_build_is_what_later_jobs_run_in(job: Job, program: str) -> None:
    job.cache.add("sources.1.tar.gz", src__make_sh="#!/bin/sh\necho 'echo built $1' > ../prog; chmod +x ../prog\n")
    done = build(job, bexec="./make.sh && echo 'it is' done", program=program, run_in="src")
    assert (done.returncode, done.stderr) == (0, "")
    assert job.names() == {"user.me.lib.tgz", "__run_main_exec.sh"}
    job.file("in.txt")
    ran = job.run("./prog %IN", "-l", "user.me.lib.tgz", "-i", "['in.txt']")
    assert ran.stdout.endswith("built in.txt\n")


def test_a_failing_build_gives_its_exit_code_and_no_library(job: Job) -> None:
    job.cache.add("sources.1.tar.gz", a_c="int main() { return }\n")
    done = build(job, bexec="echo 'a.c:1:22: error: expected expression' >&2; exit 2")
    assert (done.returncode, done.stderr) == (2, "a.c:1:22: error: expected expression\n")
    assert "user.me.lib.tgz" not in job.names()


@pytest.mark.parametrize("options", [(), ("--noCompile",)])
def test_without_a_build_command_the_library_is_the_sources(job: Job, options: tuple[str, ...]) -> None:
    job.cache.add("sources.1.tar.gz", a_c="x", d__b_c="y")
    assert build(job, *options, bexec="exit 9" if options else "").returncode == 0
    with tarfile.open(job.directory / "user.me.lib.tgz") as library:
        assert sorted(library.getnames()) == ["a.c", "d", "d/b.c"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["-o", "lib.tgz"], 64),
        (["-i", "sources.1.tar.gz"], 64),
        (["-i", "sources.1.tar.gz", "-o", "../lib.tgz"], 64),
        (["-i", "sources.1.tar.gz", "-o", "lib.tgz", "--useAthenaPackages"], 69),
        (["-i", "not.there.tar.gz", "-o", "lib.tgz"], 74),
    ],
)
def test_a_build_that_cannot_be_is_refused_in_one_line(job: Job, arguments: list[str], code: int) -> None:
    done = job.start(BUILD, "--sourceURL", job.cache.url, "-r", ".", *arguments)
    assert (done.returncode, len(done.stderr.splitlines())) == (code, 1)
