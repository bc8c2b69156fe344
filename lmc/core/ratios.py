"""Costs against costs: the one place where a swap cost is divided by what it is compared with."""

from __future__ import annotations

from typing import Any


def relative_swap_cost(swap: Any, own_i: Any, own_j: Any) -> Any:
    """Delta[i, j] / (C[i, i] + C[j, j]) (THEORY 2): what an exchange adds to what two neurons cost already.

    Of means of a layer it is mean Delta over twice the mean own cost, which is the mean of C[i, i] + C[j, j]
    over pairs.

    Args:
        swap, own_i, own_j: numbers, tensors or columns of one shape. Nothing over nothing is NaN.
    """
    return swap / (own_i + own_j)
