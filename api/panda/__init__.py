"""PanDA's own protocol: one module here per module there (server-api.md 1)."""

from __future__ import annotations

from types import ModuleType

from api.panda import file_server, job, pilot, statistics_, system, task

MODULES: dict[str, ModuleType] = {
    "job": job,
    "task": task,
    "pilot": pilot,
    "statistics": statistics_,
    "system": system,
    "file_server": file_server,
}
