"""Every key of the console in one table: action, keys, the word in the hint line, the sentence in the help.

Screens name the actions they offer (`offered(...)`); nothing else binds a key, so one letter is one verb everywhere.
Action ids are stable: a keymap may give an action other keys.
"""

from __future__ import annotations

from dataclasses import dataclass

from textual.binding import Binding, BindingType

_KEY_NAMES = {
    "question_mark": "?",
    "colon": ":",
    "slash": "/",
    "exclamation_mark": "!",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "minus": "-",
    "escape": "esc",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "pageup": "pgup",
    "pagedown": "pgdn",
    "asterisk": "*",
}


@dataclass(frozen=True)
class Key:
    """One row: `action` is the id and the name of the method, `rank` the order in the hint line (0: help only)."""

    action: str
    keys: str
    word: str
    sentence: str
    rank: int = 0
    changes_state: bool = False

    @property
    def shown_key(self) -> str:
        """The first key as people write it."""
        first = self.keys.split(",")[0]
        return _KEY_NAMES.get(first, first)


KEYS: tuple[Key, ...] = (
    Key("drill", "enter", "open", "Open what the cursor is on.", 10),
    Key("log", "l", "log", "Open the log at the line that failed.", 20),
    Key("acknowledge", "a", "acknowledge", "Say that you have seen it, with a comment.", 22, changes_state=True),
    Key(
        "silence", "s", "silence", "Tell nobody of it until a time, or until something happens.", 23, changes_state=True
    ),
    Key("resolve", "X", "resolve", "Close the incident, with a comment.", 24, changes_state=True),
    Key("drain", "D", "drain", "Give the queue no more work; a drained one gets work again.", 25, changes_state=True),
    Key("reopen", "U", "reopen", "Open a resolved incident again, with a comment.", 26, changes_state=True),
    Key("end_silence", "x", "end silence", "End the silence before its time.", 27, changes_state=True),
    Key("errors", "e", "errors", "What failed: the failed jobs here, or the incident of a job.", 28),
    Key("jobs_of", "j", "jobs", "The jobs of the selection.", 30),
    Key(
        "why", "w", "why", "Why does it not run: the reason, who is responsible, what comes next, what would help.", 31
    ),
    Key("retry", "R", "retry", "Open again what failed, and make jobs of it.", 33, changes_state=True),
    Key("kill", "K", "kill", "End the jobs.", 35, changes_state=True),
    Key("undo", "z", "undo", "Take back the last deed, yours or the one under the cursor.", 37, changes_state=True),
    Key("assign", "m", "assign", "Ask somebody to look at it.", 39, changes_state=True),
    Key("comment", "C", "comment", "Write down what is known.", 39, changes_state=True),
    Key(
        "hold",
        "H",
        "hold",
        "Keep automation off it, or let it act again.",
        0,
        changes_state=True,
    ),
    Key("earlier", "h", "seen before", "The earlier occurrences of the same trouble.", 29),
    Key("mark", "space", "mark", "Mark the row or not: verbs are about what is marked.", 43),
    Key("mark_all", "asterisk", "mark all", "Mark all that is shown, or take all marks away.", 44),
    Key("merge_into", "M", "merge", "Merge what is marked into the incident under the cursor.", 21, changes_state=True),
    Key(
        "let_stay",
        "v",
        "let it stay",
        "What the deed did stays: it is not taken back at its time.",
        27,
        changes_state=True,
    ),
    Key("sign_out", "O", "sign out", "Sign the handover as one who goes: its text is frozen.", 25, changes_state=True),
    Key("edit", "E", "edit", "Write the handover in your own words.", 27, changes_state=True),
    Key("next_match", "n", "next", "Next match of the search; without a search, the next error line.", 32),
    Key("previous_match", "N", "previous", "Previous match, or previous error line.", 0),
    Key("follow", "f", "follow", "Stay at the end of the log while it grows.", 34),
    Key("next_name", "tab", "next log", "Show the next log of this job.", 36),
    Key("previous_name", "shift+tab", "", "Show the previous log of this job.", 0),
    Key("culprit", "c", "culprit", "Go to the line that failed.", 38),
    Key("merge", "u", "show new", "Bring in the rows that wait, in their proper order.", 15),
    Key("sort", "o", "order", "Newest first, or oldest first.", 41),
    Key("exclude", "exclamation_mark", "not this", "Leave out everything with this value.", 12),
    Key("drop_filter", "backspace", "drop filter", "Remove the last filter.", 42),
    Key("climb", "escape", "back", "Go back up to where you came from.", 50),
    Key("find", "slash", "filter", "Filter this list, or search this log.", 52),
    Key(
        "command",
        "colon",
        "command",
        "Go anywhere: :jobs site=X failed 6h, :job 17, an address.",
        54,
    ),
    Key("pause", "p", "pause", "Stop or go on with live changes.", 56),
    Key("help", "question_mark,f1", "help", "The keys of what is in focus.", 58),
    Key("now", "1", "now", "What needs me?", 60),
    Key("incidents", "2", "incidents", "What went wrong?", 61),
    Key("queues", "3", "queues", "Which queue is unwell?", 62),
    Key("jobs", "4", "jobs", "Which jobs?", 63),
    Key("tasks", "5", "tasks", "How far are the tasks?", 64),
    Key("users", "6", "users", "Who runs, who waits, who is at a limit?", 0),
    Key("shares", "7", "shares", "Does everybody get what is due?", 0),
    Key("rules", "8", "rules", "What is done when jobs fail, and does it help?", 0),
    Key("system", "9", "system", "Do the agents run, and what did timeouts end?", 0),
    Key("shift", "0", "shift", "Who has the watch, and what is handed over?", 0),
    Key("quit_console", "q", "quit", "Leave the console.", 70),
    Key("history_back", "left_square_bracket", "", "The view before this one.", 0),
    Key("history_forward", "right_square_bracket", "", "The view after this one.", 0),
    Key("toggle_last", "minus", "", "Switch between the last two views.", 0),
    Key("copy_link", "y", "", "Copy the web address of this view.", 0),
    Key("copy_id", "Y", "", "Copy the number of the selection.", 0),
    Key("refresh", "r,f5", "", "Ask the server again now.", 0),
    Key("focus_next_part", "tab", "next part", "Move to the next part of the screen.", 0),
)
BY_ACTION: dict[str, Key] = {key.action: key for key in KEYS}

OPENING: frozenset[str] = frozenset(
    key
    for action in (
        "acknowledge", "silence", "resolve", "reopen", "assign", "comment", "hold", "merge_into", "drain", "retry", "kill",
        "undo", "edit", "find", "command", "why", "help", "quit_console",
    )
    for key in BY_ACTION[action].keys.split(",")
)  # fmt: skip
"""Keys that open a line to type into or a dialogue. Where one opens nothing, what is typed in one go with it is dropped."""

EVERYWHERE: tuple[str, ...] = (
    "climb",
    "find",
    "command",
    "pause",
    "help",
    "now",
    "incidents",
    "queues",
    "jobs",
    "tasks",
    "users",
    "shares",
    "rules",
    "system",
    "shift",
    "quit_console",
    "history_back",
    "history_forward",
    "toggle_last",
    "copy_link",
    "copy_id",
    "refresh",
)
"""Actions of the application: they work on every screen."""


def offered(*actions: str) -> list[BindingType]:
    """Bindings for the named actions, in the order of the table."""
    wanted = set(actions)
    unknown = wanted - BY_ACTION.keys()
    if unknown:
        raise LookupError(f"no such action: {', '.join(sorted(unknown))}")
    return [
        Binding(key.keys, key.action, key.word, id=key.action, show=key.rank > 0, tooltip=key.sentence)
        for key in KEYS
        if key.action in wanted
    ]
