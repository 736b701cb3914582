"""The one shape of every loop: it survives its cycles, reports them, and is active once however many hosts run it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from core.agents import core_agents, run_agents
from core.agents.base import Agent, AgentLoop, run_loops
from core.agents.troubles import STEADY_CYCLES, STEADY_S, AgentTroubles
from core.configuration import Settings
from core.database import Database
from core.errors import Unavailable
from tests.support.system import eventually


class Counting(Agent):
    """Counts its cycles; the script says what each returns or raises, then it is idle."""

    def __init__(
        self, name: str = "counting", script: list[int | Exception] | None = None, period_s: float = 0.01
    ) -> None:
        self.name = name
        self.period_s = period_s
        self.script = script or []
        self.cycles = 0
        self.threads: set[str] = set()

    def cycle(self) -> int:
        """Play the next line of the script."""
        self.cycles += 1
        self.threads.add(threading.current_thread().name)
        step = self.script.pop(0) if self.script else 0
        if isinstance(step, Exception):
            raise step
        return step


@contextmanager
def looping(database: Database, *agents: Agent) -> Iterator[list[AgentLoop]]:
    stop = threading.Event()
    loops = [AgentLoop(agent, database, stop) for agent in agents]
    for loop in loops:
        loop.start()
    try:
        yield loops
    finally:
        stop.set()
        for loop in loops:
            loop.join(timeout=30)
            assert not loop.is_alive()


def run_of(database: Database, name: str) -> dict[str, object] | None:
    return database.fetch_one("SELECT * FROM agent_runs WHERE name = %(name)s", {"name": name})


def lease_holders(database: Database) -> list[int]:
    rows = database.fetch(
        """SELECT l.pid FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted
           AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY l.pid"""
    )
    return [row["pid"] for row in rows]


def test_a_cycle_that_raises_is_reported_with_its_traceback_and_the_loop_goes_on(database, caplog):
    agent = Counting(script=[ZeroDivisionError("by accident"), 0])
    with caplog.at_level(logging.ERROR, "panda.agents"), looping(database, agent):
        eventually(lambda: agent.cycles >= 3)
        eventually(lambda: (run_of(database, "counting") or {}).get("last_error_time"))
    [record] = [record for record in caplog.records if record.name == "panda.agents"]
    assert "agent counting: by accident" in record.getMessage()
    assert record.exc_info is not None
    assert (record.component, record.kind) == ("counting", "service")  # type: ignore[attr-defined]


class Hand:
    """A timer that a test turns."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The keys of troubles as they were told, each end with a leading word."""
    return [
        f"over {vars(record)['over']}" if "over" in vars(record) else vars(record)["fingerprint"]
        for record in caplog.records
        if record.name == "panda.agents"
    ]


def test_failures_of_an_agent_are_one_trouble_that_is_over_when_it_works_steadily(caplog):
    timer = Hand()
    troubles = AgentTroubles("generator", timer)
    with caplog.at_level(logging.INFO, "panda.agents"):
        troubles.failed(ValueError("one way"))
        troubles.failed(KeyError("another"))
        for timer.now_s in (STEADY_S - 1, STEADY_S, STEADY_S + 1, STEADY_S + 2):
            troubles.worked()
    assert told(caplog) == ["agent fails:generator", "agent fails:generator", "over agent fails:generator"]


def test_an_agent_that_fails_now_and_then_or_runs_seldom_is_not_told_well_too_early(caplog):
    timer = Hand()
    troubles = AgentTroubles("generator", timer)
    with caplog.at_level(logging.INFO, "panda.agents"):
        for round_number in range(5):
            timer.now_s = round_number * (STEADY_S - 1)
            troubles.failed(ValueError(f"again {round_number}"))
            timer.now_s += STEADY_S - 2
            for _ in range(STEADY_CYCLES):
                troubles.worked()
        timer.now_s += 2 * STEADY_S
        assert "over agent fails:generator" not in told(caplog)
        troubles.worked()
    assert told(caplog)[-1] == "over agent fails:generator"


def test_a_process_that_starts_ends_what_an_earlier_one_told_of_its_agents(caplog):
    timer = Hand()
    troubles = AgentTroubles("generator", timer)
    with caplog.at_level(logging.INFO, "panda.agents"):
        for timer.now_s in (0.0, 1.0, STEADY_S, STEADY_S + 1):
            troubles.worked()
    assert told(caplog) == ["over agent fails:generator"]


def test_the_same_trouble_again_does_not_flood_the_log(database, caplog):
    agent = Counting(script=[Unavailable("the database is away") for _ in range(3)] + [ValueError("something else")])
    agent.period_s = 0.0
    with caplog.at_level(logging.ERROR, "panda.agents"), looping(database, agent):
        eventually(lambda: agent.cycles >= 5)
    said = [record.getMessage() for record in caplog.records if record.name == "panda.agents"]
    assert len([line for line in said if "away" in line]) == 1
    assert len([line for line in said if "something else" in line]) == 1
    assert all(record.exc_info is None for record in caplog.records if "away" in record.getMessage())


def test_an_error_is_shown_until_a_cycle_works_again(database):
    agent = Counting(script=[ValueError("broken")])
    with looping(database, agent):
        eventually(lambda: (run_of(database, "counting") or {}).get("last_error") == "broken")
    agent = Counting()
    with looping(database, agent):
        eventually(lambda: (run_of(database, "counting") or {}).get("last_error") == "")
    row = run_of(database, "counting")
    assert row is not None
    assert row["last_error_time"] is not None
    assert row["next_run"] is not None


def test_an_agent_with_work_left_comes_back_at_once(database):
    agent = Counting(script=[1] * 50, period_s=3600)
    with looping(database, agent):
        eventually(lambda: agent.cycles == 51)


def test_an_agent_is_active_once_however_many_run_it(database):
    one, two = Counting(), Counting()
    with looping(database, one):
        eventually(lambda: one.cycles > 0)
        with looping(database, two):
            before = one.cycles
            eventually(lambda: one.cycles > before + 20)
            assert two.cycles == 0
            assert len(lease_holders(database)) == 1


def test_when_its_connection_is_killed_another_takes_over(database):
    one, two = Counting(), Counting()
    with looping(database, one, two):
        eventually(lambda: one.cycles + two.cycles > 0)
        active, waiting = (one, two) if one.cycles else (two, one)
        for _ in range(20):
            for pid in lease_holders(database):
                database.fetch("SELECT pg_terminate_backend(%(pid)s)", {"pid": pid})
            try:
                eventually(lambda: waiting.cycles > 0, timeout_s=3)
                break
            except AssertionError:
                continue  # the first may be quicker to come back than the second to look
        assert waiting.cycles > 0
        assert active.cycles > 0
        eventually(lambda: len(lease_holders(database)) == 1)


def test_different_agents_do_not_wait_for_each_other(database):
    agents = [Counting(f"agent {number}") for number in range(5)]
    with looping(database, *agents):
        eventually(lambda: all(agent.cycles > 3 for agent in agents))


def test_stopping_lets_the_cycle_end(database):
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    class Slow(Counting):
        def cycle(self) -> int:
            begun.set()
            go_on.wait(30)
            ended.set()
            return 0

    stop = threading.Event()
    runner = threading.Thread(target=run_loops, args=([Slow("slow")], database, stop))
    runner.start()
    assert begun.wait(30)
    stop.set()
    go_on.set()
    runner.join(timeout=30)
    assert ended.is_set()
    assert not runner.is_alive()
    eventually(lambda: lease_holders(database) == [])


def test_the_agents_of_the_core_have_names_of_their_own_and_note_their_runs(database_url, tmp_path):
    settings = Settings(data=tmp_path, database_url=database_url)
    stop = threading.Event()
    extra = Counting("extra")
    runner = threading.Thread(target=run_agents, args=(settings, stop, lambda database, given: [extra]))
    runner.start()
    database = Database(database_url)
    try:
        names = [agent.name for agent in core_agents(database, settings)]
        assert len(set(names)) == len(names)
        eventually(lambda: all(run_of(database, name) for name in [*names, "extra"]))
    finally:
        stop.set()
        runner.join(timeout=60)
        database.close()
    assert not runner.is_alive()


@pytest.mark.parametrize("wrong", [ValueError("x"), KeyError("y"), Unavailable("z")])
def test_no_kind_of_error_ends_a_loop(database, wrong):
    agent = Counting(script=[wrong])
    with looping(database, agent) as loops:
        eventually(lambda: agent.cycles >= 2)
        assert loops[0].is_alive()
