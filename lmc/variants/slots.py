"""The weights that a variant may constrain: those of linear maps, wherever they sit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from lmc.models.uses import Uses, uses
from lmc.variants.constraint import TYPES, constrained_weights


@dataclass(frozen=True)
class Slot:
    """The weight of a linear map with its neurons first, (n, ...), and the axis on which they are stored."""

    weight: Tensor
    axis: int

    def stored(self, values: Tensor) -> Tensor:
        """A mask or centre (n, d), or (n, ...) as ``weight``, in the layout of the stored weight."""
        return values.reshape(self.weight.shape).movedim(0, self.axis).contiguous()


@dataclass(frozen=True)
class Slots:
    """Slots by the weight's name, in the network's order; and weights of other products, with the reason."""

    found: Mapping[str, Slot]
    free: Mapping[str, str]


def slots(model: nn.Module, example: Tensor) -> Slots:
    """The weights of linear layers and convolutions, and those that the code multiplies without a module.

    A weight that is changed before it meets the inputs, as in ``F.linear(x, w + b @ a)``, is left free: what
    is fixed of it would not be fixed of the map. So is every one outside of modules in a network that
    cannot be traced. Embeddings and added weights, such as positions, are no maps.

    Args:
        example: (B, *input_shape).
    """
    own = constrained_weights(model)
    tied = {id(each) for name, each in model.named_parameters(remove_duplicate=False) if name in own}
    every = {
        name: each for name, each in model.named_parameters(remove_duplicate=False) if each.requires_grad
    }
    rest = {name for name, each in every.items() if each.dim() > 1 and id(each) not in tied}
    try:
        known = uses(model, example) if rest else Uses({}, {}, {})
    except Exception:  # whatever torch.export raises
        raw = [name for name in every if name in rest and not _is_picked(model, name)]
        known = Uses({}, dict.fromkeys(raw, "the network cannot be traced"), {})
    found: dict[str, Slot] = {}
    free: dict[str, str] = {}
    for name in [name for name in every if name in rest or name in own]:
        axes = {use.axis for use in known.found.get(name, [])}
        if name in known.without and (name in rest or type(_owner(model, name)) in TYPES):
            free[name] = known.without[name]
        elif name in own:
            found[name] = Slot(own[name], 0)
        elif len(axes) == 1:
            (axis,) = axes
            found[name] = Slot(every[name].detach().movedim(axis, 0), axis)
        elif axes:
            free[name] = "used both ways"
    return Slots(found, free)


def _owner(model: nn.Module, weight: str) -> nn.Module:
    return model.get_submodule(weight.rpartition(".")[0])


def _is_picked(model: nn.Module, weight: str) -> bool:
    return isinstance(_owner(model, weight), (nn.Embedding, nn.EmbeddingBag, nn.LayerNorm, nn.RMSNorm))
