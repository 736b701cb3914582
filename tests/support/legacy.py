"""Calls of the old protocol as the real pilot makes them, with what was captured of it (pilot-wire.md)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import httpx

# pilot-wire.md 2.1, word for word
GET_JOB = (
    "siteName={queue}&computingElement={queue}&prodSourceLabel=user&diskSpace=14336&workingGroup=&cpu=2445.432"
    "&mem=24105.55859375&node=vm&allowOtherCountry=False&harvester_id=spike-harvester&worker_id=77"
)


def raw(client: httpx.Client, method: str, body: bytes | str, **headers: str) -> httpx.Response:
    """A POST without a Content-Type, as curl's config and urllib send it."""
    content = body.encode() if isinstance(body, str) else body
    request = client.build_request("POST", f"/server/panda/{method}", content=content, headers=headers)
    request.headers.pop("content-type", None)
    return client.send(request)


def call(client: httpx.Client, method: str, **sent: Any) -> Any:
    response = raw(client, method, urlencode(sent))
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    return response.json()


def update(client: httpx.Client, panda_id: int, state: str = "running", **said: Any) -> Any:
    return call(client, "updateJob", jobId=panda_id, state=state, **said)


def stored(panda_id: int, *lfns: str) -> str:
    """The xml of a final update: guid empty for outputs, as the generic plug-in sends it."""
    entry = {"guid": "", "fsize": 4, "adler32": "01c2009c", "surl": "file://localhost/storage/user/x/80/99/name"}
    return json.dumps(dict.fromkeys((*lfns, f"job.{panda_id}.log.tgz"), entry))


def final(panda_id: int, state: str, **said: Any) -> dict[str, Any]:
    """The final update of pilot-wire.md 7, decoded there."""
    return {
        "jobId": panda_id,
        "state": state,
        "timestamp": "2026-11-21T08:12:37.871+00:00",
        "siteName": "Q",
        "node": "vm",
        "attemptNr": 1,
        "schedulerID": "unknown",
        "pilotID": "unknown|PR|3.7.0.36",
        "startTime": 1795249431.6084945,
        "coreCount": 1,
        "cpuConsumptionUnit": "s+AMD EPYC 7763+AVX2",
        "pilotTiming": "0|0|0|0|0|0",
        "pilotLog": "- Log from pilotlog.txt -\n..",
        "endTime": 1795249557.8695316,
        "pilotErrorCode": 0,
        "pilotErrorDiag": "",
        "transExitCode": 0,
        "exeErrorCode": 0,
        "exeErrorDiag": "",
        **said,
    }
