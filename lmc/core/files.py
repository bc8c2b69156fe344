"""Writing one file: whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lmc.core.errors import OutputError


@contextmanager
def replacing(path: Path, hint: str = "") -> Iterator[Path]:
    """A temporary name beside ``path`` that takes its place when the block ends well.

    The name holds the process's number, so that two processes that write the same file do no harm.

    Args:
        hint: what the user can do when the file cannot be written.

    Raises:
        OutputError: the folder cannot be written or the disk is full; ``path`` is as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) or type(error).__name__ == "SafetensorError":
            reason = getattr(error, "strerror", None) or error
            raise OutputError(f"{path}: cannot be written: {reason}", hint) from error
        raise
