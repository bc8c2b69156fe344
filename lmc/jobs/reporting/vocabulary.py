"""Names that choose something (matchers, models, commands ...), as what can be explained."""

from __future__ import annotations

from importlib import import_module

from lmc.core.names import registered
from lmc.core.schema import TABLES
from lmc.jobs.protocol.commands import COMMANDS
from lmc.jobs.protocol.registries import REGISTRIES
from lmc.theory import Part, names, parts_of
from lmc.theory.glossary import glossary, key

_WORDS = {"data": "data set", "match": "matcher", "merge": "merger"}
ROOMS = {
    **{_WORDS.get(group, group): place for group, place in REGISTRIES.items()},
    "path": ("lmc.jobs.measuring.paths", "PATHS"),
}
"""What a name is, and the registry that has it."""


def head_meanings(kind: str) -> dict[str, str]:
    """What the heads of a printed table mean: its columns, and what the glossary says of them."""
    found = {}
    for column in TABLES[kind]:
        entry = glossary().get(key(column.name))
        more = f". {entry.definition} (lmc explain {column.name})" if entry else ""
        found[column.name.replace("_", " ")] = f"{column.meaning}{more}"
    return found


def terms() -> list[str]:
    """Every word that can be explained, without importing what it means."""
    return names([Part(name, kind, "") for kind, room in ROOMS.items() for name in registered(*room)])


def parts_for(term: str) -> list[Part]:
    """All parts; those of other rooms than the term's by their names only, so that torch stays unloaded.

    Args:
        term: what is asked for; empty describes every part.
    """
    found = [
        Part(entry.name, "command", f"{entry.help}\n\n{entry.text}\n\nlmc {entry.name} --help says more.")
        for entry in COMMANDS.values()
    ]
    for kind, (room, registry) in ROOMS.items():
        there = registered(room, registry)
        if term and key(term) not in map(key, there):
            found += [Part(name, kind, "") for name in there]
            continue
        module = import_module(room)
        found += parts_of(kind, getattr(module, registry), getattr(module, "GIVEN", ("settings", "splits")))
    return found
