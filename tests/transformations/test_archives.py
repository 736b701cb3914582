"""An archive that cannot be had, is damaged or wants out of its directory ends the job with a code and one line."""

from __future__ import annotations

import socket
import tarfile

import pytest

from tests.transformations.conftest import Job, archive, member

NAME = "jobO.1.tar.gz"
HONEST = archive({"run.sh": "#!/bin/sh\necho ran\n", "large": bytes(range(256)) * 4000})


def lines(job: Job) -> tuple[int, list[str]]:
    done = job.run("./run.sh", "-a", NAME)
    assert "ran\n" not in done.stdout
    return done.returncode, done.stderr.splitlines()


@pytest.mark.parametrize(
    "content",
    [
        archive({"../outside": "written"}),
        archive({"a/../../outside": "written"}),
        archive({"/tmp/absolute-member-of-an-archive": "written"}),
        archive({}, member("d", tarfile.SYMTYPE, ".."), member("d/outside", size=3)),
        archive({}, member("d", tarfile.SYMTYPE, "/tmp"), member("d/x", size=3)),
        archive({}, member("d/x", size=3), member("d", tarfile.SYMTYPE, "/tmp")),
        archive({}, member("hard", tarfile.LNKTYPE, "../outside")),
        archive({}, member("hard", tarfile.LNKTYPE, "not there")),
        archive({}, member("null", tarfile.CHRTYPE)),
        archive({}, member("pipe", tarfile.FIFOTYPE)),
    ],
    ids=lambda _: "archive",
)
def test_an_archive_that_wants_out_of_its_directory_is_refused(job: Job, content: bytes) -> None:
    job.cache.files[NAME] = content
    code, said = lines(job)
    assert (code, len(said)) == (65, 1)
    assert said[0].startswith("runGen-00-00-02: error: the archive ")
    assert job.text("../outside") == "untouched"


def test_links_that_only_point_outside_are_kept_and_nothing_is_written_through_them(job: Job) -> None:
    job.cache.files[NAME] = archive(
        {"run.sh": "#!/bin/sh\ncat there\n"},
        member("there", tarfile.SYMTYPE, "../../outside"),
        member("here", tarfile.SYMTYPE, "run.sh"),
    )
    done = job.run("./run.sh; ./here", "-a", NAME)
    assert done.stdout.endswith("untoucheduntouched")


@pytest.mark.parametrize("length", [20, 1000, len(HONEST) - 5])
def test_a_truncated_archive_is_damaged(job: Job, length: int) -> None:
    job.cache.files[NAME] = HONEST[:length]
    code, said = lines(job)
    assert (code, len(said), "damaged" in said[0]) == (65, 1, True)


def test_a_flipped_bit_is_found(job: Job) -> None:
    content = bytearray(HONEST)
    content[-6] ^= 1
    job.cache.files[NAME] = bytes(content)
    assert lines(job)[0] == 65


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"PK\x03\x04", b"\x1f\x8bnot really"])
def test_what_is_no_gzip_archive_is_said_to_be_none(job: Job, content: bytes) -> None:
    job.cache.files[NAME] = content
    code, said = lines(job)
    assert (code, len(said)) == (65, 1)


def test_a_missing_archive_is_asked_for_once(job: Job) -> None:
    code, said = lines(job)
    assert (code, said) == (
        74,
        [f"runGen-00-00-02: error: {job.cache.url}/cache/{NAME} could not be fetched: HTTP 404 Not Found"],
    )
    assert len(job.cache.asked) == 1


def test_a_server_that_comes_back_is_waited_for(job: Job) -> None:
    job.cache.files[NAME] = HONEST
    job.cache.statuses = [503, 500, 429]
    assert job.run("./run.sh", "-a", NAME).returncode == 0
    assert len(job.cache.asked) == 4


def test_a_connection_that_breaks_off_is_tried_again_and_nothing_half_is_used(job: Job) -> None:
    job.cache.files[NAME], job.cache.cut_at = HONEST, 100
    code, said = lines(job)
    assert (code, len(job.cache.asked), len(said)) == (74, 4, 1)
    assert f"the connection broke off, {len(HONEST) - 100} bytes are missing" in said[0]
    assert NAME not in job.names()


def test_a_server_that_is_away_is_said_to_be(job: Job) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        job.cache.url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        code, said = lines(job)
    assert (code, len(said), "refused" in said[0]) == (74, 1, True)


@pytest.mark.parametrize("url", ["", "file:///etc", "ftp://127.0.0.1", "here"])
def test_only_http_is_asked(job: Job, url: str) -> None:
    job.cache.url = url
    assert lines(job)[0] == 64


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/b.tar.gz", "."])
def test_the_name_of_an_archive_is_no_path(job: Job, name: str) -> None:
    assert job.run("true", "-a", name).returncode == 64


def test_an_archive_that_came_with_the_inputs_is_not_fetched(job: Job) -> None:
    job.file(NAME, HONEST)
    assert "ran\n" in job.run("./run.sh", "-a", NAME, "--noTarballDownload").stdout
    assert job.cache.asked == []
    (job.directory / NAME).unlink()
    assert job.run("./run.sh", "-a", NAME, "--noTarballDownload").returncode == 74


def test_a_name_that_comes_twice_is_the_last_one_and_hard_links_are_copies(job: Job) -> None:
    job.cache.files[NAME] = archive(
        {"run.sh": "#!/bin/sh\necho old\n"}, member("run.sh", size=1), member("copy", tarfile.LNKTYPE, "run.sh")
    )
    assert job.run("cat run.sh copy; echo y >> copy; cat run.sh", "-a", NAME).stdout.endswith("xxx")


def test_an_empty_archive_and_no_archive_at_all_are_no_failure(job: Job) -> None:
    job.cache.files[NAME] = archive({})
    assert job.run("true", "-a", NAME).returncode == 0
    assert job.run("true").returncode == 0
