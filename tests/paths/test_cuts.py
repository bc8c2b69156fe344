"""Cuts are where nothing goes past, decided by changing everything else."""

import torch
from torch import nn

from lmc.models.stack import Point, state_of
from lmc.paths import cuts, segments
from lmc.paths.cuts import decides


class Residual(nn.Module):
    """A stem, a block whose first layer something goes past, a norm in the branch, a readout."""

    def __init__(self):
        super().__init__()
        self.stem, self.readout = nn.Linear(6, 5), nn.Linear(5, 4)
        self.block = nn.ModuleDict({"up": nn.Linear(5, 7), "norm": nn.LayerNorm(7), "down": nn.Linear(7, 5)})
        self.after, self.past = nn.Identity(), nn.Tanh()

    def forward(self, x):
        x = torch.tanh(self.stem(x.flatten(1)))
        branch = self.block["down"](torch.relu(self.block["norm"](self.block["up"](x))))
        return self.readout(self.after(self.past(x) + branch))


def _cuts(network, x):
    return cuts(network, state_of(network), x)


def test_a_chain_is_cut_behind_every_layer_but_the_last(pico, samples):
    found = _cuts(pico(1), samples(4)[0])
    assert [cut.layer for cut in found] == ["layers.0", "layers.1"]
    assert [cut.point.call for cut in found] == [0, 1]  # one dropout module, called twice


def test_layers_that_something_goes_past_end_together(fill, samples):
    network = fill(Residual(), 3)
    stem, block = _cuts(network, samples(4)[0])
    assert (stem.layer, stem.layers) == ("stem", ("stem",))
    assert (block.layer, block.layers) == ("block", ("block.up", "block.down"))
    assert block.point == Point("after", "output", 0)


def test_what_goes_past_is_noticed(fill, samples):
    network, x = fill(Residual(), 3), samples(4)[0]
    state = state_of(network)
    assert decides(network, state, x, Point("stem", "output"))
    assert not decides(network, state, x, Point("block.up", "output"))
    assert decides(network, state, x, Point("block.up", "output"), Point("block.norm", "output"))
    assert not decides(network, state, x, Point("block.down", "output"), Point("after", "output"))


def test_phi_reaches_as_far_as_the_output_alone_decides(fill, samples):
    network = fill(Residual(), 3)
    names = ["stem", "block.up", "block.down", "readout"]
    found = segments(network, state_of(network), samples(4)[0], [*names, "never.called"])
    assert [(each.layer, each.end.module) for each in found] == [
        ("stem", "stem"),
        ("block.up", "block.norm"),
        ("block.down", "block.down"),
        ("readout", "readout"),
    ]


def test_a_convolution_is_followed_to_the_flattened_maps(conv_net, samples):
    network, x = conv_net(1, norm=True), samples(4, (2, 4, 4))[0]
    assert [(cut.layer, cut.point.module) for cut in _cuts(network, x)] == [("0", "3")]


def test_no_part_keeps_its_mode(pico, samples):
    network = pico(1, norm="batch").train()
    network.norms[0].eval()
    _cuts(network, samples(4)[0])
    assert network.training
    assert network.norms[1].training
    assert not network.norms[0].training
