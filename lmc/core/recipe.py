"""How to train: one recipe for the loop that follows it and the settings that name it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt

from lmc.core.effect import OnlyWith

Count = Annotated[int, Ge(1)]


@dataclass(frozen=True)
class Recipe:
    """One training recipe; every key is part of a run's identity.

    ``clip``: largest gradient norm of a run. ``decay_bias``: whether biases decay, as published for most
    experiments. ``warmup``: epochs of rising rate. ``warmup_factor``: the exponential schedule's growth
    per epoch during warm-up, starting at ``learning_rate``; no other schedule uses it.
    """

    epochs: Annotated[int, Ge(0), Le(1_000_000)] = 40
    batch_size: Count = 64
    optimiser: Literal["adamw", "sgd"] = "adamw"
    learning_rate: Annotated[float, Gt(0)] = 1e-3
    weight_decay: Annotated[float, Ge(0)] = 0.01
    momentum: Annotated[float, Ge(0), Lt(1), OnlyWith(optimiser="sgd")] = 0.9
    nesterov: Annotated[bool, OnlyWith(optimiser="sgd")] = False
    schedule: Literal["constant", "linear", "cosine", "exponential"] = "constant"
    warmup: Annotated[int, Ge(0), OnlyWith(schedule=("linear", "cosine", "exponential"))] = 0
    warmup_factor: Annotated[float, Gt(0), OnlyWith(schedule="exponential")] = 1.259
    clip: Annotated[float, Gt(0)] | None = None
    decay_bias: bool = True
