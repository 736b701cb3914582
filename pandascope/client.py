"""`Client`: everything a program can ask of PanDA, as plain dictionaries. `AsyncClient` (async_client.py) is its twin.

The calls are values (calls.py) and the longer works are procedures (steps.py); here is only how they are carried out
by a program that blocks.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import httpx

from pandascope import calls, collecting, running, waiting
from pandascope.async_client import AsyncClient
from pandascope.calls import Document
from pandascope.collecting import Collected
from pandascope.environment import find_credentials
from pandascope.errors import ClientError
from pandascope.events import SILENCE_S, STREAM_PATH, Event, EventParser, Position
from pandascope.incident_calls import IncidentCalls
from pandascope.running import RunRequest, Stage, Submitted
from pandascope.steps import Call, Pause, Procedure, Step
from pandascope.transport import Manners, Transport

__all__ = ["AsyncClient", "Client"]

Result = TypeVar("Result")


class Client(IncidentCalls[Document]):
    """A server, for programs that block. Thread-safe; close it or use it in a `with` statement.

    Without `url` and `token` it finds the server that `panda up` started (environment.py). All methods raise the errors
    of pandascope.errors; those that return a document return it as docs/api.md describes it.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        data: Path | str | None = None,
        via: str = "api",
        manners: Manners | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        found = find_credentials(url, token, data)
        self.url, self.via = found.url, via
        self.transport = Transport(found.url, found.token, manners=manners, via=via, transport=transport)

    # what is there

    def summary(self, **filters: Any) -> Document:
        """The state of everything, worst incidents first."""
        return self._document(calls.summary(**filters))

    def jobs(self, **filters: Any) -> Document:
        """A page of jobs; filters as in docs/api.md, e.g. job_status="failed", hours=6, limit=50, cursor=..."""
        return self._document(calls.jobs(**filters))

    def job(self, panda_id: int) -> Document:
        """One job with its history, files, errors and logs."""
        return self._document(calls.job(panda_id))

    def job_log(self, panda_id: int, name: str | None = None) -> Document:
        """A kept log of a job; without a name the one with the culprit line."""
        return self._document(calls.job_log(panda_id, name))

    def queues(self, **filters: Any) -> Document:
        """Every queue with its jobs."""
        return self._document(calls.queues(**filters))

    def queue_history(self, queue_name: str) -> Document:
        """The changes of a queue's status: when, who, why; the newest first."""
        return self._document(calls.queue_history(queue_name))

    def users(self, **filters: Any) -> Document:
        """Users and working groups: what they run, may and used; the busiest first."""
        return self._document(calls.users(**filters))

    def user(self, name: str, *, kind: str = "user") -> Document:
        """One user (or kind="group"): limits, quotas, use by day and queue, tasks."""
        return self._document(calls.user(name, kind))

    def timeouts(self) -> Document:
        """Every timeout: limit, effect, what it ended, live jobs past half of it."""
        return self._document(calls.timeouts())

    def agents(self) -> Document:
        """Every agent: last and next run, duration, last error."""
        return self._document(calls.agents())

    def staging(self, **filters: Any) -> Document:
        """Datasets that are brought from tape: progress, places, tasks, what is slow; newest first."""
        return self._document(calls.staging(**filters))

    def shares(self) -> Document:
        """The tree of global shares: value, target, use and deviation of each."""
        return self._document(calls.shares())

    def share_samples(self, hours: float = 24) -> Document:
        """Executing power and target of every share over the last hours."""
        return self._document(calls.share_samples(hours))

    def tasks(self, **filters: Any) -> Document:
        """A page of tasks."""
        return self._document(calls.tasks(**filters))

    def task(self, jedi_task_id: int) -> Document:
        """One task with its parameters, jobs by status and incidents."""
        return self._document(calls.task(jedi_task_id))

    def why_job(self, panda_id: int) -> Document:
        """Why a job does not run: the first true reason, who is responsible, what comes next, what would help."""
        return self._document(calls.why_job(panda_id))

    def why_task(self, jedi_task_id: int) -> Document:
        """The same of a task."""
        return self._document(calls.why_task(jedi_task_id))

    def retry_rules(self) -> Document:
        """The rules for failed jobs with what they did, the actions, the classes of errors, the last changes."""
        return self._document(calls.retry_rules())

    def retry_log(self, **filters: Any) -> Document:
        """What rules did, newest first: of a rule_id, jedi_task_id or panda_id."""
        return self._document(calls.retry_log(**filters))

    def faults(self, **filters: Any) -> Document:
        """Failed jobs by the class of their error: whose fault they were."""
        return self._document(calls.faults(**filters))

    def throughput(self, **filters: Any) -> Document:
        """Ended jobs per time bin."""
        return self._document(calls.throughput(**filters))

    def search(self, text: str) -> Document:
        """Jobs, tasks, incidents, queues and users that match a text."""
        return self._document(calls.search(text))

    def get(self, panda_id: int) -> Document:
        """The row of one job."""
        return dict(self.job(panda_id)["job"])

    def get_task(self, jedi_task_id: int) -> Document:
        """The row of one task."""
        return dict(self.task(jedi_task_id)["task"])

    def logs(self, panda_id: int, name: str | None = None) -> str:
        """The text of a kept log of a job."""
        return str(self.job_log(panda_id, name)["text"])

    def outputs(self, jedi_task_id: int) -> list[Document]:
        """The stored outputs of a task, by job."""
        return list(self._call(calls.outputs(jedi_task_id)))

    def endpoints(self) -> list[Document]:
        """The storage endpoints."""
        return list(self._call(calls.endpoints()))

    def dataset(self, name: str) -> Document:
        """A dataset with its files and their copies."""
        return self._document(calls.dataset(name))

    # what can be done

    def submit(self, jobs: Sequence[Mapping[str, Any]]) -> list[int]:
        """Create jobs from PanDA's job dictionaries; their PandaIDs in the same order."""
        return list(self._call(calls.submit(jobs)))

    def submit_task(self, parameters: Mapping[str, Any]) -> int:
        """Register a task from PanDA's parameter dictionary; its jediTaskID."""
        return int(self._call(calls.submit_task(parameters)))

    def run(self, command: str, *, on_stage: Stage | None = None, **options: Any) -> Submitted:
        """Run a shell command over files as jobs; options are the fields of running.RunRequest (inputs, outputs, ...)."""
        return self._carry_out(running.run(RunRequest(command, **options), on_stage))

    def wait(
        self, jedi_task_id: int, *, timeout_s: float | None = None, on_progress: waiting.Progress | None = None
    ) -> Document:
        """The row of a task once it has ended. Raises TimedOut."""
        return dict(self._carry_out(waiting.wait_for_task(jedi_task_id, timeout_s, on_progress)))

    def wait_jobs(
        self, panda_ids: Sequence[int], *, timeout_s: float | None = None, on_progress: waiting.Progress | None = None
    ) -> list[Document]:
        """The rows of jobs once all have ended. Raises TimedOut."""
        return list(self._carry_out(waiting.wait_for_jobs(panda_ids, timeout_s, on_progress)))

    def collect(
        self,
        jedi_task_id: int,
        folder: Path | str,
        *,
        merge: bool = False,
        on_file: collecting.Progress | None = None,
    ) -> Collected:
        """Copy the outputs of a task into a folder, verified; `merge` joins those of several jobs in order."""
        return self._carry_out(collecting.collect(jedi_task_id, Path(folder), merge, on_file))

    def kill(self, panda_ids: int | Sequence[int]) -> list[bool]:
        """Ask for the end of jobs; one truth value per job."""
        return list(self._call(calls.kill([panda_ids] if isinstance(panda_ids, int) else panda_ids)))

    def kill_task(self, jedi_task_id: int) -> Any:
        """Ask for the end of a task and its jobs."""
        return self._call(calls.kill_task(jedi_task_id))

    def share_tree(self) -> list[Document]:
        """All shares as `set_share_tree` takes them."""
        return list(self._call(calls.share_tree()))

    def set_share_tree(self, shares: Sequence[Mapping[str, Any]]) -> list[Document]:
        """Put a whole tree of shares in place of the one that is (operators); its shares."""
        return list(self._call(calls.set_share_tree(shares)))

    def set_share(self, name: str, **changes: Any) -> Document:
        """Make a share or change some of its attributes (operators); the share."""
        return self._document(calls.set_share(name, changes))

    def remove_share(self, name: str) -> Document:
        """Take a leaf out of the tree of shares (operators)."""
        return self._document(calls.remove_share(name))

    def retag(self, *, running_too: bool = False) -> Document:
        """Give live tasks and jobs the shares that the tree gives them now (operators); how many changed."""
        return self._document(calls.retag(running_too))

    def add_retry_rule(self, rule: Mapping[str, Any]) -> Document:
        """Make a rule for failed jobs (operators)."""
        return self._document(calls.add_retry_rule(rule))

    def change_retry_rule(self, rule_id: int, changes: Mapping[str, Any]) -> Document:
        """Change a rule; what is left out stays (operators)."""
        return self._document(calls.change_retry_rule(rule_id, changes))

    def remove_retry_rule(self, rule_id: int) -> Document:
        """Take a rule away (operators)."""
        return self._document(calls.remove_retry_rule(rule_id))

    def try_retry_rule(self, rule: Mapping[str, Any], days: float = 7) -> Document:
        """How many of the jobs that failed in the last days a rule would have met (operators)."""
        return self._document(calls.try_retry_rule(rule, days))

    def change_retry_action(self, name: str, is_active: bool) -> Document:
        """Make an action active or passive for all rules (operators)."""
        return self._document(calls.change_retry_action(name, is_active))

    def add_error_class(self, entry: Mapping[str, Any]) -> Document:
        """Say whose fault an error is (operators)."""
        return self._document(calls.add_error_class(entry))

    def remove_error_class(self, class_id: int) -> Document:
        """Say nothing of an error any more (operators)."""
        return self._document(calls.remove_error_class(class_id))

    def register_dataset(
        self,
        name: str,
        files: Sequence[Mapping[str, Any]],
        *,
        kind: str = "input",
        scope: str | None = None,
        is_open: bool = False,
    ) -> Document:
        """Make a dataset of files that exist already; `is_open`: more will be added (add_files)."""
        return self._document(calls.register_dataset(name, kind, files, scope, is_open))

    def add_files(self, dataset: str, files: Sequence[Mapping[str, Any]]) -> Document:
        """Add files to a dataset that is open; tasks with runUntilClosed take them."""
        return self._document(calls.add_files(dataset, files))

    def close_dataset(self, dataset: str) -> Document:
        """Say that no more files come: tasks that follow the dataset end with what is in it."""
        return self._document(calls.set_dataset_status(dataset, "closed"))

    def open_dataset(self, dataset: str) -> Document:
        """Let files be added to a dataset again."""
        return self._document(calls.set_dataset_status(dataset, "open"))

    def register_replicas(self, replicas: Sequence[Mapping[str, Any]]) -> Document:
        """Tell of copies of files that have arrived at an endpoint."""
        return self._document(calls.register_replicas(replicas))

    def set_queue(self, queue_name: str, **changes: Any) -> Document:
        """Create a queue or change its attributes (status=, reason=, release=True, ...); its row."""
        return self._document(calls.set_queue(queue_name, changes))

    def account(self, name: str, *, kind: str = "user") -> Document:
        """What was decided about a user (or kind="group"), and the limits in force."""
        return self._document(calls.account(name, kind))

    def set_account(self, name: str, *, kind: str = "user", **changes: Any) -> Document:
        """Decide about a user or working group (max_running_jobs=, banned_until=, ...); None: what the settings say."""
        return self._document(calls.set_account(name, kind, changes))

    def stream(self, topics: Iterable[str] = (), since: int | str | None = None) -> Iterator[Event]:
        """The live stream, for ever: comes back by itself after a break and resumes there (events.py)."""
        position = Position(topics, since)
        while True:
            failure: ClientError | None = None
            try:
                yield from self._connection(position)
            except ClientError as error:
                failure = error
            event = position.broken(failure)
            yield event
            time.sleep(event["retry_in_s"])

    def _connection(self, position: Position) -> Iterator[Event]:
        parser = EventParser()
        with self.transport.lines(STREAM_PATH, position.params(), position.headers(), silence_s=SILENCE_S) as lines:
            yield {"event": "connected", "id": None}
            for line in lines:
                event = parser.feed(line)
                if event is not None:
                    yield position.passed(event)

    # how it is carried out

    def _call(self, call: Call) -> Any:
        return call.read(self.transport.request(call.request))

    def _document(self, call: Call) -> Document:
        return dict(self._call(call))

    def _carry_out(self, procedure: Procedure[Result]) -> Result:
        answer: Any = None
        failure: ClientError | None = None
        while True:
            try:
                step = procedure.throw(failure) if failure else procedure.send(answer)
            except StopIteration as end:
                result: Result = end.value
                return result
            answer, failure = None, None
            try:
                answer = self._step(step)
            except ClientError as error:
                failure = error

    def _step(self, step: Step) -> Any:
        if isinstance(step, Call):
            return self._call(step)
        return time.sleep(step.seconds) if isinstance(step, Pause) else step.function()

    def close(self) -> None:
        """Give the connections back."""
        self.transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
