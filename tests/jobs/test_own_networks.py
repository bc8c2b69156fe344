"""Commands on networks of a user's own: random, frozen, masked, of other shapes and types."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import lmc.jobs.planning.carrying_out as job
from lmc import api
from lmc.core.errors import Interrupted, LmcError
from lmc.jobs.opening.data import load_data
from tests.jobs.test_train import assert_equal, stop_after, weights

NETS = """
import math
import torch
from torch import nn
import torch.nn.functional as F

class Net(nn.Module):
    def __init__(self, outputs, kind):
        super().__init__()
        self.kind = kind
        self.a, self.b, self.c = nn.Linear(64, 8), nn.Linear(8, 8), nn.Linear(8, outputs)
        self.register_buffer("mask", torch.full((2, 2), -math.inf).triu(1))
        if kind == "frozen":
            self.b.requires_grad_(False)
            nn.init.eye_(self.b.weight)
            nn.init.zeros_(self.b.bias)

    def forward(self, x):
        x = x.flatten(1)
        if self.kind == "writes":
            x -= 0.3
        h = self.b(torch.tanh(self.a(x)))
        if self.kind == "random":
            h = F.dropout(h, 0.2, self.training)
        if self.kind == "causal":
            t = h.view(len(h), 2, 4)
            h = (F.softmax(t @ t.mT + self.mask, -1) @ t).flatten(1)
        h = self.c(h)
        return h[:, None] if self.kind == "token" else (h, x) if self.kind == "tuple" else h

def net(input_shape, outputs, *, kind: str = "plain"):
    made = Net(outputs, kind)
    return made.bfloat16() if kind == "half" else made
"""


class Talking:
    """A talk that keeps what is said."""

    def __init__(self) -> None:
        from lmc.jobs.protocol.talk import Silent

        self.said: list[str] = []
        self.progress = Silent().progress

    def say(self, text: str) -> None:
        self.said.append(text)

    warn = say


def own(kind: str, outputs: Path, **settings: Any) -> dict[str, Any]:
    """Settings of two short runs of a network of the user's own."""
    (outputs.parent / f"nets_{kind}.py").write_text(NETS)
    model = {"name": f"nets_{kind}:net", "kind": kind}
    training = {"epochs": 1, "batch_size": 256}
    return {"model": model, "training": training, "seeds": 2, "name": kind, "threads": 1, **settings}


def test_random_runs_do_not_depend_on_their_company_and_go_on_where_they_stopped(
    outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = own("random", outputs)
    api.train(**settings, outputs=str(outputs / "both"))
    api.train(**{**settings, "seeds": [1]}, outputs=str(outputs / "alone"))
    with monkeypatch.context() as patch:
        patch.setattr(job, "stoppable", stop_after(7))
        with pytest.raises(Interrupted):
            api.train(**settings)
    api.train(**settings)
    for seed in (0, 1):
        assert_equal(weights(outputs, seed, 1), weights(outputs / "both", seed, 1))
    assert_equal(weights(outputs, 1, 1), weights(outputs / "alone", 1, 1))


def test_training_alone_is_said_once(outputs: Path) -> None:
    from lmc.jobs.planning.plan import make_plan
    from lmc.jobs.protocol.commands.running import Train
    from lmc.jobs.protocol.composing import compose

    for kind, lines in (("random", 1), ("plain", 0)):
        talk = Talking()
        job.train([make_plan(compose(Train, own(kind, outputs)))], talk)
        said = [text for text in talk.said if "one at a time" in text]
        assert said == [f"model=nets_{kind}:net draws random numbers: its runs train one at a time"] * lines


def test_data_are_not_written_into(outputs: Path) -> None:
    before = {name: split.inputs.clone() for name, split in load_data({"name": "digits"}).splits.items()}
    table = api.train(**own("writes", outputs))
    api.path("writes", match="activation", trust=True)
    after = load_data({"name": "digits"}).splits
    assert all(torch.equal(before[name], after[name].inputs) for name in before)
    network = api.load("writes/0", trust=True)
    test = after["test"]
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(network(test.inputs.clone()), test.targets)
    assert float(loss) == pytest.approx(table["test_loss"][0], rel=1e-5)


@pytest.mark.parametrize("variant", ["standard", "w", "syre"])
def test_a_frozen_layer_stays_through_training_and_merging(outputs: Path, variant: str) -> None:
    api.train(**own("frozen", outputs, variant=variant))
    for merge in ("mean", "representation"):
        api.merge("frozen", merge=merge, trust=True, name=merge)
    merged = [load_file(path) for path in outputs.glob("merge/*/*/*.safetensors")]
    assert len(merged) == 2
    for state in (weights(outputs, 0, 1), weights(outputs, 1, 1), *merged):
        assert torch.equal(state["b.weight"], torch.eye(8))
        assert torch.equal(state["b.bias"], torch.zeros(8))
    assert not torch.equal(merged[0]["c.weight"], merged[1]["c.weight"])


def test_a_buffer_of_infinities_is_kept_everywhere(outputs: Path) -> None:
    api.train(**own("causal", outputs))
    table = api.path("causal", trust=True)
    assert table["loss_barrier"].notna().all()
    api.merge("causal", merge="representation", match="none", trust=True)
    for path in [*outputs.glob("*/*/*/epoch-*.safetensors")]:
        assert load_file(path)["mask"].tolist() == [[0, -math.inf], [0, 0]]
    state = weights(outputs, 0, 1)
    save_file(state, outputs / "a.safetensors")
    settings = {key: value for key, value in own("causal", outputs).items() if key in ("model", "threads")}
    found = api.import_(str(outputs / "a.safetensors"), **settings, name="again")
    assert math.isfinite(found["test_loss"][0])
    for name in ("mask", "b.weight"):  # infinities elsewhere, and NaN, are still refused
        for value in (math.inf, math.nan):
            wrong = {**state, name: torch.full_like(state[name], value)}
            save_file(wrong, outputs / "wrong.safetensors")
            with pytest.raises(LmcError, match="NaN or infinite"):
                api.import_(str(outputs / "wrong.safetensors"), **settings, name="wrong")


def test_outputs_that_do_not_fit_are_refused_before_anything_is_written(outputs: Path) -> None:
    settings = own("token", outputs)
    with pytest.raises(
        LmcError, match=r"its outputs are \(3, 1, 10\) for 3 samples .the data need \(3, 10\)"
    ):
        api.train(**settings)
    save_file({"x": torch.zeros(1)}, outputs.parent / "x.safetensors")
    with pytest.raises(LmcError, match=r"its outputs are \(3, 1, 10\)"):
        api.import_(str(outputs.parent / "x.safetensors"), model=settings["model"])
    assert not outputs.exists()


def test_tuples_and_half_precision_train_as_the_plain_network(outputs: Path) -> None:
    plain = api.train(**own("plain", outputs))
    assert api.train(**own("tuple", outputs))["test_loss"].equals(plain["test_loss"])
    half = api.train(**own("half", outputs))
    assert half["test_loss"].to_numpy() == pytest.approx(plain["test_loss"].to_numpy(), rel=1e-2)
    settings = own("tuple", outputs)
    settings["model"]["output"] = 1
    with pytest.raises(LmcError, match=r"its outputs are \(3, 64\)|cannot be trained"):
        api.train(**settings)
