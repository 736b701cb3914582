"""What the supervisor tells of its parts, from its words to the incident that they open and end."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from core.database import Database
from logger.admission import Sender
from logger.batches import Batch
from logger.handler import PandaHandler
from logger.ingest import RecordIngest
from pandascope.supervisor.troubles import STEADY_S, Troubles
from tests.support.as_sent import as_sent


class Stage:
    """Troubles with a clock of their own, whose records go through the real handler's encoding into the real store."""

    def __init__(self, ingest: RecordIngest, handler: PandaHandler) -> None:
        self.now = 0.0
        self.said: list[logging.LogRecord] = []
        self._ingest, self._handler = ingest, handler
        log = logging.Logger("panda.supervisor")
        log.getChild = lambda suffix: log  # type: ignore[method-assign]
        log.addHandler(self)  # type: ignore[arg-type]
        self.troubles = Troubles(log, lambda: self.now)

    level = logging.INFO

    def handle(self, record: logging.LogRecord) -> None:
        self.said.append(record)
        entry = as_sent(self._handler, record)
        self._ingest.submit(Batch([entry]), Sender("op", "t1", frozenset({"admin"})))

    def pass_(self, seconds: float) -> None:
        self.now += seconds
        self.troubles.tell_what_is_over()


@pytest.fixture
def stage(database: Database) -> Iterator[Stage]:
    handler = PandaHandler("http://127.0.0.1:9", close_timeout_s=0.0)
    yield Stage(RecordIngest(database), handler)
    handler.close()


def states(database: Database) -> list[tuple[str, str]]:
    rows = database.fetch("SELECT component, state FROM incidents ORDER BY component, incident_id")
    return [(row["component"], row["state"]) for row in rows]


def test_a_part_that_runs_again_ends_its_incident(database: Database, stage: Stage) -> None:
    for name in ("api-1", "agents"):
        stage.troubles.starts(name)
    stage.pass_(STEADY_S)
    assert [record.levelname for record in stage.said] == ["INFO", "INFO"] and states(database) == []

    stage.troubles.ended("api-1", "was killed by SIGKILL (pid 7); it is started again in 0.25 s", signal="SIGKILL")
    stage.pass_(STEADY_S / 2)
    stage.troubles.ended("api-1", "ended with exit code 1 (pid 8); it is started again in 0.5 s", exit_code=1)
    stage.pass_(STEADY_S / 2)
    assert states(database) == [("api-1", "open")]
    stage.pass_(STEADY_S / 2)
    assert states(database) == [("api-1", "resolved")]
    (incident,) = database.fetch("SELECT record_count, title, resolution, resolved_by FROM incidents")
    assert incident == {
        "record_count": 2,
        "title": "api-1: was killed by SIGKILL (pid 7); it is started again in 0.25 s",
        "resolution": "has been running for 60 s",
        "resolved_by": "component api-1",
    }
    stage.troubles.hung("api-1", "gave no sign of life for 15 s and was killed (pid 9)")
    assert states(database) == [("api-1", "resolved"), ("api-1", "open")], "a trouble of its own"
    stage.pass_(STEADY_S)
    assert states(database) == [("api-1", "resolved"), ("api-1", "resolved")]
    stage.pass_(10 * STEADY_S)
    assert len(stage.said) == 7, "said once"


def test_the_next_supervisor_ends_what_its_predecessor_told(database: Database, stage: Stage) -> None:
    stage.troubles.ended("agents", "was killed by SIGKILL")
    other = Troubles(stage.troubles._log, lambda: stage.now)
    other.starts("agents")
    stage.now += STEADY_S
    other.tell_what_is_over()
    assert states(database) == [("agents", "resolved")]
