"""Every setting of the system: one typed class, read from `PANDA_*` environment variables and one TOML file.

Knows names, units, defaults and where a value came from; does not know what any part of the system does with it.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    Field,
    PositiveFloat,
    PositiveInt,
    PrivateAttr,
    ValidationError,
    field_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from core.errors import ConfigurationError
from core.incident_settings import (
    IncidentSettings,
    IngestSettings,
    MetricsSettings,
    NoticeSettings,
    ShiftSettings,
)
from core.issuers import IssuerSettings
from core.settings_sources import explain, merged, origins_of, read_environment, read_file
from core.settings_table import Documented, leaves, masked
from core.workload_settings import (
    AccountSettings,
    BrokerageSettings,
    CarouselSettings,
    GenerationSettings,
    GuardSettings,
    MailSettings,
    QueueTestSettings,
    RebrokerageSettings,
    RetentionSettings,
    ScoutSettings,
    ShareSettings,
    TailSettings,
    TaskBrokerageSettings,
    TaskTimes,
)

HOUR_S = 3600
DAY_S = 24 * HOUR_S

_POSTGRESQL = ("postgresql+psycopg2://", "postgresql://")


class Timeouts(Documented):
    """How long a job may stay in a state before the watchdog acts (domain.md 2.3), all in seconds."""

    pending_s: PositiveFloat = HOUR_S
    """Being inserted or waiting for a build job; then reassigned."""
    waiting_s: PositiveFloat = HOUR_S
    """Waiting for an input that is registered nowhere; then reassigned."""
    merge_input_gone_s: PositiveFloat = 30 * 60
    """Merge job of which an input has no copy any more; then cancelled (kill code 52)."""
    defined_s: PositiveFloat = 4 * HOUR_S
    """Production job waiting for brokerage; then closed and reassigned (kill code 51)."""
    assigned_s: PositiveFloat = 12 * HOUR_S
    """Waiting for input at its queue; then closed and reassigned."""
    activated_s: PositiveFloat = 2 * DAY_S
    """Ready for a pilot; then closed and reassigned."""
    starting_s: PositiveFloat = 2 * DAY_S
    """Setting up on the node or queued in the batch system; then closed and reassigned."""
    urgent_activated_s: PositiveFloat = 4 * HOUR_S
    """Both states at `urgent_priority` or more, when the queue is test, offline or has started no job lately."""
    urgent_no_start_s: PositiveFloat = 2 * HOUR_S
    """What "lately" means for `urgent_activated_s`: no job start at the queue for so long."""
    urgent_priority: int = 800
    """Priority from which a job counts as urgent (no time: a whole number)."""
    unstarted_since_creation_s: PositiveFloat = 7 * DAY_S
    """Defined or activated, any type, since creation; then expired (kill code 2)."""
    throttled_s: PositiveFloat = 7 * DAY_S
    """Held back by a cap or a paused task; then expired."""
    sent_s: PositiveFloat = 30 * 60
    """Given to a pilot that has not reported; then failed, jobDispatcherErrorCode 102."""
    heartbeat_s: PositiveFloat = 2 * HOUR_S
    """Starting, running or staging without a heartbeat; then failed, jobDispatcherErrorCode 100 "lost heartbeat"."""
    heartbeat_by_workflow_s: dict[str, PositiveFloat] = Field(default_factory=dict)
    """Another `heartbeat_s` for some workflows, by the queue's workflow name."""
    running_total_s: PositiveFloat = 21 * DAY_S
    """Running at all, heartbeats or not; then failed."""
    holding_user_s: PositiveFloat = 3 * HOUR_S
    """Outputs of a user or urgent job not yet accounted for; then failed, jobDispatcherErrorCode 103 or 101."""
    holding_s: PositiveFloat = 48 * HOUR_S
    """Outputs of any other job not yet accounted for; then failed, jobDispatcherErrorCode 103 or 101."""
    holding_recoverable_s: PositiveFloat = 3 * DAY_S
    """Outputs left at the node for a later pilot to recover; then failed, jobDispatcherErrorCode 101."""
    transferring_user_s: PositiveFloat = 2 * HOUR_S
    """Outputs of a user job on their way to the destination; then failed, jobDispatcherErrorCode 104."""
    transferring_high_s: PositiveFloat = 2 * DAY_S
    """Outputs of an urgent job on their way to the destination; then failed, jobDispatcherErrorCode 104."""
    transferring_low_s: PositiveFloat = 4 * DAY_S
    """Outputs of any other job on their way to the destination; then failed, jobDispatcherErrorCode 104."""


class AgentPeriods(Documented):
    """Pause between two cycles of each agent, in seconds."""

    setupper_s: PositiveFloat = 0.3
    """Brokerage of defined jobs."""
    releaser_s: PositiveFloat = 0.5
    """Run jobs after their build job, tasks after their parent."""
    input_follower_s: PositiveFloat = 5.0
    """Files that come into datasets which tasks wait for or follow."""
    activator_s: PositiveFloat = 2.0
    """Activation of assigned jobs whose input has arrived (the polling behind the callback)."""
    adder_s: PositiveFloat = 0.5
    """Accounting of outputs of jobs in holding."""
    watchdog_s: PositiveFloat = 30.0
    """The timeouts."""
    rollup_s: PositiveFloat = 10.0
    """Minute and hour counts for the plots."""
    emitter_s: PositiveFloat = 0.25
    """Batches of change signals to the live streams."""
    partitions_s: PositiveFloat = HOUR_S
    """New partitions of the archive tables, and forgetting of old records of decisions."""
    factory_news_s: PositiveFloat = HOUR_S
    """Forgetting of what Harvesters and pilots told of workers and nodes long ago."""
    incidents_s: PositiveFloat = 0.5
    """Grouping of records and failures into incidents."""
    data_carousel_s: PositiveFloat = 2.0
    """Bringing input from tape to disk, and deleting those copies again."""
    feeder_s: PositiveFloat = 1.0
    """Listing the input of large tasks, page by page."""
    preprocessor_s: PositiveFloat = 1.0
    """The first jobs that work out the definition of their task, and what they found."""
    task_broker_s: PositiveFloat = 2.0
    """Choosing where the outputs of production tasks are collected."""
    generator_s: PositiveFloat = 0.5
    """Making jobs of input that is ready."""
    scouts_s: PositiveFloat = 2.0
    """Measuring what scouts needed."""
    task_watchdog_s: PositiveFloat = 10.0
    """Pending, throttled and exhausted tasks, goals, notices to owners."""
    shares_s: PositiveFloat = 5.0
    """Counting the use of the shares."""
    accounts_s: PositiveFloat = 10.0
    """Caps, quotas and the accounting of use."""
    massage_s: PositiveFloat = 360.0
    """Priorities of users who have little running."""
    rebroker_s: PositiveFloat = 300.0
    """Taking queued jobs back from queues that do not start them."""
    rule_counter_s: PositiveFloat = 5.0
    """Counting what the rules for failed jobs did."""
    queue_tests_s: PositiveFloat = 30.0
    """Exclusion and return of queues by their test jobs."""
    cache_cleaner_s: PositiveFloat = HOUR_S
    """Deletion of what has expired in the cache, and repair of what does not fit together there."""


class CacheLimits(Documented):
    """What the cache of uploaded files takes, and how long it keeps it (client-wire.md 4.1, server-api.md 1.7 and 5.5)."""

    sources_mb: PositiveFloat = Field(default=768.0, le=768)
    """Largest sandbox with sources to build (names that begin with `sources.`), in MB; clients send no larger one."""
    outputs_mb: PositiveFloat = Field(default=100.0, le=768)
    """Largest file whose name ends with `.out`, in MB."""
    other_mb: PositiveFloat = Field(default=10.0, le=768)
    """Largest file of any other name, in MB."""
    log_mb: PositiveFloat = Field(default=100.0, le=100)
    """Largest log of a task, in MB."""
    checkpoint_mb: PositiveFloat = Field(default=500.0, le=500)
    """Largest checkpoint of a hyperparameter optimisation, in MB."""
    lifetime_s: PositiveFloat = 7 * DAY_S
    """A file that nobody touches and no active task uses is deleted after this."""
    log_lifetime_s: PositiveFloat = 30 * DAY_S
    """A log or checkpoint that nobody writes to is deleted after this."""
    reuse_s: PositiveFloat = 3 * DAY_S
    """For so long after its upload a file is found again, and the user need not send the same content anew."""


class Settings(IssuerSettings, BaseSettings):
    """The settings of one installation. `Settings(...)` takes values as given; `Settings.load()` reads the sources.

    An environment variable is the name in capitals after `PANDA_`; two underscores separate the parts of nested ones
    (`PANDA_PORT`, `PANDA_TIMEOUTS__HEARTBEAT_S`). The file holds the same names (`port = 25080`, `[timeouts]`).
    """

    model_config = SettingsConfigDict(
        env_prefix="PANDA_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    data: Path = Field(default_factory=lambda: default_data_directory(os.environ))
    """Directory of everything that lasts: the database, logs, tokens, storage of the local queue."""
    host: str = "127.0.0.1"
    """Address the API listens on."""
    port: int = Field(default=25080, ge=0, le=65535)
    """TCP port the API listens on; 0 takes any free one."""
    api_workers: PositiveInt = 2
    """Processes that answer HTTP."""
    site: bool = True
    """Whether `panda up` runs a local queue with pilots."""
    pilots: PositiveInt = Field(default_factory=lambda: max(1, min(4, os.cpu_count() or 1)))
    """Pilots of the local queue running at the same time, at most."""
    database_url: str = ""
    """PostgreSQL to use, as postgresql+psycopg2://user:password@host/name; empty starts the embedded one."""
    database_read_url: str = ""
    """A standby for the monitors; empty reads from the database itself."""
    database_pool_size: PositiveInt = 20
    """Connections each process keeps open."""
    database_pool_overflow: int = Field(default=10, ge=0)
    """Connections each process may open beyond that while busy."""
    database_pool_timeout_s: PositiveFloat = 10.0
    """How long a request waits for a free connection, in seconds."""
    monitor_access: Literal["auto", "open", "token"] = "auto"
    """Who may read the monitor: everybody (open), bearers of a token (token), auto is open when bound to loopback."""
    issuer: str = "pandascope"
    """Name of the embedded token issuer (the claim iss)."""
    audience: str = "pandascope"
    """Audience a token must be made for (the claim aud)."""
    vo: str = "local"
    """Virtual organisation of the user who runs `panda up`."""
    token_lifetime_s: PositiveInt = 30 * DAY_S
    """Life of a token made by the embedded issuer, in seconds."""
    request_body_limit_mb: PositiveInt = 64
    """Largest accepted body of a request, in MB after decompression."""
    pilot_transformation_base: str = "http://pandaserver-doma.cern.ch:25080/trf/user"
    """Where real pilots are told to fetch our transformations; theirs of today accept no other address."""
    cache_directory: str = ""
    """Where uploaded sandboxes and logs of tasks are kept; empty means `cache` in the data directory."""
    cache: CacheLimits = Field(default_factory=CacheLimits)
    """What the cache takes and how long it keeps it."""
    timeouts: Timeouts = Field(default_factory=Timeouts)
    """How long jobs may stay in a state."""
    agents: AgentPeriods = Field(default_factory=AgentPeriods)
    """How often each agent works."""
    generation: GenerationSettings = Field(default_factory=GenerationSettings)
    """How jobs are made of input."""
    scouts: ScoutSettings = Field(default_factory=ScoutSettings)
    """The first jobs of a task."""
    tasks: TaskTimes = Field(default_factory=TaskTimes)
    """How long tasks may wait."""
    guards: GuardSettings = Field(default_factory=GuardSettings)
    """What makes tasks exhausted."""
    tails: TailSettings = Field(default_factory=TailSettings)
    """When the end of a production task is hurried."""
    brokerage: BrokerageSettings = Field(default_factory=BrokerageSettings)
    """Limits of the criteria."""
    task_brokerage: TaskBrokerageSettings = Field(default_factory=TaskBrokerageSettings)
    """Where the outputs of production tasks are collected."""
    shares: ShareSettings = Field(default_factory=ShareSettings)
    """Global shares."""
    accounts: AccountSettings = Field(default_factory=AccountSettings)
    """What users and groups may use."""
    rebrokerage: RebrokerageSettings = Field(default_factory=RebrokerageSettings)
    """When queued jobs are taken back."""
    queue_tests: QueueTestSettings = Field(default_factory=QueueTestSettings)
    """Automatic exclusion of queues."""
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    """How long records of decisions are kept."""
    carousel: CarouselSettings = Field(default_factory=CarouselSettings)
    """Bringing input from tape."""
    mail: MailSettings = Field(default_factory=MailSettings)
    """Mail to owners of tasks."""
    incidents: IncidentSettings = Field(default_factory=IncidentSettings)
    """When troubles are incidents."""
    ingest: IngestSettings = Field(default_factory=IngestSettings)
    """Log records: what is taken and kept."""
    notices: NoticeSettings = Field(default_factory=NoticeSettings)
    """Notices of incidents."""
    shifts: ShiftSettings = Field(default_factory=ShiftSettings)
    """The shift log."""
    metrics: MetricsSettings = Field(default_factory=MetricsSettings)
    """Numbers for Prometheus."""

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Values come from the caller alone; `load` reads environment and file and says which one was wrong."""
        return (init_settings,)

    @classmethod
    def load(cls, data: Path | str | None = None, **overrides: Any) -> Self:
        """Read the settings: `overrides` before environment before file before default.

        `data` is the data directory if the caller knows it; overrides that are None count as not given.
        The file is `$PANDA_CONFIG` or `<data>/panda.toml`, if there is one.
        Raises ConfigurationError naming the setting, where its value came from and what to do.
        """
        given = {name: value for name, value in {"data": data, **overrides}.items() if value is not None}
        environment = read_environment(cls)
        named_file = os.environ.get("PANDA_CONFIG")
        directory = Path(given.get("data") or environment.get("data") or default_data_directory(os.environ))
        path = Path(named_file).expanduser() if named_file else directory.expanduser() / "panda.toml"
        file_values = read_file(path, must_exist=bool(named_file))
        if "data" in file_values and not named_file:
            raise ConfigurationError(
                f"{path} is found through the data directory and cannot name another one",
                field="data",
                remedy="remove the line, and set PANDA_DATA or PANDA_CONFIG in the environment",
            )
        layers = {"option": given, "environment": environment, str(path): file_values}
        try:
            settings = cls(**merged(layers))
        except ValidationError as error:
            raise explain(error, layers, cls) from error
        settings._origins.update(origins_of(layers))
        return settings

    @field_validator("database_url", "database_read_url")
    @classmethod
    def _is_postgresql(cls, address: str) -> str:
        """Refuse what SQLAlchemy would only trip over later, with a password in its complaint."""
        try:
            fits = not address or (address.startswith(_POSTGRESQL) and urlsplit(address).port != 0)
        except ValueError:  # a port that is none
            fits = False
        if not fits:
            raise ValueError("give it as postgresql+psycopg2://user:password@host:port/name")
        return address

    def model_post_init(self, context: Any) -> None:
        """Make the data directory absolute, so that every process means the same one."""
        super().model_post_init(context)
        object.__setattr__(self, "data", self.data.expanduser().resolve())

    @property
    def cache_path(self) -> Path:
        """The directory of the cache."""
        return Path(self.cache_directory).expanduser().resolve() if self.cache_directory else self.data / "cache"

    @property
    def is_loopback(self) -> bool:
        """Whether the API can be reached from this machine only."""
        return is_loopback(self.host)

    @property
    def monitor_is_open(self) -> bool:
        """Whether the monitor may be read without a token."""
        return self.monitor_access == "open" or (self.monitor_access == "auto" and self.is_loopback)

    @property
    def uses_embedded_database(self) -> bool:
        """Whether we run PostgreSQL ourselves."""
        return not self.database_url

    def rows(self) -> Iterator[tuple[str, Any, str, str]]:
        """Every setting as (name with dots, value, origin, description); secrets and passwords in addresses are masked."""
        for name, value, description in leaves(self):
            origin = self._origins.get(name.partition("[")[0], "default")
            yield name, masked(name, value), origin, description


def default_data_directory(environment: Mapping[str, str]) -> Path:
    """The data directory when nobody says otherwise: `$PANDA_DATA`, the system's for root, else the user's own."""
    if environment.get("PANDA_DATA"):
        return Path(environment["PANDA_DATA"])
    if os.geteuid() == 0:
        return Path("/var/lib/pandascope")
    return Path(environment.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "pandascope"


def make_data_directory(data: Path) -> None:
    """Make the data directory if it is missing, closed to others; root's may be passed through, but not listed.

    (Root's database runs as another user.) Raises ConfigurationError with the operating system's reason.
    """
    try:
        data.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
    except OSError as error:
        in_the_way = isinstance(error, NotADirectoryError | FileExistsError)
        remedy = "" if in_the_way else "make its parent writable for the user that runs this, or "
        remedy += "choose another directory with --data"
        raise ConfigurationError(f"{error.filename}: {error.strerror}", field="data", remedy=remedy) from error


def is_loopback(host: str) -> bool:
    """Whether an address, or every address a name stands for, is reached from this machine only."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        pass
    try:
        addresses = {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return bool(addresses) and all(ipaddress.ip_address(address.split("%")[0]).is_loopback for address in addresses)
