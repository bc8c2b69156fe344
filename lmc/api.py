"""The Python API: one function per command, with the settings of the command line.

    from lmc import api
    api.train(variant="w", seeds=4, training={"epochs": 5})
    api.path("digits-mlp-w", match="activation", pairs="all")
    network = api.load("digits-mlp-w/0")

Keyword arguments are the command's keys; a dotted key goes through a mapping
(``**{"variant.scale": 0.5}`` or ``variant={"name": "w", "scale": 0.5}``). Each function returns the
table that the command prints as data; ``table(kind, *references)`` gives every other stored one.
Errors derive from ``lmc.core.errors.LmcError``.
"""

from __future__ import annotations

from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Protocol

from lmc.jobs import run
from lmc.jobs.protocol.commands import COMMANDS, Command

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

_SHADOWED = {"import": "import_", "list": "list_"}
"""Names that Python uses otherwise."""

_NAMED = {entry.name: _SHADOWED.get(entry.name, entry.name) for entry in COMMANDS.values()}
__all__ = [*_NAMED.values(), "load"]


class Function(Protocol):
    """A command as a function: words as on the command line, settings as keywords; its main table."""

    def __call__(self, *words: str | PathLike[str], **settings: Any) -> pd.DataFrame:
        """Raises LmcError: whatever the user can mend."""


def _function(entry: Command, name: str) -> Function:
    def call(*words: str | PathLike[str], **settings: Any) -> pd.DataFrame:
        if words and entry.words == "settings":
            raise TypeError(f"{name}() takes settings as keywords only")
        given = {**settings, "references": [fspath(word) for word in words]} if words else settings
        outcome = run(entry.name, given)
        return outcome.tables[outcome.main]

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"{entry.doc}\n\n    {entry.help}"
    return call


globals().update({name: _function(COMMANDS[command], name) for command, name in _NAMED.items()})

if TYPE_CHECKING:

    def __getattr__(name: str) -> Function: ...


def load(reference: str, *, outputs: str | None = None, trust: bool = False) -> nn.Module:
    """The trained network of one run, in evaluation mode.

    ``trust`` allows a stored run to import a user's own builder by its name.
    """
    from lmc.jobs.opening.runs import open_network

    return open_network(reference, outputs=outputs, trust=trust)
