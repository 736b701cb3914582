"""Second half of the demonstration: a task whose three jobs fail in three ways, and the incidents that come of it."""

from __future__ import annotations

import shlex
import sys
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

from pandascope.client import Client
from pandascope.demo import fail_on_purpose
from pandascope.errors import TimedOut
from pandascope.files import find_files, measure
from pandascope.running import RunRequest, local_endpoint, registration, task_parameters
from pandascope.waiting import Progress

N_WAYS = 3
_INCIDENT_PATIENCE_S = 60.0


def submit(client: Client, sources: list[Path]) -> int:
    """Submit the task; the last of its three inputs is registered with a checksum it does not have."""
    script = Path(fail_on_purpose.__file__)
    endpoint = local_endpoint(client.endpoints())
    inputs = measure(find_files(sources[:N_WAYS], "--in"))
    inputs[-1] = replace(inputs[-1], checksum="ad:0badc0de")
    name = f"demo.fail-on-purpose.{uuid.uuid4().hex[:6]}"
    datasets = {"input": f"{name}_in", "sandbox": f"{name}_sandbox"}
    client.register_dataset(datasets["input"], [registration(file, endpoint) for file in inputs])
    sandbox = measure(find_files([script], "--sandbox"))
    client.register_dataset(datasets["sandbox"], [registration(file, endpoint) for file in sandbox], kind="sandbox")
    request = RunRequest(
        f"{shlex.quote(sys.executable)} -I -S {script.name} %JOB %IN %OUT",
        inputs=[file.path for file in inputs],
        outputs=["result.txt"],
        files_per_job=1,
    )
    return client.submit_task(task_parameters(request, name, datasets))


def wait_for_incidents(client: Client, jedi_task_id: int, on_progress: Progress) -> list[dict[str, Any]]:
    """The incidents of the task, once there is one for each way to fail. Raises TimedOut."""
    client.wait(jedi_task_id, timeout_s=300.0, on_progress=on_progress)
    deadline = time.monotonic() + _INCIDENT_PATIENCE_S
    while True:
        rows = list(client.incidents(jedi_task_id=jedi_task_id, state="*")["incidents"])
        if len(rows) >= N_WAYS and all(row["culprit_line"] for row in rows):
            return rows
        if time.monotonic() > deadline:
            raise TimedOut(
                f"of {N_WAYS} incidents with a culprit line only {sum(bool(row['culprit_line']) for row in rows)} came"
            )
        time.sleep(0.2)
