"""The platform that the machine of a submitter stands for: `osInfo` of a task with osMatching. Knows no queue."""

from __future__ import annotations

import re

_PROCESSORS = "x86_64|aarch64|ppc64le|s390x"
_MACHINE = re.compile(rf"(?<![A-Za-z0-9])({_PROCESSORS})(?![A-Za-z0-9])")
_ENTERPRISE = re.compile(
    r"(?<![A-Za-z0-9])(?:el|rhel|centos|alma|almalinux|rocky|slc)-?(\d{1,2})(?![A-Za-z0-9])", re.IGNORECASE
)
_OTHERS = re.compile(r"(?<![A-Za-z0-9])(ubuntu|debian|suse|sles)-?(\d{1,2})(?![A-Za-z0-9])", re.IGNORECASE)
_NAMES: dict[str, tuple[str, ...]] = {"6": ("el6", "slc6"), "7": ("el7", "centos7")}
"""How platforms call a version beside `el9`."""


def platforms_of(os_info: object) -> str:
    """The platforms as queues publish them (`x86_64-el9-*`, several with | between) of a text like the client sends:
    `Linux-5.14.0-427.el9.x86_64-x86_64-with-glibc2.34`; empty when it names no operating system.
    """
    text = os_info[:500] if isinstance(os_info, str) else ""
    machine = _MACHINE.search(text)
    processor = machine.group(1) if machine else "*"
    names: tuple[str, ...] = ()
    if (found := _ENTERPRISE.search(text)) is not None:
        version = found.group(1)
        names = _NAMES.get(version, (f"el{version}",))
    elif (found := _OTHERS.search(text)) is not None:
        names = (f"{found.group(1)}{found.group(2)}".lower(),)
    return "|".join(f"{processor}-{name}-*" for name in names)
