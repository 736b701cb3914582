"""Reads lines of text as records: RFC 5424, RFC 3164, `LEVEL key=value : message`, anything else. Knows no socket.

Nothing is refused: what fits no form is a message, and a value that does not fit its place goes to `fields`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

MAX_LINE_BYTES = 65_536
"""A longer line is cut before anything looks at it."""

ENTERPRISE = "panda@53595"
"""The structured data element whose parameters are the extras of a record."""

_SEVERITIES = ("CRITICAL", "CRITICAL", "CRITICAL", "ERROR", "WARNING", "INFO", "INFO", "DEBUG")
_HIGHEST_PRIORITY = 191  # 23 facilities, 8 severities each (RFC 5424, 6.2.1)
_LEVELS = {
    **{word: word for word in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")},
    **{"NOTICE": "INFO", "WARN": "WARNING", "ERR": "ERROR"},
    **dict.fromkeys(("CRIT", "FATAL", "ALERT", "EMERG", "PANIC"), "CRITICAL"),
}
_WORDS = "|".join(sorted(_LEVELS, key=len, reverse=True))
# a word in capitals is a level when a blank follows; in small letters only with a colon or in brackets: "error in x" is prose
_LEVEL_WORD = re.compile(
    rf"(?:(?P<big>{_WORDS})(?:\s*:|(?=\s)|$)|(?i:(?P<colon>{_WORDS}):|\[(?P<square>{_WORDS})\]:?))\s*"
)
_PAIR = re.compile(r'\s+([A-Za-z_][\w.-]{0,99})=("(?:[^"\\]|\\.)*"|[^\s"]\S*|)(?=\s|$)', re.DOTALL)

_PRIORITY = re.compile(r"<(\d{1,3})>")
_HEADER_5424 = re.compile(r"1 (\S+) (\S{1,255}) (\S{1,255}) (\S{1,128}) (\S{1,32}) ")
_ELEMENT = re.compile(r"\[([^\s=\]\"]{1,255})")
_PARAMETER = re.compile(r' +([^\s=\]"]{1,255})="((?:[^"\\]|\\.)*)"', re.DOTALL)
# routers write a year and thousandths, too
_STAMP_3164 = re.compile(
    r"([A-Z][a-z]{2}) ([ \d]\d) (?:(\d{4}) )?(\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?(?: |: ?)|(\d{4}-\d\d-\d\dT\S{8,40}) "
)
# how Python, Java and shell scripts begin a line of a log
_STAMP_OF_FILES = re.compile(r"\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:([.,]\d{1,6})\d*)?\s?(Z|[+-]\d\d:?\d\d)?\]?\s+")
_TAG = re.compile(r"([^\s:\[\]]{1,100})(?:\[(\d{1,10})\])?:(?:\s|$)")
_HOST = re.compile(r"(\S{1,255}) ")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_QUARTER, _FARTHEST_ZONE, _JUST_NOW = timedelta(minutes=15), timedelta(hours=14), timedelta(minutes=1)

_NUMBERS = ("panda_id", "jedi_task_id", "code")
_TEXTS = ("component", "computing_site", "user", "fingerprint", "kind", "step", "class", "level", "host", "name")
_SAID_ELSEWHERE = frozenset({"time", "message", "process", "token"})
_KINDS = ("failure_burst", "absence", "backlog", "service", "data", "manual")
_LARGEST_NUMBER = 2**63 - 1


def read_line(line: bytes, defaults: Mapping[str, str], received: datetime) -> dict[str, Any]:
    """One line as a record for `records.read_record`; never raises: what fits no form is a message.

    `defaults`: extras (component, level, computing_site, panda_id, ...) for what the line does not say itself.
    `received`: the record's time when the line has none, and what tells the year of an RFC 3164 time.
    """
    text = line[:MAX_LINE_BYTES].decode("utf-8", "replace").rstrip("\r\n\0").removeprefix("\ufeff")
    said = _syslog(text, received) or _of_file(text, received) or _key_values(text) or _plain(text)
    fields = said.pop("fields", {})
    if len(line) > MAX_LINE_BYTES:
        fields["cut_bytes"] = len(line) - MAX_LINE_BYTES
    record: dict[str, Any] = {"time": received.isoformat(), "level": "INFO"}
    for name, value in (*defaults.items(), *said.items()):
        _place(record, fields, name, value)
    if fields:
        record["fields"] = fields
    return record


def read_token(line: bytes) -> str:
    """The token in a line that only identifies its sender: `[panda@53595 token="..."]`, also in a syslog line; or ''."""
    found = re.search(rf'\[{ENTERPRISE} +token="([\x21-\x7e]{{1,8000}}?)"\]', line.decode("utf-8", "replace"))
    return found[1] if found else ""


class Frames:
    """Cuts a stream into lines as RFC 6587 has it: octet counting where a frame begins `123 <`, else newlines."""

    def __init__(self, limit: int = MAX_LINE_BYTES) -> None:
        """`limit`: bytes of one line; what is beyond is thrown away and counted in `cut`."""
        self._limit = limit
        self._waiting = bytearray()
        self._counted_rest = 0  # bytes of a counted frame beyond the limit, still to come
        self._is_skipping = False  # a line beyond the limit: its rest, up to the newline, is still to come
        self.cut = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that are complete now."""
        self._waiting += data
        return list(self._complete())

    def end(self) -> list[bytes]:
        """What stands after the last newline when the stream ends."""
        rest, self._waiting = bytes(self._waiting), bytearray()
        return [] if self._is_skipping or not rest.strip() else [rest]

    def _complete(self) -> Iterator[bytes]:
        while self._waiting:
            if self._counted_rest:
                gone = min(self._counted_rest, len(self._waiting))
                del self._waiting[:gone]
                self._counted_rest -= gone
                continue
            length = None if self._is_skipping else self._counted()
            if length is _UNDECIDED:
                return
            line = self._line() if length is None else self._frame(*length)
            if line is None:
                return
            if line.strip():
                yield line

    def _counted(self) -> tuple[int, int] | None:
        """Length of the count and of the frame behind it; None when newlines end this one, `_UNDECIDED` when too short."""
        head = bytes(self._waiting[:9])
        if not b"1" <= head[:1] <= b"9":
            return None
        digits, blank, rest = head.partition(b" ")
        if not digits.isdigit() or len(digits) > 7:
            return None
        if not rest:
            return _UNDECIDED
        return (len(digits) + len(blank), int(digits)) if rest.startswith(b"<") else None

    def _frame(self, head: int, length: int) -> bytes | None:
        kept = min(length, self._limit)
        if len(self._waiting) < head + kept:
            return None
        line = bytes(self._waiting[head : head + kept])
        del self._waiting[: head + kept]
        self._counted_rest = length - kept
        self.cut += self._counted_rest > 0
        return line

    def _line(self) -> bytes | None:
        end = self._waiting.find(b"\n")
        if self._is_skipping:
            self._is_skipping = end < 0
            del self._waiting[: len(self._waiting) if end < 0 else end + 1]
            return None if end < 0 else b""
        if 0 <= end <= self._limit:
            line = bytes(self._waiting[:end])
            del self._waiting[: end + 1]
            return line
        if len(self._waiting) <= self._limit:
            return None
        line = bytes(self._waiting[: self._limit])
        del self._waiting[: self._limit]
        self._is_skipping = True
        self.cut += 1
        return line


_UNDECIDED = (0, 0)


def _place(record: dict[str, Any], fields: dict[str, Any], name: str, value: Any) -> None:
    """Put a value where it belongs, or under `fields` when the place would not take it."""
    if name in _NUMBERS:
        number = _whole(value)
        if number is None:
            fields[name] = value
        else:
            record[name] = number
    elif name == "level":
        if level := _LEVELS.get(str(value).upper()):
            record[name] = level
        else:
            fields[name] = value
    elif name == "kind" and value not in _KINDS:
        fields[name] = value
    elif name in _TEXTS or name in {"time", "process", "message"}:
        record[name] = value
    else:
        fields[name] = value


def _whole(value: Any) -> int | None:
    text = str(value)
    if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) < 20):
        return None
    number = int(text)
    return number if abs(number) <= _LARGEST_NUMBER else None


def _syslog(text: str, received: datetime) -> dict[str, Any] | None:
    found = _PRIORITY.match(text)
    if found is None or int(found[1]) > _HIGHEST_PRIORITY:
        return None
    level = _SEVERITIES[int(found[1]) & 7]
    rest = text[found.end() :]
    return {"level": level, **(_rfc_5424(rest) or _rfc_3164(rest, received))}


def _rfc_5424(text: str) -> dict[str, Any] | None:
    header = _HEADER_5424.match(text)
    if header is None:
        return None
    time, host, name, process, message_id = (None if word == "-" else word for word in header.groups())
    said: dict[str, Any] = {"host": host, "name": name}
    fields: dict[str, Any] = {}
    if time and (moment := _moment(time)):
        said["time"] = moment.isoformat()
    elif time:
        fields["time_as_sent"] = time
    if process and (number := _whole(process)) is not None:
        said["process"] = number
    if message_id:
        fields["msgid"] = message_id
    extras, position = _structured_data(text, header.end(), fields)
    message = text[position:].removeprefix(" ").removeprefix("\ufeff")
    return {**{key: value for key, value in said.items() if value}, **extras, "message": message, "fields": fields}


def _structured_data(text: str, position: int, fields: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """The extras of our own element, and where the message begins; other elements go to `fields` as `id.name`."""
    if text.startswith("-", position) and text[position + 1 : position + 2] in {"", " "}:
        return {}, position + 1
    extras: dict[str, Any] = {}
    while element := _ELEMENT.match(text, position):
        end, found = element.end(), {}
        while parameter := _PARAMETER.match(text, end):
            found[parameter[1]] = re.sub(r'\\(["\\\]])', r"\1", parameter[2])
            end = parameter.end()
        if not text.startswith("]", end):
            break  # no structured data after all: it stays in the message
        position = end + 1
        if element[1] == ENTERPRISE:
            # what the header and the message say is said there, and a token is nothing to keep
            extras.update({key: value for key, value in found.items() if key not in _SAID_ELSEWHERE})
        elif element[1] != "timeQuality":  # what every sender adds about its clock
            fields.update({f"{element[1]}.{key}": value for key, value in found.items()})
    return extras, position


def _rfc_3164(text: str, received: datetime) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if stamp := _STAMP_3164.match(text):
        moment = _moment(stamp[7]) if stamp[7] else _nearest(stamp, received)
        if moment is not None:
            said["time"] = moment.isoformat()
            text = text[stamp.end() :]
    tag = _TAG.match(text)  # what comes by a local socket names no host
    if tag is None and "time" in said and (host := _HOST.match(text)):
        said["host"] = host[1]
        text = text[host.end() :]
        tag = _TAG.match(text)
    if tag is not None:
        said["name"] = tag[1]
        if tag[2]:
            said["process"] = int(tag[2])
        text = text[tag.end() :]
    return {**said, "message": text}


def _nearest(stamp: re.Match[str], received: datetime) -> datetime | None:
    """The time without a year, in the year that puts it nearest to its reception; None for no time.

    It has no zone either: UTC, unless it is just now in another one (most machines write their local time).
    """
    if stamp[1] not in _MONTHS:
        return None
    now = received.astimezone(UTC)
    month = _MONTHS.index(stamp[1]) + 1
    day, hour, minute, second = (int(stamp[number]) for number in (2, 4, 5, 6))
    possible = []
    for year in [int(stamp[3])] if stamp[3] else (now.year - 1, now.year, now.year + 1):
        try:
            second = 59 if second == 60 else second  # a leap second
            possible.append(datetime(year, month, day, hour, minute, second, tzinfo=UTC))
        except ValueError:  # 29 February, or no time at all
            continue
    if not possible:
        return None
    return _in_some_zone(min(possible, key=lambda moment: abs(moment - now)), now)


def _in_some_zone(moment: datetime, now: datetime) -> datetime:
    """A time that names no zone and was read as UTC: it is that, unless it is just now in another one."""
    offset = _QUARTER * round((moment - now) / _QUARTER)
    is_local = abs(offset) <= _FARTHEST_ZONE and abs(moment - offset - now) <= _JUST_NOW
    return moment - offset if is_local else moment


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _of_file(text: str, received: datetime) -> dict[str, Any] | None:
    """A time, then a level or `LEVEL key=value :`; a line that only begins with a time keeps it in its message."""
    stamp = _STAMP_OF_FILES.match(text)
    if stamp is None or _LEVEL_WORD.match(text, stamp.end()) is None:
        return None
    moment = _moment(f"{stamp[1]}{(stamp[2] or '').replace(',', '.')}{stamp[3] or ''}")
    if moment is None:
        return None
    moment = moment if stamp[3] else _in_some_zone(moment, received.astimezone(UTC))
    rest = text[stamp.end() :]
    said = _key_values(rest) or _plain(rest)
    said.setdefault("fields", {}).pop("time", None)
    return {**said, "time": moment.isoformat()}


def _key_values(text: str) -> dict[str, Any] | None:
    word = _LEVEL_WORD.match(text)
    if word is None:
        return None
    position = start = len(text[: word.end()].rstrip())
    pairs: dict[str, Any] = {}
    while pair := _PAIR.match(text, position):
        value = pair[2]
        pairs[pair[1]] = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
        position = pair.end()
    end = re.compile(r"\s+:(?:\s|$)").match(text, position)
    if position == start or end is None:
        return None
    reserved = {name: pairs.pop(name) for name in ("time", "message", "process", "level") if name in pairs}
    return {**pairs, "level": _level(word), "message": text[end.end() :], "fields": reserved}


def _plain(text: str) -> dict[str, Any]:
    word = _LEVEL_WORD.match(text)
    if word is None:
        return {"message": text}
    return {"level": _level(word), "message": text[word.end() :] or text}


def _level(word: re.Match[str]) -> str:
    return _LEVELS[(word["big"] or word["colon"] or word["square"]).upper()]
