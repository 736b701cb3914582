"""From a record over HTTP to a webhook, through the running agents: nothing is called by hand."""

from __future__ import annotations

from core.settings_table import masked
from logger.agents import build_agents
from tests.logger.builders import record
from tests.support.hooks import http_hook
from tests.support.system import eventually, running_system


def test_a_critical_record_reaches_whoever_is_on_call(database_url, tmp_path):
    settings = {"notices": {"secrets": {"oncall": "s3cret"}}}
    with running_system(database_url, tmp_path, further_agents=build_agents, **settings) as system, http_hook() as hook:
        operator, program = system.client("olga", "operator"), system.client("adder", "production")
        body = {"name": "on call", "target": hook.address, "secret_name": "oncall", "group_wait_s": 0}
        route = operator.post("/api/control/notice-routes", json=body)
        assert route.status_code == 201, route.text
        sent = program.post("/api/logger/records", json={"records": [record("disk full", level="CRITICAL")]})
        assert sent.json()["accepted"] == 1, sent.text
        eventually(lambda: hook.bodies, what="the webhook is told")
        change = hook.messages[0]["changes"][0]
        assert (change["change"], change["incident"]["severity"]) == ("opened", "critical")
        assert hook.headers[0]["X-Panda-Signature"].startswith("sha256=")
        incident_id = change["incident"]["incident_id"]
        path = f"/api/monitor/notices?incident_id={incident_id}&state=sent"
        (told,) = eventually(lambda: operator.get(path).json()["notices"])
        assert (told["route"], told["change"], told["attempts"]) == ("on call", "opened", 1)
        numbers = operator.get("/metrics").text
        assert 'panda_notices{route="on call",state="sent"} 1' in numbers


def test_secrets_are_not_printed():
    assert masked("notices.secrets", {"oncall": "s3cret"}) == {"oncall": "***"}
    assert [masked(name, "s3cret") for name in ("mail.password", "metrics.token")] == ["***", "***"]
