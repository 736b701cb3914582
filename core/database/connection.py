"""The door to PostgreSQL: transactions, single hot statements, notifications. Knows no table.

Two ways to speak: `transaction()` for work of several statements, and `fetch()`/`execute()` for one statement that is
its own transaction (autocommit, no BEGIN and COMMIT round trips: the hot paths are built on it, stack.md).
Parameters are always bound (`%(name)s`); no statement is ever put together from input.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import orjson
import psycopg2
import psycopg2.extras
from psycopg2 import sql
from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool

from core.database.copying import copy_text
from core.database.prepared import PreparedStatement
from core.errors import Unavailable

Row = dict[str, Any]
Parameters = Mapping[str, Any]

psycopg2.extensions.register_adapter(dict, psycopg2.extras.Json)
# the reader of documents that answers are written with: a number that it cannot hold it reads as a float, so that
# whatever is stored can be shown
psycopg2.extras.register_default_jsonb(globally=True, loads=orjson.loads)

# classes of SQLSTATE (PostgreSQL manual, appendix A); psycopg2 calls many more things operational, a too long key for one
_SERVER_IS_GOING = ("08", "57P", "58")
"""The connection is lost, the server stops or starts, its files cannot be read: the pool is thrown away."""
_TRY_AGAIN = ("40", "53", "55P03")
"""Deadlock, no space or connections left, lock not got: rolled back, and the connection is sound."""
_CHECK_FAILED = "23514"
_PARTITION_CHECK = "ExecPartitionCheckEmitError"
_COPY_CHUNK_BYTES = 262_144


class Transaction:
    """One open transaction. Everything done through it happens together or not at all."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def fetch(self, statement: str, parameters: Parameters | None = None) -> list[Row]:
        """Run a statement that returns rows."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return _as_rows(cursor, cursor.fetchall())

    def fetch_one(self, statement: str, parameters: Parameters | None = None) -> Row | None:
        """Run a statement and return its first row, or None."""
        rows = self.fetch(statement, parameters)
        return rows[0] if rows else None

    def execute(self, statement: str, parameters: Parameters | None = None) -> int:
        """Run a statement and return how many rows it touched."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return int(cursor.rowcount)

    def insert_many(self, statement: str, rows: Sequence[Sequence[Any]], page_size: int = 1000) -> None:
        """`INSERT ... VALUES %s` for many rows in few round trips."""
        if not rows:
            return
        with self._connection.cursor() as cursor:
            psycopg2.extras.execute_values(cursor, statement, rows, page_size=page_size)

    def insert_returning(self, statement: str, rows: Sequence[Sequence[Any]], page_size: int = 1000) -> list[Row]:
        """`INSERT ... VALUES %s RETURNING ...` for many rows; the answers in no promised order."""
        if not rows:
            return []
        with self._connection.cursor() as cursor:
            answers = psycopg2.extras.execute_values(cursor, statement, rows, page_size=page_size, fetch=True)
            return _as_rows(cursor, answers)

    def copy_rows(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
        """Add rows with COPY, the cheapest way in, and return how many; each holds the values of `columns`.

        Takes what `core.database.copying` can write. No row comes back: what the database fills in stays there.
        """
        text, count = copy_text(rows)
        if not count:
            return 0
        statement = sql.SQL("COPY {} ({}) FROM STDIN (ENCODING 'UTF8')").format(
            sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
        )
        with self._connection.cursor() as cursor:
            cursor.copy_expert(statement, BytesIO(text), _COPY_CHUNK_BYTES)
        return count

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what the block did when it raises, and nothing else: the transaction can go on, its locks stay."""
        self.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            if not self._connection.closed:
                self.execute("ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part")
            raise
        self.execute("RELEASE SAVEPOINT part")


def _as_rows(cursor: Any, answers: Sequence[Sequence[Any]]) -> list[Row]:
    """By column. The driver's own cursor of dictionaries takes five times as long, on every hot path."""
    names = [column.name for column in cursor.description]
    return [dict(zip(names, answer, strict=True)) for answer in answers]


class Database:
    """A pool of connections to one PostgreSQL. Safe to share between threads, not between processes."""

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 10,
        pool_overflow: int = 10,
        pool_timeout_s: float = 10.0,
        statement_timeout_ms: int = 60_000,
    ) -> None:
        """`url`: SQLAlchemy URL of PostgreSQL >= 15. The pool grows by `pool_overflow` connections under load."""
        self.url = url
        self.on_trouble: Callable[[Unavailable], None] | None = None
        """Told of every time the database did not answer, before whoever asked; it must not raise, nor ask."""
        self.engine: Engine = create_engine(
            url,
            poolclass=QueuePool,
            pool_size=pool_size,
            max_overflow=pool_overflow,
            pool_timeout=pool_timeout_s,
            pool_pre_ping=False,
            pool_recycle=3600,
            connect_args={
                "connect_timeout": 10,
                "options": f"-c timezone=UTC -c statement_timeout={statement_timeout_ms} "
                # of prepared statements only: values never change which plan is best, planning costs more than running
                "-c plan_cache_mode=force_generic_plan",
                "application_name": "pandascope",
            },
        )

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        """A pooled connection in autocommit mode; a broken one is thrown away and reported as `Unavailable`."""
        with self._pooled() as (driver, _):
            yield driver

    @contextmanager
    def _pooled(self) -> Iterator[tuple[Any, dict[Any, Any]]]:
        """The connection, and notes that live as long as it does."""
        try:
            pooled = self.engine.raw_connection()
        except (psycopg2.OperationalError, SQLAlchemyError) as error:
            raise self._trouble(error) from error
        try:
            driver: Any = pooled.driver_connection
            if not driver.autocommit:
                driver.autocommit = True
            yield driver, pooled.info
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            if driver.closed or (error.pgcode or "").startswith(_SERVER_IS_GOING):
                pooled.invalidate(error)
                self.engine.dispose()
                raise self._trouble(error) from error
            if (error.pgcode or "").startswith(_TRY_AGAIN):
                raise self._trouble(error) from error
            raise
        except psycopg2.IntegrityError as error:
            if _is_between_partitions(error):
                raise Unavailable(
                    f"a partition was made meanwhile: {error.diag.message_primary}", remedy="try again"
                ) from error
            raise
        finally:
            pooled.close()

    def _trouble(self, error: Exception) -> Unavailable:
        trouble = _unavailable(error)
        if self.on_trouble is not None:
            self.on_trouble(trouble)
        return trouble

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Commit at the end of the block, roll back when it raises."""
        with self._connection() as connection:
            connection.autocommit = False
            try:
                yield Transaction(connection)
                connection.commit()
            except BaseException:
                if not connection.closed:
                    connection.rollback()
                raise
            finally:
                if not connection.closed:
                    connection.autocommit = True

    def fetch(self, statement: str, parameters: Parameters | None = None) -> list[Row]:
        """One statement as its own transaction, returning rows."""
        with self._connection() as connection:
            return Transaction(connection).fetch(statement, parameters)

    def fetch_prepared(self, prepared: PreparedStatement, parameters: Parameters) -> list[Row]:
        """Like `fetch`, with a plan that the connection keeps."""
        with self._pooled() as (connection, notes):
            known = notes.setdefault("prepared", set())
            if prepared.name not in known:
                # `statement` holds no parameters any more, only $1, $2: it is not bound by the driver
                Transaction(connection).execute(prepared.prepare)
                known.add(prepared.name)
            return Transaction(connection).fetch(prepared.execute, parameters)

    def fetch_one(self, statement: str, parameters: Parameters | None = None) -> Row | None:
        """One statement as its own transaction, returning its first row or None."""
        rows = self.fetch(statement, parameters)
        return rows[0] if rows else None

    def execute(self, statement: str, parameters: Parameters | None = None) -> int:
        """One statement as its own transaction, returning the number of rows touched."""
        with self._connection() as connection:
            return Transaction(connection).execute(statement, parameters)

    def ping(self) -> None:
        """Raise Unavailable unless the database answers."""
        self.fetch("SELECT 1")

    @contextmanager
    def advisory_lock(self, key: int, *, wait: bool) -> Iterator[bool]:
        """Hold a session lock on a connection of its own; yields whether it was got. kill -9 frees it."""
        with self.dedicated_connection() as connection, connection.cursor() as cursor:
            if wait:
                cursor.execute("SET statement_timeout = 0; SELECT pg_advisory_lock(%s)", (key,))
                yield True
            else:
                cursor.execute("SELECT pg_try_advisory_lock(%s)", (key,))
                yield bool(cursor.fetchone()[0])

    @contextmanager
    def dedicated_connection(self) -> Iterator[Any]:
        """A psycopg2 connection outside the pool, in autocommit mode, closed at the end: for locks and LISTEN."""
        try:
            arguments = self.engine.dialect.create_connect_args(self.engine.url)[1]
            driver: Any = psycopg2.connect(
                **arguments, connect_timeout=10, options="-c timezone=UTC", application_name="pandascope"
            )
        except psycopg2.OperationalError as error:
            raise _unavailable(error) from error
        driver.autocommit = True
        try:
            yield driver
        finally:
            driver.close()

    def listen(self, channel: str, timeout_s: float) -> Iterator[list[str]]:
        """Payloads notified on `channel` as they come; an empty list after each `timeout_s` without any."""
        with self.dedicated_connection() as connection:
            with connection.cursor() as cursor:
                cursor.execute(f"LISTEN {psycopg2.extensions.quote_ident(channel, connection)}")
            while True:
                ready, _, _ = select.select([connection], [], [], timeout_s)
                if ready:
                    try:
                        connection.poll()
                    except psycopg2.Error as error:
                        raise _unavailable(error) from error
                payloads = [notice.payload for notice in connection.notifies]
                connection.notifies.clear()
                yield payloads


def server_of(url: str) -> str:
    """Server and database that an SQLAlchemy URL means, for people: without user and password."""
    address = make_url(url)
    server = address.host or str(address.query.get("host") or "the local socket")
    return f"{server}{f':{address.port}' if address.port else ''}, database {address.database or '(none)'}"


def _is_between_partitions(error: psycopg2.Error) -> bool:
    """A row waited for the default partition while one of its own was made beside it: it goes there the next time. Other
    checks, those that a table declares or a trigger makes, have the same code; the place in PostgreSQL tells them apart."""
    return error.pgcode == _CHECK_FAILED and error.diag.source_function == _PARTITION_CHECK


def _unavailable(error: Exception) -> Unavailable:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return Unavailable(f"the database does not answer: {reason}", remedy="it is tried again; see `panda status`")
