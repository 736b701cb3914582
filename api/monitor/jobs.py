"""Jobs over HTTP: the list with its facets, one job, its logs."""

from __future__ import annotations

from pydantic import BaseModel

from api.identity.access import Access
from api.monitor.grammar import asks, question
from api.operations import Answer, Context, operation
from core.monitor.job import job_detail
from core.monitor.joblog import job_log
from core.monitor.jobs import job_list
from core.monitor.selection import JOB_GRAMMAR


@asks(JOB_GRAMMAR, paged=True, facets="0 leaves the facets out")
@operation("GET", "/api/monitor/jobs", access=Access.READER)
def jobs(context: Context, query: BaseModel) -> Answer:
    """Jobs that match, newest first, and what they have in common."""
    return job_list(context.read_database, question(context, JOB_GRAMMAR))


@operation("GET", "/api/monitor/job/{panda_id}", access=Access.READER)
def job(context: Context, panda_id: int) -> Answer:
    """One job: what happened to it, its files, errors, logs and brokerage."""
    return job_detail(context.read_database, panda_id, context.services.clock())


class LogQuery(BaseModel):
    """Which of the job's logs."""

    name: str = ""


@operation("GET", "/api/monitor/job/{panda_id}/log", access=Access.READER)
def job_log_text(context: Context, panda_id: int, query: LogQuery) -> Answer:
    """A kept log of a job, by default the one with the culprit line."""
    return job_log(context.read_database, panda_id, query.name, context.services.clock())
