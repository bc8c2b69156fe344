"""Figures, reports and the commands that repeat what is stored, on tiny runs."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from lmc import api, jobs
from lmc.core.errors import RunReferenceError, SettingError
from lmc.jobs.reporting import commands as repeat
from lmc.store import records
from lmc.store.experiments import Experiment, experiments
from lmc.store.layout import Store

from .conftest import train

SMALL = {"model": {"hidden": [16, 12]}, "training": {"epochs": 8}}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two experiments with barriers, matches and a verdict; a merged run."""
    folder = tmp_path_factory.mktemp("stored")
    for variant in ("standard", "w"):
        train(**SMALL, seeds=4, variant=variant, outputs=str(folder), name=variant)
    api.path("w", "standard", match="activation", alphas=5, outputs=str(folder))
    api.check("w", alphas=3, outputs=str(folder))
    api.merge("w", outputs=str(folder))
    return folder


@pytest.fixture
def copied(stored: Path, outputs: Path) -> Path:
    """The same in the test's own outputs."""
    shutil.copytree(stored, outputs)
    return outputs


def given(line: str) -> tuple[str, dict[str, Any]]:
    """A told command as the API takes it."""
    _, command, *words = shlex.split(line)
    settings = dict(word.split("=", 1) for word in words if "=" in word)
    references = [word for word in words if "=" not in word]
    made: dict[str, Any] = {key: yaml.safe_load(value) for key, value in settings.items()}
    return command, {**made, **({"references": references} if references else {})}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"seeds": [3, 5], "mask_seed": 2, "variant": {"name": "w", "scale": 0.5, "num_fixed": [1, 2, 0.5]}},
        {"training": {"epochs": 3, "checkpoints": 1, "clip": 0.5, "schedule": "cosine"}, "name": "mine"},
        {
            "model": {"hidden": [4], "norm": "none"},
            "data": {"standardise": False},
            "order_seed": 7,
            "seeds": 1,
        },
    ],
)
def test_the_told_training_is_the_one_that_was_done(settings: dict[str, Any], outputs: Path) -> None:
    train(**{"seeds": 2, **settings})
    (experiment,) = experiments(outputs)
    before = {run.seed: run.epochs() for run in experiment.runs()}
    command, told = given(repeat.of_experiment(experiment))
    outcome = jobs.run(command, {**told, "dry_run": True})
    assert outcome.references == (experiment.name,)
    facts = dict(zip(outcome.tables["setting"]["key"], outcome.tables["setting"]["value"], strict=True))
    assert facts["remaining seeds"] == "none"
    assert facts["stored seeds"].split() == [str(seed) for seed in before]


def test_the_told_jobs_are_those_that_were_done(copied: Path) -> None:
    name = next(each.name for each in experiments(copied) if each.name.startswith("w-"))
    found = repeat.jobs_of(Store(copied), [name])
    assert [record.command for _, record in found] == ["path", "check"]
    for folder, record in found:
        command, told = given(repeat.of_job(folder, record))
        assert jobs.run(command, told).references == (f"outputs/{command}/{folder.name}",)
    (merged,) = [each for each in experiments(copied) if each.kind == "merge"]
    command, told = given(repeat.of_experiment(merged))
    assert jobs.run(command, told).references == (merged.name,)


def test_the_told_reproduction_has_its_size_and_changes(copied: Path) -> None:
    api.reproduce("digits", size="tiny", seeds=2, model={"hidden": [6, 5]}, training={"epochs": 1})
    (folder,) = (copied / "reproduce").iterdir()
    line, exact = repeat.of_reproduce(records.read(folder / "settings.yaml"))
    assert exact
    _, told = given(line)
    assert told == {
        "references": ["digits"],
        "size": "tiny",
        "model.hidden": [6, 5],
        "training.epochs": 1,
        "seeds": 2,
    }
    api.report(out="r.html")
    text = Path("r.html").read_text()
    assert "<b>too small to decide</b>" in text


def test_a_plot_of_named_experiments(copied: Path) -> None:
    made = api.plot("barrier", "w", "standard", out="bars.pdf")
    assert made["experiment"].str.split("-").str[0].tolist() == ["w", "standard"]
    assert Path("bars.pdf").read_bytes().startswith(b"%PDF")
    one = api.plot("path", "w/0", "w/1", out="one.svg", where={"match": "none", "split": "test"})
    assert one["rows"].tolist() == [5]  # the check of three points came later, and is coarser


@pytest.mark.parametrize(
    ("kind", "references", "settings", "error", "text"),
    [
        ("bars", (), {}, SettingError, "figure=bars"),
        ("path", (), {"out": "a.gif"}, SettingError, "a.gif"),
        ("path", (), {"out": "none/a.png"}, SettingError, "no folder"),
        ("path", ("nope",), {}, RunReferenceError, "nope"),
        ("swap", ("w",), {}, RunReferenceError, "run lmc cost"),
        ("path", (), {"where": {"splt": "test"}}, SettingError, "did you mean split"),
    ],
)
def test_a_plot_that_cannot_be_drawn_writes_nothing(
    copied: Path, kind: str, references: tuple[str, ...], settings: dict[str, Any], error: type, text: str
) -> None:
    with pytest.raises(error, match=text):
        api.plot(kind, *references, **settings)
    assert [item.name for item in Path().iterdir()] == ["outputs"]


def test_a_report_tells_verdicts_commands_and_what_is_missing(copied: Path) -> None:
    runs = api.report(out="page.html")
    assert len(runs) == 9
    text = Path("page.html").read_text()
    names = {each.name: each for each in experiments(copied)}
    standard = next(name for name in names if name.startswith("standard"))
    verdict = api.table("check")["verdict"].iloc[0]
    assert f'<p class="verdict">{verdict}' in text
    assert f"lmc check {standard}" in text
    assert f"{standard} has no matched neurons stored" in text
    assert all(f">{name}</td>" in text for name in names)
    assert text.count("<svg") == 5  # barriers, paths, matches, training


def test_a_report_tells_what_did_not_finish(copied: Path) -> None:
    standard = next(each for each in experiments(copied) if each.name.startswith("standard"))
    for seed, status in ((0, "running"), (1, "diverged")):
        standard.run(seed).write_info(status=status)
    (standard.run(2).path / "run.json").write_text("{")
    next((copied / "check").glob("*/match.parquet")).write_text("no table")
    api.report("standard", out="page.html")
    text = Path("page.html").read_text()
    assert f"{standard.name}/0 is interrupted" in text
    assert f"{standard.name}/1 is diverged" in text
    assert f"{standard.name}/2" in text
    assert "match.parquet" in text
    assert "seeds=1" in text


def test_a_report_speaks_of_its_references_only(copied: Path) -> None:
    runs = api.report("w*", out="page.html")
    assert runs["experiment"].nunique() == 2  # with the one merged from it
    text = Path("page.html").read_text()
    standard = next(each.name for each in experiments(copied) if each.name.startswith("standard"))
    assert standard not in text[: text.index('id="commands"')]


@pytest.mark.parametrize("out", ["a.txt", "none/a.html", "outputs"])
def test_a_report_that_cannot_be_written_is_refused_early(copied: Path, out: str) -> None:
    with pytest.raises(SettingError):
        api.report(out=out)


def test_nothing_stored_is_said(outputs: Path) -> None:
    with pytest.raises(RunReferenceError, match="lmc train"):
        api.report()
    assert not Path("report.html").exists()


def test_names_of_a_folder_are_escaped(copied: Path) -> None:
    whole = next(each for each in experiments(copied) if each.name.startswith("standard"))
    evil = "<script>alert(1)<"
    whole.path.rename(whole.path.with_name(evil))
    assert Experiment(whole.path.with_name(evil)).runs()
    api.report(out="page.html")
    text = Path("page.html").read_text()
    assert evil not in text
    assert "&lt;script&gt;alert(1)&lt;" in text


def test_runs_with_a_path_but_no_match_are_reported(outputs: Path, tmp_path: Path) -> None:
    """A kind of table that is stored nowhere has no rows, but its columns."""
    train(seeds=2, name="scanned")
    api.path("scanned", alphas=3)
    api.report("scanned", out=str(tmp_path / "page.html"))
    assert "scanned" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize("reference", ["bare", "bare/0", "bare@0", "bare@9"])
def test_runs_alone_are_reported(outputs: Path, reference: str) -> None:
    """Right after training nothing else is stored, at no epoch."""
    train(seeds=2, name="bare")
    api.report(reference, out="page.html")
    assert "bare" in Path("page.html").read_text()
    for kind in ("barrier", "check", "layer"):
        assert api.table(kind, reference).empty
        with pytest.raises(RunReferenceError, match=f"no stored {'barrier' if kind == 'check' else kind}"):
            api.plot("barrier" if kind == "check" else kind, reference)
