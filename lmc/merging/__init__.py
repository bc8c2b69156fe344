"""Making one network of several. A merger takes aligned state dicts and returns one."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from lmc.merging.mean import mean

MERGERS: dict[str, Callable[..., dict[str, Tensor]]] = {"mean": mean}

GIVEN = ("states",)
