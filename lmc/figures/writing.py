"""One style for every figure, and one way to write it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

from lmc.core.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@contextmanager
def style() -> Iterator[None]:
    """Draw in the project's style (colour-blind safe), without touching the caller's."""
    import matplotlib

    with as_file(files("lmc.figures") / "lmc.mplstyle") as path, matplotlib.rc_context(fname=path):
        yield


SUFFIXES = (".pdf", ".png", ".svg")
# Without the time of writing, so that the same table gives the same bytes.
_UNDATED = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}


def save(figure: Figure, path: Path) -> None:
    """Write a figure whole or not at all; raises OutputError."""
    with replacing(path) as temporary, style():
        figure.savefig(temporary, format=path.suffix.removeprefix("."), metadata=_UNDATED.get(path.suffix))
