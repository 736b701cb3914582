"""A command group that imports a command's module only when that command runs or shows its own help.

Knows how typer turns functions into commands; does not know which commands exist (main.py has the table).
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command


@dataclass(frozen=True)
class Entry:
    """One command of the table.

    The module offers `command`, a function typed for typer, or `app`, a typer.Typer, when the command has sub-commands.
    """

    name: str
    module: str
    help: str
    panel: str
    hidden: bool = False

    def stub(self) -> TyperCommand:
        """What a listing shows, without importing the module."""
        return TyperCommand(self.name, help=self.help, rich_help_panel=self.panel, hidden=self.hidden)

    def load(self) -> TyperCommand | TyperGroup:
        """Import the module and build the command."""
        module = importlib.import_module(self.module)
        app = getattr(module, "app", None)
        if app is None:
            app = typer.Typer(add_completion=False, rich_markup_mode=None)
            app.command(self.name, help=self.help if not module.command.__doc__ else None)(module.command)
        command = get_command(app)
        command.name = self.name
        assert isinstance(command, TyperCommand | TyperGroup)
        return command


class LazyGroup(TyperGroup):
    """The commands of `entries`, in that order."""

    entries: tuple[Entry, ...] = ()

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {entry.name: entry.stub() for entry in self.entries}

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command; while the group only lists its commands, a stub that carries name and help."""
        entry = next((entry for entry in self.entries if entry.name == cmd_name), None)
        if entry is None:
            return None
        return self.commands[cmd_name] if _LISTING in ctx.meta else entry.load()

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The help page of the group."""
        ctx.meta[_LISTING] = True
        super().format_help(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Completions of a command's name."""
        ctx.meta[_LISTING] = True
        try:
            return super().shell_complete(ctx, incomplete)
        finally:
            del ctx.meta[_LISTING]


_LISTING = "pandascope.cli.listing"
