"""The endpoint as programs in any language use it: three forms of body, bad bytes, defaults, refusals."""

from __future__ import annotations

import gzip
import json
import threading
import tracemalloc
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from core.clock import utc_now
from core.errors import InvalidInput
from logger.batches import read_body
from tests.logger.builders import record
from tests.support.system import RunningSystem, running_system

PATH = "/api/logger/records"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def house(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    with running_system(module_database_url, tmp_path_factory.mktemp("house"), agents=False) as system:
        yield system


@pytest.fixture(scope="module")
def site(house: RunningSystem) -> httpx.Client:
    return house.client("site", "pilot")


def newest(house: RunningSystem, count: int = 1) -> list[dict[str, Any]]:
    rows = house.database.fetch("SELECT * FROM log_records ORDER BY record_id DESC LIMIT %(n)s", {"n": count})
    return rows[::-1]


def test_a_batch_a_list_and_one_record_are_taken(house: RunningSystem, site: httpx.Client) -> None:
    for body in ({"records": [record()], "dropped": 0, "new": 1}, [record()], record()):
        answer = site.post(PATH, json=body)
        assert answer.json() == {"accepted": 1, "rejected": 0, "duplicate": 0, "reasons": []}, answer.text
    assert newest(house)[0]["emitter"] == "site"


def test_a_line_from_a_shell_is_enough(house: RunningSystem, site: httpx.Client) -> None:
    """What curl --data-binary sends, with the type it sends."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = site.post(f"{PATH}?component=backup", content=b"tape 7 cannot be read\n", headers=form)
    assert answer.json()["accepted"] == 1
    [row] = newest(house)
    assert (row["component"], row["message"], row["level"]) == ("backup", "tape 7 cannot be read", "INFO")
    site.post(f"{PATH}?component=backup&computing_site=CERN&level=WARNING&panda_id=17", content=b"ERROR: a\nb\n\n")
    said, plain = newest(house, 2)
    assert (said["level"], plain["level"], plain["computing_site"], plain["panda_id"]) == (
        "ERROR",
        "WARNING",
        "CERN",
        17,
    )


def test_a_record_on_each_line_is_taken_and_a_broken_line_named(house: RunningSystem, site: httpx.Client) -> None:
    lines = "\n".join([json.dumps(record("one")), "{broken", "", json.dumps({"message": "two"})])
    for headers in ({"Content-Type": "application/x-ndjson"}, {}):
        answer = site.post(f"{PATH}?component=c", content=lines.encode(), headers=headers).json()
        assert (answer["accepted"], answer["rejected"]) == (2, 1)
        assert answer["reasons"][0].startswith("record 1: ")
        assert [(row["message"], row["component"]) for row in newest(house, 2)] == [("one", "adder"), ("two", "c")]


def test_syslog_lines_are_records(house: RunningSystem, site: httpx.Client) -> None:
    line = '<11>1 2026-11-21T10:00:00Z wn7 mover 42 - [panda@53595 code="1137" computing_site="CERN"] no space'
    site.post(PATH, content=line.encode(), headers={"Content-Type": "text/plain"})
    [row] = newest(house)
    assert (row["level"], row["component"], row["host"], row["code"]) == ("ERROR", "mover", "wn7", 1137)
    assert (row["computing_site"], row["message"]) == ("CERN", "no space")


def test_bytes_that_are_no_text_cost_nobody_a_record(house: RunningSystem, site: httpx.Client) -> None:
    body = json.dumps({"records": [record("bad BYTES here"), record("good")]}).encode().replace(b"BYTES", b"\xff\xfe")
    assert site.post(PATH, content=body, headers=JSON).json()["accepted"] == 2
    assert [row["message"] for row in newest(house, 2)] == ["bad \ufffd\ufffd here", "good"]
    half = json.dumps({"records": [record("half \ud800 character \x00")]}).encode()
    assert site.post(PATH, content=half, headers=JSON).json()["accepted"] == 1
    assert newest(house)[0]["message"].rstrip() == "half ? character"
    assert site.post(PATH, content=b"caf\xe9 is closed").json()["accepted"] == 1
    assert newest(house)[0]["message"] == "caf\ufffd is closed"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        *((b"{", "body"), (b"17", "records"), (b'"x"', "records"), (b"{}", "records"), (b'{"records": 1}', "records")),
        *((b'{"records": [], "dropped": "5"}', "dropped"), (b'{"records": [], "source": 5}', "source")),
        *((b"[" * 100_000, "body"), (b'{"a": NaN}', "body"), (b"", "body"), (b"\xff", "body")),
    ],
)
def test_what_is_no_batch_is_refused_by_name(site: httpx.Client, body: bytes, field: str) -> None:
    answer = site.post(PATH, content=body, headers=JSON)
    assert answer.status_code == 422, answer.text
    assert answer.json()["field"] == field and answer.json()["remedy"]


@pytest.mark.parametrize("content", [b"x\n" * 5001, b"\n" * 3_000_000, b'{"message": "x"}\n' * 5001])
def test_more_lines_than_a_batch_may_have_are_counted_and_not_read(site: httpx.Client, content: bytes) -> None:
    answer = site.post(PATH, content=content, headers={"Content-Type": "text/plain"})
    assert answer.status_code == 422 and answer.json()["field"] == "records"
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInput, match="in one batch"):
            read_body(content, "text/plain", {}, utc_now())
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 1_000_000  # three million lines cut apart would be more than a hundred


def test_a_packed_batch_with_a_name_twice_is_taken_as_its_last(house: RunningSystem, site: httpx.Client) -> None:
    body = gzip.compress(b'{"records": [{"message": "first", "message": "last"}]}')
    assert site.post(PATH, content=body, headers=JSON).json()["accepted"] == 1
    assert newest(house)[0]["message"] == "last"


def test_a_batch_sent_again_is_answered_with_its_duplicates(house: RunningSystem, site: httpx.Client) -> None:
    batch = {"source": "boot7", "sent": None, "records": [record("x", seq=number) for number in range(1, 6)]}
    assert site.post(PATH, json=batch).json()["accepted"] == 5
    again = site.post(PATH, json=batch).json()
    assert (again["accepted"], again["duplicate"]) == (0, 5)


def test_an_empty_body_of_lines_is_no_trouble(site: httpx.Client) -> None:
    assert site.post(PATH, content=b"\n\n").json()["accepted"] == 0


def test_nobody_sends_without_a_token(house: RunningSystem) -> None:
    assert httpx.post(f"{house.url}{PATH}", content=b"x").status_code == 401


def test_a_flood_is_told_when_to_come_again_and_others_are_taken_meanwhile(house: RunningSystem) -> None:
    flood, other = house.client("noisy"), house.client("quiet")
    batch = [record(f"again {number}", level="INFO") for number in range(500)]
    # while a slow machine takes them, there is room for a batch again each second
    answers: list[httpx.Response] = []
    while [answer.status_code for answer in answers].count(429) < 25:
        assert len(answers) < 400, "nothing is refused"
        answers.append(flood.post(PATH, json=batch))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert int(refused[0].headers["Retry-After"]) >= 1
    assert refused[0].json()["code"] == "too_many" and refused[0].json()["remedy"]
    for _ in range(20):
        flood.post(PATH, json=batch)
        assert other.post(PATH, json=record("mine", level="INFO")).json()["accepted"] == 1
    told = other.get("/api/monitor/incidents", params={"kind": "service"}).json()["incidents"]
    assert [row for row in told if row["fingerprint"] == "v1:flood:noisy"]


def test_senders_that_wait_for_an_incident_keep_no_pilot_waiting(house: RunningSystem, site: httpx.Client) -> None:
    site.post(PATH, json=record("stuck", component="stuck"))
    senders = [
        threading.Thread(target=site.post, args=(PATH,), kwargs={"json": record("stuck", component="stuck")})
        for _ in range(40)
    ]
    with house.database.transaction() as person:
        person.fetch("SELECT 1 FROM incidents WHERE component = 'stuck' FOR UPDATE")
        for sender in senders:
            sender.start()
        while house.database.fetch("SELECT count(*) AS n FROM pg_locks WHERE NOT granted") == [{"n": 0}]:
            pass
        pilot = house.client("pilot", "pilot")
        for _ in range(10):  # whoever waits for the person waits for ever: he is not done before they are
            assert pilot.post("/api/control/worker/ended", json={"worker_id": "w", "diagnosis": "d"}).status_code == 200
    for sender in senders:
        sender.join()
    [incident] = house.database.fetch("SELECT record_count FROM incidents WHERE component = 'stuck'")
    assert incident["record_count"] == 41


@pytest.mark.parametrize(
    ("content", "headers", "told"),
    [
        (gzip.compress(b"\0" * 200_000_000), {"Content-Encoding": "gzip"}, "larger than"),
        (gzip.compress(b"[" * 200_000_000), {}, "larger than"),
        (gzip.compress(b'{"message":"x"}')[:-9], {"Content-Encoding": "gzip"}, "cut short"),
        (b"[" * 1_000_000, {}, "not JSON"),
        (b"{" * 50, {}, "not JSON"),
    ],
    ids=["bomb", "bomb unsaid", "cut", "deep", "no object"],
)
def test_a_body_that_cannot_be_read_is_refused_with_the_remedy(
    site: httpx.Client, content: bytes, headers: dict[str, str], told: str
) -> None:
    answer = site.post(PATH, content=content, headers={**JSON, **headers})
    problem = answer.json()
    assert answer.status_code == 422 and len(answer.content) < 2000, answer.text
    assert told in problem["detail"] and problem["field"] == "body" and problem["remedy"]


@pytest.mark.parametrize("said", ["br", "deflate", "zstd", "gzip, gzip", "gzip, br", "identity, br"])
def test_a_body_that_is_packed_otherwise_is_told_what_is_read(site: httpx.Client, said: str) -> None:
    answer = site.post(PATH, content=gzip.compress(b'{"message":"x"}'), headers={**JSON, "Content-Encoding": said})
    assert answer.status_code == 415 and answer.headers["Accept-Encoding"] == "gzip", answer.text
    problem = answer.json()
    assert (problem["code"], problem["field"]) == ("unsupported_encoding", "Content-Encoding")
    assert said in problem["detail"] and "gzip" in problem["remedy"]


@pytest.mark.parametrize("said", ["gzip", "X-GZIP", "identity", "gzip, identity", ""])
def test_a_body_that_is_packed_as_it_says_is_taken(site: httpx.Client, said: str) -> None:
    body = b'{"message":"x"}'
    content = gzip.compress(body) if "gzip" in said.lower() else body
    answer = site.post(PATH, content=content, headers={**JSON, "Content-Encoding": said})
    assert answer.json()["accepted"] == 1, answer.text


def test_a_body_in_chunks_is_taken(house: RunningSystem, site: httpx.Client) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"message":"in '
        yield b'chunks"}\n{"mess'
        yield b'age":"second"}\nno json\n{"message":5}\n'

    answer = site.post(PATH, content=chunks(), headers={"Content-Type": "application/x-ndjson"}).json()
    assert (answer["accepted"], answer["rejected"]) == (2, 2) and "record 3: message: " in answer["reasons"][1]
    assert [row["message"] for row in newest(house, 2)] == ["in chunks", "second"]


def test_five_megabytes_of_one_line_are_one_record(house: RunningSystem, site: httpx.Client) -> None:
    answer = site.post(PATH, content=b"ERROR: " + b"x" * 5_000_000, headers={"Content-Type": "text/plain"})
    assert answer.json()["accepted"] == 1, answer.text
    row = newest(house)[0]
    assert len(row["message"]) == 4000 and row["fields"]["cut_bytes"] > 4_900_000 and row["level"] == "ERROR"
