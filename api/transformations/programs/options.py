"""Which options there are and how they are read. Knows nothing of what they cause.

One table for all programs: what prun 2.2.0 can append (client-wire.md 4.2, 4.4) and older pilots used to. An option that
is not in it is named and passed over, since a newer client must not break jobs that do not depend on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .failing import USAGE, Failure, say


class Option(NamedTuple):
    """`names`: the first is how the programs ask for it. `refusal`: why a job that wants it cannot run here."""

    names: tuple[str, ...]
    takes_value: bool = True
    has_meaning: bool = True
    refusal: str = ""


def _flag(*names: str) -> Option:
    return Option(names, takes_value=False)


OPTIONS: Sequence[Option] = (
    Option(("--sourceURL",)),
    Option(("-r",)),
    Option(("-a",)),
    Option(("-l",)),
    Option(("-i",)),
    Option(("-o",)),
    Option(("-p",)),
    Option(("--inMap",)),
    Option(("--bexec",)),
    Option(("--writeInputToTxt",)),
    Option(("--allowNoOutput",)),
    Option(("--dbrFile",)),
    Option(("--rootVer",)),
    Option(("--containerImage", "--containerName")),  # the real pilot cuts the first name out, see docs
    Option(("--datadir",)),
    Option(("--workdir",)),
    _flag("--givenPFN"),
    _flag("--execWithRealFileNames"),
    _flag("--noTarballDownload"),
    _flag("--noCompile"),
    _flag("--noExpandDBR"),
    _flag("--preprocess"),
    _flag("--postprocess"),
    _flag("--cvmfs"),
    _flag("--noX509"),
    _flag("--debug"),
    Option(("-j",), has_meaning=False),  # of runMerge alone: the program that merges
    _flag("--mergeSingleFile"),
    Option(("--cmtConfig",), has_meaning=False),
    Option(("--overwriteQueuedata",), has_meaning=False),
    Option(("--overwriteQueueData",), has_meaning=False),
    Option(("--useCentralRegistry",), has_meaning=False),
    Option(("--accessmode",), has_meaning=False),
    Option(("--useCMake",), takes_value=False, has_meaning=False),
    Option(("--directIn",), takes_value=False, has_meaning=False),
    Option(("--usePFCTurl",), takes_value=False, has_meaning=False),
    Option(("--useLocalIO",), takes_value=False, has_meaning=False),
    Option(("--useAthenaPackages",), takes_value=False, refusal="it needs an Athena release"),
    Option(("--useRootCore",), takes_value=False, refusal="it needs RootCore"),
    Option(("--fileToSave",), refusal="files kept between steps of a workflow need the workflow service"),
    Option(("--fileToLoad",), refusal="files kept between steps of a workflow need the workflow service"),
    Option(("--goodRunListXML",), refusal="it needs a good run list service"),
)
_BY_NAME = {name: option for option in OPTIONS for name in option.names}


class Arguments:
    """What was asked for. Given twice, the last one counts."""

    def __init__(self, values: dict[str, str], words: Sequence[str] = ()) -> None:
        self._values = values
        self.words = tuple(words)
        """What belongs to no option."""

    def has(self, name: str) -> bool:
        """Was this option given?"""
        return name in self._values

    def text(self, name: str) -> str:
        """Its value, empty when it was not given."""
        return self._values.get(name, "")

    def required(self, name: str) -> str:
        """Its value. Raises Failure when it is missing or empty."""
        if not self.text(name):
            raise Failure(USAGE, f"the option {name} is missing or empty")
        return self._values[name]

    @property
    def refused(self) -> list[tuple[str, str]]:
        """The options that cannot be honoured, each with the reason."""
        return [(option.names[0], option.refusal) for option in OPTIONS if option.refusal and self.has(option.names[0])]


def parse(words: Sequence[str], *, is_merge: bool = False) -> Arguments:
    """Read the command line. Raises Failure when a value is missing. `is_merge`: free words and -j have a meaning.

    A value may begin with a dash (an `-p` of which the text does); `--name=value` and `--name value` are the same.
    """
    values: dict[str, str] = {}
    free: list[str] = []
    without_effect: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        option = _BY_NAME.get(name)
        if option is None:
            free += [] if word.startswith("-") else [word]
            without_effect.append(word)
            if word.startswith("-") and not equals and rest and not rest[0].startswith("-"):
                without_effect.append(rest.pop(0))
            continue
        if option.takes_value and not equals:
            if not rest:
                raise Failure(USAGE, f"the option {name} has no value")
            value = rest.pop(0)
        values[option.names[0]] = value
        if not option.has_meaning and (value or not option.takes_value):
            without_effect.append(name)
    if is_merge:
        without_effect = [word for word in without_effect if word not in free and word != "-j"]
    if without_effect:
        say(f"without effect here: {' '.join(without_effect)}")
    return Arguments(values, free)
