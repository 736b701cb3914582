"""The unmodified user client and the unmodified production pilot of PanDA, each in an environment of its own.

They are installed once from the package index (pinned with hashes in requirements/real-*.txt) and kept in the user's cache
directory. The pilot kills every orphan of its user after a job (pilot-wire.md 0.5): it runs in a PID namespace only.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.missing import skip_or_fail
from tests.support.system import RunningSystem

_REQUIREMENTS = Path(__file__).parents[2] / "requirements"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pandascope-tests"
PILOT_HOST = "pandaserver-doma.cern.ch:25080"
"""The only place that pilot 3.7 takes transformations from (pilot-wire.md 5)."""


def client_environment() -> Path:
    """The virtual environment with panda-client."""

    def install(directory: Path) -> None:
        _make_environment(directory)
        # a wheel of this package remembers the environment it was built for (client-wire.md 1.1)
        _pip(directory, "install", "--no-cache-dir", "--require-hashes", "-r", _REQUIREMENTS / "real-client.txt")

    return _installed("real-client", install)


def pilot_environment() -> Path:
    """The virtual environment for the pilot, with its source distribution unpacked below `source`: the wheel has no
    program to start (pilot-wire.md 0.3)."""

    def install(directory: Path) -> None:
        _make_environment(directory)
        wanted = (_REQUIREMENTS / "real-pilot.txt").read_text()
        pilot, rest = _split_requirement(wanted, "panda-pilot")
        (directory / "pilot.txt").write_text(pilot)
        (directory / "rest.txt").write_text(rest)
        _pip(directory, "install", "--require-hashes", "-r", directory / "rest.txt")
        words = ("--no-deps", "--no-binary", ":all:", "--require-hashes", "-r", directory / "pilot.txt")
        _pip(directory, "download", *words, "--dest", directory)
        archive = next(directory.glob("panda*pilot-*.tar.gz"))
        with tarfile.open(archive) as files:
            files.extractall(directory, filter="data")
        archive.with_suffix("").with_suffix("").rename(directory / "source")

    return _installed("real-pilot", install)


def _installed(name: str, install: object) -> Path:
    """The environment `name`, made now if this version of it is not there; other test runs wait meanwhile."""
    digest = hashlib.sha256((_REQUIREMENTS / f"{name}.txt").read_bytes() + sys.version.encode()).hexdigest()[:16]
    directory = _CACHE / f"{name}-{digest}"
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / ".complete").exists():
            shutil.rmtree(directory, ignore_errors=True)
            try:
                install(directory)  # type: ignore[operator]
            except subprocess.CalledProcessError as error:
                skip_or_fail(f"{name} cannot be installed: {error.stderr[-2000:]}")
            (directory / ".complete").touch()
    return directory


def _make_environment(directory: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", directory], check=True, capture_output=True, text=True)


def _pip(directory: Path, command: str, *words: str | Path) -> None:
    program = [directory / "bin" / "pip", command, "--quiet", "--disable-pip-version-check", *words]
    subprocess.run(program, check=True, capture_output=True, text=True, timeout=600)


def _split_requirement(text: str, name: str) -> tuple[str, str]:
    """A hashed requirements file as the entry of one package, and the others."""
    entries, kept = [], []
    target = kept
    for line in text.splitlines(keepends=True):
        if line.strip() and not line.startswith((" ", "#")):
            target = entries if line.startswith(f"{name}==") else kept
        target.append(line)
    return "".join(entries), "".join(kept)


@dataclass
class RealClient:
    """prun, pbook and their kin as one user of one server sees them."""

    environment: Path
    url: str
    token: str
    directory: Path
    """Where its commands run; its configuration is in there too."""
    vo: str = "testvo"
    extra: dict[str, str] = field(default_factory=dict)

    def run(
        self, *words: str, check: bool = True, cwd: Path | None = None, given: str = "", timeout_s: float = 120
    ) -> str:
        """Run a command (`run("pbook", "show")`) and return everything it printed; `check`: it must exit with 0."""
        done = subprocess.run(
            [str(self.environment / "bin" / words[0]), *words[1:]],
            cwd=cwd or self.directory,
            env=self.variables(),
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
            start_new_session=True,  # it signals its whole process group when interrupted (client-wire.md 5)
        )
        assert not check or done.returncode == 0, f"{words} exited with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def variables(self) -> dict[str, str]:
        """The environment variables of client-wire.md 1.1."""
        base = f"{self.url}/server/panda"
        packages = next((self.environment / "lib").glob("python3*")) / "site-packages"
        configuration = self.directory / ".panda"
        configuration.mkdir(exist_ok=True)
        return {
            "PATH": f"{self.environment / 'bin'}:/usr/bin:/bin",
            "HOME": str(self.directory),
            "VIRTUAL_ENV": str(self.environment),
            "PANDA_SYS": str(self.environment),
            "PANDA_PYTHONPATH": str(packages),
            "PANDA_URL": base,
            "PANDA_URL_SSL": base,
            "PANDACACHE_URL": base,
            "PANDA_AUTH": "oidc",
            "PANDA_AUTH_VO": self.vo,
            "PANDA_BEHIND_REAL_LB": "1",
            "PANDA_VERIFY_HOST": "off",
            "PANDA_CONFIG_ROOT": str(configuration),
            "LANG": "C.UTF-8",
            **({"PANDA_AUTH_ID_TOKEN": self.token} if self.token else {}),
            **self.extra,
        }


_SHORT_WAITS = {
    "\nheartbeat: 1800": "\nheartbeat: 5",
    "debug_heartbeat: 60": "debug_heartbeat: 5",
    "update_sleep: 120": "update_sleep: 5",
}


@dataclass
class RealPilot:
    """Runs the production pilot against a server, in a PID namespace of its own."""

    environment: Path
    system: RunningSystem
    directory: Path
    queue: str
    vo: str = "testvo"
    extra: dict[str, str] = field(default_factory=dict)
    """Further environment variables, or others in place of ours."""

    def start(self, name: str, *words: str, label: str = "user") -> subprocess.Popen[bytes]:
        """Start a pilot working in the directory `name`; its output is in `<name>/pilot.out` below ours."""
        work = self.directory / name
        work.mkdir(parents=True)
        source, url = self.environment / "source", self.system.url
        token = self.directory / "token"
        token.write_text(self.system.token("pilot", "pilot", vo=self.vo))
        (self.directory / ".curlrc").write_text(f'connect-to = "{PILOT_HOST}:{url.removeprefix("http://")}"\n')
        configuration = (source / "pilot" / "util" / "default.cfg").read_text()
        for long, short in _SHORT_WAITS.items():
            assert long in configuration, long
            configuration = configuration.replace(long, short)
        (self.directory / "pilot.cfg").write_text(configuration)
        program = [
            *("unshare", "--pid", "--fork", "--kill-child", "--mount-proc"),
            *(str(self.environment / "bin" / "python"), "-W", "ignore", str(source / "pilot.py")),
            *("-q", self.queue, "-j", label, "--pilot-user", "generic", "-w", "generic", "-a", str(work)),
            *("--url", url.rpartition(":")[0], "-p", url.rpartition(":")[2], "--use-https", "false"),
            *("--queuedata-url", f"{url}/cache/schedconfig/{{pandaqueue}}.all.json"),
            *("--storagedata-url", f"{url}/cache/ddmendpoints.json"),
            *("--input-destination-dir", str(self.system.storage), "--use-rucio-traces", "false"),
            *("--cleanup", "false", "-t", "-d", "-v", "1", *words),
        ]
        with (work / "pilot.out").open("wb") as output:
            return subprocess.Popen(
                program, cwd=work, env=self._variables(), stdout=output, stderr=output, start_new_session=True
            )

    def _variables(self) -> dict[str, str]:
        return {
            "PATH": f"{self.environment / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.directory),
            "PILOT_NOKILL": "1",
            "CURL_HOME": str(self.directory),
            "PILOT_SOURCE_DIR": str(self.environment / "source"),
            "HARVESTER_PILOT_CONFIG": str(self.directory / "pilot.cfg"),
            "LOCAL_AGIS_SCHEDCONF": f"{self.system.url}/cache/schedconfig/all.json",
            "PANDA_AUTH_TOKEN": str(self.directory / "token"),
            "PANDA_AUTH_ORIGIN": f"{self.vo}.pilot",
            "PANDA_AUTH_DIR": f"{self.directory}/",
            "LANG": "C.UTF-8",
            **self.extra,
        }

    @staticmethod
    def end(process: subprocess.Popen[bytes]) -> None:
        """End a pilot, whatever it is doing: the first process of a PID namespace takes all others with it."""
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def pid_namespaces_work() -> bool:
    """Whether this account may make PID namespaces: without them the real pilot must not be started."""
    try:
        done = subprocess.run(
            ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "true"], capture_output=True, check=False
        )
    except FileNotFoundError:
        return False
    return done.returncode == 0
