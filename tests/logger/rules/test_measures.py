"""The measures one by one: what each calls a trouble, and what a healthy, small or sleeping installation looks like."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core.agents.base import Agent, run_loops
from core.database import Database
from core.incident_settings import IncidentSettings
from logger.rules.clocks import ClockSkew
from logger.rules.database import KEY, DatabaseSlow
from logger.rules.expiry import Expiry, certificate_end
from logger.store import IncidentStore
from logger.waits import WaitHours
from logger.watching import Watcher
from tests.logger.builders import record
from tests.logger.rules.watched import NOW, Watched
from tests.support.system import eventually

_TABLES = (
    "jobs_live, jobs_archive, job_history, job_files, incidents, incident_activity, incident_changes, incident_breakdown, "
    "incident_bins, queue_contacts, queues, agent_runs, tasks, throughput_minutes, throughput_hours, wait_hours, "
    "watch_samples, log_sources"
)


@pytest.fixture
def fresh(shared_database: Database) -> Database:
    """The module's database without what the test before left."""
    shared_database.execute(f"TRUNCATE {_TABLES}")
    return shared_database


def seen(watched: Watched, **fields: Any) -> list[Any]:
    names = tuple(fields) or ("title",)
    return [tuple(one[name] for name in names) for one in watched.incidents()]


# --- agents


def agent(watched: Watched, name: str, due_s: float, *, ran_s: float = 60, took_s: float = 0, error: str = "") -> None:
    watched.database.execute(
        """INSERT INTO agent_runs (name, host, last_run, next_run, duration_ms, last_error)
           VALUES (%(name)s, 'node7', %(ran)s, %(due)s, %(took)s, %(error)s)""",
        {
            "name": name,
            "ran": watched.now - timedelta(seconds=ran_s),
            "due": watched.now - timedelta(seconds=due_s),
            "took": took_s * 1000,
            "error": error,
        },
    )


def test_an_agent_that_does_not_begin_is_told_with_its_host_and_error(fresh: Database) -> None:
    watched = Watched(fresh, rules=("agents_late",))
    agent(watched, "adder", 61, error="no space")
    agent(watched, "setupper", 59)
    assert watched.look(only_quick=True) == 1
    (incident,) = watched.incidents()
    assert incident["culprit_line"] == "adder on node7 was due 61 s ago; its last error: no space"
    assert (incident["component"], incident["error_class"], incident["kind"]) == ("adder", "central", "service")
    fresh.execute("UPDATE agent_runs SET next_run = %(next)s", {"next": watched.now + timedelta(seconds=1)})
    assert watched.look(only_quick=True) == 1 and watched.open() == []


def test_agents_that_may_be_late_are_no_trouble(fresh: Database) -> None:
    watched = Watched(fresh, rules=("agents_late",))
    agent(watched, "record_days", -3600, ran_s=10)
    agent(watched, "long_worker", 100, took_s=80)
    agent(watched, "gone_with_a_release", 3700, ran_s=3710)
    agent(watched, "rule_watcher", 400)
    fresh.execute("INSERT INTO agent_runs (name, cursor) VALUES ('only_a_cursor', 7)")
    assert watched.look() == 0


def test_an_agent_that_this_process_has_is_late_for_as_long_as_it_hangs(fresh: Database) -> None:
    class Hanging(Agent):
        name = "hangs_for_days"
        period_s = 1.0

        def cycle(self) -> int:
            return 0

    watched = Watched(fresh, rules=("agents_late",))
    agent(watched, "hangs_for_days", 30 * 3600, ran_s=30 * 3600)
    assert watched.look() == 0, "it is no agent of this process"
    stop = threading.Event()
    stop.set()
    run_loops([Hanging()], fresh, stop)
    assert watched.look() == 1


def test_after_a_quick_restart_agents_have_time_to_begin_too(fresh: Database) -> None:
    watched = Watched(fresh, rules=("agents_late",), up_for=None)
    watched.look()
    watched.after(seconds=50).look()
    agent(watched, "adder", -1, ran_s=0)
    watched.after(seconds=120).start()
    assert watched.look() == 0, "two minutes are no break, but it has just begun"
    fresh.execute(
        "UPDATE agent_runs SET next_run = %(now)s + interval '1 s' WHERE name = 'adder'", {"now": watched.now}
    )
    assert watched.after(seconds=59).look() == 0
    assert watched.after(seconds=5).look() == 1


def test_after_a_start_agents_have_time_to_begin(fresh: Database) -> None:
    watched = Watched(fresh, rules=("agents_late",), up_for=timedelta(seconds=20))
    agent(watched, "adder", 3600, ran_s=3600)
    assert watched.look() == 0


# --- the database


def test_a_lock_that_keeps_others_waiting_is_one_incident_with_its_statement(fresh: Database) -> None:
    watched = Watched(fresh, rules=("database_slow", "silent_queue"))
    watched.limits("database_slow", limit_s=0.05, for_s=0)
    with fresh.dedicated_connection() as holder:
        holder.autocommit = False
        holder.cursor().execute("LOCK TABLE jobs_live IN ACCESS EXCLUSIVE MODE")
        assert watched.look(only_quick=True) == 1, "what finds no answer there is the database's trouble"
        assert watched.incidents()[0]["culprit_line"].startswith("LOCK TABLE jobs_live IN ACCESS EXCLUSIVE MODE held ")
        waiter = threading.Thread(target=lambda: fresh.fetch("SELECT 1 FROM jobs_live LIMIT 1"))
        waiter.start()
        waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        eventually(lambda: fresh.fetch(waits), what="somebody waits for the lock")
        (measured,) = DatabaseSlow(pause=lambda seconds: None).measure(*_look(watched, "database_slow"))
        holder.rollback()
        waiter.join()
    assert measured.note.startswith("LOCK TABLE jobs_live IN ACCESS EXCLUSIVE MODE held ")
    assert "by pid" in measured.note and measured.note.endswith("1 wait")
    (incident,) = watched.incidents()
    assert (incident["fingerprint"], incident["severity"]) == (KEY, "critical")
    assert (incident["component"], incident["error_class"]) == ("database", "database")
    watched.limits("database_slow", limit_s=2)
    assert watched.after(seconds=30).look(only_quick=True) == 0, "those who wait may still report it"
    assert watched.after(seconds=60).look(only_quick=True) == 1 and watched.open() == []


def test_agents_are_not_late_by_themselves_while_the_database_is_slow_nor_just_after(fresh: Database) -> None:
    watched = Watched(fresh, rules=("database_slow", "agents_late"))
    agent(watched, "adder", 90)
    watched.limits("database_slow", limit_s=1e-6, for_s=0)
    watched.look(only_quick=True)
    assert [one["fingerprint"] for one in watched.incidents()] == [KEY]
    watched.limits("database_slow", limit_s=2, for_s=4)
    watched.after(seconds=10).look(only_quick=True)
    assert len(watched.incidents()) == 1
    watched.after(seconds=6).look(only_quick=True)
    assert watched.incidents()[1]["component"] == "adder"


def _look(watched: Watched, rule: str) -> Any:
    from logger.rule_rows import active_rules
    from logger.rules.base import Look

    row = next(row for row in active_rules(watched.database) if row.name == rule)
    with watched.database.transaction() as transaction:
        return Look(
            transaction, watched.now, watched.database, IncidentSettings(), watched.now, watched.now
        ), row.limits


def test_who_finds_the_database_away_and_the_rule_speak_of_one_incident(fresh: Database) -> None:
    away = record(fingerprint="database does not answer", kind="service", component="database")
    IncidentStore(fresh).ingest_records({"records": [away]}, "x")
    watched = Watched(fresh, rules=("database_slow",))
    watched.now = datetime.now(UTC)
    watched.limits("database_slow", limit_s=1e-6, for_s=0)
    watched.look()
    assert [one["fingerprint"] for one in watched.incidents()] == [KEY]
    watched.limits("database_slow", limit_s=2, for_s=4)


def test_a_quick_database_is_no_trouble_and_is_measured(fresh: Database) -> None:
    watched = Watched(fresh, rules=("database_slow",))
    assert watched.look() == 0
    (row,) = fresh.fetch("SELECT value FROM watch_samples WHERE rule_name = 'database_slow'")
    assert 0 < row["value"] < 1


# --- tasks that stand still


def task(
    watched: Watched, task_id: int, *, last_end_min: float, finished: int = 30, hours: float = 5, walltime_s: int = 300
) -> None:
    """A running task whose jobs ended one after the other, the last so long ago."""
    fresh, last = watched.database, watched.ago(last_end_min)
    fresh.execute(
        """INSERT INTO tasks (jedi_task_id, status, user_name, n_finished, start_time)
           VALUES (%(id)s, 'running', 'ann', %(finished)s, %(start)s)""",
        {"id": task_id, "finished": finished, "start": watched.ago(hours * 60)},
    )
    fresh.execute(
        """INSERT INTO jobs_archive (panda_id, jedi_task_id, job_status, state_change_time, start_time, end_time)
           SELECT %(id)s::bigint * 1000 + n, %(id)s, 'finished', %(last)s::timestamptz - make_interval(mins => 30 - n),
                  %(last)s::timestamptz - make_interval(mins => 30 - n, secs => %(walltime)s),
                  %(last)s::timestamptz - make_interval(mins => 30 - n)
           FROM generate_series(1, 30) n""",
        {"id": task_id, "last": last, "walltime": walltime_s},
    )


def test_a_task_whose_jobs_run_and_none_ends_is_told(fresh: Database) -> None:
    watched = Watched(fresh, rules=("task_stalled",))
    task(watched, 10_000_001, last_end_min=150)
    watched.job(170, "running", task=10_000_001, count=3)
    assert [watched.look(), watched.after(seconds=121).look()] == [0, 1]
    (incident,) = watched.incidents()
    assert (incident["jedi_task_id"], incident["kind"]) == (10_000_001, "absence")
    assert incident["title"].endswith("3 jobs run") and "one had ended every" in incident["culprit_line"]
    fresh.execute("UPDATE tasks SET status = 'done'")
    assert watched.look() == 1


@pytest.mark.parametrize(
    ("case", "fields", "job_minutes", "walltime_s"),
    [
        ("one ended lately", {"last_end_min": 30}, 170, 0),
        ("its jobs have just begun", {"last_end_min": 150}, 20, 0),
        ("too few have finished", {"last_end_min": 150, "finished": 19}, 170, 0),
        ("ends are rare", {"last_end_min": 150, "hours": 60}, 170, 0),
        ("jobs take long", {"last_end_min": 150, "walltime_s": 7200}, 170, 0),
        ("jobs asked for a day", {"last_end_min": 150}, 170, 86_400),
        ("its jobs wait", {"last_end_min": 150}, None, 0),
    ],
)
def test_tasks_that_go_on_are_no_trouble(
    fresh: Database, case: str, fields: dict[str, Any], job_minutes: float | None, walltime_s: int
) -> None:
    watched = Watched(fresh, rules=("task_stalled",))
    task(watched, 10_000_002, **fields)
    if job_minutes is None:
        watched.job(5, "activated", task=10_000_002)
    else:
        watched.job(job_minutes, "running", task=10_000_002, walltime_s=walltime_s)
    assert [watched.look(), watched.after(seconds=121).look()] == [0, 0], case


# --- throughput


def throughput(watched: Watched, site: str, now: int, then: int) -> None:
    """So many finished in the last hour, and in the same hour a week ago (both hours that it touches)."""
    database = watched.database
    until = watched.now.replace(second=0)
    database.execute(
        "INSERT INTO agent_runs (name, cursor) VALUES ('rollups', %(until)s) ON CONFLICT (name) DO NOTHING",
        {"until": int(until.timestamp())},
    )
    database.execute(
        """INSERT INTO throughput_minutes (bin_time, computing_site, job_status, prod_source_label, job_count)
           VALUES (%(time)s, %(site)s, 'finished', 'user', %(now)s)""",
        {"time": until - timedelta(minutes=30), "site": site, "now": now},
    )
    for hours in (168, 169):
        hour = (until - timedelta(hours=hours)).replace(minute=0)
        database.execute(
            """INSERT INTO throughput_hours (bin_time, computing_site, job_status, prod_source_label, job_count)
               VALUES (%(time)s, %(site)s, 'finished', 'user', %(then)s)""",
            {"time": hour, "site": site, "then": then},
        )


@pytest.mark.parametrize(("then", "now", "is_low"), [(120, 30, True), (55, 27, True), (60, 35, False), (40, 0, False)])
def test_few_finished_jobs_are_told_when_it_is_no_chance(fresh: Database, then: int, now: int, is_low: bool) -> None:
    watched = Watched(fresh, rules=("throughput_low",))
    throughput(watched, "CERN", now, then)
    watched.job(5, count=20)
    watched.look()
    assert watched.after(minutes=9).look() == 0, "it must last"
    fresh.execute("UPDATE agent_runs SET cursor = cursor + 600 WHERE name = 'rollups'")
    assert watched.after(minutes=1).look() == is_low
    if is_low:
        (incident,) = watched.incidents()
        assert incident["computing_site"] == "CERN" and f"{then} in the same hour" in incident["culprit_line"]


def _low(watched: Watched) -> int:
    watched.look()
    fresh = watched.database
    fresh.execute("UPDATE agent_runs SET cursor = cursor + 600 WHERE name = 'rollups'")
    return watched.after(minutes=10).look()


@pytest.mark.parametrize("case", ["no work", "offline", "uncounted", "just started", "longer jobs"])
def test_few_finished_jobs_for_a_reason_are_no_trouble(fresh: Database, case: str) -> None:
    watched = Watched(
        fresh, rules=("throughput_low",), up_for=timedelta(minutes=40 if case == "just started" else 9000)
    )
    throughput(watched, "CERN", 30, 120)
    watched.job(5, count=19 if case == "no work" else 20)
    if case == "offline":
        watched.queue(status="offline")
    if case == "uncounted":
        fresh.execute("UPDATE agent_runs SET cursor = cursor - 1200 WHERE name = 'rollups'")
    if case == "longer jobs":  # 120 jobs of an hour then, 120 jobs of ten hours now
        fresh.execute(
            """INSERT INTO jobs_archive (panda_id, computing_site, job_status, state_change_time, start_time, end_time)
               SELECT 70000 + n, 'CERN', 'finished', %(t)s, %(t)s::timestamptz - interval '1 hour', %(t)s
               FROM generate_series(1, 120) n""",
            {"t": watched.now - timedelta(days=7, minutes=30)},
        )
        watched.job(100, "running", count=120, walltime_s=36_000)
    assert _low(watched) == 0


def test_when_many_queues_are_low_it_is_one_trouble(fresh: Database) -> None:
    watched = Watched(fresh, rules=("throughput_low",))
    for site in ("A", "B", "C", "D"):
        throughput(watched, site, 20, 120)
        watched.job(5, site=site, count=20)
    assert _low(watched) == 1
    assert watched.open() == [
        "Few jobs finish at all queues together: 80 in the last hour, 480 in the same hour of last week"
    ]


# --- waits


def history(watched: Watched, site: str, *, starts: int, p95_s: float) -> None:
    for hours in range(1, 100):
        watched.database.execute(
            "INSERT INTO wait_hours (hour, computing_site, starts, p95_s) VALUES (%(hour)s, %(site)s, %(starts)s, %(p95)s)",
            {
                "hour": watched.now.replace(minute=0) - timedelta(hours=hours),
                "site": site,
                "starts": starts,
                "p95": p95_s,
            },
        )


def started(watched: Watched, site: str, jobs: int) -> None:
    watched.database.execute(
        """INSERT INTO throughput_minutes (bin_time, computing_site, job_status, prod_source_label, job_count)
           VALUES (%(time)s, %(site)s, 'sent', 'user', %(jobs)s)""",
        {"time": watched.ago(20), "site": site, "jobs": jobs},
    )


def test_jobs_that_wait_much_longer_than_usual_are_told(fresh: Database) -> None:
    watched = Watched(fresh, rules=("wait_percentile",))
    history(watched, "CERN", starts=50, p95_s=900)
    watched.job(50, count=25)
    started(watched, "CERN", 10)
    assert [watched.look(), watched.after(minutes=10).look()] == [0, 1]
    (incident,) = watched.incidents()
    assert incident["title"] == "25 jobs wait at CERN much longer than usual: 60 min instead of 15 min"
    assert incident["kind"] == "backlog"


@pytest.mark.parametrize("case", ["no history", "few jobs", "as usual", "only more work", "offline", "just started"])
def test_waits_that_have_a_reason_are_no_trouble(fresh: Database, case: str) -> None:
    watched = Watched(
        fresh, rules=("wait_percentile",), up_for=timedelta(minutes=10 if case == "just started" else 9000)
    )
    if case != "no history":
        history(watched, "CERN", starts=50, p95_s=900)
    watched.job(20 if case == "as usual" else 50, count=19 if case == "few jobs" else 25)
    started(watched, "CERN", 45 if case == "only more work" else 5)
    if case == "offline":
        watched.queue(status="offline")
    assert [watched.look(), watched.after(minutes=10).look()] == [0, 0]


def test_waits_of_an_hour_are_counted_from_the_history_once(fresh: Database) -> None:
    hour = NOW.replace(minute=0) - timedelta(hours=1)
    fresh.execute(
        """INSERT INTO job_history (panda_id, job_status, computing_site, modification_time)
           SELECT n, s.state, 'CERN', %(hour)s::timestamptz + make_interval(mins => 10, secs => s.after * n)
           FROM generate_series(1, 100) n, (VALUES ('activated', 0), ('sent', 2), ('running', 3)) AS s (state, after)""",
        {"hour": hour},
    )
    assert WaitHours(fresh, lambda: NOW, 300.0).cycle() == 0, "its last rows may be on their way"
    agent = WaitHours(fresh, lambda: NOW + timedelta(minutes=4), 300.0)
    while agent.cycle():
        pass
    (row,) = fresh.fetch("SELECT * FROM wait_hours")
    assert (row["computing_site"], row["hour"], row["starts"]) == ("CERN", hour, 100)
    assert row["p50_s"] == pytest.approx(101, abs=2) and row["p95_s"] == pytest.approx(190, abs=2)
    assert agent.cycle() == 0 and fresh.fetch("SELECT cursor FROM agent_runs WHERE name = 'wait_hours'")


# --- clocks


def source(
    watched: Watched, host: str, skew_s: float, *, minutes: float = 1, emitter: str = "pilot", **more: Any
) -> None:
    watched.database.execute(
        """INSERT INTO log_sources (source, emitter, component, host, last_seen, skew_ms, token_expiry)
           VALUES (%(source)s, %(emitter)s, 'pilot', %(host)s, %(seen)s, %(skew)s, %(expiry)s)""",
        {
            "source": f"{emitter}:{host}:{skew_s}",
            "emitter": emitter,
            "host": host,
            "seen": watched.ago(minutes),
            "skew": int(skew_s * 1000),
            "expiry": more.get("expiry"),
        },
    )


def test_a_host_whose_clock_is_wrong_is_told(fresh: Database) -> None:
    watched = Watched(fresh, rules=("clock_skew",))
    source(watched, "wn1", 300)
    source(watched, "wn1", 2)
    source(watched, "wn2", 20)
    source(watched, "wn3", -130)
    source(watched, "wn4", 9000, minutes=11)
    assert [watched.look(), watched.after(seconds=61).look()] == [0, 2]
    assert watched.open() == [
        "The clock of wn1 is 5 min behind the server's",
        "The clock of wn3 is 2 min ahead of the server's",
    ]


def test_the_databases_own_clock_counts_too(fresh: Database) -> None:
    watched = Watched(fresh, rules=("clock_skew",))
    wrong = ClockSkew(own_clock=lambda: datetime.now(UTC) + timedelta(minutes=10))
    (found,) = wrong.measure(*_look_within(watched, "clock_skew"))
    assert (found.subject, round(found.value)) == ("the database", 600) and "behind" in found.title


def _look_within(watched: Watched, rule: str) -> Any:
    look, limits = _look(watched, rule)
    return _Reading(look, watched.database), limits


class _Reading:
    """A look whose statements are each their own transaction."""

    def __init__(self, look: Any, database: Database) -> None:
        self._look, self.transaction = look, database

    def __getattr__(self, name: str) -> Any:
        return getattr(self._look, name)


# --- what expires


def test_a_token_that_somebody_must_renew_is_told_in_time_and_a_short_one_never(fresh: Database) -> None:
    watched = Watched(fresh, rules=("expiry",))
    source(watched, "n1", 0, emitter="harvester", expiry=watched.now + timedelta(days=3))
    source(watched, "n2", 0, emitter="session", expiry=watched.now + timedelta(hours=1))
    assert watched.look() == 0
    watched.after(days=2, minutes=1)
    fresh.execute("UPDATE log_sources SET last_seen = %(now)s", {"now": watched.now})
    assert watched.look() == 1
    (incident,) = watched.incidents()
    assert (
        incident["title"].startswith("The token of harvester expires in 24.0 h") and incident["severity"] == "warning"
    )
    watched.after(hours=13)
    fresh.execute("UPDATE log_sources SET last_seen = %(now)s", {"now": watched.now})
    watched.look()
    assert watched.incidents()[0]["severity"] == "critical"
    source(watched, "n3", 0, emitter="harvester", expiry=watched.now + timedelta(days=30), minutes=0)
    assert watched.look() == 1 and watched.open() == []


def certificate(path: Path, days: float) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    start = NOW - timedelta(days=30)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(NOW + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path / "server.pem", 5))
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection, context.wrap_socket(connection, server_side=True):
                pass

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join(5)


def test_certificates_of_servers_and_files_are_told_in_time(fresh: Database, tmp_path: Path, tls_server: str) -> None:
    soon, later = certificate(tmp_path / "soon.pem", 1.5), certificate(tmp_path / "later.pem", 100)
    wanted = [tls_server, str(soon), str(later), str(tmp_path / "missing.pem"), "127.0.0.1:1", "nonsense"]
    settings = IncidentSettings(watch_certificates=wanted)
    watcher = Watcher(
        fresh, lambda: NOW, settings, measures=[Expiry(start=lambda work: work())], up_since=NOW - timedelta(days=1)
    )
    assert watcher.look() == 2
    rows = fresh.fetch("SELECT title, severity FROM incidents ORDER BY severity")
    assert [row["severity"] for row in rows] == ["critical", "warning"]
    assert "soon.pem expires in 36.0 h" in rows[0]["title"] and f"{tls_server} expires in 5.0 d" in rows[1]["title"]
    assert certificate_end(str(later)) == NOW + timedelta(days=100)


# --- transfers


def staging(
    watched: Watched, minutes: float, state: str = "starting", *, count: int = 1, pilot: str = "p", files: bool = True
) -> None:
    watched.database.execute(
        """WITH made AS (
               INSERT INTO jobs_live (panda_id, job_status, computing_site, state_change_time, pilot_id)
               SELECT nextval('panda_id_seq'), %(state)s, 'D', %(time)s, %(pilot)s FROM generate_series(1, %(count)s)
               RETURNING panda_id)
           INSERT INTO job_files (panda_id, type, lfn, status)
           SELECT panda_id, 'input', 'f', 'ready' FROM made WHERE %(files)s""",
        {"state": state, "time": watched.ago(minutes), "count": count, "pilot": pilot, "files": files},
    )


def staged(watched: Watched, seconds: int, count: int = 20) -> None:
    watched.database.execute(
        """INSERT INTO jobs_archive (panda_id, computing_site, job_status, state_change_time, pilot_timing)
           SELECT 80000 + n, 'D', 'finished', %(time)s, %(timing)s FROM generate_series(1, %(count)s) n""",
        {"time": watched.ago(60), "timing": f"0|{seconds}|10|0|1|1", "count": count},
    )


def test_jobs_that_stage_in_for_much_longer_than_usual_are_a_trouble_of_the_storage(fresh: Database) -> None:
    watched = Watched(fresh, rules=("transfer_stuck",))
    watched.queue("D", storage="D_DISK")
    staged(watched, 120)
    staging(watched, 74, count=3)
    assert watched.look(only_quick=True) == 1
    (incident,) = watched.incidents()
    assert incident["culprit_line"] == "3 jobs have been staging in from D_DISK for 74 min; the last 20 took 2 min"
    assert (incident["kind"], incident["step"], incident["error_class"]) == ("data", "stage-in", "storage")
    assert (incident["fingerprint"], incident["computing_site"]) == ("v1:transfer_stuck:stage-in:D_DISK", "D")
    values = fresh.fetch("SELECT value, event_count FROM incident_breakdown WHERE dimension = 'storage'")
    assert values == [{"value": "D_DISK", "event_count": 1}] and incident["storage_count"] == 1
    fresh.execute("UPDATE jobs_live SET job_status = 'running'")
    assert watched.look(only_quick=True) == 1


def test_staging_out_has_its_own_usual_time(fresh: Database) -> None:
    watched = Watched(fresh, rules=("transfer_stuck",))
    staging(watched, 74, "stageout", count=3)
    assert watched.look() == 1
    assert watched.open() == ["3 jobs have been staging out to D for 74 min"]


@pytest.mark.parametrize(
    "case", ["two jobs", "slow as ever", "in a batch system", "without input", "moving", "just started"]
)
def test_jobs_that_stage_for_a_reason_are_no_trouble(fresh: Database, case: str) -> None:
    watched = Watched(
        fresh, rules=("transfer_stuck",), up_for=timedelta(minutes=20 if case == "just started" else 9000)
    )
    staged(watched, 1000 if case == "slow as ever" else 10)
    staging(
        watched,
        74,
        "transferring" if case == "moving" else "starting",
        count=2 if case == "two jobs" else 3,
        pilot="" if case == "in a batch system" else "p",
        files=case != "without input",
    )
    assert watched.look() == 0


def test_a_healthy_busy_hour_has_no_incident(fresh: Database) -> None:
    watched = Watched(fresh)
    for site in ("A", "B", "C"):
        watched.queue(site)
        watched.contact(0.5, site, job_minutes=1)
        watched.job(30, site=site, count=40)
        watched.job(50, "running", site=site, count=40, walltime_s=7200)
        throughput(watched, site, 90, 100)
        history(watched, site, starts=90, p95_s=1500)
        started(watched, site, 85)
        agent(watched, f"agent {site}", -1, ran_s=1)
        source(watched, f"wn{site}", 20)
    staging(watched, 5, count=10)
    assert [watched.look(), watched.after(minutes=1).look(), watched.look(only_quick=True)] == [0, 0, 0]
    assert watched.incidents() == []
