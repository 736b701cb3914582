"""PanDA's own protocol: one module here per module there (server-api.md 1)."""

from __future__ import annotations

from types import ModuleType

from api.panda import (
    async_process,
    creds,
    data_carousel,
    event,
    file_server,
    harvester,
    idds,
    job,
    metaconfig,
    pilot,
    statistics_,
    system,
    task,
    workflow,
)

MODULES: dict[str, ModuleType] = {
    "job": job,
    "task": task,
    "pilot": pilot,
    "statistics": statistics_,
    "system": system,
    "creds": creds,
    "file_server": file_server,
    "harvester": harvester,
    "metaconfig": metaconfig,
    "event": event,
    "data_carousel": data_carousel,
    "workflow": workflow,
    "idds": idds,
    "async_process": async_process,
}
