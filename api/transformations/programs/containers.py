"""How a command is run inside an image: which engine is on this node, and its command line. Runs nothing but probes."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from .failing import NOT_AVAILABLE, Failure, say
from .options import Arguments

DATA_DIRECTORY = "/ctrdata"
"""Where the job's directory appears inside, unless --datadir says otherwise (prun's --ctrDatadir)."""
_NATIVE = ("apptainer", "singularity")
_ENGINES = (*_NATIVE, "podman", "docker")
_SHELL = 'if command -v bash >/dev/null 2>&1; then exec bash "$0"; fi; exec sh "$0"'
_PASSED_ON = ("PANDA", "PanDA", "ATHENA_PROC", "ATHENA_CORE")


class Container(NamedTuple):
    """What was asked for. `working_directory` is a path inside, empty for that of the job."""

    image: str
    data_directory: str
    working_directory: str
    with_cvmfs: bool
    is_chatty: bool


def wanted_container(arguments: Arguments) -> Container | None:
    """The image of the options, else the one the pilot names in PANDA_CONTAINER_NAME; None when there is none."""
    image = arguments.text("--containerImage") or os.environ.get("PANDA_CONTAINER_NAME", "")
    if not image:
        return None
    return Container(
        image,
        arguments.text("--datadir") or DATA_DIRECTORY,
        arguments.text("--workdir"),
        arguments.has("--cvmfs"),
        arguments.has("--debug"),
    )


def inside(container: Container, job_directory: Path, script: str) -> list[str]:
    """The command that runs a script of the job's directory in the image. Raises Failure when nothing here can."""
    engine = _engine(container.image)
    within = f"{container.data_directory}/{script}"
    start = container.working_directory or container.data_directory
    binds = [f"{job_directory}:{container.data_directory}", *(["/cvmfs"] if container.with_cvmfs else [])]
    say(f"in the image {container.image}, by {engine}")
    if engine in _NATIVE:
        image = container.image
        if "://" not in image and not Path(image).exists():
            image = f"docker://{image}"
        bound = [word for bind in binds for word in ("--bind", bind)]
        return [
            engine,
            *(["-d"] if container.is_chatty else []),
            "exec",
            *bound,
            "--pwd",
            start,
            image,
            "sh",
            "-c",
            _SHELL,
            within,
        ]
    if engine in ("podman", "docker"):
        bound = [word for bind in binds for word in ("--volume", bind if ":" in bind else f"{bind}:{bind}:ro")]
        named = [word for name in sorted(os.environ) if name.startswith(_PASSED_ON) for word in ("--env", name)]
        identity = ["--user", f"{os.getuid()}:{os.getgid()}"] if engine == "docker" else []
        image = container.image[len("docker://") :] if container.image.startswith("docker://") else container.image
        run = [engine, "run", "--rm", "--init", *bound, *named, *identity, "--workdir", start, "--entrypoint", "sh"]
        return [*run, image, "-c", _SHELL, within]
    return _changed_root(container, binds, start, within)


def _engine(image: str) -> str:
    """The first that is on this node and can run this image; a directory that holds a system can do without any."""
    is_path = Path(image).exists()
    for engine in _NATIVE if is_path else _ENGINES:
        if shutil.which(engine) and (engine in _NATIVE or _answers(engine)):
            return engine
    if Path(image).is_dir() and shutil.which("unshare") and shutil.which("chroot"):
        return "chroot"
    wanted = "apptainer or singularity" if is_path else ", ".join(_ENGINES[:-1]) + " or a running docker"
    raise Failure(NOT_AVAILABLE, f"the image {image} cannot be run: this node has no {wanted}")


def _answers(engine: str) -> bool:
    """Is there a service behind the command?"""
    try:
        return subprocess.run([engine, "info"], capture_output=True, timeout=30, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _changed_root(container: Container, binds: list[str], start: str, within: str) -> list[str]:
    """A directory as the root of the file system, in a mount namespace of its own (and a user namespace, unless root)."""
    root = container.image.rstrip("/")
    steps = ["set -e"]
    for bind in [*binds, "/dev", "/proc"]:
        outside, _, target = bind.partition(":")
        place = shlex.quote(f"{root}{target or outside}")
        if bind in ("/dev", "/proc"):
            steps.append(f"if [ -d {place} ]; then mount --rbind {outside} {place}; fi")
        else:
            steps.append(f"mkdir -p {place}; mount --rbind {shlex.quote(outside)} {place}")
    entry = f"cd {shlex.quote(start)} && {_SHELL}"
    steps.append(f"exec chroot {shlex.quote(root)} sh -c {shlex.quote(entry)} {shlex.quote(within)}")
    namespaces = ["--mount"] if os.getuid() == 0 else ["--mount", "--user", "--map-root-user"]
    return ["unshare", *namespaces, "sh", "-c", "\n".join(steps)]
