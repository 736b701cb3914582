"""Reads what rules need to know of jobs that have just failed: errors, needs, the input they hold, their tasks.

A few statements however many jobs there are. Runs in the transaction that ended the jobs. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from core.database import Row, Transaction
from core.models.errors import ERROR_COMPONENTS
from core.retrial.rules import Circumstances, Failure

_ERRORS = ", ".join(
    f"j.{column}"
    for component in ERROR_COMPONENTS
    for column in (component.code_column, component.diag_column)
    if column
)

# by primary key in each partition; only the present one is looked into, for jobs ended in this transaction
_JOBS = f"""
SELECT j.panda_id, j.jedi_task_id, j.job_index, j.gshare, j.core_count, j.min_ram_mb, j.max_rss_kb, j.max_pss_kb,
       j.computing_site, j.max_walltime_s, j.n_events, {_ERRORS}
FROM jobs_archive j
WHERE j.panda_id = ANY(%(panda_ids)s) AND j.state_change_time >= (SELECT clock_timestamp() - interval '1 day')
ORDER BY j.panda_id
"""

# ix_task_files_job; files that are lent to several jobs are never running
_HELD = """
SELECT panda_id, count(*) AS n_files, max(attempt_nr) AS attempt_nr, max(max_attempt) AS max_attempt,
       max(failed_attempt) AS failed_attempt, max(max_failure) AS max_failure, max(ram_mb) AS ram_mb,
       sum(n_events)::bigint AS n_events
FROM task_files WHERE panda_id = ANY(%(panda_ids)s) AND status = 'running' GROUP BY panda_id
"""

SETTINGS = (
    *("ramCount", "retryRamOffset", "retryRamStep", "retryRamMax", "cpuTime", "cpuTimeUnit", "coreCount"),
    *("nGBPerJob", "nMaxFilesPerJob", "nEventsPerJob", "nFilesPerJob"),
    *("architecture", "transUses", "transHome", "release"),
)
"""Parameters of tasks that rules look at; beside them those that a rule names in excluded_rules."""

# primary key; what was changed since the submission wins
_TASKS = """
SELECT t.jedi_task_id, t.ram_unit, t.ram_count, t.core_count, t.n_files, t.n_finished, t.measured, (
    SELECT jsonb_object_agg(s.key, s.value) FROM jsonb_each(t.parameters || t.split_rule) s WHERE s.key = ANY(%(settings)s)
) AS settings
FROM tasks t WHERE t.jedi_task_id = ANY(%(task_ids)s)
"""


@dataclass(frozen=True)
class Held:
    """The input that a job holds, and how often it was tried."""

    n_files: int = 0
    attempt_nr: int = 0
    max_attempt: int = 0
    failed_attempt: int = 0
    max_failure: int = 0
    ram_mb: int = 0
    n_events: int = 0


@dataclass(frozen=True)
class TaskFacts:
    """A task and those of its parameters that matter here, as they hold now."""

    task_id: int
    ram_unit: str = ""
    ram_mb: int = 0
    """As stated: per core or of the whole job, as the unit says."""
    core_count: int = 1
    n_files: int = 0
    n_finished: int = 0
    measured: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def counts_per_core(self) -> bool:
        """Whether memory is stated per core."""
        return "percore" in self.ram_unit.lower()

    @property
    def ram_is_fixed(self) -> bool:
        """Whether the unit forbids to raise memory for the whole task (domain.md 3.6)."""
        return self.ram_unit.endswith("Fixed")

    @property
    def ram_mb_per_core(self) -> int:
        """Of the task, rounded up; 0 = not stated."""
        return self.ram_mb if self.counts_per_core else -(-self.ram_mb // max(1, self.core_count))

    def number(self, name: str) -> float:
        """A setting as a number; 0 when it is none."""
        value = self.settings.get(name)
        if isinstance(value, str):
            try:
                value = float(value) if len(value) <= 20 else 0
            except ValueError:
                return 0.0
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        # a number that is none or has no end compares with nothing
        return float(value or 0) if is_number and abs(value or 0) < 1e15 else 0.0

    def circumstances(self, gshare: str) -> Circumstances:
        """What rules may ask for. The release is known under upstream's name of the parameter, with and without project."""
        names = {str(self.settings.get(name) or "") for name in ("transUses", "transHome", "release")}
        names |= {name.partition("-")[2] for name in names}
        return Circumstances(str(self.settings.get("architecture") or ""), frozenset(names - {""}), gshare)


@dataclass
class Case:
    """One job that failed."""

    panda_id: int
    task_id: int
    row: Row
    failures: tuple[Failure, ...]
    held: Held = Held()
    task: TaskFacts = TaskFacts(0)

    @property
    def core_count(self) -> int:
        """At least 1."""
        return max(1, int(self.row["core_count"]))


def read_cases(transaction: Transaction, panda_ids: Sequence[int]) -> list[Case]:
    """The jobs of tasks among these that report an error, in order of PandaID."""
    rows = transaction.fetch(_JOBS, {"panda_ids": list(panda_ids)})
    cases = [Case(row["panda_id"], row["jedi_task_id"], row, failures_of(row)) for row in rows if row["jedi_task_id"]]
    return [case for case in cases if case.failures]


def failures_of(row: Row) -> tuple[Failure, ...]:
    """All errors of a job, the one that counts first; pilots turn the sign of what may be recovered (pilot-wire.md 7)."""
    found = []
    for component in ERROR_COMPONENTS:
        code = row.get(component.code_column)
        if code:
            diag = row.get(component.diag_column) or "" if component.diag_column else ""
            found.append(Failure(component.name, abs(code) if component.name == "pilot" else code, diag))
    return tuple(found)


def read_held(transaction: Transaction, cases: Sequence[Case]) -> None:
    """Fill in what the jobs hold."""
    rows = transaction.fetch(_HELD, {"panda_ids": [case.panda_id for case in cases]})
    held = {row.pop("panda_id"): Held(**row) for row in rows}
    for case in cases:
        case.held = held.get(case.panda_id, Held())


def read_tasks(transaction: Transaction, cases: Sequence[Case], further: Sequence[str]) -> None:
    """Fill in the tasks. `further`: parameters beside SETTINGS."""
    values = {"task_ids": sorted({case.task_id for case in cases}), "settings": [*SETTINGS, *further]}
    tasks = {}
    for row in transaction.fetch(_TASKS, values):
        tasks[row["jedi_task_id"]] = TaskFacts(
            task_id=row["jedi_task_id"],
            ram_unit=row["ram_unit"],
            ram_mb=row["ram_count"],
            core_count=max(1, row["core_count"]),
            n_files=row["n_files"],
            n_finished=row["n_finished"],
            measured=row["measured"] if isinstance(row["measured"], dict) else {},
            settings=row["settings"] or {},
        )
    for case in cases:
        case.task = tasks.get(case.task_id, TaskFacts(case.task_id))
