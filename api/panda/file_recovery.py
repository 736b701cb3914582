"""The request for lost files to be made again: who may ask, what is done, and its log. Knows PanDA's words, no SQL.

Upstream takes the request and works on it later; here it is done at once, and the log it names is written already.
"""

from __future__ import annotations

import io
import uuid
from contextlib import suppress

from api.panda.kernel import Call, Refusal, Result, Success
from core.dataservice.catalogue import find_dataset
from core.dataservice.lost_files import Output, Search, search_outputs
from core.filecache.disk import NoRoom
from core.filecache.logs import TaskLogs
from core.taskengine.commands.locking import Issuer
from core.taskengine.commands.recovery import recover
from core.tasks import task_owner

_MOST_NAMES = 10_000


def recover_files(
    call: Call, task_id: int | None, dataset: str, names: list[str], *, is_rehearsal: bool, is_forced: bool
) -> Result:
    """Look for the outputs of a task, or of the task that made a dataset, and make again what is lost.

    `is_forced`: make again what is there, too. `is_rehearsal`: only say what would be made again.
    """
    database = call.services.database
    known = find_dataset(database, dataset) if dataset else None
    if dataset and known is None:
        return Refusal(f"dataset: there is no dataset {dataset[:200]!r} (see pbook show for the names)")
    number = task_id or (known["jedi_task_id"] if known else None)
    if number is None:
        return Refusal(f"dataset: no task made {dataset[:200]!r} (only what a task made can be made again)")
    owner = task_owner(database, number)
    if owner is None:
        return Refusal(f"task_id: jediTaskID={number} not found")
    if owner != call.caller.user_name and not call.is_production:
        return Refusal("not the task owner or no production role")
    if len(names) > _MOST_NAMES:
        return Refusal(f"files: more than {_MOST_NAMES} names (leave them out to look for all files)")
    search = search_outputs(database, number, dataset=known["name"] if known else "", lfns=names)
    wanted = search.all if is_forced else search.lost
    name = f"lost_file_recovery.{uuid.uuid4()}.log"
    said = f"{len(wanted)} files would be made again" if wanted else "nothing to make again"
    _write_log(call, name, number, search, said)  # where there is no room for it nothing is done either
    if wanted and not is_rehearsal:
        outcome = recover(database, number, Issuer(call.caller.user_name, call.is_production), wanted)
        said = outcome.message
        with suppress(NoRoom):
            _write_log(call, name, number, search, said)
        if not outcome.is_accepted:
            return Refusal(said)
    return Success({"logFileURL": f"{call.base_url}/cache/jedilog/{name}"}, f"The request was accepted: {said}")


def _write_log(call: Call, name: str, task_id: int, search: Search, said: str) -> None:
    def listed(title: str, outputs: list[Output]) -> list[str]:
        return [f"{title}: {len(outputs)}", *(f"  {output.dataset} {output.lfn}" for output in outputs)]

    lines = [
        f"recovery of lost files of task {task_id}, asked for by {call.caller.user_name}",
        *listed("lost", search.lost),
        *listed("where the server cannot look", search.unseen),
        f"at their place: {len(search.kept)}",
        *(f"no output of this name: {wrong[:200]}" for wrong in search.unknown_names[:100]),
        said,
        "",
    ]
    content = "\n".join(lines).encode("utf-8", "replace")
    TaskLogs.of(call.services.settings).replace(name, io.BytesIO(content), len(content))
