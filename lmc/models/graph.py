"""Sums over neighbours: the normalised adjacency of a graph, dense or sparse, under vmap and autograd."""

from __future__ import annotations

from typing import Literal, Protocol

import torch
from torch import Tensor, nn

Adjacency = Literal["auto", "dense", "sparse"]

DENSE_SHARE = 1 / 32
"""Share of non-zero entries from which the dense product is the faster one, measured on one core."""


class GraphLike(Protocol):
    """What a network reads of a graph: edges (2, E) int64, in one direction or both, and its nodes."""

    @property
    def edges(self) -> Tensor:
        """(2, E) int64."""

    @property
    def nodes(self) -> int:
        """How many there are."""


def normalised(graph: GraphLike) -> tuple[Tensor, Tensor]:
    """D^-1/2 (A + I) D^-1/2 of the undirected graph with self loops (arXiv 1609.02907).

    Returns:
        positions (2, M) int64 in row order, each once, and values (M,) float64.
    """
    loops = torch.arange(graph.nodes).expand(2, -1)
    edges = torch.cat([graph.edges, graph.edges.flip(0), loops], dim=1)
    flat = (edges[0] * graph.nodes + edges[1]).unique()
    positions = torch.stack([flat // graph.nodes, flat % graph.nodes])
    scale = torch.bincount(positions[0], minlength=graph.nodes).double().rsqrt()
    return positions, scale[positions[0]] * scale[positions[1]]


class Aggregation(nn.Module):
    """x -> A x over the nodes of (B, n, f), with A as buffers that no checkpoint stores."""

    values: Tensor
    positions: Tensor | None

    def __init__(self, graph: GraphLike, adjacency: Adjacency = "auto") -> None:
        super().__init__()
        positions, values = normalised(graph)
        if adjacency == "auto":
            dense = values.numel() >= DENSE_SHARE * graph.nodes**2
            adjacency = "dense" if dense else "sparse"
        if adjacency == "dense":
            matrix = values.new_zeros(graph.nodes, graph.nodes)
            matrix[positions[0], positions[1]] = values
            positions, values = None, matrix  # type: ignore[assignment]
        self.register_buffer("values", values.float(), persistent=False)
        self.register_buffer("positions", positions, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, n, f) to the same shape."""
        values = self.values if self.values.dtype == x.dtype else self.values.to(x.dtype)
        return values @ x if self.positions is None else aggregate(x, self.positions, values)


@torch.library.custom_op("lmc::aggregate", mutates_args=())
def aggregate(x: Tensor, positions: Tensor, values: Tensor) -> Tensor:
    """The product of a sparse symmetric matrix (n, n) with (..., n, f), over the last axis but one.

    One product for all leading axes, runs too. (COO: as fast as CSR here, and not in beta.)

    Args:
        positions: (2, M) int64 in row order, each once.
        values: (M,), with equal values at (i, j) and (j, i); constants to autograd.
    """
    *leading, nodes, features = x.shape
    matrix = torch.sparse_coo_tensor(
        positions, values, (nodes, nodes), is_coalesced=True, check_invariants=False
    )
    flat = x.reshape(-1, nodes, features).transpose(0, 1).reshape(nodes, -1)
    out = (matrix @ flat).view(nodes, -1, features).transpose(0, 1)
    return out.reshape(*leading, nodes, features).contiguous()


@aggregate.register_fake
def _shape(x: Tensor, positions: Tensor, values: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _keep(ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[1:])


def _gradient(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None, None]:
    return aggregate(gradient, *ctx.saved_tensors), None, None  # type: ignore[attr-defined]


def _over_runs(info: object, axes: tuple[int | None, ...], x: Tensor, *matrix: Tensor) -> tuple[Tensor, int]:
    if axes[0] is None or any(axis is not None for axis in axes[1:]):
        raise NotImplementedError("aggregate: runs share one graph")
    return aggregate(x.movedim(axes[0], 0), *matrix), 0


aggregate.register_autograd(_gradient, setup_context=_keep)
aggregate.register_vmap(_over_runs)
