"""Checkpoint files that lmc did not write: read without running code, and fitted to a network's tensors."""

from __future__ import annotations

import hashlib
import pickle
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmc.core.errors import LmcError, StoredFileError, raise_together
from lmc.store import files

if TYPE_CHECKING:
    from torch import Tensor

SAFETENSORS = ".safetensors"
SUFFIXES = (SAFETENSORS, ".pt", ".pth", ".bin", ".ckpt")
KEYS = ("state_dict", "model_state_dict", "model")
"""Where training programs keep the weights beside an optimiser's; in this order."""
PREFIXES = ("module.", "_orig_mod.", "model.")
"""What DataParallel, torch.compile and Lightning put before every name."""
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of one file, as they are there.

    Attributes:
        key: under which they lay; empty where the file is a state dict itself.
        sha256: of the file, in hex.
    """

    path: Path
    tensors: dict[str, Tensor]
    key: str
    sha256: str


@dataclass(frozen=True)
class Fitted:
    """A checkpoint as a network's state dict: its names, order and types, each tensor on its own.

    Attributes:
        notes: what was changed on the way, a sentence each.
    """

    state: dict[str, Tensor]
    notes: tuple[str, ...]

    @property
    def digest(self) -> str:
        """What names, shapes and values hash to, in hex, whatever file they came from."""
        found = hashlib.sha256()
        for name in sorted(self.state):
            tensor = self.state[name]
            found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            found.update(tensor.numpy().tobytes())
        return found.hexdigest()


def read(path: Path) -> Checkpoint:
    """The weights in a file of safetensors or torch; of the latter nothing but tensors is unpickled.

    Raises:
        StoredFileError: there is no such file, it is no checkpoint, or it needs code to be read.
    """
    listed = f"{SAFETENSORS}, or a torch file: {', '.join(SUFFIXES[1:])}"
    if not path.exists():
        raise StoredFileError(f"{path}: no such file", f"a checkpoint to import: {listed}")
    if not path.is_file():
        raise StoredFileError(f"{path}: is a folder", "name the files in it")
    if path.suffix.lower() not in SUFFIXES:
        raise StoredFileError(f"{path}: unrecognised checkpoint extension", listed)
    content = files.read_tensors(path) if path.suffix.lower() == SAFETENSORS else _unpickled(path)
    key, tensors = _weights(path, content)
    with path.open("rb") as file:
        return Checkpoint(path, tensors, key, hashlib.file_digest(file, "sha256").hexdigest())


def _unpickled(path: Path) -> Any:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch lets through whatever a damaged file happens to provoke
        needed = re.search(r"GLOBAL (\S+)", str(error)) if isinstance(error, pickle.UnpicklingError) else None
        if needed:
            raise StoredFileError("\n".join(_way_out(path, needed[1]))) from error
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise StoredFileError(f"{path}: truncated, or not a torch checkpoint ({reason})") from error


def _way_out(path: Path, needed: str) -> list[str]:
    return [
        f"{path}: a pickle that needs {needed}, which could run code "
        "(if you trust the file, convert it; these two lines of Python run that code)",
        f"import torch; found = torch.load({str(path)!r}, map_location='cpu', weights_only=False)",
        "import safetensors.torch; safetensors.torch.save_file((found['state_dict'] if isinstance(found, "
        f"dict) else found.state_dict()), {str(path.with_suffix(SAFETENSORS))!r})",
    ]


def _weights(path: Path, content: Any) -> tuple[str, dict[str, Tensor]]:
    """The mapping of names to tensors in a file's content, and under which key it lies."""
    if _is_state(content):
        return "", dict(content)
    inside = content if isinstance(content, Mapping) else {}
    found = {str(key): value for key, value in inside.items() if _is_state(value)}
    usual = [key for key in KEYS if key in found] or list(found)
    if len(usual) == 1 or (usual and usual[0] in KEYS):
        return usual[0], dict(found[usual[0]])
    if found:
        raise StoredFileError(
            f"{path}: holds {len(found)} sets of weights, {', '.join(found)}", "save the one that is meant"
        )
    given = f"a mapping of {_some(map(str, inside))}" if inside else f"a {type(content).__name__}"
    raise StoredFileError(
        f"{path}: holds no weights, but {given}",
        f"expected names to tensors, directly or under {', '.join(KEYS)}",
    )


def _is_state(content: Any) -> bool:
    from torch import Tensor

    return (
        isinstance(content, Mapping)
        and bool(content)
        and all(isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items())
    )


def fit(checkpoint: Checkpoint, expected: Mapping[str, Tensor], model: str) -> Fitted:
    """The checkpoint as the state dict of a network, with what had to be changed for it.

    Usual prefixes are taken off where the names fit then; floating-point tensors take the network's
    type; counters of batches that are all a file lacks stay as they are in the network.

    Args:
        expected: the network's own state dict.
        model: what the network is called in messages, as the user typed it.

    Raises:
        StoredFileError: missing, unknown and misshapen tensors, all named; NaN or infinite values.
    """
    from lmc.core.linear_algebra import is_finite_like

    prefix, tensors = _without_prefix(checkpoint.tensors, expected)
    missing = [name for name in expected if name not in tensors]
    unknown = [name for name in tensors if name not in expected]
    present = [name for name in expected if name in tensors]
    unlike = [text for name in present if (text := _difference(name, tensors[name], expected[name]))]
    counters = [name for name in missing if name.rpartition(".")[2] == _COUNTER]
    if counters == missing and not unknown and not unlike:
        missing = []
    faults: list[LmcError] = []
    if missing or unknown or unlike:
        fitting = len(present) - len(unlike)
        faults.append(_misfit(checkpoint.path, model, fitting, len(expected), missing, unknown, unlike))
    state = {
        name: tensors.get(name, tensor).detach().to(tensor.dtype, copy=True).contiguous()
        for name, tensor in expected.items()
        if name not in tensors or _difference(name, tensors[name], tensor) is None
    }
    bad = [
        name
        for name, tensor in state.items()
        if tensor.is_floating_point() and not is_finite_like(tensor, expected[name])
    ]
    if bad:
        message = f"{checkpoint.path}: NaN or infinite values in {', '.join(bad)}"
        faults.append(StoredFileError(message, "has the training diverged?"))
    raise_together(faults)
    return Fitted(state, tuple(_notes(checkpoint, prefix, tensors, expected, counters)))


def _without_prefix(
    tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> tuple[str, dict[str, Tensor]]:
    """The prefix without which most names are the network's, and the tensors without it."""
    best: tuple[int, str, dict[str, Tensor]] = (-1, "", {})
    for count in range(3):
        for chosen in product(PREFIXES, repeat=count):
            prefix = "".join(chosen)
            renamed = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
            fitting = sum(name in expected for name in renamed)
            if len(renamed) == len(tensors) and fitting > best[0]:
                best = (fitting, prefix, renamed)
    return best[1], best[2]


def _difference(name: str, tensor: Tensor, expected: Tensor) -> str | None:
    """Why a tensor cannot take another's place; None where it can."""
    import torch

    if tensor.is_quantized or tensor.layout != torch.strided or tensor.device.type != "cpu":
        return f"{name} is not a plain tensor"
    if tensor.shape != expected.shape:
        return f"{name} is {tuple(tensor.shape)}, not {tuple(expected.shape)}"
    alike = tensor.is_floating_point() == expected.is_floating_point()
    if tensor.dtype != expected.dtype and (not alike or tensor.is_complex()):
        return f"{name} is {_short(tensor)}, not {_short(expected)}"
    return None


def _misfit(
    path: Path,
    model: str,
    fitting: int,
    count: int,
    missing: list[str],
    unknown: list[str],
    unlike: list[str],
) -> StoredFileError:
    """All that does not fit; of a network where less than half does, the first of each kind."""
    foreign = 2 * fitting < count
    most = 3 if foreign else max(len(missing), len(unknown), len(unlike))
    parts = [f"lacks {_some(missing, most)}"] if missing else []
    parts += [f"has unknown {_some(unknown, most)}"] if unknown else []
    parts += [_some(unlike, most, "; ")] if unlike else []
    what = "another architecture" if foreign else "not the weights of this model"
    return StoredFileError(
        f"{path}: {what}, {fitting} of {count} tensors fit {model}: {'; '.join(parts)}",
        "give model.* and data as it was trained, or its own code: model.name=package.module:function",
    )


def _notes(
    checkpoint: Checkpoint,
    prefix: str,
    tensors: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    counters: list[str],
) -> Iterator[str]:
    if checkpoint.key:
        yield f"{checkpoint.path}: the weights under {checkpoint.key}"
    if prefix:
        yield f"{checkpoint.path}: {prefix} taken off the names"
    changed = {
        (_short(tensor), _short(expected[name]))
        for name, tensor in tensors.items()
        if tensor.dtype != expected[name].dtype
    }
    for before, after in sorted(changed):
        yield f"{checkpoint.path}: {before} converted to {after}"
    if counters:
        yield f"{checkpoint.path}: without {_some(counters)}, taken as 0"


def _short(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _some(texts: Iterable[str], most: int = 3, between: str = ", ") -> str:
    listed = list(texts)
    rest = f" and {len(listed) - most} more" if len(listed) > most else ""
    return between.join(listed[:most]) + rest
