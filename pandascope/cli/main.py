"""The `panda` command: the table of commands, and how a refusal is shown and which exit code it gives.

Imports none of the commands: `panda --help` has to answer at once (lazy.py).
Exit codes: 0 done, 1 refused, 2 wrong usage, 3 server unreachable, 130 interrupted.
"""

from __future__ import annotations

import os
import sys

import typer

from pandascope.cli.lazy import Entry, LazyGroup

SYSTEM, WORK, WATCH, PARTS = "The system", "Work", "Watch", "Parts, as the system starts them"

COMMANDS = (
    Entry(
        "up", "pandascope.cli.up", "Start everything: database, API with the monitor, agents, a local queue.", SYSTEM
    ),
    Entry("down", "pandascope.cli.down", "Stop everything.", SYSTEM),
    Entry("status", "pandascope.cli.status", "Show what runs, since when and where.", SYSTEM),
    Entry("token", "pandascope.cli.token", "Make access tokens.", SYSTEM),
    Entry("config", "pandascope.cli.config", "Show every setting, its value and where the value comes from.", SYSTEM),
    Entry("demo", "pandascope.cli.demo", "Process real files from start to end and check the result.", SYSTEM),
    Entry("simulate", "pandascope.cli.simulate", "Try a change on a described grid in virtual time.", SYSTEM),
    Entry("run", "pandascope.cli.run", "Run a shell command over files as jobs, and collect the outputs.", WORK),
    Entry("jobs", "pandascope.cli.jobs", "List jobs.", WORK),
    Entry("job", "pandascope.cli.job", "Show one job: history, files, errors.", WORK),
    Entry("why", "pandascope.cli.why", "Say why a job or a task does not run, and what would help.", WORK),
    Entry("logs", "pandascope.cli.logs", "Show the log of a job, at the failing line.", WORK),
    Entry("kill", "pandascope.cli.kill", "Kill jobs.", WORK),
    Entry("tasks", "pandascope.cli.tasks", "List tasks.", WORK),
    Entry("task", "pandascope.cli.task", "Show one task: progress, scouts, retries, history.", WORK),
    Entry("tui", "pandascope.cli.tui", "Open the console.", WATCH),
    Entry("incidents", "pandascope.cli.incidents", "List incidents, worst first; show one; decide about some.", WATCH),
    Entry("act", "pandascope.cli.act", "Act on incidents, jobs, tasks or queues, with a preview first.", WATCH),
    Entry("undo", "pandascope.cli.undo", "Take back what was done.", WATCH),
    Entry("deeds", "pandascope.cli.deeds", "List what people did, and what became of it.", WATCH),
    Entry("silences", "pandascope.cli.silences", "List and end silences; silence by filters.", WATCH),
    Entry("alarms", "pandascope.cli.alarms", "See, try and edit the rules that open incidents.", WATCH),
    Entry("notices", "pandascope.cli.notices", "See and edit where changes of incidents are told.", WATCH),
    Entry("shift", "pandascope.cli.shift", "The shift log: notes, and the handover that both sign.", WATCH),
    Entry("records", "pandascope.cli.records", "List what programs logged, counts of it, and who sends.", WATCH),
    Entry("audit", "pandascope.cli.audit", "List who did what, with before and after.", WATCH),
    Entry("rules", "pandascope.cli.rules", "See, try and edit the rules for jobs that fail.", WATCH),
    Entry("queues", "pandascope.cli.queues", "List queues and what they do; set their status.", WATCH),
    Entry("staging", "pandascope.cli.staging", "List datasets that are brought from tape, and how far.", WATCH),
    Entry("shares", "pandascope.cli.shares", "The tree of global shares: show it, edit it, tag work anew.", WATCH),
    Entry("accounts", "pandascope.cli.accounts", "Users and groups: what they run, may and used; decide it.", WATCH),
    Entry("timeouts", "pandascope.cli.timeouts", "List timeouts, what they ended and whom they will.", WATCH),
    Entry("pilot", "pandascope.cli.pilot", "Run one pilot on this node.", PARTS),
    Entry("site", "pandascope.cli.site", "Run a local queue that starts pilots on demand.", PARTS),
    Entry("logd", "pandascope.cli.logd", "Take lines of text (syslog, key=value) as log records.", PARTS),
    Entry("serve", "pandascope.cli.serve", "Answer HTTP as one worker of the API.", PARTS, hidden=True),
    Entry("agents", "pandascope.cli.agents", "Run the agents of the server.", PARTS, hidden=True),
    Entry(
        "supervise", "pandascope.cli.supervise", "Keep everything running (what `panda up` starts).", PARTS, hidden=True
    ),
)

REFUSED, UNREACHABLE, INTERRUPTED = 1, 3, 130

# Set for the children of the supervisor (pandascope/supervisor/lifeline.py).
LIFELINE = "PANDA_LIFELINE_FD"

# Codes of errors that mean: the server, or what it stands on, does not answer.
_UNREACHABLE_CODES = frozenset({"unreachable", "unavailable"})

# Typer keeps the base of its usage errors in a private module; this is the same class by its public child.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]
# A group without a command: the message is the help, which is no complaint.
_NO_ARGUMENTS = "NoArgsIsHelpError"


class PandaGroup(LazyGroup):
    """The commands of the table above."""

    entries = COMMANDS


app = typer.Typer(cls=PandaGroup, rich_markup_mode="rich", pretty_exceptions_enable=False)


def _show_version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"pandascope {version('pandascope')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _panda(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Show the version."),
) -> None:
    """pandascope: a PanDA workload manager that watches itself.

    Start with `panda up`, look with `panda tui`, stop with `panda down`; `panda COMMAND --help` explains each.
    """
    if context.invoked_subcommand is None:
        context.get_help()  # with rich installed, as it is, this prints


def fail(detail: str, remedy: str = "") -> None:
    """Write one red line, and the remedy below it, to stderr; what others wrote in it has no power over the terminal."""
    from pandascope.cli.rendering import harmless

    typer.secho(f"error: {harmless(detail)}", fg="red", err=True)
    if remedy:
        typer.echo(f"       {harmless(remedy)}", err=True)


def exit_code_of(error: Exception) -> int:
    """Exit code of a refusal: any error with the attributes `code`, `detail`, `field` and `remedy` (or `exit_code`).

    The server's part and the client's part have one hierarchy each (neither imports the other) of that same shape.
    """
    own = getattr(error, "exit_code", None)
    if isinstance(own, int):
        return own
    return UNREACHABLE if getattr(error, "code", "") in _UNREACHABLE_CODES else REFUSED


def _command_in(arguments: list[str] | None) -> str:
    """The command that was typed, as far as it is one; an option without its value does not say where it stood."""
    first = (sys.argv[1:] if arguments is None else arguments)[:1]
    return " ".join(["panda", *(entry.name for entry in COMMANDS if [entry.name] == first)])


def run(arguments: list[str] | None = None) -> None:
    """The entry point: run a command, show what went wrong as people read it, and exit."""
    sys.exit(_run(arguments))


def _run(arguments: list[str] | None) -> int:
    if LIFELINE in os.environ:
        from pandascope.supervisor.lifeline import hold

        hold()
    command = typer.main.get_command(app)
    try:
        result = command.main(args=arguments, prog_name="panda", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except _UsageError as error:
        context = getattr(error, "ctx", None)
        said = error.format_message() if hasattr(error, "format_message") else str(error)
        if type(error).__name__ == _NO_ARGUMENTS:
            typer.echo(said, err=True)
            return 2
        fail(
            said,
            f"see: {context.command_path if context else _command_in(arguments)} --help",
        )
        return 2
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) went away: not an error. Keep the interpreter from complaining while it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if not hasattr(error, "detail") or not hasattr(error, "remedy"):
            raise
        field, detail = str(getattr(error, "field", "")), str(error.detail)
        fail(f"{field}: {detail}" if field and not detail.startswith(f"{field}:") else detail, str(error.remedy))
        return exit_code_of(error)


if __name__ == "__main__":
    run()
