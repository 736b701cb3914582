"""Incidents that people open by hand: with a key of their own, the jobs they name, and held by their author."""

from __future__ import annotations

import pytest

from core.clock import utc_now
from core.database import Database
from core.errors import InvalidInput
from logger.life import Act
from logger.manual import MOST_JOBS, ManualIncident, open_manually
from logger.reading import incident_detail
from logger.store import IncidentStore
from tests.logger.builders import end_jobs
from tests.logger.life.test_grouping import assert_exact


def test_what_no_rule_saw(shared_database: Database) -> None:
    draft = ManualIncident("Disk\x1b[2J array\nis slow", "critical", "CERN", 7, "seen by the site")
    act = Act("ann", "", via="web", roles=frozenset({"operator"}))
    row = open_manually(shared_database, draft, act)
    assert (row["title"], row["kind"], row["state"], row["severity"]) == (
        "Disk array is slow",
        "manual",
        "open",
        "critical",
    )
    assert (row["computing_site"], row["jedi_task_id"], row["opened_by"], row["held_by"]) == ("CERN", 7, "ann", "ann")
    detail = incident_detail(shared_database, row["incident_id"], utc_now())
    assert [(one["who"], one["action"], one["comment"]) for one in detail["activity"]] == [
        ("ann", "open", "seen by the site")
    ]
    assert detail["grouping"] == "ann opened it by hand."
    key = {"id": row["incident_id"], "text": str(row["incident_id"])}
    changes = shared_database.fetch("SELECT * FROM incident_changes WHERE incident_id = %(id)s", key)
    assert [(one["what"], one["who"], one["is_automatic"], one["change_seq"]) for one in changes] == [
        ("opened", "ann", False, 1)
    ]
    (audited,) = shared_database.fetch("SELECT * FROM audit WHERE object_id = %(text)s", key)
    assert (audited["action"], audited["via"], audited["roles"]) == ("open", "web", ["operator"])


def test_two_with_one_title_are_two(shared_database: Database) -> None:
    one, other = (open_manually(shared_database, ManualIncident("same"), "ann") for _ in range(2))
    assert one["fingerprint"] != other["fingerprint"]


def test_it_covers_the_jobs_that_no_incident_has(database: Database) -> None:
    covered = end_jobs(database, task=None, walltime_s=100)
    IncidentStore(database).ingest_ended_jobs()
    free = [*end_jobs(database, 2, site="BNL", cores=4, walltime_s=100, task=5), *end_jobs(database, status="finished")]
    row = open_manually(database, ManualIncident("odd", panda_ids=[*covered, *free]), "ann")
    assert (row["job_count"], row["queue_count"], row["residue_count"]) == (3, 2, 2)
    assert 790 <= row["lost_core_s"] <= 810
    detail = incident_detail(database, row["incident_id"], utc_now())
    assert sorted(job["panda_id"] for job in detail["jobs"]) == sorted(free)
    assert detail["activity"][-1]["comment"].startswith("1 of its jobs belong to incidents ")
    assert_exact(database, with_times=False)
    # the builder comes by later and finds them covered
    IncidentStore(database).ingest_ended_jobs()
    assert_exact(database, with_times=False)


@pytest.mark.parametrize(
    ("draft", "field"),
    [
        (ManualIncident(" \x1b[2J "), "title"),
        (ManualIncident("x", "dreadful"), "severity"),  # type: ignore[arg-type]
        (ManualIncident("x", panda_ids=[987_654_321]), "panda_ids"),
        (ManualIncident("x", panda_ids=range(MOST_JOBS + 1)), "panda_ids"),
    ],
)
def test_a_draft_that_is_none_is_refused(shared_database: Database, draft: ManualIncident, field: str) -> None:
    before = shared_database.fetch("SELECT count(*) FROM incidents")
    with pytest.raises(InvalidInput) as refused:
        open_manually(shared_database, draft, "ann")
    assert refused.value.field == field and refused.value.remedy
    assert shared_database.fetch("SELECT count(*) FROM incidents") == before
