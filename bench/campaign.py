"""The fault campaign as a table: `python -m bench.campaign` injects sixteen kinds of trouble and says what became of each.

Columns: kind of trouble, incident (kind), verdict with what it names and its score, culprit line, seconds from the
evidence to the incident with its verdict, and how many other incidents opened (0).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from core.database import migrate
from core.database.connection import Database
from core.database.embedded import EmbeddedPostgres
from tests.support.campaign import FAULTS, Result, stage, try_out

_WITHIN_S = 10.0


def main() -> int:
    """Run the campaign; exit code 1 when a fault did not become one incident in time."""
    parser = argparse.ArgumentParser(prog="python -m bench.campaign", description=__doc__)
    parser.add_argument("--only", default="", help="faults whose name holds this")
    options = parser.parse_args()
    wanted = [fault for fault in FAULTS if options.only in fault.name]
    is_good = True
    with tempfile.TemporaryDirectory(prefix="panda-campaign-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        server = EmbeddedPostgres(directory / "postgres")
        try:
            url = server.start()
            database = Database(url)
            migrate(database)
            database.close()
            sys.stdout.write(
                "| fault | incident | verdict | culprit line | s | others |\n| --- | --- | --- | --- | --- | --- |\n"
            )
            with stage(url, directory / "system") as running:
                for fault in wanted:
                    result = try_out(running, fault)
                    is_good = (
                        is_good and result.incident is not None and not result.others and result.seconds <= _WITHIN_S
                    )
                    sys.stdout.write(_row(result) + "\n")
                    sys.stdout.flush()
        finally:
            server.stop()
    return 0 if is_good else 1


def _row(result: Result) -> str:
    incident = result.incident
    if incident is None:
        others = "; ".join(f"{one['kind']}: {one['title']}" for one in result.others)
        return f"| {result.fault.name} | none | | | | {others} |"
    verdict = f"{incident['verdict']} {incident['verdict_value']} ({incident['verdict_score']:.1f})"
    others = "; ".join(f"{one['kind']}: {one['title'][:60]}" for one in result.others) or "0"
    line = incident["culprit_line"][:70].replace("|", "/")
    cells = (result.fault.name, incident["kind"], verdict, line, f"{result.seconds:.1f}", others)
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
