"""What the monitors read of incidents: order, filters, facets, pages, and one incident with everything."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from core.clock import utc_now
from core.database import Database
from core.errors import InvalidInput, UnknownObject
from core.monitor.question import read_question
from logger.reading import (
    INCIDENT_GRAMMAR,
    TREND_BINS,
    incident_comparison,
    incident_counts,
    incident_detail,
    incident_list,
    worst_incidents,
)
from logger.steps import owner_hint
from logger.store import IncidentStore
from tests.logger.builders import end_jobs, record
from tests.logger.deeds.builders import OLGA, HeldClock, do

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


# --- what stands beside it


def put(database: Database, **columns: Any) -> int:
    """An incident as a row."""
    columns = {"fingerprint": f"k{uuid.uuid4()}", "title": "t", "opened_time": utc_now(), **columns}
    names, marks = ", ".join(columns), ", ".join(f"%({name})s" for name in columns)
    row = database.fetch_one(f"INSERT INTO incidents ({names}) VALUES ({marks}) RETURNING incident_id", columns)
    assert row is not None
    return int(row["incident_id"])


def ids(answer: dict[str, Any]) -> list[int]:
    return [row["incident_id"] for row in answer["incidents"]]


def test_reopened_counts_as_open_and_silenced_comes_last(database: Database) -> None:
    states = ("silenced", "acknowledged", "reopened", "open", "resolved")
    by_state = {state: put(database, state=state, severity="error") for state in states}
    put(database, state="candidate", opened_time=None)
    put(database, state="resolved", opened_time=None)
    explained = put(database, inhibited_by=by_state["open"])
    order = [by_state[state] for state in ("open", "reopened", "acknowledged", "silenced")]
    assert ids(ask(database)) == order == [row["incident_id"] for row in worst_incidents(database, utc_now())]
    counts = {"open": 2, "acknowledged": 1, "silenced": 1, "inhibited": 1}
    assert incident_counts(database) == {**counts, "by_severity": {"critical": 0, "error": 3, "warning": 0}}
    assert len(ids(ask(database, state="*"))) == 6
    central = next(row for row in ask(database)["incidents"] if row["incident_id"] == by_state["open"])
    assert central["inhibits"] == 1
    assert ids(ask(database, inhibited="1")) == [explained] == ids(ask(database, inhibited_by=by_state["open"]))
    below = incident_detail(database, by_state["open"], utc_now())["inhibits"]
    assert [row["incident_id"] for row in below] == [explained]


def test_candidates_are_shown_to_who_asks_for_them(database: Database) -> None:
    candidate, lapsed = (
        put(database, state="candidate", opened_time=None),
        put(database, state="resolved", opened_time=None),
    )
    shown = put(database)
    assert ids(ask(database)) == [shown] == ids(ask(database, state="*"))
    assert ids(ask(database, state="candidate")) == []
    assert ids(ask(database, candidates=1)) == [shown, candidate]
    assert ids(ask(database, candidates=1, state="candidate")) == [candidate]
    assert ids(ask(database, candidates=1, state="*")) == [shown, candidate, lapsed]


def test_filters_of_what_was_made_of_it(database: Database) -> None:
    put(database)
    judged = {"verdict": "site", "verdict_value": "CERN", "error_class": "network", "step": "stage-in"}
    put(database, title="mine", opened_by="rule x v1", assigned_to="bob", held_by="ann", **judged)
    for filters in (
        {"verdict": "site"},
        {"verdict_value": "CERN"},
        {"class": "network"},
        {"error_class": "net*"},
        {"step": "stage-in"},
        {"opened_by": "rule*"},
        {"assigned_to": "bob"},
        {"held_by": "ann"},
        {"inhibited": "0", "step": "stage-in"},
    ):
        assert titles(ask(database, **filters)) == ["mine"], filters
    with pytest.raises(InvalidInput):
        ask(database, inhibited="perhaps")


def test_a_page_tells_the_verdict_and_what_it_costs(database: Database) -> None:
    document = orjson.dumps({"sentence": "It is the queue CERN.", "failures": 12}).decode()
    judged = {"verdict": "site", "verdict_value": "CERN", "verdict_score": 7.5, "verdict_document": document}
    counts = {"job_count": 12, "residue_count": 5, "lost_core_s": 7200, "residue_lost_core_s": 3600, "slot_share": 0.1}
    incident_id = put(database, error_class="network", **judged, **counts)
    detail = incident_detail(database, incident_id, utc_now())
    verdict = detail["verdict"]
    assert (verdict["verdict"], verdict["value"], verdict["score"]) == ("site", "CERN", 7.5)
    assert verdict["sentence"] == "It is the queue CERN." and verdict["document"]["failures"] == 12
    assert detail["economics"] == {
        **{"jobs": 12, "residue": 5, "retried": 7, "lost_core_h": 2.0, "residue_lost_core_h": 1.0},
        "slot_share": 0.1,
    }
    assert detail["owner_hint"] == owner_hint("network")
    assert incident_detail(database, put(database), utc_now())["verdict"] is None


def test_a_central_trouble_is_the_operators_whatever_its_class(database: Database) -> None:
    detail = incident_detail(database, put(database, error_class="network", verdict="central"), utc_now())
    assert detail["owner_hint"] == "operators"


def test_earlier_occurrences_say_what_ended_them(database: Database) -> None:
    ended = {"fingerprint": "same", "state": "resolved", "resolved_by": "ann", "resolution": "fixed: new disk"}
    earlier = [put(database, **ended) for _ in range(12)]
    put(database, fingerprint="same", state="resolved", opened_time=None)
    now = put(database, fingerprint="same")
    previous = incident_detail(database, now, utc_now())["previous"]
    assert [row["incident_id"] for row in previous] == earlier[:-11:-1]
    assert {(row["resolved_by"], row["resolution"]) for row in previous} == {("ann", "fixed: new disk")}
    assert incident_detail(database, earlier[0], utc_now())["previous"] == []


def test_silences_links_and_deeds_of_an_incident(database: Database, store: IncidentStore) -> None:
    one, other = put(database, title="one"), put(database, title="other")
    store.silence(one, "doubles", None, "ann", "known")
    link = store.merge(other, one, "bob", "same disk")[1]
    database.execute(
        "INSERT INTO deeds (action, who, incident_id, target_kind, target_count) VALUES ('drain', 'ann', %(id)s, 'queue', 1)",
        {"id": one},
    )
    detail = incident_detail(database, one, utc_now())
    assert [(row["who"], row["until_kind"]) for row in detail["silences"]] == [("ann", "doubles")]
    assert [(row["link_id"], row["title"], row["undone_time"]) for row in detail["links"]] == [
        (link["link_id"], "other", None)
    ]
    assert detail["grouping"] == f"bob merged incident {other} into it."
    assert [(row["action"], row["who"], row["can_be_undone"]) for row in detail["deeds"]] == [("drain", "ann", False)]
    assert incident_detail(database, other, utc_now())["grouping"] == f"bob merged it into incident {one}."


def test_a_deed_that_met_many_incidents_stands_with_each(database: Database) -> None:
    both = [put(database, title="one"), put(database, title="other")]
    deed = do(database, "acknowledge", OLGA, HeldClock(), incidents=both)
    for number in both:
        (found,) = incident_detail(database, number, utc_now())["deeds"]
        assert (found["deed_id"], found["can_be_undone"]) == (deed["deed_id"], True)


def test_the_lines_around_the_culprit_outlive_the_log(database: Database, store: IncidentStore) -> None:
    (panda_id,) = end_jobs(database, logs={"payload.stderr": _STDERR})
    store.ingest_ended_jobs()
    (row,) = ask(database, candidates=1)["incidents"]
    fresh = incident_detail(database, row["incident_id"], utc_now())["culprit"]
    database.execute("DELETE FROM job_logs")
    kept = incident_detail(database, row["incident_id"], utc_now())["culprit"]
    assert kept["is_kept"] and not fresh["is_kept"]
    assert {**kept, "is_kept": False} == fresh and kept["panda_id"] == panda_id


# --- why two are two


def test_two_incidents_are_compared_part_by_part(database: Database) -> None:
    words = (["disk", "<path>", "is", "full"], ["disk", "<path>", "is", "gone", "is"])
    one, other = (
        put(database, component="pilot", algorithm=2, step=step, fingerprint_words=orjson.dumps(said).decode())
        for said, step in zip(words, ("stage-in", "stage-out"), strict=True)
    )
    answer = incident_comparison(database, one, other, utc_now())
    assert not answer["is_same"]
    assert {part["part"] for part in answer["parts"] if not part["is_equal"]} == {"step"}
    assert answer["words"] == {"common": ["disk", "<path>", "is"], "only_one": ["full"], "only_other": ["gone", "is"]}
    assert answer["sentence"] == "They differ in step and words of the message."
    assert incident_comparison(database, one, one, utc_now())["is_same"]
    old = put(database, algorithm=1)
    assert "different versions" in incident_comparison(database, one, old, utc_now())["sentence"]
    with pytest.raises(UnknownObject):
        incident_comparison(database, one, 999_999, utc_now())


def test_resolved_ones_of_long_ago_are_shown_to_who_names_a_window_or_means_one(database: Database) -> None:
    long_ago = utc_now() - timedelta(days=40)
    old = put(database, fingerprint="same", state="resolved", first_seen=long_ago, last_seen=long_ago)
    recent, living = put(database, state="resolved"), put(database, first_seen=long_ago, last_seen=long_ago)
    answer = ask(database, state="*")
    assert ids(answer) == [living, recent] and answer["count"] == 2
    assert answer["warnings"] == ["resolved ones of the last 30 days; more with days=365"]
    assert ids(ask(database, state="resolved")) == [recent] == ids(ask(database, state="!open"))
    assert ids(ask(database, state="resolved", days=365)) == [recent, old]
    assert ids(ask(database, state="resolved", fingerprint="same")) == [old]
    for answer in (ask(database), ask(database, state="open|silenced")):
        assert ids(answer) == [living] and answer["warnings"] == []


def test_lists_and_pages_read_by_their_indexes(database: Database) -> None:
    """With thirty thousand incidents that are over, nothing reads them all."""
    database.execute(
        """INSERT INTO incidents (fingerprint, state, opened_time, job_count, first_seen, last_seen)
        SELECT 'old' || n, 'resolved', t, 3, t, t
        FROM generate_series(1, 30000) n, LATERAL (SELECT clock_timestamp() - interval '40 days' AS t) AS long_ago"""
    )
    database.execute(
        """INSERT INTO incidents (fingerprint, state, opened_time, inhibited_by)
        SELECT 'new' || n, CASE WHEN n % 3 = 0 THEN 'silenced' ELSE 'open' END, clock_timestamp(),
            CASE WHEN n > 90 THEN 30001 END FROM generate_series(1, 100) n"""
    )
    database.execute("ANALYZE incidents")
    with database.transaction() as transaction:
        scans = "SELECT seq_tup_read AS n FROM pg_stat_user_tables WHERE relname = 'incidents'"
        before = transaction.fetch(f"SELECT pg_stat_force_next_flush(), ({scans}) AS n")[0]["n"]
    assert len(ask(database)["incidents"]) == 90
    assert len(ask(database, state="*")["incidents"]) == 100 and ids(ask(database, state="resolved")) == []
    assert incident_counts(database)["inhibited"] == 10
    worst = worst_incidents(database, utc_now())
    incident_detail(database, worst[0]["incident_id"], utc_now())
    database.execute("SELECT pg_stat_force_next_flush()")
    assert database.fetch(scans)[0]["n"] - before < 1000
