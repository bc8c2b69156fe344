"""What the job is given: the composed settings as plain values."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lmc.jobs.protocol.commands import COMMANDS
from lmc.jobs.protocol.composing import compose
from lmc.variants import VARIANTS

Run = Callable[..., object]


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_word_every_command_gets_its_defaults(lmc_run: Run, tmp_path: Path, command: str) -> None:
    result = lmc_run(command)
    assert result.code == 0, result.err
    composed = compose(COMMANDS[command].settings, result.settings)
    if command != "explain":
        assert composed.outputs == str(tmp_path / "outputs")
    for group in ("model", "variant", "match", "merge"):
        default = getattr(COMMANDS[command].settings(), group, {})
        assert {**getattr(composed, group, {}), **default} == getattr(composed, group, {})


def test_options_anywhere_and_references_beside_settings(lmc_run: Run) -> None:
    result = lmc_run(
        "path", "a b/c'd", "--trust", "pairs=all", "-q", "digits-mlp-w/0@1", "data.path=/x y (1)"
    )
    settings = result.settings
    assert settings["references"] == ["a b/c'd", "digits-mlp-w/0@1"]
    assert (settings["pairs"], settings["trust"], settings["data"]) == ("all", True, {"path": "/x y (1)"})


def test_dry_run_and_values(lmc_run: Run) -> None:
    settings = lmc_run(
        "train", "--dry-run", "name=1e5", "seeds=[0,1]", "training.clip=1", "start=../x"
    ).settings
    assert (settings["dry_run"], settings["name"], settings["seeds"]) == (True, "1e5", [0, 1])
    assert (settings["training"]["clip"], settings["start"]) == (1, "../x")


def test_own_builder(lmc_run: Run, tmp_path: Path) -> None:
    (tmp_path / "ownnet.py").write_text("def fn(*, depth: int = 1):\n    return depth\n")
    settings = lmc_run("train", "model.name=ownnet:fn", "model.depth=3").settings
    assert settings["model"] == {"name": "ownnet:fn", "depth": 3}


def test_open_groups_of_reproduce(lmc_run: Run) -> None:
    settings = lmc_run("reproduce", "digits", "training.epochs=2", "model.hidden=[8]").settings
    assert settings["training"] == {"epochs": 2}
    assert settings["model"] == {"hidden": [8]}
    assert settings["data"] == {}


def test_outputs(lmc_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lmc_run("list", "outputs=a b").settings["outputs"] == str(tmp_path / "a b")
    monkeypatch.setenv("LMC_OUTPUTS", "elsewhere")
    assert lmc_run("list").settings["outputs"] == str(tmp_path / "elsewhere")
    assert not list(tmp_path.iterdir())


def test_user_configs(lmc_run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine/model").mkdir(parents=True)
    (tmp_path / "mine/model/tiny.yaml").write_text("defaults: [mlp, _self_]\nhidden: [4]\n")
    for words in (["--config-dir", "mine"], [f"hydra.searchpath=[file://{tmp_path}/mine]"]):
        model = lmc_run("train", "model=tiny", *words).settings["model"]
        assert (model["name"], model["hidden"]) == ("mlp", [4])


def test_cfg(lmc_run: Run) -> None:
    result = lmc_run("match", "digits-mlp-w", "match=none", "--cfg", "job")
    assert (result.code, result.given, result.err) == (0, [], "")
    assert "references:\n- digits-mlp-w\n" in result.out
    assert "match:\n  name: none\n" in result.out
    assert "hydra" not in result.out
    assert "launcher:" in lmc_run("match", "--cfg", "hydra").out


def test_sweep(lmc_run: Run, tmp_path: Path) -> None:
    result = lmc_run("train", "-m", "variant=standard,w", "seeds=1,2", "outputs=o")
    assert [(given["variant"]["name"], given["seeds"]) for _, given in result.given] == [
        ("standard", 1),
        ("standard", 2),
        ("w", 1),
        ("w", 2),
    ]
    assert {given["outputs"] for _, given in result.given} == {str(tmp_path / "o")}
    assert result.out.splitlines()[0] == "experiment,seed,loss,done,note"
    assert len(result.out.splitlines()) == 9
    assert f"job 3: variant=w seeds=2 outputs='{tmp_path}/o'" in result.errors
    assert not list(tmp_path.iterdir())


def test_a_sweep_over_the_choices_that_a_glob_matches(lmc_run: Run) -> None:
    result = lmc_run("train", "-m", "variant=glob(s*)", "seeds=1")
    assert [given["variant"]["name"] for _, given in result.given] == ["sigma", "standard", "syre"]
    everything = lmc_run("train", "-m", "variant=glob(*)", "seeds=1").given
    assert [given["variant"]["name"] for _, given in everything] == sorted(VARIANTS)


def test_a_choice_by_its_name_leaves_no_key_of_the_default_behind(lmc_run: Run) -> None:
    plain = lmc_run("train", "model=vit").settings
    for word in ("model.name=vit", "+model.name=vit", "++model.name=vit"):
        assert lmc_run("train", word).settings == plain


def test_a_group_given_as_a_mapping_is_its_keys(lmc_run: Run) -> None:
    whole = lmc_run("train", "variant={name: w, scale: 0.5}", "training={epochs: 3, batch_size: 8}").settings
    keys = ("variant=w", "variant.scale=0.5", "training.epochs=3", "training.batch_size=8")
    assert whole == lmc_run("train", *keys).settings
    assert whole["variant"]["scale"] == 0.5


@pytest.mark.parametrize("folder", ["com,ma", "${x}", "a${y}\\${z}b", "it's", "a=b", "[x]", "{y}", "ü"])
def test_in_folders_of_any_name(
    lmc_run: Run, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / folder
    (here / "mine/variant").mkdir(parents=True)
    (here / "mine/variant/half.yaml").write_text("defaults: [w, _self_]\nscale: 0.5\n")
    monkeypatch.chdir(here)
    settings = lmc_run("train", "--config-dir", "mine", "variant=half").settings
    assert (settings["outputs"], settings["variant"]["scale"]) == (str(here / "outputs"), 0.5)
    swept = lmc_run("train", "-m", "seeds=1,2", "outputs=o").given
    assert [given["outputs"] for _, given in swept] == [str(here / "o")] * 2
    assert lmc_run("path", str(here)).settings["references"] == [str(here)]
    assert sorted(path.name for path in here.iterdir()) == ["mine"]


def test_sweep_of_references_keeps_a_folder_of_the_users(lmc_run: Run, tmp_path: Path) -> None:
    result = lmc_run("path", "a", "b c", "-m", "match=none,activation", "hydra.sweep.dir=mine")
    assert [given["references"] for _, given in result.given] == [["a", "b c"]] * 2
    assert (tmp_path / "mine/multirun.yaml").exists()


def test_a_failed_job_of_a_sweep_does_not_lose_the_others(
    lmc_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LMC_FAKE", "w")
    result = lmc_run("train", "-m", "variant=w,standard", "-q")
    assert (result.code, result.out) == (1, "digits-mlp-standard-1f3a9c02\n")
    assert result.errors == ["error: job 0: variant=w: boom (try again)", "warning: one thread"][::-1]


def test_interrupting_a_sweep_stops_it(lmc_run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LMC_FAKE", "stop")
    result = lmc_run("train", "-m", "variant=w,standard", "-q")
    assert (result.code, len(result.given)) == (130, 1)
    assert result.errors == ["error: stopped after epoch 3 (the same command goes on)"]
    assert not list(tmp_path.iterdir())
