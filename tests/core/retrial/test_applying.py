"""What rules and classes do to the input and the tasks of jobs that failed: one row per job and rules."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import pytest

from core.database import Database
from core.retrial.applying import apply_rules
from tests.core.retrial.failing import (
    add_class,
    add_rule,
    fail,
    held,
    judge,
    log_of,
    make_task,
    no_rules,
    settings_of,
)

YESTERDAY, TOMORROW = "yesterday", "tomorrow"


@pytest.fixture(scope="module")
def site(shared_database: Database) -> Database:
    return shared_database


@pytest.fixture(autouse=True)
def _own_rules(site: Database) -> None:
    no_rules(site)
    site.execute("UPDATE retry_actions SET is_active = true")


@dataclass
class Situation:
    """A job that failed, the rules there were, and what its input is allowed afterwards."""

    name: str
    rules: list[dict[str, Any]]
    expected: tuple[int, int, int]
    """max_attempt, max_failure, ram_mb"""
    job: dict[str, Any] = field(default_factory=dict)
    task: dict[str, Any] = field(default_factory=dict)
    classes: list[dict[str, Any]] = field(default_factory=list)


def rule(action: str, **columns: Any) -> dict[str, Any]:
    return {"action": action, **columns}


def limit(attempts: int, **columns: Any) -> dict[str, Any]:
    return rule("limit_retry", parameters={"maxAttempt": attempts}, **columns)


MEMORY = rule("increase_memory", code=1212)
OOM = {"code": 1212}

SITUATIONS = [
    Situation("no rule", [], (10, 3, 0)),
    Situation("another code", [rule("no_retry", code=1306)], (10, 3, 0)),
    Situation("another source", [rule("no_retry", source="ddm")], (10, 3, 0)),
    Situation("not again", [rule("no_retry")], (2, 3, 0), {"attempt": 2}),
    Situation("a limit", [limit(5)], (5, 3, 0)),
    Situation("a limit above what is allowed", [limit(50)], (10, 3, 0)),
    Situation("a limit below what was tried", [limit(1)], (4, 3, 0), {"attempt": 4}),
    Situation("the smallest of equally specific limits", [limit(7), limit(5), limit(6)], (5, 3, 0)),
    Situation("the most specific limit", [limit(2), limit(7, error_diag="bad")], (7, 3, 0), {"pilot_error_diag": "bad x"}),
    Situation("no_retry beside a limit", [limit(7, error_diag="b"), rule("no_retry")], (1, 3, 0), {"pilot_error_diag": "b"}),
    Situation("any code of a source", [rule("no_retry", code=0)], (1, 3, 0)),
    Situation("any source of a code", [rule("no_retry", source="")], (1, 3, 0)),
    Situation("a message", [rule("no_retry", error_diag="no such")], (1, 3, 0), {"pilot_error_diag": "no such file"}),
    Situation("anchored at its start", [rule("no_retry", error_diag="file")], (10, 3, 0), {"pilot_error_diag": "no file"}),
    Situation("anchored alternatives", [rule("no_retry", error_diag="x|file")], (10, 3, 0), {"pilot_error_diag": "a file"}),
    Situation("over lines", [rule("no_retry", error_diag="a.*z")], (1, 3, 0), {"pilot_error_diag": "a\nb\nz"}),
    Situation("in any case", [rule("no_retry", error_diag="(?i)OOPS")], (1, 3, 0), {"pilot_error_diag": "oops"}),
    Situation("the exit code", [rule("no_retry", source="trans", code=3)], (1, 3, 0), {"trans_exit_code": 3}),
    Situation("a negative pilot code", [rule("no_retry", code=1137)], (1, 3, 0), {"code": -1137}),
    Situation("a second error", [rule("no_retry", source="ddm", code=200)], (1, 3, 0), {"ddm_error_code": 200}),
    Situation("a share", [rule("no_retry", gshare="Analysis")], (1, 3, 0), {"gshare": "Analysis"}),
    Situation("another share", [rule("no_retry", gshare="Analysis")], (10, 3, 0), {"gshare": "Production"}),
    Situation(
        "release and architecture",
        [rule("no_retry", release="23.0.1", architecture="x86_64")],
        (1, 3, 0),
        task={"parameters": {"transUses": "Atlas-23.0.1", "architecture": "x86_64"}},
    ),
    Situation("another architecture", [rule("no_retry", architecture="x86_64")], (10, 3, 0)),
    Situation("passive", [rule("no_retry", is_active=False), limit(5, is_active=False)], (10, 3, 0)),
    Situation("expired", [rule("no_retry", expiration_time=YESTERDAY)], (10, 3, 0)),
    Situation("not expired yet", [rule("no_retry", expiration_time=TOMORROW)], (1, 3, 0)),
    Situation("passive does not push aside", [limit(2, is_active=False, error_diag=".*"), limit(6)], (6, 3, 0)),
    Situation("memory that was never stated", [MEMORY], (10, 4, 1000), OOM),
    Situation("memory, next step", [MEMORY], (10, 4, 2000), {**OOM, "min_ram_mb": 1000}),
    Situation("memory, per core", [MEMORY], (10, 4, 3000), {**OOM, "min_ram_mb": 16_000, "core_count": 8}),
    Situation("memory, between steps", [MEMORY], (10, 4, 6000), {**OOM, "min_ram_mb": 4001}),
    Situation("memory, last step", [MEMORY], (10, 3, 0), {**OOM, "min_ram_mb": 8000}),
    Situation("memory as used, when nothing was stated", [MEMORY], (10, 4, 3000), {**OOM, "max_rss_kb": 2_500_000}),
    Situation("the first memory rule alone", [MEMORY, rule("increase_cputime", code=1212)], (10, 4, 1000), OOM),
    Situation("memory and a limit", [MEMORY, limit(4, code=1212)], (4, 4, 1000), OOM),
    Situation(
        "memory by the task's step",
        [rule("increase_memory_xtimes", code=1212)],
        (10, 4, 2500),
        {**OOM, "min_ram_mb": 2000},
        {"parameters": {"retryRamStep": 500}},
    ),
    Situation(
        "memory by the task's factor up to its maximum",
        [rule("increase_memory_xtimes", code=1212)],
        (10, 4, 3500),
        {**OOM, "min_ram_mb": 2000},
        {"parameters": {"retryRamStep": 2, "retryRamMax": 3500}},
    ),
    Situation(
        "memory above the task's maximum",
        [rule("increase_memory_xtimes", code=1212)],
        (10, 3, 0),
        {**OOM, "min_ram_mb": 4000},
        {"parameters": {"retryRamStep": 1000, "retryRamMax": 4000}},
    ),
    Situation(
        "memory by the ladder up to the task's maximum, when it states no step",
        [rule("increase_memory_xtimes", code=1212)],
        (10, 4, 2500),
        {**OOM, "min_ram_mb": 2000},
        {"parameters": {"retryRamMax": 2500}},
    ),
    Situation(
        "memory by the ladder from the task's offset, when it states no step",
        [rule("increase_memory_xtimes", code=1212)],
        (10, 4, 5000),
        {**OOM, "min_ram_mb": 2000},
        {"parameters": {"retryRamOffset": 5000}},
    ),
    Situation(
        "memory at the end of the ladder, when the task states no step",
        [rule("increase_memory_xtimes", code=1212)],
        (10, 3, 0),
        {**OOM, "min_ram_mb": 8000},
    ),
    Situation("memory, the last step per core of many", [MEMORY], (10, 3, 0), {**OOM, "min_ram_mb": 64_000, "core_count": 8}),
    Situation("memory, just below the last step", [MEMORY], (10, 4, 8000), {**OOM, "min_ram_mb": 63_992, "core_count": 8}),
    Situation(
        "each rule for its own component",
        [limit(6), rule("increase_memory", source="ddm", code=200)],
        (6, 4, 2000),
        {"ddm_error_code": 200, "min_ram_mb": 1000},
    ),
    Situation(
        "of two needs that of the first error",
        [rule("increase_memory", source="ddm", code=200, error_diag="x"), rule("increase_cputime")],
        (10, 3, 0),
        {"ddm_error_code": 200, "ddm_error_diag": "x", "min_ram_mb": 1000},
        {"parameters": {"cpuTimeUnit": "HS06sPerEventFixed"}},
    ),
    Situation("a passive need leaves it to the next", [rule("increase_cputime", code=1212, is_active=False), MEMORY],
              (10, 4, 2000), {**OOM, "min_ram_mb": 1000}),
    Situation("a smaller passive limit of equal specificity", [limit(2, is_active=False), limit(7)], (7, 3, 0)),
    Situation("a smaller expired limit", [limit(2, expiration_time=YESTERDAY), limit(7)], (7, 3, 0)),
    Situation("the code of another component", [rule("no_retry", source="ddm", code=1305)], (10, 3, 0)),
    Situation("a message in any alphabet", [rule("no_retry", error_diag="Größe.+大き")], (1, 3, 0),
              {"pilot_error_diag": "Größe 5 💥 大きい"}),
    Situation("an expression that would run away elsewhere", [rule("no_retry", error_diag="(a+)+$")], (10, 3, 0),
              {"pilot_error_diag": "a" * 900 + "!"}),
    Situation("a long message by its beginning", [rule("no_retry", error_diag="begin.*")], (1, 3, 0),
              {"pilot_error_diag": "begin " + "x" * 100_000}),
    Situation("no message where one is asked for", [rule("no_retry", error_diag=".+")], (10, 3, 0)),
    Situation("system beside a limit", [limit(5)], (5, 4, 0), classes=[{}]),
    Situation("system beside a limit that leaves no room", [limit(3)], (3, 3, 0), classes=[{}]),
    Situation("system", [], (10, 4, 0), classes=[{}]),
    Situation("system, up to the attempts", [], (3, 3, 0), {"max_attempt": 3}, classes=[{}]),
    Situation("user", [], (10, 3, 0), classes=[{"error_class": "user"}]),
    Situation("passive class", [], (10, 3, 0), classes=[{"is_active": False}]),
    Situation("the first error that has a class", [], (10, 3, 0), {"trans_exit_code": 1, "ddm_error_code": 200},
              classes=[{"error_class": "user"}, {"error_source": "ddm", "code": 200}]),
    Situation("a passive class of the first error keeps no active one from acting", [], (10, 4, 0), {"ddm_error_code": 200},
              classes=[{"error_class": "user", "is_active": False}, {"error_source": "ddm", "code": 200}]),
    Situation("an active class of the first error goes before", [], (10, 3, 0), {"ddm_error_code": 200},
              classes=[{"error_class": "user"}, {"error_source": "ddm", "code": 200}]),
    Situation("a class by its message", [], (10, 4, 0), {"pilot_error_diag": "disk full"},
              classes=[{"error_class": "user"}, {"error_diag": "disk"}]),
    Situation("once, however many say so", [MEMORY], (10, 4, 1000), OOM, classes=[{"code": 1212}, {"code": 1212}]),
]  # fmt: skip


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)
def test_what_the_input_is_allowed_after(site, situation):
    for row in situation.rules:
        add_rule(site, **row)
    for row in situation.classes:
        add_class(site, **row)
    panda_id = fail(site, make_task(site, **situation.task), files=2, **situation.job)
    judge(site, panda_id)
    assert held(site, panda_id) == situation.expected
    assert all(row["effect"] for row in log_of(site, panda_id))


def test_the_log_says_who_did_what_and_why(site):
    rule_id = add_rule(site, "limit_retry", 1305, parameters={"maxAttempt": 2}, error_diag="bad")
    task_id = make_task(site)
    panda_id = fail(site, task_id, pilot_error_diag="bad luck")
    judge(site, panda_id)
    [row] = log_of(site, panda_id)
    facts = ("jedi_task_id", "rule_id", "error_source", "error_code", "error_diag", "action", "parameters")
    assert [row[name] for name in facts] == [
        *(task_id, rule_id, "pilot", 1305, "bad luck", "limit_retry", {"maxAttempt": 2})
    ]
    assert (row["effect"], row["is_active"], row["has_acted"]) == ("at most 2 attempts instead of 10", True, True)


def test_a_passive_rule_is_only_noted(site):
    add_rule(site, "increase_memory", 1212, is_active=False)
    panda_id = fail(site, make_task(site), code=1212, min_ram_mb=1000)
    judge(site, panda_id)
    [row] = log_of(site, panda_id)
    assert (row["is_active"], row["has_acted"]) == (False, False)
    assert row["effect"] == "passive; would have acted: memory of the next attempt from 1000 to 2000 MB per core"


def test_a_passive_action_makes_its_rules_passive(site):
    site.execute("UPDATE retry_actions SET is_active = false WHERE name = 'no_retry'")
    add_rule(site, "no_retry")
    panda_id = fail(site, make_task(site))
    judge(site, panda_id)
    assert held(site, panda_id) == (10, 3, 0)
    assert [row["is_active"] for row in log_of(site, panda_id)] == [False]


def test_the_rule_that_another_went_before_is_noted(site):
    first, second = add_rule(site, "increase_memory", 1212), add_rule(site, "increase_memory", 1212)
    panda_id = fail(site, make_task(site), code=1212)
    judge(site, panda_id)
    assert [(row["rule_id"], row["has_acted"]) for row in log_of(site, panda_id)] == [(first, True), (second, False)]
    assert log_of(site, panda_id)[1]["effect"] == f"not carried out: rule {first} goes before"


@pytest.mark.parametrize("diag", ["(", "a{99999}", "***=(", "(?q)x("])
def test_an_expression_that_is_none_switches_its_rule_off_and_the_others_act(site, caplog, diag):
    bad = add_rule(site, "no_retry", error_diag=diag)
    add_rule(site, "limit_retry", parameters={"maxAttempt": 4}, error_diag="fine")
    panda_id = fail(site, make_task(site), pilot_error_diag="fine so far")
    with caplog.at_level(logging.WARNING, logger="panda.retrial"):
        judge(site, panda_id)
    assert held(site, panda_id) == (4, 3, 0)
    row = site.fetch("SELECT * FROM retry_rules WHERE rule_id = %(id)s", {"id": bad})[0]
    if diag not in ("***=(", "(?q)x("):
        assert row["disabled_reason"].startswith("invalid regular expression")
        assert [record.component for record in caplog.records] == ["retrial"]
        change = site.fetch("SELECT * FROM retry_changes WHERE key = %(id)s ORDER BY change_id", {"id": str(bad)})[-1]
        assert (change["who"], change["kind"], change["what"]) == ("retrial", "rule", "disabled")


def test_an_expression_that_runs_away_switches_its_rule_off(site, monkeypatch):
    monkeypatch.setattr("core.retrial.patterns._LIMIT_ALL_S", 0.3)
    monkeypatch.setattr("core.retrial.patterns._LIMIT_ONE_S", 0.3)
    slow = add_rule(site, "no_retry", error_diag=r"(.+)(.+)(.+)(.+)(.+)\5\4\3\2\1x$")
    add_rule(site, "limit_retry", parameters={"maxAttempt": 4}, error_diag="a")
    slow_class = add_class(site, error_diag=r"(.+)(.+)(.+)(.+)\4\3\2\1x$")
    panda_id = fail(site, make_task(site), pilot_error_diag="abcdefghijklmnopq" * 20 + "x")
    judge(site, panda_id)
    assert held(site, panda_id) == (4, 3, 0)
    row = site.fetch("SELECT disabled_reason FROM retry_rules WHERE rule_id = %(id)s", {"id": slow})[0]
    assert row["disabled_reason"].startswith("takes longer than")
    row = site.fetch("SELECT disabled_reason FROM error_classes WHERE class_id = %(id)s", {"id": slow_class})[0]
    assert row["disabled_reason"].startswith("takes longer than")


@pytest.mark.parametrize(
    ("action", "parameters"),
    [("limit_retry", {}), ("limit_retry", {"maxAttempt": "many"}), ("dance", {}), ("limit_retry", [1])],
)
def test_a_row_that_makes_no_sense_is_switched_off(site, action, parameters):
    bad = add_rule(site, action, parameters=__import__("json").dumps(parameters))
    panda_id = fail(site, make_task(site))
    judge(site, panda_id)
    assert held(site, panda_id) == (10, 3, 0)
    assert site.fetch("SELECT disabled_reason FROM retry_rules WHERE rule_id = %(id)s", {"id": bad})[0][
        "disabled_reason"
    ]


def test_when_many_files_needed_more_memory_the_task_gets_it(site):
    add_rule(site, "increase_memory", 1212)
    parameters = {"ramCount": 1000, "ramCountUnit": "MBPerCore"}
    task_id = make_task(site, files=10, parameters=parameters, ram_count=1000, ram_unit="MBPerCore")
    first = fail(site, task_id, files=3, code=1212, min_ram_mb=1000)
    judge(site, first)
    assert settings_of(site, task_id) == {}
    second = fail(site, task_id, files=1, code=1212, min_ram_mb=1000)
    judge(site, second)
    assert settings_of(site, task_id) == {"ramCount": 2000}
    row = site.fetch("SELECT ram_count, measured FROM tasks WHERE jedi_task_id = %(id)s", {"id": task_id})[0]
    assert row["ram_count"] == 2000
    assert row["measured"]["raised_ramCount"]["old"] == 1000
    assert log_of(site, second)[0]["effect"].endswith(
        "the task from 1000 to 2000 MB per core, as more than 30 % of its files needed more"
    )


@pytest.mark.parametrize(("unit", "settings"), [("MBPerCoreFixed", {}), ("MBFixed", {}), ("MB", {"ramCount": 8000})])
def test_a_fixed_unit_is_left_alone_and_a_whole_job_counts_all_its_cores(site, unit, settings):
    add_rule(site, "increase_memory", 1212)
    task_id = make_task(site, files=2, ram_count=4000, ram_unit=unit, core_count=4)
    panda_id = fail(site, task_id, files=1, code=1212, min_ram_mb=4000, core_count=4)
    judge(site, panda_id)
    assert held(site, panda_id)[2] == 2000
    assert settings_of(site, task_id) == settings


@pytest.mark.parametrize(
    ("attempt", "settings"),
    [
        (1, {"nMaxFilesPerJob": 50, "nGBPerJob": 5}),
        (2, {"nMaxFilesPerJob": 50, "nGBPerJob": 5}),
        (3, {"nMaxFilesPerJob": 25, "nGBPerJob": 2.5}),
        (6, {"nMaxFilesPerJob": 1, "nGBPerJob": 1}),
    ],
)
def test_later_jobs_get_less_input(site, attempt, settings):
    add_rule(site, "reduce_input_per_job")
    task_id = make_task(site, parameters={"nMaxFilesPerJob": 100, "nGBPerJob": 10})
    judge(site, fail(site, task_id, attempt=attempt))
    assert settings_of(site, task_id) == settings


def test_what_jobs_got_at_first_is_remembered(site):
    add_rule(site, "reduce_input_per_job")
    task_id = make_task(site, parameters={"nMaxFilesPerJob": 100})
    judge(site, fail(site, task_id, attempt=1))
    judge(site, fail(site, task_id, attempt=3))
    assert settings_of(site, task_id) == {"nMaxFilesPerJob": 25}
    late = fail(site, task_id, attempt=1)
    judge(site, late)
    assert settings_of(site, task_id) == {"nMaxFilesPerJob": 25}
    assert log_of(site, late)[0]["effect"] == "left alone: jobs are as small already"


def test_jobs_of_one_file_cannot_get_less(site):
    add_rule(site, "reduce_input_per_job")
    task_id = make_task(site)
    panda_id = fail(site, task_id, files=1)
    judge(site, panda_id)
    assert settings_of(site, task_id) == {}
    assert log_of(site, panda_id)[0]["effect"] == "left alone: jobs are as small already"


@pytest.mark.parametrize("name", ["nEventsPerJob", "nFilesPerJob"])
def test_a_task_that_sets_the_size_of_its_jobs_keeps_it(site, name):
    add_rule(site, "reduce_input_per_job")
    task_id = make_task(site, parameters={"nMaxFilesPerJob": 100, name: 5})
    panda_id = fail(site, task_id)
    judge(site, panda_id)
    assert settings_of(site, task_id) == {}
    assert log_of(site, panda_id)[0]["effect"] == f"left alone: the task sets {name}"


def test_the_steps_of_reduction_are_a_parameter(site):
    add_rule(site, "reduce_input_per_job", parameters={"steps": [3, 5, 6]})
    task_id = make_task(site, parameters={"nMaxFilesPerJob": 100})
    judge(site, fail(site, task_id, attempt=1))
    assert settings_of(site, task_id) == {}
    judge(site, fail(site, task_id, attempt=5))
    assert settings_of(site, task_id) == {"nMaxFilesPerJob": 1}


def test_cpu_time_comes_from_the_failed_job_until_one_has_finished(site):
    site.execute(
        "INSERT INTO queues (queue_name, max_walltime_s, parameters) VALUES ('FAST', 1000, '{\"corepower\": 12}')"
    )
    add_rule(site, "increase_cputime", 1213)
    task_id = make_task(site)
    job = {"code": 1213, "computing_site": "FAST", "core_count": 2, "n_events": 100}
    judge(site, fail(site, task_id, **job))
    assert settings_of(site, task_id) == {"cpuTime": 360}  # 1000 s x 12 x 2 cores / 100 events x 1.5
    site.execute("UPDATE tasks SET n_finished = 1 WHERE jedi_task_id = %(id)s", {"id": task_id})
    fail(
        site, task_id, files=0, job_status="finished", cpu_consumption_time_s=6000, n_events=100, computing_site="FAST"
    )
    last = fail(site, task_id, **job)
    judge(site, last)
    assert settings_of(site, task_id) == {"cpuTime": 1080}  # 6000 s x 12 / 100 events x 1.5
    assert log_of(site, last)[0]["effect"].endswith("from 360 to 1080 HS06sPerEvent, computed from jobs that finished")


def test_a_build_job_holds_nothing_that_rules_could_change(site):
    for action in ("no_retry", "increase_memory"):
        add_rule(site, action)
    add_class(site)
    panda_id = fail(site, make_task(site), files=0, job_index=0)
    judge(site, panda_id)
    assert {row["effect"] for row in log_of(site, panda_id)} == {
        "nothing to change: the job holds no input of its task"
    }


def test_rules_that_break_do_not_break_the_ending(site, monkeypatch, caplog):
    add_rule(site, "no_retry")
    panda_id = fail(site, make_task(site))

    def broken(*_: object) -> None:
        site.fetch("SELECT 1")
        raise ValueError("a mistake of ours")

    monkeypatch.setattr("core.retrial.applying.write_log", broken)
    judge(site, panda_id)
    assert held(site, panda_id) == (10, 3, 0)
    assert "not applied to 1 failed jobs" in caplog.text


@pytest.mark.parametrize("diag", ["", "("])
def test_jobs_that_end_at_the_same_time_do_not_wait_for_each_other_at_a_rule(site, diag):
    add_rule(site, "no_retry", error_diag=diag)
    rows = [{"panda_id": fail(site, task := make_task(site)), "jedi_task_id": task} for _ in range(2)]
    with site.transaction() as first:
        apply_rules(first, rows[:1])
        with site.transaction() as second:
            second.execute("SET LOCAL lock_timeout = '2s'")
            apply_rules(second, rows[1:])
    assert [len(log_of(site, row["panda_id"])) for row in rows] == ([1, 1] if not diag else [0, 0])
    assert site.fetch("SELECT count(*) AS n FROM retry_rules WHERE disabled_reason <> ''")[0]["n"] == bool(diag)
