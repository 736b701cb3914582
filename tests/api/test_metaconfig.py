"""`metaconfig/...` over HTTP: banned users, queues in PanDA's names, resource types."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from core.resource_types import RESOURCE_TYPES, resource_type
from tests.support.builders import make_queue
from tests.support.system import RunningSystem, running_system


@pytest.fixture(scope="module")
def still(module_database_url, tmp_path_factory):
    """A server with queues of two types."""
    with running_system(module_database_url, tmp_path_factory.mktemp("still"), agents=False) as system:
        make_queue(system.database, "QU", site="CERN", max_ram_mb=4000, max_walltime_s=3600, max_core_count=8)
        make_queue(
            system.database, "QP", status="offline", parameters={"type": "production", "cloud": "US", "tier": "T2"}
        )
        yield system


def specs(system: RunningSystem, **parameters: Any) -> dict[str, Any]:
    with httpx.Client(base_url=system.url) as nobody:
        answer = nobody.get("/api/v1/metaconfig/get_site_specs", params=parameters).json()
    assert (answer["success"], answer["message"]) == (True, "")
    return answer["data"]


def test_queues_are_told_by_type_to_everybody(still):
    assert set(specs(still, type="all")) == {"LOCAL", "QU", "QP"}
    assert set(specs(still, type="unified")) == {"LOCAL", "QU"}
    assert set(specs(still, type="production")) == {"QP"}
    assert specs(still) == specs(still, type="analysis") == specs(still, type="beer") == {}


def test_a_queue_in_pandas_names_and_units(still):
    unified = specs(still, type="all")["QU"]
    names = ("sitename", "pandasite", "type", "status", "cloud", "maxrss", "maxtime", "coreCount", "ddm")
    assert {name: unified[name] for name in names} == {
        **{"sitename": "QU", "pandasite": "CERN", "type": "unified", "status": "online", "cloud": "WORLD"},
        **{"maxrss": 4000, "maxtime": 3600, "coreCount": 8, "ddm": "QU_DISK"},
    }
    assert set(unified["statusmodtime"]) == {"__datetime__"}
    production = specs(still, type="production")["QP"]
    assert (production["status"], production["cloud"], production["tier"]) == ("offline", "US", "T2")


def test_banned_users_are_told_by_name(still):
    client = still.client("alice")
    assert client.get("/api/v1/metaconfig/get_banned_users").json()["data"] == {}
    still.database.execute("INSERT INTO users (user_name, status) VALUES ('mallory', 'disabled'), ('trent', 'active')")
    assert client.get("/api/v1/metaconfig/get_banned_users").json()["data"] == {"mallory": False}


def test_resource_types_are_told_with_their_limits(still):
    told = still.client("alice").get("/api/v1/metaconfig/get_resource_types").json()["data"]
    assert [entry["resource_name"] for entry in told] == ["SCORE", "SCORE_HIMEM", "MCORE", "MCORE_HIMEM"]
    assert told[0] == {
        **{"resource_name": "SCORE", "mincore": 1, "maxcore": 1, "minrampercore": 0, "maxrampercore": 2000}
    }
    assert told[3]["maxrampercore"] is None


@pytest.mark.parametrize("cores", [1, 2, 8, 1000])
@pytest.mark.parametrize("ram_per_core", [0, 1, 1999, 2000, 2001, 100_000])
def test_every_job_has_exactly_the_class_whose_limits_it_keeps(cores, ram_per_core):
    fitting = [
        entry.resource_name
        for entry in RESOURCE_TYPES
        if entry.holds(cores, ram_per_core) and ram_per_core >= entry.minrampercore
    ]
    assert [resource_type(cores, ram_per_core * cores)] == fitting
