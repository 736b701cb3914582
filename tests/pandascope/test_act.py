"""`panda act`, `panda undo` and `panda deeds` as a shifter uses them, against the real server."""

from __future__ import annotations

import io
import json
import re
import shlex
from pathlib import Path

import pytest
from rich.console import Console

from core.database import Database
from logger.deeds import ACTIONS
from pandascope import Client
from pandascope.cli.act import KINDS, show_preview
from pandascope.errors import Refused
from tests.logger.deeds.builders import make_incident
from tests.pandascope.shifters import Crew, Shifter
from tests.support.builders import activate, archived, live, make_queue
from tests.support.system import RunningSystem


@pytest.fixture
def crew(shared_system: RunningSystem, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Crew:
    """Whoever works at the server of this file."""
    return Crew(shared_system, monkeypatch, capsys)


@pytest.fixture
def ann(crew: Crew) -> Shifter:
    """An operator."""
    return crew("ann", "operator")


@pytest.fixture
def database(shared_system: RunningSystem) -> Database:
    """A door past the API."""
    return shared_system.database


def status_of(database: Database, queue: str) -> tuple[str, str]:
    row = database.fetch_one("SELECT status, status_set_by FROM queues WHERE queue_name = %(queue)s", {"queue": queue})
    assert row is not None
    return row["status"], row["status_set_by"]


def state_of(database: Database, incident_id: int) -> tuple[str, str]:
    row = database.fetch_one("SELECT state, owner FROM incidents WHERE incident_id = %(id)s", {"id": incident_id})
    assert row is not None
    return row["state"], row["owner"]


def token_in(text: str) -> str:
    found = re.search(r"--confirm '?([A-Za-z0-9_-]{40,})", text)
    assert found, text
    return found[1]


def test_the_actions_are_those_of_the_server() -> None:
    assert {name: action.target_kind for name, action in ACTIONS.items()} == KINDS


@pytest.mark.parametrize("what", ["stranded", "unknown"])
def test_what_one_might_not_have_thought_of_stands_out(what: str) -> None:
    sentence = {"what": what, "sentence": "nobody sends test jobs"}
    made = {"action": "drain", "target_kind": "queue", "target_count": 1, "refused_count": 0, "parameters": {}}
    made |= {"consequences": [sentence], "inverse": "the status it had", "no_inverse": ""}
    terminal = Console(file=io.StringIO(), force_terminal=True, color_system="standard", _environ={})
    show_preview(terminal, {**made, "targets": [{"target": "CERN", "refusal": ""}]})
    assert "\x1b[33m  nobody sends test jobs" in terminal.file.getvalue()


def test_a_preview_changes_nothing_and_its_token_does_it_once(ann: Shifter, database: Database) -> None:
    make_queue(database, "ONCE")
    shown = ann("act", "drain", "ONCE", "--until", "2h", "--reason", "tape", "--preview").out
    assert "drain 1 queue" in shown and "no new work until" in shown and "the status it had" in shown
    assert status_of(database, "ONCE")[0] == "online"
    done = ann("act", "--confirm", token_in(shown)).out
    assert status_of(database, "ONCE") == ("brokeroff", "person")
    assert "drain 1 queue: done" in done and "by itself it goes back at" in done
    again = ann("act", "--confirm", token_in(shown), code=1)
    assert "was confirmed" in again.err and again.out == ""


def test_the_count_has_to_be_typed(ann: Shifter, database: Database) -> None:
    first, second = make_incident(database), make_incident(database)
    wrong = ann("act", "acknowledge", first, second, code=1, typed=["1"])
    assert "that is not 2: nothing was done" in wrong.err and state_of(database, first) == ("open", "")
    nobody = ann("act", "acknowledge", first, second, code=1)
    assert "nobody answered: nothing was done" in nobody.err and "--yes" in nobody.err
    told = ann("act", "acknowledge", first, second, "--reason", "looking", typed=["2"]).out
    assert "2 incidents: yours from now on" in told and "next: panda undo" in told
    assert {state_of(database, one) for one in (first, second)} == {("acknowledged", "ann")}
    # the token of the one that was typed wrongly still counts, but the set is another
    late = ann("act", "--confirm", token_in(wrong.err), code=1)
    assert "the set changed" in late.err + late.out


def test_a_set_that_changes_while_the_shifter_reads_is_shown_again(ann: Shifter, database: Database) -> None:
    make_queue(database, "CHANGING")
    jobs = activate(database, 3, queue="CHANGING", user="zoe")

    def as_one_ends() -> str:
        with Client(ann.system.url, ann.system.token("zoe")) as zoe:
            zoe.kill(jobs[0])
        return "3"

    told = ann("act", "kill", "computing_site=CHANGING", typed=[as_one_ends, "2"]).out
    assert "nothing was done: the set changed meanwhile: 1 job no longer among them" in told
    assert told.index("kill 3 jobs") < told.index("kill 2 jobs") < told.index("done (2 done)")
    assert "panda undo" not in told.split("done (2 done)")[1]
    assert all(live(database, panda_id) is None for panda_id in jobs)
    assert {str((archived(database, panda_id) or {}).get("job_status")) for panda_id in jobs} <= {"cancelled", "closed"}


def test_a_token_of_a_set_that_changed_gives_a_new_one(ann: Shifter, database: Database) -> None:
    incident_id, other = make_incident(database, component="x1"), make_incident(database, component="x1")
    token = ann.json("act", "resolve", "component=x1", "--preview")["token"]
    ann("incidents", "--resolve", other)
    outdated = ann("act", "--confirm", token, code=1)
    assert "nothing was done" in outdated.out and "resolve 1 incident" in outdated.out
    assert state_of(database, incident_id)[0] == "open"
    with Client(ann.system.url, ann.system.token("ann", "operator")) as client:
        made = client.preview_action("resolve", filter={"component": "x1"})
        client.comment(incident_id, "no change of state")
        client.assign(incident_id, "bob")
        with pytest.raises(Refused) as refused:
            client.confirm_action(made["token"])
        assert refused.value.code == "preview_outdated" and refused.value.problem["difference"]
        assert client.confirm_action(refused.value.problem["preview"]["token"])["state"] == "done"
    assert state_of(database, incident_id)[0] == "resolved"


def test_users_end_what_is_theirs_and_nothing_else(crew: Crew, database: Database) -> None:
    make_queue(database, "MIXED")
    [mine], [other] = activate(database, queue="MIXED", user="carl"), activate(database, queue="MIXED", user="dora")
    carl = crew("carl")
    refused = carl("act", "kill", mine, other, "--yes", code=1)
    assert "1 left alone" in refused.out and "(1 done, 1 left alone)" in refused.out
    assert live(database, mine) is None and live(database, other) is not None
    assert "role" in carl("act", "drain", "MIXED", "--until", "never", "--yes", code=1).err
    assert "dora" in carl("act", "kill", other, "--yes", code=1).err
    assert "role" in carl("undo", "1", code=1).err
    assert "token" in crew("nobody")("act", "--confirm", "x" * 43, code=1).err


def test_what_was_done_is_listed_and_taken_back_once(ann: Shifter, crew: Crew, database: Database) -> None:
    make_queue(database, "BACK")
    deed = ann.json("act", "offline", "BACK", "--until", "18:00", "--reason", "cooling", "--yes")
    number = deed["deed_id"]
    assert (deed["via"], deed["state"], status_of(database, "BACK")[0]) == ("cli", "done", "offline")
    listed = ann("deeds", "who=ann", "target=BACK").out
    assert "offline 1 queue" in listed and "cooling" in listed and "goes back at" in listed
    shown = ann("deeds", number).out
    assert "BACK" in shown and f"panda undo {number}" in shown and "until" in shown
    otto = crew("otto", "operator")
    assert f"undo deed {number}" in otto("undo", number, "--reason", "cool again").out
    assert status_of(database, "BACK") == ("online", "")
    assert "was undone by otto" in ann("undo", number, code=1).err
    assert "undone by otto" in ann("deeds", f"deed_id={number}").out
    assert ann.json("deeds", number)["deed"]["undone_by"] == "otto"


def test_what_was_changed_later_is_not_taken_back(ann: Shifter, database: Database) -> None:
    make_queue(database, "LATER")
    first = ann.json("act", "drain", "LATER", "--tests", 20, "--yes")
    assert first["revert_kind"] == "tests" and status_of(database, "LATER")[0] == "test"
    assert "when 20 test jobs finished" in ann("deeds", "target=LATER").out
    assert "does not take itself back" in ann("undo", first["deed_id"], "--keep").out
    assert "not waiting" in ann("undo", first["deed_id"], "--keep", code=1).err
    ann("queues", "set", "LATER", "--status", "offline")
    assert "LATER was changed later: offline by ann" in ann("undo", first["deed_id"], code=1).err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fly", "1"], "one of acknowledge"),
        ([], "which action?"),
        (["kill"], "kill which jobs?"),
        (["drain", "X"], "--until"),
        (["assign", "1"], "--who"),
        (["silence", "1"], "--until"),
        (["kill", "1", "--until", "2h"], "--until goes with"),
        (["drain", "X", "--tests", "3", "--until", "2h"], "--tests N"),
        (["resolve", "1", "--again"], "--again goes with kill"),
        (["resolve", "1", "--json"], "--preview, or --yes"),
        (["kill", "1", "--confirm", "x"], "no more"),
        (["kill", "abc"], "'abc' is no job"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_is_asked(ann: Shifter, words: list[str], said: str) -> None:
    assert said in ann("act", *words, code=2).err


def test_what_chooses_nothing_is_refused_with_what_would(ann: Shifter) -> None:
    assert "filter" in ann("act", "kill", "colour=red", "--preview", code=1).err
    assert "no job is meant" in ann("act", "kill", 4, "--preview", code=1).err
    assert "panda queues" in ann("act", "test", "NOWHERE", "--preview", code=1).err


def test_incidents_are_named_by_their_pages_too(ann: Shifter, database: Database) -> None:
    incident_id = make_incident(database)
    made = ann.json("act", "silence", f"/incident/{incident_id}/", "--until", "doubles", "--preview")
    assert (made["target_count"], made["parameters"]["until_kind"]) == (1, "doubles")
    filtered = ann.json("act", "assign", f"/incidents/?incident_id={incident_id}", "--who", "bob", "--preview")
    assert [row["target"] for row in filtered["targets"]] == [str(incident_id)]


def test_a_deed_without_a_terminal_can_be_read_by_programs(ann: Shifter, database: Database) -> None:
    incident_id = make_incident(database)
    token = ann.json("act", "assign", incident_id, "--who", "bob", "--preview")["token"]
    deed = json.loads(ann("act", "--confirm", token, "--json").out)
    assert deed["can_be_undone"] and deed["result"]["done"] == 1
    undone = ann.json("undo", deed["deed_id"])
    assert undone["action"] == "undo" and undone["parameters"]["deed_id"] == deed["deed_id"]


def commands_of_the_page() -> list[list[str]]:
    """Every command that docs/shifters.md shows, without what is to be filled in."""
    page = Path(__file__).parents[2] / "docs" / "shifters.md"
    lines = page.read_text().replace("\n--reason", " --reason").splitlines()
    shown = [part for line in lines if line.startswith("    panda ") for part in line.split(" # ")[0].split("; ")]
    words = [shlex.split(line.strip()) for line in shown if "ACTION" not in line]
    return [one[1:] for one in words]


def test_every_command_of_the_shifters_page_is_one(
    ann: Shifter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VISUAL", "true")
    commands = commands_of_the_page()
    assert len(commands) > 40
    ended = {" ".join(words): ann(*words, code=None) for words in commands}
    assert [name for name, one in ended.items() if one.code not in (0, 1) or "such parameter" in one.err] == []
