"""What a group of jobs asks of a queue: from the jobs, where their files lie, and what their task said.

Knows jobs, tasks and replicas; does not know queues. What a task said wrongly counts as not said: it was checked at the
door, and what slipped through must not stop brokerage.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from core.brokerage.candidates import ANALYSIS, Candidate, Request
from core.brokerage.criteria.shares import priority_limits
from core.brokerage.followers import is_build_job, needs_of_waiting
from core.brokerage.operating_system import platforms_of
from core.brokerage.own_load import Owner
from core.brokerage.task_classes import TaskClasses
from core.brokerage.weighing import BOOTSTRAP_PRIORITY
from core.database import Row, Transaction
from core.resource_types import resource_type
from core.workload_settings import BrokerageSettings

if TYPE_CHECKING:
    from core.taskengine.dialects.definition import TaskDefinition

JOB_COLUMNS = (
    "panda_id, jedi_task_id, job_index, job_status, core_count, min_ram_mb, max_disk_mb, max_walltime_s, "
    "prod_source_label, processing_type, working_group, prod_user_name, gshare, resource_type, current_priority, "
    "special_handling, container_name, n_input_data_files, computing_site, site_is_pinned, "
    "brokerage_error_diag"
)
"""What `requests_of_jobs` and the setupper read of a live job."""
_SCOUT = "scout"
_MERGE = "merge"

# primary key; what was changed since the submission wins
_TASKS = """
SELECT t.jedi_task_id, t.parameters, t.split_rule, t.nucleus,
       t.nucleus = '' OR EXISTS (SELECT 1 FROM storage_endpoints e WHERE e.name = t.nucleus AND e.state = 'online')
           AS nucleus_is_online
FROM tasks t WHERE t.jedi_task_id = ANY(%(ids)s)
"""

# ix_job_files_job, primary keys of replicas and endpoints: for each job its number of inputs, the endpoints that hold
# them all, and whether each of them is at some endpoint that is online; what lies on tape is nowhere
_INPUT_PLACES = """
WITH input AS (
    SELECT panda_id, file_id FROM job_files WHERE panda_id = ANY(%(panda_ids)s) AND type IN ('input', 'sandbox')
), total AS (
    SELECT panda_id, count(*) AS n FROM input GROUP BY panda_id
), held AS (
    SELECT i.panda_id, r.endpoint, count(*) AS n FROM input i JOIN replicas r USING (file_id)
    JOIN storage_endpoints e ON e.name = r.endpoint WHERE e.kind = 'disk' GROUP BY 1, 2
), reachable AS (
    SELECT i.panda_id, count(*) AS n FROM input i
    WHERE EXISTS (SELECT 1 FROM replicas r JOIN storage_endpoints e ON e.name = r.endpoint
                  WHERE r.file_id = i.file_id AND e.state = 'online' AND e.kind = 'disk')
    GROUP BY 1
)
SELECT t.panda_id, t.n, coalesce(a.n, 0) = t.n AS is_everywhere,
       coalesce(array_agg(h.endpoint) FILTER (WHERE h.n = t.n), '{}') AS endpoints
FROM total t LEFT JOIN held h USING (panda_id) LEFT JOIN reachable a USING (panda_id) GROUP BY t.panda_id, t.n, a.n
"""


@dataclass(frozen=True)
class TaskWishes:
    """What a task says of the queues it wants, beyond the numbers of its jobs."""

    included: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    io_kb_s: int = 0
    disk_io_kb_s: int = 0
    needs_direct_access: bool = False
    allows_wan: bool = True
    network: str = ""
    ip_version: str = ""
    release: str = ""
    architecture: str = ""
    gpu: str = ""
    needs_container: bool = False
    nucleus: str = ""
    nucleus_is_online: bool = True

    def added_to(self, request: Request) -> Request:
        """The request of jobs of this task."""
        container = request.needs_container or self.needs_container
        said = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "needs_container"}
        return replace(request, **said, needs_container=container)


_NO_WISHES = TaskWishes()


def requests_of_jobs(
    transaction: Transaction,
    jobs: Sequence[Row],
    candidates: Sequence[Candidate],
    settings: BrokerageSettings | None = None,
    classes: TaskClasses | None = None,
) -> dict[Request, list[Row]]:
    """Jobs that need the same, by what they need; one task's, or one user's. `jobs` hold JOB_COLUMNS.

    `classes` keeps what was counted for the classes of tasks, for who asks again and again.
    """
    limits = priority_classes(candidates, settings or BrokerageSettings())
    places = {row["panda_id"]: row for row in _input_places(transaction, jobs)}
    wishes = wishes_of_tasks(transaction, {job["jedi_task_id"] for job in jobs if job["jedi_task_id"] is not None})
    followers = needs_of_waiting(transaction, {job["jedi_task_id"] for job in jobs if is_build_job(job)})
    groups: dict[Request, list[Row]] = defaultdict(list)
    for job in jobs:
        request = _request_of_job(job, places.get(job["panda_id"]), limits)
        task_id = job["jedi_task_id"]
        if wishes.get(task_id, _NO_WISHES) is not _NO_WISHES:
            request = wishes[task_id].added_to(request)
        if is_build_job(job) and task_id in followers:
            request = followers[task_id].added_to(request)
        groups[request].append(job)
    classed = (classes or TaskClasses()).read(transaction, groups, candidates)
    if not classed:
        return groups
    return {replace(request, task_class=classed.get(request, "")): members for request, members in groups.items()}


def owner_of(request: Request) -> Owner:
    """Whose load at the queues counts."""
    return Owner(request.jedi_task_id, request.user_name, request.kind == ANALYSIS)


def request_of_jobs(
    transaction: Transaction, jobs: Sequence[Row], candidates: Sequence[Candidate] = ()
) -> Request | None:
    """What the first of some jobs asks for; None when there is none."""
    return next(iter(requests_of_jobs(transaction, jobs[:1], candidates)), None)


def request_of_task(transaction: Transaction, task: Row, definition: TaskDefinition) -> Request:
    """What an average job of a task would ask for; where its input lies is left out, pieces differ in that."""
    needs = definition.needs
    request = Request(
        core_count=needs.core_count,
        min_ram_mb=needs.ram_mb,
        max_disk_mb=needs.disk_mb,
        max_walltime_s=needs.walltime_s,
        prod_source_label=definition.label,
        has_input=False,
        complete_at=frozenset(),
        pinned_queue=definition.site,
        jedi_task_id=task["jedi_task_id"],
        user_name=task["user_name"],
        working_group=definition.working_group,
        processing_type=definition.processing_type,
        gshare=task["gshare"],
        resource_type=resource_type(needs.core_count, needs.ram_mb),
        priority=task["current_priority"],
        needs_container=bool(definition.container_name),
    )
    return wishes_of_tasks(transaction, [task["jedi_task_id"]]).get(task["jedi_task_id"], _NO_WISHES).added_to(request)


def priority_classes(candidates: Sequence[Candidate], settings: BrokerageSettings) -> list[int]:
    """The priorities at which some rule changes its mind."""
    limits = {BOOTSTRAP_PRIORITY + 1, settings.urgent_priority, settings.no_locality_priority}
    for queue in candidates:
        if "priority" in queue.stated.fairsharepolicy:
            limits.update(priority_limits(queue.stated.fairsharepolicy))
    return sorted(limits)


def _input_places(transaction: Transaction, jobs: Sequence[Row]) -> list[Row]:
    return transaction.fetch(_INPUT_PLACES, {"panda_ids": [job["panda_id"] for job in jobs]}) if jobs else []


def _request_of_job(job: Row, places: Row | None, limits: Sequence[int]) -> Request:
    flags = str(job["special_handling"]).split(",")
    is_pinned = bool(job["site_is_pinned"])
    return Request(
        core_count=job["core_count"],
        min_ram_mb=job["min_ram_mb"],
        max_disk_mb=job["max_disk_mb"],
        max_walltime_s=job["max_walltime_s"],
        prod_source_label=job["prod_source_label"],
        has_input=places is not None,
        complete_at=frozenset(places["endpoints"]) if places is not None else frozenset(),
        is_everywhere=places is None or bool(places["is_everywhere"]),
        pinned_queue=job["computing_site"] if is_pinned else "",
        first_queue="" if is_pinned else job["computing_site"],
        jedi_task_id=job["jedi_task_id"],
        user_name=job["prod_user_name"],
        working_group=job["working_group"],
        processing_type=job["processing_type"],
        gshare=job["gshare"],
        resource_type=job["resource_type"],
        priority=job["current_priority"],
        priority_class=bisect_right(limits, job["current_priority"]),
        is_scout=_SCOUT in flags,
        is_merge=_MERGE in flags,
        needs_container=bool(job["container_name"]),
        input_count=places["n"] if places is not None else 0,
    )


def wishes_of_tasks(transaction: Transaction, task_ids: Iterable[int]) -> dict[int, TaskWishes]:
    """The wishes of those of the tasks that have any, by jediTaskID."""
    ids = sorted(task_ids)
    rows = transaction.fetch(_TASKS, {"ids": ids}) if ids else []
    found = {row["jedi_task_id"]: _wishes(row) for row in rows}
    return {task_id: wishes for task_id, wishes in found.items() if wishes != _NO_WISHES}


def _wishes(task: Row) -> TaskWishes:
    said = read_wishes({**task["parameters"], **task["split_rule"]})
    return replace(said, nucleus=task["nucleus"], nucleus_is_online=task["nucleus_is_online"])


def read_wishes(parameters: Mapping[str, Any]) -> TaskWishes:
    """The wishes in the parameters of a task (client-wire.md 4.4, domain.md 2.1 and 3.2)."""
    sites = _names(parameters.get("site"))
    reach, _, version = (part.strip() for part in _text(parameters.get("ipConnectivity")).partition("#"))
    platform = _text(parameters.get("architecture"))
    before_gpu, _, gpu = platform.partition("&")
    before_cpu, _, cpu = before_gpu.partition("#")
    allowed_wan = _text(parameters.get("allowInputWAN")).lower()
    return TaskWishes(
        included=_names(parameters.get("includedSite")) or (sites if len(sites) > 1 else ()),
        excluded=_names(parameters.get("excludedSite")),
        io_kb_s=_rate(parameters, "ioIntensity"),
        disk_io_kb_s=_rate(parameters, "diskIO"),
        needs_direct_access=_text(parameters.get("allowInputLAN")).lower() == "only",
        allows_wan=allowed_wan not in ("no", "never", "none", "false", "0"),
        network=reach.lower() if reach.lower() in ("full", "http") else "",
        ip_version={"ipv4": "IPv4", "ipv6": "IPv6"}.get(version.lower(), ""),
        release=_text(parameters.get("transUses")) or _text(parameters.get("transHome")),
        architecture=cpu.strip() or before_cpu.partition("@")[0].strip() or _own_platforms(parameters),
        gpu=gpu.strip(),
        needs_container=bool(_text(parameters.get("container_name"))),
    )


def _own_platforms(parameters: Mapping[str, Any]) -> str:
    """Of the submitter's machine, where they must match (osMatching); what runs in a container brings its own."""
    if parameters.get("osMatching") in (None, False, 0, "") or _text(parameters.get("container_name")):
        return ""
    return platforms_of(parameters.get("osInfo"))


def _names(value: Any) -> tuple[str, ...]:
    """Lists at submission, text with commas at a retry (client-wire.md 5.3); anything else names nothing."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list):
        return ()
    names = [name.strip() for part in parts if isinstance(part, str) for name in part.split(",")]
    return tuple(name for name in names if name)


def _text(value: Any) -> str:
    return value.strip()[:200] if isinstance(value, str) else ""


def _rate(parameters: Mapping[str, Any], name: str) -> int:
    """kB/s."""
    value = parameters.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 10**12:
        return 0
    return int(value * 1000) if _text(parameters.get(f"{name}Unit")) == "MBPerS" else int(value)
