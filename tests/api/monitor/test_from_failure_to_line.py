"""A job fails; the live stream tells, and every page of the monitor leads to its failing line. All parts are real."""

from __future__ import annotations

import json
import threading

import httpx
import pytest

from logger.agents import build_agents
from pandascope.events import EventParser
from tests.support.system import eventually, running_system

STDERR = (
    'starting\nTraceback (most recent call last):\n  File "p.py", line 3, in <module>\nValueError: no such column\n'
)


@pytest.fixture
def system(database_url, tmp_path):
    with running_system(database_url, tmp_path, further_agents=build_agents) as running:
        yield running


class Listener(threading.Thread):
    """Collects the topics of the live stream."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.topics: set[str] = set()
        self.is_connected = threading.Event()
        self._url = url

    def run(self) -> None:
        parser = EventParser()
        try:
            with httpx.stream("GET", f"{self._url}/api/monitor/stream", timeout=30) as response:
                for line in response.iter_lines():
                    event = parser.feed(line)
                    if event is not None:
                        self.is_connected.set()
                        self.topics |= set(event.get("topics", []))
        except httpx.HTTPError:
            return  # the server has stopped


def fail_a_job(system) -> int:
    user, pilot = system.client("alice"), system.client("pilot", "pilot")
    record = {"transformation": "/bin/false", "prodSourceLabel": "user", "computingSite": "LOCAL"}
    panda_id = int(system.v1(user, "job/submit", jobs=json.dumps([record]))[0][0])

    def acquire():
        body = {"site_name": "LOCAL", "prod_source_label": "user"}
        answer = pilot.post("/api/v1/pilot/acquire_jobs", json=body).json()
        return answer["data"]["jobs"][0] if answer["success"] else None

    assert eventually(acquire, what="the job is activated")["PandaID"] == panda_id
    update = {"job_id": panda_id, "attempt_nr": 1}
    system.v1(pilot, "pilot/update_job", job_status="running", **update)
    failure = {
        "pilot_error_code": 1305,
        "pilot_error_diag": "exit code 1",
        "trans_exit_code": "1",
        "payload_stderr": STDERR,
    }
    system.v1(pilot, "pilot/update_job", job_status="failed", **failure, **update)
    return panda_id


def test_from_the_summary_to_the_failing_line(system):
    listener = Listener(system.url)
    listener.start()
    assert listener.is_connected.wait(30)
    panda_id = fail_a_job(system)
    monitor = httpx.Client(base_url=f"{system.url}/api/monitor/", timeout=30)
    worst = eventually(lambda: monitor.get("summary").json()["worst"], what="an incident is there")[0]
    eventually(
        lambda: (
            {f"job:{panda_id}", "jobs", "queues", "incidents", f"incident:{worst['incident_id']}"} <= listener.topics
        ),
        what="the stream told of job and incident",
    )
    assert worst["culprit_line"] == "ValueError: no such column" and worst["job_count"] == 1
    page = monitor.get(f"incident/{worst['incident_id']}").json()
    assert page["culprit"]["panda_id"] == panda_id and page["jobs"][0]["panda_id"] == panda_id
    (row,) = monitor.get("jobs", params={"incident": worst["incident_id"]}).json()["jobs"]
    assert (row["panda_id"], row["error"]["component"], row["error"]["code"]) == (panda_id, "pilot", 1305)
    job = monitor.get(f"job/{panda_id}").json()
    assert job["incidents"][0]["incident_id"] == worst["incident_id"]
    assert "ValueError: no such column" in job["summary"]
    log = monitor.get(f"job/{panda_id}/log").json()
    assert log["name"] == "payload.stderr"
    assert log["text"].split("\n")[log["culprit"]["line_number"] - 1] == log["culprit"]["text"]
    summary = monitor.get("summary").json()
    assert summary["jobs"]["failed"] == 1 and summary["throughput"]["failed_last_hour"] == 1
    assert {"emitter", "rollups"} <= {agent["name"] for agent in summary["agents"]}
    assert sum(monitor.get("throughput?hours=1").json()["series"]["failed"]) == 1
    monitor.close()
