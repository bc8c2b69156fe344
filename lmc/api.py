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
from typing import TYPE_CHECKING, Any

from lmc.jobs import run

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn


def _table(command: str, references: tuple[str, ...], settings: dict[str, Any]) -> pd.DataFrame:
    given = {**settings, "references": list(references)} if references else settings
    outcome = run(command, given)
    return outcome.tables[outcome.main]


def train(**settings: Any) -> pd.DataFrame:
    """Train runs; one row a run (table ``run``)."""
    return _table("train", (), settings)


def import_(*files: str | PathLike[str], **settings: Any) -> pd.DataFrame:
    """Make runs out of checkpoint files; one row a run (table ``run``)."""
    return _table("import", tuple(fspath(file) for file in files), settings)


def match(*references: str, **settings: Any) -> pd.DataFrame:
    """Match the neurons of pairs of runs; one row a layer and pair (table ``match``)."""
    return _table("match", references, settings)


def merge(*references: str, **settings: Any) -> pd.DataFrame:
    """Merge runs into one network, itself a run; its losses per split (table ``history``)."""
    return _table("merge", references, settings)


def path(*references: str, **settings: Any) -> pd.DataFrame:
    """Barriers between runs (``barrier``; ``path`` holds the curve), or ``representation``, or ``gap``."""
    return _table("path", references, settings)


def check(*references: str, **settings: Any) -> pd.DataFrame:
    """Whether runs can be averaged, and after what; one row a quantity (table ``check``)."""
    return _table("check", references, settings)


def cost(*references: str, **settings: Any) -> pd.DataFrame:
    """Norm costs of every layer (table ``layer``; ``cost`` and ``swap`` hold the pairs)."""
    return _table("cost", references, settings)


def coherence(*references: str, **settings: Any) -> pd.DataFrame:
    """Coherence and anisotropy of every layer (table ``layer``; also ``anisotropy`` and ``bound``)."""
    return _table("coherence", references, settings)


def dynamics(*references: str, **settings: Any) -> pd.DataFrame:
    """Runs over their stored epochs (table ``dynamics``; also ``match``, ``path`` and ``barrier``)."""
    return _table("dynamics", references, settings)


def symmetry(*references: str, **settings: Any) -> pd.DataFrame:
    """Which axes of which tensors permute together (table ``symmetry``)."""
    return _table("symmetry", references, settings)


def predict(**settings: Any) -> pd.DataFrame:
    """What identifiability to expect of a training (table ``prediction``)."""
    return _table("predict", (), settings)


def reproduce(experiment: str, **settings: Any) -> pd.DataFrame:
    """Run a named experiment; one row a claim (table ``claim``)."""
    return _table("reproduce", (experiment,), settings)


def list_(*references: str, **settings: Any) -> pd.DataFrame:
    """The stored runs (table ``run``)."""
    return _table("list", references, settings)


def show(*references: str, **settings: Any) -> pd.DataFrame:
    """A stored run's or experiment's settings, one row a key (table ``setting``)."""
    return _table("show", references, settings)


def table(kind: str, *references: str, **settings: Any) -> pd.DataFrame:
    """One kind of table, collected from every stored job that speaks of the references."""
    return _table("table", (kind, *references), settings)


def plot(kind: str, *references: str, **settings: Any) -> pd.DataFrame:
    """Draw stored tables of several experiments into ``out``; what it shows (table ``figure``)."""
    return _table("plot", (kind, *references), settings)


def report(*references: str, **settings: Any) -> pd.DataFrame:
    """Write one HTML page, ``out``, about the references' runs; these runs (table ``run``)."""
    return _table("report", references, settings)


def remove(*references: str, **settings: Any) -> pd.DataFrame:
    """Delete runs (table ``run``: what was deleted)."""
    return _table("remove", references, settings)


def load(reference: str, *, outputs: str | None = None, trust: bool = False) -> nn.Module:
    """The trained network of one run, in evaluation mode.

    ``trust`` allows a stored run to import a user's own builder by its name.
    """
    from lmc.jobs.opening.runs import open_network

    return open_network(reference, outputs=outputs, trust=trust)
