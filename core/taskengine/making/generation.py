"""Makes jobs of the input of a task that is ready, a bunch at a time (domain.md 3.1: JobGenerator). Knows no command.

Whoever calls holds the live jobs of the task if it needs them: new jobs are seen by nobody before the transaction ends.
Nothing here costs more for a large task than for a small one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from core.database import Row, Transaction
from core.errors import InvalidInput
from core.queues import check_queue_exists
from core.states import GENERATING_TASK_STATUSES, TaskStatus
from core.taskbuffer.submission import NewJob, check_job, insert_jobs
from core.taskengine.dialects.definition import TaskDefinition
from core.taskengine.dialects.house import check_places
from core.taskengine.dialects.reading import definition_of
from core.taskengine.making.building import is_build_hopeless, library_of
from core.taskengine.making.closing import end_if_idle, settle
from core.taskengine.making.job import Library, Piece, make_job
from core.taskengine.making.merging import is_all_run, merge_jobs
from core.taskengine.making.pieces import Bunch, next_bunch
from core.taskengine.making.ready_input import enough_events, least_used, whole_datasets
from core.taskengine.making.splitting import Companions, InputFile, events_wanted
from core.taskengine.scouting.gate import DEFAULT_SCOUTS, as_scouts, begin_scouting, jobs_allowed
from core.taskengine.status import change_status, lock_task
from core.workload_settings import GenerationSettings, ScoutSettings

JOBS_AT_ONCE = GenerationSettings().jobs_per_cycle
GATE_RETRY_S = 60.0
"""When a task whose scouts are out is looked at again, should nobody have woken it."""
MAKING_TASK_STATUSES = GENERATING_TASK_STATUSES - {TaskStatus.DEFINED, TaskStatus.ASSIGNING}
"""States in which jobs are made: input that is still being listed is not cut, nor that of a task whose destination is being
chosen."""

# primary key
_GIVE = """
UPDATE task_files f SET status = 'running', attempt_nr = f.attempt_nr + 1, panda_id = v.panda_id
FROM unnest(%(file_ids)s::bigint[], %(panda_ids)s::bigint[]) AS v (file_id, panda_id) WHERE f.file_id = v.file_id
"""
_LEND = """
UPDATE task_files f SET attempt_nr = f.attempt_nr + v.times
FROM unnest(%(file_ids)s::bigint[], %(times)s::bigint[]) AS v (file_id, times) WHERE f.file_id = v.file_id
"""
_COUNT = """
UPDATE tasks SET next_serial = next_serial + %(serials)s, n_jobs = n_jobs + %(jobs)s, n_pieces = n_pieces + %(fresh)s,
                 frozen_time = NULL
WHERE jedi_task_id = %(id)s
"""
_LOOK_AGAIN = """
UPDATE tasks SET generate_at = clock_timestamp() + make_interval(secs => %(after_s)s) WHERE jedi_task_id = %(id)s
"""
_REST = "UPDATE tasks SET generate_at = NULL WHERE jedi_task_id = %(id)s AND generate_at IS NOT NULL"

# ix_task_datasets_task, ix_task_files_status, which the order keeps
_TO_MERGE = """
SELECT 1 FROM task_datasets d CROSS JOIN LATERAL (
    SELECT 1 FROM task_files f
    WHERE f.jedi_task_id = %(id)s AND f.status = 'ready' AND f.dataset_id = d.dataset_id ORDER BY f.position LIMIT 1) AS first
WHERE d.jedi_task_id = %(id)s AND d.type = 'merge_input'
"""

# ix_task_datasets_task, ix_task_files_status; once for each reading of the input of a task with a limit on its jobs
_LEAVE_OUT = """
WITH gone AS (
    DELETE FROM task_files f USING task_datasets d
    WHERE f.jedi_task_id = %(id)s AND f.status IN ('ready', 'staging') AND f.attempt_nr = 0
      AND d.dataset_id = f.dataset_id AND d.jedi_task_id = %(id)s AND d.is_master
    RETURNING f.dataset_id, f.n_events
), of_datasets AS (
    UPDATE task_datasets d SET n_files = d.n_files - g.files, n_events = d.n_events - g.events
    FROM (SELECT dataset_id, count(*) AS files, sum(n_events) AS events FROM gone GROUP BY dataset_id) g
    WHERE d.dataset_id = g.dataset_id
)
UPDATE tasks SET n_files = n_files - (SELECT count(*) FROM gone) WHERE jedi_task_id = %(id)s
"""
_COUNT_INPUT = """
UPDATE tasks SET n_input_files = (
    SELECT count(DISTINCT f.catalogue_file_id) FROM task_files f JOIN task_datasets d USING (dataset_id)
    WHERE f.jedi_task_id = %(id)s AND d.jedi_task_id = %(id)s AND d.is_master)
WHERE jedi_task_id = %(id)s
"""


@dataclass(frozen=True)
class _Scouting:
    """How many jobs the scouts leave room for; None: scouting does not concern the task."""

    places: int | None
    is_under_way: bool

    def concerns(self, bunch: Bunch) -> bool:
        """Whether the jobs of a bunch are scouts: others of the task come after them."""
        return self.places is not None and (self.is_under_way or bunch.is_more or bunch.is_open)


def generate_jobs(
    transaction: Transaction,
    task_id: int,
    *,
    limit: int | None = None,
    builds_again: bool = True,
    scouts: ScoutSettings = DEFAULT_SCOUTS,
) -> list[int]:
    """Make at most one bunch of jobs (`limit`) of ready input, by the present parameters; returns their PandaIDs.

    The files become `running` under their job. A build job that is needed comes first; after one that failed only
    `builds_again` makes another, else the task is finished with what it has. If input is left, the generator looks at the
    task again; a task that has neither ready input nor live jobs ends as its counts say. In states in which no jobs are
    made nothing happens. Raises InvalidInput, UnknownObject naming the parameter that makes no job.
    """
    task = lock_task(transaction, task_id)
    if TaskStatus(task["status"]) not in MAKING_TASK_STATUSES:
        transaction.execute(_REST, {"id": task_id})
        return []
    definition = definition_of(task)
    scouting = _Scouting(jobs_allowed(transaction, task, definition, scouts), task["status"] == TaskStatus.SCOUTING)
    if scouting.places == 0:
        begin_scouting(transaction, task_id, 0)
        transaction.execute(_LOOK_AGAIN, {"id": task_id, "after_s": GATE_RETRY_S})
        return []
    most = (limit or JOBS_AT_ONCE) if scouting.places is None else scouting.places
    bunch = next_bunch(transaction, task, definition, most, are_scouts=scouting.places is not None)
    if not bunch.pieces:
        _leave_out_rest(transaction, task_id, bunch)
        merges = _merge(transaction, task, definition, most)
        if not merges:
            end_if_idle(transaction, task)
        return merges
    if definition.site:
        check_queue_exists(transaction, definition.site, "site")
    _check_names_of_outputs(task, definition, bunch)
    library, build = library_of(transaction, task, definition)
    if build is not None and not builds_again and is_build_hopeless(transaction, task_id):
        _give_up(transaction, task_id)
        return []
    return _make(transaction, task, definition, bunch, library, build, scouting)


def _make(
    transaction: Transaction,
    task: Row,
    definition: TaskDefinition,
    bunch: Bunch,
    library: Library | None,
    build: NewJob | None,
    scouting: _Scouting,
) -> list[int]:
    task_id = task["jedi_task_id"]
    companions = _companions(transaction, task_id, definition, bunch.pieces)
    pieces = [
        Piece(serial, chunk, {name: group.take(chunk) for name, group in companions.items()})
        for serial, chunk in enumerate(bunch.pieces, start=task["next_serial"])
    ]
    if task["next_serial"] == 1:
        sandbox = [file.lfn for piece in pieces[:1] for file in piece.companions.get("SANDBOX", [])]
        data = [file.lfn for chunk in bunch.pieces for file in chunk if file.catalogue_file_id is not None]
        check_places(definition, data, sandbox)
    runs = [make_job(task, definition, piece, library) for piece in pieces]
    for job in runs:
        check_job(job, "")
    are_scouts = scouting.concerns(bunch)
    runs = as_scouts(runs) if are_scouts else _at_their_places(runs, bunch)
    panda_ids = insert_jobs(transaction, [*([build] if build else []), *runs])
    _give_files(transaction, panda_ids[-len(runs) :], pieces, companions)
    counts = {"serials": len(runs), "jobs": len(panda_ids), "fresh": bunch.n_fresh}
    transaction.execute(_COUNT, {"id": task_id, **counts})
    _leave_out_rest(transaction, task_id, bunch)
    # what ended jobs made is looked at too: it may be enough for a merge job
    waits_to_merge = definition.merge is not None and transaction.fetch_one(_TO_MERGE, {"id": task_id}) is not None
    if bunch.is_more or waits_to_merge:
        transaction.execute(_LOOK_AGAIN, {"id": task_id, "after_s": GATE_RETRY_S if are_scouts else 0.0})
    else:
        transaction.execute(_REST, {"id": task_id})
    if are_scouts:
        begin_scouting(transaction, task_id, len(runs))
    return panda_ids


def _leave_out_rest(transaction: Transaction, task_id: int, bunch: Bunch) -> None:
    if bunch.leaves_out_rest:
        transaction.execute(_LEAVE_OUT, {"id": task_id})
        transaction.execute(_COUNT_INPUT, {"id": task_id})


def _merge(transaction: Transaction, task: Row, definition: TaskDefinition, most: int) -> list[int]:
    """Jobs that merge what the run jobs made, once none of these can be made now; returns their PandaIDs."""
    task_id = task["jedi_task_id"]
    if definition.merge is None:
        transaction.execute(_REST, {"id": task_id})
        return []
    library, _ = library_of(transaction, task, definition)
    is_last = is_all_run(transaction, task_id)
    merges = merge_jobs(transaction, task, definition, library, is_last=is_last, limit=most)
    panda_ids = insert_jobs(transaction, [merge.job for merge in merges])
    pairs = [(row, panda_id) for panda_id, merge in zip(panda_ids, merges, strict=True) for row in merge.file_ids]
    transaction.execute(_GIVE, {"file_ids": [pair[0] for pair in pairs], "panda_ids": [pair[1] for pair in pairs]})
    transaction.execute(_COUNT, {"id": task_id, "serials": len(merges), "jobs": len(merges), "fresh": 0})
    if is_last and merges and task["status"] == TaskStatus.RUNNING:
        change_status(transaction, task_id, TaskStatus.MERGING, who="task engine", reason="its run jobs are through")
    if is_last and len(merges) < most:
        transaction.execute(_REST, {"id": task_id})
    else:
        # what is not enough for a job yet is not forgotten, should nobody wake the task
        transaction.execute(_LOOK_AGAIN, {"id": task_id, "after_s": 0.0 if len(merges) >= most else GATE_RETRY_S})
    return panda_ids


def _at_their_places(jobs: list[NewJob], bunch: Bunch) -> list[NewJob]:
    """Jobs that were cut for a queue go there unless brokerage finds that they cannot."""
    if not bunch.cut_for:
        return jobs
    return [
        job if job.computing_site else replace(job, computing_site=bunch.cut_for, site_is_pinned=False) for job in jobs
    ]


def _check_names_of_outputs(task: Row, definition: TaskDefinition, bunch: Bunch) -> None:
    """Two jobs of different input must not make files of one name."""
    jobs = task["n_pieces"] + bunch.n_fresh
    if not bunch.n_fresh or (jobs <= 1 and not bunch.is_more):
        return
    for output in definition.outputs:
        if not output.has_serial:
            raise InvalidInput(
                f"{output.template!r} is the same for all {'' if bunch.is_more else f'{jobs} '}jobs",
                field=output.field,
                remedy="put ${SN} into the name",
            )


def _companions(
    transaction: Transaction, task_id: int, definition: TaskDefinition, pieces: list[list[InputFile]]
) -> Mapping[str, Companions]:
    """The other streams of input, by name: as many of their files as these pieces take."""
    dealt: dict[str, Companions] = {}
    for stream in definition.inputs:
        if stream is definition.master or stream.kind == "pseudo_input":
            continue
        if stream.is_whole:
            files = whole_datasets(transaction, stream)
            total = len(files)
        elif stream.event_ratio and not stream.files_per_job:
            events = sum(events_wanted(stream, piece) for piece in pieces)
            files, total = enough_events(transaction, task_id, stream, events, len(pieces))
        else:
            wanted = sum(stream.files_per_job or (stream.ratio or 1) * len(piece) for piece in pieces)
            files, total = least_used(transaction, task_id, stream, wanted)
        dealt[stream.name] = Companions(stream, files, may_repeat=definition.reuses_on_demand, total=total)
    return dealt


def _give_files(
    transaction: Transaction, panda_ids: list[int], pieces: list[Piece], companions: Mapping[str, Companions]
) -> None:
    given = [
        (file.file_id, panda_id) for panda_id, piece in zip(panda_ids, pieces, strict=True) for file in piece.master
    ]
    transaction.execute(_GIVE, {"file_ids": [pair[0] for pair in given], "panda_ids": [pair[1] for pair in given]})
    lent = {file_id: times for group in companions.values() for file_id, times in group.used.items() if file_id}
    if lent:
        transaction.execute(_LEND, {"file_ids": list(lent), "times": list(lent.values())})


def _give_up(transaction: Transaction, task_id: int) -> None:
    """The library could not be made: what is left cannot run."""
    reason = "its build job did not make the library"
    change_status(transaction, task_id, TaskStatus.FINISHING, who="task engine", reason=reason)
    settle(transaction, task_id)
