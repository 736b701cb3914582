"""Everything on a PostgreSQL of one's own, the oldest that is supported: schema, jobs, incidents, the monitor's questions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.database import Database, migrate
from logger.agents import build_agents
from pandascope import Client
from tests.core.taskengine.submitting import captured
from tests.support.installed_postgres import installed_postgres
from tests.support.pilots import running_pilots
from tests.support.system import RunningSystem, eventually, running_system
from tests.transformations.conftest import archive


@pytest.fixture(scope="module")
def own_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    with installed_postgres() as url:
        database = Database(url)
        migrate(database)
        database.close()
        directory, nodes = tmp_path_factory.mktemp("own"), tmp_path_factory.mktemp("nodes")
        started = running_system(url, directory, further_agents=build_agents)
        with started as system, running_pilots(system, nodes, count=1):
            yield system


def test_jobs_live_end_and_are_explained_on_a_server_of_ones_own(own_system: RunningSystem, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("one two three\n")
    with Client(own_system.url, own_system.token("alice", "operator")) as client:
        sent = client.run("wc -w < %IN > %OUT", inputs=[tmp_path / "words.txt"], outputs=["count.txt"])
        assert client.wait(sent.jedi_task_id, timeout_s=180)["status"] == "done"
        client.collect(sent.jedi_task_id, tmp_path / "results")
        assert (tmp_path / "results" / "count.txt").read_text().split() == ["3"]

        broken = client.run("echo 'fatal: no such table' >&2; exit 3")
        assert client.wait(broken.jedi_task_id, timeout_s=180)["status"] == "failed"
        asked = {"jedi_task_id": broken.jedi_task_id, "state": "*"}
        (incident,) = eventually(lambda: client.incidents(**asked)["incidents"], what="the incident")
        assert incident["culprit_line"] == "fatal: no such table"

        facets = client.jobs(jedi_task_id=f"{sent.jedi_task_id},{broken.jedi_task_id}")["facets"]["job_status"]
        assert {row["value"]: row["count"] for row in facets} == {"finished": 1, "failed": 1}
        for document in (
            client.summary(),
            client.queues(),
            client.tasks(),
            client.throughput(),
            client.search("count"),
        ):
            assert document["as_of"]
        events = client.stream(["jobs"])
        assert next(events)["event"] == "connected"
        client.run("true")
        assert any(event["event"] == "change" for event in events)


def test_a_task_of_prun_is_built_and_run_on_a_server_of_ones_own(own_system: RunningSystem) -> None:
    run = b"#!/bin/sh\ncat made > out.txt\n"
    user = own_system.client("testuser")
    sandbox = archive({"run.sh": run})
    sent = user.post("/api/v1/file_server/upload_cache_file", files={"file": ("sources.captured.tar.gz", sandbox)})
    assert sent.json()["success"], sent.text
    parameters = captured("build", sourceURL=own_system.url)
    parameters["buildSpec"]["jobParameters"] = (
        '-i ${IN} -o ${OUT} --sourceURL ${SURL} -r . --bexec "echo built > made" '
    )
    task_id = own_system.v1(user, "task/submit", task_parameters=parameters)
    with Client(own_system.url, own_system.token("testuser")) as client:
        ended = client.wait(task_id, timeout_s=120)
    rows = own_system.database.fetch("SELECT * FROM jobs_archive WHERE jedi_task_id = %(id)s", {"id": task_id})
    assert ended["status"] == "done", [row for row in rows if row["job_status"] != "finished"]
    assert len(rows) == 3
    outputs = own_system.database.fetch(
        "SELECT pfn FROM job_files WHERE jedi_task_id = %(id)s AND type = 'output'", {"id": task_id}
    )
    assert [Path(row["pfn"]).read_text() for row in outputs] == ["built\n"] * 2
