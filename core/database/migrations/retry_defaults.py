"""The retry rules and error classes that an installation begins with (docs/running.md, Rules for failed jobs).

Rows of revision 0010 and nothing else: what operators change later lives in the tables. Codes are those of
core/pilot_error_codes.csv and core/error_codes.py; 126 and 127 are what a shell answers for a program that it cannot run.
"""

from __future__ import annotations

from typing import Any

AUTHOR = "pandascope"

ACTIONS = (
    ("no_retry", "The input of the job is not tried again."),
    ("limit_retry", "The input of the job gets no more than maxAttempt attempts in all."),
    ("increase_memory", "The next attempt gets the next step of memory per core."),
    ("increase_memory_xtimes", "The next attempt gets more memory by the task's own step."),
    ("increase_cputime", "The task's CPU time per event is raised by what its jobs were seen to need."),
    ("reduce_input_per_job", "Later jobs of the task get less input each."),
)


def _rule(code: int, action: str, why: str, *, is_active: bool = True, **parameters: Any) -> dict[str, Any]:
    return {
        "error_source": "pilot",
        "error_code": code,
        "action": action,
        "parameters": parameters,
        "is_active": is_active,
        "description": why,
    }


RULES: tuple[dict[str, Any], ...] = (
    _rule(1212, "increase_memory", "the payload ran out of memory"),
    _rule(1223, "increase_memory", "the payload could not allocate memory"),
    _rule(1235, "increase_memory", "the payload used more memory than it asked for"),
    _rule(1168, "reduce_input_per_job", "the input is too large for the node"),
    _rule(1104, "reduce_input_per_job", "the work directory grew too large", is_active=False),
    _rule(1213, "increase_cputime", "the batch system's time was too short", is_active=False),
    _rule(1150, "limit_retry", "a payload that hangs will mostly hang again", maxAttempt=2),
    _rule(1190, "no_retry", "a file name stays as long as it is"),
    _rule(1335, "no_retry", "the user's code is gone from the server: submit again"),
    _rule(1349, "no_retry", "the program does not know its arguments"),
    _rule(1371, "no_retry", "the name of an output stays as it is"),
)

_SYSTEM = {
    "pilot": (
        *(
            1098,
            1099,
            1110,
            1115,
            1116,
            1117,
            1133,
            1137,
            1151,
            1152,
            1163,
            1177,
            1180,
            1181,
            1186,
            1199,
            1200,
            1201,
            1202,
        ),
        *(
            1207,
            1208,
            1211,
            1213,
            1301,
            1303,
            1306,
            1307,
            1308,
            1309,
            1313,
            1316,
            1317,
            1318,
            1319,
            1320,
            1321,
            1322,
            1323,
        ),
        *(
            1324,
            1325,
            1326,
            1327,
            1329,
            1330,
            1332,
            1333,
            1336,
            1338,
            1340,
            1341,
            1342,
            1344,
            1345,
            1348,
            1352,
            1353,
            1354,
        ),
        *(
            1359,
            1361,
            1362,
            1364,
            1365,
            1366,
            1368,
            1369,
            1372,
            1373,
            1376,
            1377,
            1378,
            1379,
            1380,
            1381,
            1382,
            1383,
            1384,
        ),
        1386,
    ),
    "sup": (1, 2),
    "ddm": (100, 101, 200, 201, 203),
    "job_dispatcher": (100, 101, 102, 103, 104),
    "task_buffer": (101, 300),
}
_USER = {
    "pilot": (
        *(
            1104,
            1106,
            1124,
            1150,
            1165,
            1190,
            1191,
            1203,
            1206,
            1212,
            1220,
            1223,
            1235,
            1246,
            1305,
            1310,
            1315,
            1328,
            1335,
        ),
        *(1346, 1349, 1350, 1355, 1356, 1357, 1360, 1371),
    ),
    "trans": (126, 127),
}
_WORDS = {"system": "the fault of site, storage or pilot", "user": "the fault of the payload or its submission"}


def _classes(name: str, codes: dict[str, tuple[int, ...]]) -> list[dict[str, Any]]:
    return [
        {"error_source": source, "error_code": code, "error_class": name, "description": _WORDS[name]}
        for source, listed in codes.items()
        for code in listed
    ]


CLASSES = (*_classes("system", _SYSTEM), *_classes("user", _USER))
