"""The monitor behind the API in one process: the three traps of monitor.md 4.4 stay closed."""

from __future__ import annotations

import re

import httpx
import pytest

from dashboard.app import create_monitor
from dashboard.visitors import visitor_clients
from pandascope.addresses import PATHS
from tests.dashboard.conftest import monitor_system


@pytest.fixture(scope="module")
def web(module_database_url, tmp_path_factory):
    with (
        monitor_system(module_database_url, tmp_path_factory.mktemp("mount"), agents=False) as system,
        httpx.Client(base_url=system.url, timeout=30) as client,
    ):
        yield client


@pytest.mark.parametrize("path", [path.format(number=7) for path in PATHS.values()])
def test_every_page_can_be_entered_by_its_address(web, path):
    answer = web.get(f"/monitor{path}", params={"job_status": "failed"})
    assert answer.status_code == 200
    assert "_dash-config" in answer.text


def test_a_page_can_be_asked_for_its_head_alone(web):
    answer = web.head("/monitor/jobs/")
    assert (answer.status_code, answer.text) == (200, "")


def test_an_address_of_no_page_is_told_as_not_found(web):
    answer = web.get("/monitor/nonsense/")
    assert answer.status_code == 404
    assert "_dash-config" in answer.text  # with the way back, for people


@pytest.mark.parametrize("path", ["/api/nonsense", "/api/monitor/nonsense", "/api/v1/no/such", "/nonsense"])
def test_unknown_paths_outside_never_answer_a_page(web, path):
    answer = web.get(path)
    assert answer.status_code in (403, 404)
    assert "_dash-config" not in answer.text


def test_the_api_is_untouched(web):
    assert web.get("/api/monitor/summary").json()["incidents"]["open"] == 0
    assert web.get("/api/openapi.json").json()["openapi"].startswith("3.")


@pytest.mark.parametrize(
    "path",
    [
        "/trf/user/runGen-00-00-02",
        "/cache/ddmendpoints.json",
        "/cache/schedconfig/all.json",
        "/server/panda/isAlive",
        "/auth/.well-known/openid-configuration",
    ],
)
def test_what_pilots_and_clients_need_is_served_beside_the_monitor(web, path):
    assert web.get(path).status_code == 200


def test_the_first_address_leads_to_the_monitor(web):
    assert web.get("/").headers["location"] == "/monitor/"


def test_all_assets_are_local_and_there(web):
    index = web.get("/monitor/").text
    sources = re.findall(r'(?:src|href)="([^"]+)"', index)
    assert sources
    assert all(source.startswith("/monitor/") for source in sources)
    statuses = {source: web.get(source).status_code for source in sources}
    assert set(statuses.values()) == {200}, statuses


def test_worker_scripts_are_served_but_not_loaded_by_the_page(web):
    assert "live_worker.js" not in web.get("/monitor/").text
    assert web.get("/monitor/assets/live_worker.js").status_code == 200


def test_there_is_exactly_one_location(web):
    layout = web.get("/monitor/_dash-layout").text
    assert layout.count('"type":"Location"') == 1


def test_two_monitors_in_one_process_do_not_mix():
    first = create_monitor(visitor_clients("http://one.invalid"), prefix="/one/")
    second = create_monitor(visitor_clients("http://two.invalid"), prefix="/two/")
    assert first.dash_app.config.routes_pathname_prefix == "/one/"
    assert second.dash_app.config.routes_pathname_prefix == "/two/"
