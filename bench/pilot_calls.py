"""The hot calls of pilots, ours and the production one, each as an HTTP request and as the very same SQL for pgbench."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.http_load import JSON, LEGACY, Form
from bench.population import QUEUES
from core.dispatch import acquire, update
from core.dispatch.acquire import SlotOffer, acquire_parameters
from core.dispatch.update import JobReport, reports_parameters

_LOG = "".join(f"line {number}: the payload says something of ordinary length\n" for number in range(60))
_REPORT = {"output": {"guid": "", "fsize": 1000, "adler32": "01c2009c", "surl": "/bench/1"}}


@dataclass(frozen=True)
class HotCall:
    """One call: its starting state, the request for number n, and the statement with pgbench variables."""

    name: str
    status: str
    path: str
    body: Callable[[int], dict[str, Any]]
    script: str
    form: Form = JSON


def hot_calls(jobs: int, clients: int) -> list[HotCall]:
    """take-one-job, heartbeat, finish, for `jobs` jobs numbered from 1 and `clients` pgbench clients; the production pilot's
    forms of the first two."""
    v1, legacy = "/api/v1/pilot", "/server/panda"
    take, beat = _take_script(), _beat_script(jobs)

    def someone(_: int) -> int:
        return 1 + random.randrange(jobs)

    return [
        HotCall("take one job", "activated", f"{v1}/acquire_jobs", _take, take),
        HotCall("heartbeat", "running", f"{v1}/update_job", lambda n: _heartbeat(someone(n)), beat),
        HotCall("finish", "running", f"{v1}/update_job", _finish, _finish_script(clients)),
        HotCall("getJob", "activated", f"{legacy}/getJob", _get_job, take, LEGACY),
        HotCall("updateJob", "running", f"{legacy}/updateJob", lambda n: _update_job(someone(n)), beat, LEGACY),
    ]


def _take(_: int) -> dict[str, Any]:
    return {
        "site_name": f"BENCH_{random.randrange(QUEUES)}",
        "prod_source_label": "user",
        "memory": 4000,
        "disk_space": 20000,
        "cores": 1,
        "node": "bench-node",
    }


def _heartbeat(panda_id: int) -> dict[str, Any]:
    return {
        "job_id": panda_id,
        "job_status": "running",
        "attempt_nr": 1,
        "node": "bench-node",
        "cpu_consumption_time": 1234,
        "max_rss": 500_000,
        "max_pss": 400_000,
        "work_dir_size_mb": 120,
    }


def _finish(number: int) -> dict[str, Any]:
    return {
        **_heartbeat(number + 1),
        "job_status": "finished",
        "trans_exit_code": 0,
        "job_output_report": json.dumps(_REPORT),
        "payload_stdout": _LOG,
        "payload_stderr": _LOG[:300],
        "pilot_log": _LOG,
    }


def _get_job(_: int) -> dict[str, Any]:
    """As pilot 3.7 asks (pilot-wire.md 2.1)."""
    return {
        "siteName": f"BENCH_{random.randrange(QUEUES)}",
        "computingElement": "BENCH",
        "prodSourceLabel": "user",
        "diskSpace": 20000,
        "workingGroup": "",
        "cpu": 2445.432,
        "mem": 4000,
        "node": "bench-node",
        "allowOtherCountry": False,
    }


def _update_job(panda_id: int) -> dict[str, Any]:
    """As pilot 3.7 reports a running job (pilot-wire.md 2.2)."""
    return {
        "jobId": panda_id,
        "state": "running",
        "timestamp": "2026-11-21T08:12:37.871+00:00",
        "siteName": "BENCH",
        "node": "bench-node",
        "attemptNr": 1,
        "schedulerID": "unknown",
        "pilotID": "unknown|PR|3.7.0.36",
        "coreCount": 1,
        "cpuConsumptionTime": 1234,
        "cpuConsumptionUnit": "s+AMD EPYC 7763+AVX2",
        **dict.fromkeys(("maxRSS", "maxVMEM", "maxSWAP", "maxPSS", "avgRSS", "avgVMEM", "avgSWAP", "avgPSS"), 500_000),
        **dict.fromkeys(("totRCHAR", "totWCHAR", "totRBYTES", "totWBYTES"), 123_456_789),
    }


def _take_script() -> str:
    offer = SlotOffer("SITE", "user", 4000, 20000, 1, None, node="bench-node")
    statement = _with_literals(acquire.ACQUIRE.statement, acquire_parameters(offer)).replace(
        "E'SITE'", "('BENCH_' || :queue)"
    )
    return f"\\set queue random(0, {QUEUES - 1})\n{statement};\n"


def _report(status: str) -> JobReport:
    return JobReport(
        -1,
        status,
        1,
        node="bench-node",
        cpu_consumption_time_s=1234,
        max_rss_kb=500_000,
        max_pss_kb=400_000,
        work_dir_mb=120,
    )


def _beat_script(jobs: int) -> str:
    statement = _with_literals(update.HEARTBEAT.statement, reports_parameters([_report("running")]))
    return f"\\set job random(1, {jobs})\n{_numbered(statement)};\n"


def _finish_script(clients: int) -> str:
    report = _report("finished")
    report.trans_exit_code, report.output_report = 0, _REPORT
    report.logs = {"payload.stdout": _LOG, "payload.stderr": _LOG[:300], "pilot.log": _LOG}
    statement = _numbered(_with_literals(update.FINAL.statement, reports_parameters([report])))
    # variables live as long as the client, so each job is finished once, as over HTTP
    return f"\\set turn :turn + 1\n\\set job 1 + :turn * {clients} + :client_id\n{statement};\n"


def _numbered(statement: str) -> str:
    """The statement with the pgbench variable `job` in place of the PandaID -1 inside its JSON text."""
    before, _, rest = statement.partition('E\'[{"panda_id"\\x3a -1')
    after, _, tail = rest.partition("'::jsonb")
    return f"{before}(E'[{{\"panda_id\"\\x3a ' || :job || E'{after}')::jsonb{tail}"


def _with_literals(statement: str, values: dict[str, Any]) -> str:
    """The statement with its bound parameters written out; for fixed benchmark values only. One line for pgbench."""
    text = re.sub(r"%\((\w+)\)s", lambda match: _literal(values[match.group(1)]), statement).replace("%%", "%")
    return " ".join(line for line in text.splitlines() if line.strip())


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list):
        return "ARRAY[" + ", ".join(_literal(entry) for entry in value) + "]"
    # pgbench reads colons as variables, and a statement ends at the end of the line
    return "E'" + str(value).replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n").replace(":", "\\x3a") + "'"
