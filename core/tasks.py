"""Tasks in their first form: parameters are checked, cut into jobs by files or by number, inserted at once.

The task engine (agents over its own tables) comes later and takes this place; the dictionary is kept as submitted.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from core.database import Database, Row, Transaction
from core.dataservice.catalogue import dataset_files, ensure_dataset
from core.errors import InvalidInput, NotAllowed, UnknownObject
from core.names import check_file_name
from core.queues import check_queue_exists
from core.states import TASK_TRANSITIONS, TaskStatus, check_transition
from core.taskbuffer.killing import Killer, kill_in
from core.taskbuffer.submission import JOB_LIMITS, MAX_PARAMETERS_BYTES, NewFile, NewJob, check_job, insert_jobs

RUN_SHELL = "runShell"
MAX_JOBS_PER_TASK = 100_000
_MAX_NAME_BYTES = 240
"""Leaves room for the number and the kind that make the names of the task's datasets."""
_WORD = re.compile(r"%%(IN|OUT[0-9]{0,4}|JOB)\b|%(IN|OUT[0-9]{0,4}|JOB)\b")


@dataclass
class _Plan:
    """Parameters of a task after checking."""

    name: str
    vo: str
    text: str
    transformation: str
    outputs: list[str]
    input_dataset: str
    sandbox_dataset: str
    files_per_job: int
    job_count: int
    settings: dict[str, Any] = field(default_factory=dict)


def submit_task(database: Database, parameters: dict[str, Any], *, user_name: str, vo: str) -> int:
    """Register a task, cut it into jobs and return its jediTaskID. Raises InvalidInput; nothing is kept then."""
    plan = _checked(parameters)
    with database.transaction() as transaction:
        row = transaction.fetch_one("SELECT nextval('jedi_task_id_seq') AS id")
        assert row is not None
        task_id = int(row["id"])
        scope = f"user.{user_name}"
        sandbox = _files(transaction, plan.sandbox_dataset, "sandboxDataset") if plan.sandbox_dataset else []
        inputs = _files(transaction, plan.input_dataset, "inputDataset") if plan.input_dataset else []
        if plan.settings["computing_site"]:
            check_queue_exists(transaction, plan.settings["computing_site"], "site")
        _check_places(plan, inputs, sandbox)
        chunks = _chunks(inputs, plan)
        jobs = [_job(plan, task_id, index, chunk, sandbox, scope) for index, chunk in enumerate(chunks, start=1)]
        for job in jobs:
            job.prod_user_name, job.vo = user_name, plan.vo or vo
            check_job(job, "")
        for kind in ("out", "log"):
            if kind == "log" or plan.outputs:
                ensure_dataset(
                    transaction,
                    name=_dataset_name(plan.name, task_id, kind),
                    scope=scope,
                    kind={"out": "output"}.get(kind, kind),
                    owner=user_name,
                    vo=vo,
                    jedi_task_id=task_id,
                    field_name="taskName",
                )
        _insert_task(transaction, task_id, plan, parameters, user_name, vo, len(inputs), len(jobs))
        insert_jobs(transaction, jobs)
    return task_id


_INSERT_TASK = """
INSERT INTO tasks (jedi_task_id, task_name, status, user_name, vo, working_group, prod_source_label, processing_type,
                   task_priority, parameters, n_input_files, n_jobs)
VALUES (%(jedi_task_id)s, %(task_name)s, 'ready', %(user_name)s, %(vo)s, %(working_group)s, %(prod_source_label)s,
        %(processing_type)s, %(current_priority)s, %(parameters)s, %(n_input_files)s, %(n_jobs)s)
"""


def _insert_task(
    transaction: Transaction,
    task_id: int,
    plan: _Plan,
    parameters: dict[str, Any],
    user_name: str,
    vo: str,
    n_input_files: int,
    n_jobs: int,
) -> None:
    transaction.execute(
        _INSERT_TASK,
        {
            **plan.settings,
            "jedi_task_id": task_id,
            "task_name": plan.name,
            "user_name": user_name,
            "vo": vo,
            "parameters": parameters,
            "n_input_files": n_input_files,
            "n_jobs": n_jobs,
        },
    )


def task_status(database: Database, task_id: int) -> str:
    """The status of a task. Raises UnknownObject."""
    row = database.fetch_one("SELECT status FROM tasks WHERE jedi_task_id = %(id)s", {"id": task_id})
    if row is None:
        raise UnknownObject(f"there is no task {task_id}", field="task_id", remedy="see `panda tasks`")
    return str(row["status"])


def task_owner(database: Database, task_id: int) -> str | None:
    """The user whose task it is, None when there is no such task."""
    row = database.fetch_one("SELECT user_name FROM tasks WHERE jedi_task_id = %(id)s", {"id": task_id})
    return None if row is None else str(row["user_name"])


# ix_jobs_live_task
_LIVE_JOBS = "SELECT panda_id FROM jobs_live WHERE jedi_task_id = %(id)s ORDER BY panda_id FOR UPDATE"


def kill_task(database: Database, task_id: int, killer: Killer) -> int:
    """Kill every live job of a task; returns how many were asked to end. Raises UnknownObject, NotAllowed, Conflict."""
    with database.transaction() as transaction:
        # the jobs are locked before the task, as in every ending, so that the two cannot wait for each other
        jobs = transaction.fetch(_LIVE_JOBS, {"id": task_id})
        row = transaction.fetch_one(
            "SELECT status, user_name FROM tasks WHERE jedi_task_id = %(id)s FOR UPDATE", {"id": task_id}
        )
        if row is None:
            raise UnknownObject(f"there is no task {task_id}", field="task_id", remedy="see `panda tasks`")
        if not killer.is_manager and row["user_name"] != killer.user_name:
            raise NotAllowed("not the task owner or no production role", field="task_id", remedy="ask its owner")
        status = TaskStatus(row["status"])
        if status is not TaskStatus.ABORTING:
            check_transition(TASK_TRANSITIONS, status, TaskStatus.ABORTING)
            transaction.execute(
                "UPDATE tasks SET status = 'aborting', modification_time = clock_timestamp() WHERE jedi_task_id = %(id)s",
                {"id": task_id},
            )
        return len(kill_in(transaction, [job["panda_id"] for job in jobs], killer))


# ix_job_files_task; the job's number orders the pieces
_OUTPUTS = """
SELECT f.panda_id, j.job_index, f.lfn, f.local_name, f.type, f.dataset, f.size_bytes, f.checksum, f.endpoint, f.pfn
FROM job_files f JOIN jobs_archive j ON j.panda_id = f.panda_id
WHERE f.jedi_task_id = %(id)s AND f.type IN ('output', 'log') AND f.status = 'ready'
ORDER BY j.job_index, f.panda_id, f.row_id
"""


def task_outputs(database: Database, task_id: int) -> list[Row]:
    """Stored outputs and logs of the ended jobs of a task, in the order of its jobs. Raises UnknownObject."""
    task_status(database, task_id)
    return database.fetch(_OUTPUTS, {"id": task_id})


def _checked(parameters: dict[str, Any]) -> _Plan:
    name = _text(parameters, "taskName", required=True)
    if len(name.encode("utf-8", "replace")) > _MAX_NAME_BYTES or any(ord(character) < 32 for character in name):
        raise InvalidInput(
            f"longer than {_MAX_NAME_BYTES} bytes or with control characters", field="taskName", remedy="shorten it"
        )
    input_dataset = _text(parameters, "inputDataset")
    plan = _Plan(
        name=name,
        vo=_text(parameters, "vo"),
        text=_job_text(parameters.get("jobParameters", "")),
        transformation=_text(parameters, "transPath") or RUN_SHELL,
        outputs=_outputs(parameters),
        input_dataset=input_dataset,
        sandbox_dataset=_text(parameters, "sandboxDataset"),
        files_per_job=_number(parameters, "nFilesPerJob", 1, (1, 2**40)),
        job_count=_number(parameters, "nJobs", 1, (1, MAX_JOBS_PER_TASK)),
        settings={
            "computing_site": _text(parameters, "site"),
            "prod_source_label": _text(parameters, "prodSourceLabel") or "user",
            "processing_type": _text(parameters, "processingType"),
            "working_group": _text(parameters, "workingGroup"),
            "current_priority": _number(parameters, "taskPriority", 1000, JOB_LIMITS["currentPriority"]),
            "max_attempt": _number(parameters, "maxAttempt", 1, (1, 50)),
            "core_count": _number(parameters, "coreCount", 1, JOB_LIMITS["coreCount"]),
            "min_ram_mb": _number(parameters, "ramCount", 0, JOB_LIMITS["minRamCount"]),
            "max_disk_mb": _number(parameters, "maxDiskCount", 0, JOB_LIMITS["maxDiskCount"]),
            "max_walltime_s": _number(parameters, "maxWalltime", 0, JOB_LIMITS["maxWalltime"]),
            "looping_limit_s": _number(parameters, "loopingLimit", 0, JOB_LIMITS["loopingLimit"]),
        },
    )
    if parameters.get("nJobs") and input_dataset:
        raise InvalidInput(
            "a task with input is cut by files", field="nJobs", remedy="leave it out, or leave out inputDataset"
        )
    return plan


def _check_places(plan: _Plan, inputs: list[Row], sandbox: list[Row]) -> None:
    """In the job directory every file has a place of its own."""
    taken = {posixpath.normpath(row["lfn"]) for row in inputs}
    for name, field_name in [
        *((row["lfn"], "sandboxDataset") for row in sandbox),
        *((name, "outputs") for name in plan.outputs),
    ]:
        place = posixpath.normpath(name)
        if place in taken:
            raise InvalidInput(f"{name!r} is also a file of the input", field=field_name, remedy="give it another name")
        taken.add(place)


def _outputs(parameters: dict[str, Any]) -> list[str]:
    given = parameters.get("outputs") or []
    if not isinstance(given, list) or not all(isinstance(entry, str) and entry for entry in given):
        raise InvalidInput("not a list of names", field="outputs", remedy='as in ["counts.txt"]')
    names = [str(PurePosixPath(entry)) for entry in given]
    for name in names:
        check_file_name("" if name == "." else name, "outputs")
        check_file_name(numbered_name(name, MAX_JOBS_PER_TASK), "outputs")
    if len(set(names)) < len(names):
        raise InvalidInput("a name twice", field="outputs", remedy="give each output its own name")
    return names


def _job_text(given: Any) -> str:
    """`jobParameters` as text: ours, or PanDA's list of items concatenated (client-wire.md 4.5), hidden ones left out."""
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


def _chunks(inputs: list[Row], plan: _Plan) -> list[list[Row]]:
    if plan.input_dataset:
        size = plan.files_per_job
        chunks = [inputs[start : start + size] for start in range(0, len(inputs), size)]
    else:
        chunks = [[] for _ in range(plan.job_count)]
    if len(chunks) > MAX_JOBS_PER_TASK:
        raise InvalidInput(
            f"makes {len(chunks)} jobs",
            field="nFilesPerJob",
            remedy=f"at most {MAX_JOBS_PER_TASK}: put more files into a job",
        )
    return chunks


def _job(plan: _Plan, task_id: int, index: int, chunk: list[Row], sandbox: list[Row], scope: str) -> NewJob:
    files = [_input(row, "input", plan.input_dataset) for row in chunk]
    files += [_input(row, "sandbox", plan.sandbox_dataset) for row in sandbox]
    for name in plan.outputs:
        lfn = numbered_name(name, index)
        files.append(NewFile("output", lfn, name, dataset=_dataset_name(plan.name, task_id, "out"), scope=scope))
    log_name = f"job.$PANDAID.{index:06d}.log.tgz"
    files.append(NewFile("log", log_name, log_name, dataset=_dataset_name(plan.name, task_id, "log"), scope=scope))
    text = fill_in(plan.text, [row["lfn"] for row in chunk], plan.outputs, index)
    return NewJob(
        transformation=plan.transformation,
        job_parameters=text,
        job_name=f"{plan.name}.{index:06d}",
        jedi_task_id=task_id,
        job_index=index,
        destination_dataset=_dataset_name(plan.name, task_id, "out") if plan.outputs else "",
        files=files,
        **plan.settings,
    )


def _input(row: Row, kind: str, dataset: str) -> NewFile:
    return NewFile(
        kind,
        row["lfn"],
        row["lfn"],
        dataset,
        row["scope"],
        row["file_id"],
        row["guid"],
        row["size_bytes"],
        row["checksum"],
    )


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


def _dataset_name(task_name: str, task_id: int, kind: str) -> str:
    return f"{task_name.rstrip('/')}.{task_id}_{kind}"


def _files(transaction: Transaction, name: str, field_name: str) -> list[Row]:
    files = dataset_files(transaction, name, field_name)
    if not files:
        raise InvalidInput(f"dataset {name!r} is empty", field=field_name, remedy="register files with it")
    return files


def _text(parameters: dict[str, Any], name: str, *, required: bool = False) -> str:
    value = parameters.get(name)
    if value is None or value == "":
        if required:
            raise InvalidInput("missing", field=name, remedy="every task has a name")
        return ""
    if not isinstance(value, str) or "\x00" in value:
        raise InvalidInput("not text", field=name, remedy="send it as a JSON string")
    return value


def _number(parameters: dict[str, Any], name: str, default: int, limits: tuple[int, int]) -> int:
    value, (lowest, highest) = parameters.get(name), limits
    if value is None:
        return default
    if isinstance(value, str) and value.strip().isdecimal() and len(value) <= 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise InvalidInput(
            f"{str(value)[:50]!r} will not do", field=name, remedy=f"a whole number between {lowest} and {highest}"
        )
    return value
