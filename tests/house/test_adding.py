"""Adding a part is measured: README's "Adding a part" is carried out on a copy of the package, and run.

A place is a file that is made or changed. The snippets of the README are the edits: a block that begins with
the name of a file is that file, a ``diff`` inserts or replaces lines in a file that exists.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

PLACES = {"matcher": 2, "merger": 2, "path": 3, "command": 2, "experiment": 1}
PART = re.compile(r"^<!-- part: (\w+) -->$(.*?)(?=^<!-- part: |^## )", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(
    r"^```(python|yaml|diff)\n +# (\S+)\n(.*?)^```$|^```(python|yaml)\n# (\S+)\n(.*?)^```$", re.M | re.S
)
LINES = (
    "train name=tiny 'model.hidden=[8]' training.epochs=1 seeds=2",
    "tally --format json",
    "tally least=3 --format json",
    "tally --help",
    "--help",
    "match --help",
    "match tiny match=shift match.by=3 -q",
    "match tiny match=shfit",
    "match tiny match=shift match.bye=3",
    "match tiny match=shift --cfg job",
    "match tiny match=shift --cfg job --config-dir own",
    "path tiny kind=bow alphas=3 -q",
    "path tiny kind=line alphas=3 -q",
    "path tiny kind=bew",
    "merge tiny merge=leaning merge.share=0.75 match=none -q",
    "reproduce --list --format json",
    "reproduce brief size=tiny --format json",
)
RUNNER = """
import contextlib, io, json, sys
from lmc.cli.main import app
answers = []
for words in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            app(words, prog_name="lmc")
        except SystemExit as left:
            code = left.code or 0
    answers.append({"code": code, "out": out.getvalue(), "err": err.getvalue()})
json.dump(answers, sys.stdout)
"""


def _parts(root: Path) -> dict[str, dict[str, tuple[str, str]]]:
    """By part and file: the kind of edit, diff or another, and its text."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for part, text in PART.findall((root / "README.md").read_text()):
        edits = [(hit[0] or hit[3], hit[1] or hit[4], hit[2] or hit[5]) for hit in BLOCK.findall(text)]
        found[part] = {file: (kind, body) for kind, file, body in edits}
        assert len(found[part]) == len(edits), f"{part}: a file is edited twice"
    return found


def _add(tree: Path, file: str, kind: str, body: str) -> None:
    """Carry out one edit; the file of a new part must not exist, the file of a diff must."""
    place = tree / file
    if kind != "diff":
        assert not place.exists(), file
        place.write_text(f"# {file}\n{body}")
        return
    lines, at = place.read_text().splitlines(), None
    waiting: list[str] = []
    for line in body.splitlines():
        sign, text = line[:1], line[2:]
        if sign == "+" and at is None:
            waiting.append(text)
        elif sign == "+":
            lines.insert(at, text)
            at += 1
        else:
            at = lines.index(text, at or 0)
            lines[at:at] = waiting
            at += len(waiting) + (sign != "-")
            waiting = []
            if sign == "-":
                del lines[at]
    assert not waiting, f"{file}: nothing says where"
    place.write_text("\n".join(lines) + "\n")


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Copy:
    """A copy of the package with every part of the README added, and a folder where it works."""

    tree: Path
    folder: Path

    @cached_property
    def answers(self) -> dict[str, Answer]:
        """To every command line below; one process, as most of the time goes into imports."""
        given = json.dumps([shlex.split(line) for line in LINES])
        done = self._python("-c", RUNNER, input=given)
        assert done.returncode == 0, done.stderr
        answers = [Answer(**answer) for answer in json.loads(done.stdout)]
        return dict(zip(LINES, answers, strict=True))

    def complete(self, line: str) -> str:
        """What a shell would be offered."""
        env = {"_LMC_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": line}
        return self._python("-m", "lmc.cli", **env).stdout

    def _python(self, *words: str, input: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        kept = {key: value for key, value in os.environ.items() if key != "LMC_OUTPUTS"}
        env = {**kept, "PYTHONPATH": str(self.tree), "OMP_NUM_THREADS": "1", **env}
        words = (sys.executable, *words)
        return subprocess.run(words, cwd=self.folder, env=env, input=input, capture_output=True, text=True)

    def done(self, line: str) -> str:
        """What a command line that succeeds prints."""
        answer = self.answers[line]
        assert answer.code == 0, f"{line}\n{answer.err}"
        return answer.out.strip()

    def weights(self, run: str) -> dict[str, torch.Tensor]:
        """Of a stored run's last epoch."""
        return load_file(max((self.folder / "outputs" / run).glob("epoch-*.safetensors")))


@pytest.fixture(scope="module")
def parts(root: Path) -> dict[str, dict[str, tuple[str, str]]]:
    return _parts(root)


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory, copy_sources: Callable[[Path], Path], parts) -> Copy:
    tree, folder = copy_sources(tmp_path_factory.mktemp("tree")), tmp_path_factory.mktemp("work")
    for edits in parts.values():
        for file, (kind, body) in edits.items():
            _add(tree, file, kind, body)
    for name in ("cli", "conf"):
        (tree / name).rename(tree / "lmc" / name)
    (folder / "own" / "match").mkdir(parents=True)
    (folder / "own" / "match" / "shift.yaml").write_text("name: shift\nby: 2\n")
    return Copy(tree, folder)


@pytest.mark.parametrize("part", PLACES)
def test_a_part_is_added_in_as_few_places_as_promised(parts, part: str):
    assert [*parts] == [*PLACES]
    assert len(parts[part]) == PLACES[part], [*parts[part]]


def test_a_matcher(added: Copy):
    folder = added.done("match tiny match=shift match.by=3 -q")
    found = load_file(Path(folder) / "permutations.safetensors")
    assert [p.tolist() for p in found.values()] == [[3, 4, 5, 6, 7, 0, 1, 2]]
    neurons = pd.read_parquet(Path(folder) / "neuron.parquet")
    assert neurons["partner"].tolist() == [3, 4, 5, 6, 7, 0, 1, 2]


def test_a_name_without_a_yaml_is_a_name_like_others(added: Copy):
    assert re.search(r"^  match .*\bshift\b", added.done("match --help"), re.M)
    assert "match=shift" in added.complete("lmc match tiny match=s")
    typo = added.answers["match tiny match=shfit"]
    assert typo.code == 2
    assert "match=shfit: unknown choice (did you mean shift?" in typo.err
    key = added.answers["match tiny match=shift match.bye=3"]
    assert key.code == 2
    assert "match.bye: unknown key (did you mean by?" in key.err


def test_a_yaml_of_the_users_own_wins(added: Copy):
    assert "by:" not in added.done("match tiny match=shift --cfg job")
    assert "by: 2" in added.done("match tiny match=shift --cfg job --config-dir own")


def test_a_merger(added: Copy):
    name = added.done("merge tiny merge=leaning merge.share=0.75 match=none -q")
    (experiment,) = (added.folder / "outputs" / "train").glob("tiny*")
    runs = [f"train/{experiment.name}/{seed}" for seed in (0, 1)]
    merged, first, second = map(added.weights, (f"merge/{name}/0", *runs))
    for key, weight in merged.items():
        torch.testing.assert_close(weight, 0.75 * first[key] + 0.25 * second[key])


def test_a_kind_of_path_and_its_figure(added: Copy):
    folders = [Path(added.done(f"path tiny kind={kind} alphas=3 -q")) for kind in ("bow", "line")]
    bow, line = (pd.read_parquet(folder / "path.parquet") for folder in folders)
    ends = bow["alpha"].isin([0, 1])
    assert (bow.loc[ends, "loss"] - line.loc[ends, "loss"]).abs().max() < 1e-6
    assert (bow.loc[~ends, "loss"] - line.loc[~ends, "loss"]).abs().min() > 1e-3
    assert (folders[0] / "bow.png").stat().st_size > 1000
    assert not (folders[1] / "bow.png").exists()
    typo = added.answers["path tiny kind=bew"]
    assert typo.code == 2
    assert "kind=bew: expected one of line, bow, representation" in typo.err


def test_a_command(added: Copy):
    assert re.search(r"^  tally +Count stored runs", added.done("--help"), re.M)
    assert "least: 0" in added.done("tally --help")
    (row,) = json.loads(added.done("tally --format json"))
    assert row["experiment"].startswith("tiny")
    assert row["value"] == "2"
    assert json.loads(added.done("tally least=3 --format json")) == []


def test_an_experiment(added: Copy):
    assert "brief" in added.done("reproduce --list --format json")
    (claim,) = json.loads(added.done("reproduce brief size=tiny --format json"))
    assert claim["claim"] == "the runs predict better than chance"
    assert claim["outcome"] == "too small to decide"
