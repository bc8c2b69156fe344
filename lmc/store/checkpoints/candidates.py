"""Which tensors of a file are a network's: the parts of it whose names and shapes fit.

A part is what begins alike: under keys (``state_dict``), behind the names that wrappers put before every name
(``module.``), or both. Nothing about these words has to be known; they only decide which of several parts
that fit is meant, and whether that must be asked.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lmc.core.errors import SettingError, StoredFileError
from lmc.store.checkpoints.reading import Checkpoint

if TYPE_CHECKING:
    from torch import Tensor

_PLAIN = {
    "state_dict", "model_state_dict", "model_state", "model", "module", "net", "network", "_orig_mod",
    "params", "weights", "checkpoint", "online_model", "_fsdp_wrapped_module", "_checkpoint_wrapped_module",
}  # fmt: skip
"""What the network itself lies under in most programs."""
_AVERAGED = {"ema", "swa", "average", "averaged", "avg", "shadow", "polyak"}
"""Words for weights that were averaged over training."""
COUNT = "n_averaged"
"""How many states torch's AveragedModel is the mean of."""
_WRAPPERS = re.compile(r"(?<=\.)(module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
_PASSING = re.compile(r"(^|[._])(opt|optim\w*|lr_schedul\w*|scheduler\w*|scaler|rng\w*|random\w*)([._]|$)")
"""What belongs to training and is no network."""


@dataclass(frozen=True, eq=False)
class Part:
    """Tensors of a file that begin alike, by the network's names.

    Attributes:
        prefix: what their names in the file have before them, with its last dot.
        added: what the network's names have before them and the file's lack.
        tensors: those that the network has, by its names.
        unknown: names within the part that the network lacks.
        unwrapped: whether names of wrappers were taken out of the middle.
    """

    prefix: str
    added: str
    tensors: Mapping[str, Tensor]
    unknown: Sequence[str]
    fitting: int
    unwrapped: bool = False

    @property
    def label(self) -> str:
        """What ``weights=`` calls it."""
        return self.prefix.rstrip(".") or "root"

    @property
    def words(self) -> list[str]:
        """The parts of its prefix."""
        return [word for word in self.prefix.split(".") if word]

    @property
    def is_plain(self) -> bool:
        """Whether it lies where most programs keep the network itself."""
        return all(word in _PLAIN for word in self.words)

    @property
    def is_averaged(self) -> bool:
        """Whether its prefix speaks of an average over training."""
        return is_averaged(self.prefix)


def is_averaged(name: str) -> bool:
    """Whether a part of a name, but for the last of a tensor, speaks of an average over training."""
    return not name.endswith(COUNT) and not _AVERAGED.isdisjoint(_words(name))


def _words(name: str) -> list[str]:
    """The words that a name is made of, whatever joins them."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def parts(checkpoint: Checkpoint, expected: Mapping[str, Tensor]) -> list[Part]:
    """The parts of a file some of whose names are the network's, best first."""
    names = {name: name for name in checkpoint.tensors}
    found = list(_parts(checkpoint, names, expected, False))
    plain = {_WRAPPERS.sub("", name): name for name in names}
    if len(plain) == len(names) and plain.keys() != names.keys():
        found += _parts(checkpoint, plain, expected, True)
    return sorted(
        found, key=lambda part: (-part.fitting, part.unwrapped, bool(part.added), not part.is_plain)
    )


def _parts(
    checkpoint: Checkpoint, names: Mapping[str, str], expected: Mapping[str, Tensor], unwrapped: bool
) -> Iterator[Part]:
    """Parts by every beginning that the network's names, or these without a beginning of theirs, leave.

    Args:
        names: of the network's kind, to those in the file.
    """
    for added in _common(list(expected)):
        wanted = {name.removeprefix(added): name for name in expected}
        counts: Counter[str] = Counter()
        for name in names:
            for place in [0, *(dot.end() for dot in re.finditer(r"\.", name))]:
                counts[name[:place]] += name[place:] in wanted
        for prefix in +counts:
            here = {name: names[prefix + short] for short, name in wanted.items() if prefix + short in names}
            tensors = {name: checkpoint.tensors[own] for name, own in here.items()}
            fitting = sum(tensor.shape == expected[name].shape for name, tensor in tensors.items())
            unknown = _unknown(checkpoint, {**names}, prefix, set(here.values()))
            yield Part(prefix, added, tensors, unknown, fitting, unwrapped)


def _common(names: Sequence[str]) -> list[str]:
    """Beginnings of all of the names, up to a dot; the empty one first."""
    first = min(names, key=len, default="")
    ends = [0, *(dot.end() for dot in re.finditer(r"\.", first))]
    return [first[:end] for end in ends if all(name.startswith(first[:end]) for name in names)]


def _unknown(checkpoint: Checkpoint, names: Mapping[str, str], prefix: str, used: set[str]) -> list[str]:
    """Names in a part that the network lacks; what lies under further keys is no part of it."""
    above = {checkpoint.keys[own] for own in used}
    return [
        name.removeprefix(prefix)
        for name, own in names.items()
        if name.startswith(prefix) and own not in used and checkpoint.keys[own] in above
    ]


def choose(checkpoint: Checkpoint, fitting: Sequence[Part], wanted: str | None) -> Part:
    """The part that is meant, of those that fit the network whole.

    Args:
        wanted: the person's word for it (``weights=``).

    Raises:
        SettingError: the word is that of no part, or of several.
        StoredFileError: nothing says which is meant.
    """
    listed = apart(fitting)
    if wanted is not None:
        listed = _called(checkpoint, listed, wanted)
    usual = [part for part in listed if part.is_plain] if len(listed) > 1 else listed
    if wanted is None and len(usual) != 1:
        usual = [part for part in usual or listed if not part.is_averaged]
    if len(usual) == 1 and (wanted is None or len(listed) == 1):
        return usual[0]
    labels = [part.label for part in listed]
    raise StoredFileError(
        f"{checkpoint.path}: holds {len(labels)} sets of weights that fit the network, {', '.join(labels)}",
        f"weights={labels[0]} takes the first",
    )


def apart(fitting: Sequence[Part]) -> list[Part]:
    """The parts but for copies of an earlier one."""
    found: list[Part] = []
    for part in fitting:
        if not any(_same(part, other) for other in found):
            found.append(part)
    return found


def _same(one: Part, other: Part) -> bool:
    import torch

    pairs = [(tensor, other.tensors.get(name)) for name, tensor in one.tensors.items()]
    return len(one.tensors) == len(other.tensors) and all(
        b is not None and a.dtype == b.dtype and torch.equal(a, b) for a, b in pairs
    )


def _called(checkpoint: Checkpoint, fitting: Sequence[Part], wanted: str) -> list[Part]:
    """The parts that a word stands for: the whole label, one of its words, or a word within one."""
    said = wanted.rstrip(".")
    for suits in (
        lambda part: part.label == said,
        lambda part: said in part.words,
        lambda part: said.lower() in _words(part.prefix),
    ):
        if found := [part for part in fitting if suits(part)]:
            return found
    labels = ", ".join(part.label for part in fitting)
    raise SettingError(
        f"weights={wanted}: {checkpoint.path} has none of that name that fit", f"it holds {labels}"
    )


def others(checkpoint: Checkpoint, told: Sequence[Part]) -> tuple[list[str], list[str]]:
    """What a file holds beside the parts told of: averages over training, and other tensors.

    What belongs to an optimiser and the like, and counts that lie beside a part, are no weights.
    """
    used = {id(tensor) for part in told for tensor in part.tensors.values()}
    groups: dict[str, list[str]] = {}
    for name, tensor in checkpoint.tensors.items():
        if id(tensor) not in used and not _PASSING.search(name) and not name.endswith(COUNT):
            groups.setdefault(_group(name, checkpoint.keys[name], told[0].prefix), []).append(name)
    found = {
        key: names[0] if len(names) == 1 else f"{key} ({len(names)} tensors)" for key, names in groups.items()
    }
    for name, count in checkpoint.unnamed.items():
        if not _PASSING.search(name):
            found[name] = f"{name} ({count} tensors)"
    averaged = [text for name, text in found.items() if is_averaged(name)]
    return averaged, [text for name, text in found.items() if not is_averaged(name)]


def _group(name: str, keys: str, taken: str) -> str:
    """What a tensor that is left is counted under: its keys; a word more where a part is taken from there."""
    rest = name.removeprefix(keys)
    return (
        (keys + rest.partition(".")[0] if "." in rest else name)
        if taken.startswith(keys)
        else keys.rstrip(".")
    )
