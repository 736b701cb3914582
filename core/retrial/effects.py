"""What rules change, gathered job by job and written set by set: limits and memory of files, parameters of tasks, the log."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from core.database import Transaction
from core.retrial.facts import Case, TaskFacts
from core.retrial.rules import Failure, Rule
from core.text import clean

# ix_task_files_job; attempts never fall below those already made, failures that do not count never go beyond the attempts
_FILES = """
UPDATE task_files f SET
    max_attempt = greatest(least(f.max_attempt, v.max_attempt), f.attempt_nr),
    max_failure = CASE WHEN v.is_forgiven
        THEN greatest(f.max_failure, least(f.max_failure + 1, f.max_attempt, greatest(v.max_attempt, f.attempt_nr)))
        ELSE f.max_failure END,
    ram_mb = greatest(f.ram_mb, v.ram_mb)
FROM unnest(%(panda_ids)s::bigint[], %(max_attempts)s::bigint[], %(forgiven)s::boolean[], %(rams)s::bigint[])
     AS v (panda_id, max_attempt, is_forgiven, ram_mb)
WHERE f.panda_id = v.panda_id AND f.status = 'running'
"""
_NO_LIMIT = 2**31 - 1

# primary key; `ram_count` and `cpu_time` are shown beside the parameters that jobs obey
_TASKS = """
UPDATE tasks t SET split_rule = t.split_rule || v.rule::jsonb, measured = t.measured || v.measured::jsonb,
    ram_count = coalesce((v.rule::jsonb ->> 'ramCount')::bigint, t.ram_count),
    cpu_time = coalesce((v.rule::jsonb ->> 'cpuTime')::bigint, t.cpu_time),
    modification_time = clock_timestamp()
FROM unnest(%(task_ids)s::bigint[], %(rules)s::text[], %(measured)s::text[]) AS v (task_id, rule, measured)
WHERE t.jedi_task_id = v.task_id
"""

_LOG = """
INSERT INTO retry_log (panda_id, jedi_task_id, rule_id, error_source, error_code, error_diag, action, parameters,
                       is_active, has_acted, effect)
SELECT panda_id, task_id, rule_id, source, code, diag, action, parameters::jsonb, is_active, has_acted, effect
FROM unnest(%(panda_ids)s::bigint[], %(task_ids)s::bigint[], %(rule_ids)s::bigint[], %(sources)s::text[],
            %(codes)s::bigint[], %(diags)s::text[], %(actions)s::text[], %(parameters)s::text[],
            %(active)s::boolean[], %(acted)s::boolean[], %(effects)s::text[])
     AS d (panda_id, task_id, rule_id, source, code, diag, action, parameters, is_active, has_acted, effect)
"""


@dataclass
class Deed:
    """A line of the log: what a rule, or the class of an error, did about a job or would have done."""

    case: Case
    failure: Failure
    action: str
    effect: str
    has_acted: bool
    is_active: bool = True
    rule: Rule | None = None


@dataclass
class Effects:
    """Changes to be, by job and by task."""

    max_attempts: dict[int, int] = field(default_factory=dict)
    rams_mb: dict[int, int] = field(default_factory=dict)
    """Per core."""
    forgiven: set[int] = field(default_factory=set)
    """Jobs whose failure does not count against the limit of failures."""
    settings: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Parameters of tasks."""
    measured: dict[int, dict[str, Any]] = field(default_factory=dict)
    deeds: list[Deed] = field(default_factory=list)

    def limit(self, panda_id: int, attempts: int) -> None:
        """The input of a job gets no more than so many attempts in all; 0: no further one."""
        self.max_attempts[panda_id] = min(attempts, self.max_attempts.get(panda_id, _NO_LIMIT))

    def setting(self, task: TaskFacts, name: str) -> float:
        """A parameter of a task as it will be."""
        changed = self.settings.get(task.task_id, {}).get(name)
        return task.number(name) if changed is None else float(changed)

    def set_of_task(self, task: TaskFacts, settings: dict[str, Any], learned: dict[str, Any]) -> None:
        """Change parameters of a task, and remember under `measured` what was learned."""
        self.settings.setdefault(task.task_id, {}).update(settings)
        self.measured.setdefault(task.task_id, {}).update(learned)


def write_files(transaction: Transaction, effects: Effects) -> None:
    """Change what the jobs hold."""
    panda_ids = sorted({*effects.max_attempts, *effects.rams_mb, *effects.forgiven})
    if not panda_ids:
        return
    transaction.execute(
        _FILES,
        {
            "panda_ids": panda_ids,
            "max_attempts": [effects.max_attempts.get(panda_id, _NO_LIMIT) for panda_id in panda_ids],
            "forgiven": [panda_id in effects.forgiven for panda_id in panda_ids],
            "rams": [effects.rams_mb.get(panda_id, 0) for panda_id in panda_ids],
        },
    )


def write_tasks(transaction: Transaction, effects: Effects) -> None:
    """Change the parameters of tasks, which the caller has locked."""
    task_ids = sorted({*effects.settings, *effects.measured})
    if not task_ids:
        return
    transaction.execute(
        _TASKS,
        {
            "task_ids": task_ids,
            "rules": [json.dumps(effects.settings.get(task_id, {})) for task_id in task_ids],
            "measured": [json.dumps(effects.measured.get(task_id, {})) for task_id in task_ids],
        },
    )


def write_log(transaction: Transaction, deeds: Sequence[Deed]) -> None:
    """Add the lines to the log."""
    if not deeds:
        return
    transaction.execute(
        _LOG,
        {
            "panda_ids": [deed.case.panda_id for deed in deeds],
            "task_ids": [deed.case.task_id for deed in deeds],
            "rule_ids": [deed.rule.rule_id if deed.rule else None for deed in deeds],
            "sources": [deed.failure.source for deed in deeds],
            "codes": [deed.failure.code for deed in deeds],
            "diags": [clean(deed.failure.diag, 500) for deed in deeds],
            "actions": [deed.action for deed in deeds],
            "parameters": [json.dumps(deed.rule.parameters if deed.rule else {}) for deed in deeds],
            "active": [deed.is_active for deed in deeds],
            "acted": [deed.has_acted for deed in deeds],
            "effects": [deed.effect for deed in deeds],
        },
    )
