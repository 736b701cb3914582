"""runMerge makes one file of several, by their kind or by the user's own program."""

from __future__ import annotations

import gzip
import subprocess
import tarfile
from urllib.parse import quote

import pytest

from tests.transformations.conftest import Job

MERGE = "runMerge-00-00-02"


def merge(job: Job, *words: str, script: str = "", sandbox: str = "") -> subprocess.CompletedProcess[str]:
    options = ["-j", quote(script)] if script else []
    options += ["-a", sandbox, "--sourceURL", job.cache.url] if sandbox else []
    return job.start(MERGE, "-r", ".", *options, *words)


def test_text_is_put_one_after_the_other_in_the_order_given(job: Job) -> None:
    job.file("a.1.txt", "first\n")
    job.file("a.2.txt", "second\n")
    done = merge(job, "a.1.txt,a.2.txt:a.txt")
    assert (done.returncode, done.stderr) == (0, "")
    assert job.text("a.txt") == "first\nsecond\n"


def test_what_gzip_compressed_stays_readable(job: Job) -> None:
    job.file("a.1.gz", gzip.compress(b"first\n"))
    job.file("a.2.gz", gzip.compress(b"second\n"))
    assert merge(job, "a.1.gz,a.2.gz:a.gz").returncode == 0
    assert gzip.decompress((job.directory / "a.gz").read_bytes()) == b"first\nsecond\n"


def test_archives_are_packed_into_one_whole_as_they_are(job: Job) -> None:
    for number in (1, 2):
        job.file(f"x.{number}.log.tgz", f"archive {number}")
    assert merge(job, "x.1.log.tgz,x.2.log.tgz:x.log.tgz").returncode == 0
    with tarfile.open(job.directory / "x.log.tgz") as archive:
        assert archive.getnames() == ["x.1.log.tgz", "x.2.log.tgz"]


def test_several_outputs_are_merged_in_one_job(job: Job) -> None:
    for name in ("a.1.txt", "a.2.txt", "b.1.txt", "b.2.txt"):
        job.file(name, name[0])
    assert merge(job, "a.1.txt,a.2.txt:a.txt", "b.1.txt,b.2.txt:b.txt").returncode == 0
    assert (job.text("a.txt"), job.text("b.txt")) == ("aa", "bb")


def test_the_users_program_merges_in_the_sandbox(job: Job) -> None:
    job.cache.add(
        "jobO.tar.gz",
        add_sh='#!/bin/sh\ntotal=0; for f in $(echo $1 | tr , " "); do total=$((total + $(cat $f))); done; echo $total > $2\n',
    )
    job.file("n.1", "3")
    job.file("n.2", "4")
    done = merge(job, "n.1,n.2:n", script="./add.sh %IN %OUT", sandbox="jobO.tar.gz")
    assert (done.returncode, done.stderr) == (0, "")
    assert job.text("n") == "7\n"


def test_a_single_file_only_gets_its_final_name(job: Job) -> None:
    job.cache.add("jobO.tar.gz", add_sh="#!/bin/sh\nexit 7\n")
    job.file("n.1", "3")
    assert merge(job, "n.1:n", script="./add.sh", sandbox="jobO.tar.gz").returncode == 0
    assert job.text("n") == "3"
    assert merge(job, "n.1:m", "--mergeSingleFile", script="./add.sh", sandbox="jobO.tar.gz").returncode == 7


def test_root_files_need_hadd(job: Job) -> None:
    job.file("h.1.root")
    job.file("h.2.root")
    done = merge(job, "h.1.root,h.2.root:h.root")
    assert done.returncode == 69
    assert "hadd" in done.stderr


@pytest.mark.parametrize(
    ("words", "script", "code", "said"),
    [
        ((), "", 64, "nothing to merge"),
        (("a.txt",), "", 64, "does not say what to merge"),
        (("a.txt:../b",), "", 64, "outside the job's directory"),
        (("/etc/passwd:b",), "", 64, "outside the job's directory"),
        (("gone.txt:b",), "", 66, "gone.txt"),
        (("a.txt,b.txt:c.txt",), "true", 73, "made no c.txt"),
        (("a.txt,b.txt:c.txt",), "echo bad >&2; exit 3", 3, "bad"),
    ],
)
def test_what_cannot_be_merged_is_said_in_one_line(job: Job, words, script, code, said) -> None:  # type: ignore[no-untyped-def]
    job.file("a.txt", "a")
    job.file("b.txt", "b")
    done = merge(job, *words, script=script)
    assert (done.returncode, len(done.stderr.splitlines())) == (code, 1)
    assert said in done.stderr
