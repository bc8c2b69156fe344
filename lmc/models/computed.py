"""Weights that a network computes from its parameters at every call, and their means over networks.

Covers ``torch.nn.utils.parametrize`` (weight norm, spectral norm, orthogonal, a user's own), the older
``torch.nn.utils.weight_norm`` and ``spectral_norm``, and ``torch.nn.utils.prune``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from lmc.models.duplicate import duplicate
from lmc.models.stack import State, batch_norms, state_of

_TOGETHER = 20
_ROUNDS = 100
_AT_REST = 1e-6


@dataclass(frozen=True)
class Computed:
    """One weight that a layer computes.

    Attributes:
        layer: the module's name, and ``tensor`` the weight's on it.
        by: what computes it, as users know it.
        estimates: buffers of the layer that follow from its weight: spectral norm's singular vectors.
        mask: the buffer that prunes it, in the layer; "" where nothing does.
    """

    layer: str
    tensor: str
    by: str
    estimates: tuple[str, ...] = ()
    mask: str = ""

    @property
    def name(self) -> str:
        """``layer.tensor``."""
        return self.inside(self.tensor)

    def inside(self, name: str) -> str:
        """The name in the network of a tensor of the layer."""
        return f"{self.layer}.{name}" if self.layer else name


def computed_weights(module: nn.Module) -> list[Computed]:
    """All weights of a network that are computed, in its order."""
    found: list[Computed] = []
    for layer, part in module.named_modules():
        if parametrize.is_parametrized(part):
            for tensor, chain in part.parametrizations.items():  # type: ignore[union-attr, operator]
                by = " and ".join(type(each).__name__.lstrip("_") for each in chain)
                norms = [place for place, each in enumerate(chain) if _estimates(each)]
                names = [
                    f"parametrizations.{tensor}.{place}.{side}" for place in norms for side in ("_u", "_v")
                ]
                found.append(Computed(layer, tensor, by, tuple(names)))
        found += [each for hook in part._forward_pre_hooks.values() for each in _of_hook(layer, hook)]
    return found


def _estimates(part: Any) -> bool:
    return isinstance(part, _SpectralNorm) and hasattr(part, "_u")


def _of_hook(layer: str, hook: Any) -> Iterator[Computed]:
    if isinstance(hook, BasePruningMethod):
        yield Computed(layer, hook._tensor_name, "pruning", mask=f"{hook._tensor_name}_mask")
    elif isinstance(hook, SpectralNorm):
        yield Computed(layer, hook.name, "SpectralNorm", (f"{hook.name}_u", f"{hook.name}_v"))
    elif isinstance(hook, WeightNorm):
        yield Computed(layer, hook.name, "WeightNorm")


def settled(module: nn.Module, tensors: Mapping[str, Tensor], runs: Iterable[int] | None = None) -> State:
    """A stack whose estimates are those of its own weights: of networks that no training has made.

    The mean of two networks' leading singular vectors is none of the mean weights, and spectral norm then
    divides by a wrong number. Power iterations go on from the vectors given until they rest.

    Args:
        tensors: name to (K, *shape); not changed.
        runs: which of the K; None is all.
    """
    fresh, chosen = dict(tensors), None if runs is None else list(runs)
    for each in computed_weights(module):
        if not each.estimates:
            continue
        names = [each.inside(name) for name in each.estimates]
        fresh |= {name: fresh[name].clone() for name in names}
        layer = _iterating(module.get_submodule(each.layer), each)
        own = state_of(layer)
        for run in range(len(fresh[names[0]])) if chosen is None else chosen:
            for name, tensor in own.items():
                tensor.copy_(fresh[each.inside(name)][run])
            _iterate(layer, each, own)
            for name in each.estimates:
                fresh[each.inside(name)][run] = own[name]
    return fresh


def _iterating(layer: nn.Module, each: Computed) -> nn.Module:
    """A copy of a layer that takes many power iterations whenever its weight is asked for."""
    copied = duplicate(layer).eval()
    for part in [*copied.modules(), *copied._forward_pre_hooks.values()]:
        if isinstance(part, _SpectralNorm | SpectralNorm):
            part.n_power_iterations = _TOGETHER
        if isinstance(part, _SpectralNorm):
            part.train()
    return copied


def _iterate(layer: nn.Module, each: Computed, own: State) -> None:
    with torch.no_grad():
        for _ in range(_ROUNDS):
            before = own[each.estimates[0]].clone()
            if parametrize.is_parametrized(layer, each.tensor):
                getattr(layer, each.tensor)
            for hook in layer._forward_pre_hooks.values():
                if isinstance(hook, SpectralNorm) and hook.name == each.tensor:
                    hook.compute_weight(layer, do_power_iteration=True)
            if (own[each.estimates[0]] - before).norm() <= _AT_REST:
                return


def unified(module: nn.Module, states: Sequence[Mapping[str, Tensor]]) -> list[State]:
    """The same networks with one mask for all, which keeps what any of them keeps.

    Where masks differ, pruned weights are set to 0 and the mask lets them pass, so that a mean of the
    networks has the mean of the weights that they compute. The mean of two masks is no mask.
    """
    found = [dict(state) for state in states]
    for each in filter(lambda each: each.mask, computed_weights(module)):
        original, mask = each.inside(f"{each.tensor}_orig"), each.inside(each.mask)
        if _differ(mask, found):
            union = torch.stack([state[mask] != 0 for state in found]).any(dim=0)
            for state in found:
                state[original] = state[original] * state[mask]
                state[mask] = union.to(state[mask].dtype)
    return found


def remarks(module: nn.Module, states: Sequence[Mapping[str, Tensor]]) -> Iterator[str]:
    """What is to be known of a mean of networks, or of the line between them, one sentence each."""
    computed = computed_weights(module)
    kinds: dict[str, list[str]] = {}
    for each in computed:
        if not each.mask:
            kinds.setdefault(each.by, []).append(each.name)
    for by, names in kinds.items():
        yield f"{_listed(names)} computed by {by}: means are of the parameters, not of these weights"
    masks = [each for each in computed if each.mask]
    apart = [each.name for each in masks if _differ(each.inside(each.mask), states)]
    if apart:
        yield f"{_listed(apart)} pruned differently in the runs: their mean keeps what any of them keeps"
    known = {each.inside(name) for each in computed for name in (*each.estimates, each.mask)}
    known |= {f"{name}.{kind}" for name in batch_norms(module) for kind in ("running_mean", "running_var")}
    trained = {
        name for name, tensor in module.named_parameters(remove_duplicate=False) if tensor.requires_grad
    }
    rest = [
        name
        for name, tensor in states[0].items()
        if name not in known | trained and tensor.is_floating_point() and _differ(name, states)
    ]
    if rest:
        yield f"{_listed(rest)} not trained, and not equal in the runs: averaged like weights"


def _differ(name: str, states: Sequence[Mapping[str, Tensor]]) -> bool:
    return any(not torch.equal(states[0][name], state[name]) for state in states[1:])


def _listed(names: Sequence[str]) -> str:
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{rest} {'is' if len(names) == 1 else 'are'}"
