"""The server's own disks: full, hanging, or none of this host's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from core.configuration import Settings
from core.database import Database
from core.incident_settings import IncidentSettings
from logger.agents import with_own_disks
from logger.rules.disks import DiskFull
from logger.watching import Watcher
from tests.logger.rules.watched import Watched


@pytest.fixture
def fresh(shared_database: Database) -> Database:
    """The module's database without what the test before left."""
    shared_database.execute("TRUNCATE incidents, incident_activity, incident_changes, incident_bins, watch_samples")
    return shared_database


def test_a_disk_with_little_room_is_told_and_is_over_when_there_is_room_again(fresh: Database) -> None:
    watched, free_mb = Watched(fresh), {"/data": 5000.0, "/cache": 900.0}
    watch_disks(watched, lambda name: (free_mb[name], 10_000.0), ["/data", "/cache", "/data"])
    assert watched.look() == 1
    (incident,) = watched.incidents()
    assert (incident["severity"], incident["component"]) == ("error", "disk")
    assert "The disk of /cache" in incident["title"] and "900 MB of 10000 MB left" in incident["title"]
    free_mb["/cache"] = 150.0
    watched.after(seconds=30).look()
    assert watched.incidents()[0]["severity"] == "critical"
    free_mb["/cache"] = 2000.0
    watched.after(seconds=30).look()
    assert watched.open() == []


def test_a_disk_that_hangs_stops_no_other_and_is_told_after_a_minute(fresh: Database) -> None:
    watched, answers = Watched(fresh), threading.Event()

    def read(name: str) -> tuple[float, float]:
        if name == "/hangs":
            answers.wait()
        return 5000.0, 10_000.0

    watch_disks(watched, read, ["/hangs", "/data"])
    assert watched.look() == 0 and watched.after(seconds=30).look() == 0
    assert watched.after(seconds=60).look() == 1
    (incident,) = watched.incidents()
    assert incident["severity"] == "critical" and "has not answered for" in incident["title"]
    answers.set()
    watched.after(seconds=30).look()
    watched.after(seconds=30).look()
    assert watched.open() == []


def test_a_directory_that_is_not_here_is_nobodys_trouble(fresh: Database, tmp_path: Path) -> None:
    watched = Watched(fresh)
    watch_disks(watched, None, [str(tmp_path / "elsewhere")])
    watched.look()
    assert watched.after(minutes=5).look() == 0 and watched.incidents() == []


def test_the_watcher_of_an_installation_looks_at_its_own_disks(fresh: Database, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, cache_directory="/cache", incidents=IncidentSettings(watch_disks=["/more"]))
    assert with_own_disks(settings).watch_disks == [str(tmp_path), "/cache", "/more"]


def watch_disks(watched: Watched, read: Callable[[str], tuple[float, float]] | None, names: list[str]) -> None:
    """Let the watcher look at these disks alone."""
    since = watched.now - timedelta(days=9)
    settings = IncidentSettings(watch_disks=names)
    watched.watcher = Watcher(
        watched.database, watched.clock, settings, measures=[DiskFull(read)], up_since=since, timer=lambda: 0.0
    )
