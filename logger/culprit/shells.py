"""What shells say, of commands and of how the programs they started ended."""

from __future__ import annotations

from logger.culprit import locales
from logger.culprit.pattern import row

COMMANDS = (
    row(
        "arguments",
        (
            *("error: unrecognized arg", "error: the following arg", "error: argument ", "error: no such option"),
            *(
                "error: missing ",
                "error: invalid value for",
                "invalid option",
                "unrecognized option",
                "requires an argument",
            ),
        ),
        r"^\S+: error: (?:unrecognized arguments|the following arguments are required|argument [^:]+: |no such option)"
        r"|^Error: (?:No such option|Missing (?:argument|option|parameter)|Invalid value for)"
        r"|^\S+: (?:(?:invalid|unrecognized|unknown) option\b|option requires an argument)",
        "payload",
        "user",
    ),
    row(
        "module_missing",
        ("module: command not found", "module: not found"),
        r": module: (?:command )?not found$",
        "setup",
        "software",
    ),
    row(
        "command_not_found",
        ("not found", "unknown command", *locales.hints(*locales.COMMAND_NOT_FOUND)),
        r": [Cc]ommand not found\.?$|^\S+: (?:line )?\d+: \S+: not found$|^\S+?:(?:\d+:)? command not found: "
        rf"|^fish: Unknown command: |: (?:{locales.any_of(*locales.COMMAND_NOT_FOUND)})\.?$",
        "payload",
        "user",
    ),
    row(
        "permission",
        ("permission denied", "operation not permitted", *locales.hints(*locales.PERMISSION_DENIED)),
        rf": (?:Permission denied|Operation not permitted|{locales.any_of(*locales.PERMISSION_DENIED)})$",
        "payload",
        "user",
    ),
    row(
        "shell",
        (
            *("not found", "no such file", "cannot execute", "syntax error", "unbound variable", "can't open file"),
            *("bad substitution", "argument list too long", "ambiguous redirect", "exec format error"),
            *("awk: ", "sed: -e"),
            *locales.hints(*locales.NO_SUCH_FILE),
        ),
        r"^(?!.*\b[Ww]arning: )(?:(?![A-Z]+:)\S+: .*\bnot found$|[gm]?awk: .*\b(?:fatal|error|division by zero)\b"
        r"|sed: -e expression #|.*(?:: can't open file '|: (?:bad substitution|Argument list too long|ambiguous redirect)$"
        r"|: No such file or directory$|: cannot execute\b|: [Ss]yntax error\b|: unbound variable$"
        r"|: [Ee]xec format error\b|^zsh: exec format error\b"
        rf"|: (?:{locales.any_of(*locales.NO_SUCH_FILE)})[\w ]*$))",
        "payload",
        "user",
    ),
)

ENDS = (
    row(
        "killed",
        ("killed", *locales.hints(*locales.KILLED)),
        rf"^(?:.*: line \d+: +\d+ )?Killed\b|{locales.OF_A_SCRIPT}(?:{locales.any_of(*locales.KILLED)})",
        "payload",
        "memory",
    ),
    row(
        "aborted",
        ("aborted", *locales.hints(*locales.ABORTED)),
        rf"^(?:.*: line \d+: +\d+ )?Aborted\b|{locales.OF_A_SCRIPT}(?:{locales.any_of(*locales.ABORTED)})",
        "payload",
        "user",
    ),
    row("terminated", ("terminated",), r"^(?:.*: line \d+: +\d+ )?Terminated\b"),
)
