"""The stored outputs of an old version, and command lines upon them.

They lie in a folder of the fixtures, with a README of the commands that made them.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import shlex
import shutil
import string
from pathlib import Path

import pandas as pd
import pytest
import torch
from pandas.testing import assert_frame_equal

from lmc.cli.main import app

OLD = Path(__file__).parents[1] / "fixtures" / "outputs-4640cb5"
TEXT = (OLD / "README.md").read_text()
NAMED = {"small": "", **dict(re.findall(r"^(\w)=(\S+)$", TEXT, re.MULTILINE))}
S, W = NAMED["s"], NAMED["w"]
SMALL = re.search(r'^small="(.+)"$', TEXT, re.MULTILINE)[1].split()  # type: ignore[index]
TIMES = ["seconds", "megabytes"]

RUNS = sorted(path.name for kind in ("train", "merge") for path in (OLD / kind).iterdir())
JOBS = sorted(
    path.parent.relative_to(OLD).as_posix()
    for path in OLD.glob("*/*/settings.yaml")
    if path.parts[-3] not in ("train", "merge")
)
MERGED = sorted(path.relative_to(OLD).as_posix() for path in OLD.glob("merge/*"))
KINDS = sorted({path.stem for path in OLD.glob("*/*/*.parquet")} - {"run"})


def copied(folder: Path) -> Path:
    """A copy of all of them, in a new folder ``outputs``."""
    return Path(shutil.copytree(OLD, folder / "outputs"))


def told(*commands: str) -> list[list[str]]:
    """The README's lines of these commands, as words after ``lmc``."""
    lines = [string.Template(line).safe_substitute(NAMED) for line in TEXT.splitlines()]
    words = [shlex.split(line)[1:] for line in lines if line.startswith("lmc ")]
    return [each for each in words if each[0] in commands]


def lmc(*words: str, outputs: Path) -> tuple[str, str]:
    """What a command prints on stdout and on stderr; it must succeed."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as left:
        app([*words, f"outputs={outputs}"], prog_name="lmc")
    assert not left.value.code, f"lmc {shlex.join(words)}\n{err.getvalue()}"
    return out.getvalue(), err.getvalue()


def rows(*words: str, outputs: Path) -> pd.DataFrame:
    """What a command prints, as a table."""
    return pd.DataFrame(json.loads(lmc(*words, "--format", "json", outputs=outputs)[0]))


def found_stored(*words: str, outputs: Path) -> str:
    """The experiment that a command names, where all of it is stored: nothing is written, and it says so."""
    before = content(outputs)
    out, said = lmc(*words, "--format", "json", outputs=outputs)
    assert "already stored" in said
    assert content(outputs) == before
    (name,) = {row["experiment"] for row in json.loads(out)}
    return str(name)


def rounding() -> str:
    """What a small computation in float32 hashes to; another processor may round its sums otherwise."""
    grid = torch.arange(64 * 60, dtype=torch.float32).view(64, 60).sin()
    value = torch.nn.functional.gelu(grid @ grid.T[:, :7]).softmax(1).log()
    return hashlib.sha256(value.numpy().tobytes()).hexdigest()


def tolerance() -> dict[str, float]:
    """As close as numbers computed anew must come."""
    if rounding() == (OLD / "rounding.txt").read_text().strip():
        return {"rtol": 1e-6, "atol": 1e-7}  # a lerp of equal values is that value since then
    return {"rtol": 1e-4, "atol": 1e-6}


def same(table: pd.DataFrame, old: pd.DataFrame, **close: float) -> None:
    """Equal columns, rows and values, but for the time and disk they took."""
    kept = [name for name in old.columns if name not in TIMES]
    assert list(table.columns) == list(old.columns)
    assert_frame_equal(table[kept], old[kept], check_dtype=False, **(close or {"check_exact": True}))


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a folder but locks."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
