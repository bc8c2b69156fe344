"""MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100, from the Hub or from a folder of its parquet files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import torch
from pydantic import Field

from lmc.core import seeds
from lmc.core.errors import DataError
from lmc.data import cache, columns, pictures, sources
from lmc.data.dataset import Raw

Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class _ImageSet:
    """A published set: its name on the Hub, the shape of an image, its label column and classes."""

    hub: str
    shape: tuple[int, int, int]
    classes: int
    label: str = "label"

    def load(self, path: str | None, samples: int | None, augment: bool = False) -> Raw:
        source = sources.on_hub(self.hub) if path is None else sources.in_folder(path)
        raw = cache.cached([self.hub, self.label, source.identity], lambda: self._decode(source))
        first: dict[str, Any] = {}
        if samples:
            first = {name: _some(tensor, samples) for name, tensor in raw.tensors.items()}
        return replace(raw, augment=augment, **first)

    def _decode(self, source: sources.Source) -> Raw:
        tables = source.read()
        inputs, targets = self._samples(tables["train"], f"{source.place}: train")
        raw = Raw(inputs, targets, "cross_entropy", self.classes, kind="image", scale=255.0)
        if "test" not in tables:
            return raw
        inputs, targets = self._samples(tables["test"], f"{source.place}: test")
        return replace(raw, test_inputs=inputs, test_targets=targets)

    def _samples(self, table: pa.Table, where: str) -> tuple[torch.Tensor, torch.Tensor]:
        name = next((field.name for field in table.schema if columns.is_image(field.type)), None)
        if name is None:
            raise DataError(f"{where}: no image column", "columns: " + ", ".join(table.column_names))
        found = {name: columns.column(table, name, where)}
        pixels = pictures.images(found, where)[name]
        if pixels.shape[1:] != self.shape:
            given, right = (" x ".join(map(str, shape)) for shape in (pixels.shape[1:], self.shape))
            message = f"{where}: images of {given}, where {self.hub} has {right}"
            raise DataError(message, "use data=hub for a set of your own")
        labels = columns.numbers(columns.column(table, self.label, where), f"{where}: {self.label}")
        strange = np.unique(labels[(labels < 0) | (labels >= self.classes) | (labels % 1 != 0)])
        if len(strange):
            listed = ", ".join(f"{label:g}" for label in strange[:5])
            raise DataError(f"{where}: {self.label} holds {listed}", f"expected 0 to {self.classes - 1}")
        return torch.from_numpy(pixels), torch.from_numpy(labels.astype(np.int64))


def _some(tensor: torch.Tensor, count: int) -> torch.Tensor:
    """The first of a fixed random order: published sets may be sorted by class."""
    if count >= len(tensor):
        return tensor
    return tensor[torch.randperm(len(tensor), generator=seeds.generator("samples"))[:count]]


_MNIST = _ImageSet("ylecun/mnist", (1, 28, 28), 10)
_FASHION_MNIST = _ImageSet("zalando-datasets/fashion_mnist", (1, 28, 28), 10)
_CIFAR10 = _ImageSet("uoft-cs/cifar10", (3, 32, 32), 10)
_CIFAR100 = _ImageSet("uoft-cs/cifar100", (3, 32, 32), 100, "fine_label")


def mnist(*, path: str | None = None, samples: Count | None = None) -> Raw:
    """Handwritten digits, 60,000 and 10,000 images (1, 28, 28).

    Args:
        path: a folder of parquet files named train-* and test-*; None takes it from the Hub.
        samples: only so many of the training images, and at most so many test images, the first of a fixed
            random order (sets may be sorted by class); None is all.
    """
    return _MNIST.load(path, samples)


def fashion_mnist(*, path: str | None = None, samples: Count | None = None) -> Raw:
    """Articles of clothing, 60,000 and 10,000 images (1, 28, 28); settings as for ``mnist``."""
    return _FASHION_MNIST.load(path, samples)


def cifar10(*, path: str | None = None, samples: Count | None = None, augment: bool = True) -> Raw:
    """Photographs in ten classes, 50,000 and 10,000 images (3, 32, 32).

    Args:
        path, samples: as for ``mnist``.
        augment: train on random crops (padded by 4 black pixels) and flips, as published.
    """
    return _CIFAR10.load(path, samples, augment)


def cifar100(*, path: str | None = None, samples: Count | None = None, augment: bool = True) -> Raw:
    """Photographs in a hundred classes; settings as for ``cifar10``."""
    return _CIFAR100.load(path, samples, augment)
