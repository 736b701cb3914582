"""`python -m bench.make_history`: fills the archive with a million ended jobs and times what the monitors ask of it."""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from core.agents.partitions import PartitionKeeper
from core.agents.rollups import RollUps
from core.clock import utc_now
from core.configuration import Settings
from core.database import Database, migrate
from core.database.embedded import EmbeddedPostgres
from core.monitor.job import job_detail
from core.monitor.jobs import job_list
from core.monitor.question import read_question
from core.monitor.selection import JOB_GRAMMAR
from core.monitor.summary import SUMMARY_GRAMMAR, summary
from core.monitor.throughput import THROUGHPUT_GRAMMAR, throughput

# skewed as real systems are: few large queues, users and tasks, many small ones; one job in ten fails
_JOBS = """
INSERT INTO jobs_archive (panda_id, jedi_task_id, job_name, job_status, computing_site, prod_source_label, processing_type,
    prod_user_name, modification_host, current_priority, creation_time, modification_time, state_change_time, start_time,
    end_time, pilot_error_code, pilot_error_diag, trans_exit_code)
SELECT i, 10000000 + floor(5000 * power(random(), 3)), 'job ' || i,
    CASE WHEN dice < 0.10 THEN 'failed' WHEN dice < 0.13 THEN 'cancelled' ELSE 'finished' END,
    'QUEUE_' || floor(100 * power(random(), 2)), CASE WHEN random() < 0.7 THEN 'managed' ELSE 'user' END,
    (ARRAY['simul', 'reco', 'merge', 'panda-client'])[1 + floor(4 * random())], 'user' || floor(300 * power(random(), 3)),
    'node' || floor(2000 * random()), 1000, ended - interval '2 hours', ended, ended, ended - interval '1 hour', ended,
    CASE WHEN dice < 0.10 THEN (ARRAY[1305, 1099, 1137, 1150])[1 + floor(4 * power(random(), 2))] ELSE 0 END,
    CASE WHEN dice < 0.10 THEN 'Failed to execute payload: exit code 1' ELSE '' END, CASE WHEN dice < 0.10 THEN 1 ELSE 0 END
FROM (
    SELECT i, random() AS dice, now() - make_interval(secs => %(seconds)s * (1 - i::float / %(rows)s)) AS ended
    FROM generate_series(1, %(rows)s) AS i
) job
"""
_HISTORY = """
INSERT INTO job_history (panda_id, jedi_task_id, previous_status, job_status, computing_site, prod_source_label,
    modification_time)
SELECT panda_id, jedi_task_id, before, after, computing_site, prod_source_label, state_change_time - ago
FROM jobs_archive CROSS JOIN LATERAL (VALUES ('assigned', 'activated', interval '70 minutes'),
    ('starting', 'running', interval '1 hour'), ('holding', job_status, interval '0')) AS step (before, after, ago)
"""

QUESTIONS: list[tuple[str, list[tuple[str, str]]]] = [
    ("first page, 24 h", [("facets", "0")]),
    ("failed, 24 h", [("job_status", "failed"), ("facets", "0")]),
    ("failed at one queue, 24 h", [("job_status", "failed"), ("computing_site", "QUEUE_7"), ("facets", "0")]),
    ("rare user, 24 h", [("prod_user_name", "user299"), ("facets", "0")]),
    ("one task, no window", [("jedi_task_id", "10004000"), ("facets", "0")]),
    ("one error, 24 h", [("error", "pilot:1137"), ("facets", "0")]),
    ("text, 24 h", [("q", "exit code 1"), ("facets", "0")]),
    ("facets, 1 h", [("hours", "1")]),
    ("facets, 6 h", [("hours", "6")]),
    ("facets, 24 h", []),
    ("facets, 48 h", [("hours", "48")]),
    ("facets of failed, 24 h", [("job_status", "failed")]),
    ("facets of one queue, 24 h", [("computing_site", "QUEUE_7")]),
]


def main() -> None:
    """Fill, measure, print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.make_history", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="ended jobs")
    parser.add_argument("--hours", type=float, default=48.0, help="time over which they ended")
    parser.add_argument("--rounds", type=int, default=5, help="times each question is asked")
    parser.add_argument("--explain", action="store_true", help="print the plan of every page of jobs")
    arguments = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="panda-history-"))
    directory.chmod(0o711)
    server = EmbeddedPostgres(directory)
    try:
        database = Database(server.start(), statement_timeout_ms=0)
        migrate(database)
        fill(database, arguments.rows, arguments.hours)
        measure(database, arguments.rounds)
        if arguments.explain:
            explain(database)
        database.close()
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def fill(database: Database, rows: int, hours: float) -> None:
    """Put `rows` ended jobs with three state changes each into the last `hours`, and count their minutes."""
    started = time.monotonic()
    PartitionKeeper(database, utc_now, 3600).cycle()
    database.execute(_JOBS, {"rows": rows, "seconds": hours * 3600})
    database.execute(_HISTORY)
    database.execute("VACUUM ANALYZE")
    agent = RollUps(database, Settings().agents.rollup_s)
    counting = time.monotonic()
    while agent.cycle():
        pass
    print(f"{rows} jobs and {3 * rows} state changes in {time.monotonic() - started:.0f} s;", end=" ")
    print(f"minute counts of all of them in {time.monotonic() - counting:.1f} s")


def measure(database: Database, rounds: int) -> None:
    """Print median and largest time of each question, and what it found."""
    print(f"{'':28} {'median ms':>10} {'max ms':>8} {'count':>9}  exact")
    for name, items in QUESTIONS:

        def page(items: list[tuple[str, str]] = items) -> dict[str, object]:
            return job_list(database, read_question(items, JOB_GRAMMAR, datetime.now(UTC)))

        _timed(name, rounds, page)
    first = job_list(database, read_question([("facets", "0")], JOB_GRAMMAR, datetime.now(UTC)))
    further = [("facets", "0"), ("cursor", str(first["next_cursor"]))]
    _timed(
        "next page, 24 h", rounds, lambda: job_list(database, read_question(further, JOB_GRAMMAR, datetime.now(UTC)))
    )
    _timed("one job", rounds, lambda: job_detail(database, 500, datetime.now(UTC)))
    _timed(
        "throughput, 24 h",
        rounds,
        lambda: throughput(database, read_question([], THROUGHPUT_GRAMMAR, datetime.now(UTC))),
    )
    now_page = read_question([], SUMMARY_GRAMMAR, datetime.now(UTC))
    _timed("summary", rounds, lambda: {"count": 0, "exact": True, **summary(database, now_page)})


def _timed(name: str, rounds: int, ask: Callable[[], dict[str, object]]) -> None:
    times = []
    answer: dict[str, object] = {}
    for _ in range(rounds):
        started = time.perf_counter()
        answer = ask()
        times.append(1000 * (time.perf_counter() - started))
    print(f"{name:28} {statistics.median(times):10.1f} {max(times):8.1f} {answer['count']!s:>9}  {answer['exact']}")


def explain(database: Database) -> None:
    """Print how PostgreSQL reads the pages of jobs."""
    from core.monitor.facets import count_statement
    from core.monitor.jobs import page_statement
    from core.monitor.selection import window_parameters

    for name, items in QUESTIONS:
        question = read_question(items, JOB_GRAMMAR, datetime.now(UTC))
        parameters = {**window_parameters(question), "limit": question.limit + 1, "after": None}
        for statement in (page_statement(question), count_statement(question)):
            print(f"\n--- {name}")
            for row in database.fetch("EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, SUMMARY OFF) " + statement, parameters):
                print(row["QUERY PLAN"])


if __name__ == "__main__":
    main()
