"""All agents of the core, listed once, and the program that runs them."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from core.agents.activator import Activator
from core.agents.adder import Adder
from core.agents.base import Agent, run_loops
from core.agents.partitions import PartitionKeeper
from core.agents.setupper import Setupper
from core.agents.watchdog import Watchdog
from core.clock import utc_now
from core.configuration import Settings
from core.database import Database, migrate

__all__ = ["Agent", "core_agents", "run_agents"]


def core_agents(database: Database, settings: Settings) -> list[Agent]:
    """The agents of the core with their periods."""
    periods = settings.agents
    return [
        Setupper(database, periods.setupper_s),
        Activator(database, periods.activator_s),
        Adder(database, periods.adder_s),
        Watchdog(database, settings.timeouts, periods.watchdog_s),
        PartitionKeeper(database, utc_now, periods.partitions_s),
    ]


def run_agents(settings: Settings, database: Database, stop: threading.Event, further: Sequence[Agent] = ()) -> None:
    """Bring the schema up to date, then run all agents, and `further` ones of other packages, until `stop` is set."""
    migrate(database)
    run_loops([*core_agents(database, settings), *further], database, stop)
