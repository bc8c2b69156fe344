"""Records as tests need them: complete, and short to write."""

import pytest

from lmc.store.records import Merge, Train

MADE = {
    "experiment": "e",
    "data": {"name": "digits"},
    "model": {"name": "mlp"},
    "mask_seed": 0,
    "data_digest": "d",
    "constraint_digest": "c",
}
TRAINED = {
    "variant": {"name": "standard"},
    "training": {"epochs": 1},
    "init_seed": None,
    "order_seed": None,
    "start": None,
}
MERGED = {"sources": [], "match": {"name": "none"}, "merge": {"name": "mean"}, "restatistics": None}


@pytest.fixture(scope="session")
def train_record():
    """Makes a record of a trained experiment, with the given keys changed."""
    return lambda **changes: Train(**{**MADE, **TRAINED, **changes})


@pytest.fixture(scope="session")
def merge_record():
    """Makes a record of a merged run, with the given keys changed."""
    return lambda **changes: Merge(**{**MADE, **MERGED, **changes})
