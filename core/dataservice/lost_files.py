"""Finds outputs that storage has lost, as far as it can be looked at from this machine. Changes nothing; knows no job.

Only storage whose directory is here, with something in it, is believed: a disk that is not mounted has lost nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.database import Database, Row

# ix_job_files_task; per file the primary keys of its replicas and their endpoints
_OUTPUTS = """
SELECT f.file_id, f.lfn, f.dataset, f.panda_id, f.size_bytes, r.endpoint, r.pfn, e.path AS endpoint_path,
       coalesce(e.kind = 'tape', false) AS is_on_tape
FROM job_files f LEFT JOIN replicas r USING (file_id) LEFT JOIN storage_endpoints e ON e.name = r.endpoint
WHERE f.jedi_task_id = %(task_id)s AND f.type = 'output' AND f.status = 'ready' AND f.file_id IS NOT NULL
  AND (%(dataset)s = '' OR f.dataset = %(dataset)s)
  AND (cardinality(%(lfns)s::text[]) = 0 OR f.lfn = ANY(%(lfns)s))
ORDER BY f.row_id
"""


@dataclass(frozen=True)
class Output:
    """A file that a finished job of a task made."""

    file_id: int
    lfn: str
    dataset: str
    panda_id: int


@dataclass
class Search:
    """What a look at the storage found."""

    lost: list[Output] = field(default_factory=list)
    kept: list[Output] = field(default_factory=list)
    unseen: list[Output] = field(default_factory=list)
    """Where this machine cannot look."""
    unknown_names: list[str] = field(default_factory=list)
    """Asked for, and no output."""

    @property
    def all(self) -> list[Output]:
        """Every output that was looked for."""
        return [*self.lost, *self.kept, *self.unseen]


def search_outputs(database: Database, task_id: int, *, dataset: str = "", lfns: Sequence[str] = ()) -> Search:
    """Look for the outputs of a task, or those of them in a dataset or of certain names."""
    rows = database.fetch(_OUTPUTS, {"task_id": task_id, "dataset": dataset, "lfns": list(lfns)})
    replicas: dict[Output, list[Row]] = {}
    for row in rows:
        output = Output(row["file_id"], row["lfn"], row["dataset"], row["panda_id"])
        replicas.setdefault(output, []).append(row)
    search = Search(unknown_names=sorted(set(lfns) - {output.lfn for output in replicas}))
    visible: dict[str, bool] = {}
    for output, copies in replicas.items():
        states = {_state(copy, visible) for copy in copies}
        group = search.kept if "kept" in states else search.unseen if "unseen" in states else search.lost
        group.append(output)
    return search


def _state(copy: Row, visible: dict[str, bool]) -> str:
    """kept, lost, or unseen: one copy of a file. A file of another size is not the one that was stored."""
    if copy["pfn"] is None:
        return "lost"
    storage = copy["endpoint_path"]
    if copy["is_on_tape"]:  # what stands in its directory may be a stub; what is on tape is not lost either
        return "unseen"
    if not storage or not copy["pfn"].startswith("/"):
        return "unseen"
    if storage not in visible:
        visible[storage] = _has_content(Path(storage))
    if not visible[storage]:
        return "unseen"
    try:
        return "kept" if Path(copy["pfn"]).stat().st_size == copy["size_bytes"] else "lost"
    except (FileNotFoundError, NotADirectoryError):
        return "lost"
    except OSError:
        return "unseen"


def _has_content(directory: Path) -> bool:
    try:
        return any(True for _ in directory.iterdir())
    except OSError:
        return False
