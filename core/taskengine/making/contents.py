"""What the input of a task holds: looks it up and keeps it in `task_files`, page by page. Knows no job.

How far it has come stands in `task_datasets` and moves in the transaction that adds the rows: whoever goes on begins there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from core.database import Row, Transaction
from core.errors import InvalidInput
from core.taskengine.dialects.definition import InputStream, TaskDefinition
from core.taskengine.dialects.reading import definition_of
from core.taskengine.making import input_pages
from core.taskengine.making.event_ranges import check_events_are_known, count_ranges, events_not_known, ranges_of
from core.taskengine.making.input_pages import Source
from core.taskengine.making.pieces import largest_piece
from core.taskengine.making.progress import recount
from core.taskengine.making.reopened import go_on_opening
from core.taskengine.making.streams import COMPLETE, PARENT, TO_BE_FED, register_streams
from core.taskengine.on_tape import TapeHold
from core.taskengine.status import lock_task
from core.wording import are
from core.workload_settings import GenerationSettings

MAX_ROWS_PER_TASK = 10_000_000
FILES_AT_ONCE = GenerationSettings().files_per_cycle
_ROWS_PER_INSERT = 2000

_INSERT = """
INSERT INTO task_files (jedi_task_id, dataset_id, position, catalogue_file_id, lfn, scope, guid, size_bytes, checksum,
                        n_events, start_event, end_event, boundary_id, first_event, max_attempt, max_failure, status)
VALUES %s
"""

# ix_task_datasets_task; what was read once is read again: from its beginning, or only what came behind
_READ_AGAIN = """
UPDATE task_datasets SET status = %(to_be_fed)s,
    feed_cursor = CASE WHEN %(from_beginning)s AND type = 'input' THEN 0 ELSE feed_cursor END,
    n_skipped = CASE WHEN %(from_beginning)s AND type = 'input' THEN 0 ELSE n_skipped END
WHERE jedi_task_id = %(id)s AND type IN ('input', 'pseudo_input') AND status <> %(to_be_fed)s
"""
# primary keys
_MOVE = """
UPDATE task_datasets SET feed_cursor = %(feed_cursor)s, n_files = %(n_files)s, n_events = %(n_events)s,
                         n_skipped = %(n_skipped)s, status = %(status)s
WHERE dataset_id = %(dataset_id)s
"""
_COUNT = """
UPDATE tasks SET n_files = n_files + %(rows)s, n_input_files = n_input_files + %(files)s WHERE jedi_task_id = %(id)s
"""
# ix_task_files_dataset
_PFNS = "SELECT lfn FROM task_files WHERE dataset_id = %(id)s"
# ix_task_datasets_task
_WAITS = """
SELECT coalesce(bool_or(status = %(to_be_fed)s), false)
       AND NOT coalesce(bool_or(type = %(parent)s AND status <> %(complete)s), false) AS waits
FROM task_datasets WHERE jedi_task_id = %(id)s
"""


@dataclass(frozen=True)
class Fed:
    """What one feeding did: rows that came, and whether all of the input is there now."""

    rows: int
    is_complete: bool


@dataclass
class _Feed:
    """One feeding under way."""

    transaction: Transaction
    task: Row
    definition: TaskDefinition
    limit: int
    hold: TapeHold
    is_partial: bool = False
    """Whether more is to come: nothing so far is no mistake then."""
    came: int = 0
    n_lost: int = 0
    """Rows that failed before any job had them: their files could not be brought from tape."""
    master_rows: int = 0
    master_files: int = 0
    waiting: list[tuple[object, ...]] = field(default_factory=list)

    def add(
        self, dataset: Row, stream: InputStream, values: tuple[object, ...], events: int, boundary_id: str = ""
    ) -> None:
        """One more row; `values` are those of the columns between position and boundary_id."""
        known = self.definition
        first_event = dataset["events_before"] if stream is known.master else 0
        row = (self.task["jedi_task_id"], dataset["dataset_id"], *values)
        self.waiting.append((*row, boundary_id, first_event, known.max_attempt, known.max_failure))
        dataset["n_files"] += 1
        dataset["n_events"] += events
        dataset["events_before"] += events
        self.came += 1
        self.master_rows += stream is known.master
        self.check_room(0)
        if len(self.waiting) >= _ROWS_PER_INSERT:
            self.flush()

    @property
    def may_be_empty(self) -> bool:
        """Whether input that holds nothing is no mistake."""
        return self.is_partial or self.task["parent_tid"] is not None or self.definition.allows_empty_input

    def check_room(self, pieces: int) -> None:
        """Raise InvalidInput when so many more pieces are more than the system takes."""
        if self.task["n_files"] + self.master_rows + pieces > MAX_ROWS_PER_TASK:
            raise too_many_pieces(self.definition)

    def flush(self) -> None:
        """Write what waits."""
        statuses = self.hold.statuses(self.waiting)
        rows = [(*row, status) for row, status in zip(self.waiting, statuses, strict=True)]
        self.transaction.insert_many(_INSERT, rows)
        self.n_lost += statuses.count("failed")
        self.waiting.clear()

    def move(self, dataset: Row, cursor: int, *, is_complete: bool) -> None:
        """Keep how far a dataset was read, and what was counted."""
        self.flush()
        dataset.update(feed_cursor=cursor, status=COMPLETE if is_complete else TO_BE_FED)
        self.transaction.execute(_MOVE, dataset)


def too_many_pieces(definition: TaskDefinition) -> InvalidInput:
    """The refusal of input that makes more pieces than the system takes."""
    return InvalidInput(
        f"the input makes more than {MAX_ROWS_PER_TASK} pieces",
        field="nEventsPerJob" if definition.split.events_per_job else "nFiles",
        remedy="put more into a job, or take less input",
    )


def feed_contents(
    transaction: Transaction, task_id: int, *, limit: int = FILES_AT_ONCE, again: bool = False, further: bool = False
) -> Fed:
    """Add what is in the input of a task and not in `task_files` yet, as `ready`, or as `staging` where it must come from
    tape: about `limit` files of each stream.

    What a command began to open again is gone on with. Datasets that the parameters name by now are added too. `again`:
    read all of it once more from the beginning, as input may have come since; `further`: only what came behind. Raises
    InvalidInput or UnknownObject naming the field.
    """
    task = lock_task(transaction, task_id)
    definition = definition_of(task)
    if again or further:
        # in an order of its own, what came since is not behind what was read
        from_beginning = again or any(input_pages.is_ordered(stream) for stream in definition.inputs)
        values = {"id": task_id, "to_be_fed": TO_BE_FED, "from_beginning": from_beginning}
        transaction.execute(_READ_AGAIN, values)
    datasets = register_streams(transaction, task, definition)
    feed = _Feed(transaction, task, definition, limit, TapeHold(transaction, task, datasets), is_partial=further)
    is_complete = go_on_opening(transaction, task_id)
    for stream in definition.inputs:
        own = [row for row in datasets if row["stream"] == stream.name and row["type"] == stream.kind]
        is_complete &= _feed_stream(feed, stream, own)
    if feed.master_rows:
        values = {"id": task_id, "rows": feed.master_rows, "files": feed.master_files}
        transaction.execute(_COUNT, values)
    if feed.n_lost:
        recount(transaction, task_id)
    return Fed(feed.came, is_complete)


def waits_for_feeder(transaction: Transaction, task_id: int) -> bool:
    """Whether a part of the input of a task must still be read; who follows a parent is fed with that."""
    values = {"id": task_id, "to_be_fed": TO_BE_FED, "parent": PARENT, "complete": COMPLETE}
    return bool(transaction.fetch(_WAITS, values)[0]["waits"])


def _feed_stream(feed: _Feed, stream: InputStream, datasets: list[Row]) -> bool:
    """Feed one stream, and tell whether it is complete."""
    events = sum(row["n_events"] for row in datasets)
    for row in datasets:
        row["events_before"] = events
    if stream.is_whole or (stream.kind == "pseudo_input" and stream is not feed.definition.master):
        if stream.kind == "input":
            input_pages.sources_of(feed.transaction, feed.definition, stream, datasets)
        for row in datasets:
            if row["status"] == TO_BE_FED:
                feed.move(row, row["feed_cursor"], is_complete=True)
        return True
    if not any(row["status"] == TO_BE_FED for row in datasets):
        return True
    if stream.kind == "pseudo_input":
        return _feed_given(feed, stream, datasets[0]) if stream.pfns else _feed_numbers(feed, stream, datasets[0])
    return _FilesOfStream(feed, stream, datasets).feed()


def _feed_given(feed: _Feed, stream: InputStream, dataset: Row) -> bool:
    most = feed.definition.split.max_files
    wanted = stream.pfns[:most] if most else stream.pfns
    known = {row["lfn"] for row in feed.transaction.fetch(_PFNS, {"id": dataset["dataset_id"]})}
    for position, pfn in enumerate(wanted, start=1):
        if pfn not in known:
            feed.add(dataset, stream, (position, None, pfn, "", "", None, "", 0, None, None), 0)
    feed.move(dataset, len(wanted), is_complete=True)
    return True


def _feed_numbers(feed: _Feed, stream: InputStream, dataset: Row) -> bool:
    rule = feed.definition.split
    per_job, total = rule.events_per_job or rule.max_events or 0, rule.max_events or 0
    # what a limit on the number of jobs would leave out again
    count = min(stream.numbers, rule.max_jobs or stream.numbers)
    begin = dataset["feed_cursor"]
    end = min(count, begin + feed.limit)
    for index in range(begin, end):
        number, events = stream.offset + index, max(0, min(per_job, total - index * per_job))
        feed.add(dataset, stream, (number, None, str(number), "", "", None, "", events, None, None), events)
    is_complete = bool(end >= count)
    feed.move(dataset, max(begin, end), is_complete=is_complete)
    return is_complete


class _FilesOfStream:
    """The files of a stream of input, dataset after dataset."""

    def __init__(self, feed: _Feed, stream: InputStream, datasets: list[Row]) -> None:
        self._feed = feed
        self._stream = stream
        self._is_master = stream is feed.definition.master
        self._sources = input_pages.sources_of(feed.transaction, feed.definition, stream, datasets)
        present = {source.row["dataset_id"] for source in self._sources}
        for row in datasets:
            if row["dataset_id"] not in present and row["status"] == TO_BE_FED:
                feed.move(row, row["feed_cursor"], is_complete=True)
        # one more than the page, so that input that just fits is seen to be complete
        self._budget = feed.limit + 1
        self._rows_before = feed.came

    def feed(self) -> bool:
        """Read on; whether all of it is there. Raises InvalidInput when all of it is nothing."""
        for at, source in enumerate(self._sources):
            if source.row["status"] == TO_BE_FED and not self._feed_source(at, source):
                break
        is_complete = all(source.row["status"] != TO_BE_FED for source in self._sources)
        if not self._feed.may_be_empty and not any(source.row["n_files"] for source in self._sources):
            if is_complete:
                raise self._nothing()
            input_pages.check_anything_fits(self._feed.transaction, self._stream, self._sources)
        return is_complete

    def _feed_source(self, at: int, source: Source) -> bool:
        """Whether the dataset is read to its end."""
        if source.is_repeated or self._is_enough():
            self._feed.move(source.row, source.row["feed_cursor"], is_complete=True)
            return True
        limit = self._budget
        if limit <= 0:
            return False
        known = self._feed.definition
        seed = self._feed.task["jedi_task_id"]
        page = input_pages.read_page(self._feed.transaction, known, self._stream, self._sources, at, limit, seed=seed)
        self._budget -= page.n_read
        cursor, is_end = page.last_file_id, page.n_read < limit
        for file in self._fresh(source, page.chosen):
            self._add(source, file)
            if self._is_enough():
                is_end = True
                break
            if self._feed.came - self._rows_before > self._feed.limit:
                # a file of many events may be many rows
                cursor, is_end, self._budget = file["file_id"], False, 0
                break
        self._feed.move(source.row, cursor, is_complete=is_end)
        return is_end

    def _fresh(self, source: Source, chosen: list[Row]) -> Iterator[Row]:
        known = set()
        if source.row["n_files"] and chosen:
            known = input_pages.known_names(self._feed.transaction, source.row["dataset_id"], chosen)
        before = sum(other.row["n_skipped"] for other in self._sources)
        return (
            file
            for file in input_pages.skip(chosen, source, self._stream.offset, before)
            if file["lfn"] not in known and not self._is_left_out(file)
        )

    def _is_left_out(self, file: Row) -> bool:
        return self._is_master and self._feed.definition.split.skips_empty_files and file["n_events"] == 0

    def _is_enough(self) -> bool:
        """Whether a limit on files or events ends the input here."""
        if not self._is_master:
            return False
        rule = self._feed.definition.split
        files = self._feed.task["n_input_files"] + self._feed.master_files
        if rule.max_files and files >= rule.max_files:
            return True
        rows = sum(int(source.row["n_files"]) for source in self._sources)
        if rule.max_jobs and rows >= rule.max_jobs * largest_piece(rule):
            return True
        return bool(rule.max_events) and self._events() >= (rule.max_events or 0)

    def _events(self) -> int:
        return sum(int(source.row["n_events"]) for source in self._sources)

    def _add(self, source: Source, file: Row) -> None:
        rule = self._feed.definition.split
        facts = (file["file_id"], file["lfn"], source.scope, file["guid"], file["size_bytes"], file["checksum"])
        position = sum(other.row["n_files"] for other in self._sources) + 1
        if not self._is_master:
            events = file["n_events"] or 0
            if self._stream.event_ratio and file["n_events"] is None:
                raise events_not_known(file["lfn"], self._stream.field.removesuffix(".dataset") + ".eventRatio")
            self._feed.add(source.row, self._stream, (position, *facts, events, None, None), events)
            return
        self._feed.master_files += 1
        boundary_id = file["boundary_id"]
        available = rule.events_per_file or file["n_events"]
        if available is None:
            check_events_are_known(rule, file["lfn"])
            self._feed.add(source.row, self._stream, (position, *facts, 0, None, None), 0, boundary_id)
            return
        left = None if rule.max_events is None else rule.max_events - self._events()
        source.row["events_before"] = self._events()
        # a few numbers can ask for more pieces than there is room: said before any is made
        self._feed.check_room(count_ranges(available, left, rule))
        for events, start in ranges_of(available, left, rule):
            end = None if start is None else start + events - 1
            self._feed.add(source.row, self._stream, (position, *facts, events, start, end), events, boundary_id)
            position += 1

    def _nothing(self) -> InvalidInput:
        stream, rule = self._stream, self._feed.definition.split
        if any(source.row["n_skipped"] for source in self._sources):
            where = stream.field.removesuffix(".dataset") + ".offset"
            said = f"{are(stream.offset, 'file')} skipped and none is left"
            return InvalidInput(said, field=where, remedy="skip fewer")
        if self._is_master and rule.skips_empty_files and not self._feed.definition.skips_files_of:
            input_pages.check_anything_fits(self._feed.transaction, stream, self._sources)
            return InvalidInput("none of the files holds an event", field="skipEmptyInput", remedy="choose others")
        return input_pages.nothing_fits(stream)
