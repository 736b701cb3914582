"""Reads the datasets of the catalogue that a task takes as input, page by page (domain.md 3.1: ContentsFeeder).

Knows patterns, offsets and what a task has already; does not know how files are cut nor that anything is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from core.database import Row, Transaction
from core.dataservice.catalogue import find_dataset
from core.errors import InvalidInput, UnknownObject
from core.patterns import users_patterns
from core.taskengine.dialects.definition import InputOrder, InputStream, TaskDefinition

_PATTERN_LIMIT_S = 5.0

# ix_files_dataset gives the page; names are looked at in it only. A name that an earlier dataset of the stream has stands
# for that one (uq_files_dataset_lfn): patterns look at names alone, so that file was chosen as well.
_CHOSEN = """
SELECT p.file_id, p.lfn, p.guid, p.size_bytes, p.checksum, p.n_events, p.boundary_id,
       (%(wanted)s::text[] = '{{}}' OR p.lfn = ANY(%(wanted)s))
       AND NOT EXISTS (SELECT 1 FROM files o WHERE o.dataset_id = ANY(%(earlier)s::bigint[]) AND o.lfn = p.lfn)
           AS is_chosen
FROM ({page}) p ORDER BY p.place
"""
_PAGE = """
SELECT *, file_id AS place FROM files
WHERE dataset_id = %(dataset_id)s AND file_id > %(after)s ORDER BY file_id LIMIT %(limit)s
"""
# uq_files_dataset_lfn gives the page by name; by anything else the rows of the dataset are sorted for each page, which takes
# 0.4 s for a million of them and the memory of one page: no index for it is kept with every file that is registered
_PAGE_IN_ORDER = """
SELECT *, row_number() OVER () AS place FROM (
    SELECT * FROM files
    WHERE dataset_id = %(dataset_id)s AND (%(after)s = 0 OR ({key}, file_id) {behind} (%(after_key)s, %(after)s))
    ORDER BY {key} {way}, file_id {way} LIMIT %(limit)s
) f
"""
_PAGE_BY_NAME = """
SELECT *, row_number() OVER () AS place FROM (
    SELECT * FROM files
    WHERE dataset_id = %(dataset_id)s AND (%(after)s = 0 OR lfn {behind} %(after_key)s) ORDER BY lfn {way} LIMIT %(limit)s
) f
"""
_KEYS: dict[InputOrder, str] = {
    InputOrder.NAME: "lfn",
    InputOrder.SIZE: "size_bytes",
    InputOrder.EVENTS: "coalesce(n_events, -1)",
    InputOrder.RANDOM: "hashtextextended(lfn, %(seed)s)",
    InputOrder.REGISTRATION: "file_id",
}
"""Files whose events are not known come first. What stands for chance depends on name and task alone."""
# primary key
_KEY_OF = "SELECT {key} AS key FROM files WHERE file_id = %(after)s AND dataset_id = %(dataset_id)s"
# no table: what takes long here is the patterns, and not a database that is busy
_MATCHING = """
SELECT n.lfn FROM unnest(%(lfns)s::text[]) AS n (lfn)
WHERE (%(include)s::text[] = '{}' OR n.lfn ~ ANY(%(include)s)) AND NOT n.lfn ~ ANY(%(exclude)s::text[])
"""
# uq_files_dataset_lfn
_ANY = """
SELECT 1 FROM files WHERE dataset_id = ANY(%(datasets)s) AND (%(wanted)s::text[] = '{}' OR lfn = ANY(%(wanted)s))
  AND (%(include)s::text[] = '{}' OR lfn ~ ANY(%(include)s)) AND NOT lfn ~ ANY(%(exclude)s::text[]) LIMIT 1
"""
# ix_task_files_lfn
_KNOWN = """
SELECT DISTINCT lfn FROM task_files
WHERE dataset_id = %(dataset)s AND lfn = ANY(%(lfns)s) AND catalogue_file_id IS NOT NULL
"""
# ix_task_datasets_task, ix_task_files_lfn
_USED_ELSEWHERE = """
SELECT DISTINCT f.catalogue_file_id FROM task_datasets d JOIN task_files f USING (dataset_id)
WHERE d.jedi_task_id = ANY(%(tasks)s) AND d.type = 'input' AND f.lfn = ANY(%(lfns)s)
  AND f.catalogue_file_id = ANY(%(ids)s) AND f.status IN ('ready', 'running', 'finished')
"""


@dataclass
class Source:
    """A dataset of a stream: the row in `task_datasets`, and what the catalogue calls it."""

    row: Row
    catalogue_id: int
    scope: str
    is_repeated: bool
    """Whether the same dataset of the catalogue stands before it under another name."""


def sources_of(
    transaction: Transaction, definition: TaskDefinition, stream: InputStream, datasets: list[Row]
) -> list[Source]:
    """The datasets of a stream in order. Raises UnknownObject naming the field of one that is not there.

    With ignoreMissingInDS those are left out, unless none is there.
    """
    sources: list[Source] = []
    seen: set[int] = set()
    missing = ""
    for row in datasets:
        present = find_dataset(transaction, row["name"])
        if present is None:
            missing = missing or row["name"]
            continue
        sources.append(Source(row, present["dataset_id"], present["scope"], present["dataset_id"] in seen))
        seen.add(present["dataset_id"])
    if missing and not (definition.ignores_missing_datasets and sources):
        raise UnknownObject(
            f"there is no dataset {missing[:200]!r}",
            field=stream.field,
            remedy="register it with POST /api/control/datasets",
        )
    return sources


@dataclass(frozen=True)
class Page:
    """Files in the order of their stream: all that were read, and those of them that a task takes."""

    last_file_id: int
    n_read: int
    chosen: list[Row]


def read_page(
    transaction: Transaction,
    definition: TaskDefinition,
    stream: InputStream,
    sources: list[Source],
    at: int,
    limit: int,
    *,
    seed: int = 0,
) -> Page:
    """The next `limit` files of `sources[at]` behind its cursor; chosen are those that fit and are not used elsewhere.

    `seed`: what chance depends on where files are taken at random. An order is one of what is there at the moment.
    """
    source = sources[at]
    is_master = stream is definition.master
    earlier = [] if is_master else [before.catalogue_id for before in sources[:at]]
    values = {"dataset_id": source.catalogue_id, "after": source.row["feed_cursor"], "limit": limit, "earlier": earlier}
    page = _PAGE
    if is_ordered(stream):
        values = {**values, "seed": seed, **_place_in_order(transaction, stream, source, seed)}
        page = _page_in_order(stream)
    rows = transaction.fetch(_CHOSEN.format(page=page), {**values, "wanted": list(stream.files)})
    chosen = _matching(transaction, stream, [row for row in rows if row["is_chosen"]])
    if definition.skips_files_of and is_master and chosen:
        used = _used_elsewhere(transaction, definition.skips_files_of, chosen)
        chosen = [row for row in chosen if row["file_id"] not in used]
    return Page(rows[-1]["file_id"] if rows else source.row["feed_cursor"], len(rows), chosen)


def is_ordered(stream: InputStream) -> bool:
    """Whether files are taken in another order than they were registered in, so that new ones are not the last."""
    return stream.order is not InputOrder.REGISTRATION or stream.is_descending


def _page_in_order(stream: InputStream) -> str:
    behind, way = ("<", "DESC") if stream.is_descending else (">", "ASC")
    page = _PAGE_BY_NAME if stream.order is InputOrder.NAME else _PAGE_IN_ORDER
    return page.format(key=_KEYS[stream.order], behind=behind, way=way)


def _place_in_order(transaction: Transaction, stream: InputStream, source: Source, seed: int) -> dict[str, object]:
    """The file behind which a page begins; from the first one on when that file is gone: what a task has is not added again."""
    values = {"after": source.row["feed_cursor"], "dataset_id": source.catalogue_id, "seed": seed}
    if not source.row["feed_cursor"]:
        return {"after": 0, "after_key": None}
    last = transaction.fetch_one(_KEY_OF.format(key=_KEYS[stream.order]), values)
    if last is None:
        source.row.update(feed_cursor=0, n_skipped=0)
        return {"after": 0, "after_key": None}
    return {"after": source.row["feed_cursor"], "after_key": last["key"]}


def known_names(transaction: Transaction, dataset_id: int, files: list[Row]) -> set[str]:
    """Which of these files stand under a dataset of the task already."""
    rows = transaction.fetch(_KNOWN, {"dataset": dataset_id, "lfns": [file["lfn"] for file in files]})
    return {row["lfn"] for row in rows}


def check_anything_fits(transaction: Transaction, stream: InputStream, sources: list[Source]) -> None:
    """Raise InvalidInput naming the field when no file of the datasets fits, however long they are."""
    with users_patterns(transaction, _where(stream), _PATTERN_LIMIT_S):
        values = {"datasets": [source.catalogue_id for source in sources], **_choice(stream)}
        if transaction.fetch_one(_ANY, values) is None:
            raise nothing_fits(stream)


def nothing_fits(stream: InputStream) -> InvalidInput:
    """The refusal of an empty or badly chosen input."""
    names = ", ".join(stream.datasets)[:200]
    chosen = stream.include or stream.files or len(stream.exclude) > 1
    said = f"no file of {names!r} fits" if chosen else f"dataset {names!r} is empty"
    return InvalidInput(said, field=stream.field, remedy="register files with it, or choose others")


def _used_elsewhere(transaction: Transaction, tasks: tuple[int, ...], files: list[Row]) -> set[int]:
    values = {
        "tasks": list(tasks),
        "lfns": [file["lfn"] for file in files],
        "ids": [file["file_id"] for file in files],
    }
    return {row["catalogue_file_id"] for row in transaction.fetch(_USED_ELSEWHERE, values)}


def _choice(stream: InputStream) -> dict[str, list[str]]:
    return {"wanted": list(stream.files), "include": list(stream.include), "exclude": list(stream.exclude)}


def _matching(transaction: Transaction, stream: InputStream, files: list[Row]) -> list[Row]:
    """Those of the files whose names fit the patterns of the stream. Raises InvalidInput for a pattern that takes long."""
    if not files or not (stream.include or stream.exclude):
        return files
    with users_patterns(transaction, _where(stream), _PATTERN_LIMIT_S):
        values = {**_choice(stream), "lfns": [file["lfn"] for file in files]}
        fitting = {row["lfn"] for row in transaction.fetch(_MATCHING, values)}
    return [file for file in files if file["lfn"] in fitting]


def _where(stream: InputStream) -> str:
    return stream.field.removesuffix(".dataset") + (".include" if stream.include else ".exclude")


def skip(files: list[Row], source: Source, offset: int, skipped_before: int) -> Iterator[Row]:
    """The files behind the offset of the stream; counts what it leaves out in the row of the dataset."""
    for file in files:
        if skipped_before < offset:
            skipped_before += 1
            source.row["n_skipped"] += 1
            continue
        yield file
