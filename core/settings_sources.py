"""Where settings come from: environment and file read, laid over each other, and what is wrong in them explained.

Knows sources and names; does not know one setting by name, nor what it is for.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource
from pydantic_settings.exceptions import SettingsError

from core.errors import ConfigurationError
from core.settings_table import fields, masked

# Variables of the same prefix that are no settings of the server: ours for the client, the payload and the file itself,
# and those the user client and the pilot of PanDA read. Everything else that begins with PANDA_ must be a setting.
_OTHER_VARIABLES = (
    *("PANDA_CONFIG", "PANDA_TOKEN", "PANDA_SYS", "PANDA_HOME", "PANDA_TTY", "PANDA_JSID", "PANDA_HOSTNAME"),
    *("PANDA_ID", "PANDA_TASK_ID", "PANDA_QUEUE", "PANDA_CORE_COUNT", "PANDA_ATTEMPT_NR"),
    *("PANDA_PYTHONPATH", "PANDA_PRODUCTION_ROLE", "PANDA_EXEC_STRING", "PANDA_JUPYTER", "PANDA_RESOURCE"),
    *("PANDA_WORKDIR", "PANDA_SERVER_URL", "PANDA_BASE_URLS"),
)
_OTHER_PREFIXES = (
    *("PANDA_URL", "PANDA_AUTH", "PANDA_CONFIG_ROOT", "PANDA_PILOT_", "PANDA_VERIFY_HOST", "PANDA_USE_NATIVE_"),
    *("PANDA_INSTALL_", "PANDA_BEHIND_", "PANDA_NICKNAME", "PANDA_TEST_", "PANDA_LIFELINE_"),
)


def _variable(name: str) -> str:
    return "PANDA_" + name.upper().replace(".", "__")


def read_environment(cls: type[BaseSettings]) -> dict[str, Any]:
    """What the environment sets. Raises ConfigurationError for a `PANDA_` variable that is no setting and not known otherwise."""
    known = {_variable(name) for name, _, _ in fields(cls)} | {_variable(name) for name in cls.model_fields}
    for name in sorted(os.environ):
        foreign = name in _OTHER_VARIABLES or name.startswith(_OTHER_PREFIXES)
        if not name.startswith("PANDA_") or foreign or name.upper() in known:
            continue
        if any(name.startswith(_variable(field) + "__") for field, _, kind in fields(cls) if kind is dict):
            continue
        raise ConfigurationError(
            "there is no setting of this name", field=f"environment variable {name}", remedy=_suggest(name, known)
        )
    try:
        return dict(EnvSettingsSource(cls)())
    except SettingsError as error:
        raise ConfigurationError(
            f"an environment variable does not hold JSON where a table is expected: {error}",
            field="environment",
            remedy="`panda config` lists every setting with its form",
        ) from error


def read_file(path: Path, *, must_exist: bool) -> dict[str, Any]:
    """What the file sets; nothing when there is none and there need not be. Raises ConfigurationError with the reason."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        if not must_exist:
            return {}
        remedy = "create it, or unset the variable"
        raise ConfigurationError(f"there is no file {path}", field="PANDA_CONFIG", remedy=remedy) from error
    except OSError as error:
        remedy = "make it readable for the user that runs this program"
        raise ConfigurationError(f"cannot be read: {error.strerror}", field=str(path), remedy=remedy) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        remedy = "one setting a line, as in: port = 25080"
        raise ConfigurationError(f"is not valid TOML: {error}", field=str(path), remedy=remedy) from error


def explain(error: ValidationError, layers: dict[str, dict[str, Any]], cls: type[BaseSettings]) -> ConfigurationError:
    """One ConfigurationError for everything pydantic found, most useful first, at most ten lines."""
    known = {name for name, _, _ in fields(cls)}
    findings = []
    for item in error.errors()[:10]:
        name = ".".join(str(part) for part in item["loc"])
        layer = next((layer for layer, values in layers.items() if _holds(values, item["loc"])), "default")
        variable = _variable(re.split(r"[.][0-9]", name)[0])
        origin = {"option": "given as an option", "environment": f"from {variable}"}.get(layer, f"from {layer}")
        if item["type"] == "extra_forbidden":
            findings.append((name, f"there is no setting of this name ({origin})", _suggest(name, known)))
        elif item["type"] == "missing":
            findings.append((name, f"missing ({origin})", "add it there"))
        else:
            said = item["msg"].removeprefix("Value error, ")
            given = masked(name, item["input"])
            findings.append(
                (name, f"{given!r} will not do: {said[:1].lower()}{said[1:]} ({origin})", "correct it there")
            )
    field, detail, remedy = findings[0]
    others = "".join(f"\n  {name}: {text}; {hint}" for name, text, hint in findings[1:])
    return ConfigurationError(detail + others, field=field, remedy=remedy)


def _suggest(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"did you mean {close[0]}?" if close else "`panda config` lists every setting"


def _holds(values: Mapping[str, Any], location: tuple[int | str, ...]) -> bool:
    current: Any = values
    for part in location:
        if not isinstance(current, Mapping) or part not in current:
            return current is not values and not isinstance(current, Mapping)
        current = current[part]
    return True


def merged(layers: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What holds when the first layer that says something is right, down to the entries of tables."""
    values: dict[str, Any] = {}
    for layer in reversed(layers.values()):
        values = _merge(values, layer)
    return values


def _merge(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        present = merged.get(name)
        both = isinstance(present, Mapping) and isinstance(value, Mapping)
        merged[name] = _merge(dict(present), value) if both and isinstance(present, Mapping) else value
    return merged


def origins_of(layers: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Which layer each setting comes from, by its name with dots."""
    origins: dict[str, str] = {}

    def walk(values: Mapping[str, Any], prefix: str, origin: str) -> None:
        for name, value in values.items():
            if isinstance(value, Mapping):
                walk(value, f"{prefix}{name}.", origin)
            origins[prefix + name] = origin

    for layer, values in reversed(layers.items()):
        walk(values, "", layer)
    return origins
