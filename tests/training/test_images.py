"""Training on images: convolutions alone and stacked, random crops of each run's own."""

import torch
from torch import nn

from lmc import models
from lmc.data.augmentation import CropAndFlip
from lmc.models.stack import layouts, unstack

SHAPE = (2, 4, 4)
CROP = CropAndFlip(torch.zeros(2, 1, 1), padding=1)


def _states(training):
    return {name: value.clone() for name, value in training.trainee.states().items()}


def test_convolutions_train_alone_as_in_a_stack_and_as_a_plain_loop(start, conv_net):
    """Channels-last leaves change no number beyond rounding."""
    settings = {"net": conv_net, "shape": SHAPE, "optimiser": "sgd", "momentum": 0.9, "clip": None}
    together = start([0, 1], **settings)
    together.fit.run()
    alone = start([1], **settings)
    order = [alone.fit.orders(epoch)[0] for epoch in range(3)]
    alone.fit.run()
    network = conv_net(1).train()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9)
    for rows in order:
        for batch in (*rows[:20].split(4),):
            optimiser.zero_grad()
            loss = nn.functional.cross_entropy(network(alone.inputs[batch]), alone.targets[batch])
            loss.backward()
            with torch.no_grad():  # decoupled decay, before the step
                for tensor in network.parameters():
                    tensor.mul_(1 - 0.02 * 0.3)
            optimiser.step()
    for name, value in network.state_dict().items():
        torch.testing.assert_close(alone.trainee.states()[name][0], value, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(together.trainee.states()[name][1], value, rtol=1e-4, atol=1e-5)


def test_a_convolution_is_kept_channels_last_and_seen_as_it_is(start, conv_net):
    assert layouts(conv_net()) == {"0.weight": (0, 1, 3, 4, 2), "3.weight": (0, 2, 1)}
    for runs in ([0], [0, 1]):
        trainee = start(runs, net=conv_net, shape=SHAPE).trainee
        assert trainee.leaves["0.weight"].shape == (len(runs), 4, 3, 3, 2)
        view = trainee.views()["0.weight"]
        assert view.shape == (len(runs), 4, 2, 3, 3)
        assert view[0].is_contiguous(memory_format=torch.channels_last) == (len(runs) == 1)
        for run in runs:
            state = unstack(trainee.states(), run)
            assert all(torch.equal(state[name], value) for name, value in conv_net(run).state_dict().items())
            assert all(value.is_contiguous() for value in state.values())


def test_residual_networks_with_group_norms_train_stacked(start):
    def build(seed=0):
        return models.build("resnet20", {}, {"input_shape": (3, 8, 8), "outputs": 4, "graph": None}, seed)

    settings = {"net": build, "shape": (3, 8, 8), "optimiser": "sgd", "clip": None}
    together, alone = start([0, 1], **settings), start([1], **settings)
    together.fit.run()
    alone.fit.run()
    for name, value in alone.trainee.states().items():
        torch.testing.assert_close(together.trainee.states()[name][1], value[0], rtol=1e-3, atol=1e-4)


class Tied(nn.Module):
    """A readout that is the embedding, transposed: one tensor under two names."""

    def __init__(self):
        super().__init__()
        self.embed, self.readout = nn.Linear(32, 4, bias=False), nn.Linear(32, 4, bias=False)
        self.readout.weight = self.embed.weight

    def forward(self, x):
        x = x.flatten(1)
        return self.readout(torch.tanh(self.embed(x) @ self.embed.weight))


def test_tied_tensors_are_one_in_training(start):
    def build(seed=0):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return Tied()

    training = start([0, 1], net=build, shape=SHAPE)
    assert [*training.trainee.leaves] == ["embed.weight"]
    training.fit.run()
    states = training.trainee.states()
    assert torch.equal(states["embed.weight"], states["readout.weight"])
    assert not torch.equal(states["embed.weight"][0], build(0).embed.weight)


def test_crops_are_each_runs_own_and_do_not_depend_on_its_company(start, conv_net):
    settings = {"net": conv_net, "shape": SHAPE}
    plain = start([3, 4], **settings)
    plain.fit.run()
    together = start([3, 4], augment=CROP, **settings)
    together.fit.run()
    for place, seed in enumerate([3, 4]):
        alone = start([seed], augment=CROP, **settings)
        alone.fit.run()
        for name, value in _states(alone).items():
            torch.testing.assert_close(value[0], _states(together)[name][place], rtol=1e-3, atol=1e-4)
            assert not torch.equal(value[0], _states(plain)[name][place])


def test_crops_go_on_where_they_stopped(start, conv_net):
    settings = {"net": conv_net, "shape": SHAPE, "augment": CROP}
    whole = start([3], **settings)
    whole.fit.run()
    first = start([3], **settings)
    left = iter(range(8))
    assert not first.fit.run(stopped=lambda: next(left) == 7)
    second = start([3], states=[unstack(first.trainee.states(), 0)], **settings)
    second.fit.restore([{name: value.clone() for name, value in first.fit.tensors(0).items()}])
    second.fit.run()
    assert all(torch.equal(value, _states(whole)[name]) for name, value in _states(second).items())
