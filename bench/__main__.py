"""`python -m bench`: the pilots' hot calls and task submission over HTTP, each beside PostgreSQL's own rate in the same run."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import tempfile
from pathlib import Path

from sqlalchemy import make_url

from bench.http_load import Load, run_load
from bench.pilot_calls import HotCall, hot_calls
from bench.population import populate
from bench.stack import Stack, running_stack
from bench.task_submission import INSERT_ONE_JOB, KINDS, submit_once


def main() -> None:
    """Run and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000, help="jobs in the tables, over 100 queues")
    parser.add_argument("--clients", type=int, default=16, help="connections, of pgbench and over HTTP alike")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each measurement")
    parser.add_argument("--workers", type=int, default=2, help="API processes")
    parser.add_argument("--rounds", type=int, default=2, help="times each pair is measured, alternating")
    parser.add_argument("--task-jobs", type=int, default=5000, help="jobs of each task that is submitted")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, {arguments.workers} API workers, {arguments.clients} connections,", end=" ")
    print(f"{arguments.jobs} jobs over 100 queues, {arguments.rounds} rounds of {arguments.seconds:g} s; fsync on")
    print(f"{'':14} {'HTTP /s':>9} {'pgbench /s':>11} {'ratio':>6} {'p50 ms':>7} {'p95 ms':>7} {'refused':>8}")
    with running_stack(arguments.workers) as stack:
        for call in hot_calls(arguments.jobs, arguments.clients):
            for _ in range(arguments.rounds):
                load, baseline = _pair(stack, call, arguments)
                print(
                    f"{call.name:14} {load.rate:9.0f} {baseline:11.0f} {load.rate / baseline:6.2f} "
                    f"{load.p50_ms:7.1f} {load.p95_ms:7.1f} {load.refused:8d}",
                    flush=True,
                )
        _submissions(stack, arguments)


def _submissions(stack: Stack, arguments: argparse.Namespace) -> None:
    """Jobs of a task of prun per second, beside single jobs inserted by pgbench, each in its own transaction."""
    print(f"{'':14} {'jobs /s':>9} {'pgbench /s':>11} {'ratio':>6} {'s':>7}   one task of {arguments.task_jobs} jobs")
    populate(stack.database, jobs=0, status="running")
    for kind in KINDS:
        for turn in range(arguments.rounds):
            seconds = submit_once(stack, kind, arguments.task_jobs, turn)
            rate = arguments.task_jobs / seconds
            baseline = _pgbench(stack, INSERT_ONE_JOB, arguments.clients, arguments.seconds)
            print(f"{kind:14} {rate:9.0f} {baseline:11.0f} {rate / baseline:6.2f} {seconds:7.2f}", flush=True)


def _pair(stack: Stack, call: HotCall, arguments: argparse.Namespace) -> tuple[Load, float]:
    populate(stack.database, jobs=arguments.jobs, status=call.status)
    load = run_load(
        *(stack.host, stack.port, stack.token, call.path, call.body),
        form=call.form,
        clients=arguments.clients,
        seconds=arguments.seconds,
    )
    populate(stack.database, jobs=arguments.jobs, status=call.status)
    return load, _pgbench(stack, call.script, arguments.clients, arguments.seconds)


def _pgbench(stack: Stack, script: str, clients: int, seconds: float) -> float:
    url = make_url(stack.database_url)
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        command = [
            *(str(Path(stack.programs) / "pgbench"), "--no-vacuum", "-M", "prepared", "-f", file.name, "-D", "turn=-1"),
            *("-c", str(clients), "-j", "2", "-T", str(max(1, round(seconds)))),
            *("-h", str(url.query.get("host", url.host)), "-U", url.username or "postgres", url.database or "postgres"),
        ]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"tps = ([0-9.]+)", result.stdout)
    if found is None or "number of failed transactions: 0 " not in result.stdout:
        raise RuntimeError(f"pgbench did not run: {result.stdout[-2000:]} {result.stderr[-2000:]}")
    return float(found.group(1))


if __name__ == "__main__":
    main()
