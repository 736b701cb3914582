"""Containers that could not be made, and their images."""

from __future__ import annotations

from logger.culprit.pattern import row

PATTERNS = (
    row(
        "container_namespace",
        ("namespace", "clone_newuser", "newuidmap", "setgroups"),
        r"(?:user namespace|CLONE_NEWUSER|newuidmap).*(?:fail|not permitted|disabled)"
        r"|[Ff]ailed to create user namespace|Could not write info to setgroups",
        "container",
        "node",
    ),
    row(
        "apptainer",
        (
            *("container", "image", "squashfs", "mount", "namespace", "fatal:   ", "oci runtime", "fakeroot"),
            *("docker daemon", "error response from daemon"),
        ),
        r"^FATAL: {3}(?! )|^(?:FATAL|ERROR)(?:: {2,}| +[:\[]).*(?:container|image|squashfs|mount|namespace|fakeroot)"
        r"|\bOCI runtime (?:error|create failed|exec failed|attempted to invoke)|Cannot connect to the Docker daemon"
        r"|Error response from daemon: (?!.*(?:manifest|pull access denied|toomanyrequests))",
        "container",
        "container",
    ),
    row(
        "docker_pull",
        ("manifest", "pull access denied", "toomanyrequests"),
        r"manifest (?:for )?.* (?:unknown|not found)|pull access denied|\btoomanyrequests\b",
        "container",
        "user",
    ),
)
