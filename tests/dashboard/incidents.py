"""A bad node, a trouble that was here before, a silence, a route, a shift: what the pages about incidents show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx

from core.clock import utc_now
from tests.dashboard.conftest import HOSTILE, Story, log_text
from tests.logger.builders import end_jobs
from tests.logger.deeds.builders import make_incident
from tests.support import builders
from tests.support.system import eventually

CULPRIT = "OSError: [Errno 28] No space left on device: '/scratch/17/out.root'"
HARMLESS_HOSTILE = HOSTILE.replace("\x1b", "")

_BEFORE = """
INSERT INTO incidents (incident_id, fingerprint, title, state, severity, first_seen, last_seen, opened_time, resolved_time,
    resolution, resolved_by, job_count, lost_core_s, verdict, verdict_value)
VALUES (0, %(fingerprint)s, 'the same, three days ago', 'resolved', 'error', %(at)s, %(at)s, %(at)s, %(at)s,
    'fixed', 'otto', 12, 36000, 'node', 'CERN wn042')
"""


@dataclass
class Night:
    """What happened, by number."""

    story: Story
    olga: httpx.Client
    bad_node: int
    others: list[int]
    silenced: int
    route: int
    shift: int

    def get(self, path: str, **query: Any) -> Any:
        """What the API says."""
        answer = self.olga.get(f"/api/monitor/{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()


def post(client: httpx.Client, path: str, **body: Any) -> Any:
    """Do something over HTTP."""
    answer = client.post(f"/api/control/{path}", json=body)
    assert answer.status_code < 300, answer.text
    return answer.json()


def make_night(story: Story) -> Night:
    """Let it happen."""
    system, database = story.system, story.system.database
    olga = system.client("olga", "operator")
    builders.make_queue(database, "CERN")
    for number in range(6):
        end_jobs(
            database, 20, status="finished", site="CERN" if number < 2 else "BNL", host=f"wn{number}", code=0, diag=""
        )
    failed = end_jobs(
        database, 24, code=1099, diag=f"Failed to stage-in: {CULPRIT}", host="wn042.cern.ch", walltime_s=5400, cores=8,
        logs={"payload.stderr": log_text(CULPRIT), "pilot.log": "pilot starts\n"},
    )  # fmt: skip

    def judged() -> int | None:
        for row in olga.get("/api/monitor/incidents", params={"component": "pilot", "code": 1099}).json()["incidents"]:
            if row["job_count"] >= len(failed) and row["verdict"] not in ("", "unclear"):
                return int(row["incident_id"])
        return None

    bad_node = eventually(judged, timeout_s=60, what="the bad node is judged") or 0
    fingerprint = database.fetch("SELECT fingerprint FROM incidents WHERE incident_id = %(i)s", {"i": bad_node})[0]
    before = utc_now() - timedelta(days=3)
    others = [
        make_incident(database, title="Pilots cannot reach the token service", severity="critical", computing_site="BNL",
                      kind="service", job_count=40, queue_count=3, lost_core_s=90_000),
        make_incident(database, title=HARMLESS_HOSTILE, computing_site="DESY", severity="warning", job_count=3),
        make_incident(database, title="transfers wait", computing_site="RAL", kind="data", severity="warning"),
        make_incident(database, title="queue is silent", computing_site="QMUL", kind="absence", severity="warning"),
    ]  # fmt: skip
    database.execute(_BEFORE, {**fingerprint, "at": before})
    silence = post(
        olga, f"incident/{others[3]}/silence", until_kind="time", until="4h", reason="rack is moved until noon"
    )
    post(olga, "silences", until_kind="time", until="2h", matcher={"computing_site": "T3_*"}, reason=HARMLESS_HOSTILE)
    database.execute("UPDATE incidents SET job_count = 340 WHERE incident_id = %(i)s", {"i": others[3]})
    told = {"name": "storage on call", "channel": "webhook", "target": "http://127.0.0.1:9/hook"}
    route = post(olga, "notice-routes", matcher={"severity": "critical"}, **told)["route"]["route_id"]
    shift = post(olga, "shift/start", people=["olga"])["shift"]["shift_id"]
    post(olga, "shift/note", text=HARMLESS_HOSTILE)
    post(olga, "shift/note", text="called the site about wn042", incident_id=bad_node)
    return Night(story, olga, bad_node, others, silence["silence"]["silence_id"], route, shift)
