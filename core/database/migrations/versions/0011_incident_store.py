"""what records, incidents, their verdicts, changes and rules keep: one function for each subject

Revision: 0011
Revises: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from core.database.migrations.columns import (
    add,
    counts,
    document,
    flag,
    index,
    is_one_of,
    key,
    now,
    number_key,
    one_of,
    optional,
    serial,
    sums,
    texts,
    time_key,
    times,
)
from core.database.migrations.incident_rule_defaults import RULES

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_STATES = ("candidate", "open", "acknowledged", "silenced", "reopened", "resolved")
_KINDS = ("failure_burst", "absence", "backlog", "service", "data", "manual")
_SEVERITIES = ("critical", "error", "warning")
_VERDICTS = ("", "site", "task", "user", "node", "data", "central", "unclear")
_CHANGES = ("opened", "acknowledged", "assigned", "silenced", "unsilenced", "reopened", "resolved", "worse")

_NEW_TABLES = (
    *("record_days", "log_hours", "log_sources", "record_contexts", "culprit_contexts"),
    *(
        "incident_changes",
        "fingerprint_links",
        "incident_rules",
        "incident_rule_versions",
        "watch_samples",
        "wait_hours",
    ),
)
_NEW_COLUMNS = {
    "log_records": (
        *("severity_number", "repeat_count", "step", "error_class", "culprit_line", "source", "is_trusted"),
    ),
    "incidents": (
        *("opened_time", "opened_by", "rule_name", "rule_version", "algorithm", "fingerprint_words", "step"),
        *("error_class", "residue_count", "residue_lost_core_s", "node_count", "storage_count", "verdict"),
        *("verdict_value", "verdict_score", "verdict_document", "verdict_time", "slot_share", "assigned_to"),
        *("held_by", "acknowledged_time", "inhibited_by", "merged_into", "previous_id", "reopened_count"),
        *("resolution", "resolved_by", "change_seq", "links"),
    ),
    "incident_jobs": (
        *("attempt_nr", "is_residue", "endpoint", "dataset", "step", "error_class", "pattern", "own_fingerprint"),
    ),
    "incident_activity": ("change_seq", "before", "after", "deed_id"),
}


def _records() -> None:
    add(
        "log_records",
        *counts("severity_number"),
        *counts("repeat_count", default=1),
        *texts("step", "error_class", "culprit_line", "source"),
        flag("is_trusted", "true"),
    )
    index("log_records", "ix_log_records_component", "component", "received_time", where="severity_number >= 30")
    index("log_records", "ix_log_records_task", "jedi_task_id", where="jedi_task_id IS NOT NULL")
    op.create_table(
        "record_days",
        sa.Column("day", sa.Date(), nullable=False, primary_key=True),
        *counts("kept_from", "row_count", "size_bytes"),
        *times("thinned_time"),
    )
    op.create_table("log_hours", time_key("hour"), key("component"), key("level"), *counts("record_count"))
    op.create_table(
        "log_sources",
        key("source"),
        *counts("last_seq"),
        *texts("emitter", "component", "host"),
        now("last_seen"),
        *counts("skew_ms"),
        *times("token_expiry"),
        *counts("record_count", "dropped_count", "refused_count"),
        postgresql_with={"fillfactor": 70},
    )
    index("log_sources", "ix_log_sources_seen", "last_seen")
    op.create_table("record_contexts", number_key("incident_id"), time_key("time"), *texts("lines"))


# all that an older release has are incidents; who opened them is the first line of their activity, and whoever
# reopened one by hand holds it, as that release's watching had it
_OPENED = """
UPDATE incidents SET opened_time = first_seen, residue_count = job_count, residue_lost_core_s = lost_core_s,
    change_seq = 1
"""
_OPENED_BY = """
UPDATE incidents i SET opened_by = a.who, rule_name = CASE WHEN a.who LIKE 'rule %' THEN substr(a.who, 6) ELSE '' END
FROM (
    SELECT DISTINCT ON (incident_id) incident_id, who FROM incident_activity ORDER BY incident_id, activity_id
) a WHERE a.incident_id = i.incident_id
"""
_HELD = """
UPDATE incidents i SET held_by = a.who
FROM (
    SELECT DISTINCT ON (incident_id) incident_id, who, action FROM incident_activity
    WHERE action IN ('reopen', 'resolve', 'acknowledge') ORDER BY incident_id, activity_id DESC
) a WHERE a.incident_id = i.incident_id AND a.action = 'reopen' AND i.state <> 'resolved'
"""
_PREVIOUS = """
UPDATE incidents i SET previous_id = (
    SELECT max(p.incident_id) FROM incidents p WHERE p.fingerprint = i.fingerprint AND p.incident_id < i.incident_id
)
"""


def _incidents() -> None:
    add(
        "incidents",
        *times("opened_time"),
        *texts("opened_by", "rule_name"),
        *counts("rule_version"),
        *counts("algorithm", default=1),
        document("fingerprint_words", "[]"),
        *texts("step", "error_class"),
        *counts("residue_count", "residue_lost_core_s", "node_count", "storage_count"),
        *texts("verdict", "verdict_value"),
        *sums("verdict_score"),
        document("verdict_document"),
        *times("verdict_time"),
        *sums("slot_share"),
        *texts("assigned_to", "held_by"),
        *times("acknowledged_time"),
        *optional("inhibited_by", "merged_into", "previous_id"),
        *counts("reopened_count"),
        *texts("resolution", "resolved_by"),
        *counts("change_seq"),
        document("links", "[]"),
    )
    for statement in (_OPENED, _OPENED_BY, _HELD, _PREVIOUS):
        op.execute(statement)
    for column, values in {"state": _STATES, "kind": _KINDS, "severity": _SEVERITIES, "verdict": _VERDICTS}.items():
        op.create_check_constraint(f"ck_incidents_{column}", "incidents", is_one_of(column, values))
    op.create_check_constraint("ck_incidents_opened", "incidents", "state <> 'candidate' OR opened_time IS NULL")
    op.drop_index("ix_incidents_state", "incidents")
    op.drop_index("ix_incidents_fingerprint", "incidents")
    is_shown = "opened_time IS NOT NULL"
    index("incidents", "ix_incidents_shown", "state", "severity", "last_seen", where=is_shown)
    index("incidents", "ix_incidents_seen", "last_seen", where=is_shown)
    index("incidents", "ix_incidents_fingerprint", "fingerprint", "incident_id")
    index("incidents", "ix_incidents_candidates", "last_seen", where="state = 'candidate'")
    index("incidents", "ix_incidents_novel", "component", "first_seen", where="state <> 'resolved'")
    index("incidents", "ix_incidents_inhibited", "inhibited_by", where="inhibited_by IS NOT NULL")
    index("incidents", "ix_incidents_assigned", "assigned_to", "state", where="assigned_to <> ''")
    index("incidents", "ix_incidents_touched", "modification_time", where="state <> 'resolved'")


def _jobs_of_incidents() -> None:
    add(
        "incident_jobs",
        *counts("attempt_nr", default=1),
        flag("is_residue", "true"),
        *texts("endpoint", "dataset", "step", "error_class", "pattern", "own_fingerprint"),
    )
    index("incident_jobs", "ix_incident_jobs_time", "time")
    index("incident_jobs", "ix_incident_jobs_residue", "incident_id", "jedi_task_id", where="is_residue")
    op.create_table(
        "culprit_contexts",
        number_key("panda_id"),
        *texts("log_name"),
        *counts("first_line_number", "culprit_line_number", default=1),
        *texts("lines"),
        now("kept_time"),
    )


def _changes() -> None:
    add("incident_activity", *optional("change_seq"), document("before"), document("after"), *optional("deed_id"))
    op.create_table(
        "incident_changes",
        serial("change_id"),
        sa.Column("incident_id", sa.BigInteger(), nullable=False),
        sa.Column("change_seq", sa.BigInteger(), nullable=False),
        now("time"),
        *texts("what", "previous_state", "state", "severity", "who"),
        flag("is_automatic"),
        *texts("reason"),
        sa.UniqueConstraint("incident_id", "change_seq", name="uq_incident_changes"),
        one_of("incident_changes", "what", _CHANGES),
    )
    index("incident_changes", "ix_incident_changes_time", "time")
    op.create_table(
        "fingerprint_links",
        serial("link_id"),
        *texts("kind", "fingerprint", "target", "dimension", "value"),
        *optional("incident_id", "into_incident_id"),
        document("moved"),
        *texts("who"),
        now("time"),
        *texts("comment", "undone_by"),
        *times("undone_time"),
        one_of("fingerprint_links", "kind", ("merge", "split")),
    )
    lives = "undone_time IS NULL"
    merges, splits = f"kind = 'merge' AND {lives}", f"kind = 'split' AND {lives}"
    index("fingerprint_links", "uq_fingerprint_links_merge", "fingerprint", where=merges, is_unique=True)
    index(
        "fingerprint_links",
        "uq_fingerprint_links_split",
        *("fingerprint", "dimension", "value"),
        where=splits,
        is_unique=True,
    )


def _rules() -> None:
    op.create_table(
        "incident_rules",
        serial("rule_id"),
        *texts("name", "evaluator"),
        *texts("kind", default="failure_burst"),
        *texts("title"),
        document("parameters"),
        *texts("severity_floor", default="warning"),
        flag("is_active", "true"),
        *counts("version", default=1),
        flag("is_builtin"),
        *texts("disabled_reason"),
        now("created_time"),
        *texts("modified_by"),
        now("modification_time"),
        sa.UniqueConstraint("name", name="uq_incident_rules_name"),
        sa.CheckConstraint("name <> '' AND jsonb_typeof(parameters) = 'object'", name="ck_incident_rules_values"),
    )
    op.create_table(
        "incident_rule_versions",
        number_key("rule_id"),
        number_key("version"),
        now("time"),
        *texts("who", "what"),
        document("document"),
    )
    names = ("name", "evaluator", "kind", "severity_floor", "title", "is_builtin", "modified_by")
    rules = sa.table("incident_rules", *(sa.column(name) for name in names), sa.column("parameters", JSONB()))
    op.bulk_insert(rules, list(RULES))
    op.execute("""
        INSERT INTO incident_rule_versions (rule_id, version, who, what, document)
        SELECT rule_id, version, modified_by, 'added', to_jsonb(r) FROM incident_rules r
    """)
    op.create_table(
        "watch_samples", key("rule_name"), time_key("bin_time"), key("subject"), *sums("value"), *texts("note")
    )
    index("watch_samples", "ix_watch_samples_time", "bin_time")
    op.create_table(
        "wait_hours", key("computing_site"), time_key("hour"), *counts("starts"), *sums("p50_s", "p90_s", "p95_s")
    )


def upgrade() -> None:
    """Create what the models say."""
    for subject in (_records, _incidents, _jobs_of_incidents, _changes, _rules):
        subject()


# a candidate is nothing that the release before knows
_FORGET_CANDIDATES = """
DELETE FROM incident_jobs c USING incidents i WHERE c.incident_id = i.incident_id AND i.opened_time IS NULL;
DELETE FROM incident_breakdown c USING incidents i WHERE c.incident_id = i.incident_id AND i.opened_time IS NULL;
DELETE FROM incident_bins c USING incidents i WHERE c.incident_id = i.incident_id AND i.opened_time IS NULL;
DELETE FROM incidents WHERE opened_time IS NULL;
"""
_OLD_STATES = "UPDATE incidents SET state = 'open' WHERE state IN ('reopened', 'silenced')"


def downgrade() -> None:
    """Take back tables, columns and indexes; what they held is gone, and so are candidates."""
    for table in _NEW_TABLES:
        op.drop_table(table)
    op.execute(_FORGET_CANDIDATES)
    for name in ("state", "kind", "severity", "verdict", "opened"):
        op.drop_constraint(f"ck_incidents_{name}", "incidents")
    op.execute(_OLD_STATES)
    for name in ("shown", "seen", "fingerprint", "candidates", "novel", "inhibited", "assigned", "touched"):
        op.drop_index(f"ix_incidents_{name}", "incidents")
    for name in ("ix_incident_jobs_time", "ix_incident_jobs_residue"):
        op.drop_index(name, "incident_jobs")
    for name in ("ix_log_records_component", "ix_log_records_task"):
        op.drop_index(name, "log_records")
    for table, names in _NEW_COLUMNS.items():
        for name in names:
            op.drop_column(table, name)
    op.create_index("ix_incidents_state", "incidents", ["state", "severity", "last_seen"])
    op.create_index("ix_incidents_fingerprint", "incidents", ["fingerprint"])
