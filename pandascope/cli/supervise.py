"""`panda supervise`: the supervisor as a background process; tells `panda up` over a pipe how the start goes."""

from __future__ import annotations

import json
import logging
import os
from typing import Annotated, Any

import typer

from core.configuration import Settings
from core.errors import PandaError
from pandascope.supervisor.logs import log_to_stderr
from pandascope.supervisor.supervisor import Supervisor

log = logging.getLogger("panda.supervisor")


def command(
    report_fd: Annotated[int, typer.Option("--report-fd", help="Descriptor to write the start's steps to.")],
) -> None:
    """Keep everything running until SIGTERM."""
    log_to_stderr()
    os.set_inheritable(report_fd, False)
    reporter = _Reporter(report_fd)
    try:
        Supervisor(Settings.load(), reporter.tell).run()
    except PandaError as error:
        log.error("%s", error)
        reporter.tell(
            {"error": {"code": error.code, "detail": error.detail, "field": error.field, "remedy": error.remedy}}
        )
        raise typer.Exit(1) from error


class _Reporter:
    """Writes JSON lines until the start is over; whoever listened may be gone by then."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def tell(self, report: dict[str, Any]) -> None:
        if self._descriptor < 0:
            return
        try:
            os.write(self._descriptor, json.dumps(report).encode() + b"\n")
        except BrokenPipeError:
            log.info("nobody listens to the start any more")
            self._close()
        if "step" not in report:
            self._close()

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1
