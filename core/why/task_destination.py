"""Statements about where the outputs of a task are collected: being chosen, and no storage that would do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from core.states import TaskStatus
from core.why.reason import Reason, Responsible
from core.why.resting import unless_it_rests
from core.why.task_case import TaskCase
from core.wording import counted, moment


class DestinationIsBeingChosen:
    """Its input is listed, and task brokerage looks next."""

    id = "assigning"
    sentence = "the storage that collects its outputs is being chosen"

    def reason(self, case: TaskCase) -> Reason | None:
        """Look at the status."""
        if case.status != TaskStatus.ASSIGNING:
            return None
        reason = Reason(
            self.id,
            Responsible.SYSTEM,
            clause="the storage that collects its outputs is being chosen",
            sentence=f"Its input is listed ({counted(case.task['n_files'], 'file')}), and the storage that collects its "
            "outputs (its nucleus) is being chosen.",
            next_step="an agent (task_broker) chooses within seconds, then jobs are made",
            advice=(f"or name one: POST /api/v1/task/reassign with task_id {case.task_id} and nucleus",),
            numbers={"files": case.task["n_files"]},
        )
        return unless_it_rests(reason, case.transaction, "task_broker", case.as_of)


class NoDestinationFits:
    """Task brokerage found no nucleus for it."""

    id = "no_nucleus"
    sentence = "no storage that collects outputs suits it"

    def reason(self, case: TaskCase) -> Reason | None:
        """The criterion that left nobody, with the storages and numbers it named."""
        task, choice, step = case.task, case.destination, _what_bars(case)
        if choice is None or step is None:
            return None
        again = task["next_try_time"]
        frozen = task["frozen_time"]
        gives_up = frozen + timedelta(seconds=case.settings.tasks.pending_limit_s) if frozen else None
        end = f"; exhausted at {moment(gives_up, case.as_of)} if nothing changes" if gives_up else ""
        until = f" until {moment(again, case.as_of)}" if again else ""
        left_out = [entry for entry in step.get("excluded", []) if isinstance(entry, Mapping)]
        examples = "; ".join(f"{entry.get('queue')} {entry.get('reason')}" for entry in left_out[:3])
        reason = Reason(
            self.id,
            Responsible.OPERATORS,
            clause=f"no nucleus suits it: {examples}",
            sentence=f"It is pending{until}: of {_nuclei(choice['candidate_count'])} that may collect its outputs none is left "
            f"after '{step['sentence']}' ({step['before']} before): {examples}.",
            next_step=f"an agent (task_broker) chooses again then{end}",
            next_time=again,
            advice=(
                f"name one that will do: POST /api/v1/task/reassign with task_id {case.task_id} and nucleus",
                "mark another storage as nucleus, or mend what is said of these: PUT /api/control/endpoint/NAME",
            ),
            numbers={
                **{"criterion": step["criterion"], "before": step["before"], "nuclei": choice["candidate_count"]},
                **{"is_temporary": bool(choice["is_temporary"]), "left_out": left_out},
                **{"parameters": step.get("parameters", {}), "gives_up": gives_up},
            },
        )
        return unless_it_rests(reason, case.transaction, "task_watchdog", case.as_of)


def waits_for_destination(case: TaskCase) -> bool:
    """Whether it is pending because no nucleus suits it."""
    return _what_bars(case) is not None


def _what_bars(case: TaskCase) -> Mapping[str, Any] | None:
    """The criterion that left no nucleus, of a task that is pending for that."""
    choice = case.destination
    if case.status != TaskStatus.PENDING or case.task["old_status"] != TaskStatus.ASSIGNING or choice is None:
        return None
    steps = choice["funnel"] if isinstance(choice["funnel"], list) else []
    return next(
        (step for step in steps if step.get("criterion") == choice["binding_step"] and step.get("after") == 0), None
    )


def _nuclei(count: int) -> str:
    return "1 nucleus" if count == 1 else f"{count:,} nuclei"
