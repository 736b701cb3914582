"""Regular expressions of rules, matched by PostgreSQL, whose engine does not run away; a limit of time holds all the same.

Anchored at the start of the message, and the dot matches line ends (domain.md 15). Knows no table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg2.errors

from core.database import Database, Transaction
from core.errors import InvalidInput
from core.expressions.checking import check_expression

MAX_MESSAGE = 1000
"""Of what was said, so many characters are looked at."""
MAX_PATTERN = 1000
_LIMIT_ALL_S = 3.0
"""For all expressions of a batch of jobs; beyond it each is tried alone."""
_LIMIT_ONE_S = 2.0
_OPTIONS = re.compile(r"\(\?([a-z]+)\)")
_USABLE_OPTIONS = frozenset("cimnpstw")

# the pairs are numbers into the two lists, so that no message is sent twice
_MATCHING = """
WITH pattern AS (SELECT * FROM unnest(%(patterns)s::text[]) WITH ORDINALITY AS p (expression, n)),
     message AS (SELECT * FROM unnest(%(messages)s::text[]) WITH ORDINALITY AS m (text, n))
SELECT w.pattern_n, w.message_n FROM unnest(%(pattern_ns)s::bigint[], %(message_ns)s::bigint[]) AS w (pattern_n, message_n)
JOIN pattern p ON p.n = w.pattern_n JOIN message m ON m.n = w.message_n
WHERE m.text ~ p.expression
"""


@dataclass
class Matches:
    """Which expression matches which message, and what was found to be no usable expression, with the reason."""

    found: set[tuple[str, str]] = field(default_factory=set)
    unusable: dict[str, str] = field(default_factory=dict)

    def says(self, pattern: str, message: str) -> bool:
        """Whether an expression matches a message that was asked about."""
        return (pattern, message[:MAX_MESSAGE]) in self.found


def anchored(pattern: str) -> str:
    """The expression as PostgreSQL gets it: it must match from the start, and its options stay in front."""
    options = _OPTIONS.match(pattern)
    head = options.group(0) if options else ""
    return f"{head}^(?:{pattern[len(head) :]})"


def check_pattern(database: Database, pattern: str) -> None:
    """Raise InvalidInput naming error_diag unless the expression can match something, and PostgreSQL can compile it."""
    options = _OPTIONS.match(pattern)
    if pattern.startswith("***") or (options and not set(options.group(1)) <= _USABLE_OPTIONS):
        raise InvalidInput(
            "begins with options that are not supported", field="error_diag", remedy="(?i) and (?n) are, others are not"
        )
    if len(pattern) > MAX_PATTERN:
        raise InvalidInput(f"longer than {MAX_PATTERN} characters", field="error_diag", remedy="shorten it")
    check_expression(pattern, "error_diag", whole=False)
    for expression in (pattern, anchored(pattern)):
        try:
            with database.transaction() as transaction, _time_limit(transaction, _LIMIT_ONE_S):
                transaction.fetch("SELECT '' ~ %(expression)s", {"expression": expression})
        except (psycopg2.errors.InvalidRegularExpression, psycopg2.errors.QueryCanceled) as error:
            raise InvalidInput(
                _reason(error),
                field="error_diag",
                remedy="a regular expression of PostgreSQL, or write the characters out",
            ) from error


_UNLIKE = (" ", "x", "Q", "7", "-", "é", "\n", "killed by signal 9", "No space left on device")
"""Messages that have nothing in common."""


def matches_everything(database: Database, pattern: str) -> bool:
    """Whether an expression matches messages that have nothing in common, so that it says nothing about them."""
    [row] = database.fetch(
        "SELECT '' ~ %(pattern)s OR (SELECT bool_and(m ~ %(pattern)s) FROM unnest(%(messages)s::text[]) AS m) AS fits",
        {"pattern": anchored(pattern), "messages": list(_UNLIKE)},
    )
    return bool(row["fits"])


def match_all(transaction: Transaction, wanted: Mapping[str, Sequence[str]]) -> Matches:
    """Match every expression with its messages, inside a savepoint: whatever an expression is, the transaction goes on."""
    if not any(wanted.values()):
        return Matches()
    reason = _try(transaction, wanted, Matches(), _LIMIT_ALL_S)
    if isinstance(reason, Matches):
        return reason
    together = Matches()
    for pattern, messages in wanted.items():
        answer = _try(transaction, {pattern: messages}, together, _LIMIT_ONE_S)
        if not isinstance(answer, Matches):
            together.unusable[pattern] = answer
    return together


def _try(
    transaction: Transaction, wanted: Mapping[str, Sequence[str]], matches: Matches, limit_s: float
) -> Matches | str:
    """`matches` with what matches added, or the reason why it could not be told."""
    patterns = list(wanted)
    messages = list(dict.fromkeys(text[:MAX_MESSAGE] for texts in wanted.values() for text in texts))
    number_of = {text: number for number, text in enumerate(messages, start=1)}
    pairs = [
        (number, number_of[text])
        for number, pattern in enumerate(patterns, start=1)
        for text in dict.fromkeys(text[:MAX_MESSAGE] for text in wanted[pattern])
    ]
    values = {
        "patterns": [anchored(pattern) for pattern in patterns],
        "messages": messages,
        "pattern_ns": [pair[0] for pair in pairs],
        "message_ns": [pair[1] for pair in pairs],
    }
    transaction.execute("SAVEPOINT patterns")
    try:
        with _time_limit(transaction, limit_s):
            rows = transaction.fetch(_MATCHING, values)
    except (psycopg2.errors.QueryCanceled, psycopg2.DataError, psycopg2.ProgrammingError) as error:
        transaction.execute("ROLLBACK TO SAVEPOINT patterns")
        return _reason(error)
    transaction.execute("RELEASE SAVEPOINT patterns")
    matches.found.update((patterns[row["pattern_n"] - 1], messages[row["message_n"] - 1]) for row in rows)
    return matches


@contextmanager
def _time_limit(transaction: Transaction, limit_s: float) -> Iterator[None]:
    """What was the limit before holds again afterwards; the end of a savepoint or transaction restores it as well."""
    before = transaction.fetch("SELECT current_setting('statement_timeout') AS before")[0]["before"]
    _set_limit(transaction, f"{int(limit_s * 1000)}ms")
    yield
    _set_limit(transaction, before)


def _set_limit(transaction: Transaction, limit: str) -> None:
    transaction.execute("SELECT set_config('statement_timeout', %(limit)s, true)", {"limit": limit})


def _reason(error: psycopg2.Error) -> str:
    if isinstance(error, psycopg2.errors.QueryCanceled):
        return f"takes longer than {_LIMIT_ONE_S:g} s to match"
    return str(error).strip().splitlines()[0]
