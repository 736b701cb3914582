"""Every call of the HTTP interface (docs/api.md) as a value: what is asked and how the answer is read.

One function per call. Nothing is sent here; `client.py` does that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from pandascope.errors import ServerFault
from pandascope.steps import Call
from pandascope.transport import Request, unwrap

Document = dict[str, Any]


def summary(**filters: Any) -> Call:
    """The state of everything."""
    return monitor_call("summary", filters)


def jobs(**filters: Any) -> Call:
    """A page of jobs with facets."""
    return monitor_call("jobs", filters)


def job(panda_id: int) -> Call:
    """One job with history, files, errors."""
    return monitor_call(f"job/{int(panda_id)}")


def job_log(panda_id: int, name: str | None = None) -> Call:
    """A kept log of a job; without a name the one with the culprit line."""
    return monitor_call(f"job/{int(panda_id)}/log", {"name": name})


def queues(**filters: Any) -> Call:
    """Every queue with its jobs."""
    return monitor_call("queues", filters)


def queue_history(queue_name: str) -> Call:
    """The changes of a queue's status."""
    return monitor_call(f"queues/{quote(queue_name, safe='')}/history")


def users(**filters: Any) -> Call:
    """Users and working groups with what they run, may and used."""
    return monitor_call("users", filters)


def user(name: str, kind: str) -> Call:
    """One user or working group."""
    return monitor_call(f"users/{quote(name, safe='')}", {"kind": kind})


def timeouts() -> Call:
    """Every timeout with what it ended and whom it will."""
    return monitor_call("timeouts")


def agents() -> Call:
    """Every agent with its last run."""
    return monitor_call("agents")


def staging(**filters: Any) -> Call:
    """Datasets that are brought from tape, newest first."""
    return monitor_call("staging", filters)


def shares() -> Call:
    """The tree of global shares as it stands."""
    return monitor_call("shares")


def share_samples(hours: float) -> Call:
    """Executing power and target of every share over the last hours."""
    return monitor_call("shares/samples", {"hours": hours})


def tasks(**filters: Any) -> Call:
    """A page of tasks."""
    return monitor_call("tasks", filters)


def task(jedi_task_id: int) -> Call:
    """One task."""
    return monitor_call(f"task/{int(jedi_task_id)}")


def why_job(panda_id: int) -> Call:
    """Why a job does not run, with what would help."""
    return monitor_call(f"why/job/{int(panda_id)}")


def why_task(jedi_task_id: int) -> Call:
    """The same of a task."""
    return monitor_call(f"why/task/{int(jedi_task_id)}")


def retry_rules() -> Call:
    """The rules for failed jobs with what they did, the actions, the classes of errors, the last changes."""
    return monitor_call("retry-rules")


def retry_log(**filters: Any) -> Call:
    """What rules did, of a rule_id, jedi_task_id or panda_id."""
    return monitor_call("retry-log", filters)


def faults(**filters: Any) -> Call:
    """Failed jobs by the class of their error."""
    return monitor_call("faults", filters)


def throughput(**filters: Any) -> Call:
    """Ended jobs per time bin."""
    return monitor_call("throughput", filters)


def search(text: str) -> Call:
    """Jobs, tasks, incidents, queues and users that match a text."""
    return monitor_call("search", {"q": text})


def add_retry_rule(rule: Mapping[str, Any]) -> Call:
    """Make a rule; gives its row."""
    return control_call("POST", "retry-rules", dict(rule), key="rule")


def change_retry_rule(rule_id: int, changes: Mapping[str, Any]) -> Call:
    """Change a rule; gives its row."""
    return control_call("PUT", f"retry-rule/{int(rule_id)}", dict(changes), key="rule")


def remove_retry_rule(rule_id: int) -> Call:
    """Take a rule away; gives the row it had."""
    return control_call("DELETE", f"retry-rule/{int(rule_id)}", key="rule")


def try_retry_rule(rule: Mapping[str, Any], days: float) -> Call:
    """How many of the jobs that failed lately a rule would have met."""
    return control_call("POST", "retry-rules/try", {**rule, "days": days}, timeout_s=60.0)


def change_retry_action(name: str, is_active: bool) -> Call:
    """Make an action active or passive for all rules; gives its row."""
    return control_call("PUT", f"retry-action/{quote(name, safe='')}", {"is_active": is_active}, key="action")


def add_error_class(entry: Mapping[str, Any]) -> Call:
    """Say whose fault an error is; gives the row."""
    return control_call("POST", "error-classes", dict(entry), key="error_class")


def remove_error_class(class_id: int) -> Call:
    """Say nothing of an error any more; gives the row there was."""
    return control_call("DELETE", f"error-class/{int(class_id)}", key="error_class")


def register_dataset(
    name: str, kind: str, files: Sequence[Mapping[str, Any]], scope: str | None, is_open: bool = False
) -> Call:
    """Make a dataset of files that exist already; `is_open`: more will be added."""
    body: dict[str, Any] = {"name": name, "kind": kind, "files": list(files)}
    body |= ({"scope": scope} if scope else {}) | ({"is_open": True} if is_open else {})
    return control_call("POST", "datasets", body, timeout_s=300.0)


def add_files(name: str, files: Sequence[Mapping[str, Any]]) -> Call:
    """Add files to a dataset that is open."""
    return control_call("POST", "datasets/files", {"dataset": name, "files": list(files)}, timeout_s=300.0)


def set_dataset_status(name: str, status: str) -> Call:
    """Close a dataset, or open it again."""
    return control_call("POST", "datasets/status", {"dataset": name, "status": status})


def register_replicas(replicas: Sequence[Mapping[str, Any]]) -> Call:
    """Tell of copies of files that have arrived at an endpoint."""
    return control_call("POST", "replicas", {"replicas": list(replicas)})


def dataset(name: str) -> Call:
    """A dataset with its files and their copies."""
    return control_call("GET", f"dataset/{quote(name, safe='')}")


def endpoints() -> Call:
    """The storage endpoints."""
    return control_call("GET", "endpoints", key="endpoints")


def set_queue(queue_name: str, changes: Mapping[str, Any]) -> Call:
    """Create a queue or change its attributes; gives its row."""
    return control_call("PUT", f"queue/{quote(queue_name, safe='')}", dict(changes), key="queue")


def account(name: str, kind: str) -> Call:
    """What was decided about a user or working group, and the limits in force."""
    return control_call("GET", f"account/{kind}/{quote(name, safe='')}")


def set_account(name: str, kind: str, changes: Mapping[str, Any]) -> Call:
    """Decide about a user or working group; gives what is decided now."""
    return control_call("PUT", f"account/{kind}/{quote(name, safe='')}", dict(changes), key="account")


def share_tree() -> Call:
    """All shares as they can be sent back."""
    return control_call("GET", "shares", key="shares")


def set_share_tree(shares: Sequence[Mapping[str, Any]]) -> Call:
    """Put a whole tree of shares in place; gives its shares."""
    return control_call("PUT", "shares", {"shares": list(shares)}, key="shares")


def set_share(name: str, changes: Mapping[str, Any]) -> Call:
    """Make a share or change some of its attributes; gives the share."""
    return control_call("PUT", f"share/{quote(name, safe='')}", dict(changes), key="share")


def remove_share(name: str) -> Call:
    """Take a leaf out of the tree of shares."""
    return control_call("DELETE", f"share/{quote(name, safe='')}")


def retag(running_too: bool) -> Call:
    """Give live work the shares that the tree gives it now."""
    return control_call("POST", "shares/retag", {"running_too": running_too}, timeout_s=600.0)


def outputs(jedi_task_id: int) -> Call:
    """The stored outputs of a task, by job."""
    return control_call("GET", f"task/{int(jedi_task_id)}/outputs", key="outputs")


def submit(jobs: Sequence[Mapping[str, Any]]) -> Call:
    """Create jobs directly; gives their PandaIDs in the same order (server-api.md 1.1)."""
    request = Request("POST", "/api/v1/job/submit", json={"jobs": json.dumps(list(jobs))}, timeout_s=300.0)
    return Call(request, lambda answer: [int(row[0]) for row in unwrap(answer) or []])


def submit_task(parameters: Mapping[str, Any]) -> Call:
    """Register a task; gives its jediTaskID."""
    request = Request("POST", "/api/v1/task/submit", json={"task_parameters": dict(parameters)}, timeout_s=300.0)
    return Call(request, lambda answer: _task_number(unwrap(answer)))


def kill(panda_ids: Sequence[int]) -> Call:
    """Ask for the end of jobs; gives one truth value per job."""
    body = {"job_ids": [int(panda_id) for panda_id in panda_ids]}
    return Call(Request("POST", "/api/v1/job/kill", json=body, retry=True), lambda answer: list(unwrap(answer) or []))


def kill_task(jedi_task_id: int) -> Call:
    """Ask for the end of a task and its jobs."""
    return Call(Request("POST", "/api/v1/task/kill", json={"task_id": int(jedi_task_id)}, retry=True), unwrap)


def monitor_call(name: str, filters: Mapping[str, Any] | None = None) -> Call:
    """Read a page of the monitor; filters that are None are left out."""
    return Call(Request("GET", f"/api/monitor/{name}", filters))


def control_call(method: str, name: str, body: Any = None, *, key: str = "", timeout_s: float | None = None) -> Call:
    """Change something; gives the answer, or what it holds under `key`."""
    request = Request(method, f"/api/control/{name}", json=body, timeout_s=timeout_s)
    return Call(request, lambda answer: answer[key]) if key else Call(request)


def _task_number(data: Any) -> int:
    """The jediTaskID in the answer to a submission: a number, or PanDA's older pair of code and number."""
    number = data[-1] if isinstance(data, list) and data else data
    try:
        return int(number)
    except (TypeError, ValueError) as error:
        raise ServerFault(f"the server accepted the task but named no jediTaskID: {data!r}") from error
