"""Connections, migrations and the embedded server."""

from core.database.connection import Database, Row, Transaction, server_of
from core.database.migrate import migrate

__all__ = ["Database", "Row", "Transaction", "migrate", "server_of"]
