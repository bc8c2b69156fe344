"""Files that name classes: read without their code, or refused; every line of advice is followed."""

import argparse
import json
import os
import pathlib
import pickle
import subprocess

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lmc.core.errors import StoredFileError
from lmc.store import checkpoints

NET = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
STATE = NET.state_dict()


class Settings(dict):
    """As Lightning's AttributeDict: a mapping of a class of its own."""


class Calls:
    """Unpickling it calls a function."""

    def __init__(self, function, *words):
        self.function, self.words = function, words

    def __reduce__(self):
        return self.function, self.words


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def fit(name):
    return checkpoints.fit(checkpoints.read(pathlib.Path(name)), STATE, "model=x")


def same(fitted):
    return all(torch.equal(fitted.state[name], tensor) for name, tensor in STATE.items())


@pytest.mark.parametrize(
    "name", ["best.pth.tar", "net.pkl", "weights", "epoch=3.ckpt", "a.safetensors", "x.pt"]
)
@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_what_a_file_is_its_content_says(name, form):
    if form == "safetensors":
        save_file(STATE, name)
    elif name == "a.safetensors":
        return
    else:
        torch.save({"state_dict": STATE}, name, _use_new_zipfile_serialization=form == "zip")
    assert same(fit(name))


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "beside",
    [
        argparse.Namespace(lr=0.1, where=pathlib.Path("x")),
        Settings(lr=0.1),
        np.float64(0.5),
        nn.CrossEntropyLoss(),
        nn.ReLU,
        Calls(Settings, [("a", 1)]),
    ],
    ids=["Namespace", "mapping", "numpy scalar", "module", "class", "call"],
)
def test_objects_beside_the_weights_are_left_out(beside, zipped):
    if not zipped and isinstance(beside, nn.Module | type):
        pytest.skip("the old format stores the source of modules: see ADVISED")
    torch.save({"args": beside, "state_dict": STATE}, "a.pt", _use_new_zipfile_serialization=zipped)
    found = fit("a.pt")
    assert same(found)
    assert any("left out what needs code to be read" in note for note in found.notes)


@pytest.mark.parametrize("wrap", [lambda net: net, lambda net: {"model": net}, nn.DataParallel])
def test_a_pickled_network_gives_its_weights_without_its_code(wrap):
    torch.save(wrap(NET), "net.pt")
    assert same(fit("net.pt"))


@pytest.mark.parametrize(
    "call",
    [
        Calls(os.system, "touch ran"),
        Calls(eval, "open('ran', 'w')"),
        Calls(subprocess.Popen, ["touch", "ran"]),
        Calls(getattr, "x", "upper"),
        Calls(torch.hub.load, "x", "y"),
        Calls(pickle.loads, pickle.dumps(Calls(os.system, "touch ran"))),
    ],
    ids=["os", "eval", "subprocess", "getattr", "torch.hub", "pickle"],
)
def test_a_file_that_calls_more_than_classes_is_refused_and_nothing_runs(call):
    for content in ({"state_dict": STATE, "hook": call}, call):
        for zipped in (True, False):
            torch.save(content, "bad.pt", _use_new_zipfile_serialization=zipped)
            with pytest.raises(StoredFileError, match=r"bad\.pt: a pickle that calls \S+ when it is read"):
                checkpoints.read(pathlib.Path("bad.pt"))
        pathlib.Path("bad.pkl").write_bytes(pickle.dumps(content))
        with pytest.raises(StoredFileError, match=r"bad\.pkl: "):
            checkpoints.read(pathlib.Path("bad.pkl"))
    assert not pathlib.Path("ran").exists()


def arrays(name, protocol):
    content = {"model": {key: tensor.numpy() for key, tensor in STATE.items()}, "epoch": 3}
    pathlib.Path(name).write_bytes(pickle.dumps(content, protocol))


ADVISED = {
    "arrays.pkl": lambda name: arrays(name, 2),
    "arrays4.pkl": lambda name: arrays(name, 4),
    "dict.pkl": lambda name: pathlib.Path(name).write_bytes(
        pickle.dumps({"a": STATE, "args": argparse.Namespace()})
    ),
    "module.pkl": lambda name: pathlib.Path(name).write_bytes(pickle.dumps(NET)),
    "arrays.pt": lambda name: torch.save({key: tensor.numpy() for key, tensor in STATE.items()}, name),
    "old.pt": lambda name: torch.save(NET, name, _use_new_zipfile_serialization=False),
    "script.pt": lambda name: torch.jit.save(torch.jit.script(NET), name),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ADVISED)
def test_advice_works_for_the_file_at_hand(name):
    ADVISED[name](name)
    with pytest.raises(StoredFileError) as caught:
        checkpoints.read(pathlib.Path(name))
    first, *lines = str(caught.value).splitlines()
    assert "Python" in first
    exec("\n".join(lines), {})
    assert same(fit(f"{name.partition('.')[0]}.weights.pt"))


def test_shards_are_read_by_their_index():
    names = list(STATE)
    for number, part in enumerate((names[:3], names[3:])):
        save_file({name: STATE[name] for name in part}, f"model-{number + 1:05}-of-00002.safetensors")
    placed = {name: f"model-0000{1 + (name not in names[:3])}-of-00002.safetensors" for name in names}
    pathlib.Path("model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": placed})
    )
    assert same(fit("model.safetensors.index.json"))
    with pytest.raises(StoredFileError, match=r"name their index, model\.safetensors\.index\.json"):
        fit("model-00001-of-00002.safetensors")
    with pytest.raises(StoredFileError, match=r"name the file in it: \S*model\.safetensors\.index\.json"):
        checkpoints.read(pathlib.Path.cwd())
    os.remove("model-00002-of-00002.safetensors")
    with pytest.raises(
        StoredFileError, match=r"names model-00002-of-00002\.safetensors, which is not beside it"
    ):
        fit("model.safetensors.index.json")
