"""`panda agents`: the agents of the server as one process, reporting to the incident store."""

from __future__ import annotations

import signal
import threading

from core.agents import run_agents
from core.configuration import Settings
from logger.agents import build_agents
from pandascope.supervisor.reporting import report_to_store


def command() -> None:
    """Run the agents until SIGTERM."""
    settings = Settings.load()
    stop = threading.Event()

    def stop_soon(number: int, frame: object) -> None:
        # From a thread: a handler that takes the event's lock itself could wait for the very code it interrupted.
        threading.Thread(target=stop.set, daemon=True).start()

    signal.signal(signal.SIGTERM, stop_soon)
    signal.signal(signal.SIGINT, stop_soon)
    with report_to_store(settings, "agents"):
        run_agents(settings, stop, build_agents)
