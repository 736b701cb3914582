"""The statements about a job, in the order they are asked (domain.md 5.5): the first true one is the answer."""

from __future__ import annotations

from core.why.job_case import JobCase
from core.why.job_held import AccountIsOverLimit, BeingInserted, KillRequested, TaskIsPaused, WaitsForBuild
from core.why.job_past import FailedBefore, HasEnded
from core.why.job_placing import (
    BrokerageFailed,
    InputIsComplete,
    InputIsMissing,
    NoQueueFits,
    QueueIsBeingChosen,
    SetupperRests,
)
from core.why.job_queued import (
    NoPilotCame,
    OffersAreTooSmall,
    PilotsAreBusy,
    PilotsDoNotFit,
    PilotTookAnother,
    QueueIsClosed,
    QueueIsGone,
    QueueIsInTrouble,
)
from core.why.job_running import IsRunning, IsStarting, OutputsAreOnTheirWay, PilotIsSilent
from core.why.reason import Statement

WAITING: list[Statement[JobCase]] = [
    TaskIsPaused(),
    AccountIsOverLimit(),
    WaitsForBuild(),
    BeingInserted(),
    SetupperRests(),
    BrokerageFailed(),
    NoQueueFits(),
    QueueIsBeingChosen(),
    InputIsMissing(),
    InputIsComplete(),
    QueueIsGone(),
    QueueIsClosed(),
    QueueIsInTrouble(),
    OffersAreTooSmall(),
    NoPilotCame(is_idle=True),
    PilotsAreBusy(),
    NoPilotCame(is_idle=False),
    PilotTookAnother(),
    PilotsDoNotFit(),
]
"""Why no pilot has it yet."""

JOB_STATEMENTS: list[Statement[JobCase]] = [
    HasEnded(),
    KillRequested(),
    *WAITING,
    PilotIsSilent(),
    IsStarting(),
    IsRunning(),
    OutputsAreOnTheirWay(),
    FailedBefore(),
]
