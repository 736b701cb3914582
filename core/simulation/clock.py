"""Virtual time for a whole database: its statements say `clock_timestamp()` and get the time of the simulation.

A schema before `pg_catalog` in the search path of the scratch database holds a function of that name, so that the code
under trial, its prepared statements and the defaults of its columns follow without a change. Knows no table.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from psycopg2 import sql
from sqlalchemy import event, make_url

from core.database import Database

_SETTING = "panda.virtual_now"

# STABLE and of one expression, so that the planner puts the expression in the place of the call
_FUNCTION = f"""
CREATE SCHEMA simulated;
CREATE FUNCTION simulated.clock_timestamp() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT pg_catalog.current_setting('{_SETTING}')::timestamptz $$;
"""


class VirtualClock:
    """The time of one scratch database. `now()` is the clock for Python code that takes one."""

    def __init__(self, database: Database, start: datetime) -> None:
        """Make the database's time stand at `start`; to be called before its schema is made, and only once."""
        self._now = start
        name = sql.Identifier(make_url(database.url).database or "")
        with database.dedicated_connection() as connection, connection.cursor() as cursor:
            cursor.execute(_FUNCTION)
            # of the database, so that it holds on every connection, whoever opens it; tables are made in the first one
            cursor.execute(sql.SQL("ALTER DATABASE {} SET search_path = public, simulated, pg_catalog").format(name))
            cursor.execute(
                sql.SQL("ALTER DATABASE {} SET {} = %s").format(name, sql.Identifier(*_SETTING.split("."))),
                (start.isoformat(),),
            )
        database.engine.dispose()
        event.listen(database.engine, "checkout", self._wind)

    def now(self) -> datetime:
        """The virtual time, UTC."""
        return self._now

    def move_to(self, moment: datetime) -> None:
        """Let time jump to `moment`; no transaction may be open."""
        self._now = moment

    def _wind(self, connection: Any, record: Any, _proxy: Any) -> None:
        """Tell a pooled connection the time, if it has not been told this one."""
        if record.info.get(_SETTING) == self._now:
            return
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_catalog.set_config(%s, %s, false)", (_SETTING, self._now.isoformat()))
        if not connection.autocommit:
            connection.commit()
        record.info[_SETTING] = self._now
