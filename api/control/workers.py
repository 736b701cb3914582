"""What factories report of their workers."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from api.identity.access import Access
from api.operations import Context, operation
from api.strict import StrictBody
from core.dispatch.workers import fail_jobs_of_worker
from core.text import clean


class WorkerEndedBody(StrictBody):
    """A worker that is gone."""

    worker_id: str = Field(min_length=1, max_length=80)
    exit_code: int | None = Field(None, ge=-(2**31), lt=2**32)
    """Windows and some batch systems count without a sign."""
    signal: int | None = Field(None, ge=1, le=128)
    diagnosis: str = Field("", max_length=2000)


@operation("POST", "/api/control/worker/ended", access=Access.PILOT)
def ended(context: Context, body: WorkerEndedBody) -> dict[str, Any]:
    """Fail the jobs that a dead worker still held, without waiting for the heartbeat limit."""
    how = f"signal {body.signal}" if body.signal else f"exit code {body.exit_code}"
    diagnosis = clean(body.diagnosis or f"ended with {how}", 500)
    return {"failed_jobs": fail_jobs_of_worker(context.database, body.worker_id.replace("\x00", ""), diagnosis)}
