"""The node a pilot sits on: what it offers, and what dead pilots have left there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pilot.cleaner import ABANDONED_S, KEPT_S, clean, held, keep
from pilot.description import JobDescription
from pilot.directory import JobDirectory
from pilot.probe import probe_node

DAY_S = 24 * 3600


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "100000 100000"}, 1),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu.max": "nonsense"}, None),
        ({}, None),
    ],
)
def test_cores_respect_the_control_group(tmp_path: Path, files: dict[str, str], cores: int | None) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content + "\n")
    assert probe_node(tmp_path).cores == (cores or len(os.sched_getaffinity(0)))


@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
def test_memory_respects_the_control_group(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(f"{512 * 1024 * 1024}\n")
    assert probe_node(tmp_path).memory_mb == 512
    (tmp_path / name).write_text("max\n")
    assert probe_node(tmp_path).memory_mb > 512


def left_behind(work_directory: Path, age_s: float) -> JobDirectory:
    """The directory of a job whose pilot is dead."""
    job = JobDescription.from_wire({"PandaID": 17, "transformation": "runShell"})
    directory = JobDirectory.create(work_directory, job)
    with held(directory):
        (directory.work / "closed").mkdir(mode=0o500)
    make_old(directory, age_s)
    return directory


def make_old(directory: JobDirectory, age_s: float) -> None:
    for path in (directory.path / "lock", directory.path):
        then = path.stat().st_mtime - age_s
        os.utime(path, (then, then))


def test_directories_of_dead_pilots_go_after_half_a_day(tmp_path: Path) -> None:
    old, young = left_behind(tmp_path, ABANDONED_S + 60), left_behind(tmp_path, ABANDONED_S - 60)
    assert clean(tmp_path) == 1
    assert not old.path.exists()
    assert young.path.exists()


def test_what_is_worth_keeping_stays_for_a_week(tmp_path: Path) -> None:
    directory = left_behind(tmp_path, 0)
    keep(directory, "its outputs could not be stored")
    make_old(directory, KEPT_S - DAY_S)
    assert clean(tmp_path) == 0
    make_old(directory, 2 * DAY_S)
    assert clean(tmp_path) == 1


def test_the_directory_of_a_living_pilot_is_never_removed(tmp_path: Path) -> None:
    directory = left_behind(tmp_path, 0)
    with held(directory):
        make_old(directory, 30 * DAY_S)
        assert clean(tmp_path) == 0
    assert directory.path.exists()


def test_what_is_not_ours_is_never_removed(tmp_path: Path) -> None:
    other = tmp_path / "PanDA_Pilot-precious"
    other.mkdir()
    os.utime(other, (0, 0))
    assert clean(tmp_path) == 0
