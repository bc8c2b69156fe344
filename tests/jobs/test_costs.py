"""Norm costs, coherence and predictions of stored runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from lmc import api
from lmc.core.errors import LmcError, SettingError
from lmc.core.schema import columns
from lmc.jobs import run

from .conftest import train

CONVOLUTIONS = """
from torch import nn

class Net(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 3, stride=2, padding=1)
        self.act = nn.ReLU()
        self.head = nn.Linear(6 * 16, outputs)

    def forward(self, x):
        return self.head(self.act(self.conv(x)).permute(0, 2, 3, 1).flatten(1))

def make(input_shape, outputs):
    return Net(outputs)
"""


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Standard and asymmetric runs, trained once."""
    folder = tmp_path_factory.mktemp("stored")
    common = {"seeds": 2, "model": {"hidden": [20, 12]}, "outputs": str(folder)}
    for name, variant in {"standard": "standard", "w": "w", "syre": "syre"}.items():
        train(**common, variant=variant, name=name, training={"epochs": 4, "checkpoints": 2})
    return folder


@pytest.fixture
def runs(stored: Path, outputs: Path) -> Path:
    shutil.copytree(stored, outputs)
    return outputs


def test_standard_networks_have_exactly_no_swap_cost(runs: Path) -> None:
    layer = api.cost("standard")
    assert list(layer.columns) == columns("layer")
    assert set(layer["layer"]) == {"layers.0", "layers.1", "layers.2"}
    swap = api.table("swap", "standard")
    assert (swap["swap_cost"] == 0).all()
    cost = api.table("cost", "standard")
    assert len(cost) == 2 * (20**2 + 12**2 + 10**2)
    first = cost[(cost["seed"] == 0) & (cost["layer"] == "layers.1")].pivot(
        index="slot", columns="neuron", values="cost"
    )
    assert np.allclose(first, first.iloc[0])


def test_costs_agree_with_the_slow_definition(runs: Path) -> None:
    """Cost of one layer recomputed from data, weights, D and f with numpy."""
    from safetensors.torch import load_file

    from lmc import data

    api.cost("w/0", layers="layers.0")
    (folder,) = runs.glob("train/w-*")
    x = data.load("digits").train.inputs.flatten(1).double().numpy()
    x = x - x.mean(axis=0)
    _, singular, right = np.linalg.svd(x, full_matrices=False)
    share = np.cumsum(singular**2) / (singular**2).sum()
    u = right[: int((share < 0.9).sum()) + 1].T
    constraint = load_file(folder / "constraints.safetensors")
    d, f = (constraint[f"layers.0.weight.{key}"].double().numpy() for key in ("mask", "centre"))
    w = load_file(folder / "0" / "epoch-0004.safetensors")["layers.0.weight"].double().numpy()
    table = api.table("cost", "w").pivot(index="slot", columns="neuron", values="cost").to_numpy()
    for i, j in ((0, 0), (0, 5), (7, 3), (19, 18)):
        s = u.T @ np.diag(d[i]) @ u
        b = u.T @ (w[j] - f[i])
        assert table[i, j] == pytest.approx(b @ np.linalg.pinv(s) @ b, rel=1e-6)


def test_ridge_costs_grow_as_beta_falls_and_own_costs_stay_below_the_trained_norm(runs: Path) -> None:
    api.cost("w/0", estimate="ridge", betas=[0.01, 1.0], layers=["layers.0", "layers.1"])
    cost = api.table("cost", "w")
    assert np.allclose(cost["cost"], cost["data_term"] + cost["norm_term"])
    sharp, soft = (cost[cost["beta"] == beta]["cost"].to_numpy() for beta in (0.01, 1.0))
    assert (sharp >= soft - 1e-9).all()


def test_ridge_costs_through_norm_and_activation(runs: Path) -> None:
    layer = api.cost("w/0", estimate="ridge", activation=True, betas=[0.1], neurons=4, samples=100)
    hidden = layer[layer["layer"] != "layers.2"]
    assert (hidden["not_converged"] == 0).all()
    cost = api.table("cost", "w")
    assert len(cost) == 3 * 16
    assert np.isfinite(cost["cost"]).all()
    api.cost("w/1", estimate="ridge", activation=True, betas=[0.1], neurons=5, pairs=3, layers="layers.0")
    sampled = api.table("swap", "w")
    assert len(sampled[(sampled["seed"] == 1) & (sampled["layer"] == "layers.0")]) == 3
    with pytest.raises(SettingError, match="estimate=ridge"):
        api.cost("w/0", activation=True)


def test_every_stored_epoch_can_be_costed_and_drawn(runs: Path) -> None:
    layer = api.cost("w", epochs="all")
    assert set(layer["epoch"]) == {0, 2, 4}
    (figure,) = runs.glob("cost/*/cost.png")
    assert figure.stat().st_size > 10_000
    assert set(api.cost("w@2")["epoch"]) == {2}


def test_distances_between_classes(runs: Path) -> None:
    api.cost("w/0", distance=True, neurons=6)
    distance = api.table("distance", "w")
    assert (distance["distance"] >= distance["lower_bound"]).all()
    assert (distance["lower_bound"] > 0).all()
    api.cost("standard/0", distance=True, neurons=6)
    assert (api.table("distance", "standard")["distance"] == 0).all()


def test_coherence_tables(runs: Path) -> None:
    layer = api.coherence("w", deltas=[0.05, 0.5])
    assert ((layer["coherence"] >= layer["dimension"] / layer["inputs"]) & (layer["coherence"] <= 1)).all()
    assert (layer["anisotropy_mean"] > 0).all()
    bound = api.table("bound", "w")
    assert (bound["share_within"] >= 1 - bound["delta"]).all()
    assert len(api.table("anisotropy", "w")) == 2 * (20 + 12 + 10)
    assert (api.coherence("standard")["anisotropy_max"] == 0).all()


def test_prediction_says_that_a_larger_scale_identifies_more() -> None:
    shares = [
        api.predict(model={"name": "mlp", "hidden": [20]}, variant={"name": "w", "scale": scale})
        for scale in (0.0, 0.3, 2.0)
    ]
    first = [table[table["layer"] == "layers.0"].iloc[0] for table in shares]
    assert first[0]["relative_swap_cost"] < first[1]["relative_swap_cost"] < first[2]["relative_swap_cost"]
    assert first[0]["identifiable"] <= first[1]["identifiable"] <= first[2]["identifiable"] == 1
    assert first[0]["class_distance"] < first[2]["class_distance"]
    standard = api.predict(model={"name": "mlp", "hidden": [20]})
    assert (standard["swap_cost"] == 0).all()


def test_the_gate_may_be_ridge_and_its_sensitivity_is_reported(runs: Path) -> None:
    by_ridge = api.match("standard", match={"name": "identifiability", "estimate": "ridge"})
    assert (by_ridge["identifiable"] == 0).all()
    assert by_ridge["similarity"].to_numpy() == pytest.approx(by_ridge["optimal"].to_numpy())
    whole = api.match("syre", match={"name": "identifiability", "estimate": "ridge", "beta": 0.001, "tau": 0})
    assert (whole["fixed_points"] == whole["neurons"]).all()
    api.match("w", sensitivity=True)
    tau = api.table("tau", "w")
    assert sorted(tau["tau"]) == [0.25, 0.5, 1, 2, 4, 8]
    with pytest.raises(SettingError, match="has a tau"):
        api.match("w", sensitivity=True, match="activation")


def test_layers_of_constant_inputs_are_reported_and_the_others_go_on(runs: Path) -> None:
    """Dead rectifiers: a first layer whose outputs never change."""
    from safetensors.torch import load_file, save_file

    said: list[str] = []

    class Ears:
        def say(self, text: str) -> None:
            said.append(text)

        def warn(self, text: str) -> None:
            self.say(f"warning: {text}")

        def progress(self, title: str, total: int) -> object:
            from lmc.jobs.protocol.talk import Silent

            return Silent().progress(title, total)

    (folder,) = runs.glob("train/standard-*")
    path = folder / "0" / "epoch-0004.safetensors"
    state = load_file(path)
    state["norms.0.weight"].zero_()
    save_file(state, path)
    outcome = run("cost", {"references": ["standard/0"]}, Ears())  # type: ignore[arg-type]
    layer = outcome.tables["layer"].set_index("layer")
    assert layer["dimension"].tolist()[1] == 0
    assert layer["dimension"].tolist()[0] > 0
    assert any("layers.1: undefined, the inputs are constant" in text for text in said)


def test_convolutions_are_costed_by_patches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "convnets.py").write_text(CONVOLUTIONS)
    monkeypatch.syspath_prepend(str(tmp_path))
    api.train(model="convnets:make", variant="w", seeds=1, training={"epochs": 1}, name="conv")
    layer = api.cost("conv", trust=True).set_index("layer")
    assert layer["inputs"].to_dict() == {"conv": 9, "head": 96}
    assert (api.table("swap", "conv")["swap_cost"] > 0).any()
    assert len(api.coherence("conv", trust=True)) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": "layer9"}, "there are: layers.0, layers.1, layers.2"),
        ({"ratio": 0}, "greater than 0"),
        ({"ratio": 1.2}, "less than or equal to 1"),
        ({"estimate": "ridge", "betas": [0.1, 0]}, "greater than 0"),
        ({"estimate": "mahalanobi"}, "did you mean mahalanobis"),
        ({"outside": "ignored"}, "infinite, projected"),
    ],
)
def test_bad_requests_write_nothing(settings: dict[str, object], message: str, runs: Path) -> None:
    with pytest.raises(LmcError, match=message) as caught:
        api.cost("w", **settings)
    assert caught.value.exit_code == 2
    assert not (runs / "cost").exists()
