"""What shells say, of commands and of how the programs they started ended."""

from __future__ import annotations

from logger.culprit.pattern import row

COMMANDS = (
    row(
        "module_missing",
        ("module: command not found", "module: not found"),
        r": module: (?:command )?not found$",
        "setup",
        "software",
    ),
    row(
        "command_not_found",
        ("not found", "unknown command"),
        r": [Cc]ommand not found\.?$|^\S+: (?:line )?\d+: \S+: not found$|^\S+?:(?:\d+:)? command not found: "
        r"|^fish: Unknown command: ",
        "payload",
        "user",
    ),
    row(
        "permission",
        ("permission denied", "operation not permitted"),
        r": Permission denied$|: Operation not permitted$",
        "payload",
        "user",
    ),
    row(
        "shell",
        (
            *("not found", "no such file", "cannot execute", "syntax error", "unbound variable", "can't open file"),
            *("bad substitution", "argument list too long", "ambiguous redirect"),
        ),
        r"^(?![A-Z]+:)\S+: .*\bnot found$|: can't open file '|: (?:bad substitution|Argument list too long|ambiguous redirect)$"
        r"|: No such file or directory$|: cannot execute\b|: [Ss]yntax error\b|: unbound variable$",
        "payload",
        "user",
    ),
)

ENDS = (
    row("killed", ("killed",), r"^(?:.*: line \d+: +\d+ )?Killed\b", "payload", "memory"),
    row("aborted", ("aborted",), r"^(?:.*: line \d+: +\d+ )?Aborted\b", "payload", "user"),
    row("terminated", ("terminated",), r"^(?:.*: line \d+: +\d+ )?Terminated\b"),
)
