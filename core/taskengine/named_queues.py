"""Whether the queues that the parameters of a task name are there. Knows no task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.database import Transaction
from core.errors import UnknownObject
from core.names import ANY_QUEUE
from core.queues import check_queue_exists
from core.taskengine.dialects import fields
from core.taskengine.dialects.definition import TaskDefinition


def check_named_queues(transaction: Transaction, parameters: Mapping[str, Any], definition: TaskDefinition) -> None:
    """Raise UnknownObject naming the parameter (site, includedSite) none of whose queues exists."""
    if definition.site:
        check_queue_exists(transaction, definition.site, "site")
    for name in ("includedSite", "site"):
        _check_one_exists(transaction, fields.names(parameters, name), name)


def _check_one_exists(transaction: Transaction, sites: tuple[str, ...], name: str) -> None:
    """Of several queues one must be there: lists that users keep outlive queues. Patterns and AUTO are no names."""
    if any(site == ANY_QUEUE or any(sign in site for sign in "*?[") for site in sites):
        return
    refusals = []
    for site in sites:
        try:
            check_queue_exists(transaction, site, name)
            return
        except UnknownObject as refusal:
            refusals.append(refusal)
    if refusals:
        raise refusals[0]
