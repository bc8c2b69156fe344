"""One style for every figure, and one way to a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

from lmc.core.errors import OutputError

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
    temporary = path.with_name(f".{path.name}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with style():
            figure.savefig(temporary, metadata=_UNDATED.get(path.suffix))
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
