"""Statements about jobs that are ready and wait for a pilot of their queue."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core.database import Row
from core.dispatch.acquire import LABEL_FAMILIES, QUEUES_WITH_DISPATCH
from core.states import JobStatus
from core.why.job_case import JobCase
from core.why.queue_facts import MOST_AHEAD, MOST_COUNTED
from core.why.reason import Reason, Responsible
from core.wording import are, counted, duration_words, moment


class QueueIsGone:
    """The queue was removed."""

    id = "queue_gone"
    sentence = "its queue does not exist"

    def reason(self, case: JobCase) -> Reason | None:
        """Look the queue up."""
        if case.status != JobStatus.ACTIVATED or case.queue.row is not None:
            return None
        clause = f"there is no queue {case.queue.name}"
        return _queued(self.id, case, Responsible.OPERATORS, clause, f"There is no queue {case.queue.name}.")


class QueueIsClosed:
    """Its queue gives no jobs to pilots."""

    id = "queue_closed"
    sentence = "its queue gives out no jobs, or no jobs of its label"

    def reason(self, case: JobCase) -> Reason | None:
        """Compare the status of the queue with what dispatch accepts."""
        queue = case.queue.row
        if case.status != JobStatus.ACTIVATED or queue is None:
            return None
        name, status = case.queue.name, queue["status"]
        if status not in QUEUES_WITH_DISPATCH:
            clause = f"queue {name} is {status}" + (f" ({queue['comment']})" if queue["comment"] else "")
        elif status == "test" and case.job["prod_source_label"] not in LABEL_FAMILIES["test"]:
            clause = f"queue {name} is in test, where production pilots ask for test jobs only"
        else:
            return None
        by = _who_set(case.queue.last_change, queue, case.as_of)
        automaton = queue["status_set_by"] == "automaton"
        return _queued(
            self.id,
            case,
            Responsible.SITE if automaton else Responsible.OPERATORS,
            clause,
            f"{clause[:1].upper()}{clause[1:]}{by}.",
            next_step="it comes back by itself after test jobs that succeed" if automaton else "",
            advice=(
                f"ask who set it when queue {name} comes back",
                f"kill the job (panda kill {case.panda_id}) and submit it for other queues, or without naming one",
            ),
            queue_status=status,
        )


def _who_set(change: Row | None, queue: Row, as_of: datetime) -> str:
    if change is not None and change["status"] == queue["status"]:
        who = "automatically" if change["is_automatic"] else f"by {change['who'] or 'a person'}"
        why = f": {change['reason']}" if change["reason"] and change["reason"] != queue["comment"] else ""
        return f", set {who} at {moment(change['time'], as_of)}{why}"
    return {"person": ", set by a person", "automaton": ", set automatically"}.get(queue["status_set_by"], "")


class QueueIsInTrouble:
    """The incident store knows why nobody comes."""

    id = "queue_trouble"
    sentence = "an open incident says what is wrong with the pilots of its queue"

    def reason(self, case: JobCase) -> Reason | None:
        """Look for an incident of the queue that is still going on."""
        if case.status != JobStatus.ACTIVATED or case.queue.row is None or case.queue.trouble is None:
            return None
        incident = case.queue.trouble
        clause = f"no pilot takes it: {incident['title']}"
        return _queued(
            self.id,
            case,
            Responsible.SITE,
            clause,
            f"No pilot takes it: {incident['title']} (incident {incident['incident_id']}).",
            advice=(f"see incident {incident['incident_id']}: panda incidents {incident['incident_id']}",),
            incident_id=incident["incident_id"],
        )


_NEEDS = (
    ("memory_mb", "min_ram_mb", "MB of memory"),
    ("cores", "core_count", "cores"),
    ("disk_mb", "max_disk_mb", "MB of disk"),
    ("remaining_s", "max_walltime_s", "s of walltime"),
)
"""What an offer calls it, what the job calls it, and the unit."""


class OffersAreTooSmall:
    """However soon its turn comes, no pilot of the queue can take it."""

    id = "offers_too_small"
    sentence = "no pilot of its queue offers as much as it needs"

    def reason(self, case: JobCase) -> Reason | None:
        """Compare the largest offers of this hour and the last with the needs."""
        if case.status != JobStatus.ACTIVATED or case.queue.row is None:
            return None
        job, offers, name = case.job, case.queue.offers, case.queue.name
        short = [
            (_amount(job[need], unit), _amount(offers[offered], unit))
            for offered, need, unit in _NEEDS
            if 0 < offers[offered] < job[need]
        ]
        if not short:
            return None
        needed = " and ".join(need for need, _ in short)
        offered = " and ".join(offer for _, offer in short)
        clause = f"the pilots of {name} that ask do not fit it: it needs {needed}, they offer {offered} at most"
        return _queued(
            self.id,
            case,
            Responsible.USER,
            clause,
            f"{clause[:1].upper()}{clause[1:]}. {pilots_words(case)}",
            next_step="it goes to the first pilot that offers that",
            advice=(
                f"ask for no more than {offered}, if the job allows it",
                f"or ask the site of {name} for larger slots",
            ),
            offers=dict(offers),
        )


class PilotsAreBusy:
    """Others are before it, or pilots have their hands full."""

    id = "in_line"
    sentence = "other jobs are with the pilots of its queue, or before it in the line"

    def reason(self, case: JobCase) -> Reason | None:
        """Count the jobs with pilots and those that come before."""
        if case.status != JobStatus.ACTIVATED or case.queue.row is None:
            return None
        name, job = case.queue.name, case.job
        on_node, ahead = case.queue.on_node, case.queue.ahead_of(job)
        if not on_node and not ahead:
            return None
        of_share = f" of its share {job['gshare']}" if job["gshare"] else ""
        more = "+" if on_node >= MOST_COUNTED else ""
        place = f"behind at least {MOST_AHEAD:,}" if ahead >= MOST_AHEAD else f"number {ahead + 1:,}"
        return _queued(
            self.id,
            case,
            Responsible.SYSTEM,
            f"the pilots of {name} are busy: {are(on_node, 'job')} with them, {are(ahead, 'job')} ahead of it"
            if on_node
            else f"{are(ahead, 'job')} ahead of it at {name}",
            f"It is {place} of the jobs{of_share} that wait at {name} (priority {job['current_priority']}); "
            f"pilots of {name} have {on_node:,}{more} job{'' if on_node == 1 else 's'} in their hands. "
            f"{share_words(case)}{pilots_words(case)}",
            next_step="the next pilot that is free and fits takes the first of the line",
            advice=(
                "wait; the estimate below says how long like jobs waited",
                "submit to other queues too, or without naming one",
            ),
            on_node=on_node,
            ahead=ahead,
            **(case.share.numbers if case.share else {}),
        )


_PATIENCE_S = 120
"""For so long a job is new: factories start pilots on demand, and pilots ask again after a minute."""
_FRESH_S = 900
"""A queue whose last pilot asked within that time has pilots."""


class NoPilotCame:
    """Nobody asks for work at the queue."""

    sentence = "no pilot of its queue has asked for a job"

    def __init__(self, *, is_idle: bool) -> None:
        """`is_idle`: of a queue whose pilots have no job either, where no line moves; else of one where some are busy."""
        self._is_idle = is_idle
        self.id = "no_pilot" if is_idle else "no_further_pilot"

    def reason(self, case: JobCase) -> Reason | None:
        """Compare the last request of a pilot with the time since when the job is ready."""
        queue = case.queue.row
        if case.status != JobStatus.ACTIVATED or queue is None:
            return None
        name, asked = case.queue.name, queue["last_request_time"]
        if (not case.queue.on_node) is not self._is_idle:
            return None
        if asked is not None and asked >= case.job["state_change_time"]:
            return None
        is_new = case.age_s < _PATIENCE_S and asked is not None and (case.as_of - asked).total_seconds() < _FRESH_S
        if asked is None:
            clause, tail = f"no pilot of {name} has ever asked for a job", ""
        else:
            clause = f"no pilot of {name} has asked for a job since it is ready"
            tail = f", for {duration_words(case.age_s)}; the last one asked at {moment(asked, case.as_of)}"
        wait = "wait: it has only just become ready"
        return _queued(
            self.id,
            case,
            Responsible.SYSTEM if is_new else Responsible.SITE,
            clause,
            f"{clause[:1].upper()}{clause[1:]}{tail}. {pilots_words(case)}",
            next_step="the next pilot that is free and fits takes it" if is_new else "",
            advice=(wait,)
            if is_new
            else (
                f"ask the site of {name} whether its factory starts pilots",
                "submit to other queues too, or without naming one",
            ),
            last_request=asked,
        )


class PilotTookAnother:
    """The last pilot that asked got something else."""

    id = "pilot_took_another"
    sentence = "the last pilot that asked got another job"

    def reason(self, case: JobCase) -> Reason | None:
        """Compare the last request with the last job given out."""
        queue = case.queue.row
        if case.status != JobStatus.ACTIVATED or queue is None or queue["last_request_time"] is None:
            return None
        if queue["last_job_time"] is None or queue["last_job_time"] < queue["last_request_time"]:
            return None
        if queue["last_request_time"] < case.job["state_change_time"]:
            return None
        if case.queue.on_node or case.queue.ahead_of(case.job):
            return None
        clause = f"the last pilot of {case.queue.name} that asked got another job, and none has asked since"
        return _queued(
            self.id,
            case,
            Responsible.SYSTEM,
            clause,
            f"{clause[:1].upper()}{clause[1:]}. {pilots_words(case)}",
            next_step="the next pilot that is free and fits takes it",
        )


class PilotsDoNotFit:
    """Pilots ask and go away with nothing."""

    id = "pilots_do_not_fit"
    sentence = "pilots of its queue ask, but what they offer does not fit it"

    def reason(self, case: JobCase) -> Reason | None:
        """What is left when pilots ask, nobody is before the job and they get nothing."""
        if case.status != JobStatus.ACTIVATED or case.queue.row is None:
            return None
        if case.queue.on_node or case.queue.ahead_of(case.job):
            return None
        queue = case.queue.row
        asked = queue["last_request_time"]
        if asked is None or asked < case.job["state_change_time"]:
            return None
        if queue["last_job_time"] is not None and queue["last_job_time"] >= asked:
            return None
        clause = f"the pilots of {case.queue.name} that ask do not fit it: it needs {needs_words(case.job)}"
        return _queued(
            self.id,
            case,
            Responsible.USER,
            clause,
            f"{clause[:1].upper()}{clause[1:]}. {pilots_words(case)}",
            next_step="it goes to the first pilot that offers that",
            advice=(
                "ask for less if the job allows it (memory, cores, disk, walltime)",
                f"or ask the site of {case.queue.name} for pilots that offer so much, and for label "
                f"{case.job['prod_source_label']}",
            ),
        )


def _amount(value: int, unit: str) -> str:
    return counted(value, "core") if unit == "cores" else f"{value:,} {unit}"


def needs_words(job: Row) -> str:
    """What a pilot must offer to get the job."""
    stated = (
        (job["core_count"], f"{job['core_count']} {'core' if job['core_count'] == 1 else 'cores'}"),
        (job["min_ram_mb"], f"{job['min_ram_mb']} MB of memory"),
        (job["max_disk_mb"], f"{job['max_disk_mb']} MB of disk"),
        (job["max_walltime_s"], f"{job['max_walltime_s']} s of walltime"),
    )
    needs = [text for value, text in stated if value]
    return ", ".join([*needs, f"a pilot for label {job['prod_source_label']}"])


def share_words(case: JobCase) -> str:
    """Where its share stands, with a space behind it; empty without a share."""
    return f"{case.share.sentence} " if case.share else ""


def pilots_words(case: JobCase) -> str:
    """Pilots that called lately and workers in the batch system, as far as anybody told."""
    calls, workers = case.queue.calls, case.queue.workers
    said = []
    if calls["asked"]:
        said.append(
            f"In this hour and the last, pilots asked {counted(calls['asked'], 'time')} and got {calls['taken']:,}"
        )
    if workers:
        running = sum(count for status, count in workers.items() if status in ("running", "idle"))
        queued = sum(workers.values()) - running
        said.append(
            f"{'its' if said else 'Its'} factory has {counted(running, 'worker')} running and {queued:,} queued"
        )
    return "; ".join(said) + ("." if said else "")


def _queued(
    identity: str,
    case: JobCase,
    responsible: Responsible,
    clause: str,
    sentence: str,
    *,
    next_step: str = "",
    advice: tuple[str, ...] = (),
    **numbers: Any,
) -> Reason:
    """A reason of an activated job: what every one has in common is when it is taken back."""
    taken_back = case.unless("it starts")
    nothing = "" if next_step or taken_back else "nothing, until that is over"
    pilots = {"pilot_requests": case.queue.calls["asked"], "workers": case.queue.workers}
    return Reason(
        identity,
        responsible,
        clause=clause,
        sentence=sentence.strip(),
        next_step="; ".join(filter(None, (next_step, taken_back, nothing))),
        next_time=case.ending_time,
        advice=advice,
        numbers={**numbers, "priority": case.job["current_priority"], "gshare": case.job["gshare"], **pilots},
    )
