"""Files that other programs wrote: what is read, what is changed and said, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from lmc.core.errors import StoredFileError
from lmc.store import checkpoints

HINT = "(give model.* and data as it was trained, or its own code: model.name=package.module:function)"
EXPECTED = {
    "linear.weight": torch.zeros(3, 2),
    "linear.bias": torch.zeros(3),
    "norm.running_mean": torch.zeros(3),
    "norm.num_batches_tracked": torch.tensor(0),
}


class Runs:
    """Unpickling it runs a command."""

    def __reduce__(self):
        return os.system, ("touch ran",)


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def state(rng):
    drawn = {name: torch.randn(tensor.shape, generator=rng) for name, tensor in EXPECTED.items()}
    return {**drawn, "norm.num_batches_tracked": torch.tensor(7)}


def write(content, name="a.pt", **options):
    save_file(content, name) if name.endswith(".safetensors") else torch.save(content, name, **options)
    return Path(name)


def fit(path, model="model=mlp"):
    return checkpoints.fit(checkpoints.read(path), EXPECTED, model)


def same(found, state):
    assert list(found) == list(EXPECTED)
    return all(torch.equal(found[name], tensor) for name, tensor in state.items())


@pytest.mark.parametrize("name", ["a.safetensors", "a.pt", "a.pth", "a.bin", "a.ckpt", "A.PT"])
def test_a_state_dict_is_read_from_every_kind_of_file(state, name):
    fitted = fit(write(state, name))
    assert same(fitted.state, state)
    assert fitted.notes == ()


def test_old_torch_files_are_read(state):
    assert same(fit(write(state, _use_new_zipfile_serialization=False)).state, state)


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model", "weights", "deep.er.model"])
def test_weights_are_found_beside_an_optimisers(state, key):
    around = {"epoch": 3, "optimizer": {"state": {0: {"step": torch.tensor(1)}}, "param_groups": []}}
    fitted = fit(write({**around, key: state}))
    assert same(fitted.state, state)
    assert fitted.notes == (f"a.pt: the weights under {key}",)


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "model.", "_orig_mod.module.", "model._orig_mod."]
)
def test_usual_prefixes_are_taken_off_and_said(state, prefix):
    fitted = fit(write({prefix + name: tensor for name, tensor in state.items()}))
    assert same(fitted.state, state)
    assert fitted.notes == (f"a.pt: {prefix} taken off the names",)


def test_a_prefix_of_the_networks_own_stays(state):
    own = {f"model.{name}": tensor for name, tensor in state.items()}
    expected = {f"model.{name}": tensor for name, tensor in EXPECTED.items()}
    fitted = checkpoints.fit(checkpoints.read(write(own)), expected, "model=mlp")
    assert list(fitted.state) == list(expected)
    assert fitted.notes == ()


def test_a_prefix_is_also_named_off_where_the_rest_does_not_fit(state):
    del state["linear.bias"]
    with pytest.raises(StoredFileError, match=r"3 of 4 tensors fit model=mlp: lacks linear.bias \("):
        fit(write({f"module.{name}": tensor for name, tensor in state.items()}))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_the_networks_and_that_is_said_once(state, dtype):
    given = {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in state.items()
    }
    fitted = fit(write(given, "a.safetensors"))
    assert same(fitted.state, {name: given[name].to(EXPECTED[name].dtype) for name in given})
    assert {tensor.dtype for tensor in fitted.state.values()} == {torch.float32, torch.int64}
    assert fitted.notes == (f"a.safetensors: {str(dtype).removeprefix('torch.')} converted to float32",)


def test_views_and_shared_tensors_become_tensors_of_their_own(state):
    whole = torch.randn(3, 4)
    given = {
        **state,
        "linear.weight": whole[:, ::2],
        "linear.bias": whole[:, 1],
        "norm.running_mean": whole[:, 1],
    }
    fitted = fit(write(given))
    assert same(fitted.state, given)
    save_file(fitted.state, "b.safetensors")
    assert same({name: load_file("b.safetensors")[name] for name in EXPECTED}, given)


def test_counters_may_be_missing_if_nothing_else_is(state):
    del state["norm.num_batches_tracked"]
    fitted = fit(write(state))
    assert int(fitted.state["norm.num_batches_tracked"]) == 0
    assert fitted.notes == ("a.pt: without norm.num_batches_tracked, taken as 0",)
    del state["linear.bias"]
    with pytest.raises(StoredFileError, match=r"lacks linear.bias, norm.num_batches_tracked \("):
        fit(write(state))


def test_all_that_does_not_fit_is_one_message(state):
    del state["linear.bias"]
    state |= {"norm.running_mean": torch.zeros(2), "head.weight": torch.zeros(1), "head.bias": torch.zeros(1)}
    with pytest.raises(StoredFileError) as caught:
        fit(write(state))
    assert str(caught.value) == (
        "a.pt: not the weights of this model, 2 of 4 tensors fit model=mlp: lacks linear.bias; has unknown "
        f"head.weight, head.bias; norm.running_mean is (2,), not (3,) {HINT}"
    )


def test_another_architecture_says_how_much_fits(state):
    given = {f"layer{index}.weight": torch.zeros(1) for index in range(9)}
    with pytest.raises(StoredFileError) as caught:
        fit(write({**given, "linear.bias": state["linear.bias"]}))
    assert str(caught.value) == (
        "a.pt: another architecture, 1 of 4 tensors fit model=mlp: lacks linear.weight, norm.running_mean, "
        f"norm.num_batches_tracked; has unknown layer0.weight, layer1.weight, layer2.weight and 6 more {HINT}"
    )


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("linear.bias", torch.zeros(3, dtype=torch.int64), "linear.bias is int64, not float32"),
        ("linear.bias", torch.zeros(3, dtype=torch.complex64), "linear.bias is complex64, not float32"),
        ("linear.bias", torch.zeros(3).to_sparse(), "linear.bias is not a plain tensor"),
        ("norm.num_batches_tracked", torch.tensor(0.5), "norm.num_batches_tracked is float32, not int64"),
    ],
)
def test_tensors_of_another_kind_are_refused(state, name, tensor, message):
    with pytest.raises(StoredFileError) as caught:
        fit(write({**state, name: tensor}))
    text = "a.pt: not the weights of this model, 3 of 4 tensors fit model=mlp"
    assert str(caught.value) == f"{text}: {message} {HINT}"


def test_nan_and_infinity_are_refused_by_name_beside_other_faults(state):
    state["linear.weight"][1, 1] = torch.nan
    state["norm.running_mean"] = torch.tensor([0, torch.inf, 0])
    with pytest.raises(StoredFileError) as caught:
        fit(write(state))
    bad = "a.pt: NaN or infinite values in linear.weight, norm.running_mean (has the training diverged?)"
    assert str(caught.value) == bad
    with pytest.raises(StoredFileError) as caught:
        fit(write({**state, "linear.bias": torch.zeros(4)}))
    first, second = str(caught.value).splitlines()
    assert first.endswith(f"linear.bias is (4,), not (3,) {HINT}")
    assert second == bad


def test_what_is_no_checkpoint_is_named():
    Path("folder.pt").mkdir()
    Path("lfs.pt").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n")
    Path("text.pt").write_text("hello world" * 20)
    Path("empty.ckpt").write_text("")
    Path("a.safetensors").write_text("hello world" * 20)
    write(torch.zeros(3), "tensor.pt")
    write({"epoch": 3, "best": 0.5}, "rest.pt")
    for name, message in {
        "nope.pt": "nope.pt: no such file (a checkpoint to import is safetensors, a torch file, or the index of shards)",
        "folder.pt": "folder.pt: is a folder (name the file in it: it holds none that looks like a checkpoint)",
        "lfs.pt": "lfs.pt: is a pointer of Git LFS, not the file itself (download it again)",
        "text.pt": "text.pt: truncated, or not a torch checkpoint (",
        "empty.ckpt": "empty.ckpt: truncated, or not a torch checkpoint (EOFError)",
        "a.safetensors": "a.safetensors: truncated, or not a safetensors file (",
        "tensor.pt": "tensor.pt: holds no weights, but a Tensor (expected names to tensors, at any depth)",
        "rest.pt": "rest.pt: holds no weights, but a mapping of epoch, best (expected names to tensors, at any depth)",
    }.items():
        with pytest.raises(StoredFileError) as caught:
            checkpoints.read(Path(name))
        assert str(caught.value).startswith(message)
        assert len(str(caught.value).splitlines()) == 1


def test_half_a_file_is_truncated(state):
    for name in ("a.pt", "a.safetensors"):
        whole = write(state, name).read_bytes()
        Path(name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(StoredFileError, match=f"{name}: truncated"):
            checkpoints.read(Path(name))


def test_the_digest_is_of_the_weights_and_not_of_the_file(state):
    one = fit(write(state)).digest
    assert (
        fit(write({f"module.{name}": state[name] for name in reversed(state)}, "b.safetensors")).digest == one
    )
    changed = {**state, "linear.bias": state["linear.bias"] + 1e-6}
    assert fit(write(changed)).digest != one
    assert checkpoints.read(write(state)).sha256 != checkpoints.read(Path("b.safetensors")).sha256


@given(st.binary(max_size=60), st.sampled_from(checkpoints.SUFFIXES))
def test_any_bytes_end_in_an_error_of_ours(tmp_path_factory, content, suffix):
    path = tmp_path_factory.getbasetemp() / f"noise{suffix}"
    path.write_bytes(content)
    with pytest.raises(
        StoredFileError, match=r"truncated|holds no weights|could run code|not the file itself"
    ):
        checkpoints.read(path)
