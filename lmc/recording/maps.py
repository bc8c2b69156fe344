"""The linear maps of a network, in modules or not, and where what they read can be recorded."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lmc.core.seeds import generator
from lmc.models.modes import evaluating
from lmc.models.stack import Feature, Point, State, forward, stack_of_one, state_of
from lmc.models.uses import Use, Uses, uses
from lmc.recording.moments import Place, Pooled, Source, has_patches

NOT_CALLED = "not called"
_EXAMPLES = 4


@dataclass(frozen=True)
class LinearMap:
    """A stored weight that maps what goes into it to neurons.

    Attributes:
        name: the module's; of a weight that is no module's ``weight``, the weight's own.
        weight, bias: names in the state; the bias is "" where there is none beside the weight.
        rows: what it reads.
        made: what it gives; of several calls, in the last.
        axis: of the weight, along which its neurons lie.
        called: how often, in one forward pass; ``rows`` are those of all calls.
        module: whether a module's calls show it.
    """

    name: str
    weight: str
    bias: str
    rows: Source
    made: Place
    axis: int = 0
    called: int = 1
    module: bool = True

    def matrix(self, tensor: Tensor) -> Tensor:
        """The weight, or its mask or centre, as (n, d): one row per neuron."""
        return tensor.movedim(self.axis, 0).flatten(1)

    def restored(self, matrix: Tensor, like: Tensor) -> Tensor:
        """The weight of a matrix (n, d), in the shape of ``like``."""
        return matrix.view(like.movedim(self.axis, 0).shape).movedim(0, self.axis)


@dataclass(frozen=True)
class Maps:
    """The linear maps by name, in the network's order, and the other weights of two or more axes.

    Attributes:
        called: names of linear and convolution modules that are called.
        without: weights that multiply the inputs, but whose map has no inputs to record, and why.
        apart: weights that are added, picked by indices or not used, and which.
    """

    found: Mapping[str, LinearMap]
    called: frozenset[str]
    without: Mapping[str, str]
    apart: Mapping[str, str]

    @property
    def shown(self) -> dict[str, LinearMap]:
        """Those that a module's calls show, by the module's name."""
        return {layer.name: layer for layer in self.found.values() if layer.module}

    @property
    def unmeasured(self) -> dict[str, str]:
        """Weights of maps, or of layers that are not called, whose inputs cannot be recorded, and why."""
        return {**self.without, **{name: why for name, why in self.apart.items() if why == NOT_CALLED}}


def linear_maps(network: nn.Module, inputs: Tensor, state: Mapping[str, Tensor] | None = None) -> Maps:
    """Find the linear maps of a network.

    A layer counts when its module is called and gives W x + b of what it is given, which is tried: a
    subclass may do something else. What other weights do is read from the traced graph.

    Args:
        inputs: (N, *input_shape), a few samples at least.
        state: weights at which to try it; None takes the network's own.
    """
    own_state = state_of(network) if state is None else state
    example = inputs[:_EXAMPLES].to(next(iter(own_state.values())).device)
    weights = {name: tensor for name, tensor in network.named_parameters() if tensor.dim() > 1}
    modules, called, reasons = _called(network, own_state, example)
    rest = [name for name in weights if name not in called and name not in reasons]
    graph = _graph(network, example) if rest else Uses({}, {}, {})
    found: dict[str, LinearMap] = {}
    without, apart = dict[str, str](), dict[str, str]()
    for name in weights:
        own = graph.found.get(name, [])
        if name in called:
            found[called[name].name] = called[name]
        elif name not in reasons and own and all(use.whole and use.linear for use in own):
            found[name.removesuffix(".weight")] = _traced(name, own)
        elif name in reasons or name in graph.without or own:
            without[name] = reasons.get(name) or graph.without.get(name) or _why(own)
        else:
            part = type(_owner(network, name))
            layer = issubclass(part, (nn.Linear, nn.modules.conv._ConvNd))
            apart[name] = NOT_CALLED if layer else graph.apart.get(name, f"of {part.__name__}")
    return Maps(found, modules, without, apart)


def _why(own: list[Use]) -> str:
    return "a convolution that is no module" if not own[0].linear else "used in parts"


def _traced(weight: str, own: list[Use]) -> LinearMap:
    rows = tuple(Feature(use.read, use.along) for use in own)
    source: Source = rows[0] if len(rows) == 1 else Pooled(rows)
    name = weight.removesuffix(".weight")
    made = Feature(own[-1].made, own[-1].across)
    return LinearMap(name, weight, own[0].bias, source, made, own[0].axis, len(own), module=False)


def _owner(network: nn.Module, weight: str) -> nn.Module:
    return network.get_submodule(weight.rpartition(".")[0])


def _graph(network: nn.Module, example: Tensor) -> Uses:
    try:
        return uses(network, example)
    except Exception:  # whatever torch.export raises: modules then are all that is known
        return Uses({}, {}, {})


def _called(
    network: nn.Module, state: Mapping[str, Tensor], example: Tensor
) -> tuple[frozenset[str], dict[str, LinearMap], dict[str, str]]:
    """The layers that are called; their maps by weight; and why their other weights have none."""
    layers = {
        name: part
        for name, part in network.named_modules()
        if isinstance(part, (nn.Linear, nn.modules.conv._ConvNd)) and name
    }
    calls: dict[str, list[bool]] = {name: [] for name in layers}

    def listen(name: str, part: nn.Module) -> None:
        def hook(_: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
            calls[name].append(len(args) == 1 and _is_map(part, args[0], output))

        context.enter_context(part.register_forward_hook(hook))

    stored = {name for name, _ in network.named_parameters()}
    noisy = _noisy(state, stored)
    with ExitStack() as context, evaluating(network):
        for name, part in layers.items():
            listen(name, part)
        forward(network, stack_of_one(noisy), example)
    found, reasons = {}, {}
    for name, made in calls.items():
        weight = f"{name}.weight"
        if weight not in stored or not made:
            continue
        reason = _reason(layers[name], all(made))
        if reason:
            reasons[weight] = reason
            continue
        bias = f"{name}.bias" if f"{name}.bias" in stored else ""
        points = tuple(Point(name, "input", call) for call in range(len(made)))
        rows: Source = Point(name, "input") if len(points) == 1 else Pooled(points)
        found[weight] = LinearMap(name, weight, bias, rows, Point(name, "output"), 0, len(made))
    return frozenset(name for name, made in calls.items() if made), found, reasons


def _reason(part: nn.Module, is_map: bool) -> str:
    """Why a called layer's map cannot be recorded; empty if it can."""
    if not is_map:
        return f"a {type(part).__name__} that does not give W x + b"
    if isinstance(part, nn.Linear):
        return ""
    if not isinstance(part, nn.Conv2d):
        return f"a {type(part).__name__}"
    if has_patches(part):
        return ""
    if part.groups != 1:
        return "a grouped convolution"
    return f"a convolution of {part.padding_mode if part.padding_mode != 'zeros' else part.padding} padding"


def _is_map(part: nn.Module, x: Tensor, output: object) -> bool:
    if not isinstance(part, (nn.Linear, nn.Conv2d)):
        return True
    kind = nn.Linear if isinstance(part, nn.Linear) else nn.Conv2d
    expected = kind.forward(part, x)  # type: ignore[arg-type]
    if not isinstance(output, Tensor) or output.shape != expected.shape:
        return False
    return torch.allclose(output, expected, rtol=1e-4, atol=1e-5, equal_nan=True)


def _noisy(state: Mapping[str, Tensor], parameters: Collection[str]) -> State:
    """Weights with noise, as at weights of zero every map is the same."""
    noise = generator("linear maps")
    return {
        name: tensor + 0.1 * torch.randn(tensor.shape, generator=noise).to(tensor)
        if name in parameters and tensor.is_floating_point()
        else tensor
        for name, tensor in state.items()
    }


def listed(weights: Mapping[str, str]) -> str:
    """Weights with reasons as one line."""
    return ", ".join(f"{name} ({reason})" for name, reason in weights.items())
