"""How a part of a checkpoint fits a network, tensor by tensor."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from lmc.store.checkpoints.candidates import Part, is_averaged

if TYPE_CHECKING:
    from torch import Tensor

COUNTER = "num_batches_tracked"
_BESIDE = re.compile(r"(^|[._])(criterion|loss(_fn)?|losses|metrics?|accuracy|n_averaged)([._]|$)")
"""What training programs keep among a network's own tensors: the weights of a loss, counts, measures."""


@dataclass(frozen=True)
class Fit:
    """How one part of a file fits: what is missing, foreign or misshapen, and what stands in for it.

    ``beside``: prefixes of other parts that have all of the network.
    """

    part: Part
    expected: Mapping[str, Tensor]
    beside: tuple[str, ...] = ()

    @cached_property
    def ties(self) -> dict[str, str]:
        """Names that the part lacks, to another name of the same tensor of the network."""
        first: dict[tuple[int, ...], str] = {}
        for name, tensor in self.expected.items():
            if name in self.part.tensors and tensor.numel():
                first.setdefault(_place(tensor), name)
        lacking = {name: first.get(_place(self.expected[name])) for name in self._lacking}
        return {name: other for name, other in lacking.items() if other is not None}

    @cached_property
    def _lacking(self) -> list[str]:
        return [name for name in self.expected if name not in self.part.tensors]

    @cached_property
    def own(self) -> list[str]:
        """Counters and index tables that the part lacks and the network makes itself."""
        ties = self.ties
        return [
            name for name in self._lacking if name not in ties and _is_computed(name, self.expected[name])
        ]

    @cached_property
    def missing(self) -> list[str]:
        """Names that nothing stands in for."""
        taken = {*self.ties, *self.own}
        return [name for name in self._lacking if name not in taken]

    @cached_property
    def unknown(self) -> list[str]:
        """Names that the network has no place for, and that are no loss, count, average or other part."""
        own = len(self.part.prefix)
        beside = tuple(other[own:] for other in self.beside if other.startswith(self.part.prefix))
        return [
            name
            for name in self.part.unknown
            if not (_BESIDE.search(name) or name.endswith(COUNTER) or is_averaged(name.partition(".")[0]))
            and not name.startswith(tuple(filter(None, beside)))
        ]

    @cached_property
    def unlike(self) -> list[str]:
        """Why tensors cannot take their places: another shape or kind, or two values for one tied tensor."""
        found = self.part.tensors
        texts = [
            difference(name, found[name], self.expected[name]) for name in self.expected if name in found
        ]
        return [text for text in texts if text] or list(self._torn())

    def _torn(self) -> Iterator[str]:
        import torch

        first: dict[tuple[int, ...], str] = {}
        for name, tensor in self.expected.items():
            if name in self.part.tensors and tensor.numel():
                other = first.setdefault(_place(tensor), name)
                if other != name and not torch.equal(self.part.tensors[name], self.part.tensors[other]):
                    yield f"{other} and {name} are one tensor in the network, and two here"

    @property
    def has_all(self) -> bool:
        """Whether nothing of the network is missing."""
        return not (self.missing or self.unlike)

    @property
    def is_whole(self) -> bool:
        """Whether, besides, nothing in the part is foreign to the network."""
        return self.has_all and not self.unknown


def _place(tensor: Tensor) -> tuple[int, ...]:
    return (tensor.data_ptr(), *tensor.shape, *tensor.stride())


def _is_computed(name: str, tensor: Tensor) -> bool:
    """Whether a network makes the tensor itself: it counts, or holds positions or truth values."""
    import torch

    return name.endswith((COUNTER, "position_ids", "position_index")) or tensor.dtype == torch.bool


def difference(name: str, tensor: Tensor, expected: Tensor) -> str | None:
    """Why a tensor cannot take another's place; None where it can."""
    import torch

    if tensor.is_quantized or tensor.layout != torch.strided or tensor.device.type != "cpu":
        return f"{name} is not a plain tensor"
    if tensor.shape != expected.shape:
        return f"{name} is {tuple(tensor.shape)}, not {tuple(expected.shape)}"
    alike = tensor.is_floating_point() == expected.is_floating_point()
    if tensor.dtype != expected.dtype and (not alike or tensor.is_complex()):
        return f"{name} is {short(tensor)}, not {short(expected)}"
    return None


def short(tensor: Tensor) -> str:
    """A tensor's type, as users write it."""
    return str(tensor.dtype).removeprefix("torch.")
