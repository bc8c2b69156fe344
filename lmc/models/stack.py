"""K networks of one architecture as one tensor per name with a leading run axis.

``forward`` is the only place that runs a stack: training, recording and paths all call it. One
network alone is run without vmap; so is a stack of networks that vmap cannot run, one by one.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from lmc.core.errors import first_line
from lmc.models import replay
from lmc.models.conduct import SAMPLES, State, conduct, copied, guarded, notes, undisturbed


class Point(NamedTuple):
    """What goes into or comes out of a module; of one that is called several times, which call.

    None is the last where tensors are captured, and every call where they are replaced. ``inside`` is a
    tensor that a module computes and neither takes nor gives, by its ``node`` in the traced graph; such
    tensors can be captured, not replaced.
    """

    module: str
    side: Literal["input", "output", "inside"]
    call: int | None = None
    node: str = ""


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


def stack_of_one(state: Mapping[str, Tensor]) -> State:
    """One state dict as a stack (1, *shape), sharing memory with it."""
    return {name: tensor[None] for name, tensor in state.items()}


def unstack(tensors: Mapping[str, Tensor], run: int) -> State:
    """Run ``run`` of a stack as a state dict of contiguous copies."""
    return {
        name: tensor[run].detach().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }


def size(tensors: Mapping[str, Tensor]) -> int:
    """The number of runs K."""
    return next(iter(tensors.values())).shape[0]


Known = Mapping[str | Point, Tensor]
Seen = dict[Point, Tensor]


def forward(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    inputs: Tensor,
    *,
    shared: bool = True,
    capture: Iterable[Point] = (),
    replace: Known | None = None,
) -> tuple[Tensor, Seen]:
    """Outputs of every run, and what was asked for on the way.

    In evaluation mode inputs, weights and buffers stay as they are and random numbers are the same in every
    call, whatever the network does. Training changes ``tensors``, and draws what the caller seeds.

    Args:
        module: the template; its own weights are not used.
        tensors: name to (K, *shape).
        inputs: (B, *shape) for all runs when ``shared``, else (K, B, *shape), which networks may write into.
        capture: points whose tensors to return; those inside of modules are of the network with nothing
            replaced.
        replace: a module's name, or a point, to the tensor (K, B, ...) that stands in for it; outputs are
            then not computed. A name, or a point without a call, stands for every call.

    Returns:
        outputs (K, B, C), and captured tensors (K, B, ...).
    """
    points = tuple(capture)
    inside = [point for point in points if point.side == "inside"]
    if inside:
        others = [point for point in points if point.side != "inside"]
        given, seen = forward(module, tensors, inputs, shared=shared, capture=others, replace=replace)
        return given, {**seen, **_replayed(module, tensors, inputs, shared, inside)}
    known, runs = dict(replace or {}), size(tensors)
    if runs > 1:
        noted = notes(module)
        ways = noted.get("conduct") or conduct(module, _run(tensors, 0), inputs if shared else inputs[0])
        if "refusal" not in noted:
            noted["refusal"] = "it draws" if ways.draws else _refusal(module, tensors, inputs, shared)
        if not noted["refusal"]:
            each = shared and not ways.writes
            x = inputs.expand(runs, *inputs.shape) if shared and ways.writes else inputs
            with guarded(module, dict(tensors), x, not shared) as (own, x):
                return _together(module, points, own, x, each, known)
    found = []
    for run in range(runs):
        x = inputs if shared else inputs[run]
        with guarded(module, _run(tensors, run), x, not shared) as (own, x):
            found.append(_alone(module, points, own, x, _run(known, run)))
    if runs == 1:
        return found[0][0][None], {point: value[None] for point, value in found[0][1].items()}
    outputs = torch.stack([each for each, _ in found])
    return outputs, {point: torch.stack([seen[point] for _, seen in found]) for point in points}


def _run(tensors: Mapping[Any, Tensor], run: int) -> dict[Any, Tensor]:
    # The gradient of a squeeze is a view, that of a selection a copy.
    return {name: tensor.squeeze(0) if len(tensor) == 1 else tensor[run] for name, tensor in tensors.items()}


def _alone(
    module: nn.Module, points: Sequence[Point], own: State, x: Tensor, known: Known
) -> tuple[Tensor, Seen]:
    if x.dim() == 4 and is_convolutional(module):
        x = x.contiguous(memory_format=torch.channels_last)
    return _call(module, points, own, x, known)


def _together(
    module: nn.Module,
    points: Sequence[Point],
    own: State,
    inputs: Tensor,
    shared: bool,
    known: Known,
) -> tuple[Tensor, Seen]:
    with warnings.catch_warnings(), _flat_group_norms(module):
        # Attention on a CPU has no rule for vmap: torch goes run by run, which is right, and warns.
        warnings.filterwarnings("ignore", "There is a performance drop", UserWarning)
        axes = (0, None if shared else 0, 0)
        return vmap(partial(_call, module, points), in_dims=axes)(own, inputs, dict(known))


def _call(
    module: nn.Module, points: Sequence[Point], own: State, x: Tensor, known: Known
) -> tuple[Tensor, Seen]:
    seen: Seen = {}
    with ExitStack() as context:
        for point in points:
            context.callback(_listen(module, point, seen).remove)
        for where, value in known.items():
            point = where if isinstance(where, Point) else Point(where, "output")
            context.enter_context(_replaced(module, point, value))
        return functional_call(module, own, (x,), tie_weights=False), seen


def _refusal(module: nn.Module, tensors: Mapping[str, Tensor], inputs: Tensor, shared: bool) -> str:
    """Why vmap cannot run the module in its mode; empty if it can, with the numbers of each run alone."""
    few = inputs[:SAMPLES].expand(2, *inputs[:SAMPLES].shape) if shared else inputs[:2, :SAMPLES]
    two = {name: tensor[:2] for name, tensor in tensors.items()}
    alone, both = [copied(_run(two, run)) for run in range(2)], copied(two)
    with undisturbed(module), torch.no_grad():
        wanted = [_alone(module, (), own, x.clone(), {})[0] for own, x in zip(alone, few, strict=True)]
        try:
            outputs, _ = _together(module, (), both, few.clone(), False, {})
            pairs = [(both[name], torch.stack([own[name] for own in alone])) for name in both]
            same = all(_alike(*pair) for pair in [(outputs, torch.stack(wanted)), *pairs])
            return "" if same else "it gives other numbers"
        except Exception as error:  # whatever an operation raises that vmap has no rule for
            return first_line(error)


def _alike(a: Tensor, b: Tensor) -> bool:
    if not a.is_floating_point():
        return torch.equal(a, b)
    return torch.allclose(a, b, rtol=1e-2, atol=1e-3, equal_nan=True)


def _replayed(
    module: nn.Module, tensors: Mapping[str, Tensor], inputs: Tensor, shared: bool, points: Sequence[Point]
) -> dict[Point, Tensor]:
    """Tensors (K, B, ...) inside of modules, from the graph, run by run."""
    traced = replay.graph(module, inputs if shared else inputs[0])
    names = {point.node for point in points}
    runs = [
        traced.run({name: tensor[run] for name, tensor in tensors.items()}, x, names)
        for run, x in enumerate([inputs] * size(tensors) if shared else inputs)
    ]
    return {point: torch.stack([run[point.node] for run in runs]) for point in points}


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


def portioned(samples: int, step: int) -> Iterator[slice]:
    """The samples ``step`` at a time; a last one joins those before, as batch statistics need two."""
    starts = [start for start in range(0, samples, step) if start == 0 or start < samples - 1]
    for start, end in pairwise([*starts, samples]):
        yield slice(start, end)
