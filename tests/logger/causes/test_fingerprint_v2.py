"""Fingerprints of version 2: what varies and an event's own names are put aside, what names the cause stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from logger.fingerprints import NAME_KINDS, NameKind, TroubleFacts, older_keys, plain_component, v1
from logger.fingerprints.v2 import fingerprint, normalised_words
from logger.fingerprints.words import MAX_TOKENS, MAX_WORDS

Names = tuple[tuple[NameKind, str], ...]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("job 17 failed on wn042 after 3.5 s", "job 18 failed on wn7 after 12 min"),
        ("copy of /a/b/c.root failed", "copy of /tmp/x failed"),
        ("copy of root://eos.cern.ch:1094//eos/a failed", "copy of root://other.host.org//b/c/d failed"),
        ("no answer from se1.example.org:8443", "no answer from 10.0.0.7"),
        ("lost heartbeat since 2026-11-21T10:00:00+00:00", "lost heartbeat since 2025-01-02 03:04:05,678"),
        ("object at 0x7f3a2b is dead", "object at 0xdeadbeef is dead"),
        ("guid 123e4567-e89b-12d3-a456-426614174000 unknown", "guid 00000000-0000-0000-0000-000000000000 unknown"),
        ("KeyError: 'run_17'", 'KeyError: "anything else"'),
        ("mc23_13TeV.601229.PhPy8EG.AOD has no replica", "mc20:mc20_13TeV.1.Sherpa.EVNT.e1 has no replica"),
        ("cannot open results.txt", "cannot open other_results.json"),
        ("cannot open AOD.12._0001.pool.root.1", "cannot open hist.root"),
        ("adler32 ad:0a0b0c0d is wrong", "adler32 ad:01020304 is wrong"),
        ("12 MB of 3 GB are left", "0.5 GB of 81 MB are left"),
        ("80% of the quota", "99.5 % of the quota"),
        ("connect to 2001:db8::17 failed", "connect to 2001:db8:0:0:1::18 failed"),
        ("log of Nov  7 10:00:00 is lost", "log of 25-Nov-2026 10:00:01 is lost"),
        ("elapsed 1-02:03:04 of its time", "elapsed 11-00:00:00 of its time"),
        ("took 3e5 s", "took 1.2e+07 s"),
        ("fichier « a b » absent", "fichier « c » absent"),
        ("C:\\temp\\a.txt is locked", "D:\\b.txt is locked"),
    ],
)
def test_what_varies_from_job_to_job_does_not_matter(first: str, second: str) -> None:
    assert normalised_words(first) == normalised_words(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("No module named 'numpy'", "No module named 'scipy'"),
        ("[Errno 28] writing", "[Errno 13] writing"),
        ("std::vector is empty", "std::map is empty"),
        ("HTTP 404 from the server", "HTTP 503 from the server"),
        ("killed by signal 9", "killed by signal 11"),
        ("exit code 3", "exit code 134"),
        ("ORA-00600: internal", "ORA-12541: internal"),
        ("SQLSTATE 40P01", "SQLSTATE 23505"),
        ("json.decoder.JSONDecodeError: x", "configparser.sections.ParsingError: x"),
        ("numpy._core._exceptions._ArrayMemoryError: x", "numpy._core._exceptions._UFuncTypeError: x"),
        ("stage-in failed", "stage-out failed"),
        ("Input/output error", "Permission denied"),
        ("undefined reference to `foo'", "undefined reference to `bar'"),
        ("libCore.so.6.28: cannot open", "libHist.so.6.28: cannot open"),
    ],
)
def test_what_names_the_cause_matters(first: str, second: str) -> None:
    assert normalised_words(first) != normalised_words(second)


def _names(queue: str, node: str, user: str, task: str, file: str, panda_id: int) -> Names:
    return (
        ("queue", queue),
        ("node", node),
        ("user", user),
        ("task", task),
        ("file", file),
        ("id", str(panda_id)),
    )


def test_an_events_own_names_never_divide_a_trouble() -> None:
    message = "{user}: job {id} of {task} at {queue} on {node}: /data/{queue}/{file} and {file} are missing"
    made = set()
    for names in (
        _names("CERN", "slot1@wn042.cern.ch", "ann", "user.ann.fit", "user.ann:AOD.1.root", 6123001),
        _names("TAIWAN-LCG2", "node-17", "bob builder", "mc23 evgen", "evt_7", 17),
        _names("desy", "wn.desy.de", "carla", "x-y-z", "d.c.b.a", 123),
    ):
        own = dict(names)
        text = message.format(**{**own, "node": own["node"].split("@")[-1], "file": own["file"].split(":")[-1]})
        made.add(normalised_words(text, names))
    assert len(made) == 1
    assert {"<user>", "<n>", "<task>", "<queue>", "<node>", "<file>", "<path>"} <= set(*made)


def test_own_names_are_taken_out_as_whole_words_only_and_short_ones_never() -> None:
    names: Names = (("user", "ann"), ("queue", "at"))
    assert normalised_words("cannot write at annapolis", names) == ("cannot", "write", "annapolis")
    assert normalised_words("ann's file", names)[0] == "<user>"


def test_placeholders_do_not_use_up_the_words_that_tell() -> None:
    numbers = "1 / ".join(["x"] * 3)
    words = normalised_words(f"{numbers} " + " ".join(f"'q' word{chr(97 + index)}" for index in range(20)))
    told = [word for word in words if not word.startswith("<")]
    assert len(told) == MAX_WORDS or len(words) == MAX_TOKENS
    assert normalised_words(" ".join("abcdefghijklmnop")) == tuple("bcdefghijklm")


@given(
    some.text(max_size=400), some.lists(some.tuples(some.sampled_from(NAME_KINDS), some.text(max_size=20)), max_size=4)
)
def test_any_text_has_at_most_twelve_words_and_twenty_four_tokens(
    message: str, names: list[tuple[NameKind, str]]
) -> None:
    words = normalised_words(message, names)
    assert len(words) <= MAX_TOKENS
    assert all(word and not word.isspace() and word == word.lower() for word in words)
    assert not any("\ue000" <= character <= "\uf8ff" for character in "".join(words))


@given(
    some.integers(0, 10**12),
    some.integers(0, 10**12),
    some.sampled_from(["file {} is missing", "wn{} died", "x={}", "{} MB used", "{}% full", "took {}s", "a.{}.b"]),
)
def test_numbers_never_matter(first: int, second: int, message: str) -> None:
    assert normalised_words(message.format(first)) == normalised_words(message.format(second))


def test_component_code_and_step_separate_what_reads_the_same() -> None:
    facts = [
        TroubleFacts("pilot", 1305, "failed"),
        TroubleFacts("pilot", 1306, "failed"),
        TroubleFacts("ddm", 1305, "failed"),
        TroubleFacts("pilot", 1305, "failed", "payload a.py:main"),
        TroubleFacts("pilot", 1305, "failed", "payload b.py:main"),
        TroubleFacts("pilot", None, "failed"),
    ]
    keys = {fingerprint(one).key for one in facts}
    assert len(keys) == 6 and all(key.startswith("v2:") for key in keys)
    assert fingerprint(TroubleFacts("pilot", -1305, "failed")).key == fingerprint(facts[0]).key


def test_a_component_is_the_same_under_its_long_and_its_short_name() -> None:
    assert plain_component("core.agents.Carrier") == plain_component("panda.carrier") == plain_component("CARRIER")
    assert plain_component("my.own.tool") == "my.own.tool" and plain_component("panda") == "panda"


def test_the_emitters_own_key_wins_and_is_the_one_of_version_one() -> None:
    made = fingerprint(TroubleFacts("pilot", 1, "one", explicit="storage  CERN\ndown"))
    assert made.key == "v1:storage CERN down" == v1.fingerprint("x", 2, "two", explicit="storage CERN down").key
    assert older_keys(TroubleFacts("x", 2, "two", explicit="storage CERN down")) == ()
    assert "same key, 'storage CERN down'" in made.grouping and made.algorithm == 2


def test_the_grouping_says_why_and_the_parts_are_kept() -> None:
    made = fingerprint(
        TroubleFacts("pilot", 1305, "ValueError: 17", "payload count.py:main", code_name="PAYLOADEXECUTIONFAILURE")
    )
    assert made.grouping == (
        "They have the same component (pilot), the same code (1305 PAYLOADEXECUTIONFAILURE), the same failing step "
        "(payload count.py:main) and the same message, numbers and names aside ('valueerror <n>')."
    )
    assert (made.words, made.step, made.algorithm) == (("valueerror", "<n>"), "payload count.py:main", 2)


def test_an_older_incident_is_found_by_the_keys_that_versions_two_and_one_gave() -> None:
    facts = TroubleFacts("pilot", 1305, "KeyError: 'x' at CERN", "payload fit.py:cut", names=(("queue", "CERN"),))
    old = v1.fingerprint("pilot", 1305, "KeyError: 'x' at CERN", "payload fit.py:cut").key
    assert older_keys(facts) == (fingerprint(facts).key, old)
    other_step = TroubleFacts("pilot", 1137, "full", "stage-out", legacy_step="")
    assert older_keys(other_step)[1] == v1.fingerprint("pilot", 1137, "full", "").key


_FROZEN = [
    (
        TroubleFacts("pilot", 1137, "Failed to stage-out file: o.1.txt: /x/y: Not a directory", "stage-out"),
        "v2:pilot:1137:51d8f6b4ac61addf",
    ),
    (TroubleFacts("core.agents.Adder", None, "ORA-12541: TNS:no listener after 3 s"), "v2:adder::480614f53c37ab63"),
    (
        TroubleFacts("pilot", 1305, "KeyError: 'pt_cut'", "payload fit.py:cut", names=(("user", "ann"),)),
        "v2:pilot:1305:85fcd4a7e71352b4",
    ),
    (
        TroubleFacts("exe", 65, "job of ann: mc23:mc23.1.AOD.e1 is 12 MB", names=(("user", "ann"),)),
        "v2:exe:65:56db6d41f8f542a5",
    ),
]


@pytest.mark.parametrize(("facts", "key"), _FROZEN)
def test_keys_of_version_two_never_change(facts: TroubleFacts, key: str) -> None:
    """A key is stored with its incident: whoever has to change these begins a new version."""
    assert fingerprint(facts).key == key


@given(
    some.text(max_size=80),
    some.one_of(some.none(), some.integers()),
    some.text(max_size=200),
    some.text(max_size=50),
    some.text(max_size=300),
)
def test_any_input_gives_a_bounded_key(
    component: str, code: int | None, message: str, step: str, explicit: str
) -> None:
    made = fingerprint(TroubleFacts(component, None if code is None else code % 10**9, message, step, explicit))
    assert made.key.startswith(("v1:", "v2:")) and len(made.key) < 300 and made.grouping.endswith(".")
