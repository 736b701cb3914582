"""Everything on a PostgreSQL of one's own, the oldest that is supported: schema, jobs, incidents, the monitor's questions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.database import Database, migrate
from logger.agents import build_agents
from pandascope import Client
from tests.support.installed_postgres import installed_postgres
from tests.support.pilots import running_pilots
from tests.support.system import RunningSystem, eventually, running_system


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
        assert client.wait(sent.jedi_task_id, timeout_s=60)["status"] == "done"
        client.collect(sent.jedi_task_id, tmp_path / "results")
        assert (tmp_path / "results" / "count.txt").read_text().split() == ["3"]

        broken = client.run("echo 'fatal: no such table' >&2; exit 3")
        assert client.wait(broken.jedi_task_id, timeout_s=60)["status"] == "failed"
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
