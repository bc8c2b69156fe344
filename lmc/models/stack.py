"""K networks of one architecture as one tensor per name with a leading run axis.

``forward`` is the only place that runs a stack: training, recording and paths all call it. One
network alone is run without vmap, which also serves modules with random operations.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

State = dict[str, Tensor]


class Point(NamedTuple):
    """What goes into or comes out of a module; of one that is called several times, which call.

    None is the last where tensors are captured, and every call where they are replaced.
    """

    module: str
    side: Literal["input", "output"]
    call: int | None = None


@dataclass(frozen=True)
class Feature:
    """n neurons as they appear at a point: the rest of the captured tensor's axes are samples.

    ``axis`` counts from the batch axis, 0. ``places``: (copies, n) positions along it, every copy a sample
    more; None is the whole axis in order. (Channels read by a linear layer after flattening H x W have
    H W copies.)
    """

    point: Point
    axis: int
    places: tuple[tuple[int, ...], ...] | None = None

    def read(self, captured: Tensor) -> Tensor:
        """(K, samples, n) of a captured (K, B, ...)."""
        values = captured.movedim(self.axis + 1, -1)
        if self.places is not None:
            values = values[..., torch.tensor(self.places, device=captured.device)]
        return values.flatten(1, -2)


def state_of(module: nn.Module) -> State:
    """The module's parameters and buffers by name, detached, in its own layout."""
    return {name: tensor.detach() for name, tensor in module.state_dict().items()}


def stack_states(states: Sequence[Mapping[str, Tensor]]) -> State:
    """K state dicts as one with tensors (K, *shape)."""
    return {name: torch.stack([state[name] for state in states]) for name in states[0]}


def unstack(tensors: Mapping[str, Tensor], run: int) -> State:
    """Run ``run`` of a stack as a state dict of contiguous copies."""
    return {
        name: tensor[run].detach().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }


def size(tensors: Mapping[str, Tensor]) -> int:
    """The number of runs K."""
    return next(iter(tensors.values())).shape[0]


def forward(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    inputs: Tensor,
    *,
    shared: bool = True,
    capture: Iterable[Point] = (),
    replace: Mapping[str | Point, Tensor] | None = None,
) -> tuple[Tensor, dict[Point, Tensor]]:
    """Outputs of every run, and what was asked for on the way.

    Args:
        module: the template; its own weights are not used.
        tensors: name to (K, *shape).
        inputs: (B, *shape) for all runs when ``shared``, else (K, B, *shape).
        capture: points whose tensors to return.
        replace: a module's name, or a point, to the tensor (K, B, ...) that stands in for it; outputs are
            then not computed. A name, or a point without a call, stands for every call.

    Returns:
        outputs (K, B, C), and captured tensors (K, B, ...).
    """
    points = tuple(capture)

    def call(
        own: Mapping[str, Tensor], x: Tensor, known: Mapping[str | Point, Tensor]
    ) -> tuple[Tensor, dict[Point, Tensor]]:
        seen: dict[Point, Tensor] = {}
        with ExitStack() as context:
            for point in points:
                context.callback(_listen(module, point, seen).remove)
            for where, value in known.items():
                point = where if isinstance(where, Point) else Point(where, "output")
                context.enter_context(_replaced(module, point, value))
            return functional_call(module, dict(own), (x,), tie_weights=False), seen

    known = dict(replace or {})
    if size(tensors) == 1:
        x = inputs if shared else inputs.squeeze(0)
        if x.dim() == 4 and is_convolutional(module):
            x = x.contiguous(memory_format=torch.channels_last)
        outputs, seen = call(
            {name: tensor.squeeze(0) for name, tensor in tensors.items()},
            x,
            {where: value.squeeze(0) for where, value in known.items()},
        )
        return outputs.unsqueeze(0), {point: value.unsqueeze(0) for point, value in seen.items()}
    with warnings.catch_warnings(), _flat_group_norms(module):
        # Attention on a CPU has no rule for vmap: torch goes run by run, which is right, and warns.
        warnings.filterwarnings("ignore", "There is a performance drop", UserWarning)
        return vmap(call, in_dims=(0, None if shared else 0, 0))(dict(tensors), inputs, known)


def portions(tensors: Mapping[str, Tensor]) -> Iterator[tuple[slice, State]]:
    """The stack in the portions that evaluate fastest: on a CPU one run at a time, elsewhere all at once.

    Under vmap the scale of a norm and the bias of a layer are passes of their own over all activations,
    and these leave the cache. Measured on the MNIST MLP: one at a time takes 0.85 of the time of vmap.
    """
    runs = size(tensors)
    together = 1 if next(iter(tensors.values())).device.type == "cpu" else runs
    for start in range(0, runs, together):
        rows = slice(start, start + together)
        yield rows, {name: tensor[rows] for name, tensor in tensors.items()}


@contextmanager
def _flat_group_norms(module: nn.Module) -> Iterator[None]:
    """vmap cannot answer group_norm's question about the memory format of 4-d inputs: flatten H and W."""

    def flat(part: nn.GroupNorm, x: Tensor) -> Tensor:
        maps = x.flatten(2) if x.dim() > 3 else x
        return nn.functional.group_norm(maps, part.num_groups, part.weight, part.bias, part.eps).view(x.shape)

    norms = [part for part in module.modules() if type(part) is nn.GroupNorm and "forward" not in vars(part)]
    for part in norms:
        part.forward = partial(flat, part)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for part in norms:
            del part.forward


@contextmanager
def _replaced(module: nn.Module, point: Point, value: Tensor) -> Iterator[None]:
    part = module.get_submodule(point.module)
    before, own, calls = part.__dict__.get("forward"), part.forward, 0

    def forward(*args: Any, **keywords: Any) -> Any:
        nonlocal calls
        calls += 1
        if point.call not in (None, calls - 1):
            return own(*args, **keywords)
        copied = value.clone()  # what follows may change it in place
        return copied if point.side == "output" else own(copied, *args[1:], **keywords)

    part.forward = forward  # type: ignore[method-assign]
    try:
        yield
    finally:
        if before is None:
            del part.forward
        else:
            part.forward = before  # type: ignore[method-assign]


def _listen(module: nn.Module, point: Point, seen: dict[Point, Tensor]) -> Any:
    calls = 0

    def hook(_: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal calls
        if point.call in (None, calls):
            # What follows in place, as ReLU(inplace=True) and `out += x` do, would change what was seen.
            seen[point] = (args[0] if point.side == "input" else output).clone()
        calls += 1

    return module.get_submodule(point.module).register_forward_hook(hook)


def layouts(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """The order of axes in which training keeps a stacked weight, where it is not the weight's own.

    Input-major for ``nn.Linear``, (K, in, out); channels last for ``nn.Conv2d``, (K, out, h, w, in).
    """
    orders = ((nn.Linear, (0, 2, 1)), (nn.Conv2d, (0, 1, 3, 4, 2)))
    return {
        f"{name}.weight": order
        for name, part in module.named_modules()
        for kind, order in orders
        if isinstance(part, kind)
    }


def is_convolutional(module: nn.Module) -> bool:
    """Whether a module holds convolutions: under vmap these become grouped ones, which are slower."""
    return any(isinstance(part, nn.modules.conv._ConvNd) for part in module.modules())


def is_random(module: nn.Module) -> bool:
    """Whether the module draws random numbers while training, so that its runs train one at a time."""
    dropouts = (nn.modules.dropout._DropoutNd,)
    return any(isinstance(part, dropouts) and part.p > 0 for part in module.modules()) or bool(
        getattr(module, "random", False)
    )


def aliases(module: nn.Module) -> dict[str, str]:
    """Further names of tied tensors, to the first name of each."""
    first: dict[int, str] = {}
    found = {}
    for name, tensor in module.state_dict(keep_vars=True).items():
        if first.setdefault(id(tensor), name) != name:
            found[name] = first[id(tensor)]
    return found


def batch_norms(module: nn.Module) -> list[str]:
    """Names of the modules that keep running statistics."""
    return [
        name
        for name, part in module.named_modules()
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.running_mean is not None
    ]


def chunk(samples: int, features: int, *, itemsize: int = 4, budget: int = 48 << 20) -> int:
    """Samples at a time so that ``features`` numbers per sample stay within ``budget`` bytes."""
    return max(1, min(samples, budget // max(1, features * itemsize)))
