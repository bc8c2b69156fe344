"""A network as its builder returned it, made fit to be stored and run on float32 samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from lmc.core.errors import SettingError, first_line
from lmc.models.modes import evaluating


def ready(network: nn.Module, name: str, given: Mapping[str, Any]) -> nn.Module:
    """The same network with the shapes of lazy layers known, and with weights of float32.

    Lazy layers get their shapes, and draw their weights, from one pass over zeros in evaluation mode, under
    the seed in force. Weights of half or double precision become float32, in which samples come and lmc
    computes; buffers follow them, and are left alone where the weights are float32 already.

    Args:
        name: what the user calls the network.
        given: ``Dataset.given``.

    Raises:
        SettingError: lazy layers, and the network cannot compute on samples of these data.
    """
    if any(each.is_floating_point() and each.dtype != torch.float32 for each in network.parameters()):
        network.float()
    if any(map(is_lazy, [*network.parameters(), *network.buffers()])):
        _complete(network, name, given)
    return network


def _complete(network: nn.Module, name: str, given: Mapping[str, Any]) -> None:
    shape = tuple(given["input_shape"])
    dtype = next((each.dtype for each in network.parameters()), torch.float32)
    zeros = torch.zeros(1 if given.get("graph") is not None else 2, *shape, dtype=dtype)
    try:
        with evaluating(network):
            network(zeros)
    except (RuntimeError, ValueError, TypeError) as error:
        message = f"model={name}: its lazy layers cannot take their shapes from samples {shape}"
        hint = "give the sizes in its builder, or data that it is made for"
        raise SettingError(f"{message}: {first_line(error)}", hint) from error
    if left := [part for part, tensor in network.named_parameters() if is_lazy(tensor)]:
        raise SettingError(
            f"model={name}: lazy layers that are never called, {', '.join(left[:3])}", "leave them out"
        )
