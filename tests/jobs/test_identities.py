"""What a thing is named by: pinned names, every setting's place, and names that old outputs keep."""

from __future__ import annotations

import dataclasses
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from lmc import api
from lmc.jobs.measuring.predictions import prediction_identity
from lmc.jobs.opening.folders import job_folder, pair_folder
from lmc.jobs.opening.pairs import PairSet, pair_sets
from lmc.jobs.opening.runs import Opened, open_runs
from lmc.jobs.opening.unnamed import UNNAMED, unnamed
from lmc.jobs.planning.merges import merged_as
from lmc.jobs.planning.plan import make_plan, untrained
from lmc.jobs.protocol.choices import Choice
from lmc.jobs.protocol.commands import COMMANDS
from lmc.jobs.protocol.commands.shared import Training
from lmc.jobs.protocol.composing import compose
from lmc.jobs.protocol.experiments import read, resize
from lmc.jobs.protocol.talk import Silent
from lmc.jobs.reporting import commands as repeat
from lmc.jobs.studies.study import study_folder
from lmc.store import records
from lmc.store.experiments import Run
from lmc.store.identity import hash_of, stem_of

OLD = Path(__file__).parents[1] / "fixtures" / "outputs-4640cb5"
S, W = "digits-mlp-standard-hidden6x5-epochs3-learningrate0.01", "digits-mlp-w-hidden6x5-numfixed16x2x1"
W_EPOCHS = f"{W}-epochs3-learningrate0.01"
MODEL = {"model": {"name": "mlp", "hidden": [6, 5]}}
STORES_NOTHING = {"symmetry", "list", "show", "table", "plot", "report", "explain", "remove"}
GROUPS = {
    "data": {"name": "digits", "split_seed": 1},
    "model": {"name": "mlp", "hidden": [4]},
    "variant": {"name": "w"},
}
LAYERS = {"layers": "layers.0", "ratio": 0.8}
CHANGED: dict[str, dict[str, Any]] = {
    "train": {
        **GROUPS,
        "training": {"epochs": 3},
        "mask_seed": 1,
        "init_seed": 1,
        "order_seed": 1,
        "start": f"{S}/0@0",
    },
    "import": {**GROUPS, "mask_seed": 1},
    "match": {"match": {"name": "activation"}, "sensitivity": True},
    "merge": {"match": {"name": "none"}, "merge": {"name": "representation"}, "restatistics": True},
    "path": {
        "match": {"name": "activation"},
        "alphas": 3,
        "restatistics": True,
        "kind": "representation",
        "gap": True,
        "layers": "layers.0",
        "split": "train",
    },
    "check": {"split": "train", "alphas": 5, "low": 0.1, "identifiable": 0.5},
    "cost": {
        **LAYERS,
        "estimate": "ridge",
        "betas": [0.1],
        "activation": True,
        "fit_bias": False,
        "outside": "projected",
        "neurons": 3,
        "pairs": 3,
        "samples": 8,
        "distance": True,
        "tau": 2.0,
        "epochs": "all",
    },
    "coherence": {**LAYERS, "deltas": [0.2]},
    "dynamics": {
        "measures": ["cka"],
        "epochs": [0, 1],
        "layers": "layers.0",
        "splits": ["test"],
        "match": {"name": "activation"},
        "alphas": 3,
        "samples": 8,
        "ntk_samples": 8,
        "ntk_outputs": 2,
    },
    "predict": {**GROUPS, **LAYERS, "seeds": 3, "mask_seed": 1, "tau": 2.0, "neurons": 4},
    "reproduce": {
        "size": "tiny",
        "seeds": 3,
        "mask_seed": 1,
        "data": {"split_seed": 1},
        "model": {"hidden": [4]},
        "training": {"epochs": 3},
    },
}
RIDGE = {"estimate": "ridge"}
COUNTS_WITH: dict[str, dict[str, dict[str, Any]]] = {
    "path": {"layers": {"gap": True}, "split": {"gap": True}},
    "cost": {
        **dict.fromkeys(("betas", "activation", "fit_bias"), RIDGE),
        **{key: {**RIDGE, "activation": True} for key in ("pairs", "samples")},
    },
}
"""What a setting must be given beside, as it changes nothing otherwise."""
RECIPE: dict[str, Any] = {
    "epochs": 3,
    "batch_size": 8,
    "optimiser": "sgd",
    "learning_rate": 0.1,
    "weight_decay": 0.1,
    "momentum": 0.5,
    "nesterov": True,
    "schedule": "linear",
    "warmup": 1,
    "warmup_factor": 2.0,
    "clip": 1.0,
    "decay_bias": False,
}


def _opened(name: str, *seeds: int) -> list[Opened]:
    return [Opened(Run(Path("outputs/train") / name / str(seed)), 1) for seed in seeds]


def _set(runs: list[Opened], *pairs: tuple[int, int]) -> PairSet:
    return PairSet(runs, list(pairs), None)  # type: ignore[arg-type]


RUNS = _opened("e-11111111", 0, 1)


def _name(command: str, **settings: Any) -> str:
    """The folder's name of what a command would store of the same runs."""
    if command in ("train", "import", "predict"):
        asked = compose(
            COMMANDS[command].settings, {**settings, "outputs": settings.get("outputs", str(OLD))}
        )
        if command == "train":
            return make_plan(asked).experiment.name  # type: ignore[arg-type]
        plan = untrained(asked, getattr(asked, "seeds", 1))
        return plan.experiment.name if command == "import" else prediction_identity(asked, plan).name("e")  # type: ignore[arg-type]
    asked = compose(COMMANDS[command].settings, settings)
    if command == "reproduce":
        return study_folder(asked, "digits", resize(read("digits"), asked)).name  # type: ignore[arg-type]
    if command == "merge":
        runs = [opened for group in open_runs(str(OLD), [W_EPOCHS]) for opened in group]
        chosen = (Choice.bind(key, getattr(asked, key)) for key in ("match", "merge"))
        return merged_as(asked, runs, *chosen)[0].name  # type: ignore[arg-type]
    if command in ("cost", "coherence"):
        return job_folder(command, asked, RUNS)[0].name
    return pair_folder(command, asked, [_set(RUNS, (0, 1))])[0].name


def test_every_command_is_spoken_of() -> None:
    assert CHANGED.keys() | STORES_NOTHING == COMMANDS.keys()
    for command in STORES_NOTHING:
        assert COMMANDS[command].settings not in UNNAMED


@pytest.mark.parametrize("command", CHANGED)
def test_every_setting_is_in_the_identity_or_on_the_list_of_those_that_change_no_number(command: str) -> None:
    fields = {field.name for field in dataclasses.fields(COMMANDS[command].settings)}
    left_out = unnamed(COMMANDS[command].settings)
    assert fields == CHANGED[command].keys() | left_out.keys()
    assert not CHANGED[command].keys() & left_out.keys()
    assert all(left_out.values())
    with_start = MODEL if "start" in fields else {}  # the weights to start from must fit
    beside = COUNTS_WITH.get(command, {})
    for key, others in beside.items():
        assert _name(command, **others) != _name(command, **others, **{key: CHANGED[command][key]}), key
    names = [_name(command, **with_start)]
    names += [
        _name(command, **{**with_start, key: value})
        for key, value in CHANGED[command].items()
        if key not in beside
    ]
    assert len({*names}) == len(names)


@pytest.mark.parametrize("command", sorted({*CHANGED} - {"train", "import", "reproduce", "merge", "predict"}))
def test_settings_on_the_list_name_nothing(command: str, tmp_path: Path) -> None:
    plain = _name(command)
    others = {"outputs": str(tmp_path), "device": "cpu", "threads": 1, "references": ["x"], "trust": True}
    assert _name(command, **others) == plain
    assert _name(command, data={"path": "/somewhere"}) == plain
    if "mixed" in unnamed(COMMANDS[command].settings):
        assert _name(command, mixed=True) == plain


def test_every_key_of_a_recipe_is_in_the_identity_but_for_which_epochs_are_stored() -> None:
    assert {field.name for field in dataclasses.fields(Training)} == RECIPE.keys() | {"checkpoints"}
    plain = _name("train")
    found = {key: _name("train", training={key: value}) for key, value in RECIPE.items() if key != "warmup"}
    found["warmup"] = _name("train", training={"warmup": 1, "schedule": "linear"})
    assert len({plain, *found.values()}) == len(found) + 1
    assert _name("train", training={"checkpoints": 1}) == plain


@pytest.mark.parametrize(
    ("command", "settings", "name"),
    [
        ("train", {}, "digits-mlp-standard-33a22875"),
        (
            "train",
            {"variant": "w", "training": {"epochs": 3}, "model": {"hidden": [32, 32]}},
            "digits-mlp-w-hidden32-epochs3-fb29b2c5",
        ),
        ("merge", {}, f"{W_EPOCHS}+mean-identifiability-6ef1e88c"),
        (
            "merge",
            {"match": "none", "merge": {"name": "representation", "ridge": 0.1}},
            f"{W_EPOCHS}+representation-none-ridge0.1-48ed50fc",
        ),
        ("match", {}, "e-341d7025"),
        ("path", {"alphas": 5, "match": "activation"}, "e-activation-alphas5-f6224e69"),
        ("check", {}, "e-9a2211f6"),
        ("cost", {"estimate": "ridge"}, "e-estimateridge-d4322585"),
        ("coherence", {}, "e-6936423d"),
        ("dynamics", {"alphas": 3}, "e-alphas3-f960f8ee"),
        ("predict", {"tau": 2}, "e-tau2-eb42a8d5"),
        ("reproduce", {}, "digits-small-0cb922d6"),
        ("reproduce", {"size": "tiny", "data": {"path": "/elsewhere"}}, "digits-tiny-19bf599a"),
    ],
)
def test_names_are_pinned(command: str, settings: dict[str, Any], name: str, outputs: Path) -> None:
    """A change here stores everything a second time, beside what is there: don't."""
    assert _name(command, **settings) == name


def test_an_imports_name_is_pinned_wherever_its_files_lie(outputs: Path, tmp_path: Path) -> None:
    weights = [next(OLD.glob(f"train/{S}-*/{seed}/epoch-0003.safetensors")) for seed in (0, 1)]
    for number, path in enumerate(weights):
        save_file(load_file(path), tmp_path / f"{number}.safetensors")
    files = [tmp_path / "0.safetensors", tmp_path / "1.safetensors"]
    assert api.import_(*files, **MODEL, name="theirs", dry_run=True)["experiment"][0] == "theirs-2eb9d98c"


def test_pairs_in_another_order_are_another_job_and_other_words_for_them_the_same() -> None:
    asked, a, b = COMMANDS["match"].settings(), _opened("a-11111111", 0, 1, 2, 3), _opened("b-22222222", 0, 1)
    name = lambda *sets: pair_folder("match", asked, sets)[0].name  # noqa: E731
    assert name(_set(a[:2], (0, 1))) != name(_set(a[:2], (1, 0)))
    assert name(_set(a[:2], (0, 1))) == name(_set(a[:3], (0, 1)))
    whole = name(_set(a, (0, 1), (2, 3)))
    assert whole == name(_set(a[:2], (0, 1)), _set(a[2:], (0, 1)))
    apart = name(_set(a[:2], (0, 1)), _set(b, (0, 1)))
    assert apart == name(_set([*a[:2], *b], (0, 1), (2, 3)))
    assert apart != name(_set([*a[:2], *b], (0, 2), (1, 3)))


@pytest.fixture
def old(outputs: Path) -> Path:
    """A copy of what commit 4640cb5 stored."""
    shutil.copytree(OLD, outputs)
    return outputs


@pytest.mark.parametrize(
    ("references", "settings"),
    [
        ([W_EPOCHS], {}),
        ([f"{W_EPOCHS}/0", f"{W_EPOCHS}/1"], {"match": {"name": "identifiability", "tau": 1}}),
        ([W_EPOCHS], {"match": "none", "merge": "representation"}),
        ([S], {"match": "activation", "merge": {"name": "representation", "ridge": 0.1}}),
    ],
)
def test_an_old_merge_is_not_made_again(old: Path, references: list[str], settings: dict[str, Any]) -> None:
    before = {path.name for path in (old / "merge").iterdir()}
    made = api.merge(*references, **settings, threads=1)["experiment"][0]
    assert made in before
    assert {path.name for path in (old / "merge").iterdir()} == before


def test_a_merge_that_is_not_among_the_old_ones_has_a_name_of_its_own(old: Path) -> None:
    before = {path.name for path in (old / "merge").iterdir()}
    turned = api.merge(f"{W_EPOCHS}/1", f"{W_EPOCHS}/0", threads=1)["experiment"][0]
    other = api.merge(W_EPOCHS, restatistics=True, threads=1)["experiment"][0]
    named = api.merge(W_EPOCHS, name="mine", threads=1)["experiment"][0]
    assert not {turned, other, named} & before
    assert stem_of(turned) == f"{W_EPOCHS}+mean-identifiability"
    assert hash_of(named) != hash_of(turned)


@pytest.mark.parametrize(
    ("command", "reference", "settings"),
    [
        ("match", W_EPOCHS, {}),
        ("match", W_EPOCHS, {"sensitivity": True}),
        ("path", S, {"alphas": 5, "match": "activation"}),
        ("check", W_EPOCHS, {}),
        ("coherence", f"{W_EPOCHS}/0", {}),
        ("cost", f"{W_EPOCHS}/0", {"layers": "layers.1", "distance": True}),
    ],
)
def test_an_old_job_keeps_its_name(old: Path, command: str, reference: str, settings: dict[str, Any]) -> None:
    before = {path.name for path in (old / command).iterdir()}
    asked = compose(COMMANDS[command].settings, {**settings, "references": [reference]})
    if command in ("cost", "coherence"):
        runs = [opened for group in open_runs(None, [reference]) for opened in group]
        folder, _ = job_folder(command, asked, runs)
    else:
        folder, _ = pair_folder(command, asked, pair_sets(asked, Silent()))  # type: ignore[arg-type]
    assert folder.name in before


def test_a_prediction_with_another_threshold_lies_beside_the_first(old: Path) -> None:
    for settings in ({}, {"tau": 50.0}, {"neurons": 3}, {"seeds": 3}):
        api.predict(**MODEL, variant={"name": "w", "num_fixed": 0.25}, threads=1, **settings)
    stems = sorted(stem_of(path.name) for path in (old / "predict").iterdir())
    assert stems == sorted([W, W, f"{W}-tau50", f"{W}-neurons3", f"{W}-seeds0x1x2"])


def test_who_made_it_is_kept_with_everything(old: Path) -> None:
    merged = api.merge(f"{W_EPOCHS}/1", f"{W_EPOCHS}/0", threads=1)["experiment"][0]
    trained = api.train(**MODEL, seeds=1, training={"epochs": 0}, threads=1)["experiment"][0]
    info = [Run(old / kind / name / "0").info() for kind, name in (("merge", merged), ("train", trained))]
    api.path(f"{W_EPOCHS}/1", f"{W_EPOCHS}/0", alphas=3, threads=1)
    jobs = [records.read(path) for path in old.glob("path/*/settings.yaml")]
    (made,) = [job.provenance for job in jobs if isinstance(job, records.Job) and job.provenance]
    for found in (*(each.content() for each in info), made):
        assert found["versions"].keys() == {"lmc", "torch", "python"}
        assert found["process"].keys() == {"pid", "host"}
        assert found["time"]


@pytest.mark.parametrize(
    ("references", "settings"),
    [
        ([f"{W_EPOCHS}/1", f"{W_EPOCHS}/0"], {}),
        ([f"{S}/0", f"{W_EPOCHS}/0", f"{S}/1", f"{W_EPOCHS}/1"], {"mixed": True}),
        ([f"{S}/0", f"{S}/1", f"{W_EPOCHS}/0", f"{W_EPOCHS}/1"], {"mixed": True, "pairs": "all"}),
        ([S, W_EPOCHS], {"pairs": "all"}),
    ],
)
def test_the_told_command_forms_the_same_pairs(
    old: Path, references: list[str], settings: dict[str, Any]
) -> None:
    asked = compose(COMMANDS["path"].settings, {**settings, "references": references})
    folder, record = pair_folder("path", asked, pair_sets(asked, Silent()))  # type: ignore[arg-type]
    command, *words = shlex.split(repeat.of_job(folder, record))[1:]
    told = dict(word.split("=", 1) for word in words if "=" in word)
    named = [word for word in words if "=" not in word]
    again = compose(COMMANDS[command].settings, {**told, "mixed": "mixed" in told, "references": named})
    assert pair_folder("path", again, pair_sets(again, Silent()))[0] == folder  # type: ignore[arg-type]
