"""Every command, declared once for the command line, in the order of a day's work."""

from __future__ import annotations

from lmc.jobs.protocol.commands.comparing import (
    CHECK,
    COHERENCE,
    COST,
    DYNAMICS,
    MATCH,
    PATH,
    PREDICT,
    SYMMETRY,
)
from lmc.jobs.protocol.commands.entry import Command
from lmc.jobs.protocol.commands.making import IMPORT, MERGE, REPRODUCE, TRAIN
from lmc.jobs.protocol.commands.reading import LIST, PLOT, REMOVE, REPORT, SHOW, TABLE

_ALL = (
    TRAIN,
    IMPORT,
    MATCH,
    MERGE,
    PATH,
    CHECK,
    COST,
    COHERENCE,
    DYNAMICS,
    PREDICT,
    SYMMETRY,
    REPRODUCE,
    LIST,
    SHOW,
    TABLE,
    PLOT,
    REPORT,
    REMOVE,
)
COMMANDS: dict[str, Command] = {command.name: command for command in _ALL}
