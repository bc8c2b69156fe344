"""Help and completion."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lmc.cli.complete import _joined
from lmc.jobs.protocol.commands import COMMANDS

Run = Callable[..., object]


@pytest.fixture
def completions(lmc_run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    def complete(line: str) -> list[str]:
        monkeypatch.setenv("_LMC_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", "\n".join(line.split(" ")))
        monkeypatch.setenv("COMP_CWORD", str(line.count(" ")))
        return lmc_run().out.split()

    return complete


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command(lmc_run: Run, command: str) -> None:
    result = lmc_run(command, "--help")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"Usage: lmc {command} [")
    assert f"\n  lmc {command}" in result.out
    assert "Settings and their defaults" in result.out


def test_help_of_train_shows_groups_and_defaults(lmc_run: Run) -> None:
    lines = lmc_run("train", "--help").out.splitlines()
    variants = next(line for line in lines if line.startswith("  variant "))
    assert "standard*" in variants.replace(",", "").split()
    assert "custom" not in variants
    assert {"  seeds: 4", "    learning_rate: 0.001", "    name: mlp"} <= set(lines)
    assert not any(line.startswith("  hydra") for line in lines)


def test_help_of_the_program(lmc_run: Run) -> None:
    result = lmc_run()
    assert [line.split()[0] for line in result.out.split("Commands:\n")[1].splitlines()] == list(COMMANDS)
    assert "..." not in result.out.split("Commands:\n")[1]
    assert lmc_run("--help").out == result.out
    assert lmc_run("--version").out == "lmc 0.1.0\n"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("lmc tr", ["train"]),
        ("lmc train var", ["variant="]),
        ("lmc train variant=s", ["sigma", "standard", "syre"]),
        ("lmc train variant=w,sta", ["w,standard"]),
        ("lmc train variant=w variant.", ["variant.num_fixed=", "variant.scale="]),
        ("lmc train training.optimiser=", ["adamw", "sgd"]),
        ("lmc train training.epochs=", ["40"]),
        ("lmc path pairs=a", ["all"]),
        ("lmc path mixed=", ["false", "true"]),
        ("lmc train hydra/launcher=", ["basic", "joblib"]),
        ("lmc table bar", ["barrier"]),
        ("lmc path digits", ["digits-mlp-w-1f3a9c02", "digits-mlp-w-1f3a9c02/0"]),
        ("lmc table barrier digits-mlp-w-1f3a9c02/", ["digits-mlp-w-1f3a9c02/0"]),
        ("lmc explain cross t", ["term"]),
        ("lmc explain table barr", ["barrier"]),
        ("lmc explain identif ratio=", []),
        ("lmc path kind=", ["line", "representation"]),
        ("lmc train broken=1 var", []),
    ],
)
def test_completion(
    completions: Callable[[str], list[str]], tmp_path: Path, line: str, expected: list[str]
) -> None:
    (tmp_path / "outputs/train/digits-mlp-w-1f3a9c02/0").mkdir(parents=True)
    assert completions(line) == expected


def test_bash_splits_words_at_equal_signs() -> None:
    assert _joined(["lmc", "train", "variant", "=", "s"], 4) == (["lmc", "train", "variant=s"], 2)
    assert _joined(["lmc", "train", "variant", "="], 3) == (["lmc", "train", "variant="], 2)
    assert _joined(["lmc", "train", "variant", "=", "w", ""], 5) == (["lmc", "train", "variant=w", ""], 3)
