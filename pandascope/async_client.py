"""`AsyncClient`: what `Client` is, for coroutines. The docstrings of `Client` (client.py) hold for both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Iterable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeVar

import httpx

from pandascope import calls, collecting, running, waiting
from pandascope.calls import Document
from pandascope.collecting import Collected
from pandascope.environment import find_credentials
from pandascope.errors import ClientError
from pandascope.events import SILENCE_S, STREAM_PATH, Event, EventParser, Position
from pandascope.incident_calls import IncidentCalls
from pandascope.running import RunRequest, Stage, Submitted
from pandascope.steps import Call, Pause, Procedure, Step
from pandascope.transport import AsyncTransport, Manners

Result = TypeVar("Result")


class AsyncClient(IncidentCalls[Coroutine[Any, Any, Document]]):
    """The same for coroutines; every method means what the one of Client means."""

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        data: Path | str | None = None,
        via: str = "api",
        manners: Manners | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        found = find_credentials(url, token, data)
        self.url, self.via = found.url, via
        self.transport = AsyncTransport(found.url, found.token, manners=manners, via=via, transport=transport)

    async def summary(self, **filters: Any) -> Document:
        """The state of everything, worst incidents first."""
        return await self._document(calls.summary(**filters))

    async def jobs(self, **filters: Any) -> Document:
        """A page of jobs."""
        return await self._document(calls.jobs(**filters))

    async def job(self, panda_id: int) -> Document:
        """One job with its history, files, errors and logs."""
        return await self._document(calls.job(panda_id))

    async def job_log(self, panda_id: int, name: str | None = None) -> Document:
        """A kept log of a job; without a name the one with the culprit line."""
        return await self._document(calls.job_log(panda_id, name))

    async def queues(self, **filters: Any) -> Document:
        """Every queue with its jobs."""
        return await self._document(calls.queues(**filters))

    async def queue_history(self, queue_name: str) -> Document:
        """The changes of a queue's status: when, who, why; the newest first."""
        return await self._document(calls.queue_history(queue_name))

    async def users(self, **filters: Any) -> Document:
        """Users and working groups: what they run, may and used; the busiest first."""
        return await self._document(calls.users(**filters))

    async def user(self, name: str, *, kind: str = "user") -> Document:
        """One user (or kind="group"): limits, quotas, use by day and queue, tasks."""
        return await self._document(calls.user(name, kind))

    async def timeouts(self) -> Document:
        """Every timeout: limit, effect, what it ended, live jobs past half of it."""
        return await self._document(calls.timeouts())

    async def agents(self) -> Document:
        """Every agent: last and next run, duration, last error."""
        return await self._document(calls.agents())

    async def staging(self, **filters: Any) -> Document:
        """Datasets that are brought from tape: progress, places, tasks, what is slow; newest first."""
        return await self._document(calls.staging(**filters))

    async def shares(self) -> Document:
        """The tree of global shares: value, target, use and deviation of each."""
        return await self._document(calls.shares())

    async def share_samples(self, hours: float = 24) -> Document:
        """Executing power and target of every share over the last hours."""
        return await self._document(calls.share_samples(hours))

    async def tasks(self, **filters: Any) -> Document:
        """A page of tasks."""
        return await self._document(calls.tasks(**filters))

    async def task(self, jedi_task_id: int) -> Document:
        """One task with its parameters, jobs by status and incidents."""
        return await self._document(calls.task(jedi_task_id))

    async def why_job(self, panda_id: int) -> Document:
        """Why a job does not run: the first true reason, who is responsible, what comes next, what would help."""
        return await self._document(calls.why_job(panda_id))

    async def why_task(self, jedi_task_id: int) -> Document:
        """The same of a task."""
        return await self._document(calls.why_task(jedi_task_id))

    async def retry_rules(self) -> Document:
        """The rules for failed jobs with what they did, the actions, the classes of errors, the last changes."""
        return await self._document(calls.retry_rules())

    async def retry_log(self, **filters: Any) -> Document:
        """What rules did, newest first: of a rule_id, jedi_task_id or panda_id."""
        return await self._document(calls.retry_log(**filters))

    async def faults(self, **filters: Any) -> Document:
        """Failed jobs by the class of their error: whose fault they were."""
        return await self._document(calls.faults(**filters))

    async def throughput(self, **filters: Any) -> Document:
        """Ended jobs per time bin."""
        return await self._document(calls.throughput(**filters))

    async def search(self, text: str) -> Document:
        """Jobs, tasks, incidents, queues and users that match a text."""
        return await self._document(calls.search(text))

    async def get(self, panda_id: int) -> Document:
        """The row of one job."""
        return dict((await self.job(panda_id))["job"])

    async def get_task(self, jedi_task_id: int) -> Document:
        """The row of one task."""
        return dict((await self.task(jedi_task_id))["task"])

    async def logs(self, panda_id: int, name: str | None = None) -> str:
        """The text of a kept log of a job."""
        return str((await self.job_log(panda_id, name))["text"])

    async def outputs(self, jedi_task_id: int) -> list[Document]:
        """The stored outputs of a task, by job."""
        return list(await self._call(calls.outputs(jedi_task_id)))

    async def endpoints(self) -> list[Document]:
        """The storage endpoints."""
        return list(await self._call(calls.endpoints()))

    async def dataset(self, name: str) -> Document:
        """A dataset with its files and their copies."""
        return await self._document(calls.dataset(name))

    async def submit(self, jobs: Sequence[Mapping[str, Any]]) -> list[int]:
        """Create jobs from PanDA's job dictionaries; their PandaIDs in the same order."""
        return list(await self._call(calls.submit(jobs)))

    async def submit_task(self, parameters: Mapping[str, Any]) -> int:
        """Register a task from PanDA's parameter dictionary; its jediTaskID."""
        return int(await self._call(calls.submit_task(parameters)))

    async def run(self, command: str, *, on_stage: Stage | None = None, **options: Any) -> Submitted:
        """Run a shell command over files as jobs (`on_stage` is called from another thread)."""
        return await self._carry_out(running.run(RunRequest(command, **options), on_stage))

    async def wait(
        self, jedi_task_id: int, *, timeout_s: float | None = None, on_progress: waiting.Progress | None = None
    ) -> Document:
        """The row of a task once it has ended. Raises TimedOut."""
        return dict(await self._carry_out(waiting.wait_for_task(jedi_task_id, timeout_s, on_progress)))

    async def wait_jobs(
        self, panda_ids: Sequence[int], *, timeout_s: float | None = None, on_progress: waiting.Progress | None = None
    ) -> list[Document]:
        """The rows of jobs once all have ended. Raises TimedOut."""
        return list(await self._carry_out(waiting.wait_for_jobs(panda_ids, timeout_s, on_progress)))

    async def collect(
        self,
        jedi_task_id: int,
        folder: Path | str,
        *,
        merge: bool = False,
        on_file: collecting.Progress | None = None,
    ) -> Collected:
        """Copy the outputs of a task into a folder, verified (`on_file` is called from another thread)."""
        return await self._carry_out(collecting.collect(jedi_task_id, Path(folder), merge, on_file))

    async def kill(self, panda_ids: int | Sequence[int]) -> list[bool]:
        """Ask for the end of jobs; one truth value per job."""
        return list(await self._call(calls.kill([panda_ids] if isinstance(panda_ids, int) else panda_ids)))

    async def kill_task(self, jedi_task_id: int) -> Any:
        """Ask for the end of a task and its jobs."""
        return await self._call(calls.kill_task(jedi_task_id))

    async def share_tree(self) -> list[Document]:
        """All shares as `set_share_tree` takes them."""
        return list(await self._call(calls.share_tree()))

    async def set_share_tree(self, shares: Sequence[Mapping[str, Any]]) -> list[Document]:
        """Put a whole tree of shares in place of the one that is (operators); its shares."""
        return list(await self._call(calls.set_share_tree(shares)))

    async def set_share(self, name: str, **changes: Any) -> Document:
        """Make a share or change some of its attributes (operators); the share."""
        return await self._document(calls.set_share(name, changes))

    async def remove_share(self, name: str) -> Document:
        """Take a leaf out of the tree of shares (operators)."""
        return await self._document(calls.remove_share(name))

    async def retag(self, *, running_too: bool = False) -> Document:
        """Give live tasks and jobs the shares that the tree gives them now (operators); how many changed."""
        return await self._document(calls.retag(running_too))

    async def add_retry_rule(self, rule: Mapping[str, Any]) -> Document:
        """Make a rule for failed jobs (operators)."""
        return await self._document(calls.add_retry_rule(rule))

    async def change_retry_rule(self, rule_id: int, changes: Mapping[str, Any]) -> Document:
        """Change a rule; what is left out stays (operators)."""
        return await self._document(calls.change_retry_rule(rule_id, changes))

    async def remove_retry_rule(self, rule_id: int) -> Document:
        """Take a rule away (operators)."""
        return await self._document(calls.remove_retry_rule(rule_id))

    async def try_retry_rule(self, rule: Mapping[str, Any], days: float = 7) -> Document:
        """How many of the jobs that failed in the last days a rule would have met (operators)."""
        return await self._document(calls.try_retry_rule(rule, days))

    async def change_retry_action(self, name: str, is_active: bool) -> Document:
        """Make an action active or passive for all rules (operators)."""
        return await self._document(calls.change_retry_action(name, is_active))

    async def add_error_class(self, entry: Mapping[str, Any]) -> Document:
        """Say whose fault an error is (operators)."""
        return await self._document(calls.add_error_class(entry))

    async def remove_error_class(self, class_id: int) -> Document:
        """Say nothing of an error any more (operators)."""
        return await self._document(calls.remove_error_class(class_id))

    async def register_dataset(
        self,
        name: str,
        files: Sequence[Mapping[str, Any]],
        *,
        kind: str = "input",
        scope: str | None = None,
        is_open: bool = False,
    ) -> Document:
        """Make a dataset of files that exist already; `is_open`: more will be added (add_files)."""
        return await self._document(calls.register_dataset(name, kind, files, scope, is_open))

    async def add_files(self, dataset: str, files: Sequence[Mapping[str, Any]]) -> Document:
        """Add files to a dataset that is open; tasks with runUntilClosed take them."""
        return await self._document(calls.add_files(dataset, files))

    async def close_dataset(self, dataset: str) -> Document:
        """Say that no more files come: tasks that follow the dataset end with what is in it."""
        return await self._document(calls.set_dataset_status(dataset, "closed"))

    async def open_dataset(self, dataset: str) -> Document:
        """Let files be added to a dataset again."""
        return await self._document(calls.set_dataset_status(dataset, "open"))

    async def register_replicas(self, replicas: Sequence[Mapping[str, Any]]) -> Document:
        """Tell of copies of files that have arrived at an endpoint."""
        return await self._document(calls.register_replicas(replicas))

    async def set_queue(self, queue_name: str, **changes: Any) -> Document:
        """Create a queue or change its attributes (status=, reason=, release=True, ...); its row."""
        return await self._document(calls.set_queue(queue_name, changes))

    async def account(self, name: str, *, kind: str = "user") -> Document:
        """What was decided about a user (or kind="group"), and the limits in force."""
        return await self._document(calls.account(name, kind))

    async def set_account(self, name: str, *, kind: str = "user", **changes: Any) -> Document:
        """Decide about a user or working group (max_running_jobs=, banned_until=, ...); None: what the settings say."""
        return await self._document(calls.set_account(name, kind, changes))

    async def stream(self, topics: Iterable[str] = (), since: int | str | None = None) -> AsyncGenerator[Event, None]:
        """The live stream, for ever: comes back by itself after a break and resumes there (events.py)."""
        position = Position(topics, since)
        while True:
            failure: ClientError | None = None
            try:
                async with aclosing(self._connection(position)) as events:
                    async for event in events:
                        yield event
            except ClientError as error:
                failure = error
            event = position.broken(failure)
            yield event
            await asyncio.sleep(event["retry_in_s"])

    async def _connection(self, position: Position) -> AsyncGenerator[Event, None]:
        parser = EventParser()
        lines_of = self.transport.lines(STREAM_PATH, position.params(), position.headers(), silence_s=SILENCE_S)
        async with lines_of as lines:
            yield {"event": "connected", "id": None}
            async for line in lines:
                event = parser.feed(line)
                if event is not None:
                    yield position.passed(event)

    async def _call(self, call: Call) -> Any:
        return call.read(await self.transport.request(call.request))

    async def _document(self, call: Call) -> Document:
        return dict(await self._call(call))

    async def _carry_out(self, procedure: Procedure[Result]) -> Result:
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
                answer = await self._step(step)
            except ClientError as error:
                failure = error

    async def _step(self, step: Step) -> Any:
        if isinstance(step, Call):
            return await self._call(step)
        if isinstance(step, Pause):
            return await asyncio.sleep(step.seconds)
        return await asyncio.to_thread(step.function)

    async def close(self) -> None:
        """Give the connections back."""
        await self.transport.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
