"""Distances between the function classes of neurons (THEORY 2), in float64."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lmc.core.errors import LmcError
from lmc.core.seeds import generator
from lmc.costs.gram import grams
from lmc.models.stack import chunk

# Steps towards the extreme eigenvectors; steps of ascent, and the rise still to expect at which it ends.
_POWER, _STEPS, _TOLERANCE = 10, 150, 1e-7
# In more dimensions than these the second best start nearly always leads where the best one does.
_FEW_DIMENSIONS = 16
# Of <u, S u>, about its rounding: below it a gradient would be noise.
_FLOOR = 1e-15
_TINY = 1e-150


@dataclass(frozen=True)
class Distance:
    """Hausdorff distances (n, n), symmetric, zero on the diagonal.

    ``lower_bound`` is the best value among the analytic starts, without ascent: a certified lower bound of
    the true maximum. ``distance`` is what ascent found; some direction attains it, so it too bounds the
    maximum from below, and equals it unless every start led to a lesser one.
    """

    distance: Tensor
    lower_bound: Tensor


def class_distance(mask: Tensor | None, centre: Tensor | None, basis: Tensor) -> Tensor:
    """Hausdorff distance of every pair of unit-cost ellipsoids, (n, n); see ``class_distances``."""
    return class_distances(mask, centre, basis).distance


def class_distances(mask: Tensor | None, centre: Tensor | None, basis: Tensor) -> Distance:
    """max over unit u of |h_i(u) - h_j(u)|, h_i(u) = <u, v_i> + ||S_i^{1/2} u||, for every pair (i, j).

    Exact where D is trivial: the ellipsoids are unit balls, as far apart as their centres. Elsewhere by
    projected ascent, for either sign, from the best of several starts and their opposites: v_i - v_j,
    approximate extreme eigenvectors of S_i - S_j, and seeded random directions, which all pairs share.
    (Where S_i and S_j are singular the difference has kinks, and ascent may end several % low.)

    Args:
        mask: D (n, d), or None where it is all ones.
        centre: f (n, d), or None where it is all zeros.
        basis: U (d, k), orthonormal.

    Raises:
        LmcError: neither mask nor centre is given, so that the number of neurons is unknown.
    """
    given = mask if mask is not None else centre
    if given is None:
        raise LmcError("class distances need a mask or centres; without either all classes are one")
    u = basis.double()
    n, k = len(given), u.shape[1]
    v = u.new_zeros(n, k) if centre is None else centre.double() @ u
    if mask is None or bool(mask.bool().all()):
        exact = torch.cdist(v, v, compute_mode="donot_use_mm_for_euclid_dist").fill_diagonal_(0)
        return Distance(exact, exact)
    # Where dimensions are few random directions cover the sphere, elsewhere they hardly add to the rest.
    count = max(4, 128 // k)
    draw = torch.randn(count, k, generator=generator("class distance", k), dtype=u.dtype).to(u.device)
    found, bound = u.new_zeros(n, n), u.new_zeros(n, n)
    # Blocks of b x b pairs: their directions and gradients, and b Gram matrices on either side.
    b = max(1, int(chunk(n * n, 16 * k + 6 * count, itemsize=8) ** 0.5))
    b = min(b, chunk(n, 2 * (k * k + u.shape[0] * k), itemsize=8))
    for top in range(0, n, b):
        rows = slice(top, top + b)
        upper = grams(mask[rows].bool(), u)
        for left in range(top, n, b):
            columns = slice(left, left + b)
            lower = upper if left == top else grams(mask[columns].bool(), u)
            block = _Block(upper, lower, v[rows, None] - v[None, columns])
            for whole, part in zip((found, bound), block.solve(draw), strict=True):
                whole[rows, columns] = part
                whole[columns, rows] = torch.maximum(part, part.mT) if left == top else part.mT
    return Distance(found.fill_diagonal_(0), bound.fill_diagonal_(0))


@dataclass(frozen=True)
class _Block:
    """Pairs of slots i (p of them) and j (q): Gram matrices (p, k, k), (q, k, k), v_i - v_j (p, q, k)."""

    gram_i: Tensor
    gram_j: Tensor
    apart: Tensor

    def solve(self, draw: Tensor) -> tuple[Tensor, Tensor]:
        """Distances and lower bounds (p, q)."""
        first = torch.broadcast_to(draw[0], self.apart.shape)
        extreme = [self._extreme(sign, _unit(first)) for sign in (1, -1)]
        analytic = [_unit(self.apart), *extreme]
        starts = analytic + [torch.broadcast_to(_unit(row), self.apart.shape) for row in draw]
        parts = [self._parts(u) for u in starts]
        linear = torch.stack([(u * self.apart).sum(dim=2) for u in starts])
        norms = torch.stack([value for value, *_ in parts]) - linear
        values = torch.cat([norms + linear, norms - linear])  # of u and of -u
        count, followed = len(starts), 2 if self.apart.shape[2] <= _FEW_DIMENSIONS else 1
        bound = values.view(2, count, *norms.shape[1:])[:, : len(analytic)].abs().amax(dim=(0, 1))
        best = bound
        for sign in (1, -1):
            for one in (sign * values).topk(followed, dim=0).indices:
                u = torch.zeros_like(self.apart)
                for index, start in enumerate(starts):
                    at = one % count == index
                    u[at] = start[at]
                u = torch.where((one >= count)[..., None], -u, u)
                best = torch.maximum(best, self._ascend(u, sign))
        return best, bound

    def _products(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """S_i u and S_j u of directions (p, q, k)."""
        return u @ self.gram_i, (u.transpose(0, 1) @ self.gram_j).transpose(0, 1)

    def _parts(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """h_i(u) - h_j(u) (p, q), its gradient (p, q, k), and ||S^{1/2} u|| of either side (p, q)."""
        ours, theirs = self._products(u)
        n_i, n_j = ((u * part).sum(dim=2).clamp_min(_FLOOR).sqrt() for part in (ours, theirs))
        gradient = self.apart + ours / n_i[..., None] - theirs / n_j[..., None]
        return (u * self.apart).sum(dim=2) + n_i - n_j, gradient, n_i, n_j

    def _extreme(self, sign: int, u: Tensor) -> Tensor:
        """Towards the eigenvector of the greatest eigenvalue of sign (S_i - S_j), which lies in [-1, 1]."""
        for _ in range(_POWER):
            ours, theirs = self._products(u)
            u = _unit(u + sign * (ours - theirs))
        return u

    def _ascend(self, u: Tensor, sign: int) -> Tensor:
        """The value of sign (h_i - h_j) (p, q) reached from u, by steps along the sphere that never lower it.

        Their lengths are Barzilai and Borwein's. One that fails is cut, down to a step that must rise, to
        the maximum of a minorant: S <= L I gives -||S^{1/2} w|| >= <w, L u - S u> / ||S^{1/2} u|| + const
        for unit w, and the rest is convex.
        """
        value, tangent, certain = self._tangent(u, sign)
        length = certain
        for _ in range(_STEPS):
            trial = _unit(u + length[..., None] * tangent)
            new_value, new_tangent, new_certain = self._tangent(trial, sign)
            better = new_value > value
            step, change = trial - u, tangent - new_tangent
            curvature = (step * change).sum(dim=2)
            borwein = torch.where(
                curvature > 0, step.square().sum(dim=2) / curvature.clamp_min(_TINY), 4 * length
            )
            length = torch.where(
                better, torch.maximum(borwein, new_certain), torch.maximum(length / 4, certain)
            )
            u = torch.where(better[..., None], trial, u)
            tangent = torch.where(better[..., None], new_tangent, tangent)
            value, certain = torch.where(better, new_value, value), torch.where(better, new_certain, certain)
            slope = tangent.square().sum(dim=2)
            if (slope * length <= _TOLERANCE * value.abs()).all():
                break
        return value

    def _tangent(self, u: Tensor, sign: int) -> tuple[Tensor, Tensor, Tensor]:
        """sign (h_i - h_j) (p, q), its gradient along the sphere, and a step's length certain to rise."""
        value, gradient, n_i, n_j = self._parts(u)
        value = sign * value
        n, gram = (n_j, self.gram_j) if sign > 0 else (n_i, self.gram_i[:, None])
        most = gram.norm(dim=(-2, -1)).clamp_max(1)
        # The difference is homogeneous, so its own value is the gradient's part along u.
        return value, sign * gradient - value[..., None] * u, n / (most + n * value).clamp_min(_TINY)


def _unit(u: Tensor) -> Tensor:
    """Directions of length one; the first axis where there is none."""
    length = u.norm(dim=-1, keepdim=True)
    axis = torch.zeros_like(u)
    axis[..., 0] = 1
    return torch.where(length > _TINY, u / length.clamp_min(_TINY), axis)
