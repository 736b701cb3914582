"""The actions with a preview as every page offers them: on incidents, jobs, tasks and queues, in one table. Knows no page.

Buttons name them (components/deed_buttons.py, pages/incident_actions.py); the dialogue shows what would follow, and does it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dashboard import ends
from dashboard.works import Previewed, Question, Values, Work, numbers_of

if TYPE_CHECKING:
    from pandascope.client import AsyncClient

_INPUT = Question(
    "input",
    "Their input is",
    "choice",
    "cancel",
    (("cancel", "cancelled, until the task is retried"), ("again", "given to other jobs")),
)
_WHO = Question("who", "Who", hint="a user's name; empty: nobody any more")
_WHY = Question("reason", "Why", hint="for those who come after")
_NEVER = "never"
_TESTS = "tests:"


def _queue_questions(*, with_tests: bool = True) -> Sequence[Question]:
    """Until when a queue is to be so; unlike a drain that may be for ever, and what is offline gets no test jobs."""
    ends_at, other = ends.QUEUE_QUESTIONS
    choices = [one for one in ends_at.choices if with_tests or not one[0].startswith(_TESTS)]
    hint = other.hint if with_tests else other.hint.replace(f", {_TESTS}5", "")
    return (
        replace(ends_at, label="It goes back to what it was", value=_NEVER, choices=choices),
        replace(other, hint=hint),
    )


def _of_incidents(to: str) -> dict[str, Any]:
    return {"incidents": numbers_of(to)}


def _of_jobs(to: str) -> dict[str, Any]:
    return {"jobs": numbers_of(to)}


def _of_tasks(to: str) -> dict[str, Any]:
    return {"tasks": numbers_of(to)}


def _of_queues(to: str) -> dict[str, Any]:
    return {"queues": to.split(",")}


def _input(values: Values) -> dict[str, Any]:
    return {"input": values["input"]}


def _silence_end(values: Values) -> dict[str, Any]:
    return dict(ends.silence_end(values))


_OF_INCIDENTS = (
    Previewed("kill-for", "kill", "Kill the jobs of incident {to}", _of_incidents, (_INPUT,), _input, True),
    Previewed("retry-for", "retry", "Retry what incident {to} lost", _of_incidents),
    Previewed(
        "drain-for", "drain", "Drain the queue of incident {to}", _of_incidents, ends.QUEUE_QUESTIONS, ends.queue_end
    ),
    Previewed("acknowledge-many", "acknowledge", "Acknowledge incidents {to}", _of_incidents),
    Previewed("assign-many", "assign", "Assign incidents {to}", _of_incidents, (_WHO,), lambda v: {"who": v["who"]}),
    Previewed("silence-many", "silence", "Silence incidents {to}", _of_incidents, ends.SILENCE_QUESTIONS, _silence_end),
    Previewed("resolve-many", "resolve", "Resolve incidents {to}", _of_incidents),
    Previewed("reopen-many", "reopen", "Reopen incidents {to}", _of_incidents),
    Previewed("retry-many", "retry", "Retry what incidents {to} lost", _of_incidents),
)
# one job that ends by itself before the answer is no set any more, and that is said; of many some always do
_OF_WORK = (
    Previewed("kill-job", "kill", "Kill job {to}", _of_jobs, (replace(_INPUT, label="Its input is"),), _input),
    Previewed("kill-of-task", "kill", "Kill the live jobs of task {to}", _of_tasks, (_INPUT,), _input, True),
    Previewed("retry-task", "retry", "Retry task {to}", _of_tasks),
)
_OF_QUEUES = (
    Previewed("drain-queue", "drain", "Drain queue {to}", _of_queues, ends.QUEUE_QUESTIONS, ends.queue_end),
    Previewed("undrain-queue", "undrain", "Give queue {to} work again", _of_queues),
    Previewed("online-queue", "online", "Put queue {to} online", _of_queues, _queue_questions(), ends.queue_end),
    Previewed("test-queue", "test", "Only test jobs for queue {to}", _of_queues, _queue_questions(), ends.queue_end),
    Previewed(
        "offline-queue",
        "offline",
        "Take queue {to} offline",
        _of_queues,
        _queue_questions(with_tests=False),
        ends.queue_end,
    ),
)


async def _release(client: AsyncClient, to: str, values: Values) -> str:
    row = await client.set_queue(to, release=True, reason=values["reason"])
    return f"Queue {to} is {row['status']} as before; its test jobs decide about that from now on."


WORKS: tuple[Work, ...] = (
    *(one.work() for one in (*_OF_INCIDENTS, *_OF_WORK, *_OF_QUEUES)),
    Work(
        "release-queue",
        "Release queue {to}",
        _release,
        "Release",
        (_WHY,),
        sentence="Its status was a person's word, which nothing else changes. Released, it keeps that status until its test "
        "jobs exclude it or bring it back.",
    ),
)
