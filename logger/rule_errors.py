"""What an error says that a rule met: whether it is the rule's, somebody else's lock, or the database's absence."""

from __future__ import annotations

from psycopg2.errors import LockNotAvailable, QueryCanceled

from core.errors import Unavailable


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def found_a_lock(error: Exception) -> bool:
    """Whether somebody else's lock stood in its way: the database's trouble, never the rule's."""
    return isinstance(error.__cause__ if isinstance(error, Unavailable) else error, LockNotAvailable)


def is_cut_off(error: Exception) -> bool:
    """Whether a statement of it ran for too long."""
    return isinstance(error, QueryCanceled)


def is_away(error: Exception) -> bool:
    """Whether the database cannot be reached, which whoever runs the loop reports."""
    return isinstance(error, Unavailable) and not found_a_lock(error)
