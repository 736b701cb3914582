"""Which program runs a job (client-wire.md 4.6). Knows names only: `api/transformations` serves the programs."""

from __future__ import annotations

from core.errors import InvalidInput

RUN_GEN = "runGen-00-00-02"
RUN_CONTAINER = "runcontainer"
RUN_ATHENA = "runAthena-00-00-12"
BUILD_GEN = "buildGen-00-00-01"
BUILD_ATHENA = "buildJob-00-00-03"
RUN_MERGE = "runMerge-00-00-02"

_SCHEMES = ("http://", "https://")
_MAX_LENGTH = 2000


def run_transformation(processing_type: str, given: str) -> str:
    """The transformation of a run job: a bare name when it is one of ours, else the URL `given` as transPath.

    Raises InvalidInput for a transPath that workers cannot fetch, and for Athena, whose releases come with no server of ours.
    """
    if given:
        if not given.startswith(_SCHEMES) or len(given) > _MAX_LENGTH or not given.isprintable() or " " in given:
            raise InvalidInput(
                f"{given[:100]!r} is no URL that workers can fetch", field="transPath", remedy="an http(s) URL"
            )
        return given
    words = processing_type.split("-")
    if "athena" in words:
        raise InvalidInput(
            "runs of Athena need runAthena, which is not served here",
            field="processingType",
            remedy="submit with prun, or name a transformation in transPath",
        )
    return RUN_CONTAINER if "cont" in words else RUN_GEN
