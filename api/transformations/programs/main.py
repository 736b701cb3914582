"""Starts the program a file was assembled for, and turns what goes wrong into one line and an exit code."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping

from .build import build
from .failing import CANNOT_CREATE, INTERNAL, Failure, complain
from .merge import merge
from .options import Arguments, parse
from .preprocess import preprocess
from .run import run

PROGRAMS: Mapping[str, Callable[[str, Arguments], int]] = {
    "runGen-00-00-02": run,
    "runcontainer": run,
    "buildGen-00-00-01": build,
    "buildJob-00-00-03": build,
    "runMerge-00-00-02": merge,
    "runPrepro-00-00-01": preprocess,
    "preGoodRunList-00-00-01": preprocess,
    "preEvtPick-00-00-01": preprocess,
}


def main(program: str) -> None:
    """Run it with the arguments of this process, and end the process with its exit code."""
    sys.exit(_code(program))


def _code(program: str) -> int:
    try:
        return PROGRAMS[program](program, parse(sys.argv[1:], is_merge=PROGRAMS[program] is merge))
    except Failure as failure:
        complain(program, str(failure))
        return failure.code
    except OSError as error:
        complain(program, f"{error.filename or 'a file'}: {error.strerror or error}")
        return CANNOT_CREATE
    except Exception as error:  # noqa: BLE001 - the last word on a node nobody can look at later
        traceback.print_exc()
        complain(program, f"{type(error).__name__}: {error}")
        return INTERNAL
