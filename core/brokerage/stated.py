"""What an operator stated about a queue beyond its columns (schedconfig keys, domain.md 9.2). Knows no table, no rule.

Whatever was written there must not stop brokerage: a value that cannot be read counts as not stated and is named in
`unreadable`, so that somebody can be told once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.brokerage.share_policy import is_readable
from core.numbers import as_number

_LARGEST = 10**15
_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off", "")
_ANY_VERSION = ("", "any", "all", "*", "auto")


@dataclass(frozen=True)
class Stated:
    """Facts of a queue in PanDA's words. None or empty = not stated, which never excludes a queue."""

    type: str = ""
    """production, analysis, unified, special: the labels it takes."""
    capability: str = ""
    """score (one core), mcore (exactly `corecount`), ucore (up to it)."""
    corecount: int | None = None
    """Cores of a slot; memory and scratch of the queue are those of the whole slot."""
    corepower: float | None = None
    """HS06 of a core."""
    minrss: int | None = None
    """MB a slot is used for at least."""
    maxrss: int | None = None
    maxwdir: int | None = None
    """MB of scratch of a slot."""
    maxtime: int | None = None
    mintime: int | None = None
    pledgedcpu: float | None = None
    """Cores; -1: opportunistic."""
    transferringlimit: int | None = None
    maxdiskio: float | None = None
    """kB/s per core that tasks may read and write on the local disk."""
    max_io_intensity: float | None = None
    """kB/s that a task may read and write over the network."""
    fairsharepolicy: str = ""
    network: str = ""
    """full, http or none, as in wnconnectivity before the #."""
    ip_version: str = ""
    """IPv4, IPv6 or both, as in wnconnectivity after the #."""
    reads_lan: bool | None = None
    """direct_access_lan: files are opened where they lie in the storage of the site."""
    reads_wan: bool | None = None
    """direct_access_wan or allow_wan: inputs are read from storages elsewhere."""
    writes_wan: bool | None = None
    """write_wan: jobs may write their outputs to storages elsewhere."""
    endpoints: frozenset[str] = frozenset()
    """ddm and astorages: storage endpoints of its site, besides its own."""
    releases: frozenset[str] = frozenset()
    architectures: frozenset[str] = frozenset()
    runs_containers: bool | None = None
    gpus: frozenset[str] = frozenset()
    """Models, `any`, or `none`; empty says nothing."""
    only_for_gpus: bool = False
    """Whether jobs that need no accelerator are to keep away (`excl` in CRIC's architectures)."""
    allowed_processing: frozenset[str] = frozenset()
    excluded_processing: frozenset[str] = frozenset()
    expects_no_pilots: bool = False
    """catchall allow_no_pilot: jobs are pushed, nobody calls."""
    keeps_its_jobs: bool = False
    """disableReassign: neither watchdog nor rebrokerage takes jobs away."""
    space_gb: float | None = None
    """Free space of its storage."""
    unreadable: tuple[str, ...] = field(default=(), compare=False)
    """Keys whose values mean nothing."""


def read_stated(parameters: object) -> Stated:
    """The facts in `queues.parameters`; never raises, whatever stands there."""
    reader = _Reader(parameters)
    network, ip_version = reader.connectivity()
    lan, wan = reader.flag("direct_access_lan"), reader.flag("direct_access_wan")
    wide = reader.flag("allow_wan")
    hardware = reader.hardware()
    return Stated(
        type=reader.word("type", ("production", "analysis", "unified", "special")),
        capability=reader.word("capability", ("score", "mcore", "ucore")),
        corecount=reader.whole("corecount", least=1),
        corepower=reader.number("corepower", least=1e-6),
        minrss=reader.whole("minrss", "minmemory", least=1),
        maxrss=reader.whole("maxrss", "maxmemory", "memory", least=1),
        maxwdir=reader.whole("maxwdir", least=1),
        maxtime=reader.whole("maxtime", least=1),
        mintime=reader.whole("mintime", least=1),
        pledgedcpu=reader.number("pledgedcpu", least=-1),
        transferringlimit=reader.whole("transferringlimit", least=1),
        maxdiskio=reader.number("maxdiskio", "maxDiskio", "maxDiskIO", least=1e-6),
        max_io_intensity=reader.number("max_io_intensity", "maxIOIntensity", least=1e-6),
        fairsharepolicy=reader.policy(),
        network=network,
        ip_version=ip_version,
        reads_lan=lan,
        reads_wan=wan or wide if wan is not None or wide is not None else None,
        writes_wan=reader.flag("write_wan"),
        endpoints=reader.names("ddm") | reader.storages(),
        releases=reader.names("releases", drops=_ANY_VERSION),
        architectures=hardware.architectures,
        runs_containers=reader.containers(),
        gpus=hardware.gpus,
        only_for_gpus=hardware.only_for_gpus,
        allowed_processing=reader.names("allowed_processing"),
        excluded_processing=reader.names("excluded_processing"),
        expects_no_pilots=bool(reader.flag("allow_no_pilot")),
        keeps_its_jobs=bool(reader.flag("disableReassign")),
        space_gb=reader.number("space", least=1e-6),
        unreadable=tuple(dict.fromkeys(reader.unreadable)),
    )


class _Reader:
    """Looks keys up, those in `catchall` (key=value, comma-separated) included, and notes what it cannot read."""

    def __init__(self, parameters: object) -> None:
        self.unreadable: list[str] = []
        given = parameters if isinstance(parameters, Mapping) else {}
        self._values: dict[str, Any] = {**_catchall(given.get("catchall")), **given}

    def number(self, *keys: str, least: float) -> float | None:
        """The first of the keys that holds a number; 0 and less stand for "no limit" in schedconfig."""
        for key in keys:
            value = self._values.get(key)
            if value is None or value == "":
                continue
            read = as_number(value)
            if read is None or abs(read) > _LARGEST:
                self.unreadable.append(key)
            elif read >= least:
                return read
        return None

    def whole(self, *keys: str, least: int) -> int | None:
        """The same as a whole number."""
        read = self.number(*keys, least=least)
        return None if read is None else int(read)

    def flag(self, key: str) -> bool | None:
        """Yes, no, or not stated."""
        value = self._values.get(key)
        if value is None or isinstance(value, bool):
            return value
        word = str(value).strip().lower() if isinstance(value, str | int | float) else None
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        self.unreadable.append(key)
        return None

    def text(self, key: str) -> str:
        """Free text."""
        value = self._values.get(key)
        if value is None or isinstance(value, str):
            return (value or "")[:4000]
        self.unreadable.append(key)
        return ""

    def word(self, key: str, known: tuple[str, ...]) -> str:
        """One of the known words."""
        word = self.text(key).strip().lower()
        if word and word not in known:
            self.unreadable.append(key)
            return ""
        return word

    def names(self, *keys: str, drops: tuple[str, ...] = ("",)) -> frozenset[str]:
        """A list, or text with commas; empty when one of the names stands for any."""
        found: set[str] = set()
        for key in keys:
            value = self._values.get(key)
            parts = value.replace("|", ",").split(",") if isinstance(value, str) else value
            if parts is None:
                continue
            if not isinstance(parts, list) or not all(isinstance(part, str | dict) for part in parts):
                self.unreadable.append(key)
                continue
            names = [_name_of(part) for part in parts]
            if any(name.lower() in drops and name for name in names):
                return frozenset()
            found.update(name for name in names if name.lower() not in drops and len(name) <= 200)
        return frozenset(found)

    def storages(self) -> frozenset[str]:
        """All names in CRIC's astorages, which lists storage endpoints for each activity."""
        value = self._values.get("astorages")
        if value is None or value == "":
            return frozenset()
        if not isinstance(value, Mapping):
            self.unreadable.append("astorages")
            return frozenset()
        return frozenset(name for listed in value.values() for name in _texts(listed))

    def hardware(self) -> _Hardware:
        """Processors, platforms and accelerators: names, or what CRIC publishes (type cpu or gpu, lists of strings)."""
        listed = self._values.get("architectures")
        listed = listed if isinstance(listed, list) else []
        parts = [part for part in listed if isinstance(part, Mapping) and _is_hardware(part)]
        if parts:
            self._values["architectures"] = [part for part in listed if part not in parts]
        names = self.names("architectures", "cmtconfig", "platform", drops=_ANY_VERSION)
        accelerators = [part for part in parts if str(part.get("type")).lower() == "gpu"]
        of_parts = [name for part in parts if part not in accelerators for name in _strings(part.get("arch"))]
        return _Hardware(
            architectures=names | frozenset(name for name in of_parts if name.lower() not in _ANY_VERSION),
            gpus=self._accelerators().union(*(_models(part) for part in accelerators)),
            only_for_gpus=any(
                _EXCLUSIVE in _texts(part.get(key)) for part in accelerators for key in ("vendor", "model")
            ),
        )

    def _accelerators(self) -> frozenset[str]:
        """The keys `gpu` and `gpus`, which may also be yes, no, or how many."""
        for key in ("gpu", "gpus"):
            value = self._values.get(key)
            if isinstance(value, int | float):
                self._values[key] = "any" if value > 0 else "none"
        return self.names("gpu", "gpus", drops=("",))

    def policy(self) -> str:
        """fairsharepolicy, of which parts may be unreadable."""
        policy = self.text("fairsharepolicy")
        if policy and not is_readable(policy):
            self.unreadable.append("a part of fairsharepolicy")
        return policy

    def containers(self) -> bool | None:
        """container_type names a container program, or says that there is none."""
        kinds = self.names("container_type")
        if not kinds:
            return None
        return not all(kind.split(":")[0].strip().lower() in ("none", "no") for kind in kinds)

    def connectivity(self) -> tuple[str, str]:
        """wnconnectivity: full, http or none, then # and IPv4, IPv6 or IPv4IPv6."""
        reach, _, stack = self.text("wnconnectivity").partition("#")
        reach, stack = reach.strip().lower(), stack.strip().lower()
        if reach not in ("", "full", "http", "none"):
            self.unreadable.append("wnconnectivity")
            reach = ""
        versions = [version for version in ("IPv4", "IPv6") if version.lower() in stack]
        return reach, "both" if len(versions) == 2 else "".join(versions)


def _catchall(value: object) -> dict[str, str]:
    pairs: Iterable[str] = value[:4000].split(",") if isinstance(value, str) else ()
    found = {}
    for pair in pairs:
        key, equals, given = pair.partition("=")
        if key.strip():
            found[key.strip()] = given.strip().replace("|", ",") if equals else "true"
    return found


@dataclass(frozen=True)
class _Hardware:
    """What was published of the nodes."""

    architectures: frozenset[str]
    gpus: frozenset[str]
    only_for_gpus: bool


_EXCLUSIVE = "excl"


def _is_hardware(part: Mapping[str, Any]) -> bool:
    return str(part.get("type")).lower() in ("cpu", "gpu")


def _texts(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [text.strip() for text in values if isinstance(text, str) and text.strip() and len(text) <= 200]


def _strings(value: object) -> list[str]:
    """The names in a list of CRIC, without the word that makes it exclusive."""
    return [text for text in _texts(value) if text.lower() != _EXCLUSIVE]


def _models(part: Mapping[str, Any]) -> set[str]:
    """`vendor-model` as tasks ask for it, as far as both are stated."""
    vendors, models = _strings(part.get("vendor")), _strings(part.get("model"))
    if not vendors or not models:
        return set(vendors or models or ["any"])
    return {f"{vendor}-{model}" for vendor in vendors for model in models}


def _name_of(part: str | dict[str, Any]) -> str:
    """CRIC writes releases and architectures as objects; their first word is the name."""
    if isinstance(part, str):
        return part.strip()
    for key in ("release", "tag", "name", "model", "type", "arch"):
        value = part.get(key)
        names = value if isinstance(value, list) else [value]
        if names and isinstance(names[0], str):
            return names[0].strip()
    return ""
