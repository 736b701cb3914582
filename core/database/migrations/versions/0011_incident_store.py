"""what incidents, their rules, verdicts, deeds, notices and shifts keep: one function for each subject

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
    key,
    now,
    number_key,
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
    *("incident_changes", "fingerprint_links", "incident_rules", "incident_rule_versions", "watch_samples"),
    *("wait_hours", "previews", "deeds", "deed_targets", "silences", "audit"),
    *("notice_routes", "incident_notices", "notice_messages", "shifts", "shift_notes"),
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


def _one_of(table: str, column: str, values: tuple[str, ...]) -> sa.CheckConstraint:
    return sa.CheckConstraint(f"{column} IN ({', '.join(map(repr, values))})", name=f"ck_{table}_{column}")


def _check(table: str, column: str, values: tuple[str, ...]) -> None:
    op.create_check_constraint(f"ck_{table}_{column}", table, f"{column} IN ({', '.join(map(repr, values))})")


def _index(table: str, name: str, *columns: str, where: str = "", is_unique: bool = False) -> None:
    condition = {"postgresql_where": sa.text(where)} if where else {}
    op.create_index(name, table, list(columns), unique=is_unique, **condition)  # type: ignore[arg-type]


def _records() -> None:
    add(
        "log_records",
        *counts("severity_number"),
        *counts("repeat_count", default=1),
        *texts("step", "error_class", "culprit_line", "source"),
        flag("is_trusted", "true"),
    )
    _index("log_records", "ix_log_records_component", "component", "received_time", where="severity_number >= 30")
    _index("log_records", "ix_log_records_task", "jedi_task_id", where="jedi_task_id IS NOT NULL")
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
    _index("log_sources", "ix_log_sources_seen", "last_seen")
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
        _check("incidents", column, values)
    op.create_check_constraint("ck_incidents_opened", "incidents", "state <> 'candidate' OR opened_time IS NULL")
    op.drop_index("ix_incidents_state", "incidents")
    op.drop_index("ix_incidents_fingerprint", "incidents")
    is_shown = "opened_time IS NOT NULL"
    _index("incidents", "ix_incidents_shown", "state", "severity", "last_seen", where=is_shown)
    _index("incidents", "ix_incidents_seen", "last_seen", where=is_shown)
    _index("incidents", "ix_incidents_fingerprint", "fingerprint", "incident_id")
    _index("incidents", "ix_incidents_candidates", "last_seen", where="state = 'candidate'")
    _index("incidents", "ix_incidents_novel", "component", "first_seen", where="state <> 'resolved'")
    _index("incidents", "ix_incidents_inhibited", "inhibited_by", where="inhibited_by IS NOT NULL")
    _index("incidents", "ix_incidents_assigned", "assigned_to", "state", where="assigned_to <> ''")
    _index("incidents", "ix_incidents_touched", "modification_time", where="state <> 'resolved'")


def _jobs_of_incidents() -> None:
    add(
        "incident_jobs",
        *counts("attempt_nr", default=1),
        flag("is_residue", "true"),
        *texts("endpoint", "dataset", "step", "error_class", "pattern", "own_fingerprint"),
    )
    _index("incident_jobs", "ix_incident_jobs_time", "time")
    _index("incident_jobs", "ix_incident_jobs_residue", "incident_id", "jedi_task_id", where="is_residue")
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
        _one_of("incident_changes", "what", _CHANGES),
    )
    _index("incident_changes", "ix_incident_changes_time", "time")
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
        _one_of("fingerprint_links", "kind", ("merge", "split")),
    )
    lives = "undone_time IS NULL"
    merges, splits = f"kind = 'merge' AND {lives}", f"kind = 'split' AND {lives}"
    _index("fingerprint_links", "uq_fingerprint_links_merge", "fingerprint", where=merges, is_unique=True)
    _index(
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
    _index("watch_samples", "ix_watch_samples_time", "bin_time")
    op.create_table(
        "wait_hours", key("computing_site"), time_key("hour"), *counts("starts"), *sums("p50_s", "p90_s", "p95_s")
    )


def _deeds() -> None:
    op.create_table(
        "previews",
        key("token_hash"),
        *texts("preview_id", "action", "who", "token_id", "via"),
        now("created_time"),
        sa.Column("expiry_time", sa.DateTime(timezone=True), nullable=False),
        *texts("target_kind"),
        document("selector"),
        document("targets", "[]"),
        *texts("digest"),
        document("parameters"),
        document("consequences", "[]"),
        flag("accept_ended"),
        *texts("reason"),
        *times("used_time"),
        *optional("deed_id"),
        sa.UniqueConstraint("preview_id", name="uq_previews_id"),
    )
    _index("previews", "ix_previews_expiry", "expiry_time")
    _index("previews", "ix_previews_who", "who", where="used_time IS NULL")
    op.create_table(
        "deeds",
        serial("deed_id"),
        now("time"),
        *texts("who"),
        document("roles", "[]"),
        *texts("via", "action"),
        *optional("incident_id"),
        document("parameters"),
        *texts("reason", "target_kind"),
        *counts("target_count"),
        *texts("state", default="executing"),
        document("result"),
        *texts("inverse"),
        document("inverse_data"),
        *times("undone_time"),
        *texts("undone_by"),
        *optional("undo_deed_id"),
        *texts("revert_kind"),
        *times("revert_time"),
        *counts("revert_count"),
        *texts("revert_state"),
        *times("lease_until"),
        _one_of("deeds", "state", ("executing", "done", "partly", "failed")),
        _one_of("deeds", "revert_kind", ("", "time", "tests")),
        _one_of("deeds", "revert_state", ("", "waiting", "done", "cancelled", "superseded")),
    )
    _index("deeds", "ix_deeds_incident", "incident_id", "deed_id", where="incident_id IS NOT NULL")
    _index("deeds", "ix_deeds_open", "lease_until", where="state = 'executing'")
    _index("deeds", "ix_deeds_revert", "revert_time", where="revert_state = 'waiting'")
    _index("deeds", "ix_deeds_time", "time")
    op.create_table(
        "deed_targets",
        number_key("deed_id"),
        key("target"),
        *texts("state", default="waiting"),
        *texts("note"),
        *times("done_time"),
        _one_of("deed_targets", "state", ("waiting", "done", "refused", "gone")),
    )
    _index("deed_targets", "ix_deed_targets_waiting", "deed_id", where="state = 'waiting'")


def _silences() -> None:
    op.create_table(
        "silences",
        serial("silence_id"),
        *optional("incident_id"),
        document("matcher"),
        *texts("until_kind", default="time"),
        *times("until_time"),
        *optional("shift_id"),
        *counts("base_count"),
        document("base_queues", "[]"),
        *texts("who", "reason"),
        now("start_time"),
        *times("end_time"),
        *texts("ended_by", "end_reason"),
        *optional("deed_id"),
        _one_of("silences", "until_kind", ("time", "shift", "doubles", "second_queue", "fixed")),
        sa.CheckConstraint(
            "(until_kind IN ('time', 'shift')) = (until_time IS NOT NULL)", name="ck_silences_until_time"
        ),
        sa.CheckConstraint("incident_id IS NOT NULL OR matcher <> '{}'", name="ck_silences_of_something"),
    )
    lives = "end_time IS NULL"
    of_incident = f"{lives} AND incident_id IS NOT NULL"
    _index("silences", "uq_silences_incident", "incident_id", where=of_incident, is_unique=True)
    _index("silences", "ix_silences_live", "silence_id", where=lives)
    _index("silences", "ix_silences_time", "start_time")


# what was done stays done: not even its writer changes a row
_AUDIT_IS_FINAL = """
CREATE FUNCTION audit_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'rows of the audit are never changed'; END $$;
CREATE TRIGGER audit_is_final BEFORE UPDATE OR DELETE ON audit
FOR EACH ROW EXECUTE FUNCTION audit_is_final();
CREATE TRIGGER audit_is_kept BEFORE TRUNCATE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION audit_is_final();
"""


def _audit() -> None:
    op.create_table(
        "audit",
        serial("audit_id"),
        now("time"),
        *texts("who"),
        document("roles", "[]"),
        *texts("via", "action", "object_kind", "object_id"),
        document("before"),
        document("after"),
        *texts("reason"),
        *optional("deed_id"),
        flag("is_automatic"),
    )
    _index("audit", "ix_audit_object", "object_kind", "object_id", "audit_id")
    _index("audit", "ix_audit_who", "who", "audit_id")
    _index("audit", "ix_audit_time", "time")
    _index("audit", "ix_audit_deed", "deed_id", where="deed_id IS NOT NULL")
    op.execute(_AUDIT_IS_FINAL)


def _notices() -> None:
    op.create_table(
        "notice_routes",
        serial("route_id"),
        *texts("name"),
        *counts("position"),
        document("matcher"),
        *texts("channel", default="webhook"),
        *texts("target", "secret_name"),
        document("options"),
        document("changes", "[]"),
        document("group_by", "[]"),
        *counts("group_wait_s", default=10),
        *counts("max_per_hour", default=60),
        sa.Column("bucket", sa.Float(), server_default="60.0", nullable=False),
        now("bucket_time"),
        flag("is_active", "true"),
        flag("is_final"),
        *texts("modified_by"),
        now("modification_time"),
        *counts("version", default=1),
        sa.UniqueConstraint("name", name="uq_notice_routes_name"),
        _one_of("notice_routes", "channel", ("webhook", "slack", "mail")),
    )
    op.create_table(
        "incident_notices",
        serial("notice_id"),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("route_id", "incident_id", "change_seq")),
        *texts("change"),
        *texts("state", default="waiting"),
        *texts("reason", "message_id"),
        *counts("attempts"),
        *times("next_try_time", "lease_until", "sent_time"),
        *texts("last_error"),
        now("created_time"),
        sa.UniqueConstraint("route_id", "incident_id", "change_seq", name="uq_incident_notices_change"),
        _one_of("incident_notices", "state", ("waiting", "sending", "sent", "failed", "lost", "suppressed")),
    )
    is_due = "state IN ('waiting', 'sending')"
    _index("incident_notices", "ix_incident_notices_due", "next_try_time", where=is_due)
    _index("incident_notices", "ix_incident_notices_incident", "incident_id")
    _index("incident_notices", "ix_incident_notices_message", "message_id", where="message_id <> ''")
    op.create_table(
        "notice_messages",
        key("message_id"),
        sa.Column("route_id", sa.BigInteger(), nullable=False),
        *counts("notice_count"),
        now("time"),
        *times("sent_time"),
        *texts("answer"),
    )


def _shifts() -> None:
    op.create_table(
        "shifts",
        serial("shift_id"),
        *texts("name"),
        sa.Column("start_time", sa.DateTime(timezone=True), nullable=False),
        *times("end_time"),
        document("people", "[]"),
        *texts("state", default="running"),
        *texts("draft"),
        *times("draft_time"),
        flag("is_edited"),
        *texts("outgoing_by"),
        *times("outgoing_time"),
        *texts("incoming_by"),
        *times("incoming_time"),
        *texts("digest"),
        *optional("previous_id"),
        _one_of("shifts", "state", ("running", "handed_over")),
    )
    _index("shifts", "uq_shifts_running", "name", where="state = 'running'", is_unique=True)
    _index("shifts", "ix_shifts_time", "start_time")
    op.create_table(
        "shift_notes",
        serial("note_id"),
        sa.Column("shift_id", sa.BigInteger(), nullable=False),
        now("time"),
        *texts("who", "text"),
        *optional("incident_id"),
    )
    _index("shift_notes", "ix_shift_notes_shift", "shift_id", "note_id")


def upgrade() -> None:
    """Create what the models say."""
    for subject in (
        *(_records, _incidents, _jobs_of_incidents, _changes, _rules, _deeds, _silences, _audit),
        *(_notices, _shifts),
    ):
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
    op.execute("DROP FUNCTION audit_is_final")
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
