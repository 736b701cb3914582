"""Brings the input of tasks from tape to disk, and deletes those copies again (domain.md 4.9). Knows the order of the steps.

What each step does is in `core.carousel`. One request that makes trouble does not keep the others waiting.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

import psycopg2

from core.agents.base import Agent
from core.carousel.bringing import COMPONENT, MoreTasksCame, copy_files, list_files, take_arrivals
from core.carousel.ending import delete_copies, end_unused, finish_deleting
from core.carousel.turns import find_places, give_turns
from core.carousel.watching import ask_again
from core.database import Database, Row
from core.dataservice.staging import say
from core.errors import PandaError, Unavailable
from core.taskengine import tape
from core.taskengine.scouting.gate import DEFAULT_SCOUTS
from core.taskengine.status import break_task
from core.workload_settings import CarouselSettings, ScoutSettings

log = logging.getLogger("panda.data_carousel")

_TASKS_PER_CYCLE = 200

# ix_data_carousel_requests_status
_TO_LIST = """
SELECT * FROM data_carousel_requests WHERE status IN ('queued', 'staging') AND NOT is_listed ORDER BY request_id
"""
_STAGING = (
    "SELECT * FROM data_carousel_requests WHERE status = 'staging' ORDER BY is_forced DESC, start_time, request_id"
)


class DataCarousel(Agent):
    """A bunch of every request under way, in each cycle."""

    name = "data_carousel"

    def __init__(
        self,
        database: Database,
        settings: CarouselSettings,
        period_s: float,
        scouts: ScoutSettings = DEFAULT_SCOUTS,
    ) -> None:
        self._database = database
        self._settings = settings
        self._scouts = scouts
        self.period_s = period_s

    def cycle(self) -> int:
        """One round; returns how many files, requests and tasks moved."""
        database, settings = self._database, self._settings
        # before any new copy: one of a deterministic place may take the place of one that is half deleted
        done = finish_deleting(database)
        done += end_unused(database, settings)
        for row in self._rows(_TO_LIST):
            done += self._safely(row["request_id"], partial(list_files, database, row))
        done += find_places(database, settings)
        done += give_turns(database, settings)
        done += self._bring()
        done += sum(self._go_on(task_id) for task_id in tape.can_go_on(database, limit=_TASKS_PER_CYCLE))
        ask_again(database, settings)
        return done + delete_copies(database, settings)

    def _rows(self, statement: str) -> list[Row]:
        return self._database.fetch(statement)

    def _bring(self) -> int:
        """Arrivals of every request; copies of as many files as a cycle has, shared out among the requests."""
        rows = self._rows(_STAGING)
        left, done = self._settings.copies_per_cycle, 0
        for position, row in enumerate(rows):
            done += self._safely(row["request_id"], partial(take_arrivals, self._database, row))
            share = max(1, left // (len(rows) - position)) if left else 0
            if share:
                copy = partial(copy_files, self._database, row, self._settings, share)
                tried = self._safely(row["request_id"], copy)
                left -= tried
                done += tried
        return done

    def _safely(self, request_id: int, work: Callable[[], int]) -> int:
        """One step of one request; what goes wrong with it is said on it."""
        try:
            return work()
        except MoreTasksCame:
            return 0
        except (Unavailable, psycopg2.InterfaceError):
            raise
        except psycopg2.OperationalError as error:  # a deadlock or a busy server: done again in the next cycle
            log.warning("request %s waits: %s", request_id, error, extra={"component": COMPONENT})
            return 0
        except Exception as error:  # one request must not keep the others from coming
            log.exception("request %s cannot go on", request_id, extra={"component": COMPONENT})
            with self._database.transaction() as transaction:
                say(transaction, request_id, f"an error of the system: {type(error).__name__}: {error}")
            return 0

    def _go_on(self, task_id: int) -> int:
        try:
            with self._database.transaction() as transaction:
                reason = "the first of its input is on disk"
                return tape.go_on(transaction, task_id, who=self.name, reason=reason, scouts=self._scouts)
        except (Unavailable, psycopg2.InterfaceError):
            raise
        except psycopg2.OperationalError as error:
            log.warning("task %s goes on later: %s", task_id, error, extra={"component": COMPONENT})
            return 0
        except PandaError as error:
            return self._break(task_id, str(error))
        except Exception as error:  # one task must not keep the others from going on
            log.exception("task %s cannot go on", task_id, extra={"component": COMPONENT})
            return self._break(task_id, f"an error of the system: {type(error).__name__}: {error}")

    def _break(self, task_id: int, reason: str) -> int:
        extra = {"component": COMPONENT, "jedi_task_id": task_id}
        log.warning("task %s is broken: %s", task_id, reason, extra=extra)
        with self._database.transaction() as transaction:
            break_task(transaction, task_id, reason, who=self.name)
        return 1
