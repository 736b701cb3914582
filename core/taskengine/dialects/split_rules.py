"""PanDA's two-letter codes of splitting rules (domain.md 3.2, 3.4). Knows how they are written, not what they do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SPLIT_RULE_TAGS: dict[str, str] = {
    "NE": "nEventsPerJob",
    "NF": "nFilesPerJob",
    "NG": "nGBPerJob",
    "MF": "nMaxFilesPerJob",
    "MX": "maxEventsPerJob",
    "MN": "maxNumJobs",
    "TJ": "totNumJobs",
    "EI": "nEventsPerInput",
    "TN": "tgtMaxOutputForNG",
    "MW": "maxWalltime",
    "CC": "maxCoreCount",
    "GB": "groupBoundaryID",
    "RL": "respectLB",
    "RS": "randomSeed",
    "OI": "orderInputBy",
    "MO": "mergeOutput",
    "ZE": "nEventsPerMergeJob",
    "ZF": "nFilesPerMergeJob",
    "ZG": "nGBPerMergeJob",
    "UB": "useBuild",
    "US": "useScout",
    "SS": "scoutSuccessRate",
    "DR": "disableAutoRetry",
    "DF": "disableAutoFinish",
    "AP": "allowPartialFinish",
    "AE": "allowEmptyInput",
    "AI": "allowIncompleteInDS",
    "IM": "ignoreMissingInDS",
    "FG": "failGoalUnreached",
    "UX": "useExhausted",
    "WI": "waitInput",
    "RC": "runUntilClosed",
    "NW": "noWaitParent",
    "SO": "stayOutputOnSite",
    "IS": "inputPreStaging",
    "IL": "allowInputLAN",
    "IW": "allowInputWAN",
    "LI": "useLocalIO",
    "LC": "noLoopingCheck",
    "MC": "minCpuEfficiency",
    "RX": "retryRamOffset",
    "RY": "retryRamStep",
    "UC": "useJobCloning",
    "PO": "putLogToOS",
    "EJ": "encJobParams",
    "ST": "useSecrets",
    "DM": "debugMode",
    "PJ": "pushJob",
    "MD": "messageDriven",
    "HO": "hpoWorkflow",
    "RR": "respectSplitRule",
    "RO": "reuseSecOnDemand",
    "UE": "useRealNumEvents",
    "UF": "useFileAsSourceLFN",
    "AN": "addNthFieldToLFN",
    "OS": "osMatching",
    "PL": "pfnList",
    "TW": "t1Weight",
    "EC": "nEsConsumers",
    "ES": "nEventsPerWorker",
    "NI": "noInputPooling",
    "NJ": "nJumboJobs",
    "NP": "noAutoPause",
    "AV": "avoidVP",
    "OT": "onlyTagsForFC",
    "UZ": "useZipToPin",
}
"""Code -> name of the task parameter that sets it."""

CHANGEABLE_TAGS: tuple[str, ...] = (
    *("AI", "AV", "CC", "EC", "ES", "IL", "IM", "LC", "LI", "MF"),
    *("NF", "NG", "NI", "NJ", "NP", "OT", "TW", "UZ"),
)
"""What `change_split_rule` and a resubmission may change (client-wire.md 4.3)."""

_MAX_VALUE = 1000


def split_rule_text(parameters: Mapping[str, Any]) -> str:
    """The rules that are set, as PanDA writes them: `NF=3,UB=1`; true is 1."""
    rules = []
    for tag, name in SPLIT_RULE_TAGS.items():
        value = parameters.get(name)
        if value in (None, False, "", 0) or not isinstance(value, bool | int | float | str):
            continue
        rules.append(f"{tag}={int(value) if isinstance(value, bool) else value}"[:_MAX_VALUE])
    return ",".join(rules)
