"""The guard: a process between pilot and payload that outlives neither the payload nor the pilot.

It starts the payload in a session of its own, adopts every orphan the payload leaves (so that a daemon started by a
grandchild is still found), kills all of them when the pilot says so or dies, and tells the pilot how the payload ended.
Started as `python -I -S guard.py FD program argument...`; FD is one end of a socket pair whose other end only the pilot
holds: its closing is the pilot's death, even by kill -9. Standard library alone, no imports of ours.

From the pilot: `T` ask the payload to end (SIGTERM), `K` or the end of the stream: kill it.
To the pilot: `wait_status cpu_time_s max_rss_kb` in text, once, when nothing of the payload is left.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Set

TERMINATE, KILL = b"T", b"K"
STRAGGLERS_GRACE_S = 2.0
KILL_LIMIT_S = 10.0
_SHIELDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 1, 4, 36


def adopt_orphans() -> None:
    """Become the parent of every orphaned descendant, instead of process 1 (Linux; elsewhere nothing happens)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def hide_environment() -> None:
    """Keep other processes of the same user from reading our environment and memory, where the token is (Linux)."""
    _prctl(_PR_SET_DUMPABLE, 0)


def descendants(root: int, spare: Set[int] = frozenset()) -> list[int]:
    """Process ids of all living descendants of `root`, parents before children, but none in or below `spare`."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for process_id, parent in _parents().items():
        children[parent].append(process_id)
    found = [process_id for process_id in children[root] if process_id not in spare]
    for process_id in found:
        found.extend(child for child in children[process_id] if child not in spare)
    return found


def kill_descendants(reap: Callable[[], None], spare: Set[int] = frozenset(), limit_s: float = KILL_LIMIT_S) -> bool:
    """Kill every descendant of this process, but none in or below `spare`; `reap` collects the dead. True: all died.

    Repeated until none is left: a process may have forked between being seen and being killed.
    """
    deadline = time.monotonic() + limit_s
    while doomed := descendants(os.getpid(), spare):
        if time.monotonic() > deadline:
            return False
        for process_id in doomed:
            send_signal(process_id, signal.SIGKILL)
        time.sleep(0.005)
        reap()
    reap()
    return True


def send_signal(process_id: int, number: int) -> None:
    """Send a signal to a process that may have ended or changed its user meanwhile."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(process_id, number)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _parents() -> dict[int, int]:
    """Parent of every living process (zombies left out)."""
    if not os.path.isdir("/proc/self"):  # noqa: PTH112 - pathlib would double the start time of the guard
        import subprocess

        table = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,state="], capture_output=True, text=True, check=True)
        rows = (line.split() for line in table.stdout.splitlines())
        return {int(pid): int(ppid) for pid, ppid, state in rows if not state.startswith("Z")}
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as stat:  # noqa: PTH123
            # The name of the program stands in parentheses and may hold anything, parentheses too.
            state, parent = stat.read().rpartition(b")")[2].split()[:2]
            if state != b"Z":
                parents[int(name)] = int(parent)
    return parents


class Guard:
    """Watches one payload from its start until nothing of it is left."""

    def __init__(self, pilot: int, command: list[str]) -> None:
        self._pilot = pilot
        self._wakeup, wakeup_writer = os.pipe()
        for descriptor in (pilot, self._wakeup, wakeup_writer):
            os.set_blocking(descriptor, False)
            os.set_inheritable(descriptor, False)
        signal.set_wakeup_fd(wakeup_writer)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        adopt_orphans()
        self._payload = _start(command)
        self._status: int | None = None

    def watch(self) -> None:
        """Until the payload has ended or must end; then remove what is left of it and tell the pilot."""
        if self._wait(until=lambda: self._status is not None):
            self._terminate()
            self._wait(until=lambda: not descendants(os.getpid()), limit_s=STRAGGLERS_GRACE_S)
        kill_descendants(self._reap)
        self._tell()

    def _wait(self, until: Callable[[], bool], limit_s: float | None = None) -> bool:
        """Reap children and obey the pilot until a condition holds or the limit is over; False: kill at once."""
        deadline = None if limit_s is None else time.monotonic() + limit_s
        while True:
            self._reap()
            if until() or (deadline is not None and time.monotonic() >= deadline):
                return True
            ready, _, _ = select.select([self._pilot, self._wakeup], [], [], None if deadline is None else 0.05)
            if self._wakeup in ready:
                os.read(self._wakeup, 4096)
            if self._pilot in ready and not self._obey():
                return False

    def _obey(self) -> bool:
        """Carry out an order of the pilot; False when everything must die at once."""
        try:
            order = os.read(self._pilot, 1)
        except OSError:
            return False
        if order == TERMINATE:
            self._terminate()
        return order == TERMINATE

    def _terminate(self) -> None:
        for process_id in descendants(os.getpid()):
            send_signal(process_id, signal.SIGTERM)
            send_signal(process_id, signal.SIGCONT)

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == self._payload:
                    self._status = ended[1]

    def _tell(self) -> None:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        status = signal.SIGKILL if self._status is None else self._status
        with contextlib.suppress(OSError):
            os.write(self._pilot, f"{status} {usage.ru_utime + usage.ru_stime:.3f} {usage.ru_maxrss}".encode())


def _start(command: list[str]) -> int:
    """Start the payload in its own session; it dies with the guard even if somebody kills the guard."""
    guard = os.getpid()
    payload = os.fork()
    if payload:
        return payload
    os.setsid()
    for number in (*_SHIELDED, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SHIELDED)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        if os.getppid() == guard:
            os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"cannot execute {command[0]}: {error.strerror}\n".encode())
    os._exit(127)


def main(arguments: list[str]) -> None:
    """Run as the guard: the descriptor of the pilot's line, then the command of the payload."""
    # Blocked, not ignored: a signal that meets the payload between fork and exec must wait there, not vanish.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SHIELDED)
    Guard(int(arguments[0]), arguments[1:]).watch()


if __name__ == "__main__":
    main(sys.argv[1:])
