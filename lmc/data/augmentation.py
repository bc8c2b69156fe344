"""Random crops and flips of a whole batch of images at once, as CIFAR is published with (THEORY 1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

PADDING = 4


@dataclass(frozen=True, eq=False)
class CropAndFlip:
    """Shift each image by up to ``padding`` pixels either way, then mirror half of them left to right.

    Attributes:
        fill: (C, 1, 1), what comes in from outside: a black pixel as the networks see it.
        padding: pixels.
    """

    fill: Tensor
    padding: int = PADDING

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """Other images (B, C, H, W) of the same batch; ``generator`` is on the CPU, the images anywhere.

        The draws depend on the generator and on B alone.
        """
        count, channels, height, width = images.shape
        pad, device = self.padding, images.device
        shifts = torch.randint(2 * pad + 1, (2, count, 1), generator=generator).to(device)
        mirrored = torch.randint(2, (count, 1), generator=generator).bool().to(device)
        padded = self.fill.to(images).expand(count, -1, height + 2 * pad, width + 2 * pad).contiguous()
        padded[:, :, pad : pad + height, pad : pad + width] = images
        columns = torch.arange(width, device=device)
        columns = torch.where(mirrored, columns.flip(0), columns) + shifts[1]
        rows = torch.arange(height, device=device) + shifts[0]
        index = (rows[:, :, None] * padded.shape[3] + columns[:, None, :]).view(count, 1, -1)
        return padded.flatten(2).gather(2, index.expand(-1, channels, -1)).view_as(images)
