"""Operations that change things, in our own style; listed once (`HANDLERS`)."""

from __future__ import annotations

from api.control import data, incidents, queues, tasks, users, workers
from api.operations import Handler

HANDLERS: list[Handler] = [
    data.register,
    data.describe,
    data.register_replicas,
    tasks.outputs,
    queues.set_queue,
    queues.set_endpoint,
    queues.endpoints,
    workers.ended,
    users.set_user,
    incidents.acknowledge,
    incidents.resolve,
    incidents.reopen,
    incidents.ingest_records,
]
