"""First schema.

Revision: 0001
Revises: nothing

Longer than other files because every table of the first release is written out here, as Alembic derived it from core/models.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "agent_runs",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("host", sa.Text(), server_default="", nullable=False),
        sa.Column("process_id", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_run", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_run", sa.DateTime(timezone=True), nullable=True),
        sa.Column("duration_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("cycle_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_error", sa.Text(), server_default="", nullable=False),
        sa.Column("last_error_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cursor", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "brokerage_decisions",
        sa.Column("decision_id", sa.BigInteger(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("jedi_task_id", sa.BigInteger(), nullable=True),
        sa.Column("chosen", sa.Text(), server_default="", nullable=False),
        sa.Column("job_count", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "funnel", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'::jsonb"), nullable=False
        ),
        sa.PrimaryKeyConstraint("decision_id"),
    )
    op.create_index("ix_brokerage_decisions_task", "brokerage_decisions", ["jedi_task_id"], unique=False)
    op.create_table(
        "change_signals",
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column(
            "topics", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'::jsonb"), nullable=False
        ),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("ix_change_signals_time", "change_signals", ["time"], unique=False)
    op.create_table(
        "datasets",
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("scope", sa.Text(), server_default="", nullable=False),
        sa.Column("kind", sa.Text(), server_default="input", nullable=False),
        sa.Column("status", sa.Text(), server_default="open", nullable=False),
        sa.Column("owner", sa.Text(), server_default="", nullable=False),
        sa.Column("vo", sa.Text(), server_default="", nullable=False),
        sa.Column("jedi_task_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "creation_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("dataset_id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "incident_activity",
        sa.Column("activity_id", sa.BigInteger(), nullable=False),
        sa.Column("incident_id", sa.BigInteger(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("who", sa.Text(), server_default="", nullable=False),
        sa.Column("action", sa.Text(), server_default="", nullable=False),
        sa.Column("comment", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("activity_id"),
    )
    op.create_index("ix_incident_activity_incident", "incident_activity", ["incident_id"], unique=False)
    op.create_table(
        "incident_bins",
        sa.Column("incident_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("bin_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("incident_id", "bin_time"),
    )
    op.create_table(
        "incident_breakdown",
        sa.Column("incident_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("dimension", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("event_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("incident_id", "dimension", "value"),
    )
    op.create_table(
        "incident_jobs",
        sa.Column("panda_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("incident_id", sa.BigInteger(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("computing_site", sa.Text(), server_default="", nullable=False),
        sa.Column("jedi_task_id", sa.BigInteger(), nullable=True),
        sa.Column("user_name", sa.Text(), server_default="", nullable=False),
        sa.Column("host", sa.Text(), server_default="", nullable=False),
        sa.Column("lost_core_s", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("culprit_log", sa.Text(), server_default="", nullable=False),
        sa.Column("culprit_line_number", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("culprit_line", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("panda_id"),
    )
    op.create_index("ix_incident_jobs_incident", "incident_jobs", ["incident_id", "panda_id"], unique=False)
    op.create_index("ix_incident_jobs_task", "incident_jobs", ["jedi_task_id", "incident_id"], unique=False)
    op.create_table(
        "incidents",
        sa.Column("incident_id", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.Text(), server_default="", nullable=False),
        sa.Column("kind", sa.Text(), server_default="failure_burst", nullable=False),
        sa.Column("title", sa.Text(), server_default="", nullable=False),
        sa.Column("severity", sa.Text(), server_default="error", nullable=False),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("owner", sa.Text(), server_default="", nullable=False),
        sa.Column("component", sa.Text(), server_default="", nullable=False),
        sa.Column("code", sa.BigInteger(), nullable=True),
        sa.Column("computing_site", sa.Text(), server_default="", nullable=False),
        sa.Column("jedi_task_id", sa.BigInteger(), nullable=True),
        sa.Column("job_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("record_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("queue_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("task_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("user_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("lost_core_s", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "first_seen", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("last_seen", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column(
            "modification_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("resolved_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sample_panda_id", sa.BigInteger(), nullable=True),
        sa.Column("culprit_line", sa.Text(), server_default="", nullable=False),
        sa.Column("grouping", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("incident_id"),
    )
    op.create_index("ix_incidents_fingerprint", "incidents", ["fingerprint"], unique=False)
    op.create_index("ix_incidents_modified", "incidents", ["modification_time"], unique=False)
    op.create_index("ix_incidents_state", "incidents", ["state", "severity", "last_seen"], unique=False)
    op.create_index(
        "uq_incidents_unresolved",
        "incidents",
        ["fingerprint"],
        unique=True,
        postgresql_where=sa.text("state <> 'resolved'"),
    )
    op.create_table(
        "job_brokerage",
        sa.Column("panda_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("decision_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("panda_id"),
    )
    op.create_table(
        "job_files",
        sa.Column("row_id", sa.BigInteger(), nullable=False),
        sa.Column("panda_id", sa.BigInteger(), nullable=False),
        sa.Column("jedi_task_id", sa.BigInteger(), nullable=True),
        sa.Column("file_id", sa.BigInteger(), nullable=True),
        sa.Column("type", sa.Text(), server_default="", nullable=False),
        sa.Column("lfn", sa.Text(), server_default="", nullable=False),
        sa.Column("local_name", sa.Text(), server_default="", nullable=False),
        sa.Column("scope", sa.Text(), server_default="", nullable=False),
        sa.Column("dataset", sa.Text(), server_default="", nullable=False),
        sa.Column("guid", sa.Text(), server_default="", nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("checksum", sa.Text(), server_default="", nullable=False),
        sa.Column("status", sa.Text(), server_default="defined", nullable=False),
        sa.Column("endpoint", sa.Text(), server_default="", nullable=False),
        sa.Column("pfn", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("row_id"),
    )
    op.create_index("ix_job_files_job", "job_files", ["panda_id"], unique=False)
    op.create_index("ix_job_files_task", "job_files", ["jedi_task_id", "type"], unique=False)
    op.create_index(
        "ix_job_files_waiting", "job_files", ["file_id"], unique=False, postgresql_where=sa.text("status = 'pending'")
    )
    op.create_table(
        "job_history",
        sa.Column("history_id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column(
            "modification_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("panda_id", sa.BigInteger(), nullable=False),
        sa.Column("jedi_task_id", sa.BigInteger(), nullable=True),
        sa.Column("attempt_nr", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("previous_status", sa.Text(), server_default="", nullable=False),
        sa.Column("job_status", sa.Text(), server_default="", nullable=False),
        sa.Column("computing_site", sa.Text(), server_default="", nullable=False),
        sa.Column("prod_source_label", sa.Text(), server_default="", nullable=False),
        sa.Column("host", sa.Text(), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("history_id", "modification_time"),
        postgresql_partition_by="RANGE (modification_time)",
    )
    op.create_index("ix_job_history_job", "job_history", ["panda_id"], unique=False)
    op.create_index("ix_job_history_time", "job_history", ["modification_time"], unique=False)
    op.create_table(
        "job_logs",
        sa.Column("panda_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.Column("is_truncated", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "received_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("panda_id", "name"),
    )
    op.create_table(
        "job_output_reports",
        sa.Column("panda_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("attempt_nr", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("verdict", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "report", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column(
            "received_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("panda_id"),
    )
    op.create_table(
        "job_parameters",
        sa.Column("panda_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("job_parameters", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("panda_id"),
    )
    op.create_table(
        "jobs_archive",
        sa.Column("panda_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("jedi_task_id", sa.BigInteger(), nullable=True),
        sa.Column("job_index", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("job_definition_id", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("parent_id", sa.BigInteger(), nullable=True),
        sa.Column("job_name", sa.Text(), server_default="", nullable=False),
        sa.Column("job_status", sa.Text(), server_default="defined", nullable=False),
        sa.Column("job_sub_status", sa.Text(), server_default="", nullable=False),
        sa.Column("computing_site", sa.Text(), server_default="", nullable=False),
        sa.Column("site_is_pinned", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("prod_source_label", sa.Text(), server_default="user", nullable=False),
        sa.Column("processing_type", sa.Text(), server_default="", nullable=False),
        sa.Column("working_group", sa.Text(), server_default="", nullable=False),
        sa.Column("vo", sa.Text(), server_default="", nullable=False),
        sa.Column("prod_user_name", sa.Text(), server_default="", nullable=False),
        sa.Column("current_priority", sa.BigInteger(), server_default=sa.text("1000"), nullable=False),
        sa.Column("attempt_nr", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("max_attempt", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("core_count", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("min_ram_mb", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("max_disk_mb", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("max_walltime_s", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("max_cpu_s", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("looping_limit_s", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("resource_type", sa.Text(), server_default="SCORE", nullable=False),
        sa.Column("transformation", sa.Text(), server_default="", nullable=False),
        sa.Column("destination_dataset", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "creation_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "modification_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("state_change_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("start_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("brokerage_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("modification_host", sa.Text(), server_default="", nullable=False),
        sa.Column("pilot_id", sa.Text(), server_default="", nullable=False),
        sa.Column("worker_id", sa.Text(), server_default="", nullable=False),
        sa.Column("batch_id", sa.Text(), server_default="", nullable=False),
        sa.Column("command_to_pilot", sa.Text(), server_default="", nullable=False),
        sa.Column("kill_code", sa.BigInteger(), nullable=True),
        sa.Column("trans_exit_code", sa.BigInteger(), nullable=True),
        sa.Column("pilot_error_code", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("pilot_error_diag", sa.Text(), server_default="", nullable=False),
        sa.Column("exe_error_code", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("exe_error_diag", sa.Text(), server_default="", nullable=False),
        sa.Column("sup_error_code", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("sup_error_diag", sa.Text(), server_default="", nullable=False),
        sa.Column("ddm_error_code", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("ddm_error_diag", sa.Text(), server_default="", nullable=False),
        sa.Column("brokerage_error_code", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("brokerage_error_diag", sa.Text(), server_default="", nullable=False),
        sa.Column("job_dispatcher_error_code", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("job_dispatcher_error_diag", sa.Text(), server_default="", nullable=False),
        sa.Column("task_buffer_error_code", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("task_buffer_error_diag", sa.Text(), server_default="", nullable=False),
        sa.Column("cpu_consumption_time_s", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("cpu_consumption_unit", sa.Text(), server_default="", nullable=False),
        sa.Column("max_rss_kb", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("max_pss_kb", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("work_dir_mb", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("n_events", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("job_metrics", sa.Text(), server_default="", nullable=False),
        sa.Column("pilot_timing", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("panda_id", "state_change_time"),
        postgresql_partition_by="RANGE (state_change_time)",
    )
    op.create_index("ix_jobs_archive_site", "jobs_archive", ["computing_site", "state_change_time"], unique=False)
    op.create_index("ix_jobs_archive_status", "jobs_archive", ["job_status", "state_change_time"], unique=False)
    op.create_index("ix_jobs_archive_task", "jobs_archive", ["jedi_task_id", "panda_id"], unique=False)
    op.create_index("ix_jobs_archive_time", "jobs_archive", ["state_change_time"], unique=False)
    op.create_index("ix_jobs_archive_user", "jobs_archive", ["prod_user_name", "state_change_time"], unique=False)
    op.create_table(
        "jobs_live",
        sa.Column("panda_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("jedi_task_id", sa.BigInteger(), nullable=True),
        sa.Column("job_index", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("job_definition_id", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("parent_id", sa.BigInteger(), nullable=True),
        sa.Column("job_name", sa.Text(), server_default="", nullable=False),
        sa.Column("job_status", sa.Text(), server_default="defined", nullable=False),
        sa.Column("job_sub_status", sa.Text(), server_default="", nullable=False),
        sa.Column("computing_site", sa.Text(), server_default="", nullable=False),
        sa.Column("site_is_pinned", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("prod_source_label", sa.Text(), server_default="user", nullable=False),
        sa.Column("processing_type", sa.Text(), server_default="", nullable=False),
        sa.Column("working_group", sa.Text(), server_default="", nullable=False),
        sa.Column("vo", sa.Text(), server_default="", nullable=False),
        sa.Column("prod_user_name", sa.Text(), server_default="", nullable=False),
        sa.Column("current_priority", sa.BigInteger(), server_default=sa.text("1000"), nullable=False),
        sa.Column("attempt_nr", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("max_attempt", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("core_count", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("min_ram_mb", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("max_disk_mb", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("max_walltime_s", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("max_cpu_s", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("looping_limit_s", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("resource_type", sa.Text(), server_default="SCORE", nullable=False),
        sa.Column("transformation", sa.Text(), server_default="", nullable=False),
        sa.Column("destination_dataset", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "creation_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "modification_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "state_change_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("start_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("brokerage_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("modification_host", sa.Text(), server_default="", nullable=False),
        sa.Column("pilot_id", sa.Text(), server_default="", nullable=False),
        sa.Column("worker_id", sa.Text(), server_default="", nullable=False),
        sa.Column("batch_id", sa.Text(), server_default="", nullable=False),
        sa.Column("command_to_pilot", sa.Text(), server_default="", nullable=False),
        sa.Column("kill_code", sa.BigInteger(), nullable=True),
        sa.Column("trans_exit_code", sa.BigInteger(), nullable=True),
        sa.Column("pilot_error_code", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("pilot_error_diag", sa.Text(), server_default="", nullable=False),
        sa.Column("exe_error_code", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("exe_error_diag", sa.Text(), server_default="", nullable=False),
        sa.Column("sup_error_code", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("sup_error_diag", sa.Text(), server_default="", nullable=False),
        sa.Column("ddm_error_code", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("ddm_error_diag", sa.Text(), server_default="", nullable=False),
        sa.Column("brokerage_error_code", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("brokerage_error_diag", sa.Text(), server_default="", nullable=False),
        sa.Column("job_dispatcher_error_code", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("job_dispatcher_error_diag", sa.Text(), server_default="", nullable=False),
        sa.Column("task_buffer_error_code", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("task_buffer_error_diag", sa.Text(), server_default="", nullable=False),
        sa.Column("cpu_consumption_time_s", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("cpu_consumption_unit", sa.Text(), server_default="", nullable=False),
        sa.Column("max_rss_kb", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("max_pss_kb", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("work_dir_mb", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("n_events", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("job_metrics", sa.Text(), server_default="", nullable=False),
        sa.Column("pilot_timing", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("panda_id"),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index(
        "ix_jobs_live_activated",
        "jobs_live",
        ["computing_site", sa.literal_column("current_priority DESC"), "panda_id"],
        unique=False,
        postgresql_where=sa.text("job_status = 'activated'"),
    )
    op.create_index("ix_jobs_live_status", "jobs_live", ["job_status", "computing_site"], unique=False)
    op.create_index("ix_jobs_live_task", "jobs_live", ["jedi_task_id"], unique=False)
    op.create_index(
        "ix_jobs_live_unready",
        "jobs_live",
        ["job_status", "panda_id"],
        unique=False,
        postgresql_where=sa.text("job_status IN ('pending', 'defined', 'waiting', 'assigned')"),
    )
    op.create_index("ix_jobs_live_user", "jobs_live", ["prod_user_name", "panda_id"], unique=False)
    op.create_index(
        "ix_jobs_live_worker", "jobs_live", ["worker_id"], unique=False, postgresql_where=sa.text("worker_id <> ''")
    )
    op.create_table(
        "log_records",
        sa.Column("record_id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column(
            "received_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("level", sa.Text(), server_default="INFO", nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("component", sa.Text(), server_default="", nullable=False),
        sa.Column("message", sa.Text(), server_default="", nullable=False),
        sa.Column("traceback", sa.Text(), server_default="", nullable=False),
        sa.Column("host", sa.Text(), server_default="", nullable=False),
        sa.Column("process_id", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("file", sa.Text(), server_default="", nullable=False),
        sa.Column("line", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("panda_id", sa.BigInteger(), nullable=True),
        sa.Column("jedi_task_id", sa.BigInteger(), nullable=True),
        sa.Column("computing_site", sa.Text(), server_default="", nullable=False),
        sa.Column("code", sa.BigInteger(), nullable=True),
        sa.Column("user_name", sa.Text(), server_default="", nullable=False),
        sa.Column("fingerprint", sa.Text(), server_default="", nullable=False),
        sa.Column("incident_id", sa.BigInteger(), nullable=True),
        sa.Column("emitter", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "fields", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.PrimaryKeyConstraint("record_id", "received_time"),
        postgresql_partition_by="RANGE (received_time)",
    )
    op.create_index("ix_log_records_incident", "log_records", ["incident_id", "received_time"], unique=False)
    op.create_index(
        "ix_log_records_job",
        "log_records",
        ["panda_id"],
        unique=False,
        postgresql_where=sa.text("panda_id IS NOT NULL"),
    )
    op.create_index("ix_log_records_time", "log_records", ["received_time"], unique=False)
    op.create_table(
        "queue_contacts",
        sa.Column("queue_name", sa.String(), nullable=False),
        sa.Column("last_request_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_job_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("request_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("job_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("queue_name"),
    )
    op.create_table(
        "queues",
        sa.Column("queue_name", sa.String(), nullable=False),
        sa.Column("site", sa.Text(), server_default="", nullable=False),
        sa.Column("status", sa.Text(), server_default="online", nullable=False),
        sa.Column("comment", sa.Text(), server_default="", nullable=False),
        sa.Column("max_ram_mb", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("max_disk_mb", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("max_core_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("max_walltime_s", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("storage_endpoint", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "parameters", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column(
            "creation_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "modification_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("queue_name"),
    )
    op.create_table(
        "storage_endpoints",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("mover", sa.Text(), server_default="cp", nullable=False),
        sa.Column("path", sa.Text(), server_default="", nullable=False),
        sa.Column("state", sa.Text(), server_default="online", nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "tasks",
        sa.Column("jedi_task_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("task_name", sa.Text(), server_default="", nullable=False),
        sa.Column("status", sa.Text(), server_default="registered", nullable=False),
        sa.Column("user_name", sa.Text(), server_default="", nullable=False),
        sa.Column("vo", sa.Text(), server_default="", nullable=False),
        sa.Column("working_group", sa.Text(), server_default="", nullable=False),
        sa.Column("prod_source_label", sa.Text(), server_default="user", nullable=False),
        sa.Column("processing_type", sa.Text(), server_default="", nullable=False),
        sa.Column("task_priority", sa.BigInteger(), server_default=sa.text("1000"), nullable=False),
        sa.Column(
            "parameters", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("n_input_files", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("n_jobs", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("n_finished", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("n_failed", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("n_cancelled", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("error_dialog", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "creation_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "modification_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("end_time", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("jedi_task_id"),
    )
    op.create_index("ix_tasks_status", "tasks", ["status"], unique=False)
    op.create_index("ix_tasks_user", "tasks", ["user_name", "jedi_task_id"], unique=False)
    op.create_table(
        "throughput_minutes",
        sa.Column("bin_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("computing_site", sa.String(), nullable=False),
        sa.Column("job_status", sa.String(), nullable=False),
        sa.Column("prod_source_label", sa.String(), nullable=False),
        sa.Column("job_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("bin_time", "computing_site", "job_status", "prod_source_label"),
    )
    op.create_table(
        "throughput_totals",
        sa.Column("bin_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("job_status", sa.String(), nullable=False),
        sa.Column("prod_source_label", sa.String(), nullable=False),
        sa.Column("job_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("bin_time", "job_status", "prod_source_label"),
    )
    op.create_table(
        "tokens",
        sa.Column("token_id", sa.String(), nullable=False),
        sa.Column("user_name", sa.Text(), server_default="", nullable=False),
        sa.Column("vo", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "roles", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'::jsonb"), nullable=False
        ),
        sa.Column(
            "issued_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("expiry_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_time", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("token_id"),
    )
    op.create_table(
        "users",
        sa.Column("user_name", sa.String(), nullable=False),
        sa.Column("vo", sa.Text(), server_default="", nullable=False),
        sa.Column("status", sa.Text(), server_default="active", nullable=False),
        sa.Column(
            "first_seen", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("user_name"),
    )
    op.create_table(
        "files",
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), nullable=False),
        sa.Column("lfn", sa.Text(), server_default="", nullable=False),
        sa.Column("guid", sa.Text(), server_default="", nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("checksum", sa.Text(), server_default="", nullable=False),
        sa.Column("panda_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "creation_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["dataset_id"],
            ["datasets.dataset_id"],
        ),
        sa.PrimaryKeyConstraint("file_id"),
        sa.UniqueConstraint("dataset_id", "lfn", name="uq_files_dataset_lfn"),
    )
    op.create_table(
        "replicas",
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("pfn", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "creation_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["file_id"],
            ["files.file_id"],
        ),
        sa.PrimaryKeyConstraint("file_id", "endpoint"),
    )
    op.create_index("ix_replicas_endpoint", "replicas", ["endpoint"], unique=False)

    for name in ("panda_id_seq", "jedi_task_id_seq"):
        start = 10_000_000 if name.startswith("jedi") else 1
        op.execute(f"CREATE SEQUENCE {name} START {start} CACHE 1")
    # rows whose month or day has no partition yet are never refused; the partition agent makes partitions ahead of time
    for table in ("jobs_archive", "job_history", "log_records"):
        op.execute(f"CREATE TABLE {table}_default PARTITION OF {table} DEFAULT")


def downgrade() -> None:
    op.drop_index("ix_replicas_endpoint", table_name="replicas")
    op.drop_table("replicas")
    op.drop_table("files")
    op.drop_table("users")
    op.drop_table("tokens")
    op.drop_table("throughput_totals")
    op.drop_table("throughput_minutes")
    op.drop_index("ix_tasks_user", table_name="tasks")
    op.drop_index("ix_tasks_status", table_name="tasks")
    op.drop_table("tasks")
    op.drop_table("storage_endpoints")
    op.drop_table("queues")
    op.drop_table("queue_contacts")
    op.drop_index("ix_log_records_time", table_name="log_records")
    op.drop_index("ix_log_records_job", table_name="log_records", postgresql_where=sa.text("panda_id IS NOT NULL"))
    op.drop_index("ix_log_records_incident", table_name="log_records")
    op.drop_table("log_records")
    op.drop_index("ix_jobs_live_worker", table_name="jobs_live", postgresql_where=sa.text("worker_id <> ''"))
    op.drop_index("ix_jobs_live_user", table_name="jobs_live")
    op.drop_index(
        "ix_jobs_live_unready",
        table_name="jobs_live",
        postgresql_where=sa.text("job_status IN ('pending', 'defined', 'waiting', 'assigned')"),
    )
    op.drop_index("ix_jobs_live_task", table_name="jobs_live")
    op.drop_index("ix_jobs_live_status", table_name="jobs_live")
    op.drop_index(
        "ix_jobs_live_activated", table_name="jobs_live", postgresql_where=sa.text("job_status = 'activated'")
    )
    op.drop_table("jobs_live")
    op.drop_index("ix_jobs_archive_user", table_name="jobs_archive")
    op.drop_index("ix_jobs_archive_time", table_name="jobs_archive")
    op.drop_index("ix_jobs_archive_task", table_name="jobs_archive")
    op.drop_index("ix_jobs_archive_status", table_name="jobs_archive")
    op.drop_index("ix_jobs_archive_site", table_name="jobs_archive")
    op.drop_table("jobs_archive")
    op.drop_table("job_parameters")
    op.drop_table("job_output_reports")
    op.drop_table("job_logs")
    op.drop_index("ix_job_history_time", table_name="job_history")
    op.drop_index("ix_job_history_job", table_name="job_history")
    op.drop_table("job_history")
    op.drop_index("ix_job_files_waiting", table_name="job_files", postgresql_where=sa.text("status = 'pending'"))
    op.drop_index("ix_job_files_task", table_name="job_files")
    op.drop_index("ix_job_files_job", table_name="job_files")
    op.drop_table("job_files")
    op.drop_table("job_brokerage")
    op.drop_index("uq_incidents_unresolved", table_name="incidents", postgresql_where=sa.text("state <> 'resolved'"))
    op.drop_index("ix_incidents_state", table_name="incidents")
    op.drop_index("ix_incidents_modified", table_name="incidents")
    op.drop_index("ix_incidents_fingerprint", table_name="incidents")
    op.drop_table("incidents")
    op.drop_index("ix_incident_jobs_task", table_name="incident_jobs")
    op.drop_index("ix_incident_jobs_incident", table_name="incident_jobs")
    op.drop_table("incident_jobs")
    op.drop_table("incident_breakdown")
    op.drop_table("incident_bins")
    op.drop_index("ix_incident_activity_incident", table_name="incident_activity")
    op.drop_table("incident_activity")
    op.drop_table("datasets")
    op.drop_index("ix_change_signals_time", table_name="change_signals")
    op.drop_table("change_signals")
    op.drop_index("ix_brokerage_decisions_task", table_name="brokerage_decisions")
    op.drop_table("brokerage_decisions")
    op.drop_table("agent_runs")
    op.execute("DROP SEQUENCE panda_id_seq")
    op.execute("DROP SEQUENCE jedi_task_id_seq")
