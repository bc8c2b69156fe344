"""Torch files: only tensors and plain values are unpickled, whatever else a file holds.

``torch.load`` is always called with ``weights_only``. Objects of other classes (settings of the training
program, whole networks) become inert stand-ins that hold what the file says of them, so that no code but
torch's own runs; a file that calls what no object needs is refused.
"""

from __future__ import annotations

import re
import sys
import warnings
from _compat_pickle import IMPORT_MAPPING
from collections import OrderedDict
from pathlib import Path
from typing import Any

from lmc.core.errors import StoredFileError

_HARMLESS = (
    "argparse", "collections", "copyreg", "dataclasses", "datetime", "decimal", "enum", "fractions",
    "functools", "logging", "pathlib", "random", "re", "types", "typing", "uuid",
)  # fmt: skip
"""Modules of Python itself whose objects lie in checkpoints; what others call does more than describe."""
_PLAIN = (
    "bool",
    "dict",
    "float",
    "frozenset",
    "int",
    "list",
    "object",
    "range",
    "slice",
    "str",
    "tuple",
    "type",
)
_MOST = 200
_MAGIC = b"l\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
"""What torch's files from before the zip archives begin with, behind a few bytes of pickle."""
TORCHS = "torch.load({!r}, map_location='cpu', weights_only=False)"


class Inert:
    """Stands for an object whose class is not imported: its name, and the state that the file gives it."""

    called = ""

    def __new__(cls, *args: Any, **keywords: Any) -> Inert:
        """An empty one, whatever the file would have called its class with."""
        return super().__new__(cls)

    def __init__(self, *args: Any, **keywords: Any) -> None:
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        self.state = state if isinstance(state, dict) else {}


def unpickle(path: Path) -> tuple[Any, tuple[str, ...]]:
    """A torch file's content, and the names of the classes that stand-ins took the place of.

    Raises:
        StoredFileError: it is damaged, of another format, or calls what no object needs.
    """
    with path.open("rb") as file:
        begin = file.read(32)
    if begin[:1] == b"\x80" and _MAGIC not in begin:
        raise with_code(path, f"pickle.loads(pathlib.Path({str(path)!r}).read_bytes())")
    stands: dict[str, type] = {}
    for _ in range(_MOST):
        try:
            return _load(path, stands), tuple(sorted(stands))
        except Exception as error:  # torch lets through whatever a damaged file happens to provoke
            if not _stand_in(path, str(error), stands):
                raise _refusal(path, error) from error
    raise StoredFileError(
        f"{path}: needs more than {_MOST} classes to be read", "save its state_dict() alone"
    )


def _load(path: Path, stands: dict[str, type]) -> Any:
    import torch

    named = [(kind, name) for name, kind in stands.items()]
    with warnings.catch_warnings(), torch.serialization.safe_globals(named):  # type: ignore[arg-type]
        warnings.simplefilter("ignore")
        return torch.load(path, map_location="cpu", weights_only=True)


def _stand_in(path: Path, message: str, stands: dict[str, type]) -> bool:
    """Let a stand-in take the place of what loading stopped at; False where that is not the reason."""
    if needed := re.search(r"Unsupported global: GLOBAL (\S+) was not", message):
        name = needed[1] if "." in needed[1] else f"builtins.{needed[1]}"
        if name in stands or not _describes(name):
            return False
        for each in {name, *_needed(path)}:
            if _describes(each):
                stands.setdefault(each, type(each.replace(".", "_"), (Inert,), {"called": each}))
        return True
    if filled := re.search(r"SETITEMS? for dict.*but got <class '\S*?(\w+)'>", message):
        for name, kind in stands.items():
            if kind.__name__ == filled[1]:
                stands[name] = OrderedDict
                return True
    return False


def _needed(path: Path) -> list[str]:
    """The classes that a file names, where they can be told without loading it."""
    import torch

    try:
        return torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # an older format, or a damaged file: loading says which
        return []


def _describes(name: str) -> bool:
    """Whether an object of this class says something and does nothing."""
    module, _, last = name.rpartition(".")
    first = IMPORT_MAPPING.get(module, module).partition(".")[0]  # files may use the names of Python 2
    if first == "builtins":
        return last in _PLAIN
    if first == "torch":
        return not module.startswith(("torch.storage", "torch.serialization", "torch.hub", "torch.jit"))
    return first not in sys.stdlib_module_names or first in _HARMLESS


def _refusal(path: Path, error: Exception) -> StoredFileError:
    """What the file is, where it is none of torch's, and what makes it one."""
    text = str(error)
    if needed := re.search(r"GLOBAL (\S+) (?:was not|whose module)", text):
        return StoredFileError(
            f"{path}: a pickle that calls {needed[1]} when it is read, so it is not read",
            "weights need no code: ask for them as safetensors",
        )
    if "TorchScript" in text:
        saved = path.with_suffix(".weights.pt").name
        return StoredFileError(
            f"{path}: a TorchScript program; one line of Python takes the weights out of it\nimport torch; "
            f"torch.save(torch.jit.load({str(path)!r}, map_location='cpu').state_dict(), {saved!r})"
        )
    if "persistent_load of storage" in text:
        return with_code(path, TORCHS.format(str(path)))
    told = re.search(r"WeightsUnpickler error:\s*(\S.*)", text)
    reason = told[1] if told else (text.strip().splitlines() or [type(error).__name__])[0]
    return StoredFileError(f"{path}: truncated, or not a torch checkpoint ({reason})")


def with_code(path: Path, load: str) -> StoredFileError:
    """A file that only code can read, and the lines of Python that convert it."""
    saved = f"{path.name.partition('.')[0]}.weights.pt"
    return StoredFileError(
        f"{path}: a pickle of Python objects, which could run code (if you trust the file, convert it; these "
        "lines of Python run that code)\n"
        f"import pathlib, pickle, torch; found = {load}\n"
        "plain = lambda x: x.state_dict() if hasattr(x, 'state_dict') else {str(k): plain(v) for k, v in "
        "x.items()} if hasattr(x, 'items') else torch.as_tensor(x) if hasattr(x, '__array__') else None\n"
        f"torch.save(plain(found), {saved!r})"
    )
