"""Payload of the demonstration that fails on purpose, each job in its own way. Standard library alone.

    python fail_on_purpose.py JOB_NUMBER INPUT OUTPUT

Job 1 ends with a traceback and exit code 3, job 2 forgets its output. Job 3 would succeed, but never starts: its input
was registered with a wrong checksum.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

EXIT_CODE = 3


def parse_calibration(text: str) -> float:
    """The calibration constant of a detector, which is not there."""
    for line in text.splitlines():
        if line.startswith("calibration ="):
            return float(line.split("=")[1])
    raise ValueError("no calibration constant in the input")


def run(number: int, source: Path, target: Path) -> int:
    """The exit code of the job of this number."""
    sys.stderr.write(f"job {number} reads {source}\n")
    if number == 1:
        try:
            target.write_text(str(parse_calibration(source.read_text(errors="replace"))))
        except ValueError:
            traceback.print_exc()
            return EXIT_CODE
    if number == 2:
        sys.stderr.write("finished, but nothing was written\n")
        return 0
    target.write_bytes(source.read_bytes())
    return 0


if __name__ == "__main__":
    sys.exit(run(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])))
