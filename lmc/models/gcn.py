"""The graph convolutional network (arXiv 1609.02907): one sample is a whole graph."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from lmc.core.errors import SettingError
from lmc.models.activations import ACTIVATIONS
from lmc.models.graph import Adjacency, Aggregation, GraphLike
from lmc.models.initialisation import initialise
from lmc.models.norms import NODE_NORMS


class GCN(nn.Module):
    """Sum over neighbours, linear, norm, activation, dropout, repeated; the last layer is linear.

    Neighbours come first, W (A h) + b, which is (A h W^T) + b as published: what a neuron reads is then
    the input of its ``nn.Linear``, where D, f and the norm costs look for it.
    """

    def __init__(
        self,
        widths: Sequence[int],
        graph: GraphLike,
        adjacency: Adjacency,
        activation: str,
        norm: str,
        dropout: float,
    ) -> None:
        super().__init__()
        hidden = widths[1:-1]
        self.aggregation = Aggregation(graph, adjacency)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(NODE_NORMS[norm](width, True) for width in hidden)
        self.activations = nn.ModuleList(ACTIVATIONS[activation]() for _ in hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, nodes, features) to (B, nodes, outputs)."""
        for layer, norm, activation in zip(self.layers, self.norms, self.activations):
            x = self.dropout(activation(norm(layer(self.aggregation(x)))))
        return self.layers[-1](self.aggregation(x))


def gcn(
    input_shape: Sequence[int],
    outputs: int,
    graph: GraphLike,
    *,
    hidden: list[Annotated[int, Field(ge=1)]] = [256, 256],  # noqa: B006
    activation: Literal["gelu", "relu", "tanh"] = "relu",
    norm: Literal["layer", "batch", "none"] = "layer",
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    adjacency: Adjacency = "auto",
) -> GCN:
    """A GCN that classifies the nodes of a graph.

    Args:
        hidden: widths of the hidden layers; two make the published three layers.
        norm: before the activation, over the features of each node (``layer``) or over nodes (``batch``).
        dropout: after the activation; runs then train one at a time.
        adjacency: how the product with the adjacency is computed; the numbers agree to rounding.

    Raises:
        SettingError: the samples are not features of the graph's nodes.
    """
    if len(input_shape) != 2 or input_shape[0] != graph.nodes:
        message = f"model=gcn: the data have samples of shape {tuple(input_shape)}"
        raise SettingError(message, f"one row for each of the graph's {graph.nodes} nodes is needed")
    widths = [input_shape[1], *hidden, outputs]
    return initialise(GCN(widths, graph, adjacency, activation, norm, dropout))  # type: ignore[return-value]
