"""The options of `panda run`, with their words for people. Knows no server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Execute = Annotated[
    str, typer.Option("--exec", metavar="COMMAND", help="Shell text; %IN, %OUT (%OUT2, ...) and %JOB are filled in.")
]
Inputs = Annotated[
    list[str] | None,
    typer.Option("--in", metavar="FILES", help="Names, patterns (also **) or directories; repeatable."),
]
Outputs = Annotated[
    list[str] | None, typer.Option("--out", metavar="NAME", help="A file the command makes; repeatable.")
]
FilesPerJob = Annotated[int | None, typer.Option(metavar="N", help="Input files of one job; default 1.")]
Jobs = Annotated[int | None, typer.Option("--jobs", metavar="N", help="Number of jobs when there is no input.")]
Sandbox = Annotated[
    list[str] | None, typer.Option(metavar="FILES", help="Files every job gets: scripts, settings; repeatable.")
]
Site = Annotated[str | None, typer.Option(metavar="QUEUE", help="Only this queue.")]
Memory = Annotated[int | None, typer.Option(metavar="MB", help="Memory a job needs.")]
Cores = Annotated[int | None, typer.Option(metavar="N", help="Cores a job needs.")]
Walltime = Annotated[int | None, typer.Option(metavar="S", help="Longest run time of a job.")]
Disk = Annotated[int | None, typer.Option(metavar="MB", help="Largest work directory of a job.")]
Attempts = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="Most attempts of a job, failures of its command included; without it these end it."
    ),
]
Scouts = Annotated[bool, typer.Option("--scouts", help="Ten jobs go first and measure what the others need.")]
Preprocess = Annotated[
    str | None,
    typer.Option(
        metavar="COMMAND",
        help='A first job: writes parameters of the task to %OUT as JSON, as in {"inputFiles": ["a.txt"]} or {"nJobs": 7}.',
    ),
]
Name = Annotated[str | None, typer.Option(metavar="NAME", help="Name of the task.")]
Wait = Annotated[bool, typer.Option("--wait", help="Return when the task has ended.")]
Timeout = Annotated[float | None, typer.Option(metavar="S", min=0, help="Wait at most this long.")]
Collect = Annotated[Path | None, typer.Option(metavar="DIR", help="Copy the outputs there, verified (waits).")]
Merge = Annotated[bool, typer.Option("--merge", help="Also join the outputs of all jobs, in input order.")]
