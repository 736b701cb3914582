"""`statistics/...` over HTTP: counts of live and ended jobs, open to everybody."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from core.database import Database
from tests.support.builders import activate, make_queue, put_into, submit
from tests.support.system import RunningSystem, running_system

NAMES = (
    *("job_stats_by_cloud", "production_job_stats_by_cloud_and_processing_type", "active_job_stats_by_site"),
    *("active_job_detailed_stats_by_site", "job_stats_by_site_and_resource_type"),
    "job_stats_by_site_share_and_resource_type",
)


@pytest.fixture(scope="module")
def empty(module_database_url, tmp_path_factory):
    """A server without jobs, whose agents the tests play themselves."""
    with running_system(module_database_url, tmp_path_factory.mktemp("empty"), agents=False) as system:
        yield system


def ask(system: RunningSystem, name: str, **parameters: Any) -> dict[str, Any]:
    with httpx.Client(base_url=system.url, timeout=30) as nobody:
        response = nobody.get(f"/api/v1/statistics/{name}", params=parameters)
    assert response.status_code == 200
    return response.json()


def count(system: RunningSystem, name: str, **parameters: Any) -> dict[str, Any]:
    answer = ask(system, name, **parameters)
    assert answer["success"], answer
    return answer["data"]


def archive(database: Database, status: str, minutes_ago: float, **columns: Any) -> None:
    """A job that ended some time ago."""
    values = {"job_status": status, "computing_site": "QA", **columns}
    names = ", ".join(values)
    places = ", ".join(f"%({name})s" for name in values)
    database.execute(
        f"INSERT INTO jobs_archive (panda_id, state_change_time, {names}) "
        f"VALUES (nextval('panda_id_seq'), clock_timestamp() - make_interval(secs => %(age_s)s), {places})",
        {**values, "age_s": minutes_ago * 60},
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_server_without_jobs_says_so(empty, name):
    assert ask(empty, name) == {"success": True, "message": "", "data": {}}


@pytest.fixture(scope="module")
def busy(empty):
    """The same server with jobs in it."""
    database = empty.database
    make_queue(database, "QA", parameters={"cloud": "CERN"})
    make_queue(database, "QB")
    activate(database, 3, queue="QA")
    activate(database, 2, queue="QB", core_count=8, prod_source_label="managed", processing_type="reco")
    [running] = submit(database, queue="QA")
    put_into(database, running, "running", gshare="Test")
    archive(database, "finished", 60)
    archive(
        database, "failed", 60, gshare="Test", resource_type="MCORE", prod_source_label="managed", processing_type="sim"
    )
    archive(database, "finished", 13 * 60)
    archive(database, "finished", 8 * 24 * 60)
    return empty


def test_live_jobs_by_site_with_the_statuses_that_factories_look_up(busy):
    counts = count(busy, "active_job_stats_by_site")
    assert counts == {
        "QA": {"activated": 3, "running": 1, "assigned": 0},
        "QB": {"activated": 2, "running": 0, "assigned": 0},
    }


def test_live_jobs_by_site_type_and_label(busy):
    assert count(busy, "active_job_detailed_stats_by_site") == {
        "QA": {"SCORE": {"user": {"activated": 3, "running": 1}}},
        "QB": {"MCORE": {"managed": {"activated": 2}}},
    }


def test_jobs_by_site_and_type_include_what_ended_in_the_window(busy):
    name = "job_stats_by_site_and_resource_type"
    counts = count(busy, name)
    assert counts == {
        "QA": {"SCORE": {"activated": 3, "running": 1, "finished": 1}, "MCORE": {"failed": 1}},
        "QB": {"MCORE": {"activated": 2}},
    }
    assert count(busy, name, time_window=720) == counts
    assert count(busy, name, time_window=0) == {
        "QA": {"SCORE": {"activated": 3, "running": 1}},
        "QB": {"MCORE": {"activated": 2}},
    }
    assert count(busy, name, time_window=10_080)["QA"]["SCORE"]["finished"] == 2


def test_jobs_by_site_share_and_type(busy):
    assert count(busy, "job_stats_by_site_share_and_resource_type", time_window=100)["QA"] == {
        "": {"SCORE": {"activated": 3, "finished": 1}},
        "Test": {"SCORE": {"running": 1}, "MCORE": {"failed": 1}},
    }


def test_jobs_by_cloud_and_family_of_labels(busy):
    assert count(busy, "job_stats_by_cloud", type="analysis") == {"CERN": {"activated": 3, "running": 1, "finished": 1}}
    production = {"CERN": {"failed": 1}, "WORLD": {"activated": 2}}
    assert count(busy, "job_stats_by_cloud") == count(busy, "job_stats_by_cloud", type="production") == production


def test_production_jobs_by_cloud_and_processing_type(busy):
    assert count(busy, "production_job_stats_by_cloud_and_processing_type") == {
        "CERN": {"sim": {"failed": 1}},
        "WORLD": {"reco": {"activated": 2}},
    }


@pytest.mark.parametrize("window", [-1, 10_081, 10**12])
def test_a_window_beyond_a_week_is_refused(busy, window):
    for name in NAMES[-2:]:
        answer = ask(busy, name, time_window=window)
        assert (answer["success"], answer["data"]) == (False, {})
        assert answer["message"] == (
            'Parameter "time_window" needs to be a positive integer smaller than 10080 min (7 days)'
        )


def test_a_window_that_is_no_number_and_an_unknown_kind_are_refused(busy):
    assert ask(busy, NAMES[-1], time_window="soon")["message"].startswith("Type error: 'time_window'")
    answer = ask(busy, "job_stats_by_cloud", type="beer")
    assert answer["message"] == 'Parameter "type" needs to be either "production" or "analysis" '
