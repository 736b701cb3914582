"""What the input of a task holds: looks it up and keeps it in `task_files`. Knows no job."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from core.database import Row, Transaction
from core.dataservice.catalogue import find_dataset
from core.errors import InvalidInput, UnknownObject
from core.patterns import users_patterns
from core.taskengine.dialects.definition import InputStream, SplitRule, TaskDefinition
from core.taskengine.dialects.reading import definition_of
from core.taskengine.making.streams import register_streams
from core.taskengine.status import lock_task

MAX_ROWS_PER_TASK = 1_000_000
_PATTERN_LIMIT_S = 5.0

# uq_files_dataset_lfn
_FILES = """
SELECT file_id, lfn, guid, size_bytes, checksum, n_events FROM files
WHERE dataset_id = %(dataset_id)s
  AND (%(wanted)s::text[] = '{}' OR lfn = ANY(%(wanted)s))
  AND (%(include)s::text[] = '{}' OR lfn ~ ANY(%(include)s))
  AND NOT lfn ~ ANY(%(exclude)s::text[])
ORDER BY file_id
"""

# ix_task_files_status
_USED_ELSEWHERE = """
SELECT DISTINCT catalogue_file_id FROM task_files
WHERE jedi_task_id = ANY(%(tasks)s) AND status IN ('ready', 'running', 'finished') AND catalogue_file_id IS NOT NULL
"""
# ix_task_files_dataset
_KNOWN = "SELECT dataset_id, lfn, n_events, position FROM task_files WHERE dataset_id = ANY(%(datasets)s)"

_INSERT = """
INSERT INTO task_files (jedi_task_id, dataset_id, position, catalogue_file_id, lfn, scope, guid, size_bytes, checksum,
                        n_events, start_event, end_event, max_attempt)
VALUES %s
"""


@dataclass(frozen=True)
class _Entry:
    """A row to be: a file, a part of one, a number or a given PFN."""

    dataset_id: int
    position: int
    lfn: str
    n_events: int = 0
    start_event: int | None = None
    file: Row | None = None
    scope: str = ""


def feed_contents(transaction: Transaction, task_id: int) -> int:
    """Add what is in the input of a task and not in `task_files` yet, as `ready`; returns how many rows came.

    Datasets that the parameters name by now are added too. Raises InvalidInput or UnknownObject naming the field.
    """
    task = lock_task(transaction, task_id)
    definition = definition_of(task)
    datasets = register_streams(transaction, task, definition)
    rows: list[tuple[object, ...]] = []
    for stream in definition.inputs:
        if stream.is_whole or (stream.kind == "pseudo_input" and stream is not definition.master):
            continue
        own = [row for row in datasets if row["stream"] == stream.name and row["type"] == stream.kind]
        entries = _new_entries(transaction, definition, stream, own, task["parent_tid"])
        # one too many is enough to know: a few numbers can ask for more pieces than there is memory
        rows += [_row(task_id, entry, definition.max_attempt) for entry in islice(entries, MAX_ROWS_PER_TASK + 1)]
        if len(rows) > MAX_ROWS_PER_TASK:
            raise InvalidInput(
                f"the input makes more than {MAX_ROWS_PER_TASK} pieces",
                field="nEventsPerJob" if definition.split.events_per_job else "nFiles",
                remedy="put more into a job, or take less input",
            )
    transaction.insert_many(_INSERT, rows)
    return len(rows)


def _row(task_id: int, entry: _Entry, max_attempt: int) -> tuple[object, ...]:
    file = entry.file or {}
    end = None if entry.start_event is None else entry.start_event + entry.n_events - 1
    return (
        *(task_id, entry.dataset_id, entry.position, file.get("file_id"), entry.lfn, entry.scope),
        *(file.get("guid", ""), file.get("size_bytes"), file.get("checksum", "")),
        *(entry.n_events, entry.start_event, end, max_attempt),
    )


def _new_entries(
    transaction: Transaction, definition: TaskDefinition, stream: InputStream, datasets: list[Row], parent: int | None
) -> Iterator[_Entry]:
    known = transaction.fetch(_KNOWN, {"datasets": [row["dataset_id"] for row in datasets]})
    is_master = stream is definition.master
    if stream.kind == "pseudo_input":
        yield from _pseudo_entries(stream, definition.split, datasets[0]["dataset_id"], known)
        return
    files = _files(transaction, definition, stream, datasets, may_be_empty=parent is not None)
    seen = {(row["dataset_id"], row["lfn"]) for row in known}
    fresh = [(dataset, file) for dataset, file in files if (dataset["dataset_id"], file["lfn"]) not in seen]
    if is_master:
        limit = definition.split.max_files
        fresh = fresh[: max(0, limit - len(seen))] if limit else fresh
        events = sum(row["n_events"] for row in known)
        yield from _numbered(_in_ranges(fresh, definition.split, events), start=len(known) + 1)
    else:
        yield from _numbered(((dataset, file, 0, None) for dataset, file in fresh), start=len(known) + 1)


_Piece = tuple[Row, Row, int, int | None]


def _numbered(pieces: Iterator[_Piece], start: int) -> Iterator[_Entry]:
    for position, (dataset, file, n_events, first) in enumerate(pieces, start=start):
        yield _Entry(dataset["dataset_id"], position, file["lfn"], n_events, first, file, file["scope"])


def _in_ranges(files: list[tuple[Row, Row]], rule: SplitRule, used_events: int) -> Iterator[_Piece]:
    """Files as they are, or in parts of `events_per_job` events; `max_events` ends it. Raises InvalidInput."""
    left = None if rule.max_events is None else rule.max_events - used_events
    for dataset, file in files:
        if left is not None and left <= 0:
            return
        events = rule.events_per_file or file["n_events"]
        if events is None:
            _check_that_events_do_not_matter(rule, file["lfn"])
            yield dataset, file, 0, None
            continue
        available = events if left is None else min(events, left)
        size = rule.events_per_job or available
        if available == events <= size:
            yield dataset, file, available, None
        else:
            for first in range(0, available, size):
                yield dataset, file, min(size, available - first), first
        left = None if left is None else left - available


def _check_that_events_do_not_matter(rule: SplitRule, lfn: str) -> None:
    for name, value in (("nEventsPerJob", rule.events_per_job), ("nEvents", rule.max_events)):
        if value:
            raise InvalidInput(
                f"the number of events in {lfn[:200]!r} is not known",
                field=name,
                remedy="give nEventsPerFile too, or register the dataset with n_events of every file",
            )


def _pseudo_entries(stream: InputStream, rule: SplitRule, dataset_id: int, known: list[Row]) -> Iterator[_Entry]:
    if stream.pfns:
        seen = {row["lfn"] for row in known}
        wanted = stream.pfns[: rule.max_files] if rule.max_files else stream.pfns
        for position, pfn in enumerate(wanted, start=1):
            if pfn not in seen:
                yield _Entry(dataset_id, position, pfn)
        return
    per_job, left = rule.events_per_job or rule.max_events or 0, rule.max_events or 0
    taken = {row["position"] for row in known}
    for index in range(stream.numbers):
        number = stream.offset + index
        if number not in taken:
            yield _Entry(dataset_id, number, str(number), max(0, min(per_job, left - index * per_job)))


def _files(
    transaction: Transaction,
    definition: TaskDefinition,
    stream: InputStream,
    datasets: list[Row],
    *,
    may_be_empty: bool,
) -> list[tuple[Row, Row]]:
    """(task dataset, file with its scope) in order, patterns and offset applied. Raises when there is nothing."""
    used = set()
    if definition.skips_files_of and stream is definition.master:
        values = {"tasks": list(definition.skips_files_of)}
        used = {row["catalogue_file_id"] for row in transaction.fetch(_USED_ELSEWHERE, values)}
    # files of one name are dealt to different jobs if they drive the splitting; beside others only one can stand
    key = "file_id" if stream is definition.master else "lfn"
    found: dict[object, tuple[Row, Row]] = {}
    for dataset in datasets:
        present = find_dataset(transaction, dataset["name"])
        if present is None:
            raise _unknown(dataset["name"], stream.field)
        for file in _matching(transaction, present["dataset_id"], stream):
            if file["file_id"] not in used:
                found.setdefault(file[key], (dataset, {**file, "scope": present["scope"]}))
    files = list(found.values())[stream.offset :]
    if not files and not may_be_empty:
        raise _nothing(stream, any_file=bool(found))
    if definition.split.skips_empty_files and stream is definition.master:
        return _with_events(files, may_be_empty=may_be_empty)
    return files


def _with_events(files: list[tuple[Row, Row]], *, may_be_empty: bool) -> list[tuple[Row, Row]]:
    """Without the files that are known to hold no event."""
    kept = [(dataset, file) for dataset, file in files if file["n_events"] != 0]
    if not kept and not may_be_empty:
        raise InvalidInput(
            f"none of the {len(files)} files holds an event", field="skipEmptyInput", remedy="choose others"
        )
    return kept


def _unknown(name: str, field: str) -> UnknownObject:
    return UnknownObject(
        f"there is no dataset {name[:200]!r}", field=field, remedy="register it with POST /api/control/datasets"
    )


def _nothing(stream: InputStream, *, any_file: bool) -> InvalidInput:
    names = ", ".join(stream.datasets)[:200]
    if any_file:
        where = stream.field.removesuffix(".dataset") + ".offset"
        return InvalidInput(f"{stream.offset} files are skipped and none is left", field=where, remedy="skip fewer")
    chosen = stream.include or stream.files or len(stream.exclude) > 1
    said = f"no file of {names!r} fits" if chosen else f"dataset {names!r} is empty"
    return InvalidInput(said, field=stream.field, remedy="register files with it, or choose others")


def _matching(transaction: Transaction, dataset_id: int, stream: InputStream) -> list[Row]:
    values = {
        "dataset_id": dataset_id,
        "wanted": list(stream.files),
        "include": list(stream.include),
        "exclude": list(stream.exclude),
    }
    where = stream.field.removesuffix(".dataset") + (".include" if stream.include else ".exclude")
    with users_patterns(transaction, where, _PATTERN_LIMIT_S):
        return transaction.fetch(_FILES, values)
