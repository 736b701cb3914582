"""Pilots that are refused: told by queue, not for every stray call, and at once when a good token came to its end."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from api.panda.refused_pilots import RefusedPilots
from core.database import Database
from tests.support.system import RunningSystem

EXPIRED = "Authorization: the token was refused: expired_token: The token is expired (ask for a new one)"
FORGED = "Authorization: the token was refused: its issuer 'the token was revoked' is not known here (ask)"


@dataclass
class Door:
    """A door with a held clock, and what it said."""

    database: Database
    caplog: pytest.LogCaptureFixture
    now: float = 1000.0
    pilots: RefusedPilots = field(init=False)

    def __post_init__(self) -> None:
        self.pilots = RefusedPilots(clock=lambda: self.now)

    def refuse(self, queue: Any = "F", reason: str = FORGED, after_s: float = 1) -> int:
        """Refuse a call; how many lines were said in all."""
        self.now += after_s
        self.pilots.note(self.database, queue, reason)
        return len(self.said)

    @property
    def said(self) -> list[logging.LogRecord]:
        return [record for record in self.caplog.records if "are refused" in record.getMessage()]


@pytest.fixture
def door(shared_database: Database, caplog: pytest.LogCaptureFixture) -> Door:
    shared_database.execute("INSERT INTO queues (queue_name) VALUES ('F'), ('G') ON CONFLICT DO NOTHING")
    caplog.set_level(logging.WARNING, "panda.api")
    return Door(shared_database, caplog)


def test_the_third_refusal_in_ten_minutes_is_told_and_then_once_a_minute(door: Door) -> None:
    assert [door.refuse(), door.refuse(), door.refuse(), door.refuse()] == [0, 0, 1, 1]
    assert [door.refuse(after_s=60), door.refuse(), door.refuse(queue="G")] == [2, 2, 2]
    assert [record.__dict__["refusals"] for record in door.said] == [3, 2]
    assert all(record.levelname == "WARNING" for record in door.said)


def test_a_few_strays_a_day_are_nobodys_trouble(door: Door) -> None:
    assert [door.refuse(after_s=400) for _ in range(10)][-1] == 0


def test_a_good_token_that_came_to_its_end_is_told_at_once(door: Door) -> None:
    assert door.refuse(reason=EXPIRED) == 1
    (record,) = door.said
    assert record.getMessage() == "pilots of F are refused: the token has expired" and record.levelname == "ERROR"
    told = record.__dict__
    assert (told["fingerprint"], told["class"], told["step"]) == ("pilots refused:F", "auth", "service")
    assert door.refuse(queue="G", reason="Authorization: the token was revoked (ask for a new one)") == 2


def test_only_queues_there_are_are_remembered(door: Door) -> None:
    for queue in ("NO_SUCH", "", None, 7, ["F"]):
        for _ in range(3):
            door.refuse(queue=queue, reason=EXPIRED)
    assert door.said == []


@pytest.fixture(scope="module")
def locked(shared_system: RunningSystem) -> Iterator[RunningSystem]:
    shared_system.database.execute("INSERT INTO queues (queue_name) VALUES ('LOCKED'), ('OLD')")
    yield shared_system


@pytest.mark.parametrize(
    ("path", "sent"), [("pilot/acquire_jobs", {}), ("pilot/update_job", {"job_id": 1, "job_status": "running"})]
)
def test_the_door_of_today_tells_of_refused_pilots_too(
    locked: RunningSystem, caplog: pytest.LogCaptureFixture, path: str, sent: dict[str, Any]
) -> None:
    queue = path.replace("/", "_")
    locked.database.execute("INSERT INTO queues (queue_name) VALUES (%(queue)s)", {"queue": queue})
    for token in ("nonsense", "x.y.z", ""):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = httpx.post(f"{locked.url}/api/v1/{path}", json={"site_name": queue, **sent}, headers=headers)
        assert answer.status_code in {200, 403} and not answer.json()["success"]
    (record,) = [record for record in caplog.records if f"pilots of {queue} are refused" in record.getMessage()]
    assert record.__dict__["computing_site"] == queue
