"""scikit-learn's handwritten digits: 1797 images of 8 x 8, ten classes, nothing to download."""

from __future__ import annotations

import torch

from lmc.data.dataset import Raw


def digits() -> Raw:
    """Handwritten digits, (1797, 1, 8, 8), values 0 to 16. The set has no test split of its own."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return Raw(
        inputs=torch.from_numpy(found.images.astype("uint8")).unsqueeze(1),
        targets=torch.from_numpy(found.target.astype("int64")),
        task="cross_entropy",
        outputs=10,
        kind="image",
        scale=16.0,
    )
