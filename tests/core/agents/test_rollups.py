"""The minute counts: equal to the history, whenever and however often they are made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg2
import pytest
from sqlalchemy import make_url

from core.agents.rollups import RollUps
from core.monitor.question import read_question
from core.monitor.throughput import THROUGHPUT_GRAMMAR, throughput


def fill(database, hours):
    """A change of state every 20 s over the last hours, over two queues and three states."""
    database.execute(
        """
        INSERT INTO job_history (panda_id, job_status, computing_site, prod_source_label, modification_time)
        SELECT i, (ARRAY['running', 'finished', 'failed'])[1 + i %% 3], (ARRAY['CERN', 'BNL'])[1 + i %% 2], 'user',
               clock_timestamp() - make_interval(secs => 20 * i)
        FROM generate_series(0, %(n)s) i
        """,
        {"n": hours * 180},
    )


def run(agent):
    cycles = 1
    while agent.cycle():
        cycles += 1
        assert cycles < 100
    return cycles


def counted(database, *items):
    return throughput(database, read_question(items, THROUGHPUT_GRAMMAR, datetime.now(UTC)))


def minute_counts(database):
    return database.fetch("SELECT * FROM throughput_minutes ORDER BY 1, 2, 3, 4")


def test_counts_are_the_same_before_and_after_counting(database):
    fill(database, 5)
    now = datetime.now(UTC)
    questions = [
        read_question(items, THROUGHPUT_GRAMMAR, now) for items in ([], [("by", "computing_site")], [("hours", "2")])
    ]
    before = [throughput(database, question) for question in questions]
    assert run(RollUps(database, 10)) > 3
    after = [throughput(database, question) for question in questions]
    assert [answer["series"] for answer in after] == [answer["series"] for answer in before]
    assert before[0]["count"] >= 895 and minute_counts(database)


def test_counting_again_from_the_beginning_changes_nothing(database):
    fill(database, 3)
    agent = RollUps(database, 10)
    run(agent)
    first = minute_counts(database)
    database.execute("UPDATE agent_runs SET cursor = 0 WHERE name = 'rollups'")
    run(agent)
    assert minute_counts(database) == first


def test_a_change_that_commits_late_is_counted(database, database_url):
    database.execute(
        "INSERT INTO job_history (panda_id, job_status, modification_time) VALUES (1, 'running', now() - interval '1 hour')"
    )
    agent = RollUps(database, 10)
    run(agent)
    cursor = database.fetch_one("SELECT cursor FROM agent_runs WHERE name = 'rollups'")["cursor"]
    assert datetime.now(UTC) - datetime.fromtimestamp(cursor, UTC) < timedelta(minutes=3)
    database.execute("UPDATE agent_runs SET cursor = cursor - 600 WHERE name = 'rollups'")
    address = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    slow = psycopg2.connect(address)
    with slow.cursor() as writing:
        writing.execute("INSERT INTO job_history (panda_id, job_status) VALUES (2, 'failed')")
    begun = datetime.now(UTC)
    run(agent)
    cursor = database.fetch_one("SELECT cursor FROM agent_runs WHERE name = 'rollups'")["cursor"]
    assert datetime.fromtimestamp(cursor, UTC) <= begun
    slow.commit()
    slow.close()
    answer = throughput(
        database, read_question([("hours", "2")], THROUGHPUT_GRAMMAR, datetime.now(UTC) + timedelta(seconds=1))
    )
    assert sum(answer["series"]["failed"]) == 1


def hour_counts(database):
    return database.fetch("SELECT * FROM throughput_hours ORDER BY 1, 2, 3, 4")


def summed_minutes(database):
    """The hours as they should be: of full hours that are counted."""
    return database.fetch(
        """
        SELECT date_trunc('hour', bin_time) AS bin_time, computing_site, job_status, prod_source_label,
               sum(job_count)::bigint AS job_count
        FROM throughput_minutes
        WHERE bin_time < (SELECT date_trunc('hour', to_timestamp(cursor)) FROM agent_runs WHERE name = 'rollups')
        GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
        """
    )


def test_hours_are_the_sums_of_their_minutes_also_around_times_without_history(database):
    fill(database, 5)
    database.execute(
        "UPDATE job_history SET modification_time = modification_time - interval '9 hours' WHERE panda_id > 400"
    )
    run(RollUps(database, 10))
    assert len(hour_counts(database)) >= 12
    assert hour_counts(database) == summed_minutes(database)
    database.execute("UPDATE agent_runs SET cursor = 0 WHERE name = 'rollups'")
    run(RollUps(database, 10))
    assert hour_counts(database) == summed_minutes(database)


def test_an_hour_that_was_counted_in_parts_is_complete(database):
    now = datetime.now(UTC)
    early, late = (now.replace(minute=minute, second=0) - timedelta(hours=5) for minute in (10, 40))
    database.execute(
        "INSERT INTO job_history (panda_id, job_status, computing_site, modification_time) VALUES (1, 'failed', 'CERN', %(t)s)",
        {"t": early},
    )
    agent = RollUps(database, 10)
    run(agent)
    until = int(late.timestamp())
    database.execute("UPDATE agent_runs SET cursor = %(until)s WHERE name = 'rollups'", {"until": until})
    database.execute("DELETE FROM throughput_hours")
    database.execute(
        "INSERT INTO job_history (panda_id, job_status, computing_site, modification_time) VALUES (2, 'failed', 'CERN', %(t)s)",
        {"t": late},
    )
    run(agent)
    assert [row["job_count"] for row in hour_counts(database)] == [2]


def test_a_day_by_queue_is_the_same_from_hours_from_minutes_and_from_history(database):
    fill(database, 30)
    now = datetime.now(UTC)

    def ask(*items):
        return throughput(database, read_question([("by", "computing_site"), *items], THROUGHPUT_GRAMMAR, now))

    before = ask()
    assert before["bin_s"] == 3600
    run(RollUps(database, 10))
    by_hours = ask()
    assert by_hours["series"] == before["series"]
    by_minutes = ask(("bin_s", "1800"), ("date_from", by_hours["bins"][0].isoformat()), ("date_to", now.isoformat()))
    pairs = {
        name: [sum(counts[i : i + 2]) for i in range(0, len(counts), 2)]
        for name, counts in by_minutes["series"].items()
    }
    assert pairs == by_hours["series"]
    database.execute("DELETE FROM throughput_minutes WHERE bin_time < date_trunc('hour', now() - interval '2 hours')")
    assert ask()["series"] == before["series"]
    assert ask(("hours", "1"))["bin_s"] == 60


def test_minutes_by_queue_are_kept_for_thirty_days_and_their_hours_longer(database):
    fill(database, 4)
    database.execute(
        "UPDATE job_history SET modification_time = modification_time - interval '32 days' WHERE panda_id > 360"
    )
    run(RollUps(database, 10))
    rows = database.fetch("SELECT bin_time FROM throughput_minutes WHERE bin_time < now() - interval '31 days'")
    assert rows == []
    answer = counted(database, ("by", "computing_site"), ("days", "40"))
    assert answer["count"] == counted(database, ("days", "40"), ("job_status", "finished|failed"))["count"]
    long_ago = datetime.now(UTC) - timedelta(days=33)
    two_hours = [("date_from", long_ago.isoformat()), ("date_to", (long_ago + timedelta(hours=2)).isoformat())]
    assert counted(database, ("by", "computing_site"), *two_hours)["bin_s"] == 3600
    with pytest.raises(Exception) as refusal:
        counted(database, ("by", "computing_site"), ("days", "31"), ("bin_s", "1800"))
    assert refusal.value.field == "bin_s" and "3600" in refusal.value.remedy


def test_old_change_signals_are_forgotten(database):
    database.execute(
        "INSERT INTO change_signals (time, topics) VALUES (now() - interval '2 hours', '[]'), (now(), '[]')"
    )
    RollUps(database, 10).cycle()
    assert len(database.fetch("SELECT seq FROM change_signals")) == 1


def test_bins_and_splits_that_make_no_sense_are_refused(database):
    for item, field in [(("bin_s", "61"), "bin_s"), (("bin_s", "x"), "bin_s"), (("by", "colour"), "by")]:
        with pytest.raises(Exception) as refusal:
            counted(database, item)
        assert refusal.value.field == field
    with pytest.raises(Exception) as refusal:
        counted(database, ("bin_s", "60"), ("days", "30"))
    assert refusal.value.field == "bin_s"


def test_a_window_has_at_most_120_bins_of_its_own_choice(database):
    for hours in (1, 3, 24, 24 * 30, 24 * 900):
        answer = counted(database, ("hours", str(hours)))
        assert 12 <= len(answer["bins"]) <= 121 and answer["bin_s"] % 60 == 0
