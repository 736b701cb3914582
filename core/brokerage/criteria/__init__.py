"""The criteria of brokerage in the order they run: for production (domain.md 5.2) and for users' jobs (5.3).

Persistent reasons stand first, so that the step that stops a job is the one worth mending. docs/brokerage.md has the
table for people, with what was left out and why.
"""

from __future__ import annotations

from core.brokerage import candidates
from core.brokerage.criteria.hardware import CoresFit, DiskFits, MemoryFits, MemoryIsUsed
from core.brokerage.criteria.load import (
    QueueIsNotFull,
    QueueIsNotOverloaded,
    TaskSucceedsThere,
    TransfersFlow,
    UserHasRoom,
)
from core.brokerage.criteria.network import NetworkReaches
from core.brokerage.criteria.pilots import PilotsCall, QueueStartsJobs
from core.brokerage.criteria.shares import PledgeIsNotUsedUp, QueueIsPledged, ShareIsNotZero, ShareMayRun
from core.brokerage.criteria.software import (
    AcceleratorIsStated,
    AcceleratorIsThere,
    ContainersRun,
    PlatformFits,
    ReleaseIsThere,
)
from core.brokerage.criteria.status import ProcessingIsWelcome, QueueIsOnline, QueueTakesLabel
from core.brokerage.criteria.storage import (
    DirectAccessIsPossible,
    DiskRateFits,
    HeavyInputIsThere,
    InputIsThere,
    InputRateFits,
    NucleusIsInReach,
    StorageHasSpace,
    StorageIsOnline,
)
from core.brokerage.criteria.time import UnknownWalltimeFits, WalltimeFits, WalltimeIsUsed
from core.brokerage.criteria.wishes import QueueIsIncluded, QueueIsNotExcluded
from core.brokerage.criterion import Criterion
from core.workload_settings import BrokerageSettings

__all__ = ["ANALYSIS", "PRODUCTION", "Criterion", "analysis_criteria", "criteria_for", "production_criteria"]


def production_criteria(settings: BrokerageSettings) -> list[Criterion]:
    """For managed work and everything that is not a user's."""
    return [
        QueueIsOnline(),
        QueueTakesLabel(),
        QueueIsIncluded(),
        QueueIsNotExcluded(),
        StorageIsOnline(),
        NucleusIsInReach(),
        QueueIsPledged(settings.urgent_priority),
        ShareIsNotZero(),
        ShareMayRun(),
        DiskRateFits(),
        CoresFit(),
        ReleaseIsThere(),
        PlatformFits(),
        ContainersRun(),
        AcceleratorIsThere(),
        AcceleratorIsStated(),
        MemoryFits(settings.production_memory_part),
        MemoryIsUsed(),
        DirectAccessIsPossible(),
        DiskFits(),
        UnknownWalltimeFits(settings.min_walltime_unknown_s),
        WalltimeFits(),
        WalltimeIsUsed(),
        NetworkReaches(),
        InputRateFits(),
        ProcessingIsWelcome(),
        InputIsThere(settings.no_locality_priority),
        HeavyInputIsThere(settings.io_heavy_kb_s),
        QueueStartsJobs(settings.urgent_priority, settings.inactive_s),
        StorageHasSpace(settings.storage_reserve_mb),
        TransfersFlow(settings.max_transferring),
        PilotsCall(settings.nopilot_s),
        PledgeIsNotUsedUp(settings.work_shortage),
        QueueIsNotFull(settings.max_queued, settings.max_overloaded),
    ]


def analysis_criteria(settings: BrokerageSettings) -> list[Criterion]:
    """For the jobs of users."""
    return [
        QueueIsOnline(),
        QueueTakesLabel(),
        QueueIsIncluded(),
        QueueIsNotExcluded(),
        StorageIsOnline(),
        ShareIsNotZero(),
        ShareMayRun(),
        DiskRateFits(),
        InputRateFits(),
        CoresFit(),
        ReleaseIsThere(),
        PlatformFits(),
        ContainersRun(),
        AcceleratorIsThere(),
        AcceleratorIsStated(),
        MemoryFits(),
        MemoryIsUsed(),
        DirectAccessIsPossible(),
        DiskFits(),
        WalltimeFits(),
        WalltimeIsUsed(),
        NetworkReaches(),
        ProcessingIsWelcome(),
        InputIsThere(settings.no_locality_priority),
        StorageHasSpace(settings.storage_reserve_mb),
        PilotsCall(settings.nopilot_s),
        TaskSucceedsThere(settings.closed_hours, settings.closed_minimum),
        QueueIsNotOverloaded(settings.max_overloaded),
        UserHasRoom(
            settings.queue_base,
            settings.user_queue_base,
            settings.max_overloaded,
            settings.queue_base_hours,
            settings.queue_max_hours,
        ),
    ]


PRODUCTION = production_criteria(BrokerageSettings())
ANALYSIS = analysis_criteria(BrokerageSettings())


def criteria_for(kind: str, settings: BrokerageSettings | None = None) -> list[Criterion]:
    """The list for requests of a kind, with the limits of an installation or the usual ones."""
    if settings is None:
        return ANALYSIS if kind == candidates.ANALYSIS else PRODUCTION
    return analysis_criteria(settings) if kind == candidates.ANALYSIS else production_criteria(settings)
