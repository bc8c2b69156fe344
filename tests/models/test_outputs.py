"""Outputs of any form become one tensor; a shape that does not fit the data is refused by name."""

import sys
import types
from collections import OrderedDict, namedtuple
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from lmc import models
from lmc.core.errors import SettingError
from lmc.models.outputs import Readout, check_outputs
from lmc.models.stack import forward, stack_states, state_of

LOGITS, HIDDEN = torch.arange(6.0).view(2, 3), torch.zeros(2, 5)
Named = namedtuple("Named", ["hidden", "logits"])


@dataclass
class Answer:
    loss: None
    hidden: torch.Tensor
    logits: torch.Tensor


@pytest.mark.parametrize(
    ("output", "returned"),
    [
        (None, LOGITS),
        (None, (LOGITS, HIDDEN)),
        (None, [[LOGITS], HIDDEN]),
        (None, {"hidden": HIDDEN, "logits": LOGITS}),
        (None, {"out": LOGITS, "hidden": HIDDEN}),
        (None, Answer(None, HIDDEN, LOGITS)),
        (None, Named(HIDDEN, LOGITS)),
        (None, (None, LOGITS)),
        (1, (HIDDEN, LOGITS)),
        (-1, [HIDDEN, HIDDEN, LOGITS]),
        ("answer", OrderedDict(logits=HIDDEN, answer=LOGITS)),
        ("logits", Named(HIDDEN, LOGITS)),
        ("parts", {"parts": (LOGITS, HIDDEN)}),
        (None, LOGITS.bfloat16()),
    ],
)
def test_one_tensor_is_taken(output, returned):
    found = Readout(output)(nn.Identity(), (), returned)
    assert torch.equal(found, LOGITS)
    assert found.dtype == torch.float32


@pytest.mark.parametrize(
    ("output", "returned", "message"),
    [
        (None, None, "returns NoneType"),
        ("nolits", {"logits": LOGITS}, "no tensor 'nolits'; it returns logits"),
        (2, (LOGITS, HIDDEN), "no tensor 2; it returns 0, 1"),
        (None, (), "returns tuple"),
    ],
)
def test_where_there_is_none_its_parts_are_named(output, returned, message):
    with pytest.raises(SettingError, match=message):
        Readout(output)(nn.Identity(), (), returned)


def _returning(function):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 4)

        def forward(self, x):
            return function(self.layer(x.flatten(1)))

    return Net()


def _check(network, inputs, shape=(3, 4), more=True):
    check_outputs("model=mine", network, inputs, shape, more)


def test_shapes_that_fit_pass(samples):
    inputs = samples(3)[0]
    _check(_returning(lambda h: h), inputs)
    _check(_returning(lambda h: h), inputs, (3, 2))
    _check(_returning(lambda h: h), inputs, (3, 4), more=False)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda h: h[:, None], r"outputs are \(3, 1, 4\) for 3 samples \(the data need \(3, 4\), at least 4"),
        (lambda h: h[:, 0], r"outputs are \(3,\) for 3 samples"),
        (lambda h: h[:, :2], r"outputs are \(3, 2\)"),
        (lambda h: h[:2], r"outputs are \(2, 4\)"),
        (lambda h: h.sum(), r"outputs are \(\) for 3 samples"),
        (lambda h: h.long(), "outputs are int64"),
        (lambda h: h @ h, r"does not run on samples \(3, 2, 3\) float32: RuntimeError: mat1 and mat2"),
    ],
)
def test_others_are_refused_with_both_shapes(samples, function, message):
    with pytest.raises(SettingError, match=message):
        _check(_returning(function), samples(3)[0])


def test_more_outputs_than_values_are_refused(samples):
    with pytest.raises(SettingError, match=r"the data need \(3, 2\), 2 outputs a sample"):
        _check(_returning(lambda h: h), samples(3)[0], (3, 2), more=False)


@pytest.fixture
def own(monkeypatch):
    """Builds a network of a user's own code from a function of its outputs."""

    def build(builder, **settings):
        module = types.ModuleType("mynets")
        module.net = builder
        monkeypatch.setitem(sys.modules, "mynets", module)
        given = {"input_shape": (2, 3), "outputs": 4, "graph": None}
        bound = models.bind({"name": "mynets:net", **settings})
        return models.build("mynets:net", bound, given, 7)

    return build


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_networks_of_other_types_are_made_float32(own, samples, dtype):
    network = own(lambda input_shape, outputs: nn.Sequential(nn.Flatten(), nn.Linear(6, outputs)).to(dtype))
    assert {tensor.dtype for tensor in network.state_dict().values()} == {torch.float32}
    _check(network, samples(3)[0])


def test_lazy_modules_learn_their_shapes_and_are_the_same_for_a_seed(own, samples):
    def lazy(input_shape, outputs):
        return nn.Sequential(
            nn.Flatten(), nn.LazyLinear(5), nn.LazyBatchNorm1d(), nn.LazyLinear(outputs).half()
        )

    one, other = own(lazy), own(lazy)
    assert one[1].weight.shape == (5, 6)
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())
    assert torch.equal(one[2].running_mean, torch.zeros(5))
    _check(one, samples(3)[0])


def test_autocast_outputs_are_float32(own, samples):
    class Net(nn.Linear):
        def forward(self, x):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return super().forward(x.flatten(1))

    network = own(lambda input_shape, outputs: Net(6, outputs)).eval()
    assert network(samples(3)[0]).dtype == torch.float32


def test_a_named_part_reaches_stacks_and_records(own, samples):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(6, 4), nn.Linear(6, 4)

        def forward(self, x):
            return {"logits": self.a(x.flatten(1)), "other": self.b(x.flatten(1))}

    network = own(lambda input_shape, outputs: Net(), output="other").eval()
    inputs = samples(3)[0]
    outputs, _ = forward(network, stack_states([state_of(network)] * 2), inputs)
    torch.testing.assert_close(outputs[1], network.b(inputs.flatten(1)))


@pytest.mark.parametrize("output", [True, 1.5, ["logits"]])
def test_a_part_is_a_name_or_a_place(own, output):
    with pytest.raises(SettingError, match=r"model\.output="):
        own(lambda input_shape, outputs: nn.Identity(), output=output)


def test_what_is_no_module_is_refused(own):
    with pytest.raises(SettingError, match="returns a int"):
        own(lambda input_shape, outputs: 3)
    with pytest.raises(SettingError, match="lazy layers cannot take their shapes"):
        own(lambda input_shape, outputs: nn.Sequential(nn.Linear(5, 5), nn.LazyLinear(outputs)))
