"""Queues and storage as the production pilot wants them described (pilot-wire.md 4, domain.md 9.2). Knows no HTTP.

A site that needs other words sets them as parameters of its queue: they replace ours, key by key.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

from core.database import Database, Row

NO_LIMIT_MB = 10_000_000
"""The pilot takes a `maxwdir` of 0 for the limit itself, and kills any job that writes a byte."""

_QUEUES = "SELECT * FROM queues ORDER BY queue_name"
# both tables are short
_ENDPOINTS = """
SELECT e.*, coalesce((SELECT min(q.site) FROM queues q WHERE q.storage_endpoint = e.name), e.name) AS site
FROM storage_endpoints e ORDER BY e.name
"""


@dataclass(frozen=True)
class SchedConfig:
    """The descriptions of all queues and all storage endpoints at one moment, by name."""

    queues: dict[str, dict[str, Any]] = field(default_factory=dict)
    endpoints: dict[str, dict[str, Any]] = field(default_factory=dict)


def read_schedconfig(database: Database) -> SchedConfig:
    """All descriptions."""
    queues = database.fetch(_QUEUES)
    endpoints = database.fetch(_ENDPOINTS)
    return SchedConfig(
        {row["queue_name"]: describe_queue(row) for row in queues},
        {row["name"]: describe_endpoint(row) for row in endpoints},
    )


def describe_queue(queue: Row) -> dict[str, Any]:
    """What a pilot needs to know of the queue it runs for."""
    name, site, storage = queue["queue_name"], queue["site"] or queue["queue_name"], queue["storage_endpoint"]
    described: dict[str, Any] = {
        **dict.fromkeys(("nickname", "name", "siteid", "panda_resource", "panda_queue"), name),
        # without one of these two the pilot dies at its start
        **dict.fromkeys(("atlas_site", "gstat", "site"), site),
        "state": "ACTIVE",
        "status": queue["status"],
        "comment": queue["comment"],
        # anything else would let the pilot choose the storage of outputs by itself
        "type": "unified",
        **_limits(queue),
        **_transfers(storage),
        **dict.fromkeys(("appdir", "environ", "cmtconfig", "container_type", "container_options"), ""),
        "is_cvmfs": False,
        "params": {"internet_protocol_version": "IPv4"},
    }
    return {**described, **queue["parameters"], "nickname": name}


def _limits(queue: Row) -> dict[str, Any]:
    return {
        "maxrss": queue["max_ram_mb"],
        "maxtime": queue["max_walltime_s"],
        "mintime": 0,
        "maxwdir": queue["max_disk_mb"] or NO_LIMIT_MB,
        "maxinputsize": -1,
        "corecount": queue["max_core_count"] or 1,
        "timefloor": 0,
    }


def _transfers(storage: str) -> dict[str, Any]:
    """Files are linked from the storage and moved to it: its directory is mounted on the worker nodes."""
    activities = ("pr", "pw", "pl")
    places = ("read_lan", "write_lan", *activities)
    return {
        "copytools": {"mv": {"setup": ""}},
        "acopytools": {activity: ["mv"] for activity in activities},
        "astorages": {place: [storage] for place in places} if storage else {},
        # without this word outputs end in the pilot's own directory, and are deleted with it
        "catchall": "mv_final_destination",
        **dict.fromkeys(("direct_access_lan", "direct_access_wan", "allow_wan"), False),
        "allow_lan": True,
    }


def describe_endpoint(endpoint: Row) -> dict[str, Any]:
    """What a pilot needs to know of a storage area."""
    number = zlib.crc32(endpoint["name"].encode()) & 0x7FFFFFFF  # a number that stays when others come and go
    protocol = {
        "endpoint": "file://localhost",
        "path": f"{endpoint['path'].rstrip('/')}/",
        "flavour": "POSIX",
        "id": number,
    }
    activities = ("read_lan", "write_lan", "read_wan", "write_wan", "delete_lan")
    return {
        "id": number,
        "name": endpoint["name"],
        "state": "ACTIVE" if endpoint["state"] == "online" else "INACTIVE",
        "site": endpoint["site"],
        "type": "DATADISK",
        "token": endpoint["name"],
        "is_deterministic": endpoint["is_deterministic"],
        "arprotocols": {activity: [protocol] for activity in activities},
        "rprotocols": {str(number): protocol},
    }
