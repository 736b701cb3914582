"""What operators may set on rules for failed jobs: which failures they speak of, and when those are an incident. Knows no SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from logger.rules.parameters import Parameters, Selector
from logger.rules.selecting import checked_selector, selects

_DAY_S = 86_400


def _checked_parts(selector: str) -> str:
    for part in selector.split("&"):
        checked_selector(part)
    return selector


@dataclass(frozen=True)
class JobTrouble:
    """What rules for failed jobs can be limited to."""

    error_class: str = ""
    computing_site: str = ""
    user_name: str = ""
    label: str = ""
    component: str = ""
    code: int | None = None


class JobRuleParameters(Parameters):
    """Which failures are meant, and when failures that are alike become an incident; before that they are a candidate."""

    classes: Annotated[str, Field(max_length=2000), AfterValidator(_checked_parts)] = ""
    """Kinds of error (data, storage, software, ...): `data|storage`, `!data&!storage`."""
    queues: Selector = ""
    users: Selector = ""
    """Whose work it is: the working group's name when it is a group's."""
    labels: Selector = ""
    """prodSourceLabel: user, managed, test, ..."""
    components: Selector = ""
    """pilot, trans, job_dispatcher, ..."""
    codes: Selector = ""
    min_residue_jobs: int = Field(1, ge=1, le=1_000_000)
    """So many jobs of an hour whose work is lost after all retries are an incident ..."""
    residue_part_of_ended: float = Field(0.001, ge=0, le=1)
    """... and at least this part of the jobs that ended in the last hour."""
    min_lost_core_h: float = Field(10, gt=0, le=1e9)
    """Or so many core-hours of an hour lost after all retries."""
    burst_jobs: int = Field(10, ge=2, le=1_000_000)
    """Or so many failures, retried or not, ..."""
    burst_rate: float = Field(0.2, gt=0, le=1)
    """... when at least this part of what ended at one queue, node, task or user failed like that."""
    quiet_s: float = Field(1800, ge=60, le=30 * _DAY_S)
    """A candidate without a failure for so long lapses."""

    def mean(self, trouble: JobTrouble) -> bool:
        """Whether the rule speaks of this failure."""
        return all(selects(part, trouble.error_class) for part in self.classes.split("&")) and all(
            selects(selector, value)
            for selector, value in (
                (self.queues, trouble.computing_site),
                (self.users, trouble.user_name),
                (self.labels, trouble.label),
                (self.components, trouble.component),
                (self.codes, "" if trouble.code is None else str(trouble.code)),
            )
        )
