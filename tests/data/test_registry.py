"""One contract for every data set: its YAML, its signature, and what loading it gives."""

from pathlib import Path

import pytest
import torch
import yaml

import lmc.data
from lmc.core.errors import DataError, SettingError
from lmc.data import DATASETS, LOCATION, TASKS

GRAPHS = ("sbm", "arxiv")
CONF = Path(__file__).resolve().parents[2] / "conf" / "data"
COMMON = {
    "split_seed": 0,
    "val_fraction": 0.1,
    "test_fraction": 0.2,
    "standardise": True,
    "coherence": None,
    "coherence_ratio": 0.9,
}


def test_every_set_has_a_yaml_and_no_yaml_is_without_a_set():
    assert {file.stem for file in CONF.glob("*.yaml")} == {*DATASETS, "custom"}
    assert yaml.safe_load((CONF / "custom.yaml").read_text()) == {"name": "???"}


@pytest.mark.parametrize("name", DATASETS)
def test_the_yaml_states_every_setting_with_its_default(name):
    written = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    assert written.pop("name") == name
    needed = {key for key, value in written.items() if value == "???"}
    bound = lmc.data.bind(name, {key: "x" for key in needed})
    assert set(bound) == set(written)
    stated = {key: value for key, value in written.items() if key not in needed}
    assert stated == lmc.data.defaults(name)
    assert stated.items() >= COMMON.items()
    assert [type(stated[key]) for key in COMMON] == [type(value) for value in COMMON.values()]


@pytest.mark.parametrize("name", DATASETS)
def test_every_set_loads_to_the_contract(name, tmp_path, write_images, write_arxiv):
    settings = {}
    if name == "hub":
        (tmp_path / "table.csv").write_text(
            "a,b,y\n" + "".join(f"{i},{i % 5},{'no' if i % 3 else 'yes'}\n" for i in range(30))
        )
        settings = {"path": str(tmp_path / "table.csv"), "inputs": ["a", "b"], "target": "y"}
    elif name == "sbm":
        settings = {"nodes": 40}
    elif name == "arxiv":
        settings = {"path": write_arxiv(tmp_path / "ogbn_arxiv")}
    elif name.endswith("_subspace") or name == "teacher":
        settings = {"train_samples": 40, "test_samples": 20}
    elif name != "digits":
        side, classes = (32, 3) if name.startswith("cifar") else (28, 1), 100 if name == "cifar100" else 10
        pixels = torch.randint(
            256, (30, side[0], side[0], 3), generator=torch.Generator().manual_seed(0)
        ).numpy()
        pixels = pixels if side[1] == 3 else pixels[..., 0]
        label = "fine_label" if name == "cifar100" else "label"
        half = (pixels, [i % classes for i in range(30)])
        settings = {
            "path": write_images(tmp_path / name, "img", label, classes=classes, train=half, test=half)
        }
    data = lmc.data.load(name, **settings)
    assert data.name == name
    assert data.task is TASKS[data.task.name]
    assert list(data.splits) == ["train", "val", "test"]
    assert (data.graph is not None) == (data.task.name == "node_classification") == (name in GRAPHS)
    assert (data.augment is not None) == name.startswith("cifar")
    for part in data.splits.values():
        assert part.inputs.shape == (len(part), *data.input_shape)
        assert part.inputs.dtype == torch.float32
        assert part.inputs.is_contiguous()
        outputs = torch.zeros(*part.targets.shape[: 2 if data.graph else 1], data.outputs)
        assert data.task.losses(outputs, part.targets).isfinite().all()
    assert len(data.digest) == 64
    again = lmc.data.load(name, **settings)
    assert again.digest == data.digest
    for part, other in zip(data.splits.values(), again.splits.values(), strict=True):
        assert torch.equal(part.inputs, other.inputs)
        assert torch.equal(part.targets, other.targets)


def test_digits_are_pinned():
    """The digest is part of every experiment's name: it must not drift."""
    data = lmc.data.load()
    assert (data.name, data.input_shape, data.outputs) == ("digits", (1, 8, 8), 10)
    assert [len(part) for part in data.splits.values()] == [1294, 144, 359]
    assert data.digest == "ac3152da47ccac931099ca78ff86c5cbcdc76c611a6b1d25a4581393da522202"


def test_faults_are_reported_together():
    with pytest.raises(SettingError) as caught:
        lmc.data.bind(
            "hub", {"path": "x", "target": "y", "val_fracton": 0.1, "split_seed": "one", "test_fraction": 1}
        )
    text = str(caught.value)
    for part in (
        "data.inputs: a value is needed",
        "did you mean val_fraction",
        "data.split_seed=one",
        "less than 1",
    ):
        assert part in text


@pytest.mark.parametrize("value", [-0.1, 1, float("nan"), True, "half"])
@pytest.mark.parametrize("key", ["val_fraction", "test_fraction"])
def test_a_fraction_out_of_range_is_refused(key, value):
    with pytest.raises(SettingError, match=f"data.{key}"):
        lmc.data.load("digits", **{key: value})


def test_settings_are_coerced():
    bound = lmc.data.bind("mnist", {"val_fraction": 0, "split_seed": 3.0, "standardise": "false"})
    assert repr(bound["val_fraction"]) == "0.0"
    assert repr(bound["split_seed"]) == "3"
    assert bound["standardise"] is False
    assert set(LOCATION) <= set(bound)


def test_an_unknown_set_is_named_with_its_near_miss():
    with pytest.raises(SettingError, match="did you mean mnist"):
        lmc.data.load("mnits")


OWN = """
import torch
from lmc.data import Raw
def line(*, samples: int = 20, slope: float):
    x = torch.arange(float(samples))[:, None]
    return Raw(x, slope * x, "squared_error", 1)
def wrong():
    return 3
number = 3
def taken(*, split_seed: int = 1):
    return None
"""


def test_a_builder_of_ones_own(tmp_path, monkeypatch):
    (tmp_path / "lmc_own_sets.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    data = lmc.data.load("lmc_own_sets:line", slope=2, test_fraction=0.5)
    assert (len(data.test), data.task.name, data.input_shape) == (10, "squared_error", (1,))
    assert lmc.data.defaults("lmc_own_sets:line") == {"samples": 20, **COMMON}
    with pytest.raises(SettingError, match=r"data\.slope: a value is needed"):
        lmc.data.bind("lmc_own_sets:line", {})
    with pytest.raises(DataError, match="returned int"):
        lmc.data.load("lmc_own_sets:wrong")
    with pytest.raises(SettingError, match="declares split_seed"):
        lmc.data.load("lmc_own_sets:taken")
    with pytest.raises(SettingError, match="int is not a function"):
        lmc.data.load("lmc_own_sets:number")
