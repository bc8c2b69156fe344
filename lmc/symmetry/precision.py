"""A network computed in float64 throughout, also where its code asks for less."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from lmc.models.duplicate import duplicate

_WIDE = {
    torch.float32: torch.float64,
    torch.bfloat16: torch.float64,
    torch.float16: torch.float64,
    torch.complex64: torch.complex128,
}


class Wide(TorchDispatchMode):
    """Within it every operation takes, is asked for and gives float64 in place of shorter floats.

    For ``x.float()`` in a norm, states made by ``torch.zeros`` and constants that no buffer holds.

    Raises:
        TypeError: an operation writes into a shorter float, which cannot be widened where it lies.
    """

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run one operation on widened arguments."""
        given = (args, kwargs or {})
        if (
            func._schema.is_mutable
            and isinstance(args[0] if args else None, Tensor)
            and args[0].dtype in _WIDE
        ):
            raise TypeError(f"{func} writes into {args[0].dtype}")
        args, keywords = tree_map(_wide, given)
        return tree_map(_wide, func(*args, **keywords))


def _wide(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.to(_WIDE[value.dtype]) if value.dtype in _WIDE else value
    return _WIDE.get(value, value) if isinstance(value, torch.dtype) else value


def converted(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A copy in evaluation mode on the CPU, its parameters, buffers and other tensors in a float type."""
    copied = duplicate(model).cpu().eval().to(dtype)
    cast: Callable[[Any], Any] = lambda value: (  # noqa: E731
        value.detach().cpu().to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value
    )
    for part in copied.modules():
        for name, value in vars(part).items():
            if isinstance(value, Tensor):
                vars(part)[name] = cast(value)
    return copied
