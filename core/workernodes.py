"""The map of worker nodes: what pilots say of the machines they run on. Knows its tables; no wire names.

A pilot knows only what it could find out; what it leaves out keeps its last value.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass

from core.database import Database
from core.errors import InvalidInput
from core.text import clean

_KEY_LIMIT = 200
"""Characters of a name that are kept: three of them must fit an index."""


@dataclass(frozen=True)
class WorkerNodeReport:
    """A machine as a pilot sees it."""

    site: str
    host_name: str
    cpu_model: str
    n_logical_cpus: int | None = None
    n_sockets: int | None = None
    cores_per_socket: int | None = None
    threads_per_core: int | None = None
    cpu_architecture: str = ""
    cpu_architecture_level: str = ""
    clock_speed_mhz: float | None = None
    total_memory_mb: int | None = None
    total_local_disk_gb: int | None = None


@dataclass(frozen=True)
class GpuReport:
    """GPUs of one kind in a machine, as a pilot sees them."""

    site: str
    host_name: str
    vendor: str
    model: str
    gpu_count: int
    vram_mb: int | None = None
    architecture: str = ""
    framework: str = ""
    framework_version: str = ""
    driver_version: str = ""


# primary key; xmax is 0 in a row that this statement inserted
_SET_NODE = """
INSERT INTO worker_nodes AS n
    (site, host_name, cpu_model, cpu_model_normalized, n_logical_cpus, n_sockets, cores_per_socket, threads_per_core,
     cpu_architecture, cpu_architecture_level, clock_speed_mhz, total_memory_mb, total_local_disk_gb)
VALUES
    (%(site)s, %(host_name)s, %(cpu_model)s, %(cpu_model_normalized)s, %(n_logical_cpus)s, %(n_sockets)s,
     %(cores_per_socket)s, %(threads_per_core)s, %(cpu_architecture)s, %(cpu_architecture_level)s,
     %(clock_speed_mhz)s, %(total_memory_mb)s, %(total_local_disk_gb)s)
ON CONFLICT (site, host_name, cpu_model) DO UPDATE SET
    n_logical_cpus = coalesce(excluded.n_logical_cpus, n.n_logical_cpus),
    n_sockets = coalesce(excluded.n_sockets, n.n_sockets),
    cores_per_socket = coalesce(excluded.cores_per_socket, n.cores_per_socket),
    threads_per_core = coalesce(excluded.threads_per_core, n.threads_per_core),
    cpu_architecture = coalesce(nullif(excluded.cpu_architecture, ''), n.cpu_architecture),
    cpu_architecture_level = coalesce(nullif(excluded.cpu_architecture_level, ''), n.cpu_architecture_level),
    clock_speed_mhz = coalesce(excluded.clock_speed_mhz, n.clock_speed_mhz),
    total_memory_mb = coalesce(excluded.total_memory_mb, n.total_memory_mb),
    total_local_disk_gb = coalesce(excluded.total_local_disk_gb, n.total_local_disk_gb),
    last_seen = clock_timestamp()
RETURNING xmax = 0 AS is_new
"""

# primary key
_SET_QUEUE = """
INSERT INTO worker_node_queues (site, host_name, queue_name) VALUES (%(site)s, %(host_name)s, %(queue_name)s)
ON CONFLICT (site, host_name, queue_name) DO UPDATE SET last_seen = clock_timestamp()
"""


def set_worker_node(database: Database, report: WorkerNodeReport, queue_name: str = "") -> bool:
    """Put a machine on the map, with the queue it serves; True when it was not there before. Raises InvalidInput."""
    values = asdict(report)
    values |= {name: _key(values[name], name) for name in ("site", "cpu_model")}
    values["host_name"] = _key(machine_name(report.host_name), "host_name")
    values["cpu_model_normalized"] = normalized_cpu_model(values["cpu_model"])
    for name in ("cpu_architecture", "cpu_architecture_level"):
        values[name] = clean(values[name], 64)
    with database.transaction() as transaction:
        row = transaction.fetch_one(_SET_NODE, values)
        if queue_name:
            transaction.execute(_SET_QUEUE, {**values, "queue_name": _key(queue_name, "panda_queue")})
    assert row is not None  # an upsert with RETURNING always answers
    return bool(row["is_new"])


# primary key
_SET_GPU = """
INSERT INTO worker_node_gpus AS g
    (site, host_name, vendor, model, gpu_count, vram_mb, architecture, framework, framework_version, driver_version)
VALUES
    (%(site)s, %(host_name)s, %(vendor)s, %(model)s, %(gpu_count)s, %(vram_mb)s, %(architecture)s, %(framework)s,
     %(framework_version)s, %(driver_version)s)
ON CONFLICT (site, host_name, vendor, model) DO UPDATE SET
    gpu_count = excluded.gpu_count,
    vram_mb = coalesce(excluded.vram_mb, g.vram_mb),
    architecture = coalesce(nullif(excluded.architecture, ''), g.architecture),
    framework = coalesce(nullif(excluded.framework, ''), g.framework),
    framework_version = coalesce(nullif(excluded.framework_version, ''), g.framework_version),
    driver_version = coalesce(nullif(excluded.driver_version, ''), g.driver_version),
    last_seen = clock_timestamp()
RETURNING xmax = 0 AS is_new
"""


def set_worker_node_gpu(database: Database, report: GpuReport) -> bool:
    """Put the GPUs of a machine on the map; True when they were not there before. Raises InvalidInput."""
    if report.gpu_count < 0:
        raise InvalidInput(f"{report.gpu_count} GPUs", field="count", remedy="0 or more")
    values = asdict(report)
    values |= {name: _key(values[name], name) for name in ("site", "vendor", "model")}
    values["host_name"] = _key(machine_name(report.host_name), "host_name")
    for name in ("architecture", "framework", "framework_version", "driver_version"):
        values[name] = clean(values[name], 64)
    row = database.fetch_one(_SET_GPU, values)
    assert row is not None
    return bool(row["is_new"])


def machine_name(host_name: str) -> str:
    """The machine in a host name that a batch system has put its slot before: `slot1_2@node7` is node7."""
    return host_name.rsplit("@", 1)[-1].strip()


_NOT_A_NAME = re.compile(
    r"\((?:R|TM)\)|[®™]"  # trademarks
    r"|@.*"  # the clock, which follows the name
    r"|\b\d+(?:\.\d+)?\s*[KMG]B\b|\b\d+(?:\.\d+)?\s*[GM]HZ\b"  # cache and clock
    r"|\b\d+-CORE\b|\bCPU\b|\bPROCESSOR\b",
    re.IGNORECASE,
)


def normalized_cpu_model(cpu_model: str) -> str:
    """The name of a CPU without trademarks, clock, cache and words that every CPU has, in capitals.

    `Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz 22528 KB` is INTEL XEON GOLD 6130.
    """
    return " ".join(_NOT_A_NAME.sub(" ", cpu_model).upper().split())


def _key(value: str, field: str) -> str:
    text = clean(value, _KEY_LIMIT).strip()
    if not text:
        raise InvalidInput("empty", field=field, remedy="say which")
    return text
