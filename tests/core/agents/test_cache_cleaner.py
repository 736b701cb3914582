"""The cleaner of the cache: what expired goes, what a task needs stays, what does not fit together is repaired."""

from __future__ import annotations

import gzip
import io
import os
import socket
import time
from pathlib import Path

import pytest

from core.agents.cache_cleaner import CacheCleaner
from core.configuration import CacheLimits
from core.database import Database
from core.filecache.store import FileCache
from core.states import FINAL_TASK_STATUSES

PACKED = gzip.compress(b"content")
WEEK_AND_A_BIT = "interval '7 days 1 minute'"


class Site:
    """A cache with its cleaner."""

    def __init__(self, database: Database, directory: Path) -> None:
        self.database = database
        self.directory = directory
        self.cache = FileCache(database, directory, CacheLimits())
        self.cleaner = CacheCleaner(database, directory, CacheLimits(), 3600)

    def upload(self, *names: str) -> None:
        for name in names:
            self.cache.upload("alice", name, io.BytesIO(PACKED), len(PACKED))

    def age(self, interval: str = WEEK_AND_A_BIT, column: str = "touch_time") -> None:
        self.database.execute(f"UPDATE cache_files SET {column} = {column} - {interval}")

    def names(self) -> tuple[list[str], list[str]]:
        """On the list, and on the disk."""
        listed = [row["file_name"] for row in self.database.fetch("SELECT file_name FROM cache_files ORDER BY 1")]
        return listed, sorted(path.name for path in (self.directory / "files").glob("*"))

    def write(self, folder: str, name: str, age_s: float) -> Path:
        path = self.directory / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        os.utime(path, (time.time() - age_s, time.time() - age_s))
        return path

    def add_task(self, parameters: str, status: str = "running") -> None:
        self.database.execute(
            "INSERT INTO tasks (jedi_task_id, status, parameters) "
            "VALUES (nextval('jedi_task_id_seq'), %(status)s, %(parameters)s)",
            {"status": status, "parameters": parameters},
        )

    def clean(self) -> None:
        while self.cleaner.cycle():
            pass


@pytest.fixture
def site(shared_database: Database, tmp_path: Path) -> Site:
    for table in ("cache_files", "tasks"):
        shared_database.execute(f"DELETE FROM {table}")
    return Site(shared_database, tmp_path / "cache")


def test_a_file_nobody_touched_for_a_week_goes(site):
    site.upload("old.tar.gz")
    site.age("interval '6 days 23 hours'")
    site.clean()
    assert site.names() == (["old.tar.gz"], ["old.tar.gz"])
    site.age("interval '2 hours'")
    site.upload("new.tar.gz")
    assert site.cleaner.cycle() == 1
    assert site.cleaner.cycle() == 0
    assert site.names() == (["new.tar.gz"], ["new.tar.gz"])


def test_touching_a_file_gives_it_another_week(site):
    site.upload("wanted.tar.gz")
    site.age()
    site.cache.touch("wanted.tar.gz")
    site.clean()
    assert site.names()[1] == ["wanted.tar.gz"]


def test_a_file_of_a_task_that_has_not_ended_stays(site):
    names = ["jobO.1.tar.gz", 'a "quoted".xml', "ü.tar.gz", "other.tar.gz"]
    site.upload(*names)
    site.add_task('{"jobParameters": [{"value": "-a jobO.1.tar.gz"}]}')
    site.add_task('{"x": {"y": "a \\"quoted\\".xml and ü.tar.gz"}}', "ready")
    site.add_task('{"jobParameters": [{"value": "-a other.tar.gz"}]}', "done")
    site.age()
    site.clean()
    assert site.names()[1] == sorted(names[:3])


@pytest.mark.parametrize("status", sorted(str(status) for status in FINAL_TASK_STATUSES))
def test_a_task_that_ended_holds_nothing(site, status):
    site.upload("jobO.1.tar.gz")
    site.add_task('{"jobParameters": [{"value": "-a jobO.1.tar.gz"}]}', status)
    site.age()
    site.clean()
    assert site.names() == ([], [])


def test_many_expired_files_go_in_batches(site):
    site.upload(*(f"jobO.{number}.tar.gz" for number in range(450)))
    site.age()
    assert [site.cleaner.cycle() for _ in range(4)] == [200, 200, 50, 0]
    assert site.names() == ([], [])


def test_a_file_that_is_not_listed_goes_after_an_hour(site):
    site.upload("listed.tar.gz")
    site.write("files", "orphan.tar.gz", 3700)
    site.write("files", "under way.tar.gz", 60)
    site.clean()
    assert site.names() == (["listed.tar.gz"], ["listed.tar.gz", "under way.tar.gz"])


def test_a_listed_file_that_is_lost_is_struck_after_an_hour(site):
    site.upload("lost.tar.gz", "kept.tar.gz")
    (site.directory / "files" / "lost.tar.gz").unlink()
    site.clean()
    assert site.names()[0] == ["kept.tar.gz", "lost.tar.gz"]
    site.age("interval '61 minutes'", "creation_time")
    site.clean()
    assert site.names() == (["kept.tar.gz"], ["kept.tar.gz"])


def test_files_of_other_machines_are_not_ours_to_strike(site):
    site.upload("theirs.tar.gz", "kept.tar.gz")
    (site.directory / "files" / "theirs.tar.gz").unlink()
    site.database.execute("UPDATE cache_files SET host = 'elsewhere' WHERE file_name = 'theirs.tar.gz'")
    site.age("interval '61 minutes'", "creation_time")
    site.clean()
    assert site.names()[0] == ["kept.tar.gz", "theirs.tar.gz"]


def test_a_disk_that_is_not_mounted_costs_no_entries(site):
    site.upload("a.tar.gz", "b.tar.gz")
    for path in (site.directory / "files").iterdir():
        path.unlink()
    site.age("interval '61 minutes'", "creation_time")
    site.clean()
    assert site.names()[0] == ["a.tar.gz", "b.tar.gz"]


def test_what_a_killed_upload_left_goes_and_so_do_old_logs(site):
    day = 86400
    left = [site.write("incoming", "x", 3700), site.write("jedilog", "1.log", 31 * day)]
    left.append(site.write("checkpoints", "hpo_cp_1_1", 31 * day))
    kept = [site.write("incoming", "y", 60), site.write("jedilog", "2.log", 29 * day)]
    site.clean()
    assert [path.exists() for path in left] == [False] * 3
    assert [path.exists() for path in kept] == [True] * 2


def test_a_cache_nobody_used_is_no_trouble(site):
    assert site.cleaner.cycle() == 0
    assert not site.directory.exists()


def test_every_machine_has_a_cleaner_of_its_own(site):
    assert site.cleaner.name == f"cache_cleaner@{socket.gethostname()}"
