"""Plain networks. A builder takes the data's ``input_shape`` and ``outputs`` and its own settings."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from lmc.core import registry, seeds
from lmc.core.errors import LmcError, SettingError
from lmc.models.cnn import cnn
from lmc.models.gcn import gcn
from lmc.models.mlp import mlp
from lmc.models.outputs import Readout
from lmc.models.ready import ready
from lmc.models.relu_sum import relu_sum
from lmc.models.resnet import resnet20
from lmc.models.vgg import vgg11
from lmc.models.vit import vit

MODELS: dict[str, Callable[..., nn.Module]] = {
    "mlp": mlp,
    "relu_sum": relu_sum,
    "cnn": cnn,
    "vgg11": vgg11,
    "resnet20": resnet20,
    "vit": vit,
    "gcn": gcn,
}

GIVEN = ("input_shape", "outputs", "graph")
"""Properties of the data; a builder gets those that it declares."""

OUTPUT = "output"
"""The setting of every model that says which part of what it returns are the outputs (``Readout``)."""


def bind(group: Mapping[str, Any]) -> dict[str, Any]:
    """Complete keywords of the builder that a group names, with ``output`` where it is given.

    Raises:
        SettingError: an unknown name, or all faults of its settings together.
    """
    own, output = _without_output(group["name"], group)
    bound = registry.bind_choice(MODELS, own, "model", GIVEN)
    if output is None:
        return bound
    if isinstance(output, bool) or not isinstance(output, str | int):
        raise SettingError(f"model.output={output}: neither a name nor a place", "model.output=logits or =0")
    return {**bound, OUTPUT: output}


def _without_output(name: str, settings: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """Settings without ``output``, and that; a builder's own keyword of this name is the builder's."""
    own = dict(settings)
    if OUTPUT in registry.parameters(registry.find(MODELS, name, "model")):
        return own, None
    return own, own.pop(OUTPUT, None)


def build(name: str, settings: Mapping[str, Any], given: Mapping[str, Any], init_seed: int) -> nn.Module:
    """A freshly initialised network (``lmc.models.ready``); the same ``init_seed`` gives the same weights.

    It is in float32 whatever the builder made, its lazy modules know their shapes, and it returns a tensor.

    Args:
        settings: the builder's own keywords, and ``output``.
        given: ``Dataset.given``: the shape of a sample, the outputs, and the graph of a graph set.

    Raises:
        SettingError: the builder refuses its settings, or is not made for such data.
    """
    builder = registry.find(MODELS, name, "model")
    wanted = registry.parameters(builder)
    _check_graph(name, wanted, given)
    own, output = _without_output(name, settings)
    supplied = {key: given[key] for key in GIVEN if key in wanted and key in given}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.derive("init", init_seed))
        try:
            network = builder(**supplied, **registry.keywords(builder, own))
        except LmcError:
            raise
        except (TypeError, ValueError) as error:
            raise SettingError(f"model={name}: cannot be built with {dict(settings)}: {error}") from error
        if not isinstance(network, nn.Module):
            raise SettingError(f"model={name}: returns a {type(network).__name__}", "expected an nn.Module")
        if output is not None or registry.is_own_code(name):
            network.register_forward_hook(Readout(output))
        return ready(network, name, given)


def _check_graph(name: str, wanted: Mapping[str, inspect.Parameter], given: Mapping[str, Any]) -> None:
    has, data = given.get("graph") is not None, given.get("data", "these data")
    if has and "graph" not in wanted:
        raise SettingError(
            f"model={name}: reads no graph, but data={data} has one",
            "model=gcn reads it, or a builder with graph",
        )
    if not has and "graph" in wanted and wanted["graph"].default is inspect.Parameter.empty:
        raise SettingError(
            f"model={name}: needs a graph, but data={data} has none", "data=sbm or data=arxiv; else model=mlp"
        )
