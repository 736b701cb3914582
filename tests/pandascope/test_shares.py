"""`panda shares` as an operator types it, and the client's calls behind it."""

from __future__ import annotations

import json

import pytest

from pandascope.errors import NotFound, Refused


@pytest.fixture(autouse=True)
def _no_tree(client):
    client.set_share_tree([])


def test_a_tree_is_loaded_shown_changed_and_dumped(panda, panda_json, here):
    (here / "tree.json").write_text(
        json.dumps([{"name": "Production", "value": 80}, {"name": "MC", "parent": "Production", "value": 1}])
    )
    assert "There is no tree" in panda("shares").stdout
    assert panda("shares", "load", "tree.json").stdout == "the tree has 2 shares now\n"
    panda("shares", "set", "Analysis", "--value", "20", "--label", "user", "--position", "1")
    shown = panda("shares").stdout
    assert [line.split()[0] for line in shown.splitlines()][:4] == ["share", "Analysis", "Production", "MC"]
    assert "  MC" in shown
    assert "80.0" in shown
    panda("shares", "remove", "MC")
    dumped = json.loads(panda("shares", "dump").stdout)
    assert [share["name"] for share in dumped] == ["Analysis", "Production"]
    (here / "dumped.json").write_text(json.dumps(dumped))
    assert panda_json("shares", "load", "dumped.json", "--json")["shares"] == dumped
    assert "jobs changed" in panda("shares", "retag", "--running").stdout
    assert panda_json("shares", "--json")["count"] == 2


def test_what_no_queue_can_run_is_said_beside_the_answer(panda):
    warning = "warning: A: no queue's parameters.resource_type matches 'moon'"
    done = panda("shares", "set", "A", "--rtype", "moon")
    assert done.stdout.startswith("A: value 0")
    assert warning in done.stderr
    assert warning in panda("shares").stderr
    assert panda("shares", "set", "B", "--value", "1", "--position", "1", "--group", "x").stderr.count("A.rtype") == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("set", "A", "--vo", "["), "A.vo"),
        (("set", "A", "--value", "nan"), "value"),
        (("set", "A", "--parent", "B"), "A.parent"),
        (("remove", "A"), "name"),
        (("load", "absent.json"), "absent.json"),
        (("load", "text.json"), "no JSON"),
        (("load", "number.json"), "no list of shares"),
        (("load", "strange.json"), "shares.0"),
    ],
)
def test_what_is_wrong_is_said_in_a_line_and_changes_nothing(panda, client, here, words, said):
    for name, content in (("text", "{"), ("number", "7"), ("strange", "[7]")):
        (here / f"{name}.json").write_text(content)
    ended = panda("shares", *words, check=None)
    assert ended.returncode in (1, 2)
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert client.share_tree() == []


def test_the_client_reads_and_edits_shares(client):
    assert client.set_share("A B", value=3)["name"] == "A B"
    assert client.shares()["shares"][0]["percent"] == 100
    assert client.share_samples(1)["bin_s"] == 60
    assert set(client.retag(running_too=True)) == {"tasks", "jobs"}
    assert client.remove_share("A B") == {"removed": "A B"}
    with pytest.raises(NotFound):
        client.remove_share("A B")
    with pytest.raises(Refused):
        client.set_share("A", value=-1)
