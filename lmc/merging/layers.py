"""Which modules of a network are linear maps that can be refitted, in the order of computation."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from torch import Tensor, nn

from lmc.models.modes import evaluating
from lmc.models.stack import Feature, Point, batch_norms, forward, stack_of_one
from lmc.recording import LinearMap, Maps, linear_maps
from lmc.recording.maps import NOT_CALLED
from lmc.recording.moments import Source


@dataclass(frozen=True)
class FittedLayer:
    """A linear layer or convolution, the rows that it reads, and whether a BatchNorm came just before it.

    ``normed``: a BatchNorm follows the previous layer; its statistics are from before that layer was changed.
    """

    name: str
    rows: Source
    normed: bool


def survey(
    network: nn.Module, state: Mapping[str, Tensor], example: Tensor
) -> tuple[list[FittedLayer], dict[str, str]]:
    """The layers that can be refitted, in the order of computation; the other weights with the reason.

    Args:
        example: (B, *input_shape), a small batch on the state's device.

    Returns:
        the layers; and weight names to why they cannot be refitted.
    """
    calls: list[tuple[str, int]] = []

    def listen(name: str, part: nn.Module) -> None:
        def hook(_: nn.Module, args: tuple[Tensor, ...]) -> None:
            calls.append((name, args[0].dim()))

        context.enter_context(part.register_forward_pre_hook(hook))

    norms = {*batch_norms(network)}
    with ExitStack() as context, evaluating(network):
        for name, part in network.named_modules():
            if isinstance(part, (nn.Linear, nn.Conv2d)) or name in norms:
                listen(name, part)
        forward(network, stack_of_one(state), example)
    maps = linear_maps(network, example, state)
    shown = maps.shown
    layers, left_out, normed = [], {}, False
    for name, dimensions in calls:
        if name in norms:
            normed = True
            continue
        reason = _reason(f"{name}.weight", shown.get(name), maps, state)
        if reason:
            left_out[f"{name}.weight"] = reason
            continue
        # A linear layer maps the last axis, whatever comes before; a convolution is recorded as patches.
        linear = isinstance(network.get_submodule(name), nn.Linear)
        point = Point(name, "input")
        layers.append(FittedLayer(name, Feature(point, dimensions - 1) if linear else point, normed))
        normed = False
    fitted = {f"{layer.name}.weight" for layer in layers}
    for name, parameter in network.named_parameters():
        if parameter.dim() > 1 and name not in fitted:
            part = network.get_submodule(name.rpartition(".")[0])
            uncalled = isinstance(part, (nn.Linear, nn.Conv2d))
            left_out.setdefault(name, NOT_CALLED if uncalled else f"of {type(part).__name__}")
    return layers, left_out


def _reason(weight: str, found: LinearMap | None, maps: Maps, state: Mapping[str, Tensor]) -> str:
    """Why the weight of a module that is called cannot be refitted; empty if it can."""
    if weight not in state:
        return "computed from others"
    if found is None:
        return maps.without.get(weight, "tied to another")
    return f"called {found.called} times" if found.called > 1 else ""
