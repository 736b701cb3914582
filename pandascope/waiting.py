"""Waiting for tasks and jobs to end, as procedures. Survives restarts of the server while it waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from pandascope import calls
from pandascope.errors import ServerUnreachable, TimedOut
from pandascope.steps import Call, Pause, Procedure

FINAL_TASK_STATUSES = frozenset({"done", "finished", "failed", "aborted", "broken"})
FINAL_JOB_STATUSES = frozenset({"finished", "failed", "cancelled", "closed"})
"""As in core/states.py, which a client may not import; the tests compare them."""

_PATIENCE_S = 120.0
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 2.0
_IDS_PER_CALL = 500
_UNREADY_STATES = ("activated", "assigned", "defined", "waiting", "pending", "throttled")
"""States of jobs that no pilot has, the nearest to running first."""
_STALLED_AFTER_S = 15.0
_REASON_PERIOD_S = 5.0

Progress = Callable[[calls.Document], None]


def wait_for_task(jedi_task_id: int, timeout_s: float | None, on_progress: Progress | None) -> Procedure[Any]:
    """The task's row once the task has ended; `on_progress` sees every row read before.

    Those rows have one more key, `waiting_reason`: a sentence when nothing of the task has run or ended for 15 s,
    else empty. Raises TimedOut after `timeout_s` seconds, ServerUnreachable when nothing answered for two minutes.
    """
    rhythm = _Rhythm(timeout_s)
    stall = _Stall(jedi_task_id)
    while True:
        document = yield from _patiently(calls.task(jedi_task_id))
        row = _task_row(document)
        if row["status"] not in FINAL_TASK_STATUSES:
            reason = yield from stall.reason(document.get("jobs") or {})
            row["waiting_reason"] = reason
        if on_progress is not None:
            on_progress(row)
        if row["status"] in FINAL_TASK_STATUSES:
            return row
        done = sum(int(row.get(name) or 0) for name in ("n_finished", "n_failed", "n_cancelled"))
        said = f"; {row['waiting_reason']}" if row["waiting_reason"] else ""
        yield rhythm.pause(
            f"task {jedi_task_id} is {row['status']}: {done} of {row.get('n_jobs') or 0} jobs ended{said}",
            f"it goes on; stop it with `panda kill --task {jedi_task_id}`",
        )


def wait_for_jobs(panda_ids: Sequence[int], timeout_s: float | None, on_progress: Progress | None) -> Procedure[Any]:
    """The rows of all jobs once they have ended, in the order given. Raises as `wait_for_task`."""
    rhythm = _Rhythm(timeout_s)
    rows: dict[int, calls.Document] = {}
    waiting = list(dict.fromkeys(int(panda_id) for panda_id in panda_ids))
    while True:
        for start in range(0, len(waiting), _IDS_PER_CALL):
            part = ",".join(map(str, waiting[start : start + _IDS_PER_CALL]))
            page = yield from _patiently(calls.jobs(panda_id=part, facets=0, limit=_IDS_PER_CALL))
            rows.update({row["panda_id"]: row for row in page["jobs"]})
        waiting = [panda_id for panda_id in waiting if not _has_ended(rows.get(panda_id))]
        if on_progress is not None:
            on_progress({"n_jobs": len(set(panda_ids)), "n_ended": len(set(panda_ids)) - len(waiting)})
        if not waiting:
            return [rows[int(panda_id)] for panda_id in panda_ids]
        yield rhythm.pause(f"{len(waiting)} of {len(panda_ids)} jobs have not ended", "see `panda jobs`")


class _Stall:
    """Notices that nothing of a task runs or ends, and asks the server why."""

    def __init__(self, jedi_task_id: int) -> None:
        self._jedi_task_id = jedi_task_id
        self._moved = time.monotonic()
        self._n_unready: int | None = None
        self._reason = ""
        self._next_question = 0.0

    def reason(self, by_state: calls.Document) -> Procedure[str]:
        """Why nothing moves, as a sentence without a full stop; empty while something does. `by_state`: job counts."""
        now = time.monotonic()
        waiting = {state: int(by_state[state]) for state in _UNREADY_STATES if by_state.get(state)}
        n_unready = sum(waiting.values())
        has_moved = n_unready != self._n_unready or any(
            count for state, count in by_state.items() if state not in waiting and state not in FINAL_JOB_STATUSES
        )
        self._n_unready = n_unready
        if has_moved or not waiting:
            self._moved, self._reason, self._next_question = now, "", 0.0
        elif now - self._moved >= _STALLED_AFTER_S and now >= self._next_question:
            self._next_question = now + _REASON_PERIOD_S
            most = max(waiting, key=lambda state: waiting[state])
            self._reason = yield from self._ask(most, waiting[most])
        return self._reason

    def _ask(self, state: str, count: int) -> Procedure[str]:
        """What one of the jobs in a state waits for."""
        query = {"jedi_task_id": self._jedi_task_id, "job_status": state, "sortby": "panda_id-ascending"}
        page = yield from _patiently(calls.jobs(**query, facets=0, limit=1))
        if not page["jobs"]:
            return self._reason  # it has just gone on
        document = yield from _patiently(calls.job(page["jobs"][0]["panda_id"]))
        jobs = "1 job is" if count == 1 else f"{count:,} jobs are"
        why = f": {document['waits_for']}" if document.get("waits_for") else ", and the server does not say why"
        return f"nothing runs; {jobs} {state}{why}"


class _Rhythm:
    """Pauses that grow from 0.2 s to 2 s until the deadline."""

    def __init__(self, timeout_s: float | None) -> None:
        self._deadline = None if timeout_s is None else time.monotonic() + timeout_s
        self._timeout_s = timeout_s
        self._next_s = _FIRST_PAUSE_S

    def pause(self, state: str, remedy: str) -> Pause:
        """The next pause; raises TimedOut with the state in words when the time is over."""
        seconds = self._next_s
        self._next_s = min(_LONGEST_PAUSE_S, self._next_s * 1.2)
        if self._deadline is None:
            return Pause(seconds)
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise TimedOut(f"after {self._timeout_s:g} s {state}", remedy=remedy)
        return Pause(min(seconds, left_s))


def _patiently(call: Call) -> Procedure[Any]:
    """The answer to a call that is repeated while the server is away (it may be restarting)."""
    give_up = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return (yield call)
        except ServerUnreachable:
            if time.monotonic() > give_up:
                raise
        yield Pause(1.0)


def _task_row(document: calls.Document) -> calls.Document:
    row = document.get("task", document)
    return dict(row)


def _has_ended(row: calls.Document | None) -> bool:
    return row is not None and row["job_status"] in FINAL_JOB_STATUSES
