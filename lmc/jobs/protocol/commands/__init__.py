"""Every command, declared once, in the order of a day's work.

A command is one entry in one of the families: its settings and, right below them, its ``Command``.
"""

from __future__ import annotations

from lmc.jobs.protocol.commands import measuring, reading, running
from lmc.jobs.protocol.commands.entry import Command

__all__ = ["COMMANDS", "Command"]

COMMANDS: dict[str, Command] = {
    entry.name: entry
    for family in (running, measuring, reading)
    for entry in vars(family).values()
    if isinstance(entry, Command)
}
