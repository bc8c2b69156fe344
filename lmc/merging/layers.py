"""Which modules of a network are linear maps that can be refitted, in the order of computation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from torch import Tensor, nn

from lmc.models.modes import evaluating
from lmc.models.stack import Feature, Point, batch_norms, forward
from lmc.recording.moments import Source, has_patches


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
        forward(network, {name: tensor[None] for name, tensor in state.items()}, example)
    counts = Counter(name for name, _ in calls)
    layers, left_out, normed = [], {}, False
    for name, dimensions in calls:
        if name in norms:
            normed = True
            continue
        reason = _reason(network.get_submodule(name), f"{name}.weight" in state, counts[name])
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
            left_out.setdefault(name, "not called" if uncalled else f"of {type(part).__name__}")
    return layers, left_out


def _reason(part: nn.Module, stored: bool, calls: int) -> str:
    """Why a module cannot be refitted; empty if it can."""
    if not stored:
        return "computed from others"
    if calls > 1:
        return f"called {calls} times"
    if not isinstance(part, nn.Conv2d) or has_patches(part):
        return ""
    if part.groups != 1:
        return "a grouped convolution"
    return f"a convolution of {part.padding_mode if part.padding_mode != 'zeros' else part.padding} padding"
