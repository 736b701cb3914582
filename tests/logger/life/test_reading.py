"""What the monitors read of incidents: order, filters, facets, pages, and one incident with everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from core.clock import utc_now
from core.database import Database
from core.errors import InvalidInput, UnknownObject
from core.monitor.question import read_question
from logger.reading import (
    INCIDENT_GRAMMAR,
    TREND_BINS,
    incident_counts,
    incident_detail,
    incident_list,
    worst_incidents,
)
from logger.store import IncidentStore
from tests.logger.builders import end_jobs, record

_STDERR = "".join(f"line {number}\n" for number in range(1, 61)) + "ValueError: bad\n" + "bye\n" * 30
ROW = {
    *(
        "incident_id",
        "title",
        "kind",
        "severity",
        "state",
        "owner",
        "component",
        "code",
        "computing_site",
        "queue_count",
    ),
    *(
        "job_count",
        "task_count",
        "user_count",
        "record_count",
        "lost_core_s",
        "first_seen",
        "last_seen",
        "culprit_line",
    ),
    *("fingerprint", "sample_panda_id", "trend", "opened_time", "opened_by", "rule_name", "step", "error_class"),
    *(
        "residue_count",
        "residue_lost_core_s",
        "node_count",
        "storage_count",
        "verdict",
        "verdict_value",
        "verdict_score",
    ),
    *("slot_share", "assigned_to", "held_by", "acknowledged_time", "inhibited_by", "merged_into", "previous_id"),
    *(
        "reopened_count",
        "resolved_time",
        "resolution",
        "resolved_by",
        "change_seq",
        "links",
        "inhibits",
        "jedi_task_id",
    ),
}


@pytest.fixture
def store(database: Database) -> IncidentStore:
    return IncidentStore(database)


def ask(database: Database, **parameters: Any) -> dict[str, Any]:
    items = [(name, str(value)) for name, value in parameters.items()]
    return incident_list(database, read_question(items, INCIDENT_GRAMMAR, utc_now()))


def titles(answer: dict[str, Any]) -> list[str]:
    return [row["title"] for row in answer["incidents"]]


def various(database: Database, store: IncidentStore) -> None:
    """Six incidents of different state, severity and cost."""
    end_jobs(database, code=1099, diag="cheap", task=1)
    end_jobs(database, code=1137, diag="dear", cores=8, walltime_s=100, task=2, site="BNL")
    end_jobs(database, code=1103, diag="taken", task=1)
    end_jobs(database, code=1110, diag="over", task=1)
    store.ingest_ended_jobs()
    batch = [record("alarm", level="CRITICAL", computing_site="BNL"), record("noise")]
    store.ingest_records({"records": batch}, "x")
    by_code = {row["code"]: row["incident_id"] for row in database.fetch("SELECT code, incident_id FROM incidents")}
    store.acknowledge(by_code[1103], "ann")
    store.resolve(by_code[1110], "ann")


@pytest.fixture(scope="module")
def various_incidents(module_database_url: str) -> Iterator[Database]:
    """One database for all tests that only read."""
    database = Database(module_database_url)
    various(database, IncidentStore(database))
    yield database
    database.close()


def test_the_worst_come_first_and_resolved_ones_only_on_request(various_incidents: Database) -> None:
    database = various_incidents
    answer = ask(database)
    words = [title.split(":")[-1].strip() for title in titles(answer)]
    assert words == ["alarm", "noise", "dear", "cheap", "taken"]
    assert set(answer["incidents"][0]) == ROW
    assert answer["count"] == 5 and answer["next_cursor"] is None and answer["window"] is None
    assert len(ask(database, state="*")["incidents"]) == 6
    assert [row["code"] for row in ask(database, state="resolved")["incidents"]] == [1110]
    assert [row["incident_id"] for row in worst_incidents(database, utc_now(), 2)] == [
        row["incident_id"] for row in answer["incidents"][:2]
    ]
    assert incident_counts(database) == {
        "open": 4,
        "acknowledged": 1,
        "silenced": 0,
        "inhibited": 0,
        "by_severity": {"critical": 1, "error": 1, "warning": 3},
    }


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"kind": "service"}, 2),
        ({"kind": "!service"}, 3),
        ({"severity": "critical|error"}, 2),
        ({"computing_site": "BNL"}, 2),
        ({"computing_site": "B*"}, 2),
        ({"computing_site": "!BNL"}, 3),
        ({"computing_site": "Not specified"}, 1),
        ({"jedi_task_id": "1"}, 2),
        ({"jedi_task_id": "!1"}, 3),
        ({"jedi_task_id": "1,2"}, 3),
        ({"owner": "ann"}, 1),
        ({"component": "pilot"}, 3),
        ({"code": "1099"}, 1),
        ({"q": "ALAR"}, 1),
        ({"q": "100%"}, 0),
    ],
)
def test_filters(various_incidents: Database, filters: dict[str, str], count: int) -> None:
    answer = ask(various_incidents, **filters)
    assert len(answer["incidents"]) == answer["count"] == count


def test_facets_count_what_the_list_holds(various_incidents: Database) -> None:
    database = various_incidents
    answer = ask(database, state="*")
    for name, facet in answer["facets"].items():
        counted = Counter(row[name] for row in answer["incidents"])
        assert {item["value"]: item["count"] for item in facet} == dict(counted)
    assert set(answer["facets"]) == {"state", "severity", "kind", "component", "computing_site"}
    assert "facets" not in ask(database, facets=0)


def test_pages_hold_each_incident_once_and_in_order(database: Database, store: IncidentStore) -> None:
    batch = [record(f"{letters}", component=f"c{letters}") for letters in map(_letters, range(57))]
    store.ingest_records({"records": batch}, "x")
    whole = titles(ask(database, limit=1000))
    paged, cursor = [], ""
    while True:
        answer = ask(database, limit=10, **({"cursor": cursor} if cursor else {}))
        paged += titles(answer)
        assert answer["count"] == 57
        cursor = answer["next_cursor"]
        if cursor is None:
            break
    assert paged == whole and len(set(paged)) == 57
    with pytest.raises(InvalidInput):
        ask(database, cursor="nonsense")


def _letters(number: int) -> str:
    return chr(97 + number // 26) + chr(97 + number % 26)


def test_a_window_is_about_when_it_was_seen(various_incidents: Database) -> None:
    database = various_incidents
    assert len(ask(database, hours=1)["incidents"]) == 5
    assert ask(database, date_from="2020-01-01", date_to="2020-02-01")["incidents"] == []


def test_one_incident_with_everything(database: Database, store: IncidentStore) -> None:
    ids = [
        *end_jobs(database, 25, logs={"payload.stderr": _STDERR}),
        *end_jobs(database, 5, site="BNL", user="bob", task=7),
    ]
    ids += end_jobs(database, 2, host="wn2", logs={"payload.stderr": _STDERR})
    store.ingest_ended_jobs()
    store.ingest_records({"records": [record("stored it", level="INFO", component="pilot", panda_id=ids[-1])]}, "p")
    (incident_id,) = {
        row["incident_id"] for row in database.fetch("SELECT incident_id FROM incident_jobs WHERE host = 'CERN wn2'")
    }
    store.acknowledge(incident_id, "ann", "mine")
    detail = incident_detail(database, incident_id, utc_now())
    assert set(detail["incident"]) == ROW and detail["incident"]["owner"] == "ann"
    culprit = detail["culprit"]
    assert (culprit["panda_id"], culprit["log_name"], culprit["line_number"]) == (ids[-1], "payload.stderr", 61)
    assert culprit["text"] == "ValueError: bad"
    assert [line["line_number"] for line in culprit["around"]] == list(range(41, 82))
    assert culprit["around"][20] == {"line_number": 61, "text": "ValueError: bad"}
    jobs = detail["jobs"]
    assert len(jobs) == 20 and [job["panda_id"] for job in jobs] == sorted(
        (job["panda_id"] for job in jobs), reverse=True
    )
    assert jobs[0]["incident_id"] == incident_id and jobs[0]["culprit_line"] == "ValueError: bad"
    nodes = [{"value": "CERN wn1", "count": 25}, {"value": "CERN wn2", "count": 2}]
    assert detail["breakdown"]["modification_host"] == nodes
    assert detail["breakdown"]["jedi_task_id"] == [{"value": 10_000_001, "count": 27}]
    assert [entry["message"] for entry in detail["records"]] == ["stored it"]
    assert set(detail["records"][0]) == {"time", "level", "component", "message", "traceback", "host", "fields"}
    assert [entry["action"] for entry in detail["activity"]] == ["open", "acknowledge"]
    assert detail["grouping"].startswith("They have the same component (pilot)")
    assert sum(detail["incident"]["trend"]) == 27 and len(detail["incident"]["trend"]) == TREND_BINS


def test_an_incident_without_jobs_has_no_culprit_but_records(database: Database, store: IncidentStore) -> None:
    store.ingest_records({"records": [record("boom", fields={"a": 1})]}, "x")
    detail = incident_detail(database, worst_incidents(database, utc_now())[0]["incident_id"], utc_now())
    assert detail["culprit"] is None and detail["jobs"] == []
    assert detail["records"][0]["fields"] == {"a": 1}
    with pytest.raises(UnknownObject):
        incident_detail(database, 999, datetime.now(UTC))


def test_a_failure_without_logs_still_shows_its_diagnosis(database: Database, store: IncidentStore) -> None:
    end_jobs(database, code=0, exit_code=0, diag="", dispatcher_code=100, dispatcher_diag="lost heartbeat since noon")
    store.ingest_ended_jobs()
    (row,) = ask(database)["incidents"]
    assert row["culprit_line"] == "lost heartbeat since noon" and row["component"] == "job_dispatcher"
    detail = incident_detail(database, row["incident_id"], utc_now())
    assert detail["culprit"] is None
