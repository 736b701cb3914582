"""The statements about a task, in the order they are asked (domain.md 5.5): the first true one is the answer."""

from __future__ import annotations

from core.why.reason import Statement
from core.why.task_case import TaskCase
from core.why.task_destination import DestinationIsBeingChosen, NoDestinationFits
from core.why.task_held import (
    AccountIsStopped,
    CapIsReached,
    TaskHasEnded,
    TaskIsClosing,
    TaskIsExhausted,
    TaskIsPausedByPerson,
    TaskIsPending,
    TaskIsThrottled,
)
from core.why.task_input import (
    InputIsBeingListed,
    InputIsMissing,
    IsNotParsed,
    WaitsForInput,
    WaitsForParent,
    WaitsForTape,
)
from core.why.task_preprocessing import DefinitionIsWorkedOut, FirstJobIsToBeMade
from core.why.task_work import IsScouting, JobsAreBeingMade, JobsFailed, JobsRun, JobsWait, LaneIsFull, NothingIsLeft

TASK_STATEMENTS: list[Statement[TaskCase]] = [
    TaskHasEnded(),
    TaskIsClosing(),
    IsNotParsed(),
    WaitsForParent(),
    WaitsForInput(),
    WaitsForTape(),
    FirstJobIsToBeMade(),
    DefinitionIsWorkedOut(),
    InputIsBeingListed(),
    DestinationIsBeingChosen(),
    AccountIsStopped(),
    CapIsReached(),
    TaskIsThrottled(),
    TaskIsPausedByPerson(),
    TaskIsExhausted(),
    NoDestinationFits(),
    TaskIsPending(),
    LaneIsFull(),
    IsScouting(),
    JobsRun(),
    JobsWait(),
    JobsAreBeingMade(),
    InputIsMissing(),
    NothingIsLeft(),
    JobsFailed(),
]
