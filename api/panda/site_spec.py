"""A queue as PanDA's clients read it from `metaconfig/get_site_specs`. Knows the row of a queue and PanDA's names for it."""

from __future__ import annotations

from typing import Any

from core.database import Row
from core.statistics import NO_CLOUD

UNIFIED = "unified"
"""The type of a queue that does not say: ours take jobs of every label."""

_FROM_PARAMETERS: dict[str, tuple[str, Any]] = {
    "cloud": ("cloud", NO_CLOUD),
    "type": ("type", UNIFIED),
    "mintime": ("mintime", 0),
    "minrss": ("minrss", 0),
    "meanrss": ("meanrss", 0),
    "corepower": ("corepower", 0),
    "maxinputsize": ("maxinputsize", 0),
    "maxDiskio": ("maxdiskio", 0),
    "transferringlimit": ("transferringlimit", 2000),
    "pledgedCPU": ("pledgedcpu", -1),
    "fairsharePolicy": ("fairsharepolicy", ""),
    "releases": ("releases", []),
    "cmtconfig": ("cmtconfig", []),
    "iscvmfs": ("is_cvmfs", False),
    "wnconnectivity": ("wnconnectivity", ""),
    "capability": ("capability", "ucore"),
    "workflow": ("workflow", "pull"),
    "jobseed": ("jobseed", "all"),
    "catchall": ("catchall", ""),
    "gocname": ("gocname", ""),
    "tier": ("tier", ""),
    "role": ("role", ""),
    "pilot_manager": ("pilot_manager", ""),
    "harvester": ("harvester", ""),
    "direct_access_lan": ("direct_access_lan", False),
    "direct_access_wan": ("direct_access_wan", False),
}
"""PanDA's name of an attribute, its name among the parameters of a queue (domain.md 9.2), what holds when it is not set."""


def site_type(queue: Row) -> str:
    """unified, production, analysis or another word for the label families that a queue accepts."""
    return str(queue["parameters"].get("type") or UNIFIED)


def site_spec(queue: Row) -> dict[str, Any]:
    """A queue in PanDA's names and units (MB, s)."""
    parameters = queue["parameters"]
    said = {name: parameters.get(source, default) for name, (source, default) in _FROM_PARAMETERS.items()}
    return {
        **said,
        "type": site_type(queue),
        "sitename": queue["queue_name"],
        "nickname": queue["queue_name"],
        "unifiedName": queue["queue_name"],
        "pandasite": queue["site"],
        "status": queue["status"],
        "comment": queue["comment"],
        "coreCount": queue["max_core_count"],
        "memory": queue["max_ram_mb"],
        "maxrss": queue["max_ram_mb"],
        "maxwdir": queue["max_disk_mb"],
        "maxtime": queue["max_walltime_s"],
        "ddm": queue["storage_endpoint"],
        "statusmodtime": queue["modification_time"],
    }
