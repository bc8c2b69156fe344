"""Does the mask break permutation symmetry on these data? Anisotropy and its bound (THEORY 3), in float64."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lmc.core.errors import LmcError
from lmc.core.linear_algebra import coherence
from lmc.costs.gram import basis_rows, grams
from lmc.models.stack import chunk


def anisotropy(mask: Tensor, basis: Tensor) -> Tensor:
    """||S_i - p I||_2 of every slot, (n,): how far its Gram matrix is from that of a scaled trivial mask.

    Zero where D is all ones. With fewer than k fixed coordinates F the eigenvalues of S_i are 1 and those
    of I - U_F U_F^T, a smaller matrix.

    Args:
        mask: D (n, d); p is the mean of all of it.
        basis: U (d, k), orthonormal.
    """
    u, free = basis.double(), mask.bool()
    (n, d), k = free.shape, u.shape[1]
    found = u.new_zeros(n)
    if free.all():
        return found
    p = float(free.double().mean())
    by_fixed = d - int(free.sum(dim=1).min()) < k
    step = chunk(n, k * (2 * k + d), itemsize=8)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        if by_fixed:
            fixed = basis_rows(~free[rows], u)
            values = 1 - torch.linalg.eigvalsh(fixed @ fixed.mT)
            found[rows] = (values - p).abs().amax(dim=1).clamp_min(1 - p)
        else:
            found[rows] = (torch.linalg.eigvalsh(grams(free[rows], u)) - p).abs().amax(dim=1)
    return found


def bound(mask: Tensor, basis: Tensor, delta: float) -> float:
    """What a slot's anisotropy exceeds with probability at most ``delta``, by matrix Bernstein (THEORY 3).

    (2/3) B nu log(2k/delta) + sqrt(2 s^2 nu log(2k/delta)), natural logarithms, with B = max(p, 1-p) and
    s^2 = p (1-p); p is the mean of ``mask`` (n, d) and nu the coherence of ``basis`` (d, k). (The
    published code has B = p.) A fixed number of zeros a slot, drawn without replacement, obeys it too.

    Raises:
        LmcError: delta outside (0, 1).
    """
    if not 0 < delta < 1:
        raise LmcError(f"delta={delta}: outside (0, 1)")
    p = float(mask.double().mean())
    nu, log = coherence(basis), math.log(2 * basis.shape[1] / delta)
    return 2 / 3 * max(p, 1 - p) * nu * log + math.sqrt(2 * p * (1 - p) * nu * log)
