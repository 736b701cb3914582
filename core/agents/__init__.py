"""All agents of the core, listed once, and the program that runs them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from core.agents.account_keeper import AccountKeeper
from core.agents.activator import Activator
from core.agents.adder import Adder
from core.agents.base import Agent, run_loops
from core.agents.cache_cleaner import CacheCleaner
from core.agents.data_carousel import DataCarousel
from core.agents.emitter import ChangeEmitter
from core.agents.factory_news import FactoryNews
from core.agents.feeder import Feeder
from core.agents.generator import Generator
from core.agents.input_follower import InputFollower
from core.agents.massage import PriorityMassage
from core.agents.notices import Notices
from core.agents.partitions import PartitionKeeper
from core.agents.preprocessor import Preprocessor
from core.agents.queue_tester import QueueTester
from core.agents.rebroker import Rebroker
from core.agents.releaser import Releaser
from core.agents.rollups import RollUps
from core.agents.rule_counter import RuleCounter
from core.agents.scouts import Scouts
from core.agents.setupper import Setupper
from core.agents.share_keeper import ShareKeeper
from core.agents.task_broker import TaskBroker
from core.agents.task_watchdog import TaskWatchdog
from core.agents.watchdog import Watchdog
from core.clock import utc_now
from core.configuration import Settings
from core.database import Database, migrate

AgentFactory = Callable[[Database, Settings], Sequence[Agent]]

__all__ = ["Agent", "AgentFactory", "core_agents", "run_agents"]


def core_agents(database: Database, settings: Settings) -> list[Agent]:
    """The agents of the core with their periods."""
    periods = settings.agents
    return [
        Setupper(database, periods.setupper_s, settings.brokerage),
        Releaser(database, periods.releaser_s),
        InputFollower(database, periods.input_follower_s),
        DataCarousel(database, settings.carousel, periods.data_carousel_s, settings.scouts),
        Feeder(database, settings.generation, periods.feeder_s, settings.scouts),
        Preprocessor(database, periods.preprocessor_s, settings.scouts),
        TaskBroker(
            database,
            settings.task_brokerage,
            periods.task_broker_s,
            brokerage=settings.brokerage,
            generation=settings.generation,
            scouts=settings.scouts,
        ),
        Generator(database, settings.generation, settings.tasks, periods.generator_s, settings.scouts, settings.guards),
        Scouts(database, settings.scouts, periods.scouts_s),
        TaskWatchdog(database, settings.tasks, periods.task_watchdog_s, guards=settings.guards, tails=settings.tails),
        Notices(database, settings.mail, periods.task_watchdog_s),
        Activator(database, periods.activator_s),
        Adder(database, periods.adder_s),
        ShareKeeper(database, periods.shares_s, settings.shares.sample_s),
        Watchdog(database, settings.timeouts, periods.watchdog_s),
        AccountKeeper(database, settings.accounts, periods.accounts_s),
        PriorityMassage(database, settings.accounts, periods.massage_s),
        QueueTester(database, settings.queue_tests, periods.queue_tests_s),
        Rebroker(database, settings.rebrokerage, periods.rebroker_s, settings.brokerage),
        RollUps(database, periods.rollup_s),
        RuleCounter(database, periods.rule_counter_s),
        ChangeEmitter(database, periods.emitter_s),
        PartitionKeeper(database, utc_now, periods.partitions_s, settings.retention),
        FactoryNews(database, periods.factory_news_s),
        CacheCleaner(database, settings.cache_path, settings.cache, periods.cache_cleaner_s),
    ]


def run_agents(settings: Settings, stop: threading.Event, further: AgentFactory | None = None) -> None:
    """Bring the schema up to date, then run all agents until `stop` is set; `further` makes those of other packages.

    `settings.database_url` must name the database.
    """
    database = Database(settings.database_url)
    try:
        migrate(database)
        others = further(database, settings) if further else []
        run_loops([*core_agents(database, settings), *others], database, stop)
    finally:
        database.close()
