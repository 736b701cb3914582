"""Two sites of which one collects outputs, production tasks for them, and the agents that move these on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.agents.task_broker import TaskBroker
from core.database import Database, Row
from core.queues import set_endpoint
from core.workload_settings import TaskBrokerageSettings
from tests.core.taskengine.submitting import accept
from tests.support.builders import make_queue


def make_nucleus(database: Database, name: str = "NUC", path: str = "", **facts: Any) -> str:
    """A storage endpoint that collects outputs."""
    known = {"is_nucleus": True, **facts}
    set_endpoint(database, name, mover="cp", path=path or f"/storage/{name}", **known)
    return name


def make_grid(database: Database, storage: Path | None = None) -> None:
    """CENTRE has the nucleus NUC, FAR writes to and reads from it, APART does neither."""
    make_nucleus(database, path=str(storage / "NUC") if storage else "")
    make_queue(database, "CENTRE", endpoint="", site="CENTRE")
    database.execute("UPDATE queues SET storage_endpoint = 'NUC' WHERE queue_name = 'CENTRE'")
    make_queue(database, "FAR", parameters={"write_wan": True, "allow_wan": True})
    make_queue(database, "APART")


def production(database: Database, name: str = "mc", **more: Any) -> int:
    """A production task of three jobs without input, with an output and a log each."""
    parameters = {
        **{"taskName": name, "vo": "testvo", "prodSourceLabel": "managed", "transPath": "Sim_tf.py"},
        **{"noInput": True, "nEvents": 3, "nEventsPerJob": 1, "skipScout": True},
        "log": {"type": "template", "param_type": "log", "dataset": f"{name}.log", "value": f"{name}.${{SN}}.log.tgz"},
        "jobParameters": [
            {
                **{"type": "template", "param_type": "output", "dataset": f"{name}.out"},
                "value": f"{name}.${{SN}}.out",
            }
        ],
        **more,
    }
    return accept(database, parameters, is_production=True)


def assign(database: Database, **settings: Any) -> int:
    """One cycle of task brokerage."""
    return TaskBroker(database, TaskBrokerageSettings(**settings), 1.0).cycle()


def decisions(database: Database, task_id: int) -> list[Row]:
    """What task brokerage decided about a task, the first decision first."""
    statement = (
        "SELECT * FROM brokerage_decisions WHERE jedi_task_id = %(id)s AND kind = 'nucleus' ORDER BY decision_id"
    )
    return database.fetch(statement, {"id": task_id})


def places(database: Database, task_id: int) -> set[tuple[str, str]]:
    """Kind and endpoint of the files that jobs of a task store."""
    statement = "SELECT type, endpoint FROM job_files WHERE jedi_task_id = %(id)s AND type IN ('output', 'log', 'lib')"
    return {(row["type"], row["endpoint"]) for row in database.fetch(statement, {"id": task_id})}
