"""An outside examiner's logs: causes as programs of the grid print them, each buried in hundreds or thousands of lines of
talk that is full of the word "error". Line, step and class have to be what a person would point at."""

from __future__ import annotations

import random

import pytest

from logger.culprit import find_culprit
from tests.logger.causes.examination import Case, cases

_HARMLESS = """\
INFO no error found in the first pass
0 errors, 0 warnings generated.
errorbars drawn for 24 bins of h_pt
checking for error_at_line... yes
-- Looking for strerror_r - found
fit converged, error matrix accurate, EDM=1.2e-07
Number of failed channels: 0
2026-11-25 10:02:11,113 - monitor - INFO - error rate 0.00 %
[INFO] retry policy: 3 attempts, timeout 30 s
set -o errexit; handlers for SIGKILL cannot be set, as usual
DEBUG errorhandler installed, will raise on fatal
TTree::Fill: 0 errors
Warning in <TClass::Init>: no dictionary for class edm::Hash<1> is available
WARNING: failed to open /tmp/.cache, using /scratch/.cache instead
libGL: could not load driver, software rendering is used
ERROR_THRESHOLD=5 MAX_FAILURES=10 python run.py --no-fail-fast
test_failure_modes.py::test_timeout PASSED
RuntimeWarning: invalid value encountered in divide
  0 failed, 312 passed in 4.10s
level: [debug, info, warning, error, fatal] -> info
systematics: JES_error_up JES_error_down JER_fatal_veto""".splitlines()

_SUCCEEDS_LATER = """\
curl: (56) Recv failure: Connection reset by peer; retrying in 5 s
gfal-copy error: 110 (Connection timed out) - attempt 1 of 3
[2026-11-25 09:58:01 +0000][Warning][XRootD] se3.example.org:1094: connection failed, trying next address
Temporary failure in name resolution, will retry
WARNING:urllib3.connectionpool:Retrying (Retry(total=2)) after connection broken by 'ReadTimeoutError': /replicas
frontier.c:1014: Request 7 on chan 1 failed: -9; Trying next proxy squid1.example.org
OperationalError: database is locked, retrying (2 of 10)""".splitlines()


def _talk(source: random.Random) -> str:
    kind = source.random()
    if kind < 0.08:
        return source.choice(_HARMLESS)
    if kind < 0.09:
        return source.choice(_SUCCEEDS_LATER)
    number = source.randrange(10**6)
    return source.choice(
        [
            f"Processing event {number} of run 358031, {number % 97} tracks",
            f"AthenaEventLoopMgr   INFO   ===>>>  done processing event #{number}, run #358031 <<<===",
            f"2026-11-25 10:0{number % 10}:12 | INFO | read {number} bytes from AOD.{number:08d}._000001.pool.root.1",
            f"[{number % 100:3d}%] Building CXX object CMakeFiles/fit.dir/src/part{number % 40}.cxx.o",
            f"step {number % 5000}: loss=0.{number % 10000:04d} lr=1e-3",
        ]
    )


def _with_talk(line: str, source: random.Random) -> list[str]:
    """The line, or what stands for it: `=~= 40` are forty lines of talk in the middle of a log."""
    if not line.startswith("=~= "):
        return [line]
    return [_talk(source).replace("error", "note") for _ in range(int(line[4:]))]


def buried(case: Case) -> tuple[str, int]:
    """The whole log of a case, and the number of the line that names its cause."""
    source = random.Random(case.name)
    before = [_talk(source) for _ in range(case.talk_lines)]
    after = [] if case.is_at_end else [_talk(source).replace("error", "note") for _ in range(4)]
    lines = [line for text in case.log.split("\n") for line in _with_talk(text, source)]
    number = max(place for place, line in enumerate(lines, start=1) if line.strip().startswith(case.culprit))
    return "\n".join([*before, *lines, *after]) + "\n", len(before) + number


@pytest.mark.parametrize("case", [*cases()], ids=lambda case: case.name)
def test_the_examiner_is_told_the_line_the_step_and_the_class(case: Case) -> None:
    log, number = buried(case)
    found = find_culprit(log)
    assert found is not None
    said = found.text, found.step, found.error_class, found.pattern
    assert found.line_number == number, said
    assert (found.step, found.error_class) == (case.step, case.error_class), said
