"""Cuts the next pieces of ready input, in order, without looking at more of it than they need. Makes no job.

The last piece of what was read is held back while more ready input follows it, so that where a reading ends does not show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.brokerage.capacity import Capacity, capacities
from core.database import Row, Transaction
from core.taskengine.dialects.definition import MAX_FILES_PER_JOB, SplitRule, TaskDefinition
from core.taskengine.making.ready_input import ready_files
from core.taskengine.making.splitting import InputFile, Room, cut
from core.taskengine.making.streams import COMPLETE, PARENT
from core.workload_settings import GenerationSettings

FILES_AT_ONCE = GenerationSettings().files_per_cycle
MOST_FILES_IN_ALL = 1000
"""Files of one job over all datasets, where nobody says how large jobs shall be (domain.md 3.4)."""
MOST_BYTES, MOST_BYTES_OF_SCOUTS = 500 * 10**9, 50 * 10**9
"""The same of the size of its input."""

# ix_task_datasets_task, ix_task_files_status
_IS_OPEN = """
SELECT 1 WHERE EXISTS (
    SELECT 1 FROM task_datasets WHERE jedi_task_id = %(id)s AND type = %(parent)s AND status <> %(complete)s)
  OR EXISTS (SELECT 1 FROM task_files WHERE jedi_task_id = %(id)s AND status = 'staging')
"""


@dataclass(frozen=True)
class Bunch:
    """Pieces to make jobs of now."""

    pieces: list[list[InputFile]]
    is_more: bool
    """Whether ready input is left that further jobs can be made of at once."""
    is_open: bool = False
    """Whether a parent still adds input, or some comes from tape."""
    n_fresh: int = 0
    """Pieces with input that no job has had."""
    leaves_out_rest: bool = False
    """The limit on the number of jobs is reached: what no job has had is no input of the task."""
    cut_for: str = ""
    """The queue whose limits made the pieces as small as they are."""


def next_bunch(
    transaction: Transaction, task: Row, definition: TaskDefinition, most: int, *, are_scouts: bool = False
) -> Bunch:
    """At most so many pieces, from the first ready file on. `are_scouts`: jobs that measure read less."""
    task_id = task["jedi_task_id"]
    is_open = transaction.fetch_one(_IS_OPEN, {"id": task_id, "parent": PARENT, "complete": COMPLETE}) is not None
    rule, places = _default_size(transaction, task, definition)
    most_bytes = MOST_BYTES_OF_SCOUTS if are_scouts else MOST_BYTES
    are_numbers = definition.master.kind == "pseudo_input" and not definition.master.pfns
    wanted = 1 + (most if are_numbers else min(FILES_AT_ONCE, most * largest_piece(rule)))
    while True:
        files = ready_files(transaction, task_id, wanted)
        is_cut_off = len(files) >= wanted
        pieces, place = (
            ([[file] for file in files], "") if are_numbers else _cut_to_fit(files, rule, places, most_bytes)
        )
        if are_numbers:
            break
        if pieces and is_cut_off:
            if len(pieces) == 1:
                # one piece is larger than all that was read
                wanted *= 2
                continue
            pieces.pop()
        elif pieces and is_open and not is_whole_piece(pieces[-1], rule):
            pieces.pop()
        break
    taken = pieces[:most]
    bunch = _limited(task, rule, taken, is_more=is_cut_off or len(taken) < len(pieces), is_open=is_open)
    return replace(bunch, cut_for=place)


def _default_size(
    transaction: Transaction, task: Row, definition: TaskDefinition
) -> tuple[SplitRule, Sequence[Capacity]]:
    """For a task that says nothing of the size of its jobs: as large as the queues that would take them allow, within
    the default caps (domain.md 3.4)."""
    rule = definition.split
    if rule.has_size or definition.master.kind == "pseudo_input":
        return rule, ()
    others = [stream for stream in definition.inputs if stream is not definition.master and not stream.is_whole]
    beside = sum(stream.files_per_job or 0 for stream in others)
    per_file = 1 + sum(stream.ratio or 1 for stream in others if not stream.files_per_job and stream.kind == "input")
    most = max(1, (MOST_FILES_IN_ALL - beside) // per_file)
    sized = replace(rule, max_files_per_job=min(rule.max_files_per_job, most))
    return sized, capacities(transaction, task, definition)


def _cut_to_fit(
    files: Sequence[InputFile], rule: SplitRule, places: Sequence[Capacity], most_bytes: int
) -> tuple[list[list[InputFile]], str]:
    """Pieces for the best queue, and its name if it is what made them smaller."""
    pieces = cut(files, rule, Room(most_bytes))
    if not places:
        return pieces, ""
    best = places[0]
    room = most_bytes if best.max_input_bytes is None else min(most_bytes, best.max_input_bytes)
    fitting = cut(files, rule, Room(room, best.max_events))
    return fitting, best.queue_name if len(fitting) > len(pieces) else ""


def largest_piece(rule: SplitRule) -> int:
    """Files of one piece at most."""
    if rule.keeps_boundaries_whole:
        return MAX_FILES_PER_JOB
    if rule.files_per_job and not rule.events_per_job:
        return rule.files_per_job
    return max(1, rule.max_files_per_job)


def is_whole_piece(piece: Sequence[InputFile], rule: SplitRule) -> bool:
    """Whether nothing that may still come could join a piece."""
    wanted = rule.events_per_job or (0 if rule.files_per_job or rule.bytes_per_job else rule.target_events)
    if wanted:
        return piece[-1].is_part or sum(file.n_events for file in piece) >= wanted
    return len(piece) >= largest_piece(rule)


def _limited(task: Row, rule: SplitRule, pieces: list[list[InputFile]], *, is_more: bool, is_open: bool) -> Bunch:
    """Obey the limit on the number of jobs: pieces that are tried again do not count."""
    is_fresh = [any(file.attempt_nr == 0 for file in piece) for piece in pieces]
    n_fresh = sum(is_fresh)
    if rule.max_jobs is None or task["n_pieces"] + n_fresh < rule.max_jobs:
        return Bunch(pieces, is_more, is_open, n_fresh)
    free = max(0, rule.max_jobs - task["n_pieces"])
    kept: list[list[InputFile]] = []
    for piece, fresh in zip(pieces, is_fresh, strict=True):
        # what was tried before goes on without what no job may have any more
        allowed = [file for file in piece if file.attempt_nr] if fresh and free <= 0 else piece
        free -= fresh
        if allowed:
            kept.append(allowed)
    left = len(kept) < len(pieces) or is_more or n_fresh > max(0, rule.max_jobs - task["n_pieces"])
    n_kept = min(n_fresh, max(0, rule.max_jobs - task["n_pieces"]))
    return Bunch(kept, is_more, is_open, n_kept, leaves_out_rest=left)
