"""`pilot/update_worker_node` and `pilot/update_worker_node_gpu`: pilots draw the map of worker nodes (server-api.md 1.3)."""

from __future__ import annotations

from api.panda.kernel import Auth, Call, Result, Success, endpoint
from core.workernodes import GpuReport, WorkerNodeReport, set_worker_node, set_worker_node_gpu


@endpoint("POST", auth=Auth.PRODUCTION)
def update_worker_node(
    call: Call,
    site: str,
    host_name: str,
    cpu_model: str,
    panda_queue: str | None = None,
    n_logical_cpus: int | None = None,
    n_sockets: int | None = None,
    cores_per_socket: int | None = None,
    threads_per_core: int | None = None,
    cpu_architecture: str | None = None,
    cpu_architecture_level: str | None = None,
    clock_speed: float | None = None,
    total_memory: int | None = None,
    total_local_disk: int | None = None,
    timeout: int = 60,
) -> Result:
    """Insert or refresh a worker node; clock in MHz, memory in MB, disk in GB."""
    report = WorkerNodeReport(
        site=site,
        host_name=host_name,
        cpu_model=cpu_model,
        n_logical_cpus=n_logical_cpus,
        n_sockets=n_sockets,
        cores_per_socket=cores_per_socket,
        threads_per_core=threads_per_core,
        cpu_architecture=cpu_architecture or "",
        cpu_architecture_level=cpu_architecture_level or "",
        clock_speed_mhz=clock_speed,
        total_memory_mb=total_memory,
        total_local_disk_gb=total_local_disk,
    )
    is_new = set_worker_node(call.services.database, report, panda_queue or "")
    return Success(None, "Inserted new worker node." if is_new else "Updated existing worker node.")


@endpoint("POST", auth=Auth.PRODUCTION)
def update_worker_node_gpu(
    call: Call,
    site: str,
    host_name: str,
    vendor: str,
    model: str,
    count: int,
    vram: int | None = None,
    architecture: str | None = None,
    framework: str | None = None,
    framework_version: str | None = None,
    driver_version: str | None = None,
    timeout: int = 60,
) -> Result:
    """Insert or refresh the GPUs of one kind in a worker node; memory in MB."""
    report = GpuReport(
        site=site,
        host_name=host_name,
        vendor=vendor,
        model=model,
        gpu_count=count,
        vram_mb=vram,
        architecture=architecture or "",
        framework=framework or "",
        framework_version=framework_version or "",
        driver_version=driver_version or "",
    )
    is_new = set_worker_node_gpu(call.services.database, report)
    return Success(None, "Inserted new worker node GPU." if is_new else "Updated existing worker node GPU.")
