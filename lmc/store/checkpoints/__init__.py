"""Checkpoint files that lmc did not write: read without running code, and fitted to a network's tensors."""

from lmc.store.checkpoints.fitting import Fitted, fit
from lmc.store.checkpoints.reading import Checkpoint, read

__all__ = ["SUFFIXES", "Checkpoint", "Fitted", "fit", "read"]

SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".tar", ".pkl", ".th", ".index.json")
"""What checkpoints are usually called. What a file is, its first bytes say."""
