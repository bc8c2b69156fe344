"""A checkpoint's tensors as a network's state dict, with all that had to be changed for it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lmc.core.errors import LmcError, StoredFileError, raise_together
from lmc.store.checkpoints import telling
from lmc.store.checkpoints.candidates import Part, apart, choose, parts
from lmc.store.checkpoints.fitness import Fit, difference
from lmc.store.checkpoints.reading import Checkpoint

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Fitted:
    """A checkpoint as a network's state dict: its names, order and types, each tensor on its own.

    Attributes:
        notes: what was changed on the way, a sentence each.
        doubts: what else in the file could have been meant.
        label: what ``weights=`` calls the part that was taken.
    """

    state: dict[str, Tensor]
    notes: tuple[str, ...]
    doubts: tuple[str, ...] = ()
    label: str = ""

    @property
    def digest(self) -> str:
        """What names, shapes and values hash to, in hex, whatever file they came from."""
        import torch

        found = hashlib.sha256()
        for name in sorted(self.state):
            tensor = self.state[name]
            found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            if tensor.numel():
                found.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return found.hexdigest()


def fit(
    checkpoint: Checkpoint, expected: Mapping[str, Tensor], model: str, weights: str | None = None
) -> Fitted:
    """The checkpoint as the state dict of a network, with what had to be changed for it.

    Of a file's parts the one that fits is taken (``lmc.store.checkpoints.candidates``); floating-point
    tensors take the network's type; a tied tensor that is saved once takes all its places.

    Args:
        expected: the network's own state dict; names of one tensor share its memory.
        model: what the network is called in messages, as the user typed it.
        weights: which of several parts that fit is meant.

    Raises:
        StoredFileError: missing, unknown and misshapen tensors, all named; NaN or infinite values; several
            parts fit and nothing says which is meant.
        SettingError: no part is called ``weights``.
    """
    found = [Fit(part, expected) for part in parts(checkpoint, expected)]
    beside = tuple(each.part.prefix for each in found if each.has_all)
    found = [Fit(each.part, expected, beside) for each in found]
    whole = [each.part for each in found if each.is_whole]
    if not whole:
        nothing = Part(_usual(checkpoint), "", {}, list(checkpoint.tensors), 0)
        best = found[0] if found else Fit(nothing, expected)
        faults: list[LmcError] = [telling.misfit(checkpoint, model, best)]
        raise_together([*faults, *_not_finite(checkpoint, _state(best), expected)])
    fitted = Fit(choose(checkpoint, whole, weights), expected)
    state = _state(fitted)
    raise_together(_not_finite(checkpoint, state, expected))
    rest = [part for part in apart(whole) if part is not fitted.part]
    notes = tuple(telling.notes(checkpoint, fitted, rest))
    doubts = () if weights else tuple(telling.doubts(checkpoint, fitted.part, rest))
    return Fitted(state, notes, doubts, fitted.part.label)


def _usual(checkpoint: Checkpoint) -> str:
    keys = list(checkpoint.keys.values())
    return max(keys, key=keys.count)


def _state(fitted: Fit) -> dict[str, Tensor]:
    """The network's tensors with the part's values, where they fit."""
    found, state = fitted.part.tensors, {}
    for name, tensor in fitted.expected.items():
        given = found.get(fitted.ties.get(name, name), tensor)
        if difference(name, given, tensor) is None:
            state[name] = given.detach().to(tensor.dtype, copy=True).contiguous()
    return state


def _not_finite(
    checkpoint: Checkpoint, state: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> list[LmcError]:
    """Values that are not finite, but where the network itself has the same, as masks of -inf do."""
    from lmc.core.linear_algebra import is_finite_like

    bad = [
        name
        for name, tensor in state.items()
        if tensor.is_floating_point() and not is_finite_like(tensor, expected[name])
    ]
    if not bad:
        return []
    message = f"{checkpoint.path}: NaN or infinite values in {', '.join(bad)}"
    return [StoredFileError(message, "has the training diverged?")]
