"""`panda simulate`: a table for people, JSON for programs, two runs compared; refused with field and remedy."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.database import Database
from tests.core.simulation.describing import SMALL


@pytest.fixture
def description(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(SMALL.replace("days = 0.5", "days = 0.15"))
    return path


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pandascope.cli.main", "simulate", *arguments]


def _environment(postgres_url: str, tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "PANDA_DATABASE_URL": postgres_url, "PANDA_DATA": str(tmp_path / "data")}


def _scratch_databases(postgres_url: str) -> int:
    door = Database(postgres_url)
    try:
        [row] = door.fetch("SELECT count(*) AS n FROM pg_database WHERE datname LIKE 'panda_simulation%'")
        return int(row["n"])
    finally:
        door.close()


def test_people_read_tables_and_see_how_far_it_is(description: Path, postgres_url: str, tmp_path: Path) -> None:
    said = subprocess.run(
        _command(str(description)),
        env=_environment(postgres_url, tmp_path),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    for words in (
        "small: 0.15 days",
        "Shares",
        "production",
        "Users",
        "person_001",
        "Queues",
        "NORTH_001",
        "time spent",
    ):
        assert words in said.stdout
    assert "jobs ended" in said.stderr
    assert not (tmp_path / "data").exists()
    assert _scratch_databases(postgres_url) == 0


def test_two_runs_are_compared(description: Path, postgres_url: str, tmp_path: Path) -> None:
    said = subprocess.run(
        _command(str(description), "--set", "queues.NORTH.slots=10", "--against", str(description), "--json"),
        env=_environment(postgres_url, tmp_path),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    answer = json.loads(said.stdout)
    assert said.stderr == ""
    assert answer["totals"]["submitted"] > 0
    assert answer["against"]["title"] == "small"
    changed = {row["name"]: row for row in answer["differences"]}
    row = changed["core_hours"]
    assert row["change"] == pytest.approx(row["after"] - row["before"])
    assert row["change"] < 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--set", "tick_s=no"), ("tick_s", "correct it")),
        (("--set", "shares.nobody.value=1"), ("--set", "one of production, analysis")),
        (("--against", "/nowhere.toml"), ("/nowhere.toml", "cannot be read")),
    ],
)
def test_what_will_not_do_is_refused_with_the_remedy(
    description: Path, postgres_url: str, tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    said = subprocess.run(
        _command(str(description), *arguments),
        env=_environment(postgres_url, tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert said.returncode == 1
    assert all(word in said.stderr for word in words)
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_no_database(
    description: Path, postgres_url: str, tmp_path: Path, number: signal.Signals
) -> None:
    process = subprocess.Popen(
        _command(str(description), "--set", "days=10"),
        env=_environment(postgres_url, tmp_path),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        assert "jobs ended" in process.stderr.readline()
        assert _scratch_databases(postgres_url) == 1
        process.send_signal(number)
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.communicate()
    assert _scratch_databases(postgres_url) == 0
