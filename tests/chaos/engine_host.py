"""A host that runs the agents of a database, as a process of its own, to be killed by the tests of this folder."""

from __future__ import annotations

import signal
import sys
import threading

from core.agents import run_agents
from core.configuration import AgentPeriods, Settings
from core.workload_settings import GenerationSettings

PAGE, BUNCH = 15, 4


def main(url: str) -> None:
    """Run until SIGTERM: small pages and bunches, so that there is much to be in the middle of."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    quick = AgentPeriods(feeder_s=0.1, generator_s=0.1, setupper_s=0.1, adder_s=0.1)
    generation = GenerationSettings(files_per_cycle=PAGE, jobs_per_cycle=BUNCH)
    run_agents(Settings(database_url=url, agents=quick, generation=generation), stop)


if __name__ == "__main__":
    main(sys.argv[1])
