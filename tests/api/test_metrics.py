"""/metrics: what Prometheus reads, with bounded labels, checked by its own tool; and requests of all processes added up."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from api.app import create_app
from api.identity.issuer import Issuer
from api.metrics import exposition, of_requests
from api.request_numbers import RequestNumbers
from core.configuration import Settings
from logger.metrics import FAMILIES, MOST, Sample, samples
from tests.support.promtool import promtool
from tests.support.system import eventually
from tests.support.today import now_within_a_day

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def ask(app, path, token=""):
    async def asked():
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://panda", headers=headers) as client:
            return await client.get(path)

    return asyncio.run(asked())


@pytest.fixture(scope="module")
def app(shared_database, tmp_path_factory):
    fill(shared_database)
    return create_app(Settings(data=tmp_path_factory.mktemp("data")), shared_database.url)


def fill(database):
    """Something of everything, with ten thousand tasks and users, and more queues and components than are told apart."""
    now_within_a_day()  # the counters begin anew at midnight
    database.execute(
        "INSERT INTO jobs_live (panda_id, jedi_task_id, prod_user_name, computing_site, job_status)"
        " SELECT n, n, 'user' || n, 'Q' || lpad((n % 700)::text, 4, '0'), 'activated' FROM generate_series(1, 10000) n"
    )
    database.execute(
        "INSERT INTO queues (queue_name) SELECT 'Q' || lpad(n::text, 4, '0') FROM generate_series(0, 699) n"
    )
    database.execute("UPDATE queues SET creation_time = now() - interval '1 hour'")
    # the first minute of the hour, and counted up to the next: whatever the time of day, both lie in the hour that goes on
    database.execute(
        "INSERT INTO throughput_minutes SELECT date_trunc('hour', now()), 'Q' || lpad((n % 700)::text, 4, '0'), 'finished',"
        " 'label' || n % 40, 1 FROM generate_series(1, 5000) n ON CONFLICT DO NOTHING"
    )
    database.execute(
        "INSERT INTO agent_runs (name, cursor, next_run)"
        " VALUES ('rollups', extract(epoch FROM date_trunc('hour', now())) + 60, now()),"
        " ('incident_builder', extract(epoch FROM now() - interval '90 seconds') * 1000000, now() - interval '2 minutes')"
        " ON CONFLICT (name) DO UPDATE SET cursor = excluded.cursor, next_run = excluded.next_run"
    )
    database.execute(
        "INSERT INTO incidents (fingerprint, title, severity, state, opened_time, component, owner, lost_core_s)"
        " SELECT 'f' || n, 'message ' || n, 'critical', 'open', now() - interval '20 minutes', 'c' || n, '', 10"
        " FROM generate_series(1, 30) n"
    )
    database.execute(
        "INSERT INTO log_hours SELECT date_trunc('hour', now()), 'component ' || n, 'ERROR', 2 FROM generate_series(1, 300) n"
    )
    database.execute("INSERT INTO notice_routes (name) VALUES ('ops\"\\\n')")
    database.execute(
        "INSERT INTO incident_notices (route_id, incident_id, change_seq, created_time)"
        " SELECT route_id, 1, 1, now() - interval '10 minutes' FROM notice_routes"
    )
    database.execute("INSERT INTO deeds (action, state) VALUES ('retry', 'done'), ('retry', 'executing')")


def values(text, family):
    """Labels and number of a family's lines."""
    lines = [line.rpartition(" ") for line in text.splitlines() if line.split("{")[0].split(" ")[0] == family]
    return {labels.removeprefix(family): float(value) for labels, _, value in lines}


def test_the_page_is_what_prometheus_reads(app):
    answer = ask(app, "/metrics")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    promtool("check", "metrics", given=answer.text)


def test_every_part_can_be_read_and_says_what_is(app):
    text = ask(app, "/metrics").text
    assert set(values(text, "panda_scrape_complete").values()) == {1.0}
    assert sum(values(text, "panda_jobs").values()) == 10_000
    assert sum(values(text, "panda_jobs_ended_total").values()) == 1400
    assert values(text, "panda_incidents") == {'{severity="critical",state="open",kind="failure_burst"}': 30}
    assert 1200 <= values(text, "panda_incident_unacknowledged_seconds")['{severity="critical"}'] < 1300
    assert 3600 <= max(values(text, "panda_queue_silent_seconds").values()) < 3700
    assert 90 <= values(text, "panda_event_lag_seconds")[""] < 150
    assert values(text, "panda_agent_late_seconds")['{agent="incident_builder"}'] >= 120
    assert sum(values(text, "panda_log_records_total").values()) == 600
    assert values(text, "panda_notices") == {'{route="ops\\"\\\\\\n",state="waiting"}': 1}
    assert next(iter(values(text, "panda_notice_oldest_seconds").values())) >= 600
    assert values(text, "panda_deeds_total") == {'{action="retry",outcome="done"}': 1}


def test_no_label_grows_with_the_work(app):
    text = ask(app, "/metrics").text
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(values(text, "panda_jobs")) == MOST["queue"] + 1
    assert len(values(text, "panda_log_records_total")) == MOST["component"] + 1
    assert len({label.split('label="')[1] for label in values(text, "panda_jobs_ended_total")}) == MOST["label"] + 1
    assert len(lines) < MOST["queue"] * (MOST["label"] + 5)
    assert not any(word in text for word in ("user1", "message ", "f1", "10000001"))


def test_a_part_that_cannot_be_read_says_so_and_hides_no_other(database):
    database.execute("ALTER TABLE deeds RENAME TO away")
    found = list(samples(database, datetime.now(UTC)))
    complete = {sample.labels["part"]: sample.value for sample in found if sample.name == "panda_scrape_complete"}
    assert complete.pop("deeds") == 0 and set(complete.values()) == {1}
    assert any(sample.name == "panda_database_probe_seconds" for sample in found)


def test_the_database_is_not_asked_for_every_scraper(app, shared_database):
    def is_not_asked() -> bool:
        before = ask(app, "/metrics").text
        shared_database.execute("UPDATE incidents SET state = 'acknowledged'")
        after = ask(app, "/metrics").text
        shared_database.execute("UPDATE incidents SET state = 'open'")
        return values(before, "panda_incidents") == values(after, "panda_incidents")

    eventually(is_not_asked, what="two scrapers within five seconds")  # those may be over between any two


def test_requests_are_counted_by_route_whatever_is_asked_for(app):
    for path in (
        "/api/monitor/agents",
        "/api/monitor/job/17",
        "/api/monitor/job/18",
        "/nothing/17",
        "/api/v1/job/no_such/x",
    ):
        ask(app, path)
    counts = values(ask(app, "/metrics").text, "panda_http_requests_total")
    assert counts['{route="/api/monitor/agents",method="GET",status="200"}'] == 1
    assert counts['{route="/api/monitor/job/{panda_id}",method="GET",status="200"}'] == 2
    assert counts['{route="unknown",method="GET",status="404"}'] == 1
    assert any('route="/api/v1/unknown"' in labels for labels in counts)
    assert not any("17" in labels for labels in counts)


def test_a_token_of_the_scraper_opens_the_page_and_nothing_else(shared_database, tmp_path):
    settings = Settings(data=tmp_path, monitor_access="token", metrics={"token": "s3cret"})
    app = create_app(settings, shared_database.url)
    assert [ask(app, "/metrics", token).status_code for token in ("", "s3cret")] == [401, 200]
    assert ask(app, "/api/monitor/agents", "s3cret").status_code in (401, 403)
    reader = Issuer(tmp_path, name=settings.issuer, audience=settings.audience)
    token = reader.issue(user="rita", vo="testvo", roles=[], lifetime_s=60).text
    assert ask(app, "/metrics", token).status_code == 200


def test_processes_add_up_and_those_that_ended_are_not_forgotten(tmp_path):
    other = (
        "import sys; from pathlib import Path; from api.request_numbers import RequestNumbers\n"
        "numbers = RequestNumbers(Path(sys.argv[1]))\n"
        "numbers.watch('panda_stream_readers', lambda: 5); numbers.watch('panda_stream_resyncs_total', lambda: 2)\n"
        "numbers.note('/a', 'GET', 200, 0.02); numbers.write()"
    )
    mine = RequestNumbers(tmp_path)
    mine.watch("panda_stream_readers", lambda: 1)
    mine.note("/a", "GET", 200, 0.3)
    mine.note("/a", "GET", 500, 20.0)
    for _ in range(2):  # two workers that die
        subprocess.run([sys.executable, "-c", other, str(tmp_path)], check=True)
    for _ in range(2):  # and two that start, one after the other
        successor = RequestNumbers(tmp_path)
        successor.start()
        successor.close()
        total = mine.total()
        assert total["counts"] == {("/a", "GET", "200"): 3, ("/a", "GET", "500"): 1}
        assert total["gauges"] == {"panda_stream_readers": 1, "panda_stream_resyncs_total": 4}
    assert len(list(tmp_path.glob("*-*.json"))) == 3  # mine, and those of the two successors
    found = {(sample.name, sample.labels.get("le")): sample.value for sample in of_requests(mine.total())}
    assert found["panda_http_request_seconds_bucket", "0.025"] == 2
    assert found["panda_http_request_seconds_bucket", "10.0"] == 3
    assert found["panda_http_request_seconds_bucket", "+Inf"] == found["panda_http_request_seconds_count", None] == 4
    assert found["panda_http_request_seconds_sum", None] == pytest.approx(20.34)


def test_who_is_scraped_does_not_write_across_the_thread_that_writes(tmp_path, caplog):
    numbers = RequestNumbers(tmp_path)
    with ThreadPoolExecutor(4) as threads:
        wholes = list(threads.map(lambda _: numbers.total(), range(400)))
    assert len(wholes) == 400 and [record.getMessage() for record in caplog.records] == []


def test_numbers_that_cannot_be_written_are_told_once_and_written_later(tmp_path, caplog):
    numbers = RequestNumbers(tmp_path)
    in_the_way = numbers._file.with_suffix(".new")
    in_the_way.mkdir()  # as a full disk does, it lets nothing be written
    numbers.start()
    numbers.note("/a", "GET", 200, 0.3)
    for _ in range(2):
        assert numbers.total()["counts"] == {}
    assert [record.levelname for record in caplog.records] == ["ERROR"] and str(tmp_path) in caplog.text
    in_the_way.rmdir()
    assert numbers.total()["counts"] == {("/a", "GET", "200"): 1}
    numbers.close()
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_texts_of_others_break_no_line():
    text = exposition([Sample("panda_notices", {"route": 'a"\n\\', "state": "sent"}, 1)], FAMILIES)
    assert text.splitlines()[-1] == 'panda_notices{route="a\\"\\n\\\\",state="sent"} 1'


def test_a_day_begins_at_midnight_for_everybody(shared_database):
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    names = {sample.name for sample in samples(shared_database, tomorrow)}
    assert "panda_deeds_total" not in names and "panda_jobs" in names


def test_the_example_rules_are_rules_and_fire_when_they_should():
    promtool("check", "rules", str(EXAMPLES / "prometheus-rules.yml"))
    promtool("test", "rules", str(EXAMPLES / "prometheus-rules.test.yml"))


def test_the_example_rules_name_only_what_there_is():
    known = {*FAMILIES, "panda_http_requests_total", "panda_http_request_seconds"}
    text = (EXAMPLES / "prometheus-rules.yml").read_text()
    named = {word for line in text.splitlines() if "expr" in line or line.startswith(" " * 10) for word in _words(line)}
    assert {word.removesuffix("_bucket") for word in named} <= known


def _words(line):
    return {
        word
        for word in "".join(c if c.isalnum() or c == "_" else " " for c in line).split()
        if word.startswith("panda_")
    }
