"""The cache on disk: names that cannot leave it, files whole or not at all, archives that are what they say."""

from __future__ import annotations

import gzip
import io
import os
import struct
import subprocess
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.configuration import CacheLimits
from core.database import Database
from core.errors import Conflict, InvalidInput, UnknownObject
from core.filecache.content import gzip_checksum
from core.filecache.disk import NoRoom
from core.filecache.logs import Checkpoints, TaskLogs
from core.filecache.naming import check_cache_name
from core.filecache.store import FileCache, Found
from tests.support.missing import skip_or_fail

KB = 1 / 1024
LIMITS = CacheLimits(sources_mb=64 * KB, outputs_mb=16 * KB, other_mb=4 * KB, log_mb=2 * KB, checkpoint_mb=2 * KB)
PACKED = gzip.compress(b"#!/bin/sh\necho hello\n")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def cache(shared_database: Database, directory: Path) -> FileCache:
    shared_database.execute("DELETE FROM cache_files")
    return FileCache(shared_database, directory, LIMITS)


def upload(cache: FileCache, name: str, content: bytes = PACKED, user: str = "alice") -> None:
    cache.upload(user, name, io.BytesIO(content), len(content))


def trailer_checksum(content: bytes) -> str:
    """As the client reads it (client-wire.md 4.1)."""
    return str(struct.unpack("<II", content[-8:])[0])


def files_in(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def rows(database: Database) -> list[dict[str, object]]:
    return database.fetch("SELECT * FROM cache_files ORDER BY file_name")


def test_what_was_uploaded_can_be_fetched_and_is_listed(cache, directory, shared_database):
    upload(cache, "jobO.1.tar.gz")
    path = cache.path_of("jobO.1.tar.gz")
    assert path is not None
    assert path.read_bytes() == PACKED
    assert files_in(directory) == ["files/jobO.1.tar.gz"]
    [row] = rows(shared_database)
    assert (row["user_name"], row["size_bytes"], row["checksum"]) == ("alice", len(PACKED), trailer_checksum(PACKED))


BAD_NAMES = [
    *(
        "",
        ".",
        "..",
        ".hidden",
        "../jobO.tar.gz",
        "a/b",
        "/etc/passwd",
        "a\\b",
        "C:\\x",
        "a\x00b",
        "a\nb",
        "a\x7f",
        "\x1b[2J",
    ),
    *("x" * 256, "é" * 128, "x" * 1024, "\ud800", "a\u202eb"),
]


@pytest.mark.parametrize("name", BAD_NAMES, ids=[ascii(name)[:20] for name in BAD_NAMES])
def test_a_name_that_is_none_is_refused_and_nothing_is_kept(cache, directory, shared_database, name):
    with pytest.raises(InvalidInput) as refused:
        upload(cache, name)
    assert refused.value.field == "file"
    assert refused.value.remedy
    assert files_in(directory) == []
    assert rows(shared_database) == []
    assert cache.path_of(name) is None


@given(st.text(max_size=300))
def test_a_name_that_passes_stays_in_the_directory(name):
    try:
        check_cache_name(name, "file")
    except InvalidInput:
        return
    place = Path("/cache") / name
    assert os.path.normpath(place) == f"/cache/{name}"
    assert place.parent == Path("/cache")


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "user's list (2).xml", "ünïcode.out", "sources", "-rf", "a..b"])
def test_unusual_names_are_taken(cache, name):
    upload(cache, name)
    assert cache.path_of(name) is not None


@pytest.mark.parametrize(
    ("name", "limit_kb"),
    [("sources.1.tar.gz", 64), ("j.out", 16), ("jobO.1.tar", 4), ("sources", 4), ("a.sources.1", 4), ("x.out.txt", 4)],
)
def test_a_file_may_be_as_large_as_one_of_its_name_and_no_larger(cache, directory, name, limit_kb):
    upload(cache, name, b"x" * (limit_kb * 1024))
    with pytest.raises(InvalidInput, match=f"{limit_kb * 1024 + 1}>{limit_kb * 1024}"):
        upload(
            cache,
            f"{name[:-1]}{name[-1:]}" if name.startswith("sources.") else f"2{name}",
            b"x" * (limit_kb * 1024 + 1),
        )
    assert len(files_in(directory)) == 1


def test_nothing_is_overwritten(cache, directory, shared_database):
    upload(cache, "jobO.1.tar.gz")
    before = rows(shared_database)
    for user in ("alice", "bob"):
        with pytest.raises(Conflict, match="cannot overwrite file"):
            upload(cache, "jobO.1.tar.gz", gzip.compress(b"evil"), user)
    path = cache.path_of("jobO.1.tar.gz")
    assert path is not None
    assert path.read_bytes() == PACKED
    assert rows(shared_database) == before
    assert files_in(directory) == ["files/jobO.1.tar.gz"]


def test_a_name_for_overwriting_is_overwritten_by_its_owner_alone(cache, directory, shared_database):
    upload(cache, "config.__ow__", b"one")
    upload(cache, "config.__ow__", b"two")
    with pytest.raises(Conflict):
        upload(cache, "config.__ow__", b"evil", "bob")
    path = cache.path_of("config.__ow__")
    assert path is not None
    assert path.read_bytes() == b"two"
    assert [(row["user_name"], row["size_bytes"]) for row in rows(shared_database)] == [("alice", 3)]


def test_of_two_uploads_of_a_name_at_the_same_time_one_is_kept(cache, directory, shared_database):
    begin = threading.Barrier(6)
    outcomes: list[tuple[str, bytes]] = []

    def send(number: int) -> None:
        content = gzip.compress(bytes([number]) * 500)
        begin.wait()
        try:
            upload(cache, "same.tar.gz", content, f"user{number}")
            outcomes.append(("kept", content))
        except Conflict:
            outcomes.append(("refused", b""))

    threads = [threading.Thread(target=send, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [content] = [content for outcome, content in outcomes if outcome == "kept"]
    assert len(outcomes) == 6
    assert files_in(directory) == ["files/same.tar.gz"]
    assert (directory / "files" / "same.tar.gz").read_bytes() == content
    [row] = rows(shared_database)
    assert row["checksum"] == trailer_checksum(content)


def test_a_file_that_is_listed_but_gone_may_be_sent_again(cache, directory):
    upload(cache, "jobO.1.tar.gz")
    (directory / "files" / "jobO.1.tar.gz").unlink()
    upload(cache, "jobO.1.tar.gz", gzip.compress(b"new"), "bob")
    assert cache.find("alice", len(PACKED), trailer_checksum(PACKED)) is None


# --- archives


@given(st.lists(st.binary(max_size=5000), min_size=1, max_size=4))
def test_the_checksum_is_the_one_the_client_reads(contents):
    packed = b"".join(gzip.compress(content) for content in contents)
    assert gzip_checksum(io.BytesIO(packed), "file") == trailer_checksum(packed)


@given(st.binary(min_size=1, max_size=3000), st.data())
def test_a_damaged_archive_is_never_taken_for_whole(content, data):
    packed = bytearray(gzip.compress(content))
    # behind the header, whose time and flags gzip itself does not check
    position = data.draw(st.integers(10, len(packed) - 1))
    packed[position] ^= data.draw(st.integers(1, 255))
    try:
        checksum = gzip_checksum(io.BytesIO(bytes(packed)), "file")
    except InvalidInput as refused:
        assert refused.field == "file"
        return
    # a byte that changes nothing of what unpacks
    assert checksum in ("", str(zlib.crc32(content)))


@pytest.mark.parametrize("cut", [1, 4, 8, 9, 20, len(PACKED) - 3])
def test_a_truncated_archive_is_refused_and_not_kept(cache, directory, shared_database, cut):
    with pytest.raises(InvalidInput, match="damaged"):
        upload(cache, "jobO.1.tar.gz", PACKED[:-cut])
    assert files_in(directory) == []
    assert rows(shared_database) == []


def test_a_wrong_checksum_in_the_archive_is_refused(cache, directory):
    with pytest.raises(InvalidInput, match="damaged"):
        upload(cache, "jobO.1.tar.gz", PACKED[:-8] + struct.pack("<II", 12345, 20))
    assert files_in(directory) == []


def test_an_archive_that_unpacks_to_too_much_is_refused():
    bomb = gzip.compress(b"\0" * 3_000_000)
    with pytest.raises(InvalidInput, match="unpacks to too much"):
        gzip_checksum(io.BytesIO(bomb), "file", most_unpacked_bytes=1_000_000)
    assert gzip_checksum(io.BytesIO(bomb), "file", most_unpacked_bytes=3_000_000) == trailer_checksum(bomb)


def test_what_is_no_archive_is_kept_and_never_found_by_content(cache):
    upload(cache, "list.xml", b"<runs/>" + b"\0" * 8)
    assert cache.path_of("list.xml") is not None
    for checksum in ("", "0", "None"):
        assert cache.find("alice", 15, checksum) is None
    upload(cache, "padded.tar.gz", PACKED + b"\0" * 512)
    assert cache.find("alice", len(PACKED) + 512, "0") is None


# --- finding, touching, deleting


def test_the_same_content_is_found_by_its_user_alone_and_touched(cache, shared_database):
    upload(cache, "jobO.1.tar.gz")
    shared_database.execute("UPDATE cache_files SET touch_time = touch_time - interval '2 days'")
    before = rows(shared_database)[0]["touch_time"]
    assert cache.find("bob", len(PACKED), trailer_checksum(PACKED)) is None
    assert cache.find("alice", len(PACKED) + 1, trailer_checksum(PACKED)) is None
    assert cache.find("alice", len(PACKED), "1") is None
    assert rows(shared_database)[0]["touch_time"] == before
    assert cache.find("alice", len(PACKED), trailer_checksum(PACKED)) == Found("jobO.1.tar.gz", "")
    assert rows(shared_database)[0]["touch_time"] > before


def test_content_is_found_for_three_days_after_its_upload(cache, shared_database):
    upload(cache, "jobO.1.tar.gz")
    wanted = ("alice", len(PACKED), trailer_checksum(PACKED))
    shared_database.execute("UPDATE cache_files SET creation_time = clock_timestamp() - interval '71 hours'")
    assert cache.find(*wanted)
    shared_database.execute("UPDATE cache_files SET creation_time = clock_timestamp() - interval '73 hours'")
    assert cache.find(*wanted) is None


@pytest.mark.parametrize("harm", ["gone", "cut"])
def test_content_that_is_not_whole_on_the_disk_is_not_found(cache, directory, harm):
    upload(cache, "jobO.1.tar.gz")
    path = directory / "files" / "jobO.1.tar.gz"
    path.unlink() if harm == "gone" else path.write_bytes(PACKED[:-1])
    assert cache.find("alice", len(PACKED), trailer_checksum(PACKED)) is None


def test_content_on_another_machine_is_found_with_its_name(cache, directory, shared_database):
    upload(cache, "jobO.1.tar.gz")
    (directory / "files" / "jobO.1.tar.gz").unlink()
    shared_database.execute("UPDATE cache_files SET host = 'cache2.example.org'")
    found = cache.find("alice", len(PACKED), trailer_checksum(PACKED))
    assert found == Found("jobO.1.tar.gz", "cache2.example.org")
    with pytest.raises(Conflict):
        upload(cache, "jobO.1.tar.gz", user="bob")


@pytest.mark.parametrize("size", [-1, 0, 2**63, 2**200])
def test_sizes_no_file_has_are_not_found(cache, size):
    assert cache.find("alice", size, "1") is None


def test_touching_needs_a_file(cache):
    for name in ("nothing", "../x", ""):
        with pytest.raises((UnknownObject, InvalidInput)) as refused:
            cache.touch(name)
        assert refused.value.field == "file_name"


def test_a_file_is_deleted_by_its_owner_unless_a_task_needs_it(cache, directory, shared_database):
    upload(cache, "jobO.1.tar.gz")
    assert not cache.delete("bob", "jobO.1.tar.gz")
    assert not cache.delete("alice", "jobO.2.tar.gz")
    shared_database.execute(
        "INSERT INTO tasks (jedi_task_id, status, parameters) "
        """VALUES (10000001, 'running', '{"jobParameters": [{"value": "-a jobO.1.tar.gz"}]}')"""
    )
    assert not cache.delete("alice", "jobO.1.tar.gz")
    assert files_in(directory) == ["files/jobO.1.tar.gz"]
    shared_database.execute("UPDATE tasks SET status = 'done'")
    assert cache.delete("alice", "jobO.1.tar.gz")
    assert files_in(directory) == []
    assert rows(shared_database) == []
    shared_database.execute("DELETE FROM tasks")


def test_a_file_that_came_another_way_is_measured_before_it_is_listed(cache, directory):
    with pytest.raises(UnknownObject):
        cache.announce("alice", "jobO.1.tar.gz", 3, "1")
    (directory / "files").mkdir(parents=True)
    (directory / "files" / "jobO.1.tar.gz").write_bytes(PACKED)
    right = (len(PACKED), trailer_checksum(PACKED))
    for size, checksum, field in ((3, right[1], "file_size"), (right[0], "1", "checksum")):
        with pytest.raises(InvalidInput) as refused:
            cache.announce("alice", "jobO.1.tar.gz", size, checksum)
        assert refused.value.field == field
    cache.announce("alice", "jobO.1.tar.gz", *right)
    assert cache.find("alice", *right) == Found("jobO.1.tar.gz", "")
    with pytest.raises(Conflict):
        cache.announce("bob", "jobO.1.tar.gz", *right)


# --- logs and checkpoints


def test_a_log_is_replaced_appended_to_and_read_from_an_offset(directory):
    logs = TaskLogs(directory, LIMITS)
    logs.append("1.log", io.BytesIO(zlib.compress("ü one\n".encode())))
    logs.append("1.log", io.BytesIO(zlib.compress(b"two\n")))
    assert logs.read("1.log", 0) == "ü one\ntwo\n"
    assert logs.read("1.log", 7) == "two\n"
    assert logs.read("1.log", 1000) == ""
    assert logs.read("1.log", -5) == "ü one\ntwo\n"
    logs.replace("1.log", io.BytesIO(b"new\n"), 4)
    assert logs.read("1.log", 0) == "new\n"
    assert logs.read("2.log", 0) == ""
    assert logs.read("../files/x", 0) == ""
    assert files_in(directory) == ["jedilog/1.log"]


@pytest.mark.parametrize(
    "packed",
    [b"", b"text", zlib.compress(b"x")[:-1], gzip.compress(b"x", mtime=0), zlib.compress(b"x" * 3000), b"\x00\xff"],
)
def test_data_that_is_not_whole_or_too_large_leaves_the_log_alone(directory, packed):
    logs = TaskLogs(directory, LIMITS)
    logs.append("1.log", io.BytesIO(zlib.compress(b"one\n")))
    with pytest.raises(InvalidInput) as refused:
        logs.append("1.log", io.BytesIO(packed))
    assert refused.value.field == "file"
    assert logs.read("1.log", 0) == "one\n"


def test_a_log_does_not_grow_beyond_its_limit(directory):
    logs = TaskLogs(directory, LIMITS)
    logs.append("1.log", io.BytesIO(zlib.compress(b"x" * 2000)))
    with pytest.raises(InvalidInput, match="size limit"):
        logs.append("1.log", io.BytesIO(zlib.compress(b"y" * 100)))
    assert logs.read("1.log", 0) == "x" * 2000


def test_writers_of_one_log_do_not_tear_each_others_lines(directory):
    logs = TaskLogs(directory, CacheLimits())
    lines = [f"{number}".encode() * 300 + b"\n" for number in range(8)]
    threads = [
        threading.Thread(
            target=lambda line=line: [logs.append("1.log", io.BytesIO(zlib.compress(line))) for _ in range(20)]
        )
        for line in lines
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(logs.read("1.log", 0).splitlines()) == sorted(
        line.decode().strip() for line in lines for _ in range(20)
    )


def test_a_checkpoint_is_kept_replaced_and_deleted(directory, shared_database):
    checkpoints = Checkpoints(directory, LIMITS)
    checkpoints.replace(10000001, "7", io.BytesIO(b"one"), 3)
    path = checkpoints.replace(10000001, "7", io.BytesIO(b"two"), 3)
    assert path.read_bytes() == b"two"
    assert FileCache(shared_database, directory, LIMITS).path_of("hpo_cp_10000001_7") == path
    for sub_id in ("../x", "", "a_b", "a/b"):
        with pytest.raises(InvalidInput):
            checkpoints.replace(1, sub_id, io.BytesIO(b""), 0)
    assert checkpoints.delete(10000001, "7")
    assert not checkpoints.delete(10000001, "7")


# --- no room


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB of which a few are left."""
    if os.geteuid() != 0:
        skip_or_fail("only root can mount a small file system")
    mount = tmp_path / "small"
    mount.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", mount], capture_output=True, check=False)
    if done.returncode:
        skip_or_fail(f"no file system can be mounted here: {done.stderr.decode()}")
    try:
        yield mount
    finally:
        subprocess.run(["umount", mount], check=True)


def test_a_full_disk_is_said_and_nothing_is_left(shared_database, full_disk):
    shared_database.execute("DELETE FROM cache_files")
    cache = FileCache(shared_database, full_disk, CacheLimits())
    upload(cache, "jobO.1.tar.gz")
    before = files_in(full_disk), rows(shared_database)
    with pytest.raises(NoRoom) as refused:
        upload(cache, "sources.1.tar", os.urandom(100_000))
    assert "No space left" in refused.value.detail
    assert refused.value.remedy
    assert (files_in(full_disk), rows(shared_database)) == before
    upload(cache, "jobO.2.tar.gz")  # and what there is room for goes on
    logs = TaskLogs(full_disk, CacheLimits())
    logs.append("1.log", io.BytesIO(zlib.compress(b"one\n")))
    with pytest.raises(NoRoom):
        logs.append("1.log", io.BytesIO(zlib.compress(os.urandom(100_000))))
    assert logs.read("1.log", 0) == "one\n"


def test_a_directory_that_cannot_be_made_is_said(shared_database, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(NoRoom) as refused:
        upload(FileCache(shared_database, tmp_path / "file" / "cache", LIMITS), "jobO.1.tar.gz")
    assert "cannot write file" in refused.value.detail


def test_a_file_that_could_not_be_listed_is_not_kept(directory, database_url):
    database = Database(database_url)
    database.execute("ALTER TABLE cache_files ADD CONSTRAINT never CHECK (size_bytes < 0)")
    with pytest.raises(Exception, match="never"):
        upload(FileCache(database, directory, LIMITS), "jobO.1.tar.gz")
    database.close()
    assert files_in(directory) == []
