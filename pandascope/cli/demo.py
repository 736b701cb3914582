"""`panda demo`: the whole system on real files in one command. Tells the story; the work is in pandascope/demo/."""

from __future__ import annotations

import signal
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from pandascope.cli.connection import AsJson
from pandascope.cli.failures import show_incidents
from pandascope.cli.progress import TaskProgress
from pandascope.cli.rendering import console, number, print_json, size
from pandascope.client import Client
from pandascope.demo import counting, failing
from pandascope.demo.stack import PILOTS, Stack
from pandascope.errors import ClientError

_TERMINATED = 143


@dataclass
class _Story:
    """What came of the run, for the end and for --json."""

    terminal: Console
    as_json: bool
    started: float = field(default_factory=time.monotonic)
    facts: dict[str, Any] = field(default_factory=dict)

    def tell(self, sentence: str, style: str = "") -> None:
        self.terminal.print(Text(sentence, style=style), soft_wrap=True)


def command(
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Data directory; default a fresh temporary one.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything up at the end, to look around.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start a private stack, process real files on two pilots, check the result, show failures, and stop.

    Counts the tokens of Python's standard library as jobs and compares with a direct computation in one process; then
    fails on purpose in three ways and shows the incidents. Exit code 0 means that everything was as it should be.
    """
    story = _Story(console(stderr=as_json), as_json)
    signal.signal(signal.SIGTERM, _end)
    stack = Stack(data)
    try:
        _run(story, stack, keep)
    except BaseException as error:
        _say_failure(story, stack, error)
        stack.stop()
        if not isinstance(error, Exception):
            stack.remove()
        raise typer.Exit(_exit_code(error)) from error
    _finish(story, stack, keep)


def _run(story: _Story, stack: Stack, keep: bool) -> None:
    with story.terminal.status(f"starting database, API, agents and {PILOTS} pilots in {stack.data}"):
        stack.start()
    story.tell(f"up in {time.monotonic() - story.started:.1f} s: {stack.url}, {PILOTS} pilots on demand", "bold")
    story.tell(f"  monitor  {stack.url}/monitor/\n  console  panda tui --data {stack.data}")
    with Client(data=stack.data) as client:
        files = counting.library_files()
        _count(story, stack, client, files)
        _fail(story, stack, client, files, keep)


def _count(story: _Story, stack: Stack, client: Client, files: list[Path]) -> None:
    """Count as jobs and directly; raises ClientError unless both are equal."""
    begin = time.monotonic()
    submitted = counting.submit(client, files)
    per_job = counting.FILES_PER_JOB
    story.tell(
        f"\ntask {submitted.jedi_task_id}: count the tokens of {submitted.n_inputs} files of Python's standard library "
        f"({size(submitted.input_bytes)}), one job per {per_job} files",
        "bold",
    )
    with TaskProgress("jobs", is_shown=not story.as_json) as progress:
        collected = counting.collect(client, submitted, stack.data / "demo-results", progress.show)
    jobs_s, begin = time.monotonic() - begin, time.monotonic()
    with story.terminal.status("the same computation in this process") as status:
        direct = counting.compute_directly(files, lambda done: status.update(f"directly: {done} of {len(files)} files"))
    direct_s = time.monotonic() - begin
    sums, expected = counting.totals(collected), counting.totals(direct)
    story.facts["counting"] = {
        "jedi_task_id": submitted.jedi_task_id,
        "jobs": asdict(sums),
        "direct": asdict(expected),
        "equal": collected == direct,
        "jobs_s": round(jobs_s, 2),
        "direct_s": round(direct_s, 2),
    }
    for who, sum_of, seconds in (("jobs", sums, jobs_s), ("directly", expected, direct_s)):
        story.tell(
            f"  {who:<9} {sum_of.tokens:>12,} tokens {sum_of.lines:>10,} lines {sum_of.files:>6,} files  {seconds:6.1f} s"
        )
    difference = counting.first_difference(collected, direct)
    if difference:
        raise ClientError(f"the results differ at {difference}", code="results_differ")
    story.tell(f"  equal: all {len(direct):,} characters of {sums.files} lines are the same", "green")


def _fail(story: _Story, stack: Stack, client: Client, files: list[Path], keep: bool) -> None:
    task_id = failing.submit(client, files)
    story.tell(f"\ntask {task_id}: fails on purpose in {failing.N_WAYS} ways", "bold")
    with TaskProgress("jobs", is_shown=not story.as_json) as progress:
        rows = failing.wait_for_incidents(client, task_id, progress.show)
    story.facts["failing"] = {"jedi_task_id": task_id, "incidents": rows}
    story.tell(f"  {number(len(rows), 'incident')} opened by themselves:")
    show_incidents(story.terminal, rows, f" --data {stack.data}" if keep else None)


def _finish(story: _Story, stack: Stack, keep: bool) -> None:
    if not keep:
        with story.terminal.status("stopping everything"):
            _stop_or_fail(story, stack)
    took = time.monotonic() - story.started
    sums = story.facts["counting"]["jobs"]
    story.tell(
        f"\nOK  jobs == direct computation: {sums['tokens']:,} tokens, {sums['lines']:,} lines in {sums['files']:,} files; "
        f"{len(story.facts['failing']['incidents'])} incidents; took {took:.1f} s",
        "bold green",
    )
    if keep:
        story.tell(
            f"it stays up:\n  monitor  {stack.url}/monitor/\n  console  panda tui --data {stack.data}\n"
            f"  stop     panda down --data {stack.data}"
        )
    else:
        story.tell("everything is stopped; `panda demo --keep` leaves it up to look around, `panda up` starts your own")
        stack.remove()
    if story.as_json:
        print_json({"ok": True, "url": stack.url, "data": str(stack.data), "took_s": round(took, 2), **story.facts})


def _stop_or_fail(story: _Story, stack: Stack) -> None:
    try:
        stack.stop()
    except ClientError as error:
        _say_failure(story, stack, error)
        raise typer.Exit(1) from error


def _say_failure(story: _Story, stack: Stack, error: BaseException) -> None:
    interrupted = not isinstance(error, Exception)
    detail = "interrupted" if interrupted else str(error) if isinstance(error, ClientError) else repr(error)
    took = time.monotonic() - story.started
    story.tell(f"\nFAILED after {took:.1f} s: {detail}", "bold red")
    if stack.is_ours:
        story.tell("stopping everything" if interrupted else f"stopping everything; the logs are in {stack.logs}")
    if story.as_json:
        print_json({"ok": False, "error": detail, "logs": str(stack.logs), "took_s": round(took, 2), **story.facts})


def _exit_code(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt):
        return 130
    return _TERMINATED if isinstance(error, SystemExit) else 1


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(_TERMINATED)
