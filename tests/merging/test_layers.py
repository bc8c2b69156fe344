"""What of a network can be refitted."""

import torch
from torch import nn

from lmc.merging import MERGERS, Material
from lmc.merging.mean import average
from lmc.models.stack import state_of


def test_what_cannot_be_refitted_is_the_mean_and_named(fill, samples):
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.grouped = nn.Conv2d(2, 2, 1, groups=2)
            self.reflected = nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect")
            self.twice, self.idle = nn.Linear(3, 3), nn.Linear(3, 3)
            self.scale, self.out = nn.Parameter(torch.ones(1, 3)), nn.Linear(12, 4)

        def forward(self, x):
            h = self.reflected(self.grouped(x[:, :, None].expand(-1, -1, 3, -1).contiguous())) * self.scale
            return self.out(torch.tanh(self.twice(self.twice(h)))[:, :, :2].flatten(1))

    network = Odd().double()
    states = [{k: v.clone() for k, v in state_of(fill(Odd().double(), seed)).items()} for seed in range(2)]
    inputs, _ = samples(40, dtype=torch.float64)
    merged = MERGERS["representation"](Material(states, network, inputs, None))
    (note,) = merged.notes
    assert note.partition(": ")[2].split(", ") == [
        "grouped.weight (a grouped convolution)",
        "reflected.weight (a convolution of reflect padding)",
        "twice.weight (called 2 times)",
        "scale (of Odd)",
        "idle.weight (not called)",
    ]
    mean = average(states)
    assert [name for name in mean if not torch.equal(merged.state[name], mean[name])] == [
        "out.weight",
        "out.bias",
    ]
