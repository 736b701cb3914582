"""What a sender may say: whose jobs and tasks it speaks of, in whose name, and under which component.

Knows tokens' roles and who owns jobs and tasks; knows no incident. A record is never refused for a claim: what is not
proven is kept as what it is, a claim in its `fields`.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from core.database import Database
from logger.admission import Sender
from logger.fingerprints import plain_component
from logger.records import Record

OUR_COMPONENTS = frozenset(
    {
        *("api", "agents", "database", "postgres", "server", "supervisor", "pilot", "site"),
        *("logger", "notices", "deeds", "core", "panda", "dispatch"),
        *("activator", "adder", "emitter", "factory_news", "feeder", "generator", "massage", "partitions"),
        *(
            "input_follower",
            "queue_tester",
            "rebroker",
            "releaser",
            "rule_counter",
            "scouts",
            "setupper",
            "share_keeper",
        ),
        *("task_watchdog", "watchdog", "brokerage", "incident_builder", "incident_opener", "incident_judge"),
        *("incident_notices", "rule_watcher", "silence_keeper", "deed_worker", "deed_reverter", "record_days"),
        *("wait_hours", "shift_keeper", "monitor", "account_keeper", "retrial", "shares", "incidents"),
    }
)
"""Components of the system itself, by their plain names: who is not of the system does not speak as one of them."""
OUR_KEYS = frozenset({"database does not answer"})
"""Keys of the system without a subject. Those with one, `name:subject`, are its own altogether."""

MOST_COMPONENTS = 100
"""So many components of one user have names in an hour; what comes beyond is one, so that invented names make no incidents
without bound."""
_HOUR_S = 3600.0
_MOST_USERS = 10_000
_MOST_OWNERS = 10_000

# primary keys; what is archived is asked for by PandaID in every partition, once per job and process
_OWNERS_OF_JOBS = """
SELECT panda_id AS id, prod_user_name AS owner FROM jobs_live WHERE panda_id = ANY(%(ids)s)
UNION ALL
SELECT panda_id, prod_user_name FROM jobs_archive WHERE panda_id = ANY(%(ids)s)
"""
# primary key
_OWNERS_OF_TASKS = "SELECT jedi_task_id AS id, user_name AS owner FROM tasks WHERE jedi_task_id = ANY(%(ids)s)"


class Trust:
    """Judges records by their sender, with a bounded memory of who owns what. Safe from any thread."""

    def __init__(self, database: Database, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._components = _Components(monotonic)
        self._jobs = _Owners(_OWNERS_OF_JOBS)
        self._tasks = _Owners(_OWNERS_OF_TASKS)

    def judged(self, records: Sequence[Record], sender: Sender) -> list[Record]:
        """The records as their sender may say them. Raises Unavailable."""
        if sender.is_trusted:
            return list(records)
        jobs = self._jobs.of(self._database, {record.panda_id for record in records if record.panda_id})
        tasks = self._tasks.of(self._database, {record.jedi_task_id for record in records if record.jedi_task_id})
        allowed = self._components.of(sender.subject, [record.component for record in records])
        return [_judged(record, sender.subject, jobs, tasks, allowed) for record in records]


def _judged(record: Record, user: str, jobs: dict[int, str], tasks: dict[int, str], allowed: frozenset[str]) -> Record:
    changes: dict[str, Any] = {}
    claims: dict[str, Any] = {}
    if record.panda_id is not None and jobs.get(record.panda_id) != user:
        claims["claimed_panda_id"] = record.panda_id
        changes["panda_id"] = None
    if record.jedi_task_id is not None and tasks.get(record.jedi_task_id) != user:
        claims["claimed_jedi_task_id"] = record.jedi_task_id
        changes["jedi_task_id"] = None
    if changes:
        changes["is_trusted"] = False
    if record.user_name != user:
        if record.user_name:
            claims["claimed_user"] = record.user_name
        changes["user_name"] = user
    if record.component not in allowed:
        claims["claimed_component"] = record.component
        changes["component"] = f"{user}/…"
    elif is_ours(record.component):
        changes["component"] = f"{user}/{record.component}"[:200]
    if is_our_key(record.fingerprint):
        changes["fingerprint"] = f"{user}/{record.fingerprint}"[:200]
    if claims:
        changes["fields"] = {**record.fields, **claims}
    return replace(record, **changes) if changes else record


def is_ours(component: str) -> bool:
    """Whether a component is one of the system's own, however it is written: `Adder`, `core.agents.adder`, `api-1`."""
    plain = without_number(plain_component(component))
    return plain in OUR_COMPONENTS or plain.split(".", 1)[0] in OUR_COMPONENTS


def without_number(component: str) -> str:
    """The component without the number of its process: `api-2` is `api`."""
    name, _, number = component.rpartition("-")
    return name if name and number.isdecimal() else component


def is_our_key(key: str) -> bool:
    """Whether an explicit key could be one that rules, the server or fingerprints of the system use."""
    plain = " ".join(key.lower().split())
    return ":" in plain or plain in OUR_KEYS


class _Components:
    """Which components users have used within the hour."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._used: OrderedDict[str, tuple[float, set[str]]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, user: str, components: Iterable[str]) -> frozenset[str]:
        """Those of the components that have a name."""
        with self._lock:
            now = self._monotonic()
            since, used = self._used.pop(user, (now, set()))
            if now - since > _HOUR_S:
                since, used = now, set()
            for component in components:
                if len(used) >= MOST_COMPONENTS:
                    break
                used.add(component)
            self._used[user] = since, used
            if len(self._used) > _MOST_USERS:
                self._used.popitem(last=False)
            return frozenset(used)


class _Owners:
    """Owners by id. Only what was found is remembered: a job that is not there yet may come."""

    def __init__(self, statement: str) -> None:
        self._statement = statement
        self._known: OrderedDict[int, str] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, database: Database, ids: set[int]) -> dict[int, str]:
        with self._lock:
            found = {number: self._known[number] for number in ids if number in self._known}
        missing = ids - found.keys()
        if missing:
            new = {row["id"]: row["owner"] for row in database.fetch(self._statement, {"ids": sorted(missing)})}
            found |= new
            with self._lock:
                self._known |= new
                while len(self._known) > _MOST_OWNERS:
                    self._known.popitem(last=False)
        return found
