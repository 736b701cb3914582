"""The whole way: a program logs, the handler ships over real HTTP, the store folds, the monitor shows, people act."""

from __future__ import annotations

import logging
from pathlib import Path

from logger.agents import build_agents
from logger.handler import PandaHandler
from tests.logger.builders import end_jobs
from tests.support.system import eventually, running_system


def test_from_a_line_of_log_to_an_incident_somebody_has(database_url: str, short_directory: Path) -> None:
    with running_system(database_url, short_directory, further_agents=build_agents) as system:
        handler = PandaHandler(system.url, token=system.token("site"), component="mover")
        log = logging.getLogger("panda.test_loop")
        log.addHandler(handler)
        try:
            log.error("storage %s does not answer", "se1.example.org", extra={"computing_site": "LOCAL"})
            handler.flush()
        finally:
            log.removeHandler(handler)
            handler.close()
        assert handler.dropped == 0
        reader = system.client("ann", "operator")
        asked = {"component": "mover"}
        (incident,) = eventually(lambda: reader.get("/api/monitor/incidents", params=asked).json()["incidents"])
        assert incident["title"] == "mover: storage se1.example.org does not answer"
        taken = reader.post(f"/api/control/incident/{incident['incident_id']}/acknowledge", json={"comment": "mine"})
        assert taken.json()["incident"]["owner"] == "ann"
        refused = system.client("bob").post(f"/api/control/incident/{incident['incident_id']}/resolve", json={})
        assert refused.status_code == 403


def test_a_failed_job_is_an_incident_with_its_failing_line(database_url: str, short_directory: Path) -> None:
    with running_system(database_url, short_directory, further_agents=build_agents) as system:
        end_jobs(system.database, logs={"payload.stderr": "a\nValueError: x\n"})
        reader = system.client("ann")
        asked = {"kind": "failure_burst"}
        incidents = eventually(lambda: reader.get("/api/monitor/incidents", params=asked).json()["incidents"])
        address = f"/api/monitor/incident/{incidents[0]['incident_id']}"
        culprit = eventually(lambda: reader.get(address).json()["culprit"], what="the log is read")
        assert culprit["text"] == "ValueError: x" and culprit["line_number"] == 2
        again = reader.post(f"/api/control/incident/{incidents[0]['incident_id']}/reopen", json={})
        assert again.status_code == 403
