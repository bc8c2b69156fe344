"""Plain networks. A builder takes the data's ``input_shape`` and ``outputs`` and its own settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from lmc.core import registry, seeds
from lmc.core.errors import LmcError, SettingError
from lmc.models.mlp import mlp
from lmc.models.relu_sum import relu_sum

MODELS: dict[str, Callable[..., nn.Module]] = {"mlp": mlp, "relu_sum": relu_sum}

GIVEN = ("input_shape", "outputs")


def build(
    name: str, settings: Mapping[str, Any], input_shape: Sequence[int], outputs: int, init_seed: int
) -> nn.Module:
    """A freshly initialised network; the same ``init_seed`` gives the same weights.

    Raises:
        SettingError: the builder refuses its settings.
    """
    builder = registry.find(MODELS, name, "model")
    wanted = registry.parameters(builder)
    supplied = {"input_shape": tuple(input_shape), "outputs": outputs}
    given = {key: value for key, value in supplied.items() if key in wanted}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.derive("init", init_seed))
        try:
            return builder(**given, **settings)
        except LmcError:
            raise
        except (TypeError, ValueError) as error:
            raise SettingError(f"model={name}: cannot be built with {dict(settings)}: {error}") from error
