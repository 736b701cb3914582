"""Take-one-job for pilots. Knows matching and order; does not know HTTP or PanDA's wire names.

One statement finds, marks, logs and reads the job (design.md: one round trip). The row lock with SKIP LOCKED lets any
number of pilots ask at the same time; a row taken by one is invisible to the others, so no job is ever given twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from core.database import Database, Row
from core.database.prepared import PreparedStatement
from core.errors import UnknownObject
from core.shares.ranking import DispatchOrder, Ranking, ranking_of
from core.states import JobStatus, job_statuses_before

LABEL_FAMILIES: dict[str, tuple[str, ...]] = {
    "user": ("user", "panda", "install"),
    "managed": ("managed", "test", "prod_test", "install"),
    "": ("managed", "test", "prod_test", "install"),
    "unified": ("managed", "test", "prod_test", "install", "user", "panda"),
    "test": ("prod_test", "install", "test"),
}
"""What a pilot of a label may be given (server-api.md 5.3); any other label matches itself."""

QUEUES_WITH_DISPATCH = ("online", "test", "brokeroff")
"""Queue statuses in which pilots get jobs: brokeroff drains what is there."""


@dataclass(frozen=True)
class SlotOffer:
    """What a pilot has to offer. None or 0 = not stated, matches everything."""

    site_name: str
    prod_source_label: str = ""
    memory_mb: int | None = None
    disk_mb: int | None = None
    cores: int | None = None
    remaining_s: int | None = None
    resource_type: str = ""
    jedi_task_id: int | None = None
    user_name: str = ""
    working_group: str = ""
    country_groups: tuple[str, ...] = ()
    """Countries whose jobs are asked for."""
    takes_other_countries: bool = False
    """Whether jobs of other countries, and of none, will do when those have nothing."""
    node: str = ""
    worker_id: str = ""
    batch_id: str = ""
    job_count: int = 1


@dataclass(frozen=True)
class AcquiredJob:
    """A job on its way to a pilot: its row, its parameters, its files with their movers."""

    job: Row
    job_parameters: str
    files: list[Row]


# The kept plan must see that walking an index in order finds a job at once, so that the depth of a queue does not matter.
# It would multiply the guesses for many conditions to next to nothing and rather sort the queue; of what is wrapped in
# coalesce it expects that half fits. Bounds instead of "not stated or small enough" are quick to compare.
_FITS = """
    j.job_status = 'activated' AND j.computing_site = %(site)s AND coalesce(
        j.prod_source_label = ANY(%(labels)s) AND j.min_ram_mb <= %(memory)s AND j.max_disk_mb <= %(disk)s
        AND j.core_count <= %(cores)s AND j.max_walltime_s <= %(remaining)s
        AND j.min_ram_mb <= %(ram_per_core)s * j.core_count AND j.gshare <> ALL(%(barred)s::text[]) AND {further}, false)
"""
_WISHES = """
    AND (%(resource_type)s = '' OR j.resource_type = %(resource_type)s)
    AND (%(task)s = 0 OR j.jedi_task_id = %(task)s)
    AND (%(user)s = '' OR j.prod_user_name = %(user)s)
    AND (%(group)s = '' OR j.working_group = %(group)s)
    AND (%(countries)s::text[] = '{}' OR j.country_group = ANY(%(countries)s::text[]))
"""
_OLDEST = 200
"""Jobs of a queue among which a request that goes by age chooses."""
_NO_LIMIT = 2**62
_NO_LIMIT_PER_CORE_MB = 2**40

# user jobs of priority 1500 jump over everything but test work (domain.md 2.6); as ix_jobs_live_urgent writes it
_IS_TEST = "(j.prod_source_label IN ('test', 'prod_test'))"
_IS_URGENT = (
    "(j.prod_source_label IN ('test', 'prod_test') "
    "OR (j.prod_source_label IN ('user', 'panda') AND j.current_priority >= 1500))"
)

_NOT_URGENT = _FITS.format(further=f"NOT {_IS_URGENT}")

# ix_jobs_live_urgent
_URGENT = f"""
    SELECT * FROM (
        SELECT j.panda_id FROM jobs_live j WHERE {_FITS.format(further="true")} /* wishes */ AND {_IS_URGENT}
        ORDER BY {_IS_TEST} DESC, j.current_priority DESC, j.panda_id LIMIT /* most */ FOR UPDATE OF j SKIP LOCKED
    ) AS urgent
"""
# ix_jobs_live_activated, once for each share until one has something: rows are locked as they are found, not before
_BY_SHARE = f"""
    SELECT best.panda_id FROM unnest(%(leaves)s::text[]) WITH ORDINALITY AS leaf (gshare, place) CROSS JOIN LATERAL (
        SELECT j.panda_id FROM jobs_live j WHERE {_NOT_URGENT} /* wishes */ AND j.gshare = leaf.gshare
        ORDER BY j.current_priority DESC, j.panda_id LIMIT /* most */ FOR UPDATE OF j SKIP LOCKED
    ) AS best
"""
# the same for a request of several jobs, of which every share gets its part
_BY_PORTION = f"""
    SELECT best.panda_id FROM unnest(%(leaves)s::text[], %(portions)s::bigint[]) WITH ORDINALITY
        AS leaf (gshare, portion, place) CROSS JOIN LATERAL (
        SELECT j.panda_id FROM jobs_live j WHERE {_NOT_URGENT} AND j.gshare = leaf.gshare
        ORDER BY j.current_priority DESC, j.panda_id LIMIT leaf.portion FOR UPDATE OF j SKIP LOCKED
    ) AS best
"""
# ix_jobs_live_oldest: shares that came up since the last ranking
_UNRANKED = f"""
    SELECT * FROM (
        SELECT j.panda_id FROM jobs_live j
        WHERE {_FITS.format(further=f"NOT {_IS_URGENT} AND j.gshare <> ALL(%(leaves)s::text[])")} /* wishes */
        ORDER BY j.panda_id LIMIT /* most */ FOR UPDATE OF j SKIP LOCKED
    ) AS unranked
"""
# ix_jobs_live_oldest, of which so many are looked at; those of shares that have their due are left out
_BY_AGE = f"""
    SELECT oldest.panda_id FROM (
        SELECT j.panda_id, j.gshare FROM jobs_live j WHERE {_NOT_URGENT} /* wishes */
        ORDER BY j.panda_id LIMIT {_OLDEST}
    ) AS old CROSS JOIN LATERAL (
        SELECT j.panda_id FROM jobs_live j WHERE j.panda_id = old.panda_id AND j.job_status = 'activated'
        FOR UPDATE OF j SKIP LOCKED
    ) AS oldest
    WHERE old.gshare <> ALL(%(served)s::text[])
"""
_SEARCHES = {
    False: f"{_URGENT} UNION ALL {_BY_SHARE} UNION ALL {_UNRANKED}",
    True: f"{_URGENT} UNION ALL {_BY_AGE}",
}
"""Where jobs are looked for, one place after the other until enough are found; True: purely by age."""
_SEARCH_BY_PORTION = f"{_URGENT} UNION ALL {_BY_PORTION}"

_IN_ORDER = "JOIN candidate c USING (panda_id) ORDER BY c.turn"


def _statement(search: str, *, wishes: str = "", most: str = "%(job_count)s") -> str:
    search = search.replace("/* wishes */", wishes).replace("/* most */", most)
    # one job needs no order, and dispatch is too hot for what is not needed
    turn, in_order = ("", "") if most == "1" else (", row_number() OVER () AS turn", _IN_ORDER)
    return f"""
WITH candidate AS (
    SELECT found.panda_id{turn}
    FROM (SELECT * FROM ({search}) AS searched LIMIT {most}) AS found
    WHERE EXISTS (SELECT 1 FROM queues q WHERE q.queue_name = %(site)s AND q.status = ANY(%(open_statuses)s))
), taken AS (
    UPDATE jobs_live j SET
        job_status = 'sent', state_change_time = clock_timestamp(), modification_time = clock_timestamp(),
        modification_host = %(node)s, worker_id = %(worker_id)s, batch_id = %(batch_id)s
    FROM candidate c WHERE j.panda_id = c.panda_id AND j.job_status = ANY(%(sources)s)
    RETURNING j.*
), logged AS (
    INSERT INTO job_history (panda_id, jedi_task_id, attempt_nr, previous_status, job_status, computing_site,
                             prod_source_label, host, reason)
    SELECT panda_id, jedi_task_id, attempt_nr, 'activated', 'sent', computing_site, prod_source_label, %(node)s,
           'taken by a pilot'
    FROM taken
)
SELECT to_jsonb(t) AS job, p.job_parameters, (
    SELECT coalesce(jsonb_agg(to_jsonb(f) || jsonb_build_object('mover', e.mover) ORDER BY f.row_id), '[]')
    FROM job_files f LEFT JOIN storage_endpoints e ON e.name = f.endpoint WHERE f.panda_id = t.panda_id
) AS files
FROM taken t LEFT JOIN job_parameters p USING (panda_id) {in_order}
"""


_TYPES = {
    **dict.fromkeys(("site", "node", "worker_id", "batch_id"), "text"),
    **dict.fromkeys(("memory", "disk", "cores", "remaining", "ram_per_core"), "bigint"),
    **dict.fromkeys(("labels", "open_statuses", "sources", "barred"), "text[]"),
}
ACQUIRE = PreparedStatement("acquire_job", _statement(_SEARCHES[False], most="1"), {**_TYPES, "leaves": "text[]"})
"""One job by share for a pilot without wishes: nearly every request."""
ACQUIRE_OLDEST = PreparedStatement(
    "acquire_oldest_job", _statement(_SEARCHES[True], most="1"), {**_TYPES, "served": "text[]"}
)

_TYPES_OF_SEVERAL = {**_TYPES, "job_count": "bigint"}
_SEVERAL = {
    False: PreparedStatement("acquire_jobs", _statement(_SEARCHES[False]), {**_TYPES_OF_SEVERAL, "leaves": "text[]"}),
    True: PreparedStatement(
        "acquire_oldest_jobs", _statement(_SEARCHES[True]), {**_TYPES_OF_SEVERAL, "served": "text[]"}
    ),
}
"""Several jobs for one request without wishes: planning costs as much as finding ten of them."""
_BY_PORTIONS = PreparedStatement(
    "acquire_portions",
    _statement(_SEARCH_BY_PORTION),
    {**_TYPES_OF_SEVERAL, "leaves": "text[]", "portions": "bigint[]"},
)
_AS_WISHED = {is_by_age: _statement(search, wishes=_WISHES) for is_by_age, search in _SEARCHES.items()}


def acquire_jobs(database: Database, offer: SlotOffer, ranking: Ranking | None = None) -> list[AcquiredJob]:
    """Give the best matching jobs to a pilot; an empty list when there is nothing for it.

    Test work comes first, then urgent jobs of users, then the shares as `ranking` orders them (by default the one this
    process keeps for the database), within a share by priority and age. A part of the requests is served by age alone,
    from the shares that do not have their due; when these have nothing old, as all others. Several jobs for one request
    are divided among the shares as if they were asked for one by one. Resources that are kept for countries get jobs of these,
    and others only with `takes_other_countries` and when there are none.
    Raises UnknownObject when the queue does not exist.
    """
    ranking = ranking or ranking_of(database)
    taken = _acquire(database, offer, ranking)
    missing = offer.job_count - len(taken)
    if missing > 0 and offer.country_groups and offer.takes_other_countries:
        taken += _acquire(database, replace(offer, country_groups=(), job_count=missing), ranking)
    if not taken:
        _check_queue(database, offer.site_name)
    return taken


def _acquire(database: Database, offer: SlotOffer, ranking: Ranking) -> list[AcquiredJob]:
    order = ranking.order_at(database, offer.site_name, offer.job_count)
    rows = _take_portions(database, offer, order)
    if not rows:
        rows = _take(database, offer, order)
    elif len(rows) < offer.job_count:
        rows += _take(database, replace(offer, job_count=offer.job_count - len(rows)), order)
    if order.is_by_age and not rows:
        rows = _take(database, offer, replace(order, is_by_age=False))
    if not rows:
        return []
    ranking.note_given(offer.site_name, [(row["job"]["gshare"], row["job"]["core_count"]) for row in rows])
    return [AcquiredJob(row["job"], row["job_parameters"] or "", row["files"]) for row in rows]


def _take_portions(database: Database, offer: SlotOffer, order: DispatchOrder) -> list[Row]:
    """What each share gets of a request for several jobs; less than asked for when the counts were old."""
    if not order.portions or order.is_by_age or _has_wishes(offer):
        return []
    leaves = [name for name in order.leaves if name in order.portions]
    values = acquire_parameters(offer, replace(order, leaves=leaves))
    return database.fetch_prepared(_BY_PORTIONS, values | {"portions": [order.portions[name] for name in leaves]})


def _has_wishes(offer: SlotOffer) -> bool:
    return bool(
        offer.resource_type or offer.jedi_task_id or offer.user_name or offer.working_group or offer.country_groups
    )


def _take(database: Database, offer: SlotOffer, order: DispatchOrder) -> list[Row]:
    values = acquire_parameters(offer, order)
    if _has_wishes(offer):
        return database.fetch(_AS_WISHED[order.is_by_age], values)
    if offer.job_count > 1:
        return database.fetch_prepared(_SEVERAL[order.is_by_age], values)
    return database.fetch_prepared(ACQUIRE_OLDEST if order.is_by_age else ACQUIRE, values)


def acquire_parameters(offer: SlotOffer, order: DispatchOrder = DispatchOrder()) -> dict[str, Any]:  # noqa: B008
    """The bound parameters of `ACQUIRE` for an offer."""
    label = offer.prod_source_label
    return {
        "site": offer.site_name,
        "labels": list(LABEL_FAMILIES.get(label, (label,))),
        "memory": offer.memory_mb or _NO_LIMIT,
        "disk": offer.disk_mb or _NO_LIMIT,
        "cores": offer.cores or _NO_LIMIT,
        "remaining": offer.remaining_s or _NO_LIMIT,
        "ram_per_core": order.max_ram_per_core_mb or _NO_LIMIT_PER_CORE_MB,
        "leaves": order.leaves,
        "barred": order.barred,
        "served": order.served,
        "resource_type": offer.resource_type,
        "task": offer.jedi_task_id or 0,
        "user": offer.user_name,
        "group": offer.working_group,
        "countries": list(offer.country_groups),
        "node": offer.node,
        "worker_id": offer.worker_id,
        "batch_id": offer.batch_id,
        "job_count": offer.job_count,
        "open_statuses": list(QUEUES_WITH_DISPATCH),
        "sources": list(job_statuses_before(JobStatus.SENT)),
    }


def _check_queue(database: Database, name: str) -> None:
    if database.fetch_one("SELECT 1 FROM queues WHERE queue_name = %(name)s", {"name": name}) is None:
        raise UnknownObject(
            f"there is no queue {name[:100]!r}", field="site_name", remedy="see `panda queues` for the names"
        )
