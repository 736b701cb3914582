"""The power of a core of a queue (schedconfig `corepower`, domain.md 6.1), as one rule for Python and SQL. Knows no table.

Operators and CRIC write it as a number or as text; what is neither, or beyond all machines, counts as not stated.
"""

from __future__ import annotations

from core.numbers import as_number

DEFAULT_CORE_POWER = 10.0
"""Of a queue that does not state it, in the units of the benchmark (HS06 or HS23)."""
LEAST_CORE_POWER, MOST_CORE_POWER = 0.001, 1_000_000

# one test inside the other: PostgreSQL may look at both sides of an AND
CORE_POWER = rf"""CASE WHEN btrim(q.parameters ->> 'corepower') ~ '^[0-9]{{1,7}}([.][0-9]{{0,30}})?([eE][-+]?[0-9]{{1,2}})?$' THEN
         CASE WHEN (q.parameters ->> 'corepower')::numeric BETWEEN {LEAST_CORE_POWER} AND {MOST_CORE_POWER}
              THEN (q.parameters ->> 'corepower')::float ELSE {DEFAULT_CORE_POWER} END
         ELSE {DEFAULT_CORE_POWER} END"""
"""SQL over a queue `q`, which may be none."""


def core_power(stated: object) -> float:
    """The power that a value of `corepower` states, or the usual one."""
    power = as_number(stated)
    return power if power is not None and LEAST_CORE_POWER <= power <= MOST_CORE_POWER else DEFAULT_CORE_POWER
