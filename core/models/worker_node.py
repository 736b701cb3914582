"""The map of worker nodes that pilots draw: machines, the queues they serve, their GPUs."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel

from core.models.columns import number, number_or_none, time_now, words


class WorkerNode(SQLModel, table=True):
    """A machine at a site; another CPU under the same name is another machine."""

    __tablename__ = "worker_nodes"

    site: str = Field(primary_key=True)
    host_name: str = Field(primary_key=True)
    cpu_model: str = Field(primary_key=True)
    cpu_model_normalized: str = words()
    n_logical_cpus: int | None = number_or_none()
    n_sockets: int | None = number_or_none()
    cores_per_socket: int | None = number_or_none()
    threads_per_core: int | None = number_or_none()
    cpu_architecture: str = words()
    cpu_architecture_level: str = words()
    clock_speed_mhz: float | None = Field(default=None, nullable=True)
    total_memory_mb: int | None = number_or_none()
    total_local_disk_gb: int | None = number_or_none()
    first_seen: datetime = time_now()
    last_seen: datetime = time_now()


class WorkerNodeQueue(SQLModel, table=True):
    """A queue that a machine has served."""

    __tablename__ = "worker_node_queues"

    site: str = Field(primary_key=True)
    host_name: str = Field(primary_key=True)
    queue_name: str = Field(primary_key=True)
    last_seen: datetime = time_now()


class WorkerNodeGpu(SQLModel, table=True):
    """GPUs of one kind in a machine."""

    __tablename__ = "worker_node_gpus"

    site: str = Field(primary_key=True)
    host_name: str = Field(primary_key=True)
    vendor: str = Field(primary_key=True)
    model: str = Field(primary_key=True)
    gpu_count: int = number(0)
    vram_mb: int | None = number_or_none()
    architecture: str = words()
    framework: str = words()
    framework_version: str = words()
    driver_version: str = words()
    first_seen: datetime = time_now()
    last_seen: datetime = time_now()
