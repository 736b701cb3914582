"""In which order files become jobs: orderInputBy, random items; and second inputs that are counted by events."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from core.agents.feeder import Feeder
from core.agents.generator import Generator
from core.agents.input_follower import InputFollower
from core.database import Database
from core.errors import InvalidInput
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.table import run_command
from core.taskengine.making import contents, generation, pieces
from core.workload_settings import GenerationSettings, TaskTimes
from tests.core.taskengine.submitting import accept, files, row_of_task, task_files, texts
from tests.core.taskengine.test_events import read_from
from tests.core.taskengine.test_open_input import GROWING, add, close, register
from tests.core.taskengine.test_production_tasks import INPUT, of_production, output
from tests.support.builders import make_dataset, make_queue

FACTS: dict[str, tuple[int, int | None]] = {
    "d": (30, 5),
    "a": (10, None),
    "e": (5, 5),
    "c": (10, 9),
    "b": (20, 1),
}
"""Bytes and events of files, in the order in which they are registered."""


@pytest.fixture
def site(database: Database) -> Database:
    make_queue(database, "Q")
    make_files(database, "mixed", FACTS)
    return database


def make_files(database: Database, dataset: str, facts: dict[str, tuple[int, int | None]]) -> None:
    """A dataset of files with these bytes and events."""
    make_dataset(database, dataset, list(facts), at=["Q_DISK"])
    for name, (size, events) in facts.items():
        database.execute(
            "UPDATE files SET size_bytes = %(size)s, n_events = %(events)s WHERE lfn = %(lfn)s AND dataset_id = "
            "(SELECT dataset_id FROM datasets WHERE name = %(dataset)s)",
            {"size": size, "events": events, "lfn": name, "dataset": dataset},
        )


def reader(database: Database, dataset: str = "mixed", **changes: Any) -> int:
    """A task that reads a dataset, a file in each job unless `changes` says otherwise."""
    wanted = {"nFilesPerJob": 1, "skipScout": True, "site": "Q", **changes}
    return accept(database, read_from(dataset, "ordered", **wanted))


def read_on(database: Database, page: int) -> None:
    """Feeder and generator until nothing is left to list and to make."""
    settings = GenerationSettings(files_per_cycle=page, jobs_per_cycle=3)
    while Feeder(database, settings, 1).cycle() + Generator(database, settings, TaskTimes(), 1).cycle():
        pass


def taken(database: Database, task_id: int) -> list[str]:
    """The files of a task in the order of their jobs."""
    return [name for piece in files(database, task_id, "input") for name in piece]


def in_pages(monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    """Pages of so many files at the door too, and bunches of three jobs."""
    monkeypatch.setitem(contents.feed_contents.__kwdefaults__, "limit", page)
    monkeypatch.setattr(generation, "JOBS_AT_ONCE", 3)
    monkeypatch.setattr(pieces, "FILES_AT_ONCE", page)


@pytest.mark.parametrize("page", [1, 2, 100])
@pytest.mark.parametrize(
    ("order", "wanted"),
    [
        (None, "daecb"),
        ("name", "abcde"),
        ("lfn desc", "edcba"),
        ("-name", "edcba"),
        ("size", "eacbd"),
        ("fsize DESC", "dbcae"),
        ("nEvents asc", "abdec"),
        ("-events", "cedba"),
        ("registration", "daecb"),
        ("creationDate desc", "bcead"),
    ],
)
def test_files_become_jobs_in_the_order_asked_for_wherever_pages_end(site, monkeypatch, order, wanted, page):
    in_pages(monkeypatch, page)
    task_id = reader(site, orderInputBy=order)
    read_on(site, page)
    assert "".join(taken(site, task_id)) == wanted
    assert row_of_task(site, task_id)["error_dialog"] == ""


@pytest.mark.parametrize("seed", range(4))
def test_every_file_comes_exactly_once_in_order_however_many_are_alike(site, monkeypatch, seed):
    dice = random.Random(seed)
    facts = {f"f{number}": (dice.choice([1, 2, 3]), dice.choice([None, 0, 3])) for number in range(40)}
    make_files(site, "many", facts)
    page = dice.randint(1, 9)
    in_pages(monkeypatch, page)
    task_id = reader(site, "many", orderInputBy="size desc", nFilesPerJob=4)
    read_on(site, page)
    found = taken(site, task_id)
    assert sorted(found) == sorted(facts)
    sizes = [facts[name][0] for name in found]
    assert sizes == sorted(sizes, reverse=True)


def random_item(database: Database, name: str) -> int:
    """A task whose first input is taken at random."""
    item = {**INPUT, "dataset": "many", "random": True}
    return accept(database, of_production(name, [item, output(dataset=f"{name}.HITS")]), is_production=True)


def test_chance_is_the_same_for_a_task_whenever_it_is_asked_and_another_for_others(site, monkeypatch):
    names = {f"f{number:02d}": (1, 1) for number in range(30)}
    make_files(site, "many", names)
    first = random_item(site, "mc.one")
    read_on(site, 100)
    order = [row["lfn"] for row in task_files(site, first)]
    assert sorted(order) == sorted(names) != order
    # the same task, read anew in other pages
    site.execute("DELETE FROM task_files")
    site.execute("UPDATE task_datasets SET status = 'toupdate', feed_cursor = 0, n_files = 0 WHERE is_master")
    for _ in range(12):
        with site.transaction() as transaction:
            contents.feed_contents(transaction, first, limit=3)
    assert [row["lfn"] for row in task_files(site, first)] == order
    second = random_item(site, "mc.two")
    read_on(site, 100)
    other = [row["lfn"] for row in task_files(site, second)]
    assert sorted(other) == sorted(names)
    assert other != order


def test_limits_and_offsets_count_in_the_order(site):
    task_id = reader(site, orderInputBy="name desc", nFiles=2)
    assert taken(site, task_id) == ["e", "d"]
    parameters = read_from("mixed", "skipping", nFilesPerJob=1, skipScout=True, site="Q", orderInputBy="name")
    for item in parameters["jobParameters"]:
        if item.get("param_type") == "input":
            item["offset"] = 3
    assert taken(site, accept(site, parameters)) == ["d", "e"]


def test_what_is_retried_keeps_its_place(site):
    task_id = reader(site, orderInputBy="name desc")
    run_command(site, "finish", task_id, Issuer("Test User"))
    run_command(site, "retry", task_id, Issuer("Test User"))
    assert taken(site, task_id) == [*"edcba", *"edcba"]


def test_a_file_that_goes_while_its_dataset_is_read_loses_nothing_else(site, monkeypatch):
    in_pages(monkeypatch, 2)
    task_id = reader(site, orderInputBy="name")
    [behind] = site.fetch("SELECT lfn FROM files JOIN task_datasets d ON d.feed_cursor = file_id WHERE d.is_master")
    for table in ("replicas", "files"):
        site.execute(f"DELETE FROM {table} WHERE file_id IN (SELECT file_id FROM files WHERE lfn = %(lfn)s)", behind)
    read_on(site, 2)
    assert [row["lfn"] for row in task_files(site, task_id)] == [*"abcde"]


def test_an_open_dataset_is_ordered_within_what_is_there(site):
    register(site, "m", "k")
    task_id = reader(site, GROWING, orderInputBy="name", runUntilClosed=True)
    follower = InputFollower(site, 1)
    for more in (["z", "a"], ["b"]):
        add(site, *more)
        follower.cycle()
        assert follower.cycle() == 0
    close(site)
    follower.cycle()
    assert taken(site, task_id) == ["k", "m", "a", "z", "b"]


def test_an_order_that_nobody_knows_is_told(site):
    task_id = reader(site, orderInputBy="moon")
    said = row_of_task(site, task_id)["error_dialog"]
    assert "orderInputBy: files are taken in the order of the catalogue; it may be name, size, events" in said
    assert "".join(taken(site, task_id)) == "daecb"


def test_an_order_that_would_tear_boundaries_apart_is_refused(site):
    with pytest.raises(InvalidInput) as refused:
        reader(site, orderInputBy="size", groupBoundaryID=3)
    assert refused.value.field == "orderInputBy"


SECOND = {**INPUT, "value": "--low=${IN_LOW/L}", "dataset": "low", "eventRatio": 0.5}


def low_of(database: Database, task_id: int) -> Sequence[list[str]]:
    """The files of the second input of each job."""
    return [text.partition("--low=")[2].split()[0].split(",") for text in texts(database, task_id)]


def with_second(
    database: Database, name: str, events: Sequence[int | None], low: Sequence[int | None], **more: Any
) -> int:
    """A task of one master file per job and a second input that is counted by events."""
    make_files(database, "high", {f"h{number}": (1, count) for number, count in enumerate(events)})
    make_files(database, "low", {f"l{number}": (1, count) for number, count in enumerate(low)})
    items = [{**INPUT, "dataset": "high"}, {**SECOND, **more}, output(dataset=f"{name}.HITS")]
    return accept(database, of_production(name, items), is_production=True)


def test_a_second_input_is_taken_until_its_events_are_enough(site):
    task_id = with_second(site, "mc.half", [10, 4, 2], [2, 3, 1, 1, 7, 9, 9])
    assert low_of(site, task_id) == [["l0", "l1"], ["l2", "l3"], ["l4"]]


def test_each_file_of_a_second_input_goes_to_one_job_however_the_jobs_are_made(site, monkeypatch):
    in_pages(monkeypatch, 2)
    task_id = with_second(site, "mc.bunches", [6] * 9, [1, 2, 3, 1] * 9)
    read_on(site, 2)
    given = low_of(site, task_id)
    flat = [name for group in given for name in group]
    assert len(given) == 9
    assert len(set(flat)) == len(flat)
    counts = [1, 2, 3, 1] * 9
    for group in given:
        found = [counts[int(name[1:])] for name in group]
        assert sum(found) >= 3 > sum(found[:-1])


@pytest.mark.parametrize("reusable", [False, True])
def test_a_second_input_that_is_too_small_is_named_unless_it_may_be_used_again(site, reusable):
    if reusable:
        task_id = with_second(site, "mc.again", [10, 10], [3, 3], reusable=True)
        assert low_of(site, task_id) == [["l0", "l1"], ["l0", "l1"]]
        return
    with pytest.raises(InvalidInput) as refused:
        with_second(site, "mc.small", [10, 10], [3, 3])
    assert refused.value.field == "jobParameters.1.dataset"
    assert "a job takes 5 events" in refused.value.detail


@pytest.mark.parametrize(("high", "low"), [([None], [1]), ([1], [None])])
def test_events_that_nobody_counted_are_named(site, high, low):
    with pytest.raises(InvalidInput) as refused:
        with_second(site, "mc.unknown", high, low)
    assert refused.value.field == "jobParameters.1.eventRatio"


@pytest.mark.parametrize("wrong", ["x", -1, 10**9, True, [1], "nan"])
def test_a_ratio_that_is_none_is_named(site, wrong):
    items = [INPUT, {**SECOND, "eventRatio": wrong}, output()]
    with pytest.raises(InvalidInput) as refused:
        accept(site, of_production("mc.wrong", items), is_production=True)
    assert refused.value.field == "jobParameters.1.eventRatio"
