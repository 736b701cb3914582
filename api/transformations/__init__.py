"""The programs that run user payloads on worker nodes, each assembled into one executable file. Knows no HTTP.

What they do is in `programs`; those modules run on worker nodes, under whatever Python (3.8 or later) is there.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from functools import cache, partial
from importlib.resources import files

_FIRST_LINE = b"#!/usr/bin/env python3\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MAIN = """from programs.main import main

main({name!r})
"""


@cache
def _assembled(name: str) -> bytes:
    """The file: a line that names the interpreter, then a zip of the modules. The same bytes on every host."""
    modules = sorted(
        (entry for entry in files(f"{__name__}.programs").iterdir() if entry.name.endswith(".py")),
        key=lambda entry: entry.name,
    )
    content = io.BytesIO()
    content.write(_FIRST_LINE)
    with zipfile.ZipFile(content, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(_member("__main__.py"), _MAIN.format(name=name))
        for module in modules:
            archive.writestr(_member(f"programs/{module.name}"), module.read_bytes())
    return content.getvalue()


def _member(name: str) -> zipfile.ZipInfo:
    """An entry that does not depend on the time or the system it is made on."""
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.create_system = 3
    entry.external_attr = 0o644 << 16
    return entry


_NAMES = (
    *("runGen-00-00-02", "runcontainer", "buildGen-00-00-01", "buildJob-00-00-03", "runMerge-00-00-02"),
    *("runPrepro-00-00-01", "preGoodRunList-00-00-01", "preEvtPick-00-00-01"),
)

TRANSFORMATIONS: dict[str, Callable[[], bytes]] = {name: partial(_assembled, name) for name in _NAMES}
"""Name in the URL -> what makes the file; the names are PanDA's (client-wire.md 4.6)."""
