"""The dictionary of `panda run`: a command as text, names of outputs, one input dataset. Read into the same definition.

Knows no table. Files lie in the job directory under the names the user typed (docs/decisions.md, Names of files).
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from core.errors import InvalidInput
from core.names import check_file_name
from core.taskbuffer.submission import JOB_LIMITS, MAX_PARAMETERS_BYTES
from core.taskengine.dialects import fields
from core.taskengine.dialects.arrival import arrival
from core.taskengine.dialects.definition import (
    MAX_FILES_PER_JOB,
    PSEUDO_DATASET,
    Filling,
    InputStream,
    Needs,
    OutputStream,
    SplitRule,
    TaskDefinition,
)
from core.taskengine.dialects.goals import ending
from core.taskengine.dialects.needs import changed_walltime
from core.taskengine.dialects.panda import HIGHEST_USER_PRIORITY, task_name
from core.taskengine.dialects.preprocessing import read_house_preprocessing
from core.taskengine.dialects.scouting import scout_success_rate, uses_scouts
from core.taskengine.dialects.sizes import MAX_JOBS

RUN_SHELL = "runShell"
MAX_CHOSEN_FILES = 100_000
_WORD = re.compile(r"%%(IN|OUT[0-9]{0,4}|JOB)\b|%(IN|OUT[0-9]{0,4}|JOB)\b")


@dataclass(frozen=True)
class ShellCommand:
    """A command line with %IN, %OUT and %JOB."""

    text: str

    @property
    def names_input(self) -> bool:
        """Whether %IN stands in it."""
        return any(match.group(2) == "IN" for match in _WORD.finditer(self.text))

    def fill(self, filling: Filling) -> str:
        """The command of one job; %JOB is the number of the piece, the same when it is tried again."""
        number = filling.serial if filling.sequence_number is None else filling.sequence_number
        return fill_in(self.text, filling.inputs.get("IN", []), filling.outputs, number)


@dataclass(frozen=True)
class NumberedOutput(OutputStream):
    """An output that the job writes under the name the user gave, numbered in the catalogue."""

    def names(self, filling: Filling) -> tuple[str, str]:
        """`counts.000003.txt` and `counts.txt`."""
        return numbered_name(self.template, filling.serial), self.template

    @property
    def has_serial(self) -> bool:
        """Always."""
        return True


@dataclass(frozen=True)
class JobLog(OutputStream):
    """The log of a job, named after it."""

    def names(self, filling: Filling) -> tuple[str, str]:
        """The PandaID is put in when the job gets one."""
        name = f"job.$PANDAID.{filling.serial:06d}.log.tgz"
        return name, name

    @property
    def has_serial(self) -> bool:
        """Always."""
        return True


def read_house_parameters(
    parameters: Mapping[str, Any], *, task_id: int, user_name: str, is_production: bool = False
) -> TaskDefinition:
    """The definition of a task of `panda run`. Raises InvalidInput naming the key."""
    name = task_name(parameters)
    input_dataset = fields.text(parameters, "inputDataset")
    sandbox = fields.text(parameters, "sandboxDataset")
    jobs = fields.number(parameters, "nJobs", (1, MAX_JOBS), default=1) or 1
    if parameters.get("nJobs") and input_dataset:
        raise InvalidInput(
            "a task with input is cut by files", field="nJobs", remedy="leave it out, or leave out inputDataset"
        )
    per_job = fields.number(parameters, "nFilesPerJob", (1, MAX_FILES_PER_JOB), default=1) or 1
    return TaskDefinition(
        name=name,
        vo=fields.text(parameters, "vo"),
        label=fields.text(parameters, "prodSourceLabel") or "user",
        command=ShellCommand(_command_text(parameters.get("jobParameters", ""))),
        transformation=fields.text(parameters, "transPath") or RUN_SHELL,
        inputs=_inputs(parameters, input_dataset, sandbox, jobs),
        outputs=_outputs(parameters, name, task_id, f"user.{user_name}"),
        split=SplitRule(files_per_job=per_job if input_dataset else None, max_files_per_job=per_job),
        needs=_needs(parameters),
        processing_type=fields.text(parameters, "processingType"),
        working_group=fields.text(parameters, "workingGroup"),
        country_group=fields.text(parameters, "countryGroup", limit=64),
        priority=_priority(parameters, is_production=is_production),
        site=fields.text(parameters, "site"),
        preprocess=read_house_preprocessing(parameters, RUN_SHELL),
        uses_scouts=uses_scouts(parameters, by_default=False),
        scout_success_rate=scout_success_rate(parameters),
        **ending(parameters),
        **arrival(parameters),
        max_attempt=fields.number(parameters, "maxAttempt", (1, 50), default=3) or 3,
        # an error of the payload ends it at once; one of the system does not count as a failure
        max_failure=fields.number(parameters, "maxFailure", (1, 50), default=1) or 1,
    )


def _inputs(parameters: Mapping[str, Any], input_dataset: str, sandbox: str, jobs: int) -> tuple[InputStream, ...]:
    chosen = fields.names(parameters, "inputFiles", limit=MAX_CHOSEN_FILES)
    if chosen and not input_dataset:
        raise InvalidInput("there is no dataset", field="inputFiles", remedy="name the inputDataset that they are in")
    if input_dataset:
        master = InputStream("IN", "input", (input_dataset,), "inputDataset", files=chosen)
    else:
        master = InputStream("SEQNUMBER", "pseudo_input", (PSEUDO_DATASET,), "nJobs", offset=1, numbers=jobs)
    if not sandbox:
        return (master,)
    return master, InputStream("SANDBOX", "sandbox", (sandbox,), "sandboxDataset", is_whole=True)


def _outputs(parameters: Mapping[str, Any], name: str, task_id: int, scope: str) -> tuple[OutputStream, ...]:
    def dataset(kind: str) -> str:
        return f"{name.rstrip('/')}.{task_id}_{kind}"

    outputs: list[OutputStream] = [
        NumberedOutput(f"OUTPUT{number}", "output", dataset("out"), "", output, scope, "outputs")
        for number, output in enumerate(_output_names(parameters))
    ]
    return *outputs, JobLog("LOG0", "log", dataset("log"), "", "job.log.tgz", scope, "taskName")


def _output_names(parameters: Mapping[str, Any]) -> list[str]:
    given = parameters.get("outputs") or []
    if not isinstance(given, list) or not all(isinstance(entry, str) and entry for entry in given):
        raise InvalidInput("not a list of names", field="outputs", remedy='as in ["counts.txt"]')
    names = [str(PurePosixPath(entry)) for entry in given]
    for name in names:
        check_file_name("" if name == "." else name, "outputs")
        check_file_name(numbered_name(name, MAX_JOBS), "outputs")
    if len(set(names)) < len(names):
        raise InvalidInput("a name twice", field="outputs", remedy="give each output its own name")
    return names


def _needs(parameters: Mapping[str, Any]) -> Needs:
    """Of the whole job, in MB and seconds."""
    return Needs(
        core_count=fields.number(parameters, "coreCount", JOB_LIMITS["coreCount"], default=1) or 1,
        ram_mb=fields.number(parameters, "ramCount", JOB_LIMITS["minRamCount"], default=0) or 0,
        disk_mb=fields.number(parameters, "maxDiskCount", JOB_LIMITS["maxDiskCount"], default=0) or 0,
        walltime_s=changed_walltime(parameters)
        or fields.number(parameters, "maxWalltime", JOB_LIMITS["maxWalltime"], default=0)
        or 0,
        looping_limit_s=fields.number(parameters, "loopingLimit", JOB_LIMITS["loopingLimit"], default=0) or 0,
    )


def check_places(definition: TaskDefinition, inputs: list[str], sandbox: list[str]) -> None:
    """In the job directory every file has a place of its own. Raises InvalidInput."""
    taken = {posixpath.normpath(name) for name in inputs}
    outputs = [stream.template for stream in definition.outputs if isinstance(stream, NumberedOutput)]
    for name, field_name in [*((name, "sandboxDataset") for name in sandbox), *((name, "outputs") for name in outputs)]:
        place = posixpath.normpath(name)
        if place in taken:
            raise InvalidInput(f"{name!r} is also a file of the input", field=field_name, remedy="give it another name")
        taken.add(place)


def _priority(parameters: Mapping[str, Any], *, is_production: bool) -> int:
    wanted = fields.number(parameters, "taskPriority", JOB_LIMITS["currentPriority"], default=1000) or 0
    return wanted if is_production else min(wanted, HIGHEST_USER_PRIORITY)


def _command_text(given: Any) -> str:
    """`jobParameters` as text: ours, or PanDA's list of items concatenated, hidden ones left out."""
    if isinstance(given, str):
        text = given
    elif isinstance(given, list) and all(isinstance(item, dict) for item in given):
        shown = [item for item in given if not item.get("hidden")]
        text = "".join(
            str(item.get("value", "")) + ("" if item.get("padding") is False else " ") for item in shown
        ).strip()
    else:
        raise InvalidInput("neither text nor a list of items", field="jobParameters", remedy="send the command as text")
    if "\x00" in text or len(text.encode("utf-8", "replace")) > MAX_PARAMETERS_BYTES:
        raise InvalidInput("holds a NUL or is larger than 16 MB", field="jobParameters", remedy="use a sandbox file")
    return text


def fill_in(text: str, inputs: list[str], outputs: list[str], index: int) -> str:
    """Replace %IN, %OUT, %OUT2, %JOB in a command by shell-quoted names; `%%IN` stands for the word itself."""

    def word(match: re.Match[str]) -> str:
        if match.group(1):
            return f"%{match.group(1)}"
        name = match.group(2)
        if name == "IN":
            return " ".join(_quoted(entry) for entry in inputs)
        if name == "JOB":
            return str(index)
        number = int(name[3:] or 1)
        if not 1 <= number <= len(outputs):
            raise InvalidInput(f"%{name} has no output", field="outputs", remedy="name the outputs with --out")
        return _quoted(outputs[number - 1])

    return _WORD.sub(word, text)


def _quoted(name: str) -> str:
    """A name as one shell word that no program takes for an option."""
    return shlex.quote(f"./{name}" if name.startswith("-") else name)


def numbered_name(name: str, index: int) -> str:
    """`counts.txt` of job 3 -> `counts.000003.txt`: one logical name per job in the output dataset."""
    path = PurePosixPath(name)
    return str(path.with_name(f"{path.stem}.{index:06d}{path.suffix}"))
