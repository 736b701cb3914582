"""Writes the letter about a task: what became of it, in numbers and sentences. Knows the row, runs one statement."""

from __future__ import annotations

from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from core.database import Database, Row
from core.states import TASK_STATUS_MEANING, TaskStatus
from core.text import clean

# primary key, ix_task_history_task
_TASK = """
SELECT t.jedi_task_id, t.task_name, t.error_dialog, t.creation_time, t.end_time, t.next_try_time, t.n_files,
       t.n_files_finished, t.n_files_failed, t.n_jobs, t.n_finished, t.n_failed, t.n_cancelled, h.reason
FROM tasks t LEFT JOIN LATERAL (
    SELECT reason FROM task_history h WHERE h.jedi_task_id = t.jedi_task_id AND h.status = %(status)s
    ORDER BY history_id DESC LIMIT 1
) h ON true WHERE t.jedi_task_id = %(id)s
"""


def letter_about(database: Database, notice: Row, sender: str) -> EmailMessage | None:
    """The letter of a notice; None when its task is gone."""
    values = {"id": notice["jedi_task_id"], "status": notice["status"]}
    task = database.fetch_one(_TASK, values)
    return None if task is None else compose(task, notice["status"], notice["address"], sender)


def compose(task: Row, status: str, address: str, sender: str) -> EmailMessage:
    """A letter in plain text. `task`: the columns of the statement above."""
    message = EmailMessage()
    name = " ".join(clean(task["task_name"], 150).split())
    message["Subject"] = f"Task {task['jedi_task_id']} {_verb(status)}: {name}"
    message["From"] = sender
    message["To"] = address
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain="pandascope.invalid")
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("\n".join(_lines(task, status, name)) + "\n")
    return message


def _verb(status: str) -> str:
    return "waits for your decision" if status == "exhausted" else f"is {status}"


def _lines(task: Row, status: str, name: str) -> list[str]:
    lines = [
        f"{name} is {status}: {TASK_STATUS_MEANING[TaskStatus(status)]}.",
        "",
        f"input files: {task['n_files']}, of which {task['n_files_finished']} succeeded and {task['n_files_failed']} failed",
        f"jobs: {task['n_jobs']}, of which {task['n_finished']} finished, {task['n_failed']} failed and "
        f"{task['n_cancelled']} were cancelled",
        f"submitted: {task['creation_time']:%Y-%m-%d %H:%M} UTC",
    ]
    if task["end_time"] is not None:
        lines.append(f"ended: {task['end_time']:%Y-%m-%d %H:%M} UTC")
    if task["reason"]:
        lines.append(f"why: {clean(task['reason'], 500)}")
    if task["error_dialog"] and task["error_dialog"] != task["reason"]:
        lines.append(f"errors: {clean(task['error_dialog'], 510)}")
    if status == "exhausted" and task["next_try_time"] is not None:
        lines.append(
            f"Without a decision it is finished with what it has at {task['next_try_time']:%Y-%m-%d %H:%M} UTC."
        )
    return [*lines, "", f"More: panda tasks jedi_task_id={task['jedi_task_id']}, or its page in the monitor."]
