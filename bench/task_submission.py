"""A task as prun submits it, of many jobs, and what PostgreSQL alone needs for one such job. Knows no measurement."""

from __future__ import annotations

import time
from typing import Any

import httpx

from bench.stack import Stack
from core.agents.feeder import Feeder
from core.agents.generator import Generator
from core.dataservice.catalogue import NewCatalogueFile, register_dataset
from core.workload_settings import GenerationSettings, TaskTimes

KINDS = ("submit files", "submit pseudo")
"""A job for each file of a dataset; a job for each of a row of numbers."""

_JOB_PARAMETERS = '-j "" --sourceURL example -r . -a jobO.bench.tar.gz -p "./run.sh" '

INSERT_ONE_JOB = f"""
WITH job AS (
    INSERT INTO jobs_live (panda_id, jedi_task_id, job_name, job_status, prod_source_label, prod_user_name, transformation)
    SELECT nextval('panda_id_seq'), 1, 'bench', 'defined', 'user', 'bench', 'runGen-00-00-02' RETURNING *
), parameters AS (
    INSERT INTO job_parameters (panda_id, job_parameters) SELECT panda_id, '{_JOB_PARAMETERS}' FROM job
), history AS (
    INSERT INTO job_history (panda_id, jedi_task_id, job_status, prod_source_label, reason)
    SELECT panda_id, jedi_task_id, job_status, prod_source_label, 'submitted' FROM job
)
INSERT INTO job_files (panda_id, jedi_task_id, type, lfn, local_name, scope, dataset, guid, status)
SELECT panda_id, jedi_task_id, kind, kind || '.' || panda_id, kind, 'user.bench', 'user.bench',
       cast(gen_random_uuid() AS text), 'defined'
FROM job, unnest(ARRAY['input', 'output', 'log']) AS kind;
"""


def submit_once(stack: Stack, kind: str, jobs: int, turn: int) -> float:
    """Submit one task of `jobs` jobs and return the seconds until all of them are made: the first by the server, which
    answers then, the others by agents, which run here. Raises RuntimeError when it is refused."""
    name = f"user.bench.{kind.split()[1]}.{jobs}.{turn}"
    parameters = _task(name, jobs, with_files=kind == "submit files")
    if kind == "submit files":
        files = [NewCatalogueFile(f"{name}.{number:06d}", 10**6, "ad:01c2009c") for number in range(jobs)]
        known = {"scope": "user.bench", "kind": "input", "owner": "bench", "vo": "bench"}
        register_dataset(stack.database, name=name, files=files, **known)
    headers = {"Authorization": f"Bearer {stack.token}"}
    with httpx.Client(base_url=f"http://{stack.host}:{stack.port}", headers=headers, timeout=600) as client:
        started = time.perf_counter()
        answer = client.post("/api/v1/task/submit", json={"task_parameters": parameters}).json()
        if not answer["success"]:
            raise RuntimeError(f"the task was refused: {answer['message']}")
        settings = GenerationSettings(max_queued_jobs=10**9)
        feeder = Feeder(stack.database, settings, 1)
        generator = Generator(stack.database, settings, TaskTimes(), 1)
        while feeder.cycle() + generator.cycle():
            pass
        seconds = time.perf_counter() - started
    made = stack.database.fetch("SELECT n_jobs FROM tasks WHERE jedi_task_id = %(id)s", {"id": answer["data"]})
    if made[0]["n_jobs"] != jobs:
        raise RuntimeError(f"{made[0]['n_jobs']} jobs were made of {jobs}")
    return seconds


def _task(name: str, jobs: int, *, with_files: bool) -> dict[str, Any]:
    """The dictionary of prun (client-wire.md 4.1): one input and one output for each job, and its log."""
    out = f"{name}.$JEDITASKID._${{SN/P}}.out.txt"
    source = (
        {"type": "template", "param_type": "input", "value": '-i "${IN/T}"', "dataset": f"{name}/", "expand": True}
        if with_files
        else {"type": "template", "param_type": "pseudo_input", "value": "${SEQNUMBER}", "dataset": "seq_number"}
    )
    outputs = {"dataset": f"{name}_out.txt/", "container": f"{name}_out.txt/"}
    log = {"dataset": f"{name}.log/", "container": f"{name}.log/"}
    return {
        "taskName": f"{name}.task/",
        "uniqueTaskName": True,
        "vo": "bench",
        "processingType": "panda-client-2.2.0-jedi-run",
        "prodSourceLabel": "user",
        # all jobs at once, not ten first
        "skipScout": True,
        "cliParams": "prun --exec ...",
        "sourceURL": "http://127.0.0.1",
        "log": {**log, "type": "template", "param_type": "log", "value": f"{name}.log.$JEDITASKID.${{SN}}.log.tgz"},
        "jobParameters": [
            {"type": "constant", "value": '-j "" --sourceURL ${SURL} -r .'},
            {"type": "constant", "value": "-a jobO.bench.tar.gz"},
            {"type": "template", "param_type": "output", "value": out, "hidden": True, **outputs},
            {"type": "constant", "value": f"-o \"{{'out.txt': '{out}'}}\""},
            source,
            {"type": "constant", "value": '-p "./run.sh"'},
        ],
        **({"nFilesPerJob": 1, "dsForIN": f"{name}/"} if with_files else {"nEvents": jobs, "nEventsPerJob": 1}),
        **({} if with_files else {"noInput": True}),
    }
