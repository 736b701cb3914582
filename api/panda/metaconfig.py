"""`metaconfig`: banned users, queues and resource types (server-api.md 1.10)."""

from __future__ import annotations

from dataclasses import asdict

from api.panda.kernel import Auth, Call, Result, Success, endpoint
from api.panda.site_spec import site_spec, site_type
from core.metaconfig import all_queues, banned_users
from core.resource_types import RESOURCE_TYPES

_EVERY_TYPE = "all"


@endpoint("GET")
def get_banned_users(call: Call) -> Result:
    """Users whose every call is refused: {user name: false}."""
    return Success(dict.fromkeys(banned_users(call.services.read_database), False))


@endpoint("GET", auth=Auth.OPEN)
def get_site_specs(call: Call, type: str = "analysis") -> Result:
    """Queues of a type (unified, production, analysis, all) by name; a type that none has is an empty answer."""
    queues = all_queues(call.services.read_database)
    chosen = [queue for queue in queues if type in (_EVERY_TYPE, site_type(queue))]
    return Success({queue["queue_name"]: site_spec(queue) for queue in chosen})


@endpoint("GET")
def get_resource_types(call: Call) -> Result:
    """Classes of jobs with their limits: cores, and memory per core in MB (null: no limit)."""
    return Success([asdict(entry) for entry in RESOURCE_TYPES])
