"""What the database remembers of tokens, and for how long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from core.database import Database
from core.identity import record_token


def record(database: Database, token_id: str, *, expired_days_ago: float) -> None:
    expiry_time = datetime.now(UTC) - timedelta(days=expired_days_ago)
    record_token(database, token_id=token_id, user_name="kate", vo="vo", roles=[], expiry_time=expiry_time)


def test_tokens_that_expired_long_ago_are_forgotten_with_the_next_one(database):
    record(database, "old", expired_days_ago=31)
    record(database, "expired", expired_days_ago=29)
    record(database, "good", expired_days_ago=-1)
    known = database.fetch("SELECT token_id FROM tokens ORDER BY token_id")
    assert [row["token_id"] for row in known] == ["expired", "good"]
