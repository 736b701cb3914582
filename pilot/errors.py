"""What can go wrong with a job on a worker node: PanDA's codes as a table, and the exception that carries one.

The table is error_codes.csv (code, PanDA's name, standard sentence); domain.md 7.8 tells the rules.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

MAX_DIAGNOSIS_CHARACTERS = 500
_TABLE = Path(__file__).with_name("error_codes.csv")


@dataclass(frozen=True)
class ErrorCode:
    """One row of the table: the number on the wire, PanDA's name for it, the sentence people read."""

    code: int
    name: str
    sentence: str


def load_error_codes(path: Path = _TABLE) -> dict[str, ErrorCode]:
    """The table by PanDA's names."""
    with path.open(newline="", encoding="utf-8") as rows:
        return {
            row["name"]: ErrorCode(int(row["code"]), row["name"], row["description"]) for row in csv.DictReader(rows)
        }


ERROR_CODES = load_error_codes()

NO_LOCAL_SPACE = ERROR_CODES["NOLOCALSPACE"]
STAGE_IN_FAILED = ERROR_CODES["STAGEINFAILED"]
NO_SUCH_FILE = ERROR_CODES["NOSUCHFILE"]
WORK_DIRECTORY_TOO_LARGE = ERROR_CODES["USERDIRTOOLARGE"]
STDOUT_TOO_BIG = ERROR_CODES["STDOUTTOOBIG"]
SETUP_FAILED = ERROR_CODES["SETUPFAILURE"]
STAGE_OUT_FAILED = ERROR_CODES["STAGEOUTFAILED"]
KILLED_BY_SERVER = ERROR_CODES["PANDAKILL"]
LOOPING = ERROR_CODES["LOOPINGJOB"]
STAGE_IN_TIMEOUT = ERROR_CODES["STAGEINTIMEOUT"]
STAGE_OUT_TIMEOUT = ERROR_CODES["STAGEOUTTIMEOUT"]
MISSING_OUTPUT = ERROR_CODES["MISSINGOUTPUTFILE"]
INPUT_CHECKSUM_MISMATCH = ERROR_CODES["GETADMISMATCH"]
OUTPUT_CHECKSUM_MISMATCH = ERROR_CODES["PUTADMISMATCH"]
KILL_SIGNAL = ERROR_CODES["KILLSIGNAL"]
SIGTERM = ERROR_CODES["SIGTERM"]
SIGQUIT = ERROR_CODES["SIGQUIT"]
SIGXCPU = ERROR_CODES["SIGXCPU"]
SIGUSR1 = ERROR_CODES["SIGUSR1"]
SIGINT = ERROR_CODES["SIGINT"]
OUT_OF_MEMORY = ERROR_CODES["PAYLOADOUTOFMEMORY"]
REACHED_MAX_TIME = ERROR_CODES["REACHEDMAXTIME"]
BAD_ALLOC = ERROR_CODES["BADALLOC"]
MEMORY_EXCEEDED = ERROR_CODES["PAYLOADEXCEEDMAXMEM"]
UNKNOWN_EXCEPTION = ERROR_CODES["UNKNOWNEXCEPTION"]
PAYLOAD_FAILED = ERROR_CODES["PAYLOADEXECUTIONFAILURE"]
COMMUNICATION_FAILED = ERROR_CODES["COMMUNICATIONFAILURE"]
LOG_CREATION_FAILED = ERROR_CODES["LOGFILECREATIONFAILURE"]
UNKNOWN_MOVER = ERROR_CODES["UNKNOWNCOPYTOOL"]
SEGMENTATION_FAULT = ERROR_CODES["PAYLOADSIGSEGV"]
NO_REMOTE_SPACE = ERROR_CODES["NOREMOTESPACE"]
TRANSFORM_NOT_FOUND = ERROR_CODES["TRANSFORMNOTFOUND"]
TRANSFORM_DOWNLOAD_FAILED = ERROR_CODES["TRFDOWNLOADFAILURE"]
BAD_FILE_NAME = ERROR_CODES["BADOUTPUTFILENAME"]


class JobFailure(Exception):
    """The job cannot succeed any more, and this is why. `detail` follows the standard sentence of the code."""

    def __init__(self, error: ErrorCode, detail: str = "") -> None:
        super().__init__(error, detail)
        self.error = error
        self.detail = detail

    @property
    def diagnosis(self) -> str:
        """The sentence of the code and the detail, fit for pilotErrorDiag: one text, no NUL, at most 500 characters."""
        text = f"{self.error.sentence}: {self.detail}" if self.detail else self.error.sentence
        text = text.replace("\0", "")
        return text if len(text) <= MAX_DIAGNOSIS_CHARACTERS else text[: MAX_DIAGNOSIS_CHARACTERS - 1] + "…"

    def __str__(self) -> str:
        return f"{self.error.code} {self.diagnosis}"


class JobAbandoned(Exception):
    """The server says that this attempt is not ours any more: stop, store nothing, report nothing."""
