"""Several sets of weights in one file: which is taken, what is said of the others, and who must choose."""

from collections import OrderedDict

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from lmc.core.errors import LmcError, SettingError, StoredFileError
from lmc.store import checkpoints


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))


A, B, OTHER = network(0).state_dict(), network(1).state_dict(), nn.Linear(3, 5).state_dict()


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def fit(content, weights=None, expected=None, name="a.pt"):
    from pathlib import Path

    save_file(content, name) if name.endswith(".safetensors") else torch.save(content, name)
    return checkpoints.fit(checkpoints.read(Path(name)), expected or A, "model=x", weights)


def same(fitted, state):
    return list(fitted.state) == list(A) and all(torch.equal(fitted.state[name], state[name]) for name in A)


def under(prefix, state):
    return {prefix + name: tensor for name, tensor in state.items()}


BESIDE = {
    "key": ({"model": A, "ema": B}, "ema"),
    "timm": ({"state_dict": A, "state_dict_ema": B, "epoch": 3}, "state_dict_ema"),
    "other order": ({"ema_state_dict": B, "model_state_dict": A}, "ema_state_dict"),
    "wrapped": ({"net": A, "swa": under("module.", B) | {"n_averaged": torch.tensor(4)}}, "swa.module"),
    "lightning": ({"state_dict": {**under("model.", A), **under("ema_model.", B)}}, "state_dict.ema_model"),
    "one mapping": ({**A, **under("ema.", B)}, "ema"),
    "deep": ({"checkpoint": {"model": A, "avg": {"shadow": B}}}, "checkpoint.avg.shadow"),
    "dashes": ({"ema-0.99": B, "model": A}, "ema-0.99"),
    "capitals": ({"modelEMA": B, "model": A}, "modelEMA"),
    "best": ({"model": A, "best_model": B}, "best_model"),
}


@pytest.mark.parametrize("name", BESIDE)
def test_the_network_is_taken_the_other_named_and_taken_if_asked(name):
    content, label = BESIDE[name]
    found = fit(content)
    assert same(found, A)
    assert len(found.doubts) == 1
    assert found.doubts[0].endswith(f"{label} fits as well: weights={label} takes it")
    other = fit(content, label)
    assert same(other, B)
    assert other.label == label
    if name != "best":
        assert same(fit(content, {"wrapped": "swa", "deep": "avg"}.get(name, "ema")), B)


@pytest.mark.parametrize(
    "content",
    [
        {"teacher": A, "student": B},
        {"state_dict": {**under("student.", A), **under("teacher.", B)}},
        {"generator": A, "discriminator": B, "epoch": 1},
        {"model": A, "net": B},
        [A, B],
        {**A, **under("module.", B)},
    ],
)
def test_two_that_fit_alike_must_be_chosen(content):
    with pytest.raises(
        StoredFileError, match=r"a.pt: holds 2 sets of weights that fit the network, (\S+), (\S+)"
    ) as e:
        fit(content)
    first, second = str(e.value).partition("network, ")[2].partition(" (")[0].split(", ")
    assert same(fit(content, first), A)
    assert same(fit(content, second), B)
    assert not fit(content, second).notes[0].startswith("warning")


def test_of_several_models_the_one_that_fits_is_taken_and_the_rest_told():
    found = fit({"generator": A, "discriminator": OTHER, "optimizer": {"state": {0: {"m": torch.ones(3)}}}})
    assert same(found, A)
    assert found.notes == ("a.pt: the weights under generator", "a.pt: left out discriminator (2 tensors)")
    assert found.doubts == ()


def test_copies_of_the_same_weights_need_no_choice():
    found = fit({"teacher": A, "student": OrderedDict((name, tensor.clone()) for name, tensor in A.items())})
    assert same(found, A)
    assert found.doubts == ()


def test_a_word_that_stands_for_none_or_for_several_is_refused():
    content = {"model": A, "ema": {"slow": B, "fast": A}}
    with pytest.raises(
        SettingError, match=r"weights=swa: a\.pt has none of that name that fit \(it holds model,"
    ):
        fit(content, "swa")
    content = {"model": A, "ema": {"slow": B, "fast": network(2).state_dict()}}
    with pytest.raises(LmcError, match=r"2 sets of weights that fit the network, ema\.slow, ema\.fast"):
        fit(content, "ema")
    assert same(fit(content, "slow"), B)


def test_averaged_weights_that_do_not_fit_are_told():
    dotless = {name.replace(".", ""): tensor for name, tensor in B.items()}
    found = fit({"state_dict": {**under("model.", A), **under("model_ema.", dotless)}})
    assert same(found, A)
    assert found.doubts == (
        "a.pt: also holds averaged weights that do not fit the network: state_dict.model_ema (9 tensors)",
    )
    found = fit({"model": A, "ema": {"decay": 0.9, "shadow_params": list(B.values())}})
    assert found.doubts == (
        "a.pt: also holds averaged weights that do not fit the network: ema.shadow_params (9 tensors)",
    )


def test_torchs_own_average_says_of_how_many():
    net, rng = network(), torch.Generator().manual_seed(0)
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.5))
    for _ in range(3):
        with torch.no_grad():
            net[0].weight.add_(torch.randn(4, 3, generator=rng))
        average.update_parameters(net)
    found = fit(average.state_dict())
    assert same(found, average.module.state_dict())
    assert found.notes == (
        "a.pt: module. taken off the names",
        "a.pt: an average of 3 states (n_averaged)",
    )


@pytest.mark.parametrize("prefix", ["net.", "model.net.", "backbone.", "a.b.c.", "module._orig_mod.net."])
@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
def test_any_common_prefix_is_taken_off(prefix, name):
    found = fit(under(prefix, A), name=name)
    assert same(found, A)
    assert found.notes == (f"{name}: {prefix} taken off the names",)


def test_a_prefix_that_only_the_network_has_is_put_before():
    expected = under("net.core.", B)
    found = fit({"state_dict": under("module.", A)}, expected=expected)
    assert list(found.state) == list(expected)
    assert all(torch.equal(found.state[f"net.core.{name}"], A[name]) for name in A)
    assert found.notes[1:] == ("a.pt: module. taken off the names", "a.pt: net.core. put before the names")


def test_wrappers_inside_the_names_are_taken_out():
    names = {"0.weight": "0._orig_mod.weight", "0.bias": "0._orig_mod.bias"}
    found = fit({names.get(name, name): tensor for name, tensor in A.items()})
    assert same(found, A)
    assert found.notes == ("a.pt: names of wrappers taken out of the names",)


def test_weights_of_a_loss_and_scalars_are_no_part_of_the_network():
    extra = {
        "criterion.weight": torch.ones(2),
        "n_averaged": torch.tensor(1),
        "epoch": 3,
        "dashes": ({"ema-0.99": B, "model": A}, "ema-0.99"),
        "capitals": ({"modelEMA": B, "model": A}, "modelEMA"),
        "best": 0.5,
        "x": None,
    }
    found = fit({**A, **extra})
    assert same(found, A)
    assert "a.pt: left out criterion.weight" in found.notes
    assert same(fit({"state_dict": {**under("model.", A), "train_metric.total": torch.ones(1)}}), A)
    with pytest.raises(StoredFileError, match=r"has unknown head\.weight"):
        fit({**A, "head.weight": torch.ones(2)})


def test_nested_names_are_joined():
    nested = {}
    for name, tensor in A.items():
        layer, _, last = name.partition(".")
        nested.setdefault(layer, {})[last] = tensor
    assert same(fit({"deep": {"er": {"state": nested}}}), A)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("mask", torch.full((2, 2), -torch.inf).triu(1))


def test_a_tied_tensor_saved_once_takes_both_places():
    net, wanted = Tied(), torch.randn(5, 3)
    expected = net.state_dict()
    for kept in ("embed.weight", "head.weight"):
        found = fit({kept: wanted, "mask": expected["mask"]}, expected=expected, name="a.safetensors")
        assert torch.equal(found.state["embed.weight"], wanted)
        assert torch.equal(found.state["head.weight"], wanted)
        assert "is saved once" in found.notes[0]
    with pytest.raises(
        StoredFileError, match=r"embed\.weight and head\.weight are one tensor in the network, and two"
    ):
        fit({**expected, "head.weight": wanted}, expected=expected)
    loose = {name: tensor.clone() for name, tensor in expected.items()}
    with pytest.raises(StoredFileError, match=r"lacks head\.weight"):
        fit({"embed.weight": wanted, "mask": expected["mask"]}, expected=loose)


def test_infinity_is_accepted_only_where_the_network_has_it_too():
    expected = Tied().state_dict()
    found = fit({name: tensor.half() for name, tensor in expected.items()}, expected=expected)
    assert torch.equal(found.state["mask"], expected["mask"])
    for bad in (torch.full((2, 2), -torch.inf), torch.full((2, 2), torch.nan), -expected["mask"]):
        with pytest.raises(StoredFileError, match="NaN or infinite values in mask"):
            fit({**expected, "mask": bad}, expected=expected)


def test_networks_of_bfloat16_have_a_digest():
    half = {name: tensor.bfloat16() if tensor.is_floating_point() else tensor for name, tensor in A.items()}
    one, other = fit(half, expected=half), fit(A, expected=half)
    assert one.state["0.weight"].dtype == torch.bfloat16
    assert one.digest == other.digest != fit(A).digest
