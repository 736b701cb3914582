"""Which program runs a job (client-wire.md 4.6). Knows names only: `api/transformations` serves the programs."""

from __future__ import annotations

import re

from core.errors import InvalidInput

RUN_GEN = "runGen-00-00-02"
RUN_CONTAINER = "runcontainer"
RUN_ATHENA = "runAthena-00-00-12"
BUILD_GEN = "buildGen-00-00-01"
BUILD_ATHENA = "buildJob-00-00-03"
RUN_MERGE = "runMerge-00-00-02"
RUN_PREPROCESSING = "runPrepro-00-00-01"
PICK_EVENTS = "preEvtPick-00-00-01"
GOOD_RUN_LIST = "preGoodRunList-00-00-01"

_SERVED = (RUN_GEN, RUN_CONTAINER)
_SCRIPT = re.compile(r"[A-Za-z][\w+-]{0,199}\.(?:py|sh)")
"""What production tasks call their programs (Sim_tf.py); their pilots find them in the software of the node."""
_SCHEMES = ("http://", "https://")
_MAX_LENGTH = 2000


def run_transformation(processing_type: str, given: str) -> str:
    """The transformation of a run job: a bare name when it is one of ours, else the URL or script `given` as transPath.

    Raises InvalidInput for a transPath that workers cannot fetch, and for Athena, whose releases come with no server of ours.
    """
    if given:
        return _fetchable(given, _SERVED, "transPath")
    words = processing_type.split("-")
    if "athena" in words:
        raise InvalidInput(
            "runs of Athena need runAthena, which is not served here",
            field="processingType",
            remedy="submit with prun, or name a transformation in transPath",
        )
    return RUN_CONTAINER if "cont" in words else RUN_GEN


def merge_transformation(given: str) -> str:
    """The transformation of a merge job: runMerge, or the URL or script `given` as transPath of the mergeSpec."""
    return _fetchable(given, (RUN_MERGE,), "mergeSpec.transPath") if given else RUN_MERGE


def preprocessing_transformation(processing_type: str, given: str) -> str:
    """The transformation of a preprocessing job: the URL or script `given` as transPath of the preproSpec, else one of ours.

    The last part of the processing type says which step a client wants: `-evp` event picking, `-grl` a good run list.
    """
    ours = (RUN_PREPROCESSING, PICK_EVENTS, GOOD_RUN_LIST)
    if given:
        return _fetchable(given, ours, "preproSpec.transPath")
    words = processing_type.split("-")
    return PICK_EVENTS if "evp" in words else GOOD_RUN_LIST if "grl" in words else RUN_PREPROCESSING


def _fetchable(given: str, ours: tuple[str, ...], field: str) -> str:
    """Raise InvalidInput naming the field unless workers can have it."""
    if given in ours or _SCRIPT.fullmatch(given):
        return given
    if not given.startswith(_SCHEMES) or len(given) > _MAX_LENGTH or not given.isprintable() or " " in given:
        raise InvalidInput(
            f"{given[:100]!r} is no URL that workers can fetch",
            field=field,
            remedy="an http(s) URL, or the name of a script that is on the nodes (Sim_tf.py)",
        )
    return given
