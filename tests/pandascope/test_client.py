"""What a program can ask, against the real server: reading, acting, waiting, the live stream."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from api.app import create_app
from core.states import FINAL_JOB_STATUSES, FINAL_TASK_STATUSES
from pandascope import AsyncClient, Client, waiting
from pandascope.errors import NotAuthorised, NotFound, Refused, ServerUnreachable
from pandascope.in_process import InProcessTransport
from tests.support.system import RunningSystem, eventually


@pytest.fixture(scope="module")
def failed_task(working_system: RunningSystem) -> dict[str, Any]:
    """A task of two jobs of which one fails."""
    with Client(working_system.url, working_system.token()) as client:
        command = "echo out; echo begin >&2; test %JOB = 1 || { echo 'fatal: no such thing' >&2; exit 3; }"
        sent = client.run(command, n_jobs=2, name="two-jobs")
        return client.wait(sent.jedi_task_id, timeout_s=180)


def failed_job(client: Client, task: dict[str, Any]) -> dict[str, Any]:
    (row,) = client.jobs(jedi_task_id=task["jedi_task_id"], job_status="failed")["jobs"]
    return dict(row)


def test_the_states_that_end_waiting_are_those_of_the_server() -> None:
    assert {status.value for status in FINAL_TASK_STATUSES} == waiting.FINAL_TASK_STATUSES
    assert {status.value for status in FINAL_JOB_STATUSES} == waiting.FINAL_JOB_STATUSES


def test_both_clients_can_do_the_same() -> None:
    def methods(kind: type) -> dict[str, list[str]]:
        found = inspect.getmembers(kind, inspect.isfunction)
        return {name: list(inspect.signature(method).parameters) for name, method in found if not name.startswith("_")}

    assert methods(Client) == methods(AsyncClient)


def test_every_reading_call_answers_with_an_envelope(client: Client, failed_task: dict[str, Any]) -> None:
    panda_id, task_id = failed_job(client, failed_task)["panda_id"], failed_task["jedi_task_id"]
    for document in (
        client.summary(),
        client.jobs(limit=5),
        client.job(panda_id),
        client.job_log(panda_id),
        client.incidents(),
        client.queues(),
        client.tasks(),
        client.task(task_id),
        client.why_job(panda_id),
        client.why_task(task_id),
        client.throughput(hours=1),
        client.search(str(panda_id)),
    ):
        assert {"as_of", "exact", "warnings"} <= set(document)


def test_short_cuts_give_the_row_and_the_text(client: Client, failed_task: dict[str, Any]) -> None:
    panda_id = failed_job(client, failed_task)["panda_id"]
    assert client.get(panda_id)["job_status"] == "failed"
    assert client.get_task(failed_task["jedi_task_id"])["n_failed"] == 1
    assert client.logs(panda_id) == "begin\nfatal: no such thing\n"
    assert client.logs(panda_id, "payload.stdout") == "out\n"


def test_jobs_are_submitted_waited_for_and_killed(client: Client) -> None:
    jobs = [{"transformation": "runShell", "jobParameters": "sleep 60", "prodSourceLabel": "user"} for _ in range(2)]
    panda_ids = client.submit(jobs)
    assert len(panda_ids) == 2
    assert client.kill(panda_ids) == [True, True]
    rows = client.wait_jobs(panda_ids[::-1], timeout_s=180)
    assert [row["panda_id"] for row in rows] == panda_ids[::-1]
    assert {row["job_status"] for row in rows} == {"cancelled"}


def test_an_incident_is_acknowledged_resolved_and_reopened(client: Client, failed_task: dict[str, Any]) -> None:
    def incidents() -> list[dict[str, Any]]:
        return list(client.incidents(jedi_task_id=failed_task["jedi_task_id"])["incidents"])

    incident_id = eventually(incidents, what="the incident is there")[0]["incident_id"]
    assert client.incident(incident_id)["culprit"]["text"] == "fatal: no such thing"
    assert client.acknowledge(incident_id, "looking")["state"] == "acknowledged"
    assert client.resolve(incident_id)["state"] == "resolved"
    assert client.reopen(incident_id, "again")["state"] == "reopened"
    assert [entry["comment"] for entry in client.incident(incident_id)["activity"] if entry["who"] == "alice"]


def test_refusals_have_types(working_system: RunningSystem, client: Client) -> None:
    with pytest.raises(NotFound):
        client.job(999_999_999)
    with pytest.raises(Refused, match="taskName"):
        client.submit_task({"jobParameters": "x"})
    with Client(working_system.url, "not-a-token") as stranger, pytest.raises(NotAuthorised):
        stranger.endpoints()
    with Client(working_system.url, working_system.token("bob")) as bob, pytest.raises(NotAuthorised):
        bob.acknowledge(1)


def first(events: Iterator[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(event for event in events if event["event"] == name)


def test_the_stream_tells_of_changes_and_resumes(client: Client) -> None:
    events = client.stream(["jobs"])
    assert first(events, "connected")
    assert first(events, "heartbeat")["seq"] is not None
    threading.Thread(target=lambda: client.run("true"), daemon=True).start()
    change = first(events, "change")
    assert "jobs" in change["topics"]
    events.close()  # type: ignore[attr-defined]
    again = client.stream(["jobs"], since=change["seq"] - 1)
    assert first(again, "change")["seq"] == change["seq"]
    again.close()  # type: ignore[attr-defined]


def test_coroutines_see_the_same_stream(working_system: RunningSystem) -> None:
    async def read() -> dict[str, Any]:
        async with AsyncClient(working_system.url, working_system.token()) as client:
            async for event in client.stream(["tasks", "jobs"]):
                if event["event"] == "heartbeat":
                    await client.run("true")
                if event["event"] == "change":
                    return event
        raise AssertionError("the stream ended")

    assert asyncio.run(asyncio.wait_for(read(), 60))["topics"]


def test_a_stream_without_server_tells_and_keeps_trying() -> None:
    with Client("http://127.0.0.1:1", "t") as client:
        events = client.stream()
        seen = [next(events) for _ in range(2)]
    assert [event["event"] for event in seen] == ["disconnected", "disconnected"]
    assert "127.0.0.1:1" in seen[0]["detail"]


def test_waiting_outlives_a_server_that_is_away(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = client.run("true")
    answers = iter([ServerUnreachable("restarting"), None])
    carry_out = client.transport.request

    def sometimes(request: Any) -> Any:
        error = next(answers, None)
        if error:
            raise error
        return carry_out(request)

    monkeypatch.setattr(client.transport, "request", sometimes)
    assert client.wait(sent.jedi_task_id, timeout_s=180)["status"] == "done"


def test_every_command_answers_as_json(
    panda_json: Callable[..., Any], client: Client, failed_task: dict[str, Any]
) -> None:
    task_id = failed_task["jedi_task_id"]
    panda_id = failed_job(client, failed_task)["panda_id"]
    assert panda_json("jobs", f"jedi_task_id={task_id}", "--limit", "1")["jobs"][0]["jedi_task_id"] == task_id
    assert panda_json("jobs", f"/jobs/?jedi_task_id={task_id}&job_status=failed")["count"] == 1
    assert panda_json("job", str(panda_id))["job"]["panda_id"] == panda_id
    assert panda_json("job", f"/job/{panda_id}/")["job"]["panda_id"] == panda_id
    assert panda_json("logs", str(panda_id), "--name", "payload.stdout")["text"] == "out\n"
    assert panda_json("tasks", f"jedi_task_id={task_id}")["tasks"][0]["task_name"] == "two-jobs"
    assert panda_json("task", str(task_id))["task"]["task_name"] == "two-jobs"
    assert panda_json("task", f"/task/{task_id}/")["jobs"] == {"failed": 1, "finished": 1}
    assert panda_json("queues")["queues"][0]["queue_name"] == "LOCAL"
    assert "incidents" in panda_json("incidents", "state=*")
    assert panda_json("kill", str(panda_id), check=1)["jobs"] == {str(panda_id): False}


def test_every_command_answers_in_words(panda: Callable[..., Any], client: Client, failed_task: dict[str, Any]) -> None:
    panda_id = failed_job(client, failed_task)["panda_id"]
    incident = eventually(lambda: client.incidents(state="*", limit=1)["incidents"])[0]
    assert "fatal: no such thing" in panda("jobs", "job_status=failed").stdout
    assert "fatal: no such thing" in panda("job", str(panda_id)).stdout
    assert panda("logs", str(panda_id)).stdout == "begin\nfatal: no such thing\n"
    assert "> 2 fatal: no such thing" in panda("logs", str(panda_id), "--culprit").stdout
    assert "two-jobs" in panda("tasks").stdout
    shown = panda("task", str(failed_task["jedi_task_id"])).stdout
    for part in ("failed 1, finished 1", "1 of 2 done, 1 given up", "fatal: no such thing", "its last job has ended"):
        assert part in shown, (part, shown)
    assert "LOCAL" in panda("queues").stdout
    assert incident["title"][:30] in panda("incidents", "state=*").stdout
    assert f"incident {incident['incident_id']} " in panda("incidents", str(incident["incident_id"])).stdout


def test_a_client_speaks_to_the_api_in_its_own_process(working_system: RunningSystem) -> None:
    settings = working_system.settings

    async def ask() -> tuple[dict[str, Any], dict[str, Any]]:
        app = create_app(settings, settings.database_url)
        made = AsyncClient("http://api", working_system.token(), transport=InProcessTransport(app))
        async with app.router.lifespan_context(app), made as client:
            events = client.stream(["jobs"])
            heartbeat = [await anext(events), await anext(events)][1]
            await events.aclose()
            return await client.queues(), heartbeat

    queues, heartbeat = asyncio.run(asyncio.wait_for(ask(), 60))
    assert queues["queues"][0]["queue_name"] == "LOCAL"
    assert heartbeat["event"] == "heartbeat"
