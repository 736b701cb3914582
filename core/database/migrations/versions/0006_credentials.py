"""identities, device codes, secrets

Revision: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), primary_key=True)


def _text(name: str, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=False)


def _count(name: str, default: int = 0) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default=sa.text(str(default)), nullable=False)


def _now(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False)


def _time(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _document(name: str) -> sa.Column[object]:
    return sa.Column(name, JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False)


def upgrade() -> None:
    op.add_column("users", _text("permissions"))
    op.add_column("users", _text("subject"))
    # until now there was one issuer, so everybody who is known came from it
    op.execute("UPDATE users SET subject = 'embedded:' || user_name")
    op.create_table(
        "device_codes",
        _key("device_code_hash"),
        *(_text(name) for name in ("user_code_hash", "client_id", "vo", "role", "address")),
        _text("status", "pending"),
        _document("identity"),
        _count("interval_s", 2),
        _time("last_poll"),
        _now("creation_time"),
        _time("expiry_time", nullable=False),
    )
    op.create_index("ix_device_codes_user_code", "device_codes", ["user_code_hash"], unique=True)
    op.create_index("ix_device_codes_address", "device_codes", ["address"])
    op.create_index("ix_device_codes_expiry", "device_codes", ["expiry_time"])
    op.create_table("device_guesses", _key("address"), _count("misses"), _now("since"))
    op.create_table(
        "refresh_tokens",
        _key("token_hash"),
        *(_text(name) for name in ("family_id", "client_id")),
        _document("identity"),
        _text("access_token_id"),
        _now("creation_time"),
        _time("expiry_time", nullable=False),
        _time("used_time"),
        _time("revoked_time"),
    )
    op.create_index("ix_refresh_tokens_family", "refresh_tokens", ["family_id"])
    op.create_index("ix_refresh_tokens_expiry", "refresh_tokens", ["expiry_time"])
    op.create_table("user_secrets", _key("user_name"), _key("name"), _text("value"), _now("modification_time"))
    op.create_table(
        "token_keys",
        _key("key_hash"),
        *(_text(name) for name in ("client_name", "user_name")),
        _now("creation_time"),
        _time("expiry_time", nullable=False),
    )
    op.create_index("ix_token_keys_expiry", "token_keys", ["expiry_time"])
    op.create_index("ix_tokens_expiry", "tokens", ["expiry_time"])


def downgrade() -> None:
    op.drop_index("ix_tokens_expiry", "tokens")
    for table in ("token_keys", "user_secrets", "refresh_tokens", "device_guesses", "device_codes"):
        op.drop_table(table)
    for name in ("subject", "permissions"):
        op.drop_column("users", name)
