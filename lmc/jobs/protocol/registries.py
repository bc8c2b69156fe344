"""Where the builders of each settings group are registered, without importing any of them."""

from __future__ import annotations

REGISTRIES = {
    "data": ("lmc.data", "DATASETS"),
    "model": ("lmc.models", "MODELS"),
    "variant": ("lmc.variants", "VARIANTS"),
    "match": ("lmc.matching", "MATCHERS"),
    "merge": ("lmc.merging", "MERGERS"),
}
"""Group to the room and the name of its registry, a plain dict in the room's ``__init__``."""
