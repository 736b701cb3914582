"""what people do to incidents and are told of them: deeds, silences, the audit, notices, shifts; a function for each

Revision: 0012
Revises: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from core.database.migrations.columns import (
    counts,
    document,
    flag,
    index,
    key,
    now,
    number_key,
    one_of,
    optional,
    serial,
    texts,
    times,
)

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_NEW_TABLES = (
    *("previews", "deeds", "deed_targets", "silences", "audit"),
    *("notice_routes", "incident_notices", "notice_messages", "shifts", "shift_notes"),
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
    index("previews", "ix_previews_expiry", "expiry_time")
    index("previews", "ix_previews_who", "who", where="used_time IS NULL")
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
        one_of("deeds", "state", ("executing", "done", "partly", "failed")),
        one_of("deeds", "revert_kind", ("", "time", "tests")),
        one_of("deeds", "revert_state", ("", "waiting", "done", "cancelled", "superseded")),
    )
    index("deeds", "ix_deeds_incident", "incident_id", "deed_id", where="incident_id IS NOT NULL")
    index("deeds", "ix_deeds_open", "lease_until", where="state = 'executing'")
    index("deeds", "ix_deeds_revert", "revert_time", where="revert_state = 'waiting'")
    index("deeds", "ix_deeds_time", "time")
    op.create_table(
        "deed_targets",
        number_key("deed_id"),
        key("target"),
        *texts("state", default="waiting"),
        *texts("note"),
        *times("done_time"),
        one_of("deed_targets", "state", ("waiting", "done", "refused", "gone")),
    )
    index("deed_targets", "ix_deed_targets_waiting", "deed_id", where="state = 'waiting'")


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
        one_of("silences", "until_kind", ("time", "shift", "doubles", "second_queue", "fixed")),
        sa.CheckConstraint(
            "(until_kind IN ('time', 'shift')) = (until_time IS NOT NULL)", name="ck_silences_until_time"
        ),
        sa.CheckConstraint("incident_id IS NOT NULL OR matcher <> '{}'", name="ck_silences_of_something"),
    )
    lives = "end_time IS NULL"
    of_incident = f"{lives} AND incident_id IS NOT NULL"
    index("silences", "uq_silences_incident", "incident_id", where=of_incident, is_unique=True)
    index("silences", "ix_silences_live", "silence_id", where=lives)
    index("silences", "ix_silences_time", "start_time")


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
    index("audit", "ix_audit_object", "object_kind", "object_id", "audit_id")
    index("audit", "ix_audit_who", "who", "audit_id")
    index("audit", "ix_audit_time", "time")
    index("audit", "ix_audit_deed", "deed_id", where="deed_id IS NOT NULL")
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
        one_of("notice_routes", "channel", ("webhook", "slack", "mail")),
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
        one_of("incident_notices", "state", ("waiting", "sending", "sent", "failed", "lost", "suppressed")),
    )
    is_due = "state IN ('waiting', 'sending')"
    index("incident_notices", "ix_incident_notices_due", "next_try_time", where=is_due)
    index("incident_notices", "ix_incident_notices_incident", "incident_id")
    index("incident_notices", "ix_incident_notices_message", "message_id", where="message_id <> ''")
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
        one_of("shifts", "state", ("running", "handed_over")),
    )
    index("shifts", "uq_shifts_running", "name", where="state = 'running'", is_unique=True)
    index("shifts", "ix_shifts_time", "start_time")
    op.create_table(
        "shift_notes",
        serial("note_id"),
        sa.Column("shift_id", sa.BigInteger(), nullable=False),
        now("time"),
        *texts("who", "text"),
        *optional("incident_id"),
    )
    index("shift_notes", "ix_shift_notes_shift", "shift_id", "note_id")


def upgrade() -> None:
    """Create what the models say."""
    for subject in (_deeds, _silences, _audit, _notices, _shifts):
        subject()


def downgrade() -> None:
    """Take back the tables; what people did is gone with them."""
    for table in _NEW_TABLES:
        op.drop_table(table)
    op.execute("DROP FUNCTION audit_is_final")
