"""what task engine, brokerage, shares, accounts and retries keep: one function for each subject

Revision: 0010
Revises: 0009
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from core.database.migrations.columns import (
    add,
    counts,
    document,
    flag,
    key,
    now,
    optional,
    serial,
    sums,
    texts,
    time_key,
    times,
)
from core.database.migrations.retry_defaults import ACTIONS, AUTHOR, CLASSES, RULES

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


_NEW_COLUMNS = {
    "tasks": (
        "campaign",
        "goal",
        "n_pieces",
        "generate_at",
        "next_try_time",
        "frozen_time",
        "failed_retries",
        "files_at_retry",
        "measured",
        "announced_end",
    ),
    "task_datasets": ("feed_cursor", "n_files", "n_events", "n_skipped"),
    "task_files": ("first_event", "max_failure", "ram_mb"),
    "queues": ("status_set_by",),
    "brokerage_decisions": ("kind", "candidate_count", "binding_step", "is_temporary", "weights"),
}


# files keep their order, so the events before each are those of the files before it
_FIRST_EVENTS = """
UPDATE task_files f SET first_event = n.before FROM (
    SELECT f.file_id, sum(f.n_events) OVER (PARTITION BY f.jedi_task_id ORDER BY f.dataset_id, f.position, f.file_id)
                      - f.n_events AS before
    FROM task_files f JOIN task_datasets d USING (dataset_id) WHERE d.is_master
) n WHERE n.file_id = f.file_id AND n.before <> 0
"""
# of numbers and given PFNs the cursor is how many were read
_FED = """
UPDATE task_datasets d SET n_files = c.files, n_events = c.events,
                           feed_cursor = CASE WHEN d.type = 'pseudo_input' THEN c.files ELSE c.cursor END
FROM (
    SELECT dataset_id, count(*) AS files, sum(n_events) AS events, coalesce(max(catalogue_file_id), 0) AS cursor
    FROM task_files GROUP BY dataset_id
) c WHERE c.dataset_id = d.dataset_id
"""
_PIECES = "UPDATE tasks SET n_pieces = next_serial - 1 WHERE next_serial > 1"
_LOOK_AT_ALL = """
UPDATE tasks SET generate_at = clock_timestamp()
WHERE status IN ('defined', 'assigning', 'ready', 'scouting', 'scouted', 'running', 'merging', 'preprocessing')
"""


def _task_engine() -> None:
    add(
        "tasks",
        *texts("campaign"),
        *counts("goal", default=1000),
        *counts("n_pieces"),
        *times("generate_at", "next_try_time", "frozen_time"),
        *counts("failed_retries"),
        *optional("files_at_retry"),
        document("measured"),
    )
    # brokerage reads many tasks at once: one that is no dictionary would stop it for all
    documents = " AND ".join(f"jsonb_typeof({name}) = 'object'" for name in ("parameters", "split_rule", "measured"))
    op.execute(f"ALTER TABLE tasks ADD CONSTRAINT ck_tasks_documents CHECK ({documents}) NOT VALID")
    op.create_index("ix_tasks_generate", "tasks", ["generate_at"], postgresql_where=sa.text("generate_at IS NOT NULL"))
    add("task_datasets", *counts("feed_cursor", "n_files", "n_events", "n_skipped"))
    follows = sa.text("type = 'parent' AND status IN ('mutable', 'toupdate')")
    op.create_index("ix_task_datasets_following", "task_datasets", ["jedi_task_id"], postgresql_where=follows)
    add("task_files", *counts("first_event"), *counts("max_failure", default=3), *counts("ram_mb"))
    for statement in (_FIRST_EVENTS, _FED, _PIECES, _LOOK_AT_ALL):
        op.execute(statement)
    in_catalogue = sa.text("catalogue_file_id IS NOT NULL")
    op.create_index("ix_task_files_lfn", "task_files", ["dataset_id", "lfn"], postgresql_where=in_catalogue)
    op.drop_index("ix_task_files_dataset", "task_files")
    op.create_index("ix_task_files_dataset", "task_files", ["dataset_id", "attempt_nr", "position"])
    op.create_index("ix_files_dataset", "files", ["dataset_id", "file_id"])


def _notices() -> None:
    """What has ended already is no news."""
    add("tasks", *times("announced_end"))
    op.execute("UPDATE tasks SET announced_end = end_time WHERE end_time IS NOT NULL")
    is_news = sa.text("end_time IS NOT NULL AND end_time IS DISTINCT FROM announced_end")
    op.create_index("ix_tasks_news", "tasks", ["jedi_task_id"], postgresql_where=is_news)
    op.create_table(
        "task_notices",
        serial("notice_id"),
        sa.Column("jedi_task_id", sa.BigInteger(), nullable=False),
        *texts("status", "address", "state"),
        now("time"),
        *counts("attempts"),
        *times("next_try_time", "sent_time"),
        *texts("last_error"),
    )
    op.create_index("ix_task_notices_task", "task_notices", ["jedi_task_id"])
    is_open = sa.text("state IN ('waiting', 'sending')")
    op.create_index("ix_task_notices_due", "task_notices", ["next_try_time"], postgresql_where=is_open)


def _dispatch() -> None:
    op.drop_index("ix_jobs_live_activated", "jobs_live")
    op.create_index(
        "ix_jobs_live_activated",
        "jobs_live",
        ["computing_site", "gshare", sa.text("current_priority DESC"), "panda_id"],
        postgresql_where=sa.text("job_status = 'activated'"),
    )
    op.create_index(
        "ix_jobs_live_oldest",
        "jobs_live",
        ["computing_site", "panda_id"],
        postgresql_where=sa.text("job_status = 'activated'"),
    )
    # test work first, then what jumps over all others: few jobs, so an index of their own
    op.create_index(
        "ix_jobs_live_urgent",
        "jobs_live",
        [
            "computing_site",
            sa.text("(prod_source_label IN ('test', 'prod_test')) DESC"),
            sa.text("current_priority DESC"),
            "panda_id",
        ],
        postgresql_where=sa.text(
            "job_status = 'activated' AND (prod_source_label IN ('test', 'prod_test') "
            "OR (prod_source_label IN ('user', 'panda') AND current_priority >= 1500))"
        ),
    )
    op.create_table(
        "queue_contact_hours",
        key("queue_name"),
        time_key("hour"),
        *counts("request_count", "job_count", "empty_count", "update_count"),
        *counts("most_memory_mb", "most_disk_mb", "most_cores", "most_remaining_s"),
    )


def _sound_shares() -> list[sa.CheckConstraint]:
    """Rows written by hand too: one bad expression would stop every submission and every pilot (core/shares/checking.py)."""
    values = "name <> '' AND value >= 0 AND value < 'Infinity'"
    expressions = "vo", "prod_source_label", "working_group", "campaign", "processing_type", "trans_path", "rtype"
    return [
        sa.CheckConstraint(values, name="ck_global_shares_values"),
        *(
            sa.CheckConstraint(
                f"('' ~ {name}) IS NOT NULL AND ('' ~ ('^(?:' || {name} || ')$')) IS NOT NULL "
                rf"AND {name} !~ '(^|[^\\])(\\\\)*\\[1-9]'",
                name=f"ck_global_shares_{name}",
            )
            for name in expressions
        ),
    ]


def _shares() -> None:
    op.create_table(
        "global_shares",
        key("name"),
        *texts("parent"),
        *sums("value"),
        *counts("position"),
        *texts("vo", "prod_source_label", "working_group", "campaign", "processing_type", "trans_path", "rtype"),
        *counts("max_queued_jobs"),
        *texts("description", "modified_by"),
        now("modification_time"),
        *_sound_shares(),
    )
    op.create_table(
        "share_usage",
        *(key(name) for name in ("gshare", "computing_site", "resource_type")),
        *counts("executing_jobs", "queued_jobs", "waiting_jobs", "executing_cores", "executing_ram_mb"),
        *sums("executing_power", "queued_power"),
        now("time"),
    )
    op.create_table(
        "share_samples",
        time_key("time"),
        key("gshare"),
        *sums("executing_power", "target_power"),
        *counts("queued_jobs"),
    )


def _sound_limits() -> list[sa.CheckConstraint]:
    """As at the door (core/accounts/limits.py); a time that programs cannot hold would stop all accounts."""
    numbers = (
        *("max_running_jobs", "max_running_cores", "max_active_tasks", "jobs_per_priority_point"),
        *("cpu_hours_1d", "cpu_hours_7d", "cpu_hours_30d"),
    )
    ranges = {
        **dict.fromkeys(numbers, "BETWEEN 0 AND 1000000000000"),
        "boost_priority": "BETWEEN -1000000 AND 1000000",
        **dict.fromkeys(("boost_until", "banned_until"), "BETWEEN '1970-01-01 00:00+00' AND '9999-12-31 00:00+00'"),
        "kind": "IN ('user', 'group', 'default')",
        "quota_mode": "IN ('', 'lower', 'hold', 'reject')",
    }
    return [sa.CheckConstraint(f"{name} {of}", name=f"ck_account_limits_{name}") for name, of in ranges.items()]


def _accounts() -> None:
    op.create_table(
        "account_limits",
        *(key(name) for name in ("kind", "name")),
        *optional("max_running_jobs", "max_running_cores", "max_active_tasks"),
        *optional("cpu_hours_1d", "cpu_hours_7d", "cpu_hours_30d"),
        *texts("quota_mode"),
        *optional("jobs_per_priority_point", "boost_priority"),
        *times("boost_until", "banned_until"),
        flag("is_privileged"),
        *texts("reason", "modified_by"),
        now("modification_time"),
        *_sound_limits(),
    )
    op.create_table(
        "account_holds", *(key(name) for name in ("kind", "name")), *texts("reason"), flag("covers_all_work")
    )
    op.create_table(
        "usage_days",
        sa.Column("day", sa.Date(), nullable=False, primary_key=True),
        *(key(name) for name in ("user_name", "working_group", "computing_site", "prod_source_label")),
        *counts("jobs_finished", "jobs_failed", "jobs_cancelled"),
        *sums("wall_core_s", "cpu_s", "power_s", "failed_wall_core_s", "failed_power_s"),
    )
    op.create_index("ix_usage_days_user", "usage_days", ["user_name", "day"])
    in_group = sa.text("working_group <> ''")
    op.create_index("ix_usage_days_group", "usage_days", ["working_group", "day"], postgresql_where=in_group)
    op.create_index("ix_jobs_live_group", "jobs_live", ["working_group", "panda_id"], postgresql_where=in_group)
    op.create_table(
        "timeout_counts",
        key("name"),
        *counts("ended_total", "last_ended"),
        *times("last_ended_time"),
        *optional("last_panda_id"),
    )


def _queues() -> None:
    add("queues", *texts("status_set_by"))
    # whoever reads parameters looks keys up in them
    op.execute("UPDATE queues SET parameters = '{}' WHERE jsonb_typeof(parameters) <> 'object'")
    op.create_check_constraint("ck_queues_parameters", "queues", "jsonb_typeof(parameters) = 'object'")
    op.create_table(
        "queue_status_history",
        key("queue_name"),
        time_key("time"),
        *texts("previous_status", "status", "who"),
        flag("is_automatic"),
        *texts("reason"),
    )
    op.create_index(
        "ix_jobs_archive_tests",
        "jobs_archive",
        ["computing_site", "state_change_time"],
        postgresql_where=sa.text(
            "prod_source_label IN ('test', 'prod_test', 'ptest', 'rc_test', 'rc_test2', 'rc_alrb') "
            "AND job_status IN ('finished', 'failed')"
        ),
    )


def _retrial() -> None:
    op.create_table("retry_actions", key("name"), flag("is_active", "true"), *texts("description"))
    op.create_table(
        "retry_rules",
        serial("rule_id"),
        *texts("error_source"),
        *counts("error_code"),
        *texts("error_diag", "architecture", "release", "gshare", "action"),
        document("parameters"),
        flag("is_active", "true"),
        *texts("description"),
        *times("expiration_time"),
        *counts("n_matched", "n_acted"),
        *times("last_matched"),
        *texts("disabled_reason", "modified_by"),
        now("modification_time"),
    )
    op.create_index("ix_retry_rules_error", "retry_rules", ["error_source", "error_code"])
    op.create_table(
        "error_classes",
        serial("class_id"),
        *texts("error_source"),
        *counts("error_code"),
        *texts("error_diag"),
        *texts("error_class", default="unknown"),
        flag("is_active", "true"),
        *texts("description", "disabled_reason", "modified_by"),
        now("modification_time"),
    )
    op.create_index("ix_error_classes_error", "error_classes", ["error_source", "error_code"])
    op.create_table(
        "retry_log",
        serial("deed_id"),
        now("time"),
        sa.Column("panda_id", sa.BigInteger(), nullable=False),
        *optional("jedi_task_id", "rule_id"),
        *texts("error_source"),
        *counts("error_code"),
        *texts("error_diag", "action"),
        document("parameters"),
        flag("is_active", "true"),
        *texts("effect"),
        flag("has_acted"),
        flag("is_counted"),
    )
    op.create_index("ix_retry_log_job", "retry_log", ["panda_id"])
    op.create_index("ix_retry_log_task", "retry_log", ["jedi_task_id", "deed_id"])
    op.create_index("ix_retry_log_rule", "retry_log", ["rule_id", "deed_id"])
    op.create_index("ix_retry_log_time", "retry_log", ["time"])
    uncounted = sa.text("rule_id IS NOT NULL AND NOT is_counted")
    op.create_index("ix_retry_log_uncounted", "retry_log", ["rule_id", "deed_id"], postgresql_where=uncounted)
    op.create_table(
        "retry_changes",
        serial("change_id"),
        now("time"),
        *texts("who", "kind", "key", "what"),
        document("before"),
        document("after"),
    )
    raised = sa.text("ram_mb > 0")
    op.create_index("ix_task_files_ram", "task_files", ["jedi_task_id", "ram_mb"], postgresql_where=raised)
    for table in ("jobs_live", "jobs_archive"):
        has_parent = sa.text("parent_id IS NOT NULL")
        op.create_index(f"ix_{table}_parent", table, ["parent_id"], postgresql_where=has_parent)
    _insert_retry_defaults()


def _insert_retry_defaults() -> None:
    """What operators begin with; theirs to change from then on."""
    actions = sa.table("retry_actions", sa.column("name"), sa.column("description"))
    op.bulk_insert(actions, [{"name": name, "description": words} for name, words in ACTIONS])
    columns: list[Any] = [
        sa.column(name) for name in ("error_source", "error_code", "action", "is_active", "description")
    ]
    rules = sa.table("retry_rules", *columns, sa.column("parameters", JSONB()), sa.column("modified_by"))
    op.bulk_insert(rules, [{**rule, "modified_by": AUTHOR} for rule in RULES])
    names = ("error_source", "error_code", "error_class", "description", "modified_by")
    classes = sa.table("error_classes", *(sa.column(name) for name in names))
    op.bulk_insert(classes, [{**entry, "modified_by": AUTHOR} for entry in CLASSES])


def _brokerage() -> None:
    add(
        "brokerage_decisions",
        *texts("kind", default="job"),
        *counts("candidate_count"),
        *texts("binding_step"),
        flag("is_temporary"),
        document("weights", "[]"),
    )
    op.create_index("ix_job_brokerage_decision", "job_brokerage", ["decision_id"])


def upgrade() -> None:
    """Create what the models say."""
    for subject in (_task_engine, _notices, _dispatch, _shares, _accounts, _queues, _retrial, _brokerage):
        subject()


def downgrade() -> None:
    """Take back tables, columns and indexes; what they held is gone."""
    for table in (
        *(
            "retry_changes",
            "retry_log",
            "error_classes",
            "retry_rules",
            "retry_actions",
            "queue_status_history",
            "usage_days",
        ),
        *(
            "task_notices",
            "timeout_counts",
            "account_limits",
            "account_holds",
            "share_samples",
            "share_usage",
            "global_shares",
        ),
        "queue_contact_hours",
    ):
        op.drop_table(table)
    op.drop_constraint("ck_queues_parameters", "queues")
    op.drop_constraint("ck_tasks_documents", "tasks")
    op.drop_index("ix_job_brokerage_decision", "job_brokerage")
    op.drop_index("ix_tasks_news", "tasks")
    op.drop_index("ix_tasks_generate", "tasks")
    op.drop_index("ix_files_dataset", "files")
    op.drop_index("ix_task_datasets_following", "task_datasets")
    op.drop_index("ix_task_files_lfn", "task_files")
    op.drop_index("ix_task_files_dataset", "task_files")
    op.create_index("ix_task_files_dataset", "task_files", ["dataset_id", "position"])
    for table in ("jobs_live", "jobs_archive"):
        op.drop_index(f"ix_{table}_parent", table)
    op.drop_index("ix_jobs_live_group", "jobs_live")
    op.drop_index("ix_jobs_archive_tests", "jobs_archive")
    for table, names in _NEW_COLUMNS.items():
        for name in names:
            op.drop_column(table, name)
    for name in ("ix_jobs_live_activated", "ix_jobs_live_oldest", "ix_jobs_live_urgent"):
        op.drop_index(name, "jobs_live")
    op.create_index(
        "ix_jobs_live_activated",
        "jobs_live",
        ["computing_site", sa.text("current_priority DESC"), "panda_id"],
        postgresql_where=sa.text("job_status = 'activated'"),
    )
