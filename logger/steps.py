"""Where a trouble happened and what kind it is: tables from error codes, and the culprit's word, which wins. Knows no
SQL; an owner is a hint of whom to ask, never a verdict.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

from logger.culprit.pattern import Culprit, ErrorClass, Step

STEPS_OF_A_JOB: tuple[Step, ...] = get_args(Step)
ERROR_CLASSES: tuple[ErrorClass, ...] = get_args(ErrorClass)

SAME: Literal[""] = ""
"""As the phase of the job says."""

_PILOT: tuple[tuple[Step | Literal[""], ErrorClass, tuple[int, ...]], ...] = (
    ("stage-in", "data", (1099, 1100, 1103, 1145, 1171, 1191, 1242, 1326, 1331, 1361, 1362, 1368, 1374)),
    ("stage-in", "storage", (1151, 1180)),
    ("stage-in", "central", (1316, 1321, 1322)),
    ("stage-in", "auth", (1338,)),
    ("stage-out", "storage", (1133, 1137, 1152, 1181, 1221, 1313, 1323, 1329, 1333)),
    ("stage-out", "data", (1141, 1172, 1314)),
    ("stage-out", "auth", (1383,)),
    ("stage-out", "user", (1124, 1165, 1190, 1350, 1371)),
    (SAME, "node", (1115, 1199, 1303, 1332, 1344, 1352, 1353, 1354, 1365)),
    (SAME, "disk", (1098,)),
    ("payload", "user", (1104, 1106)),
    ("setup", "software", (1110, 1143, 1149, 1186, 1211, 1244, 1334, 1339, 1342, 1346, 1347, 1356, 1358, 1377, 1378)),
    ("setup", "central", (1116, 1117)),
    ("setup", "auth", (1163, 1177, 1364, 1370, 1373, 1380, 1381, 1382)),
    ("setup", "user", (1246, 1335)),
    ("payload", "user", (1203, 1206, 1220, 1305, 1310, 1315, 1328, 1343, 1349, 1351, 1355, 1357)),
    ("payload", "memory", (1212, 1223, 1235)),
    ("payload", "time", (1150, 1204, 1213, 1317, 1367)),
    ("payload", "database", (1369,)),
    ("container", "container", (1306, 1307, 1308, 1309, 1325, 1348, 1360, 1372, 1384)),
    ("container", "node", (1340, 1345)),
    ("batch", "batch", (1200, 1201, 1202, 1207, 1208, 1379)),
    ("heartbeat", "network", (1318, 1324, 1327, 1330)),
    ("log", "storage", (1320,)),
    ("log", "time", (1376,)),
    ("service", "central", (1341, 1359, 1385, 1386)),
    (
        SAME,
        "unknown",
        (
            *(
                1008,
                1144,
                1168,
                1187,
                1205,
                1224,
                1228,
                1234,
                1236,
                1238,
                1240,
                1247,
                1300,
                1301,
                1302,
                1311,
                1312,
                1319,
            ),
            *(1336, 1337, 1363, 1366, 1375),
        ),
    ),
)
_SERVER: tuple[tuple[str, Step | Literal[""], ErrorClass, tuple[int, ...]], ...] = (
    ("sup", "batch", "batch", (1, 2)),
    ("ddm", "stage-in", "data", (100, 101)),
    ("ddm", "stage-out", "data", (200, 201, 203, 204, 205)),
    ("ddm", "stage-out", "storage", (206,)),
    ("brokerage", "service", "central", (100, 101, 102)),
    ("job_dispatcher", "heartbeat", "node", (100, 102)),
    ("job_dispatcher", "stage-out", "data", (101, 103, 104)),
    ("job_dispatcher", SAME, "unknown", (105,)),
    ("task_buffer", SAME, "unknown", (100,)),
    ("task_buffer", "service", "central", (101, 102, 103, 105, 106, 107)),
    ("task_buffer", "batch", "batch", (300,)),
    (
        "task_buffer",
        SAME,
        "unknown",
        (111, 112, 113, 114, 115, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 130, 200),
    ),
)


def _rows() -> Iterator[tuple[tuple[str, int], tuple[Step | Literal[""], ErrorClass]]]:
    for step, error_class, codes in _PILOT:
        yield from ((("pilot", code), (step, error_class)) for code in codes)
    for component, step, error_class, codes in _SERVER:
        yield from (((component, code), (step, error_class)) for code in codes)


STEPS: dict[tuple[str, int], tuple[Step | Literal[""], ErrorClass]] = dict(_rows())
"""(component, code) -> (step, class); an empty step means: as the phase of the job says. Every known code is here."""

_COMPONENTS: dict[str, tuple[Step | Literal[""], ErrorClass]] = {
    "exe": ("payload", "user"),
    "trans": ("payload", "user"),
    "ddm": ("stage-out", "data"),
    "sup": ("batch", "batch"),
    "brokerage": ("service", "central"),
}
"""What the other codes of a component mean: exit codes of payloads, for example, are in no table."""


_FAR_ENDS: dict[str, tuple[ErrorClass, ...]] = {"stage-in": ("network",), "stage-out": ("network", "disk")}
"""What a mover complains of that is the storage's when the pilot says that a transfer failed: one that does not answer, and,
where something is to be stored, one that is full. Space that lacks for input lacks on the node."""


def step_and_class(component: str, code: int | None, phase: str, culprit: Culprit | None) -> tuple[str, str]:
    """Where it failed and what kind of trouble it is; the culprit's word wins over the code's.

    `phase`: the step in which the job was (`phase_of`), for codes that can come from anywhere; "service" for the record
    of a service. An unknown phase is empty, and then so is the step that depends on it.
    """
    step, error_class = _of_code(component, code)
    said_step, said_class = ("", "") if culprit is None else (culprit.step, culprit.error_class)
    if said_class in _FAR_ENDS.get(step, ()) and error_class in ("data", "storage"):
        said_class = "storage"
    return said_step or step or phase, said_class or error_class


def _of_code(component: str, code: int | None) -> tuple[str, str]:
    """Pilots turn the sign of codes (pilot-wire.md 7); nobody else uses negative ones."""
    known = STEPS.get((component, abs(code))) if code is not None else None
    return known or _COMPONENTS.get(component, (SAME, "unknown"))


_PHASES: dict[str, Step] = {
    "pending": "service",
    "defined": "service",
    "waiting": "service",
    "assigned": "service",
    "throttled": "service",
    "activated": "service",
    "sent": "heartbeat",
    "starting": "setup",
    "stagein": "stage-in",
    "running": "payload",
    "stageout": "stage-out",
    "transferring": "stage-out",
    "merging": "stage-out",
}
_STAGE_IN, _PAYLOAD, _STAGE_OUT, _INITIAL_SETUP, _PAYLOAD_SETUP = range(1, 6)


def phase_of(previous_status: str, pilot_timing: str = "", trans_exit_code: int | None = 0) -> str:
    """The step a job was in when it failed, or empty when nothing tells.

    `previous_status`: the job's state before it failed; holding tells nothing, for a pilot's verdict passes through it.
    `pilot_timing`: the pilot's seconds in each step as on the wire (getjob|stage-in|payload|stage-out|initial
    setup|payload setup): the last step that took any time was the one. `trans_exit_code`: not 0 when a payload failed.
    """
    if trans_exit_code:  # the log is staged out after it, which takes time and is not what failed
        return "payload"
    return _phase_of_timing(pilot_timing) or _PHASES.get(previous_status, "")


def _phase_of_timing(pilot_timing: str) -> str:
    took_time = [part.strip().isdecimal() and part.strip(" 0") != "" for part in pilot_timing.split("|")]
    if len(took_time) <= _PAYLOAD_SETUP:
        return ""
    # in the order in which a job goes through them
    steps: tuple[tuple[int, Step], ...] = (
        (_STAGE_OUT, "stage-out"),
        (_PAYLOAD, "payload"),
        (_STAGE_IN, "stage-in"),
        (_PAYLOAD_SETUP, "setup"),
        (_INITIAL_SETUP, "setup"),
    )
    return next((step for index, step in steps if took_time[index]), "")


_OWNERS: dict[str, str] = {
    "user": "user",
    "memory": "user",
    "time": "user",
    "software": "operators",
    "disk": "site",
    "data": "data",
    "storage": "site",
    "network": "site",
    "auth": "operators",
    "node": "site",
    "batch": "site",
    "container": "site",
    "database": "operators",
    "central": "operators",
}


def owner_hint(error_class: str) -> str:
    """Who is usually asked about this kind: user, site, operators or data; empty when nothing tells. Never a verdict."""
    return _OWNERS.get(error_class, "")
