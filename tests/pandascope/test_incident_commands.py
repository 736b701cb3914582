"""`panda incidents`, `silences`, `alarms`, `notices`, `shift` and `audit` as a shifter types them, against the real server."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.database import Database
from logger.agents import build_agents
from tests.logger.builders import end_jobs
from tests.logger.deeds.builders import make_incident
from tests.pandascope.shifters import Crew, Shifter
from tests.support.builders import make_queue
from tests.support.hooks import http_hook
from tests.support.system import RunningSystem, eventually, running_system

LOG = "\n".join([f"line {number}" for number in range(1, 30)] + ["/opt/sw/run.sh: line 3: athena: command not found"])
EVIL = "red \x1b[31m\x1b]0;owned\x07 [bold]text[/bold] \u202edesrever"


@pytest.fixture(scope="module")
def watched_system(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    """A server with all agents, but no pilots: jobs are ended by the tests."""
    directory = tmp_path_factory.mktemp("system")
    with running_system(module_database_url, directory, further_agents=build_agents) as system:
        make_queue(system.database, "CERN")
        make_queue(system.database, "BNL")
        yield system


@pytest.fixture
def crew(watched_system: RunningSystem, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Crew:
    """Whoever works at the server of this file."""
    return Crew(watched_system, monkeypatch, capsys)


@pytest.fixture
def ann(crew: Crew) -> Shifter:
    """An operator."""
    return crew("ann", "operator")


@pytest.fixture
def database(watched_system: RunningSystem) -> Database:
    """A door past the API."""
    return watched_system.database


def judged(ann: Shifter, task: int, jobs: int) -> dict[str, Any]:
    """The incident of a task, once it has its verdict and all of its jobs."""

    def look() -> list[dict[str, Any]]:
        rows = ann.json("incidents", f"jedi_task_id={task}")["incidents"]
        return [row for row in rows if row["verdict"] and row["job_count"] == jobs]

    return eventually(look, what="the incident is judged")[0]


def test_an_incident_is_read_with_verdict_line_and_what_to_do_next(ann: Shifter, database: Database) -> None:
    end_jobs(database, 30, status="finished", site="BNL", task=20_000_001, user="zoe", code=0, diag="", exit_code=0)
    end_jobs(database, 12, task=20_000_002, host="wn7", exit_code=127, logs={"payload.stderr": LOG})
    row = judged(ann, 20_000_002, 12)
    listed = ann("incidents", "jedi_task_id=20000002").out
    assert "whose fault" in listed and row["verdict"] in listed and "athena: command not found" in listed
    shown = ann("incidents", row["incident_id"]).out
    assert f"verdict: {row['verdict']}" in shown and "of these failures" in shown and "12 (100 %)" in shown
    assert ">     30 /opt/sw/run.sh: line 3: athena: command not found" in shown and "      29 line 29" in shown
    assert "12 jobs, 1 task, 1 queue, 1 user" in shown and "jobs, newest first" in shown
    assert f"panda incidents --ack {row['incident_id']}" in shown and "panda logs" in shown


def test_what_others_wrote_has_no_power_over_the_terminal(ann: Shifter, database: Database) -> None:
    incident_id = make_incident(
        database, title=EVIL, culprit_line=EVIL, component=EVIL, computing_site=EVIL, owner=EVIL
    )
    ann("incidents", "--assign", f"{incident_id}={EVIL}", "--comment", EVIL)
    ann("silences", "add", f"fingerprint={EVIL}", "--until", "1h", "--reason", EVIL)
    ann("act", "acknowledge", incident_id, "--reason", EVIL, "--yes")
    for words in (
        ["incidents", f"incident_id={incident_id}"],
        ["incidents", incident_id],
        ["act", "silence", incident_id, "--until", "fixed", "--preview"],
        *(["silences"], ["deeds"], ["audit"], ["shift", "list"]),
    ):
        said = ann(*words).out
        assert not {"\x1b", "\x07", "\u202e"} & set(said), words
    assert "[bold]text[/bold]" in ann("incidents", incident_id).out
    refused = ann("act", "drain", EVIL, "--until", "never", code=1).err
    assert "\x1b[31m\x1b]0;owned" not in refused and "\u202e" not in refused


def test_one_is_taken_asked_for_silenced_held_rated_and_ended(ann: Shifter, database: Database) -> None:
    number = make_incident(database, title="storage is slow")
    assert "acknowledged" in ann("incidents", "--ack", number, "--comment", "looking").out
    assert "bob is asked" in ann("incidents", "--assign", f"{number}=bob").out
    assert "noted" not in ann("incidents", number, "--comment", "seen before").out
    assert "held by ann" in ann("incidents", "--hold", number).out
    assert "held by" not in ann("incidents", "--release", number).out
    assert "critical" in ann("incidents", "--rate", f"{number}=critical", "--comment", "beam time").out
    silenced = ann("incidents", "--silence", number, "--until", "doubles", "--comment", "known").out
    assert "until its count doubles" in silenced and "panda silences end" in silenced
    ann("incidents", "--link", f"{number}=https://tickets.example.org/5", "--comment", "ticket")
    ann("incidents", "--link", f"{number}=https://wiki.example.org/a")
    shown = ann("incidents", number).out
    for said in (
        "silences",
        "ticket https://tickets.example.org/5",
        "https://wiki.example.org/a",
        "comment: seen before",
    ):
        assert said in shown
    ended = ann("incidents", "--resolve", number, "--as", "moved", "--comment", "ticket 5").out
    assert "resolved" in ended
    assert "ticket 5" in ann("incidents", number).out
    assert "reopened" in ann("incidents", "--reopen", number).out
    assert ann.json("incidents", "--ack", number)["incidents"][0]["owner"] == "ann"
    half = ann("incidents", "--assign", f"{number}=", "--assign", "99999=bob", code=1)
    assert f"incident {number} is" in half.out and "no incident 99999" in half.err
    assert ann.json("incidents", number)["incident"]["assigned_to"] == ""


def test_two_are_made_one_and_one_is_made_two_and_both_are_taken_back(ann: Shifter, database: Database) -> None:
    end_jobs(database, 6, site="CERN", task=20_000_011, diag="cannot open the conditions database", user="max")
    end_jobs(database, 6, site="BNL", task=20_000_011, diag="cannot open the conditions database", user="max")
    end_jobs(database, 6, site="BNL", task=20_000_012, diag="no such release of the software", user="max")
    first, second = judged(ann, 20_000_011, 12)["incident_id"], judged(ann, 20_000_012, 6)["incident_id"]
    assert "words of the message" in ann("incidents", "--compare", f"{first}={second}").out
    merged = ann("incidents", "--merge", f"{second}={first}", "--comment", "one release").out
    assert f"incident {first} is" in merged
    link = ann.json("incidents", first)["links"][0]["link_id"]
    assert f"--undo-link {link}" in merged
    assert f"incident {second} merged into {first}" in ann("incidents", first).out
    assert f"incident {second} is" in ann("incidents", "--undo-link", link).out
    split = ann.json("incidents", "--split", first, "--by", "computing_site=BNL")["incidents"][0]
    assert split["incident_id"] != first and split["job_count"] == 6
    assert "split off" in ann("incidents", first).out
    ann("incidents", "--undo-link", split["link"]["link_id"])
    assert ann.json("incidents", first)["incident"]["job_count"] == 12


def test_one_is_opened_by_hand(ann: Shifter) -> None:
    words = [
        "--open",
        "cooling of hall 3 fails",
        "--severity",
        "critical",
        "--queue",
        "CERN",
        "--comment",
        "since noon",
    ]
    told = ann("incidents", *words).out
    assert "cooling of hall 3 fails" in told and "open" in told
    row = ann.json("incidents", "kind=manual")["incidents"][0]
    assert (row["severity"], row["computing_site"], row["opened_by"]) == ("critical", "CERN", "ann")
    assert "since noon" in ann("incidents", row["incident_id"]).out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--comment", "x"], "a comment of what?"),
        (["--silence", "1"], "go together"),
        (["--split", "1"], "go together"),
        (["--split", "1", "--by", "CERN"], "--by DIM=VALUE"),
        (["--assign", "1"], "ID=NAME"),
        (["--merge", "1=x"], "'x' is no incident"),
        (["1", "--ack", "1"], "either a list or a change"),
        (["--resolve", "abc"], "'abc' is no incident"),
        (["--as", "fixed"], "--as: these options go together"),
        (["--until", "2h"], "--until with --silence"),
        (["--compare", "1"], "write A=B"),
    ],
)
def test_what_makes_no_sense_is_said_with_what_would(ann: Shifter, words: list[str], said: str) -> None:
    assert said in ann("incidents", *words, code=2).err


@pytest.mark.parametrize(
    ("words", "field", "near"),
    [
        (("incidents", "severity=eror"), "severity", "error"),
        (("incidents", "state=open|resolvd"), "state", "resolved"),
        (("incidents", "kind=servise"), "kind", "service"),
        (("incidents", "candidates=maybe"), "candidates", "candidates=1"),
        (("audit", "object_kind=incidents"), "object_kind", "incident"),
        (("deeds", "state=finished"), "state", "done"),
        (("notices", "list", "state=sended"), "state", "sent"),
        (("notices", "add", "r", "--channel", "mail", "--to", "a@b.c", "--match", "kind=dat"), "matcher.kind", "data"),
        (("act", "acknowledge", "severity=blah"), "severity", "critical, error, warning"),
        (("act", "drain", "status=onlin", "--until", "2h"), "status", "online"),
        (("silences", "add", "verdict=sight", "--until", "2h"), "verdict", "site"),
    ],
)
def test_a_word_that_its_column_never_holds_is_refused_with_those_that_it_may(
    ann: Shifter, words: tuple[str, ...], field: str, near: str
) -> None:
    said = ann(*words, code=1).err
    assert field in said and near in said


def test_readers_are_told_which_role_they_need(crew: Crew, database: Database) -> None:
    number = make_incident(database)
    assert "operator" in crew("carl")("incidents", "--ack", number, code=1).err
    assert "operator" in crew("carl")("shift", "start", code=1).err
    assert f"incident {number}" in crew("carl")("incidents", number).out


def test_silences_by_filters_say_what_they_hold_and_end(ann: Shifter, database: Database) -> None:
    number = make_incident(database, title="network of BNL", error_class="network", computing_site="BNL")
    other = make_incident(database, title="network of CERN", error_class="network")
    made = ann("silences", "add", "class=network", "q=BNL", "--until", "18:00", "--reason", "works on the line").out
    silence_id = int(made.split()[1])
    assert "class=network" in made and "18:00 UTC" in made
    eventually(lambda: ann.json("incidents", number)["incident"]["state"] == "silenced", what="it is silenced")
    listed = ann("silences").out
    assert "works on the line" in listed and "1 incident" in listed and "network of BNL" in listed
    assert "network of BNL" in ann("silences", "--incident", number).out
    assert f"silence {silence_id} is over" in ann("silences", "end", silence_id).out
    eventually(lambda: ann.json("incidents", number)["incident"]["state"] == "open", what="it is open again")
    assert ann.json("incidents", other)["incident"]["state"] == "open"
    assert "over" in ann("silences", "--ended").out
    assert "time" in ann("silences", "add", "class=disk", "--until", "fixed", code=1).err
    assert "has an end" in ann("silences", "add", "class=disk", code=2).err
    assert "no silence 99999" in ann("silences", "end", 99999, code=1).err
    second = int(ann("silences", "add", "class=disk", "--until", "1h").out.split()[1])
    half = ann("silences", "end", second, 99999, code=1)
    assert f"silence {second} is over" in half.out and "no silence 99999" in half.err


def test_rules_are_seen_tried_edited_and_brought_back(ann: Shifter) -> None:
    assert "silent_queue" in ann("alarms", "list").out
    shown = ann("alarms", "show", "silent_queue").out
    assert "limit_s" in shown and "600" in shown and "A queue has activated jobs" in shown
    assert "would" in ann("alarms", "try", "failure_burst", "burst_jobs=5", "--days", "1").out
    assert "would" in ann("alarms", "try", "silent_queue", "--new", "limit_s=60").out
    changed = ann("alarms", "change", "silent_queue", "limit_s=900", "--severity", "warning").out
    assert "limit_s 600 -> 900" in changed and "severity_floor error -> warning" in changed and "version 2" in changed
    assert "version 3, off" in ann("alarms", "off", "silent_queue").out
    history = ann("alarms", "history", "silent_queue").out
    assert "deactivated" in history and "limit_s 600 -> 900" in history
    ann("alarms", "restore", "silent_queue", 1)
    row = ann.json("alarms", "show", "silent_queue")["rule"]
    assert (row["version"], row["is_active"], row["parameters"]["limit_s"]) == (4, True, 600)
    assert "at version 4" in ann("alarms", "off", "silent_queue", "--version", 2, code=1).err
    assert "limit_s" in ann("alarms", "change", "silent_queue", "limit_s=soon", code=1).err
    assert "off" in ann("alarms", "add", "my_rule", "job", "burst_jobs=50", "classes=software", "--off").out
    assert ann.json("alarms", "change", "my_rule", "burst_jobs=")["parameters"] == {"classes": "software"}
    number = ann.json("alarms", "remove", "my_rule")["rule_id"]
    assert "removed" in ann("alarms", "history", number).out
    assert "turn it off" in ann("alarms", "remove", "silent_queue", code=1).err
    assert "panda alarms list" in ann("alarms", "show", "my_rule", code=1).err
    assert "limit_s" in ann("alarms", "evaluators", "silent_queue").out


def test_routes_are_made_tested_changed_and_removed(ann: Shifter) -> None:
    assert "there is no route" in ann("notices", "routes").out
    with http_hook() as hook:
        made = ann(
            *("notices", "add", "shifters", "--channel", "webhook", "--to", hook.address, "--match", "severity=error"),
            *("--change", "opened", "--change", "resolved", "--wait", 0, "--off"),
        ).out
        assert "(off)" in made and "opened, resolved of severity=error" in made
        assert "taken 200" in ann("notices", "test", "shifters").out
        assert len(hook.messages) == 1
        # two within five seconds: a pause of the machine may come between any two
        eventually(lambda: "tested just now" in ann("notices", "test", "shifters", code=None).err, what="one at a time")
    assert "a test" in ann("notices", "list", "route=shifters").out
    row = ann.json("notices", "change", "shifters", "--match", "", "--per-hour", 7)
    assert (row["matcher"], row["max_per_hour"], row["version"]) == ({}, 7, 2)
    assert "shifters" in ann("notices", "routes").out
    assert "--channel" in ann("notices", "add", "x", code=2).err
    assert "nothing to change" in ann("notices", "change", "shifters", code=2).err
    assert "removed" in ann("notices", "remove", "shifters").out
    assert "panda notices routes" in ann("notices", "test", "shifters", code=1).err


def test_a_shift_is_begun_noted_edited_and_handed_over(
    ann: Shifter, crew: Crew, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = crew("bob", "operator")
    assert "panda shift start" in ann("shift", code=1).err
    assert "ann, eve" in ann("shift", "start", "ann", "eve").out
    assert "signs out" in bob("shift", "start", code=1).err
    number = make_incident(database, title="tape robot of CERN")
    ann("shift", "note", "the robot", "is slow", "--incident", number)
    shown = ann("shift").out
    assert f"ann (incident {number}): the robot is slow" in shown and "not yet" in shown
    draft = ann("shift", "draft").out
    assert draft.startswith("# Handover of shift") and "tape robot of CERN" in draft and "the robot is slow" in draft

    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nprintf "all is well\\n" >> "$1"\n')
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    assert "there is no terminal to edit in" in ann("shift", "edit", code=1).err
    monkeypatch.setenv("VISUAL", str(editor))
    ann("shift", "edit")
    ann("shift", "note", "something more")
    edited = ann("shift", "draft").out
    assert "all is well" in edited and "since it was edited" in edited and "something more" in edited
    monkeypatch.setenv("VISUAL", "true")
    assert "nothing changed" in ann("shift", "edit").out
    monkeypatch.setenv("VISUAL", str(tmp_path / "missing"))
    assert "does not start" in ann("shift", "edit", code=1).err

    assert "nobody has signed" in bob("shift", "sign-in", code=1).err
    read = ann("shift", "draft").out.split("--digest ")[1].strip()
    assert "somebody has edited it" in ann("shift", "sign-out", "--digest", "0" * 64, code=1).err
    assert "signed by ann" in ann("shift", "sign-out", "--digest", read).out
    assert "somebody else" in ann("shift", "sign-in", code=1).err
    digest = bob("shift", "draft").out.split("--digest ")[1].strip()
    assert "signed anew" in bob("shift", "sign-in", "--digest", "0" * 64, code=1).err
    begun = bob("shift", "sign-in", "bob", "kim", "--digest", digest).out
    assert "bob, kim" in begun and "panda shift export" in begun
    first = ann.json("shift", "list")["shifts"][-1]["shift_id"]
    target = tmp_path / "handover.md"
    assert "is in" in ann("shift", "export", first, "--out", target).out
    text = target.read_text()
    assert "Handed over by ann" in text and "Taken over by bob" in text and "all is well" in text
    assert "File exists" in ann("shift", "export", first, "--out", target, code=1).err
    assert ann("shift", "export", first).out == text
    assert "handed over" in ann("shift", "show", first).out and "running" in ann("shift", "list").out
    assert "was handed over" in ann("shift", "sign-out", "--shift", first, code=1).err
    bob("shift", "edit", "--file", target)
    assert "Taken over by bob" in bob("shift", "draft").out
    assert "draft of what happened" in bob("shift", "edit", "--fresh").out


def test_the_audit_says_who_did_what_with_before_and_after(ann: Shifter, crew: Crew, database: Database) -> None:
    number = make_incident(database, title="audited")
    ann("incidents", "--ack", number, "--comment", "mine")
    crew("bob", "operator")("incidents", "--resolve", number, "--as", "fixed")
    shown = ann("audit", "object_kind=incident", f"object_id={number}").out
    assert "state open -> acknowledged" in shown and "owner -> ann" in shown and "mine" in shown
    assert "state acknowledged -> resolved" in shown
    document = ann.json("audit", f"object_id={number}", "who=bob", "--people", "--hours", 1)
    assert [(row["who"], row["via"]) for row in document["entries"]] == [("bob", "cli")]
    following = ann.json("audit", f"object_id={number}", "--limit", 1)["next_cursor"]
    assert ann.json("audit", f"object_id={number}", "--limit", 1, "--cursor", following)["entries"][0]["who"] == "ann"
    assert "it filters by" in ann("audit", "colour=red", code=1).err
    assert "--hours" in ann("audit", "--hours", "-1", code=2).err


def test_how_far_the_test_jobs_are_is_said_where_deeds_are_listed(ann: Shifter, database: Database) -> None:
    make_queue(database, "TESTED")
    number = ann.json("act", "drain", "TESTED", "--tests", 20, "--yes")["deed_id"]
    said = "goes back when 20 test jobs finished: 0 of 20 test jobs succeeded"
    assert said in " ".join(ann("deeds", number).out.split())
    assert ann.json("deeds", "target=TESTED")["deeds"][0]["revert_progress"]["wanted"] == 20
    ann("undo", number)


def test_records_are_read_counted_and_traced_to_who_sends_them(ann: Shifter, watched_system: RunningSystem) -> None:
    said = {
        **{"level": "ERROR", "component": "couplers", "host": "hall3", "message": f"pump 7 stopped {EVIL}"},
        "traceback": 'Traceback (most recent call last):\n  File "pump.py", line 3\nPumpError: \x1b[2Jdry',
    }
    sent = watched_system.client("zoe").post("/api/logger/records", json={"records": [said]})
    assert sent.json()["accepted"] == 1
    listed = ann("records", "component=couplers", "--severity", "WARNING", "--text", "pump 7").out
    assert "pump 7 stopped" in listed and "hall3" in listed and "\x1b" not in listed
    whole = ann("records", "component=couplers", "--tracebacks").out
    assert 'File "pump.py", line 3' in whole and "\x1b" not in whole
    assert "couplers" in ann("records", "--counts", "component=couplers").out
    assert "senders" in ann.json("records", "--senders")
    assert "no records" in ann("records", "component=nobody").out
    assert "WARNING" in ann("records", "--severity", "LOUD", code=1).err
    assert "leave them out" in ann("records", "--counts", "--text", "pump", code=2).err
