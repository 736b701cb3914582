"""Runs the criteria over the nuclei, weighs what is left and draws one. Knows the order, no SQL, no rule."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from core.brokerage.candidates import Step
from core.brokerage.judging import cannot_be_judged
from core.brokerage.weighing import Weight
from core.taskbrokerage.candidates import Need, Nucleus
from core.taskbrokerage.criteria import Criterion
from core.taskbrokerage.weighing import weigh
from core.workload_settings import TaskBrokerageSettings

_SHOWN_EXCLUSIONS = 20


@dataclass(frozen=True)
class Choice:
    """Where the outputs of a task are collected, or why nowhere, with the whole funnel."""

    chosen: Nucleus | None
    steps: list[Step]
    candidate_count: int
    weights: list[Weight] = field(default_factory=list)
    """Of all that were left, heaviest first."""

    @property
    def binding_step(self) -> Step | None:
        """The step after which nobody was left; None when somebody is."""
        return None if self.chosen is not None else next((step for step in self.steps if step.after == 0), None)

    @property
    def is_temporary(self) -> bool:
        """Whether the binding reason goes by itself."""
        return self.binding_step is not None and self.binding_step.is_temporary

    def explanation(self) -> str:
        """Why no nucleus was found, in one sentence."""
        step = self.binding_step
        if step is None:
            return ""
        examples = "; ".join(f"{entry['queue']} {entry['reason']}" for entry in step.excluded[:3])
        return f"no nucleus is left after '{step.sentence}': {examples}"


def choose(
    need: Need, nuclei: Sequence[Nucleus], criteria: Sequence[Criterion], settings: TaskBrokerageSettings
) -> Choice:
    """The nucleus of a task: drawn by weight, always the same one for the same task and weights.

    Where nothing weighs anything (no input is near, nothing is free) the first name of those with least to do is taken.
    """
    left, steps = list(nuclei), []
    for criterion in criteria:
        left, step = _passed(criterion, need, left)
        steps.append(step)
        if not left:
            return Choice(None, steps, len(nuclei))
    by_name = {nucleus.name: nucleus for nucleus in left}
    weights = sorted(weigh(need, left, settings), key=lambda weight: (-weight.value, weight.queue_name))
    chosen = by_name[_drawn(weights, need.jedi_task_id)] if weights[0].value > 0 else min(left, key=_by_work)
    return Choice(chosen, steps, len(nuclei), weights)


def _by_work(nucleus: Nucleus) -> tuple[float, str]:
    return nucleus.remaining_jobs, nucleus.name


def _drawn(weights: Sequence[Weight], seed: int) -> str:
    names, values = [weight.queue_name for weight in weights], [weight.value for weight in weights]
    return random.Random(seed).choices(names, values)[0]


def _passed(criterion: Criterion, need: Need, nuclei: list[Nucleus]) -> tuple[list[Nucleus], Step]:
    kept: list[Nucleus] = []
    excluded: list[dict[str, str]] = []
    for nucleus in nuclei:
        reason = _reason(criterion, need, nucleus)
        if reason is None:
            kept.append(nucleus)
        elif len(excluded) < _SHOWN_EXCLUSIONS:
            excluded.append({"queue": nucleus.name, "reason": reason})
    does_not_count = not kept and bool(nuclei) and criterion.is_preference_of(need)
    kept = nuclei if does_not_count else kept
    return kept, Step(
        criterion.name,
        criterion.sentence,
        len(nuclei),
        len(kept),
        excluded,
        criterion.is_temporary,
        criterion.parameters if excluded else {},
        "it would leave no nucleus, so it does not count" if does_not_count else "",
    )


def _reason(criterion: Criterion, need: Need, nucleus: Nucleus) -> str | None:
    """What the criterion says; a nucleus that it fails at is left out, and keeps no task from the others."""
    try:
        return criterion.reason(need, nucleus)
    except Exception as error:  # noqa: BLE001  (it is told)
        return cannot_be_judged(criterion.name, f"nucleus {nucleus.name}", error)
