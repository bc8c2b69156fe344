"""Linear centred kernel alignment of two representations, from moments (arXiv 1905.00414)."""

from __future__ import annotations

import math

from torch import Tensor

from lmc.recording import Moments


def linear_cka(cross: Tensor, own_a: Tensor, own_b: Tensor) -> float:
    """||C_ab||_F^2 / (||C_aa||_F ||C_bb||_F), in [0, 1]; NaN where one representation is constant.

    With centred features X (N, n) and Y (N, m) this is ||X^T Y||_F^2 / (||X^T X||_F ||Y^T Y||_F): the same
    after any rotation and any common scaling of either.

    Args:
        cross: C_ab (n, m), the cross-covariance.
        own_a, own_b: C_aa (n, n) and C_bb (m, m).
    """
    scale = float(own_a.double().norm() * own_b.double().norm())
    return float(cross.double().square().sum()) / scale if scale > 0 else math.nan


def cka(moments: Moments, a: int, b: int) -> float:
    """Linear CKA of two runs at a point; the moments hold both runs' covariances and the one between them.

    Positions of convolutions and tokens are samples, as everywhere in ``lmc.recording``.
    """
    return linear_cka(moments.covariance(a, b), moments.covariance(a), moments.covariance(b))
