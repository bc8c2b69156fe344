"""Every command, declared once, in the order of a day's work."""

from __future__ import annotations

from lmc.jobs.protocol.commands.entry import Command
from lmc.jobs.protocol.commands.layerwise import COHERENCE, COST, PREDICT, SYMMETRY
from lmc.jobs.protocol.commands.making import IMPORT, MERGE, REPRODUCE, TRAIN
from lmc.jobs.protocol.commands.pairwise import CHECK, DYNAMICS, MATCH, PATH
from lmc.jobs.protocol.commands.reading import LIST, PLOT, REMOVE, REPORT, SHOW, TABLE

__all__ = ["COMMANDS", "Command"]

COMMANDS: dict[str, Command] = {
    "train": TRAIN,
    "import": IMPORT,
    "match": MATCH,
    "merge": MERGE,
    "path": PATH,
    "check": CHECK,
    "cost": COST,
    "coherence": COHERENCE,
    "dynamics": DYNAMICS,
    "predict": PREDICT,
    "symmetry": SYMMETRY,
    "reproduce": REPRODUCE,
    "list": LIST,
    "show": SHOW,
    "table": TABLE,
    "plot": PLOT,
    "report": REPORT,
    "remove": REMOVE,
}
