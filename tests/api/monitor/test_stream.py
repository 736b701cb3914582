"""The live stream over real HTTP against real PostgreSQL, from the writing transaction to the reader."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from urllib.parse import quote

import httpx
import pytest
import uvicorn

from api import live, stream_filters
from api.app import create_app
from api.counted_questions import CountedQuestions, counted_topic
from api.live import QUEUE_SIZE, Closed, Resync, Subscription
from core.agents.emitter import ChangeEmitter
from core.configuration import Settings
from core.database import Database, migrate
from core.database.embedded import EmbeddedPostgres
from core.errors import InvalidInput, Unavailable
from core.monitor.signals import Signal
from pandascope.events import EventParser
from tests.support.system import eventually


@contextmanager
def serving(database_url, directory, **overrides):
    """The API on a free port, without agents: the tests emit when they want."""
    settings = Settings(data=directory, database_url=database_url, **overrides)
    config = uvicorn.Config(
        create_app(settings, database_url), port=0, log_config=None, lifespan="on", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        eventually(lambda: server.started, what="the server started")
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def address(database_url, tmp_path):
    with serving(database_url, tmp_path) as url:
        yield url


@pytest.fixture(scope="module")
def still_address(module_database_url, tmp_path_factory):
    """Where nothing happens and nobody reads."""
    with serving(module_database_url, tmp_path_factory.mktemp("still")) as url:
        yield url


@pytest.fixture
def emitter(database):
    emitter = ChangeEmitter(database, 0.25)
    emitter.cycle()
    return emitter


class Reader:
    """Reads one stream in the order its events come."""

    def __init__(self, response: httpx.Response) -> None:
        self._events = self._read(response)

    def _read(self, response) -> Iterator[dict]:
        parser = EventParser()
        for line in response.iter_lines():
            if (event := parser.feed(line)) is not None:
                yield event

    def next(self, *kinds: str) -> dict:
        """The next event of one of the kinds; others are passed over."""
        return next(event for event in self._events if not kinds or event["event"] in kinds)


@contextmanager
def reading(address, path="/api/monitor/stream", headers=None):
    with (
        httpx.Client(base_url=address, timeout=30) as client,
        client.stream("GET", path, headers=headers or {}) as response,
    ):
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Reader(response)


def change(database, emitter, panda_id):
    database.execute("INSERT INTO job_history (panda_id, job_status) VALUES (%(id)s, 'running')", {"id": panda_id})
    emitter.cycle()


def test_the_first_event_is_a_heartbeat_with_the_present_number(address, database, emitter):
    newest = database.fetch_one("SELECT max(seq) AS seq FROM change_signals")["seq"]
    with reading(address) as reader:
        event = reader.next()
    assert (event["event"], event["seq"], event["id"]) == ("heartbeat", newest, str(newest))
    assert datetime.fromisoformat(event["time"]).tzinfo is not None


def test_a_change_reaches_the_readers_of_its_topics_only(address, database, emitter):
    with reading(address, "/api/monitor/stream?topics=job:18") as one, reading(address) as all_of_it:
        one.next()
        all_of_it.next()
        change(database, emitter, 17)
        change(database, emitter, 18)
        event = one.next("change")
        assert event["topics"] == ["job:18"] and event["id"] == str(event["seq"])
        assert [all_of_it.next("change")["topics"] for _ in range(2)] == [
            ["job:17", "jobs", "queues"],
            ["job:18", "jobs", "queues"],
        ]


@pytest.mark.parametrize("way", ["header", "parameter"])
def test_a_reader_that_comes_back_hears_what_it_missed_once(address, database, emitter, way):
    with reading(address) as reader:
        seq = reader.next("heartbeat")["seq"]
    change(database, emitter, 17)
    change(database, emitter, 18)
    path, headers = (
        ("/api/monitor/stream", {"Last-Event-ID": str(seq)})
        if way == "header"
        else (f"/api/monitor/stream?since={seq}", {})
    )
    with reading(address, path, headers) as reader:
        assert reader.next()["seq"] == seq
        change(database, emitter, 19)
        events = [reader.next() for _ in range(3)]
    assert [event["event"] for event in events] == ["change"] * 3
    assert [event["topics"][0] for event in events] == ["job:17", "job:18", "job:19"]
    assert sorted({event["seq"] for event in events}) == [event["seq"] for event in events]


@pytest.mark.parametrize("since", ["past", "future"])
def test_a_number_that_cannot_be_resumed_means_read_everything_anew(address, database, emitter, since):
    for panda_id in range(3):
        change(database, emitter, panda_id)
    newest = database.fetch_one("SELECT max(seq) AS seq FROM change_signals")["seq"]
    database.execute("DELETE FROM change_signals WHERE seq < %(seq)s", {"seq": newest})
    number = newest - 2 if since == "past" else newest + 1000
    with reading(address, f"/api/monitor/stream?since={number}") as reader:
        assert [reader.next()["event"] for _ in range(2)] == ["heartbeat", "resync"]


def test_a_resync_says_why(address, database, emitter):
    newest = database.fetch_one("SELECT max(seq) AS seq FROM change_signals")["seq"]
    with reading(address, f"/api/monitor/stream?since={newest + 1000}") as reader:
        assert reader.next("resync")["reason"] == "foreign"
        database.execute("INSERT INTO change_signals (topics) VALUES ('[\"*\"]')")
        change(database, emitter, 17)
        assert reader.next("resync")["reason"] == "much"
    with reading(address, "/api/monitor/stream?since=0") as reader:
        assert reader.next("resync")["reason"] == "old"


def test_a_page_that_was_hidden_hears_what_it_missed_as_one_event(address, database, emitter):
    with reading(address) as reader:
        seq = reader.next("heartbeat")["seq"]
    for panda_id in range(60):
        change(database, emitter, panda_id)
    database.execute("UPDATE change_signals SET time = time - interval '1 minute'")
    with reading(address, f"/api/monitor/stream?topics=jobs,job:5&since={seq}") as reader:
        reader.next("heartbeat")
        event = reader.next()
        change(database, emitter, 99)
        following = reader.next()
    assert (event["event"], event["topics"], event["seq"]) == ("change", ["job:5", "jobs"], seq + 60)
    assert (following["topics"], following["seq"]) == (["jobs"], seq + 61)


def test_of_too_many_topics_only_the_kinds_are_told(address, database, emitter):
    with reading(address) as all_of_it, reading(address, "/api/monitor/stream?topics=job:7") as one:
        all_of_it.next()
        one.next()
        database.execute(
            "INSERT INTO job_history (panda_id, job_status) SELECT i, 'sent' FROM generate_series(1, 300) i"
        )
        emitter.cycle()
        assert all_of_it.next("change")["topics"] == ["jobs", "queues"]
        assert one.next("change")["topics"] == ["job:7"]


def incident(database, emitter, incident_id, severity):
    database.execute(
        "INSERT INTO incidents (incident_id, fingerprint, severity, opened_time) VALUES (%(id)s, %(id)s::text, %(how)s, now())"
        " ON CONFLICT (incident_id) DO UPDATE SET severity = excluded.severity",
        {"id": incident_id, "how": severity},
    )
    emitter.cycle()


def test_the_different_filters_of_a_process_are_bounded_and_those_of_gone_readers_are_not_counted(address, monkeypatch):
    monkeypatch.setattr(stream_filters, "MOST_FILTERS", 2)
    path = f"{address}/api/monitor/stream?topics=incidents&filter="
    with httpx.stream("GET", f"{path}code%3D1") as one, httpx.stream("GET", f"{path}code%3D2"):
        assert next(one.iter_bytes()).startswith(b"retry")
        with httpx.stream("GET", f"{path}code%3D1") as same, httpx.stream("GET", f"{path}code%3D3") as other:
            assert (same.status_code, other.status_code) == (200, 503)
            assert "filters" in other.read().decode()

    def is_free() -> bool:
        with httpx.stream("GET", f"{path}code%3D3") as again:
            return again.status_code == 200

    eventually(is_free, what="a filter whose readers went makes room")


def test_a_filter_lets_through_the_incidents_it_finds_and_those_that_leave_it(address, database, emitter):
    incident(database, emitter, 1, "critical")
    path = "/api/monitor/stream?topics=incidents,incident:2&filter=severity%3Dcritical"
    with reading(address, path) as reader:
        reader.next()
        incident(database, emitter, 2, "warning")  # nobody's news here
        incident(database, emitter, 3, "critical")
        assert reader.next("change")["topics"] == ["incidents"]
        incident(database, emitter, 2, "critical")
        assert reader.next("change")["topics"] == ["incident:2", "incidents"]
        incident(database, emitter, 1, "error")  # was there from the beginning
        first = reader.next("change")
        incident(database, emitter, 1, "warning")  # is gone already
        incident(database, emitter, 3, "error")
        second = reader.next("change")
    assert first["topics"] == second["topics"] == ["incidents"]
    assert second["seq"] == first["seq"] + 2


def test_counts_of_a_page_come_at_once_and_when_it_changed(address, database, emitter):
    incident(database, emitter, 1, "critical")
    topic = quote("counts:incidents?severity=critical%7Cerror", safe="")
    with (
        reading(address, f"/api/monitor/stream?topics={topic}") as counts_only,
        reading(address, f"/api/monitor/stream?topics=incidents,{topic}") as both,
    ):
        first = counts_only.next("counts", "change")
        assert (first["topic"], first["count"], first["exact"]) == (
            "counts:incidents?severity=critical|error",
            1,
            True,
        )
        assert {"value": "critical", "count": 1}.items() <= first["counts"]["severity"][0].items()
        assert both.next("counts")["count"] == 1
        incident(database, emitter, 2, "error")
        incident(database, emitter, 3, "warning")
        seq = database.fetch_one("SELECT max(seq) AS seq FROM change_signals")["seq"]
        second = counts_only.next("counts", "change")
        assert (second["event"], second["count"]) == ("counts", 2) and second["seq"] in (seq, seq - 1)
        assert both.next("change")["topics"] == ["incidents"]
        assert both.next("counts")["count"] == 2


def test_counts_that_nobody_watches_are_forgotten_and_those_of_many_are_asked_once(shared_database):
    questions = CountedQuestions(shared_database)
    topic = counted_topic("counts:jobs?job_status=failed", datetime.now(UTC))

    async def scenario():
        clock = lambda: datetime.now(UTC)  # noqa: E731
        answers = await asyncio.gather(*(questions.answer(topic, 7, lambda: 9, clock) for _ in range(20)))
        assert all(one is answers[0] for one in answers) and answers[0]["seq"] == 9
        assert await questions.answer(topic, 9, lambda: 9, clock) is answers[0]
        later = await questions.answer(topic, 10, lambda: 10, clock)
        assert later is not answers[0] and questions.due(topic) > time.monotonic()

    with questions.watched([topic]), questions.watched([topic]):
        asyncio.run(scenario())
    assert not questions._known and not questions._watched


def test_a_process_watches_only_so_many_counts(shared_database):
    questions = CountedQuestions(shared_database)
    now = datetime.now(UTC)
    many = [counted_topic(f"counts:jobs?jedi_task_id={number}", now) for number in range(50)]
    one_more = counted_topic("counts:tasks", now)
    with questions.watched(many):
        questions.check_room(many[:5])
        with pytest.raises(InvalidInput):
            questions.check_room([one_more])
    questions.check_room([one_more])


def test_more_readers_than_a_process_holds_are_sent_away_for_a_moment(address, monkeypatch):
    monkeypatch.setattr(live, "MOST_READERS", 1)
    with reading(address) as reader:
        reader.next()
        answer = httpx.get(f"{address}/api/monitor/stream")
    assert answer.status_code == 503 and answer.headers["Retry-After"]


def test_a_reader_that_takes_nothing_is_given_up(address, database, emitter, monkeypatch):
    monkeypatch.setattr(sys.modules["api.monitor.stream"], "DRAIN_S", 0.3)
    host, port = address.removeprefix("http://").split(":")
    with socket.socket() as sleeper:
        sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sleeper.connect((host, int(port)))
        sleeper.sendall(b"GET /api/monitor/stream HTTP/1.1\r\nHost: panda\r\n\r\n")
        with reading(address) as reader:
            reader.next()
            topics = [f"queue:{'x' * 110}{number}" for number in range(190)]
            server = next(iter(_open_hubs()))

            def is_given_up():
                database.execute(
                    "WITH new AS (INSERT INTO change_signals (topics) SELECT %(topics)s::jsonb FROM generate_series(1, 5)"
                    " RETURNING seq) SELECT pg_notify('panda_changes', max(seq)::text) FROM new",
                    {"topics": json.dumps(topics)},
                )
                reader.next("change")
                return server.reader_count == 1

            eventually(is_given_up, what="the sleeper is given up")


def _open_hubs():
    return {one for one in gc.get_objects() if isinstance(one, live.ChangeHub) and one.reader_count}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        *(("topics=colours", "topics"), ("topics=job:x", "topics"), ("since=-1", "since")),
        *(("filter=colour%3Dred", "colour"), ("filter=code%3Dx", "code")),
        *(("topics=counts:colours", "topics"), ("topics=counts:jobs%3Fcolour%3Dred", "colour")),
        ("topics=" + ",".join(f"counts:jobs%3Fjedi_task_id%3D{number}" for number in range(6)), "topics"),
    ],
)
def test_what_is_no_topic_or_number_is_refused_by_name(still_address, query, field):
    answer = httpx.get(f"{still_address}/api/monitor/stream?{query}")
    assert answer.status_code == 422 and answer.json()["field"] == field


def test_a_closed_monitor_wants_a_token(database_url, tmp_path):
    with serving(database_url, tmp_path, monitor_access="token") as address:
        assert httpx.get(f"{address}/api/monitor/stream").status_code == 401


def test_a_stopping_server_does_not_wait_for_its_readers(database_url, tmp_path):
    others = _hubs()
    with serving(database_url, tmp_path) as address:
        reader = threading.Thread(target=_read_to_the_end, args=(address,))
        reader.start()
        eventually(lambda: _hubs() - others)
    reader.join(20)
    assert not reader.is_alive()
    eventually(lambda: not _hubs() - others)


def _hubs():
    """The threads that serve streams: other servers of this process may have theirs."""
    return {thread.ident for thread in threading.enumerate() if thread.name == "change-hub"}


def _read_to_the_end(address):
    try:
        with reading(address) as reader:
            while True:
                reader.next()
    except (httpx.HTTPError, StopIteration, RuntimeError):
        return


def test_streams_outlive_the_database_and_are_told_to_read_anew(short_directory, tmp_path):
    postgres = EmbeddedPostgres(short_directory)
    try:
        url = postgres.start()
        door = Database(url)
        migrate(door)
        with serving(url, tmp_path) as address, reading(address) as reader:
            emitter = ChangeEmitter(door, 0.25)
            reader.next("heartbeat")
            postgres.stop()
            postgres.start()
            assert reader.next("resync")["event"] == "resync"
            eventually(lambda: _cycle(emitter))
            reader.next("resync")  # the first emitter says: everything
            change(door, emitter, 17)
            assert "job:17" in reader.next("change")["topics"]
        door.close()
    finally:
        postgres.stop()


def _cycle(emitter) -> bool:
    try:
        emitter.cycle()
    except Unavailable:
        return False
    return True


def signal(seq: int) -> Signal:
    return Signal(seq, datetime.now(UTC), frozenset({"jobs"}))


def test_a_reader_that_is_too_slow_is_told_to_read_anew():
    async def scenario():
        subscription = Subscription(0)
        for seq in range(1, QUEUE_SIZE + 10):
            subscription.offer(signal(seq))
        await asyncio.sleep(0)
        first = await subscription.next(1)
        rest = [await subscription.next(1) for _ in range(8)]
        assert isinstance(first, Resync)
        assert [event.seq for event in rest] == list(range(QUEUE_SIZE + 2, QUEUE_SIZE + 10))

    asyncio.run(scenario())


def test_what_waits_for_a_reader_is_bounded_in_bytes_too():
    async def scenario():
        subscription = Subscription(0)
        big = frozenset(f"job:{number:015d}" for number in range(2000))
        for seq in range(1, 12):
            subscription.offer(Signal(seq, datetime.now(UTC), big))
        await asyncio.sleep(0)
        assert await subscription.next(1) == Resync("slow")
        assert (await subscription.next(1)).seq == 8

    asyncio.run(scenario())


def test_a_reader_of_one_job_is_not_slow_because_others_change():
    async def scenario():
        subscription = Subscription(0, frozenset({"job:17"}))
        for seq in range(1, QUEUE_SIZE * 2):
            subscription.offer(signal(seq))
        subscription.offer(Signal(QUEUE_SIZE * 2, datetime.now(UTC), frozenset({"job:17"})))
        await asyncio.sleep(0)
        assert (await subscription.next(1)).seq == QUEUE_SIZE * 2
        assert await subscription.next(0.01) is None and subscription.seq == QUEUE_SIZE * 2

    asyncio.run(scenario())


def test_nothing_comes_after_the_end():
    async def scenario():
        subscription = Subscription(0)
        subscription.offer(signal(1))
        subscription.offer(Closed())
        subscription.offer(signal(2))
        await asyncio.sleep(0)
        assert isinstance(await subscription.next(1), Closed)
        assert await subscription.next(0.01) is None

    asyncio.run(scenario())


def test_offers_to_a_reader_that_is_gone_do_no_harm():
    async def subscribe():
        return Subscription(0)

    asyncio.run(subscribe()).offer(signal(1))


def test_the_number_of_a_heartbeat_follows_what_was_heard():
    async def scenario():
        subscription = Subscription(3)
        subscription.offer(signal(4))
        await asyncio.sleep(0)
        await subscription.next(1)
        assert subscription.seq == 4

    asyncio.run(scenario())
