"""Verdicts of incidents without jobs: measures say whose they are, and records which queues they name. Reads only.

A trouble of a service that serves all is central; whoever writes many records of his own program is nobody's outage.
"""

from __future__ import annotations

from datetime import timedelta

from core.database import Database, Row
from logger.counts import Counts
from logger.steps import owner_hint
from logger.trust import without_number
from logger.verdict import CENTRAL_TASKS_OR_USERS, Verdict, VerdictSettings, judge, stated

OUR_COMPONENTS = frozenset(
    {
        *("database", "postgres", "api", "agents", "supervisor"),
        *("incidents", "notices", "panda.logger", "server", "monitor"),
    }
)
"""Beside the names of agents: whose troubles are everybody's."""

_CENTRAL_KEYS = ("v1:flood:", "v1:records lost:", "v1:database does not answer", "v1:rule fails:")

# incident_breakdown by its primary key
_SITES = """
SELECT value, event_count FROM incident_breakdown
WHERE incident_id = %(incident_id)s AND dimension = 'computing_site' ORDER BY event_count DESC, value
"""
# queue_contact_hours by its primary key, of tens of queues: what pilots of each asked and reported
_CALLS = """
SELECT queue_name, sum(request_count + update_count)::bigint AS calls FROM queue_contact_hours
WHERE hour BETWEEN %(start)s AND %(end)s GROUP BY 1
"""
# agent_runs: tens of rows
_IS_AGENT = "SELECT 1 FROM agent_runs WHERE name = %(name)s"


def verdict_without_jobs(database: Database, incident: Row, settings: VerdictSettings) -> Verdict:
    """Whose trouble it is. `incident`: a row of incidents with its kind, rule, key, component, counts and times."""
    fingerprint, rule = incident["fingerprint"], incident["rule_name"]
    prefix = f"v1:{rule}:"
    if rule not in ("", "service_errors") and fingerprint.startswith(prefix):
        return _of_measure(incident, fingerprint.removeprefix(prefix))
    sites = [(row["value"], row["event_count"]) for row in database.fetch(_SITES, incident)]
    if len(sites) == 1 and _is_explicit(fingerprint, incident):
        return stated("site", sites[0][0], f"the queue {sites[0][0]}: whoever reported it named that queue")
    if sites:
        return _of_records(database, incident, sites, settings)
    if fingerprint.startswith(_CENTRAL_KEYS) or is_ours(database, incident["component"]):
        name = incident["component"] or "the server"
        return stated("central", "", f"{name} serves everybody, and no queue is named")
    hint = owner_hint(incident["error_class"]) or "operators"
    return stated("unclear", "", "no job and no queue is named", confidence="weak", hint=hint)


def is_ours(database: Database, component: str) -> bool:
    """Whether a component is a part of the system itself."""
    name = without_number(component.lower())
    if name in OUR_COMPONENTS or name.startswith(("core.", "api.", "logger.", "panda.")):
        return True
    return bool(name) and bool(database.fetch(_IS_AGENT, {"name": name}))


def _is_explicit(fingerprint: str, incident: Row) -> bool:
    """Whether the emitter gave the trouble a key of its own: computed keys name component and code."""
    computed = (f"v2:{incident['component'][:60].lower()}:", f"v1:{incident['component']}:")
    return fingerprint.startswith("v1:") and not fingerprint.startswith(computed)


def _of_measure(incident: Row, subject: str) -> Verdict:
    """What was measured is of one storage, queue, task or node, or of all."""
    sentence = "it was measured of {} alone"
    if incident["kind"] == "data":
        storage = subject.partition(":")[2] or subject
        return stated("data", storage, sentence.format(f"the storage {storage}"))
    if incident["computing_site"]:
        return stated("site", incident["computing_site"], sentence.format(f"the queue {incident['computing_site']}"))
    if incident["jedi_task_id"] is not None:
        task = str(incident["jedi_task_id"])
        return stated("task", task, sentence.format(f"the task {task}"))
    if incident["rule_name"] == "clock_skew":
        return stated("node", subject, sentence.format(f"the node {subject}"))
    return stated("central", "", "it was measured of the whole system")


def _of_records(database: Database, incident: Row, sites: list[tuple[str, int]], settings: VerdictSettings) -> Verdict:
    """The queues' shares of the records against their shares of what pilots call."""
    end = incident["last_seen"]
    window = {"start": incident["first_seen"] - timedelta(hours=2), "end": end}
    calls = {row["queue_name"]: row["calls"] for row in database.fetch(_CALLS, window)}
    records, called = sum(count for _, count in sites), sum(calls.values())
    # records are compared with calls as failures are with jobs: more of them than calls would be sure of too much
    part = min(1.0, called / (4 * records)) if called else 1.0
    queues = {
        queue: (round(dict(sites).get(queue, 0) * part), calls.get(queue, 0))
        for queue in {*calls, *(site for site, _ in sites)}
    }
    top = sites[0][0]
    rest = [queues[queue] for queue in queues if queue != top]
    cells = {1: queues[top], 0: (sum(k for k, _ in rest), sum(b for _, b in rest))}
    counts = Counts(
        {"site": top},
        cells,
        queues=queues,
        user_count=CENTRAL_TASKS_OR_USERS,
        start=window["start"],
        end=end,
        note="" if called else "no pilot called in that time",
    )
    return judge(counts, incident["error_class"], settings)
