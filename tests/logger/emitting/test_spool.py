"""Segments on disk: in order, bounded, private, and left by the dead to the living."""

from __future__ import annotations

import json
import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from logger.delivery import Line
from logger.spool import SEGMENT_BYTES, Spool
from logger.spools import Spools

BOOT, OTHER_BOOT = "0123456789abcdef", "fedcba9876543210"


def spools(directory: Path, boot: str = BOOT, limit: int = 64_000_000, component: str = "mover") -> Spools:
    return Spools(str(directory), component, limit, boot)


def lines(first: int, last: int, size: int = 0, important: bool = True) -> list[Line]:
    return [Line(json.dumps({"m": "x" * size, "seq": n}).encode(), important) for n in range(first, last + 1)]


def append(home: Spools, some: list[Line]) -> Spool:
    done = home.append(some, 0.0)
    assert (done.taken, done.dropped, done.error) == (len(some), 0, None)
    assert home.own is not None
    return home.own


def read_all(home: Spools, spool: Spool, most: int = 500) -> list[int]:
    numbers = []
    while spool.has_lines:
        stretch = spool.read(most, 1_000_000)
        numbers += [json.loads(line)["seq"] for line in stretch.lines]
        home.settle(spool, stretch, 0)
    return numbers


def die(home: Spools) -> None:
    """As a kill -9 would leave it: the descriptors are closed, nothing else happens."""
    assert home.own is not None
    home.own.leave()


def successor(directory: Path, now: float = 0.0) -> tuple[Spools, int]:
    home = spools(directory, OTHER_BOOT)
    return home, home.look_for_the_dead(now)


@contextmanager
def full_disk(file_bytes: int) -> Iterator[None]:
    """No file of this process may grow beyond this size: a write stops in its middle, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_lines_come_back_in_order_over_many_segments(tmp_path: Path) -> None:
    home = spools(tmp_path)
    for start in range(1, 3001, 300):
        spool = append(home, lines(start, start + 299, size=1000))
    segments = sorted((tmp_path / f"mover-{BOOT}").glob("*.ndjson"))
    assert len(segments) >= 3 and all(path.stat().st_size <= SEGMENT_BYTES for path in segments)
    assert home.count == 3000
    assert read_all(home, spool) == list(range(1, 3001))
    assert home.count == 0 and not list((tmp_path / f"mover-{BOOT}").glob("*.ndjson"))
    append(home, lines(3001, 3002))
    assert read_all(home, spool) == [3001, 3002]
    home.close(0)
    assert list(tmp_path.iterdir()) == []


def test_reading_changes_nothing_until_it_is_delivered(tmp_path: Path) -> None:
    home = spools(tmp_path)
    spool = append(home, lines(1, 10))
    assert spool.read(4, 1_000_000) == spool.read(4, 1_000_000)
    home.settle(spool, spool.read(4, 1_000_000), 0)
    assert json.loads(spool.read(1, 1).lines[0])["seq"] == 5


def test_the_next_process_goes_on_where_the_dead_one_stopped(tmp_path: Path) -> None:
    first = spools(tmp_path)
    spool = append(first, lines(1, 2500, size=1000))
    for _ in range(3):
        first.settle(spool, spool.read(500, 1_000_000), 0)
    assert (tmp_path / f"mover-{BOOT}" / "SENT").read_text().split()[2:] == [
        "1250",
        "0",
    ]  # the second batch ended with its segment
    die(first)
    second, losses = successor(tmp_path)
    dead = second.oldest_of_the_dead()
    assert dead is not None and dead.boot == BOOT and second.count == 1250 and losses == 0
    assert read_all(second, dead) == list(range(1251, 2501))
    assert second.oldest_of_the_dead() is None and list(tmp_path.iterdir()) == []


def test_the_oldest_of_the_dead_comes_first_and_one_minute_later_the_next_look(tmp_path: Path) -> None:
    for number, boot in enumerate(("a" * 16, "9" * 16)):
        home = spools(tmp_path, boot)
        append(home, lines(1, 1))
        os.utime(tmp_path / f"mover-{boot}" / "LOCK", (1000 + number, 1000 + number))
        die(home)
    second, _ = successor(tmp_path)
    dead = second.oldest_of_the_dead()
    assert dead is not None and dead.boot == "a" * 16
    late = spools(tmp_path, "b" * 16)
    append(late, lines(1, 3))
    die(late)
    second.look_for_the_dead(59.0)
    assert second.count == 2
    second.look_for_the_dead(60.0)
    assert second.count == 5


def test_what_a_living_process_has_is_left_to_it(tmp_path: Path) -> None:
    living = spools(tmp_path)
    append(living, lines(1, 3))
    second, _ = successor(tmp_path)
    assert second.has_leftovers() and second.oldest_of_the_dead() is None


def test_a_forked_child_does_not_keep_the_lock_of_its_dead_parent(tmp_path: Path) -> None:
    home = spools(tmp_path)
    append(home, lines(1, 3))
    go_on, end = os.pipe()
    is_up, up = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(end)
        os.write(up, b"1")
        os.read(go_on, 1)
        os._exit(0)
    try:
        os.read(is_up, 1)
        die(home)
        second, _ = successor(tmp_path)
        assert second.count == 3
    finally:
        os.close(end)
        os.waitpid(child, 0)
        for descriptor in (go_on, is_up, up):
            os.close(descriptor)


def test_a_descriptor_that_is_anothers_by_now_is_not_closed(tmp_path: Path) -> None:
    home = spools(tmp_path)
    spool = append(home, lines(1, 1))
    os.close(spool._lock)  # as a program does that becomes a daemon
    with (tmp_path / "other").open("w") as other:
        assert other.fileno() == spool._lock
        home.close(0)
        other.write("still open")
    assert (tmp_path / "other").read_text() == "still open"


def test_a_program_may_change_its_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    home = spools(Path("spool"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    append(home, lines(1, 1))
    assert (tmp_path / "spool" / f"mover-{BOOT}").is_dir() and not list((tmp_path / "elsewhere").iterdir())


def test_other_components_and_foreign_files_are_left_alone(tmp_path: Path) -> None:
    other = spools(tmp_path, component="mover-two")
    append(other, lines(1, 1))
    die(other)
    strange = tmp_path / f"mover-{OTHER_BOOT}"
    strange.mkdir()
    (strange / "00000001.ndjson").write_text('{"seq":1}\n')  # no LOCK: not made by us
    (tmp_path / "notes.txt").write_text("mine")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "LOCK").touch()
    (tmp_path / f"mover-{'c' * 16}").symlink_to(elsewhere)
    second = spools(tmp_path, "d" * 16)
    second.look_for_the_dead(0.0)
    assert second.count == 0
    append(second, lines(1, 1))
    (tmp_path / f"mover-{'d' * 16}" / "readme").write_text("mine")
    assert second.own is not None
    read_all(second, second.own)
    second.close(0)
    assert (tmp_path / "notes.txt").exists() and (strange / "00000001.ndjson").exists()
    assert (tmp_path / f"mover-{'d' * 16}" / "readme").exists()


def test_links_are_not_followed(tmp_path: Path) -> None:
    home = spools(tmp_path / "spool")
    append(home, lines(1, 1))
    victim = tmp_path / "victim"
    victim.write_text("precious\n")
    segment = tmp_path / "spool" / f"mover-{BOOT}" / "00000001.ndjson"
    segment.unlink()
    segment.symlink_to(victim)
    assert home.append(lines(2, 2), 0.0).error is not None
    assert victim.read_text() == "precious\n"


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    os.umask(umask := os.umask(0))
    home = spools(tmp_path / "spool")
    spool = append(home, lines(1, 2))
    home.settle(spool, spool.read(1, 1000), 0)
    directory = tmp_path / "spool" / f"mover-{BOOT}"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) & ~umask for path in directory.iterdir()}
    assert modes == {"LOCK": 0o600, "SENT": 0o600, "00000001.ndjson": 0o600}


def test_at_half_of_the_limit_talk_is_dropped_and_at_the_limit_all(tmp_path: Path) -> None:
    home = spools(tmp_path, limit=20_000)
    done = home.append(lines(1, 100, size=100, important=False), 0.0)
    assert done.taken + done.dropped == 100 and 60 <= done.taken <= 90
    talk = done.taken
    done = home.append(lines(101, 400, size=100), 0.0)
    assert 130 <= talk + done.taken <= 165 and done.dropped > 100
    size = sum(path.stat().st_size for path in (tmp_path / f"mover-{BOOT}").glob("*.ndjson"))
    assert 19_800 <= size <= 20_000


def test_the_limit_is_for_all_processes_of_a_component(tmp_path: Path) -> None:
    first, second = spools(tmp_path, limit=20_000), spools(tmp_path, OTHER_BOOT, limit=20_000)
    append(first, lines(1, 150, size=100))
    assert second.append(lines(1, 100, size=100), 0.0).dropped > 50
    assert first.own is not None
    read_all(first, first.own)
    assert second.append(lines(101, 150, size=100), 10.0).dropped == 0  # looked at anew


def test_a_torn_last_line_and_rubbish_are_counted_and_skipped(tmp_path: Path) -> None:
    home = spools(tmp_path)
    append(home, lines(1, 3))
    with (tmp_path / f"mover-{BOOT}" / "00000001.ndjson").open("ab") as file:
        file.write(b"\0\0\0\0\n[1]\n" + b'{"seq":4}\n' + b'{"m":"torn')
    die(home)
    second, _ = successor(tmp_path)
    dead = second.oldest_of_the_dead()
    assert dead is not None and dead.count == 7
    stretch = dead.read(500, 1_000_000)
    assert len(stretch.lines) == 4 and stretch.broken == 3
    second.settle(dead, stretch, 0)
    assert second.count == 0 and list(tmp_path.iterdir()) == []


def test_a_spoiled_note_of_what_was_sent_sends_all_again(tmp_path: Path) -> None:
    home = spools(tmp_path)
    spool = append(home, lines(1, 5))
    home.settle(spool, spool.read(2, 1_000_000), 0)
    (tmp_path / f"mover-{BOOT}" / "SENT").write_bytes(b"\0\0\0")
    die(home)
    second, _ = successor(tmp_path)
    dead = second.oldest_of_the_dead()
    assert dead is not None
    assert read_all(second, dead) == [1, 2, 3, 4, 5]  # the server knows the first two by their numbers


def test_losses_that_nobody_was_told_of_outlive_their_process_once(tmp_path: Path) -> None:
    home = spools(tmp_path)
    append(home, lines(1, 1))
    home.note(17)
    die(home)
    second, losses = successor(tmp_path)
    assert losses == 17
    append(second, lines(1, 1))
    second.note(17)
    die(second)
    for spool in second._dead:
        spool.leave()
    third = spools(tmp_path, "e" * 16)
    assert third.look_for_the_dead(0.0) == 17


def test_a_full_disk_takes_all_of_a_write_or_nothing(tmp_path: Path) -> None:
    home = spools(tmp_path)
    append(home, lines(1, 100, size=1000))
    with full_disk(200_000):
        done = home.append(lines(101, 300, size=1000), 0.0)
    assert done.error is not None and done.taken + done.dropped < 200
    assert not home.is_usable(59.0) and home.is_usable(60.0)
    append(home, lines(101 + done.taken, 300, size=1000))
    assert home.own is not None
    assert read_all(home, home.own) == list(range(1, 301))


def test_a_directory_removed_from_below_is_made_anew_and_its_records_are_missed(tmp_path: Path) -> None:
    home = spools(tmp_path)
    append(home, lines(1, 7))
    for path in (tmp_path / f"mover-{BOOT}").iterdir():
        path.unlink()
    (tmp_path / f"mover-{BOOT}").rmdir()
    done = home.append(lines(8, 9), 0.0)
    assert (done.taken, done.vanished) == (2, 7)
    assert home.own is not None and read_all(home, home.own) == [8, 9]


def test_segments_removed_from_below_are_missed(tmp_path: Path) -> None:
    home = spools(tmp_path)
    spool = append(home, lines(1, 7))
    (tmp_path / f"mover-{BOOT}" / "00000001.ndjson").unlink()
    stretch = spool.read(500, 1_000_000)
    assert stretch.lines == () and stretch.broken == 7 and spool.count == 0


@pytest.mark.parametrize("component", ["", "../../etc", "a b/c", ".hidden", "ü" * 300])
def test_no_component_leads_out_of_the_directory(tmp_path: Path, component: str) -> None:
    home = spools(tmp_path / "spool", component=component)
    append(home, lines(1, 1))
    assert [path.parent for path in tmp_path.rglob("LOCK")] == [next((tmp_path / "spool").iterdir())]
