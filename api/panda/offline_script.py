"""A shell script that runs a job again by hand, away from pilots and server. Knows a job's row and files, no HTTP."""

from __future__ import annotations

import shlex
from typing import Any

from api.panda.job_dictionary import transformation_address
from core.database import Row
from core.taskengine.dialects.house import RUN_SHELL

_HEAD = """#!/bin/bash
# Runs PanDA job {panda_id} ({job_name}) once more by hand, in a directory of its own.
# The inputs are fetched from where they lay when the job ran; nothing is stored or reported.
set -euo pipefail
WORK_DIRECTORY="${{1:-panda_job_{panda_id}}}"
mkdir -p "$WORK_DIRECTORY"
cd "$WORK_DIRECTORY"
export PANDA_ID={panda_id} PANDA_CORE_COUNT={core_count}

fetch() {{  # source, name in the job directory
    mkdir -p "$(dirname "$2")"
    case "$1" in
        http://*|https://*) curl --fail --silent --show-error --location --output "$2" "$1" ;;
        "") [ -e "$2" ] || {{ echo "put the input $2 here by hand" >&2; exit 1; }} ;;
        *) cp "${{1#file://localhost}}" "$2" ;;
    esac
}}
"""


def offline_script(job: Row, base_url: str) -> str:
    """The script as text. `job`: a row with its `files` and `job_parameters`."""
    lines = [_HEAD.format(**_quoted(job))]
    for file in job["files"]:
        if file["type"] in ("input", "sandbox"):
            lines.append(f"fetch {shlex.quote(file['pfn'])} {shlex.quote(file['local_name'] or file['lfn'])}")
    lines += ["", *_run(job, base_url)]
    outputs = [
        shlex.quote(file["local_name"] or file["lfn"]) for file in job["files"] if file["type"] in ("output", "lib")
    ]
    if outputs:
        lines += ["", "# what the job was to make", f"ls -l {' '.join(outputs)}"]
    return "\n".join(lines) + "\n"


def _run(job: Row, base_url: str) -> list[str]:
    parameters = str(job["job_parameters"])
    address = transformation_address(str(job["transformation"]), f"{base_url}/trf/user")
    if address == RUN_SHELL:
        return [f"bash -c {shlex.quote(parameters)}"]
    if not address.startswith(("http://", "https://")):
        return [f"{shlex.quote(address)} {parameters}".rstrip()]
    name = shlex.quote("./" + address.rsplit("/", 1)[1])
    return [f"fetch {shlex.quote(address)} {name}", f"chmod +x {name}", f"{name} {parameters}".rstrip()]


def _quoted(job: Row) -> dict[str, Any]:
    # in a comment: a name with a line break would begin a command
    return {
        "panda_id": int(job["panda_id"]),
        "job_name": " ".join(str(job["job_name"]).split()),
        "core_count": int(job["core_count"]),
    }
