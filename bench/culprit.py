"""`python -m bench.culprit`: what looking for the culprit line costs, in milliseconds and against `str.lower` of the same.

64 kB of a healthy job's log, a line of five megabytes, logs full of heads that never end, and of words that hint at causes.
Exit code 1 when the healthy log costs more than 150 times its `str.lower`. The tests count calls instead
(tests/logger/causes/test_culprit_cost.py).
"""

from __future__ import annotations

import sys
import timeit

from logger.culprit import PATTERNS, find_culprit

_LOG_CHARACTERS = 64 * 1024
_MOST_TIMES_LOWER = 150
"""Measured 36 times; the rest is for busy machines."""


def main() -> None:
    """Measure and print; exit code 1 when the claim does not hold."""
    healthy = "".join(
        f"2026-11-26 10:00:{number % 60:02d} INFO event {number} processed in {number * 7 % 13}.2 s\n"
        for number in range(2000)
    )[:_LOG_CHARACTERS]
    logs = {
        "64 kB without a cause": healthy,
        "a line of 5 MB": "ab error c " * 460_000,
        "4000 tracebacks without an end": "Traceback (most recent call last):\n  x\nx\n" * 4000,
        "4000 summaries without an end": "= FAILURES =\nx\n" * 4000,
    }
    for name, log in logs.items():
        print(f"{name:32} {_ms(log):8.2f} ms")
    hints = sorted({hint for pattern in PATTERNS for hint in pattern.hints})
    cost, hint = max((_ms((f"{hint} " * 2000)[:1999] + "\n"), hint) for hint in hints)
    print(f"{'2 kB of the costliest hint':32} {cost:8.2f} ms ({hint})")
    ratio = min(_ms(healthy) / (1000 * _seconds(healthy.lower)) for _ in range(3))
    holds = ratio < _MOST_TIMES_LOWER
    print(f"{ratio:.0f} times str.lower of the same; claim: below {_MOST_TIMES_LOWER}: {'holds' if holds else 'FAILS'}")
    sys.exit(0 if holds else 1)


def _ms(log: str) -> float:
    return 1000 * _seconds(lambda: find_culprit(log))


def _seconds(call: object) -> float:
    return min(timeit.repeat(call, number=1, repeat=5))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
