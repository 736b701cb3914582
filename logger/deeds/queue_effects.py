"""What a change of a queue's status means for the jobs there: what runs, what waits, where that could go. Changes nothing.

Knows jobs and asks brokerage; its statements end after three seconds, and of many waiting jobs it looks at a part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import psycopg2.errors

from core.brokerage.broker import broker
from core.brokerage.candidates import Candidate, Request
from core.brokerage.criteria import Criterion, criteria_for
from core.brokerage.elsewhere import better_elsewhere
from core.brokerage.facts import read_candidates
from core.brokerage.requests import JOB_COLUMNS, requests_of_jobs
from core.database import Row, Transaction
from core.errors import Unavailable
from core.queue_status import TEST_LABELS
from core.states import ON_WORKER_NODE
from core.wording import counted, duration_words, moment
from logger.deeds.base import Consequence, Surroundings
from logger.deeds.until import read_until, until_words

MOST_JOBS = 5000
"""Waiting jobs that brokerage is asked about; of more, the numbers are scaled."""
_LIMIT_MS = "3000"
_LABELS = ", ".join(f"'{label}'" for label in TEST_LABELS)

# ix_jobs_live_status
_COUNTS = """
SELECT job_status, count(*) AS count FROM jobs_live WHERE computing_site = ANY(%(queues)s) GROUP BY 1
"""
# ix_jobs_live_oldest, ix_jobs_live_status
_WAITING = f"""
SELECT {JOB_COLUMNS} FROM jobs_live
WHERE computing_site = ANY(%(queues)s) AND job_status IN ('activated', 'assigned') ORDER BY panda_id LIMIT %(most)s
"""
# primary keys of queue_contact_hours (the last whole hour and this one) and of queue_contacts
_CALLS = """
SELECT coalesce(sum(request_count), 0)::bigint AS requests,
       (SELECT max(last_request_time) FROM queue_contacts WHERE queue_name = ANY(%(queues)s)) AS newest
FROM queue_contact_hours WHERE queue_name = ANY(%(queues)s) AND hour >= %(since)s
"""
# ix_jobs_live_status; ix_jobs_archive_tests
_TESTS = f"""
SELECT (SELECT count(*) FROM jobs_live WHERE computing_site = ANY(%(queues)s) AND prod_source_label IN ({_LABELS})) AS live,
       count(*) AS ended, count(*) FILTER (WHERE job_status = 'finished') AS finished
FROM jobs_archive
WHERE computing_site = ANY(%(queues)s) AND prod_source_label IN ({_LABELS}) AND job_status IN ('finished', 'failed')
  AND state_change_time > %(since)s
"""
# ix_jobs_live_status
_PINNED_TASKS = """
SELECT count(DISTINCT jedi_task_id) AS count FROM jobs_live
WHERE computing_site = ANY(%(queues)s) AND site_is_pinned AND jedi_task_id IS NOT NULL
"""


@dataclass(frozen=True)
class Moving:
    """Of the jobs that wait at queues: how many another would take, and what keeps the others."""

    movable: int = 0
    stranded: int = 0
    example: str = ""
    """A queue that would take some of them."""
    reasons: Mapping[str, int] = field(default_factory=dict)
    """What keeps the stranded ones, in words, most frequent first."""
    is_estimated: bool = False


def effects(
    around: Surroundings, action: str, queues: Sequence[str], parameters: Mapping[str, Any]
) -> list[Consequence]:
    """The consequences of an action on queues, each with its count."""
    try:
        with around.database.transaction() as transaction:
            transaction.execute("SELECT set_config('statement_timeout', %(ms)s, true)", {"ms": _LIMIT_MS})
            return _effects(transaction, around, action, list(queues), parameters)
    except (psycopg2.errors.QueryCanceled, Unavailable):
        words = "what waits there could not be counted within 3 s"
        return [Consequence("unknown", len(queues), words), _until(action, parameters, around.now, len(queues))]


def _effects(
    transaction: Transaction, around: Surroundings, action: str, queues: list[str], parameters: Mapping[str, Any]
) -> list[Consequence]:
    counts = {row["job_status"]: row for row in transaction.fetch(_COUNTS, {"queues": queues})}
    running = sum(counts[status]["count"] for status in counts if status in ON_WORKER_NODE)
    activated, assigned = _count(counts, "activated"), _count(counts, "assigned")
    said = [_until(action, parameters, around.now, len(queues))]
    if read_until(str(parameters.get("until", "never")), around.now).kind == "tests":
        said.append(_tests(transaction, queues, around.now))
    if action in ("online", "undrain"):
        said.append(Consequence("could_start", activated, f"{counted(activated, 'job')} there waiting for a pilot"))
        return [*said, _calls(transaction, queues, around.now)]
    said.append(
        Consequence("running", running, f"{counted(running, 'job')} with a pilot there: nothing changes for them")
    )
    given = "pilots get them no more" if action == "offline" else "pilots still get them"
    said.append(Consequence("activated", activated, f"{counted(activated, 'job')} waiting for a pilot: {given}"))
    if assigned:
        said.append(Consequence("assigned", assigned, f"{counted(assigned, 'job')} waiting for input there"))
    if activated + assigned:
        said += _moving_words(_moving(transaction, around, queues, activated + assigned))
    pinned = transaction.fetch(_PINNED_TASKS, {"queues": queues})[0]["count"]
    if pinned:
        said.append(
            Consequence("pinned_tasks", pinned, f"{counted(pinned, 'task')} pinned there by those who sent them")
        )
    return [*said, _calls(transaction, queues, around.now)]


def _count(counts: Mapping[str, Row], status: str) -> int:
    return int(counts[status]["count"]) if status in counts else 0


def _calls(transaction: Transaction, queues: list[str], now: datetime) -> Consequence:
    """How often pilots asked, by the counts per hour, which come a little later than the newest request is known."""
    since = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    found = transaction.fetch(_CALLS, {"queues": queues, "since": since})[0]
    requests, newest = int(found["requests"]), found["newest"]
    counted_ones = f"{counted(requests, 'request')} of pilots since {moment(since, now)}"
    if newest is None or newest < since:
        words = counted_ones if requests else f"no pilot has asked there since {moment(since, now)}"
    else:
        ago = duration_words((now - newest).total_seconds())
        words = f"{counted_ones}, the last {ago} ago" if requests else f"a pilot asked there {ago} ago"
    return Consequence("pilots", requests, words)


def _tests(transaction: Transaction, queues: list[str], now: datetime) -> Consequence:
    """Whether there are the test jobs for which a queue is to wait."""
    found = transaction.fetch(_TESTS, {"queues": queues, "since": now - timedelta(days=1)})[0]
    if not found["live"] and not found["ended"]:
        words = "no test job is there, and none ended there in the last day: it stays so until somebody sends some"
        return Consequence("no_tests", 0, words)
    waiting, ended = counted(found["live"], "test job"), f"{found['ended']:,} ended in the last day"
    return Consequence("tests", found["live"], f"{waiting} there, {ended}, {found['finished']:,} of them finished")


def _until(action: str, parameters: Mapping[str, Any], now: datetime, queues: int) -> Consequence:
    until = read_until(str(parameters.get("until", "never")), now)
    how = {
        "drain": "no new work",
        "undrain": "work again",
        "online": "online",
        "test": "test jobs only",
        "offline": "nothing for pilots",
    }[action]
    left = f" ({duration_words((until.time - now).total_seconds())}), then back as before" if until.time else ""
    back = ", then back as before" if until.kind == "tests" else left
    return Consequence("queues", queues, f"{counted(queues, 'queue')}: {how} {until_words(until, now)}{back}")


def _moving_words(found: Moving) -> list[Consequence]:
    about = "about " if found.is_estimated else ""
    said = [
        Consequence(
            "movable",
            found.movable,
            f"{about}{counted(found.movable, 'job')} that another queue would take"
            + (f", {found.example} for one" if found.example else ""),
        )
    ]
    if found.stranded:
        why = "; ".join(f"{reason} ({count:,})" for reason, count in list(found.reasons.items())[:3])
        said.append(
            Consequence(
                "stranded", found.stranded, f"{about}{counted(found.stranded, 'job')} that no other would: {why}"
            )
        )
    return said


def _moving(transaction: Transaction, around: Surroundings, queues: list[str], waiting: int) -> Moving:
    """Ask brokerage about the jobs that wait, without these queues."""
    jobs = transaction.fetch(_WAITING, {"queues": queues, "most": MOST_JOBS})
    candidates = [queue for queue in read_candidates(transaction) if queue.queue_name not in queues]
    criteria = {kind: criteria_for(kind, around.brokerage) for kind in ("production", "analysis")}
    pinned = [job for job in jobs if job["site_is_pinned"]]
    free = [job for job in jobs if not job["site_is_pinned"]]
    groups = requests_of_jobs(transaction, free, candidates, around.brokerage)
    found = better_elsewhere(groups, candidates, criteria, by_weight=False)
    reasons = _reasons(groups, {job["panda_id"] for job in found.staying}, candidates, criteria)
    if pinned:
        reasons["pinned there"] += len(pinned)
    scale = waiting / len(jobs) if jobs and waiting > len(jobs) else 1.0
    return Moving(
        round(len(found.better_off) * scale),
        round((len(found.staying) + len(pinned)) * scale),
        found.example,
        {reason: round(count * scale) for reason, count in reasons.most_common()},
        scale > 1.0,
    )


def _reasons(
    groups: Mapping[Request, list[Row]],
    staying: set[int],
    candidates: list[Candidate],
    criteria: Mapping[str, Sequence[Criterion]],
) -> Counter[str]:
    """The criterion after which no queue was left, for each job that stays."""
    reasons: Counter[str] = Counter()
    for request, jobs in groups.items():
        count = sum(1 for job in jobs if job["panda_id"] in staying)
        if not count:
            continue
        asked = replace(request, pinned_queue="", first_queue="")
        step = broker(asked, candidates, criteria[asked.kind]).binding_step
        reasons["there is no other queue" if step is None or not step.before else f"of no other {step.sentence}"] += (
            count
        )
    return reasons
