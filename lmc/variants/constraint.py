"""What a variant fixes: w = D * theta + f, and the mixing matrices of sigma (THEORY 1)."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from lmc.core.errors import SettingError, StoredFileError
from lmc.models.activations import install_mixings

Scale = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""sigma_F, the standard deviation of a centre's entries."""

TYPES = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class Constraint:
    """Masks D (bool, the weight's shape), centres f, and mixings C; absent means trivial.

    ``meaning`` holds the variant's settings as the numbers depend on them (a fraction as the counts it
    stands for); it names the run. ``free`` are weights that multiply the inputs and cannot be constrained,
    with the reason; for people, and not stored.
    """

    masks: dict[str, Tensor] = field(default_factory=dict)
    centres: dict[str, Tensor] = field(default_factory=dict)
    mixings: dict[str, Tensor] = field(default_factory=dict)
    meaning: dict[str, Any] = field(default_factory=dict)
    free: Mapping[str, str] = field(default_factory=dict)

    def mask(self, layer: str) -> Tensor | None:
        """D of a layer's weight as (n, d), one row per neuron."""
        mask = self.masks.get(f"{layer}.weight")
        return None if mask is None else mask.flatten(1)

    def centre(self, layer: str) -> Tensor | None:
        """f of a layer's weight as (n, d)."""
        centre = self.centres.get(f"{layer}.weight")
        return None if centre is None else centre.flatten(1)

    def effective(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The state with theta replaced by w = D * theta + f."""
        made = dict(state)
        for name in {*self.masks, *self.centres}:
            theta = state[name]
            w = (
                theta
                if name not in self.masks
                else torch.where(self.masks[name], theta, torch.zeros_like(theta))
            )
            made[name] = w + self.centres[name] if name in self.centres else w
        return made

    def broken_by(self, state: Mapping[str, Tensor]) -> list[str]:
        """Weights of ``state`` whose fixed entries differ from the centre."""
        broken = []
        for name, mask in self.masks.items():
            centre = self.centres.get(name, torch.zeros_like(state[name]))
            if not torch.equal(state[name][~mask], centre[~mask]):
                broken.append(name)
        return broken

    def install(self, model: nn.Module) -> nn.Module:
        """Exchange the activations that ``sigma`` mixes; every other variant leaves the model alone."""
        install_mixings(model, self.mixings)
        return model

    def tensors(self) -> dict[str, Tensor]:
        """The constraint as stored: ``<weight>.mask`` uint8, ``<weight>.centre``, ``<module>.mixing``."""
        return {
            **{f"{name}.mask": mask.to(torch.uint8) for name, mask in self.masks.items()},
            **{f"{name}.centre": centre for name, centre in self.centres.items()},
            **{f"{name}.mixing": mixing for name, mixing in self.mixings.items()},
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Constraint:
        """Read back what ``tensors`` wrote."""
        kinds: dict[str, dict[str, Tensor]] = {"mask": {}, "centre": {}, "mixing": {}}
        for key, tensor in tensors.items():
            name, _, kind = key.rpartition(".")
            if kind not in kinds:
                raise StoredFileError(
                    f"constraints hold an unknown {key}", "expected .mask, .centre or .mixing"
                )
            kinds[kind][name] = tensor.bool() if kind == "mask" else tensor
        return cls(kinds["mask"], kinds["centre"], kinds["mixing"])

    def digest(self) -> str:
        """Hash of D, f and C: runs are comparable when it agrees. The trivial one is ``plain``."""
        tensors = self.tensors()
        if not tensors:
            return "plain"
        digest = hashlib.sha256()
        for name in sorted(tensors):
            digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
            digest.update(tensors[name].contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]


def constrained_weights(model: nn.Module) -> dict[str, Tensor]:
    """The weights of linear layers and convolutions, in order; ``slots`` also finds those of no module."""
    return {
        f"{name}.weight": part.weight.detach()
        for name, part in model.named_modules()
        if isinstance(part, TYPES) and "weight" in part._parameters and part.weight.requires_grad
    }


def per_layer(value: float | Sequence[float], weights: Collection[str], key: str) -> list[float]:
    """One value per layer from a number or a list.

    Raises:
        SettingError: a list of another length than there are layers.
    """
    if not isinstance(value, Sequence):
        return [value] * len(weights)
    if len(value) != len(weights):
        raise SettingError(
            f"variant.{key}={list(value)}: {len(value)} values for {len(weights)} layers",
            "one each for " + ", ".join(name.removesuffix(".weight") for name in weights),
        )
    return list(value)
