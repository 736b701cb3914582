"""The cache: small files that clients upload and jobs fetch, sandboxes above all (client-wire.md 4.1)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from core.models.columns import number, time_now, words


class CacheFile(SQLModel, table=True):
    """A file in the cache directory of one host. The names are the clients' own, unique by the uuid in them."""

    __tablename__ = "cache_files"
    __table_args__ = (
        # is this content here already?
        Index("ix_cache_files_content", "user_name", "size_bytes", "checksum"),
        # expiry
        Index("ix_cache_files_touch", "touch_time"),
    )

    file_name: str = Field(primary_key=True)
    user_name: str = Field()
    size_bytes: int = number(0)
    checksum: str = words()
    """CRC-32 of the unpacked content as a decimal number, as it stands in a gzip trailer; empty for what is no gzip."""
    host: str = words()
    """Name of the machine whose disk holds it."""
    creation_time: datetime = time_now()
    touch_time: datetime = time_now()
    """When it was last uploaded, found again or touched."""
