"""The actions: on what, who may, with which parameters, what takes each back. A table that pages print and tests enumerate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import Field, ValidationError

from core.errors import InvalidInput, NotAllowed
from logger.deeds.base import OPERATORS, ActionWork, Actor, Kind, Parameters, Revert
from logger.deeds.incidents import IncidentWork
from logger.deeds.jobs import JobWork
from logger.deeds.queues import QueueWork
from logger.deeds.tasks import TaskWork
from logger.deeds.until import FIELD, NEVER, canonical, read_moment, read_until
from logger.silences import LONGEST, next_change

Needs = Literal["operator", "owner"]
OPERATOR: Needs = "operator"
OWNER: Needs = "owner"
"""Who may: operators; or anybody for its own, managers for all."""


class NoParameters(Parameters):
    """There is nothing to say beside the targets."""


class AssignParameters(Parameters):
    """Whose it is to be; empty takes it from everybody."""

    who: str = Field(max_length=200)


class SilenceParameters(Parameters):
    """What ends the silence; `until` only with `time`."""

    until_kind: Literal["time", "shift", "doubles", "second_queue", "fixed"] = "time"
    until: str = Field("", max_length=40)


class ResolveParameters(Parameters):
    """Why it is over; empty: as the reason of the deed says."""

    ending: Literal["", "fixed", "not_a_problem", "duplicate", "moved"] = ""


class KillParameters(Parameters):
    """What becomes of the input of the jobs: cancelled until somebody retries the task, or given to other jobs."""

    input: Literal["cancel", "again"] = "cancel"


class RetryParameters(Parameters):
    """Of the files that failed only those that an incident lost: what a retry of an incident means, unless it says null."""

    of_incident: int | None = Field(None, ge=1, lt=2**63)


class UntilParameters(Parameters):
    """18:00 (UTC), 2h, a moment, tests:20, or never."""

    until: str = Field(NEVER, max_length=40)


class DrainParameters(UntilParameters):
    """The same; whoever drains a queue has to say when that ends, or that it never does."""

    until: str = Field(max_length=40)


@dataclass(frozen=True)
class Action:
    """An action. `inverse` in words: what an undo does; empty when nothing takes it back, and then `no_inverse` says why."""

    name: str
    target_kind: Kind
    needs: Needs
    sentence: str
    inverse: str
    parameters: type[Parameters] = NoParameters
    no_inverse: str = ""

    def check_allowed(self, actor: Actor) -> None:
        """Raise NotAllowed unless the actor may do this at all."""
        if self.needs == OPERATOR and not actor.is_operator:
            raise NotAllowed(
                f"{self.name} needs the role {' or '.join(sorted(OPERATORS))}",
                field="action",
                remedy="ask for a token with that role",
            )

    def read_parameters(self, given: Mapping[str, Any], now: datetime, changes: Sequence[str]) -> dict[str, Any]:
        """The parameters as they are kept: every time a moment. `changes`: when shifts change, HH:MM UTC.

        Raises InvalidInput naming the field.
        """
        try:
            read = self.parameters.model_validate(dict(given)).model_dump()
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            name = ".".join(str(part) for part in first["loc"]) or "parameters"
            known = ", ".join(self.parameters.model_fields) or "none"
            remedy = f"{self.name} takes {known}"
            if self.parameters is DrainParameters and name == "until":
                remedy = "say until when: 18:00 (UTC), 2h, a moment, tests:20, or never"
            raise InvalidInput(first["msg"][:200], field=f"parameters.{name}", remedy=remedy) from error
        if issubclass(self.parameters, UntilParameters):
            until = read_until(read["until"], now, takes_tests=self.name != "offline")
            if until.kind == "tests" and self.name == "offline":
                raise InvalidInput(
                    "a queue that is offline gets no test jobs", field=FIELD, remedy="drain it until then"
                )
            read["until"] = canonical(until)
        if self.parameters is SilenceParameters:
            read["until"] = _silence_end(read, now, changes)
        return read

    def revert_of(self, parameters: Mapping[str, Any], now: datetime) -> Revert:
        """When a deed with these parameters takes itself back."""
        if not issubclass(self.parameters, UntilParameters):
            return Revert()
        return read_until(str(parameters["until"]), now)


def _silence_end(read: Mapping[str, Any], now: datetime, changes: Sequence[str]) -> str:
    if read["until_kind"] == "shift":
        return next_change(changes, now).isoformat()
    if read["until_kind"] == "time":
        if not read["until"]:
            raise InvalidInput("until when?", field="parameters.until", remedy="18:00 (UTC) or a moment")
        end = read_moment(read["until"], now, "parameters.until")
        if end > now + LONGEST:
            raise InvalidInput(
                "is too long", field="parameters.until", remedy=f"at most {LONGEST.days} days, and again then"
            )
        return end.isoformat()
    if read["until"]:
        raise InvalidInput(
            f"a silence until {read['until_kind']} has no time", field="parameters.until", remedy="leave it out"
        )
    return ""


_QUEUE_INVERSE = "the status it had, and whoever had set that"

ACTIONS: dict[str, Action] = {
    action.name: action
    for action in (
        Action("acknowledge", "incident", OPERATOR, "take them: you become their owner", "the state and owner before"),
        Action("assign", "incident", OPERATOR, "say whose they are", "whose they were before", AssignParameters),
        Action(
            "silence",
            "incident",
            OPERATOR,
            "tell nobody of them for a while",
            "end of the silence, the state before",
            SilenceParameters,
        ),
        Action(
            "resolve",
            "incident",
            OPERATOR,
            "say that the trouble is over",
            "the state and owner before",
            ResolveParameters,
        ),
        Action("reopen", "incident", OPERATOR, "say that it is not over", "the state and owner before"),
        Action(
            "kill",
            "job",
            OWNER,
            "end jobs",
            "",
            KillParameters,
            no_inverse="a killed job cannot be brought back; retry its task",
        ),
        Action(
            "retry",
            "task",
            OWNER,
            "open again what failed and make jobs of it",
            "",
            RetryParameters,
            no_inverse="what a retry began is not taken back; kill the jobs it made",
        ),
        Action(
            "drain",
            "queue",
            OPERATOR,
            "give it no more work; what waits there and what runs goes on",
            _QUEUE_INVERSE,
            DrainParameters,
        ),
        Action("undrain", "queue", OPERATOR, "give a drained queue work again", _QUEUE_INVERSE),
        Action("online", "queue", OPERATOR, "give it work", _QUEUE_INVERSE, UntilParameters),
        Action("test", "queue", OPERATOR, "give it test jobs only", _QUEUE_INVERSE, UntilParameters),
        Action("offline", "queue", OPERATOR, "give its pilots nothing", _QUEUE_INVERSE, UntilParameters),
    )
}

WORK: dict[Kind, ActionWork] = {
    "incident": IncidentWork(),
    "job": JobWork(),
    "task": TaskWork(),
    "queue": QueueWork(),
}


def action_named(name: str) -> Action:
    """The action. Raises InvalidInput for a name that is none."""
    if name not in ACTIONS:
        raise InvalidInput(f"there is no action {name[:50]!r}", field="action", remedy="one of " + ", ".join(ACTIONS))
    return ACTIONS[name]
