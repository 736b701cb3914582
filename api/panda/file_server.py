"""PanDA's file server: sandboxes, logs of tasks, checkpoints (server-api.md 1.7, client-wire.md 4.1). Knows no disk.

What the cache refuses is answered in upstream's words, at HTTP 200: the client prints nothing else. A disk that is full is
such a refusal too.
"""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from api.identity.access import Access
from api.panda.file_recovery import recover_files
from api.panda.kernel import Auth, Bare, Call, Refusal, Result, Success, endpoint, not_built
from api.uploads import Upload
from core.errors import Conflict, InvalidInput, PandaError, UnknownObject
from core.filecache.disk import NoRoom
from core.filecache.logs import Checkpoints, TaskLogs, parse_checkpoint
from core.filecache.store import FileCache
from core.tasks import task_owner

_CHECKPOINT_LIMIT_MB = 500
_LOG_LIMIT_MB = 100
_SANDBOX_LIMIT_MB = 768
"""Largest of each; what a name may be is for the cache to say, and its settings can only be smaller."""

_REFUSED = (InvalidInput, Conflict, UnknownObject, NoRoom)


@endpoint("POST", upload_limit_mb=_SANDBOX_LIMIT_MB)
def upload_cache_file(call: Call, file: Upload) -> Result:
    """Keep a sandbox under its name; nothing is overwritten unless the name ends with `.__ow__`."""
    try:
        _cache(call).upload(call.caller.user_name, file.base_name, file.file, file.size_bytes)
    except _REFUSED as error:
        return _refusal(error)
    return Success()


@endpoint("POST")
def touch_cache_file(call: Call, file_name: str) -> Result:
    """Start the life of a file in the cache anew."""
    try:
        _cache(call).touch(_base_name(file_name))
    except (InvalidInput, UnknownObject) as error:
        return Refusal(f"Failed to touch file with: {error}")
    return Success()


@endpoint("POST")
def delete_cache_file(call: Call, file_name: str) -> Result:
    """Delete a file of the caller's own that no active task uses; success in any case, as upstream."""
    try:
        is_deleted = _cache(call).delete(call.caller.user_name, _base_name(file_name))
    except InvalidInput:
        is_deleted = False
    return Success(message="" if is_deleted else "nothing deleted: not a file of yours, or in use by a task")


@endpoint("POST", auth=Auth.PRODUCTION)
def register_cache_file(call: Call, user_name: str, file_name: str, file_size: int, checksum: str) -> Result:
    """Enter a file that lies in the cache directory of this server already; size and checksum are verified."""
    try:
        _cache(call).announce(user_name, _base_name(file_name), file_size, checksum)
    except _REFUSED as error:
        return _refusal(error)
    return Success()


@endpoint("POST")
def validate_cache_file(call: Call, file_size: int, checksum: int | str) -> Result:
    """Whether the caller uploaded the same content lately: `FOUND:<host>:<name>`.

    The host stands there without a port: the client puts it into its own address and keeps port and path.
    """
    found = _cache(call).find(call.caller.user_name, file_size, str(checksum))
    if found is None:
        return Refusal("NOTFOUND")
    host = found.host or urlsplit(call.base_url).hostname or "localhost"
    return Success(message=f"FOUND:{f'[{host}]' if ':' in host else host}:{found.file_name}")


@endpoint("POST", auth=Auth.PRODUCTION, upload_limit_mb=_LOG_LIMIT_MB)
def upload_jedi_log(call: Call, file: Upload) -> Result:
    """Keep the log of a task, in place of the one before; its address."""
    try:
        TaskLogs.of(call.services.settings).replace(file.base_name, file.file, file.size_bytes)
    except _REFUSED as error:
        return _refusal(error)
    return Success(f"{call.base_url}/cache/jedilog/{quote(file.base_name)}")


@endpoint("POST", auth=Auth.PRODUCTION, upload_limit_mb=_LOG_LIMIT_MB)
def update_jedi_log(call: Call, file: Upload) -> Result:
    """Put zlib data at the end of the log of a task."""
    try:
        TaskLogs.of(call.services.settings).append(file.base_name, file.file)
    except _REFUSED as error:
        return Refusal(f"ERROR: cannot update file with {error}")
    return Success()


@endpoint("GET")
def download_jedi_log(call: Call, log_name: str, offset: int = 0) -> Bare:
    """The log of a task from a byte on, after one blank; the blank alone when there is no such log."""
    return Bare(" " + TaskLogs.of(call.services.settings).read(_base_name(log_name), offset))


@endpoint("POST", upload_limit_mb=_CHECKPOINT_LIMIT_MB)
def upload_hpo_checkpoint(call: Call, file: Upload) -> Result:
    """Keep a checkpoint called `<task>_<sub>`, in place of the one before."""
    try:
        task_id, sub_id = parse_checkpoint(file.base_name, "file")
        if (refusal := _not_theirs(call, task_id)) is not None:
            return refusal
        place = Checkpoints.of(call.services.settings).replace(task_id, sub_id, file.file, file.size_bytes)
    except _REFUSED as error:
        return _refusal(error)
    return Success(str(place), f"Successfully placed at {place}")


@endpoint("POST")
def delete_hpo_checkpoint(call: Call, task_id: str, sub_id: str) -> Result:
    """Delete a checkpoint."""
    try:
        number, sub_id = parse_checkpoint(f"{task_id}_{sub_id}", "task_id, sub_id")
    except InvalidInput as error:
        return Refusal(f"Failed to delete file due to {error}")
    if (refusal := _not_theirs(call, number)) is not None:
        return refusal
    if not Checkpoints.of(call.services.settings).delete(number, sub_id):
        return Refusal(f"Failed to delete file due to sub_id: task {task_id} has no checkpoint {sub_id!r}")
    return Success()


@endpoint("POST", auth=Auth.OWNER)
def upload_file_recovery_request(
    call: Call,
    task_id: int | None = None,
    dry_run: bool | None = None,
    dataset: str | None = None,
    files: list[str] | None = None,
    no_child_retry: bool = True,
    resurrect_datasets: bool = False,
    force: bool = False,
    reproduce_parent: bool = False,
    reproduce_upto_nth_gen: int = 0,
) -> Result:
    """Have files that storage has lost made again; the answer names the log of what was found and done."""
    if not task_id and not dataset:
        return Refusal("Either task_id or dataset must be provided")
    if resurrect_datasets or reproduce_parent or reproduce_upto_nth_gen > 0:
        return not_built("recovery of deleted datasets or of the parents of a task")
    try:
        return recover_files(call, task_id, dataset or "", files or [], is_rehearsal=bool(dry_run), is_forced=force)
    except _REFUSED as error:
        return _refusal(error)


@endpoint("POST")
def upload_workflow_request(call: Call, data: str, dry_run: bool = False, sync: bool = False) -> Result:
    """Submit a workflow description."""
    return not_built("workflow engine")


@endpoint("POST")
def upload_event_picking_request(
    call: Call,
    run_event_list: str = "",
    data_type: str = "",
    stream_name: str = "",
    dataset_name: str = "",
    ami_tag: str = "",
    user_dataset_name: str = "",
    locked_by: str = "",
    parameters: str = "",
    input_file_list: str = "",
    n_sites: str = "",
    user_task_name: str = "",
    ei_api: str = "",
    include_guids: bool = False,
) -> Result:
    """Ask for single events to be picked out of datasets."""
    return not_built("event picking")


def _cache(call: Call) -> FileCache:
    return FileCache.of(call.services.database, call.services.settings)


def _base_name(name: str) -> str:
    """Clients send paths of their own here as well (client-wire.md 3)."""
    return name.replace("\\", "/").rpartition("/")[2]


def _refusal(error: PandaError) -> Refusal:
    """Upstream's sentence first, for those who look for it, then the field and what to do."""
    return Refusal(f"ERROR: {error.detail} ({error.field}: {error.remedy})")


def _not_theirs(call: Call, task_id: int) -> Refusal | None:
    """Payloads send checkpoints with the pilot's identity or their user's; nobody else has a say in a task."""
    if call.is_production or call.caller.may(Access.PILOT):
        return None
    if task_owner(call.services.database, task_id) in (None, call.caller.user_name):
        return None
    return Refusal("not the task owner or no production role")
