"""Connections, migrations and the embedded server."""

from core.database.connection import Database, Row, Transaction
from core.database.migrate import migrate

__all__ = ["Database", "Row", "Transaction", "migrate"]
