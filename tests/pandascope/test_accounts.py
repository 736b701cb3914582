"""`panda accounts`, `panda timeouts` and `panda queues` as operators type them."""

from __future__ import annotations

import json

from tests.support.builders import make_queue


def test_an_operator_limits_bans_boosts_and_looks(panda, panda_json):
    panda("accounts", "set", "mallory", "max_running_jobs=5", "cpu_hours_1d=10", "quota_mode=hold")
    panda("accounts", "ban", "mallory", "--reason", "mines coins", "--until", "3d")
    assert "banned until" in panda("accounts").stdout
    shown = panda("accounts", "show", "mallory").stdout
    assert "5 running jobs" in shown and "mines coins" in shown and "10 CPU hours in 1 d" in shown
    panda("accounts", "unban", "mallory")
    panda("accounts", "boost", "mallory", "1500", "--until", "2099-01-01", "--reason", "conference")
    row = panda_json("accounts", "show", "mallory")
    assert row["user"]["limits"]["boost_priority"] == 1500 and not row["user"]["limits"]["is_banned"]
    panda("accounts", "set", "mallory", "max_running_jobs=usual")
    assert panda_json("accounts", "show", "mallory")["user"]["limits"]["max_running_jobs"] == 10_000
    panda("accounts", "set", "higgs", "max_running_jobs=9", "is_privileged=yes", "--group")
    limits = panda_json("accounts", "show", "higgs", "--group")["user"]["limits"]
    assert (limits["max_running_jobs"], limits["is_privileged"]) == (9, True)
    assert "before that of all users" in panda("accounts", "show", "higgs", "--group").stdout
    panda("accounts", "set", "higgs", "is_privileged=no", "--group")
    assert not panda_json("accounts", "show", "higgs", "--group")["user"]["limits"]["is_privileged"]
    assert set(panda_json("accounts", "usage", "mallory")) == {"days", "queues", "quotas"}
    assert "by queue" in panda("accounts", "usage", "mallory").stdout


def test_what_cannot_be_is_one_line_with_the_field(panda):
    assert "max_running_jobs" in panda("accounts", "set", "bob", "max_running_jobs=-1", check=1).stderr
    assert "quota_mode" in panda("accounts", "set", "bob", "quota_mode=shout", check=1).stderr
    assert "--until" in panda("accounts", "ban", "bob", "--reason", "x", "--until", "soon", check=2).stderr
    assert "nobody" in panda("accounts", "show", "nobody", check=1).stderr


def test_timeouts_are_listed(panda, panda_json):
    assert "heartbeat lost" in panda("timeouts").stdout
    assert {row["name"] for row in panda_json("timeouts")["timeouts"]} >= {"throttled too long", "sent without a reply"}


def test_a_queue_is_set_and_given_back(panda, working_system):
    make_queue(working_system.database, "OPS")
    assert (
        "OPS is offline, set by a person"
        in panda("queues", "set", "OPS", "--status", "offline", "--reason", "cooling").stdout
    )
    assert "cooling" in panda("queues").stdout
    assert "for the automaton" in panda("queues", "set", "OPS", "--status", "online", "--release").stdout
    changes = json.loads(panda("queues", "history", "OPS", "--json").stdout)["changes"]
    assert [change["who"] for change in changes] == ["alice"] * 3
    assert "cooling" in panda("queues", "history", "OPS").stdout
    assert "there is no queue" in panda("queues", "set", "NOWHERE", "--status", "offline", check=2).stderr
    assert "nothing to set" in panda("queues", "set", "OPS", check=2).stderr
