"""The ends of logs out of stored archives: whole, broken, hostile."""

from __future__ import annotations

import io
import os
import tarfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.dataservice import log_archive
from core.dataservice.log_archive import TAIL_BYTES, read_log_tails


def archive(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> str:
    with tarfile.open(path, mode) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return str(path)


@pytest.mark.parametrize("mode", ["w:gz", "w", "w:bz2", "w:xz"])
def test_the_logs_of_a_production_pilot_are_read(tmp_path, mode):
    top = "tarball_PandaJob_7_Q"
    files = {f"{top}/payload.stderr": b"boom\n", f"{top}/payload.stdout": b"hello\n", f"{top}/pilotlog.txt": b"log\n"}
    files[f"{top}/runGen-00-00-02"] = b"#!/bin/sh\n"
    read = read_log_tails(archive(tmp_path / "log.tgz", files, mode))
    assert read == {"payload.stderr": "boom\n", "payload.stdout": "hello\n", "pilot.log": "log\n"}


def test_of_a_long_log_the_end_is_kept(tmp_path):
    text = b"".join(b"line %d\n" % number for number in range(500_000))
    kept = read_log_tails(archive(tmp_path / "log.tgz", {"payload.stdout": text}))["payload.stdout"]
    assert len(kept) == TAIL_BYTES
    assert kept.endswith("line 499999\n")


def test_bytes_that_are_no_text_do_not_hide_the_rest(tmp_path):
    kept = read_log_tails(archive(tmp_path / "log.tgz", {"payload.stderr": b"\xff\xfe Error: here\n"}))
    assert kept["payload.stderr"].endswith(" Error: here\n")


def test_what_is_broken_gives_what_could_be_read(tmp_path):
    path = tmp_path / "log.tgz"
    archive(path, {"payload.stderr": b"first\n", "payload.stdout": os.urandom(500_000)})
    path.write_bytes(path.read_bytes()[:300_000])
    assert read_log_tails(str(path)) == {"payload.stderr": "first\n"}


def test_what_is_no_file_of_this_host_gives_nothing(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    link = tmp_path / "odd.tgz"
    with tarfile.open(link, "w:gz") as tar:
        member = tarfile.TarInfo("payload.stderr")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member)
    for pfn in (
        "",
        "root://elsewhere/log.tgz",
        "relative.tgz",
        str(tmp_path),
        str(tmp_path / "pipe"),
        "\x00",
        str(link),
    ):
        assert read_log_tails(pfn) == {}


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_SPARSE])
def test_an_archive_made_to_fill_the_memory_is_left_where_it_begins_to(tmp_path, kind):
    path = tmp_path / "bomb.tgz"
    with tarfile.open(path, "w:gz", format=tarfile.GNU_FORMAT) as tar:
        first = tarfile.TarInfo("payload.stderr")
        first.size = 6
        tar.addfile(first, io.BytesIO(b"first\n"))
        header = tarfile.TarInfo("header")
        header.type, header.size = kind, 2**21
        tar.addfile(header, io.BytesIO(b"20 path=payload.log\n" + bytes(2**21)))
        last = tarfile.TarInfo("payload.stdout")
        last.size = 5
        tar.addfile(last, io.BytesIO(b"last\n"))
    assert read_log_tails(str(path)) == {"payload.stderr": "first\n"}


def test_what_cannot_be_read_in_time_is_left(tmp_path):
    pfn = archive(tmp_path / "log.tgz", {"payload.stderr": b"first\n"})
    assert read_log_tails(pfn, until=time.monotonic() - 1) == {}
    assert read_log_tails(pfn, until=time.monotonic() + 60) == {"payload.stderr": "first\n"}


def test_what_a_payload_left_behind_does_not_hide_the_log(tmp_path):
    pfn = archive(tmp_path / "log.tgz", {"workDir/big": bytes(20 * 2**20), "pilotlog.txt": b"last\n"})
    assert read_log_tails(pfn) == {"pilot.log": "last\n"}


def test_an_archive_of_too_many_entries_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(log_archive, "_MOST_ENTRIES", 2)
    files = {"payload.stderr": b"first\n", "a": b"", "b": b"", "payload.stdout": b"last\n"}
    assert read_log_tails(archive(tmp_path / "log.tgz", files)) == {"payload.stderr": "first\n"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=2000))
def test_any_bytes_are_survived(tmp_path, content):
    path = tmp_path / "any.tgz"
    path.write_bytes(content)
    assert isinstance(read_log_tails(str(path)), dict)
