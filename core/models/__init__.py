"""All tables. Importing this package fills `SQLModel.metadata`, which the migrations compare against."""

from core.models.accounts import AccountHold, AccountLimit, QueueStatusChange, TimeoutCount, UsageDay
from core.models.cache import CacheFile
from core.models.data import CatalogueFile, Dataset, Replica, StorageEndpoint
from core.models.harvester import (
    HarvesterCommand,
    HarvesterDialog,
    HarvesterInstance,
    HarvesterServiceMetric,
    HarvesterSlots,
    HarvesterWorker,
    HarvesterWorkerCount,
    HarvesterWorkerJob,
)
from core.models.identity import DeviceCode, DeviceGuess, RefreshToken, Token, TokenKey, User, UserSecret
from core.models.incident import Incident, IncidentActivity, IncidentBin, IncidentBreakdown, IncidentJob, LogRecord
from core.models.job import (
    ArchivedJob,
    JobColumns,
    JobFile,
    JobHistory,
    JobLog,
    JobMetadata,
    JobOutputReport,
    JobParameters,
    LiveJob,
)
from core.models.notices import TaskNotice
from core.models.operations import (
    AgentRun,
    BrokerageDecision,
    ChangeSignal,
    JobBrokerage,
    ThroughputBin,
    ThroughputTotal,
)
from core.models.queue import Queue, QueueContact, QueueContactHour
from core.models.retrial import ErrorClass, RetryAction, RetryChange, RetryDeed, RetryRule
from core.models.shares import GlobalShare, ShareSample, ShareUsage
from core.models.task import Task, TaskDataset, TaskFile, TaskHistory
from core.models.worker_node import WorkerNode, WorkerNodeGpu, WorkerNodeQueue

__all__ = [
    "AccountHold",
    "AccountLimit",
    "AgentRun",
    "ArchivedJob",
    "BrokerageDecision",
    "CacheFile",
    "CatalogueFile",
    "ChangeSignal",
    "Dataset",
    "DeviceCode",
    "DeviceGuess",
    "ErrorClass",
    "GlobalShare",
    "HarvesterCommand",
    "HarvesterDialog",
    "HarvesterInstance",
    "HarvesterServiceMetric",
    "HarvesterSlots",
    "HarvesterWorker",
    "HarvesterWorkerCount",
    "HarvesterWorkerJob",
    "Incident",
    "IncidentActivity",
    "IncidentBin",
    "IncidentBreakdown",
    "IncidentJob",
    "JobBrokerage",
    "JobColumns",
    "JobFile",
    "JobHistory",
    "JobLog",
    "JobMetadata",
    "JobOutputReport",
    "JobParameters",
    "LiveJob",
    "LogRecord",
    "Queue",
    "QueueContact",
    "QueueContactHour",
    "QueueStatusChange",
    "RefreshToken",
    "Replica",
    "RetryAction",
    "RetryChange",
    "RetryDeed",
    "RetryRule",
    "ShareSample",
    "ShareUsage",
    "StorageEndpoint",
    "Task",
    "TaskDataset",
    "TaskFile",
    "TaskHistory",
    "TaskNotice",
    "ThroughputBin",
    "ThroughputTotal",
    "TimeoutCount",
    "Token",
    "TokenKey",
    "UsageDay",
    "User",
    "UserSecret",
    "WorkerNode",
    "WorkerNodeGpu",
    "WorkerNodeQueue",
]
