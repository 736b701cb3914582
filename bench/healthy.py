"""A healthy installation in real time: `python -m bench.healthy --minutes 60` counts the incidents of an hour without trouble.

`panda up` with pilots of its own; each minute somebody submits a task of short jobs of which two of a hundred fail at their
first attempt and are well at the second. Prints what opened (nothing should), candidates, and how late the incident builder
was at worst.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from pandascope import Client
from pandascope.environment import read_environment_file

_PANDA = [sys.executable, "-P", "-m", "pandascope.cli.main"]
_COMMAND = "sleep 1; [ $PANDA_ATTEMPT_NR = 1 ] && shuf -i 0-49 -n1 | grep -qx 0 && exit 3; true"
_LAG = re.compile(r"^panda_event_lag_seconds(?:\{.*\})? ([0-9.e+-]+)$", re.MULTILINE)


@contextmanager
def installation(pilots: int) -> Iterator[Path]:
    """A data directory with everything running on it."""
    with tempfile.TemporaryDirectory(prefix="panda-healthy-") as name:
        data = Path(name)
        data.chmod(0o711)
        up = ["up", "--port", "0", "--workers", "2", "--pilots", str(pilots), "--data", name]
        subprocess.run([*_PANDA, *up], check=True, stdout=subprocess.DEVNULL, timeout=240)
        try:
            yield data
        finally:
            subprocess.run([*_PANDA, "down", "--data", name], check=True, stdout=subprocess.DEVNULL, timeout=120)


def main() -> int:
    """Run it; exit code 1 when an incident opened."""
    parser = argparse.ArgumentParser(prog="python -m bench.healthy", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--jobs", type=int, default=20, help="jobs a minute")
    parser.add_argument("--pilots", type=int, default=4)
    options = parser.parse_args()
    with installation(options.pilots) as data:
        known = read_environment_file(data / "panda.env")
        client = Client(known["PANDA_URL"], known["PANDA_TOKEN"])
        worst_lag_s, minute, end = 0.0, 0, time.monotonic() + 60 * options.minutes
        while time.monotonic() < end:
            client.submit_task(
                {
                    "taskName": f"healthy.{minute}",
                    "jobParameters": _COMMAND,
                    "nJobs": options.jobs,
                    "maxAttempt": 4,
                    "maxFailure": 4,
                    "skipScout": True,
                }
            )
            minute += 1
            for _ in range(4):
                time.sleep(min(15.0, max(0.0, end - time.monotonic())))
                worst_lag_s = max(worst_lag_s, _lag_s(known))
        return _report(client, minute, worst_lag_s)


def _lag_s(known: dict[str, str]) -> float:
    headers = {"Authorization": f"Bearer {known['PANDA_TOKEN']}"}
    answer = httpx.get(f"{known['PANDA_URL']}/metrics", headers=headers, timeout=30)
    return max((float(value) for value in _LAG.findall(answer.raise_for_status().text)), default=0.0)


def _report(client: Client, minutes: int, worst_lag_s: float) -> int:
    opened = client.incidents(state="*")["incidents"]
    candidates = client.incidents(state="*", candidates=1)["incidents"]
    tried = sum(one["job_count"] for one in candidates if one not in opened)
    jobs = client.jobs(hours=24, limit=1)["count"]
    sys.stdout.write(
        f"{minutes} minutes, {jobs} jobs, {tried} attempts failed and were tried again: {len(opened)} incidents; "
        f"the builder was {worst_lag_s:.1f} s behind at worst\n"
    )
    for one in opened:
        sys.stdout.write(f"  {one['kind']}: {one['title']} ({one['culprit_line']})\n")
    return 1 if opened else 0


if __name__ == "__main__":
    sys.exit(main())
