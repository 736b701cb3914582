"""Operations that change things, in our own style; listed once (`HANDLERS`)."""

from __future__ import annotations

from api.control import (
    accounts,
    data,
    incident_notices,
    incidents,
    queues,
    records,
    retry,
    shares,
    tasks,
    users,
    workers,
)
from api.operations import Handler

HANDLERS: list[Handler] = [
    data.register,
    data.describe,
    data.register_replicas,
    tasks.outputs,
    queues.set_queue,
    queues.set_endpoint,
    queues.endpoints,
    shares.tree_of_shares,
    shares.set_tree_of_shares,
    shares.set_share,
    shares.delete_share,
    shares.retag_live_work,
    workers.ended,
    users.set_user,
    accounts.account,
    accounts.set_account,
    retry.retry_rules,
    retry.add_retry_rule,
    retry.try_retry_rule,
    retry.change_retry_rule,
    retry.remove_retry_rule,
    retry.change_retry_action,
    retry.add_error_class,
    retry.change_error_class,
    retry.remove_error_class,
    incidents.acknowledge,
    incidents.resolve,
    incidents.reopen,
    records.ingest_records,
    incident_notices.add_notice_route,
    incident_notices.change_notice_route,
    incident_notices.remove_notice_route,
    incident_notices.test_notice_route,
]
