"""runPrepro: runs the user's command, which writes down what the task is to work on, and leaves that for the pilot.

Good run lists and event picking have programs of their own names, as clients ask for them. Which datasets these mean only
services of ATLAS know, so without a command of the user's there is nothing that they could do.
"""

from __future__ import annotations

import json
from pathlib import Path

from .containers import wanted_container
from .failing import BAD_DATA, NOT_AVAILABLE, USAGE, Failure, say
from .options import Arguments
from .results import JOB_REPORT
from .run import place_to_run, sandbox
from .running import WORK_DIRECTORY, run_script, write_script
from .unpacking import tidy
from .wording import command_text

MOST_REPORT_BYTES = 1_000_000
"""What pilots send along."""
_DEFAULT_OUTPUT = "preprocessed.json"
_SERVICES = {
    "preGoodRunList-00-00-01": "a good run list becomes datasets by AMI, the metadata service of ATLAS",
    "preEvtPick-00-00-01": "events are looked up in the event index of ATLAS",
}
_REMEDY = "have a command of yours do it (-p), or name a program in transPath of the preproSpec"


def preprocess(program: str, arguments: Arguments) -> int:
    """Run the command of `-p`; what it wrote to the file of `-o` becomes the job's report. The command's exit code.

    Raises Failure for what goes wrong outside the command, and for a result that no server could use.
    """
    job = Path.cwd()
    command = command_text(arguments.text("-p"))
    if not command.strip():
        reason = _SERVICES.get(program)
        if reason is None:
            raise Failure(USAGE, "there is no command (-p)")
        raise Failure(NOT_AVAILABLE, f"{reason}, which this node does not reach: {_REMEDY}")
    _check_software(arguments)
    output = arguments.text("-o") or _DEFAULT_OUTPUT
    if Path(output).name != output:
        raise Failure(USAGE, f"{output!r} (-o) is not the name of a file")
    container = wanted_container(arguments)
    run_directory = place_to_run(job, arguments.text("-r"))
    unpacked = sandbox(arguments, job)
    run_directory.mkdir(parents=True, exist_ok=True)
    write_script(job, run_directory, command, container.working_directory if container else "")
    code = run_script(job, container, arguments.has("--noX509"), {})
    if code != 0:
        return code
    _leave_report(run_directory / output, job / JOB_REPORT)
    tidy(unpacked, [], job / WORK_DIRECTORY)
    return 0


def _check_software(arguments: Arguments) -> None:
    """Raises Failure. The list of good runs itself is what the command is there for."""
    for name, reason in arguments.refused:
        if name != "--goodRunListXML":
            raise Failure(NOT_AVAILABLE, f"{name} is asked for: {reason}, which this node does not have")


def _leave_report(made: Path, report: Path) -> None:
    """Raises Failure when there is no JSON object that pilots can send along."""
    if not made.is_file():
        raise Failure(BAD_DATA, f"the command succeeded, but made no {made.name} (-o)")
    if made.stat().st_size > MOST_REPORT_BYTES:
        raise Failure(BAD_DATA, f"{made.name} is larger than the 1 MB that pilots send along")
    try:
        content = json.loads(made.read_bytes().decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Failure(BAD_DATA, f"{made.name} is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise Failure(BAD_DATA, f"{made.name} is no JSON object, but begins with {json.dumps(content)[:40]}")
    report.write_text(json.dumps(content) + "\n", encoding="utf-8")
    say(f"worked out {', '.join(sorted(content))}")
