"""A task as it was understood: what it reads, makes, runs and needs. Knows no dialect, no table and no job."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from core.core_power import DEFAULT_CORE_POWER
from core.names import check_file_name

PSEUDO_DATASET = "seq_number"
PFN_DATASET = "pseudo_dataset"
"""The name under which a list of given PFNs stands among the datasets of a task."""
DEFAULT_MAX_FILES_PER_JOB = 200
"""domain.md 3.4."""
MAX_FILES_PER_JOB = 20_000
"""Input of one job at most, whoever says how much: it is made, told to a pilot and ended in one piece each."""
_LEAST_OUTPUT_MB = 500
"""Scratch reserved for outputs at least (domain.md 3.4)."""


@dataclass(frozen=True)
class Filling:
    """Everything that differs from job to job and may stand in a command or a name."""

    task_id: int
    serial: int
    inputs: Mapping[str, list[str]] = dataclasses.field(default_factory=dict)
    """Names of the files of each stream."""
    outputs: list[str] = dataclasses.field(default_factory=list)
    """Local names of the outputs."""
    source_url: str = ""
    library: str = ""
    sequence_number: int | None = None
    skip_events: int = 0
    max_events: int = 0
    first_event: int = 0
    middle_name: str = ""


class Command(Protocol):
    """The argument string of a task's jobs, not yet filled in."""

    def fill(self, filling: Filling) -> str:
        """The text for one job. Raises InvalidInput naming the field that cannot be filled."""
        ...


class InputOrder(StrEnum):
    """By what the files of a dataset are taken one after the other; of those that are alike, the one registered first."""

    NAME = "name"
    SIZE = "size"
    EVENTS = "events"
    RANDOM = "random"
    """The same for the same task, whoever looks and when."""
    REGISTRATION = "registration"


@dataclass(frozen=True)
class InputStream:
    """What jobs read under one name (IN, IN2, SEQNUMBER): datasets, given PFNs, or mere numbers."""

    name: str
    kind: str
    """input, pseudo_input, or sandbox: all files with every job."""
    datasets: tuple[str, ...]
    field: str
    """Where it stands in the parameters, for refusals."""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    """If not empty, only these."""
    offset: int = 0
    """Files to leave out at the beginning; of numbers, the first one."""
    files_per_job: int | None = None
    ratio: int | None = None
    """Files per file of the master."""
    event_ratio: float | None = None
    """Events per event of the master; instead of a number of files."""
    order: InputOrder = InputOrder.REGISTRATION
    is_descending: bool = False
    is_reusable: bool = False
    is_whole: bool = False
    """Every job gets all of it."""
    pfns: tuple[str, ...] = ()
    numbers: int = 0
    """How many numbers the master pseudo input has."""
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class OutputStream:
    """A file that every job makes: the template of its name and the dataset it goes to."""

    name: str
    kind: str
    """output or log."""
    dataset: str
    container: str
    template: str
    scope: str
    field: str
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def names(self, filling: Filling) -> tuple[str, str]:
        """Logical name and name in the job directory."""
        name = fill_name(self.template, filling)
        check_file_name(name, self.field)
        return name, name

    @property
    def has_serial(self) -> bool:
        """Whether two jobs give it different names."""
        return "${SN" in self.template


def fill_name(template: str, filling: Filling) -> str:
    """A file name; serial numbers have six digits in both spellings, as users know them from their outputs."""
    for placeholder, value in (
        ("$JEDITASKID", str(filling.task_id)),
        ("${JEDITASKID}", str(filling.task_id)),
        ("${SN/P}", f"{filling.serial:06d}"),
        ("${SN}", f"{filling.serial:06d}"),
        ("${MIDDLENAME}", filling.middle_name),
    ):
        template = template.replace(placeholder, value)
    return template


@dataclass(frozen=True)
class SplitRule:
    """How input is cut into jobs; of the sizes the first that is set wins (domain.md 3.4). None = not stated."""

    events_per_job: int | None = None
    files_per_job: int | None = None
    bytes_per_job: int | None = None
    target_events: int | None = None
    """About so many events in whole files; files are not cut for it as they are for `events_per_job`."""
    max_files_per_job: int = DEFAULT_MAX_FILES_PER_JOB
    max_jobs: int | None = None
    max_files: int | None = None
    max_events: int | None = None
    events_per_file: int | None = None
    """Of every file, whatever the catalogue says of it."""
    max_events_per_job: int | None = None
    """Beside the sizes above: no further file joins a job that would have more events. Files are not cut for it."""
    max_output_bytes: int | None = None
    """The same of what a job with `bytes_per_job` would make, by `output_bytes_per_event` and `_per_input_mb`."""
    output_bytes_per_event: int = 0
    output_bytes_per_input_mb: int = 0
    keeps_boundaries: bool = False
    """Whether a job has files of one boundary (luminosity block or whatever the catalogue calls so) only."""
    keeps_boundaries_whole: bool = False
    """Whether all files of a boundary go into one job; no other size counts then."""
    skips_empty_files: bool = False
    crosses_datasets: bool = False
    """Whether one job may have files of several datasets; prun asks for it by --notExpandInDS."""

    @property
    def has_size(self) -> bool:
        """Whether the task says how large its jobs shall be."""
        stated = self.events_per_job or self.files_per_job or self.bytes_per_job or self.target_events
        return bool(stated) or self.keeps_boundaries_whole

    def output_bytes(self, events: int, input_bytes: int) -> int:
        """About what a job with this input makes; 0 = nobody knows."""
        return self.output_bytes_per_event * events + self.output_bytes_per_input_mb * input_bytes // 10**6


_LEAST_ESTIMATE_S = 1800
"""Pilots take limits at their word: an estimate from a few events is never shorter than this."""


@dataclass(frozen=True)
class Needs:
    """What one job asks of a worker; 0 = not stated."""

    core_count: int = 1
    ram_mb: int = 0
    """Of the whole job."""
    base_ram_mb: int = 0
    """The part of `ram_mb` that does not grow with the cores."""
    disk_mb: int = 0
    """Scratch besides the input and what grows with it; 0 = not stated."""
    disk_kb_per_event: int = 0
    disk_kb_per_input_mb: int = 0
    work_disk_mb: int = 0
    """Scratch besides input and outputs."""
    counts_input_on_disk: bool = False
    walltime_s: int = 0
    """Stated outright; what follows from `cpu_time` is `walltime_for`."""
    looping_limit_s: int = 0
    cpu_time: int = 0
    """Per event, as given: HS06 seconds, or thousandths of them."""
    hs06_s_per_event: float = 0.0
    cpu_efficiency: int = 90
    """Percent; 0 = the time of a job does not grow with its events."""
    base_walltime_s: int = 0
    """The part of the time that does not grow with events."""
    min_cpu_efficiency: int = 0
    """Percent below which scouts stop the task; 0 = never."""
    io_intensity_kb_s: int = 0
    """Input and output over the time of the job."""
    disk_io_kb_s: int = 0
    """What the payload reads and writes on the node."""
    fixed: frozenset[str] = frozenset()
    """Parameters that the submitter wants unchanged whatever is measured: ramCount, cpuTime, outDiskCount."""

    def walltime_for(self, events: int, core_power: float = DEFAULT_CORE_POWER) -> int:
        """Seconds that a job with so many events takes on cores of this power (HS06 each); 0 = unknown.

        domain.md 3.4: cpuTime x events / (cores x power x efficiency) + base, unless it was stated outright.
        """
        if self.walltime_s:
            return self.walltime_s
        if not self.cpu_efficiency:
            return self.base_walltime_s
        scaled = self.hs06_s_per_event * events / (self.core_count * core_power * self.cpu_efficiency / 100)
        return max(_LEAST_ESTIMATE_S, math.ceil(scaled) + self.base_walltime_s) if scaled else 0

    def disk_for(self, events: int, input_bytes: int) -> int:
        """MB of scratch for a job with this input, which is counted only where the task says how much it makes."""
        if not self.counts_input_on_disk:
            return self.disk_mb
        # numbers are no bytes: a job without input counts as one with a MB
        grown_kb = self.disk_kb_per_event * events + self.disk_kb_per_input_mb * max(1, -(-input_bytes // 10**6))
        made_mb = max(_LEAST_OUTPUT_MB, self.disk_mb + -(-grown_kb // 1000))
        return made_mb + self.work_disk_mb + -(-input_bytes // 10**6)


@dataclass(frozen=True)
class BuildStep:
    """The job that makes the library of the run jobs first."""

    label: str
    archive: str
    text: str
    transformation: str


@dataclass(frozen=True)
class PreprocessStep:
    """The job that works out the definition of the real work before anything else is done."""

    label: str
    archive: str
    text: str
    transformation: str
    is_shell: bool = False
    """Whether `text` is a command of `panda run`, with %OUT, instead of arguments with ${SURL}."""


@dataclass(frozen=True)
class MergedStream:
    """A stream of the run jobs, by name (OUTPUT0, LOG0), and the stream that its files are merged into."""

    source: str
    target: OutputStream


@dataclass(frozen=True)
class MergeStep:
    """The jobs that make few files of many, when the run jobs are through or enough is there."""

    transformation: str
    text: str
    streams: tuple[MergedStream, ...]
    max_files: int
    """Run jobs whose outputs go into one merge job, at most."""
    max_bytes: int
    max_events: int | None


@dataclass(frozen=True)
class TaskDefinition:
    """A task, understood."""

    name: str
    vo: str
    label: str
    command: Command
    transformation: str
    inputs: tuple[InputStream, ...]
    outputs: tuple[OutputStream, ...]
    split: SplitRule
    needs: Needs
    processing_type: str = ""
    working_group: str = ""
    country_group: str = ""
    priority: int = 1000
    site: str = ""
    max_attempt: int = 1
    max_failure: int = 3
    container_name: str = ""
    special_handling: str = ""
    source_url: str = ""
    middle_fields: tuple[int, ...] = ()
    """Which fields of a name, from 1, make ${MIDDLENAME}; of the first input file, else of its dataset."""
    middle_of_file: bool = False
    reuses_on_demand: bool = False
    skips_files_of: tuple[int, ...] = ()
    """Tasks whose files are not used again."""
    waits_for_input: bool = False
    """Whether input that is not there, or empty, is waited for."""
    runs_until_closed: bool = False
    """Whether files that come into an open dataset of the master are taken as they come."""
    allows_empty_input: bool = False
    """Whether a task without input is done, where others are refused or broken."""
    ignores_missing_datasets: bool = False
    """Whether datasets that do not exist are left out, as long as another one does."""
    preprocess: PreprocessStep | None = None
    """Stays when it was done: what it worked out is in the parameters then."""
    build: BuildStep | None = None
    merge: MergeStep | None = None
    uses_scouts: bool = False
    """Whether a few jobs go first and measure what the others need, when there are more than a few."""
    scout_success_rate: float | None = None
    """Part of the scouts that must succeed; None = as the system says."""
    goal: int = 1000
    """Per mille of the master input that must succeed; what happens below it is in `core.task_ends`."""
    finishes_by_itself: bool = True
    """Whether an exhausted task that nobody decides about is finished with what it has."""
    sends_mail: bool = True
    """Whether its owner hears of its end."""
    ram_count: int = 0
    ram_unit: str = ""
    cpu_time_unit: str = ""
    notes: tuple[str, ...] = ()
    """What was asked for and is not done, for people."""

    @property
    def master(self) -> InputStream:
        """The input that drives splitting."""
        return next(stream for stream in self.inputs if stream.kind != "sandbox")

    @property
    def base_name(self) -> str:
        """The name without the slash that makes a container of it."""
        return self.name.rstrip("/")
