"""Subspaces and their coherence (THEORY 2, 3), in float64."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from lmc.core.errors import LmcError


def principal_directions(covariance: Tensor, ratio: float) -> tuple[Tensor, float]:
    """The fewest leading eigenvectors that explain ``ratio`` of the variance.

    Args:
        covariance: (d, d), symmetric, positive semi-definite.
        ratio: in (0, 1].

    Returns:
        basis (d, k), orthonormal, and the share of variance it explains.
    """
    if not 0 < ratio <= 1:
        raise LmcError(f"ratio={ratio}: outside (0, 1]")
    if not torch.isfinite(covariance).all():
        raise LmcError("the inputs hold NaN or infinite values, so they span no subspace")
    values, vectors = torch.linalg.eigh(covariance.double())
    values = values.flip(0).clamp_min(0)
    floor = values[0] * values.numel() * torch.finfo(torch.float64).eps
    values = torch.where(values > floor, values, 0)
    total = values.sum()
    if total <= 0:
        raise LmcError("the inputs are constant, so they span no subspace")
    explained = values.cumsum(0) / total
    k = min(int((explained < ratio - 1e-12).sum()) + 1, int((values > 0).sum()))
    return vectors.flip(1)[:, :k].contiguous(), float(explained[k - 1])


def coherence(basis: Tensor) -> float:
    """nu(U) = max over coordinates r of ||U_r||^2, between k/d and 1 (THEORY 3). ``basis`` is (d, k)."""
    return float(basis.double().square().sum(dim=1).max())


def random_orthonormal(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """(rows, columns) with orthonormal columns, uniform among all such; ``columns <= rows``."""
    drawn = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    basis, triangle = torch.linalg.qr(drawn)
    return basis * triangle.diagonal().sign()


def rotate_to_coherence(basis: Tensor, target: float) -> Tensor:
    """The orthogonal Q for which ``coherence(Q @ basis)`` is ``target`` (THEORY 3).

    A product of Givens rotations of two coordinates each. Downwards they take the rows of largest and of
    smallest leverage, and bring the first to the target: each time one more row is there. Upwards
    they take the row of largest leverage and the one with which it can grow most, until it is there.
    Near ties of leverage go to the first row, so that another machine's rounding changes no choice.

    Args:
        basis: (d, k), orthonormal columns.
        target: between k/d and 1.

    Returns:
        (d, d), float64; data in rows are rotated by ``x @ Q.T``.

    Raises:
        LmcError: the target is out of reach, with the possible range and the present coherence.
    """
    rows = basis.detach().cpu().double().numpy().copy()
    d, k = rows.shape
    leverage, rotation = np.square(rows).sum(1), np.eye(d)
    if not k / d - _EXACT <= target <= 1:
        # Rounded up, so that the lower end can be typed as it is shown.
        message = f"out of reach: a subspace of {k} of {d} dimensions has one from {_round_up(k / d)} to 1"
        raise LmcError(message, f"it is {leverage.max():.6g} now")
    upwards, top = leverage.max() < target, _first_largest(leverage)
    for _ in range(_MOST_ROUNDS * d):
        excess = np.where(abs(leverage - target) > _EXACT, leverage - target, 0)
        if upwards:
            first, second = top, _first_largest(_gains(rows, leverage, top))
            done = excess[top] >= 0
        else:
            first, second = _first_largest(excess), _first_largest(-excess)
            done = excess[first] <= 0 or excess[second] >= 0
        if done:
            return torch.from_numpy(rotation)
        pair = [first, second]
        turn = _turn(leverage[first], leverage[second], float(rows[first] @ rows[second]), target)
        rows[pair], rotation[pair] = turn @ rows[pair], turn @ rotation[pair]
        leverage[pair] = np.square(rows[pair]).sum(1)
    raise LmcError(f"coherence {target}: not reached, the largest leverage is {leverage.max():.6g}")


_EXACT = 1e-12
_MOST_ROUNDS = 1000


def _round_up(value: float) -> float:
    return math.ceil(value * 1e6 - 1e-6) / 1e6


def _first_largest(values: np.ndarray) -> int:
    return int(values.astype(np.float32).argmax())


def _gains(rows: np.ndarray, leverage: np.ndarray, top: int) -> np.ndarray:
    """(d,): by how much a rotation with each other row can raise the leverage of row ``top``."""
    products, half = rows @ rows[top], (leverage[top] - leverage) / 2
    length = half + np.hypot(half, products)
    gains = np.divide(products**2, length, out=np.zeros_like(length), where=length > 0)
    gains[top] = -1
    return gains


def _turn(a: float, b: float, product: float, target: float) -> np.ndarray:
    """(2, 2): the least rotation by which the row of leverage a >= b comes to, or nearest to, the target.

    At the angle t its leverage is (a + b)/2 + (a - b)/2 cos 2t + product sin 2t.
    """
    radius, phase = math.hypot((a - b) / 2, product), math.atan2(product, (a - b) / 2)
    wished = (target - (a + b) / 2) / radius
    angle = (phase - math.copysign(math.acos(min(1.0, max(-1.0, wished))), phase)) / 2
    return np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])


def is_finite_like(tensor: Tensor, like: Tensor) -> bool:
    """Whether every entry is finite or the infinity that ``like`` has there, as in a causal mask of -inf."""
    return bool((tensor.isfinite() | (tensor.isinf() & (tensor == like))).all())


def between(a: Tensor, b: Tensor, share: float, out: Tensor | None = None) -> Tensor:
    """(1 - share) a + share b; where a and b are equal it is that value, bit by bit, also an infinite one."""
    made = torch.mul(a, 1 - share, out=out).add_(b, alpha=share)
    same = a == b
    return torch.where(same, a, made, out=made) if same.any() else made
