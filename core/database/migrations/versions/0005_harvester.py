"""harvester instances, workers and commands; worker nodes

Revision: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TABLES = (
    *("harvester_instances", "harvester_workers", "harvester_worker_jobs", "harvester_worker_counts"),
    *("harvester_dialogs", "harvester_service_metrics", "harvester_commands", "harvester_slots"),
    *("worker_nodes", "worker_node_queues", "worker_node_gpus"),
)


def _names(*names: str) -> list[sa.Column[str]]:
    """Texts that are a row's identity."""
    return [sa.Column(name, sa.Text(), nullable=False, primary_key=True) for name in names]


def _texts(*names: str, default: str = "") -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), server_default=default, nullable=False) for name in names]


def _optional(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=True) for name in names]


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)


def _number(name: str) -> sa.Column[int]:
    """A number that is a row's identity and comes from outside."""
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=False, primary_key=True)


def _time(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False)


def _times_or_none(*names: str) -> list[sa.Column[object]]:
    return [sa.Column(name, sa.DateTime(timezone=True), nullable=True) for name in names]


def _document(name: str) -> sa.Column[object]:
    return sa.Column(name, JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False)


def upgrade() -> None:
    op.create_table(
        "harvester_instances",
        *_names("harvester_id"),
        *_texts("owner", "host_name"),
        *_texts("description", default="automatic"),
        _document("details"),
        _time("first_seen"),
        *_times_or_none("last_heartbeat"),
    )
    _add_workers()
    _add_messages()
    _add_orders()
    _add_worker_nodes()


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)


def _add_workers() -> None:
    op.create_table(
        "harvester_workers",
        *_names("harvester_id"),
        _number("worker_id"),
        *_texts("status", default="submitted"),
        *_texts("pilot_status", "computing_site", "batch_id", "queue_name", "node_id", "computing_element"),
        *_texts("submission_host", "harvester_host", "job_type", "resource_type"),
        *_optional("n_core", "n_jobs", "min_ram_mb"),
        *_times_or_none("submit_time", "start_time", "end_time", "pilot_start_time", "pilot_end_time"),
        _time("last_update"),
        *_texts("native_status"),
        *_optional("native_exit_code", "error_code"),
        *_texts("diag_message", "std_out", "std_err", "batch_log", "jdl"),
    )
    live = sa.text("status IN ('pending', 'submitted', 'ready', 'running', 'idle')")
    op.create_index(
        "ix_harvester_workers_live", "harvester_workers", ["computing_site", "status"], postgresql_where=live
    )
    op.create_index("ix_harvester_workers_update", "harvester_workers", ["last_update"])
    op.create_table(
        "harvester_worker_jobs",
        *_names("harvester_id"),
        _number("worker_id"),
        _number("panda_id"),
        _time("last_update"),
    )
    op.create_index("ix_harvester_worker_jobs_job", "harvester_worker_jobs", ["panda_id"])
    op.create_table(
        "harvester_worker_counts",
        *_names("computing_site", "harvester_id", "job_type", "resource_type", "status"),
        _count("worker_count"),
        _time("last_update"),
    )


def _add_messages() -> None:
    op.create_table(
        "harvester_dialogs",
        *_names("harvester_id"),
        _number("diag_id"),
        *_texts("module_name", "identifier"),
        _time("creation_time"),
        *_texts("message_level", "diag_message"),
    )
    op.create_index("ix_harvester_dialogs_time", "harvester_dialogs", ["creation_time"])
    op.create_table(
        "harvester_service_metrics",
        *_names("harvester_id", "host_name"),
        sa.Column("creation_time", sa.DateTime(timezone=True), nullable=False, primary_key=True),
        _document("metrics"),
    )
    op.create_index("ix_harvester_service_metrics_time", "harvester_service_metrics", ["creation_time"])


def _add_orders() -> None:
    op.create_table(
        "harvester_commands",
        sa.Column("command_id", sa.BigInteger(), primary_key=True),
        *_texts("harvester_id", "command"),
        _document("params"),
        sa.Column("ack_requested", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        *_texts("status", default="new"),
        _time("creation_time"),
        _time("status_time"),
    )
    is_new = sa.text("status = 'new'")
    op.create_index(
        "ix_harvester_commands_new", "harvester_commands", ["harvester_id", "command_id"], postgresql_where=is_new
    )
    op.create_table(
        "harvester_slots",
        *_names("computing_site", "gshare", "resource_type"),
        _count("slots"),
        _time("modification_time"),
        *_times_or_none("expiration_time"),
    )


def _add_worker_nodes() -> None:
    op.create_table(
        "worker_nodes",
        *_names("site", "host_name", "cpu_model"),
        *_texts("cpu_model_normalized"),
        *_optional("n_logical_cpus", "n_sockets", "cores_per_socket", "threads_per_core"),
        *_texts("cpu_architecture", "cpu_architecture_level"),
        sa.Column("clock_speed_mhz", sa.Float(), nullable=True),
        *_optional("total_memory_mb", "total_local_disk_gb"),
        _time("first_seen"),
        _time("last_seen"),
    )
    op.create_table("worker_node_queues", *_names("site", "host_name", "queue_name"), _time("last_seen"))
    op.create_table(
        "worker_node_gpus",
        *_names("site", "host_name", "vendor", "model"),
        _count("gpu_count"),
        *_optional("vram_mb"),
        *_texts("architecture", "framework", "framework_version", "driver_version"),
        _time("first_seen"),
        _time("last_seen"),
    )
