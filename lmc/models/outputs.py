"""What a network returns as one tensor of outputs, and whether that fits the data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lmc.core.errors import LmcError, SettingError, first_line
from lmc.models.modes import evaluating
from lmc.models.stack import forward, stack_states, state_of

USUAL = "logits"
"""The part that is taken of several where it is there; else the first."""


@dataclass(frozen=True)
class Readout:
    """A hook behind a network that returns one tensor of what the network returns, in float32 or more.

    Losses and accuracies of bfloat16 outputs (``torch.autocast`` in the forward pass) would be rounded to
    three digits.

    Attributes:
        output: the part's name or place (``model.output=``); None takes ``logits``, or the first tensor.
    """

    output: str | int | None = None

    def __call__(self, network: nn.Module, inputs: Any, returned: Any) -> Tensor:
        """One tensor of a tensor, tuple, list, mapping or dataclass, however nested."""
        found = _at(returned, self.output) if self.output is not None else returned
        tensor = _tensor(found)
        if tensor is None:
            given = ", ".join(str(key) for key, _ in _parts(returned)) or type(returned).__name__
            wanted = "" if self.output is None else f"has no tensor {self.output!r}; it "
            raise SettingError(
                f"the network {wanted}returns {given}", "model.output= names a part, or its place"
            )
        return tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor


def _parts(returned: Any) -> Iterator[tuple[str | int, Any]]:
    """The parts of what a network returned, by name or place."""
    if isinstance(returned, Mapping):
        yield from returned.items()
    elif is_dataclass(returned):
        yield from ((each.name, getattr(returned, each.name)) for each in fields(returned))
    elif isinstance(returned, (tuple, list)):
        yield from zip(getattr(returned, "_fields", range(len(returned))), returned, strict=True)


def _at(returned: Any, output: str | int) -> Any:
    parts = list(_parts(returned))
    if isinstance(output, int):
        return parts[output][1] if -len(parts) <= output < len(parts) else None
    return dict(parts).get(output)


def _tensor(found: Any) -> Tensor | None:
    if isinstance(found, Tensor):
        return found
    parts = dict(_parts(found))
    usual = [parts[USUAL]] if USUAL in parts else [*parts.values()]
    return next((tensor for part in usual if (tensor := _tensor(part)) is not None), None)


def check_outputs(model: str, network: nn.Module, inputs: Tensor, shape: tuple[int, ...], more: bool) -> None:
    """Refuse a network whose outputs are not those that the data's loss takes.

    A shape that is nearly right gives no error later but another loss: (B,) is broadcast against (B, 1).

    Args:
        model: what it is called in messages.
        inputs: (B, *input_shape), a few.
        shape: of the outputs (B, ..., C).
        more: whether more outputs than C will do, as for classes of which the data have none.

    Raises:
        SettingError: names the shapes, or how the network fails on these inputs.
    """
    tensors = stack_states([state_of(network)])
    device = next(iter(tensors.values()), inputs).device
    try:
        with evaluating(network):
            outputs = forward(network, tensors, inputs.to(device))[0][0]
    except LmcError as error:
        raise SettingError(f"{model}: {error.message}", error.hint) from error
    except Exception as error:  # of the network's own code
        given = f"samples {tuple(inputs.shape)} {_short(inputs.dtype)}"
        raise SettingError(f"{model}: does not run on {given}: {first_line(error)}") from error
    found = tuple(outputs.shape)
    fits = found[:-1] == shape[:-1] and (found[-1] >= shape[-1] if more else found[-1] == shape[-1])
    if len(found) != len(shape) or not fits:
        least = "at least " if more else ""
        raise SettingError(
            f"{model}: its outputs are {found} for {len(inputs)} samples",
            f"the data need {shape}, {least}{shape[-1]} outputs a sample",
        )
    if not outputs.is_floating_point():
        raise SettingError(
            f"{model}: its outputs are {_short(outputs.dtype)}", "return floating-point numbers"
        )


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
