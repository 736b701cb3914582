"""The buttons of jobs, tasks and queues: which deed makes sense in which state. Knows no work but its name, and no page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import html

from dashboard import palette
from dashboard.components.buttons import button, row

_OF_QUEUE = {
    "drain": ("Drain", "drain-queue", "no new work for a while; what waits there and runs goes on"),
    "undrain": ("Un-drain", "undrain-queue", "work again"),
    "online": ("Online", "online-queue", "work again, by a person's word"),
    "test": ("Test", "test-queue", "test jobs only"),
    "offline": ("Offline", "offline-queue", "its pilots get nothing"),
}
_OFFERED = {
    "online": ("drain", "test", "offline"),
    "brokeroff": ("undrain", "test", "offline"),
    "test": ("online", "drain", "offline"),
    "offline": ("online", "test"),
}
_ANY = ("online", "drain", "test", "offline")
_PERSON = "person"
_RETRIED = ("finished", "failed", "exhausted", "running", "scouting", "pending")
"""Of a task under way what failed gets more attempts."""


def queue_buttons(queue: Mapping[str, Any]) -> html.Div:
    """What can be done to a queue as it is; the first undoes its present state."""
    name = queue["queue_name"]
    made = [_of_queue(name, deed) for deed in _OFFERED.get(str(queue.get("status")), _ANY)]
    if queue.get("status_set_by") == _PERSON:
        title = "let its test jobs exclude it and bring it back again"
        made.append(button("Release", "release-queue", name, title=title))
    return row(*made)


def _of_queue(name: str, deed: str) -> html.Button:
    words, work, title = _OF_QUEUE[deed]
    return button(words, work, name, title=title, is_grave=deed == "offline")


def job_buttons(job: Mapping[str, Any], *, may_act: bool) -> Any:
    """To kill a live job, to retry the task of one that failed; in words who may, of what the reader may not."""
    is_live, task = job["job_status"] not in palette.ENDED, job.get("jedi_task_id")
    if is_live:
        made = button("Kill", "kill-job", job["panda_id"], title="end this job", key="K", is_grave=True)
    elif task and job["job_status"] != "finished":
        made = button("Retry its task", "retry-task", task, title="open again what failed in it", key="R")
    else:
        return None
    return row(made) if may_act else _who_may("Kill" if is_live else "Retry", job.get("prod_user_name"))


def task_buttons(task: Mapping[str, Any], counts: Mapping[str, int], *, may_act: bool) -> Any:
    """To kill the live jobs of a task, to retry it; in words who may, of what the reader may not."""
    number = task["jedi_task_id"]
    is_live = any(count for state, count in counts.items() if state not in palette.ENDED)
    made = []
    if task["status"] in _RETRIED:
        title = "open again what failed, and make jobs of it"
        made.append(button("Retry", "retry-task", number, title=title, key="R"))
    if is_live:
        title = "end its live jobs"
        made.append(button("Kill its jobs", "kill-of-task", number, title=title, key="K", is_grave=True))
    if not made:
        return None
    return (
        row(*made)
        if may_act
        else _who_may(" and ".join(one.children for one in made).capitalize(), task.get("user_name"))
    )


def _who_may(deeds: str, owner: str | None) -> html.Span:
    words = f"{owner} or an operator" if owner else "an operator"
    return html.Span(f"{deeds}: {words}, signed in", className="dim", title="sign in at the top right")
