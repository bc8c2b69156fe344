"""Every mistake on the command line, and the whole line that answers it."""

from collections.abc import Callable

import pytest

Run = Callable[..., object]
CASES = {
    "tran": "tran: unknown command (did you mean train? commands: train, import, match, merge, path, check, cost, coherence, dynamics, predict, symmetry, reproduce,"
    " list, show, table, plot, report, explain, remove)",
    "train --bad": "--bad: unknown option (see lmc train --help)",
    "train --formt x": "--formt: unknown option (did you mean --format? see lmc train --help)",
    "--bad": "--bad: unknown option (see lmc --help)",
    "train --cfg": "Option '--cfg' requires an argument (see lmc --help)",
    "train --cfg x": "--cfg=x: unknown choice (choose from all, hydra, job)",
    "train --format xml": "--format=xml: unknown choice (choose from csv, json, latex, markdown, table)",
    "list --trust": "--trust: unknown option (see lmc list --help)",
    "train --config-dir nope": "--config-dir nope: no such folder",
    "train hydra.searchpath=[nope]": "hydra.searchpath: no such folder: nope",
    "plot path -o": "Option '-o' requires an argument (see lmc --help)",
    "train -o x": "-o: unknown option (see lmc train --help)",
    "train foo": "train takes no reference: foo (settings are written key=value)",
    "train seed": "train takes no reference: seed (write seeds=...)",
    "train variant.scale=2": "variant=standard has no scale (its keys: none)",
    "train variant=w variant.scael=2": "variant=w has no scael (did you mean variant.scale? its keys:"
    " num_fixed, scale)",
    "train epochs=3": "epochs: unknown key (did you mean training.epochs? keys: outputs, device, threads,"
    " seeds, mask_seed, init_seed, order_seed, start, name, stack, force, dry_run, training, data, model,"
    " variant)",
    "path pair=all": "pair: unknown key (did you mean pairs? keys: outputs, device, threads, references,"
    " pairs, mixed, trust, alphas, restatistics, kind, gap, layers, split, data, match)",
    "path a match=[activation,none]": "match=[activation,none]: one choice is needed"
    " (-m match=activation,none makes a job of each)",
    "path match.similaritee=x": "match=none has no similaritee (did you mean match.similarity? its keys:"
    " similarity, point)",
    "path data=mnist": "data=mnist: path takes keys of data, not a choice (write data.KEY=VALUE)",
    "path pairs=al": "pairs=al: expected one of disjoint, all, consecutive (did you mean all?)",
    "train seeds=0,1": "seeds=0,1: several values (add -m to run each, or write one list: seeds=[0,1])",
    "train -m hydra/launcher=nope": "hydra/launcher=nope: unknown choice (choose from basic, joblib)",
    "train seeds=1 seeds=2": "seeds=1 and seeds=2: seeds is given twice (give one of them)",
    "train variant=w variant.name=syre": "variant=w and variant=syre: variant is given twice (give one of them)",
    "train experiment=digits/w0 experiment=digits/w1": "experiment=digits/w0 and experiment=digits/w1: experiment"
    " is given twice (give one of them)",
    "path a references=[b]": "references=[b] and references=['a']: references is given twice (give one of them)",
    "train ~seeds": "~seeds: no setting can be taken away (seeds=... gives it another value)",
    "train ~variant=w": "~variant=w: no setting can be taken away (variant=... gives it another value)",
    "train training={epochs:3": "training={epochs:3: training has keys, no value (write training.KEY=VALUE)",
    "train training=foo": "training=foo: training has keys, no value (write training.KEY=VALUE)",
    "train training=5": "training=5: training has keys, no value (write training.KEY=VALUE)",
    "train training=[epochs=3]": "training=[epochs=3]: training has keys, no value (write training.KEY=VALUE)",
    "train training=null": "training=null: training has keys, no value (write training.KEY=VALUE)",
    "train training={}": "training={}: names no key of training (write training.KEY=VALUE)",
    "train variant={}": "variant={}: names no key of variant (write variant.KEY=VALUE)",
    "train variant=null": "variant=null: expected the name of a choice (lmc COMMAND --help lists them)",
    "train variant.name={}": "variant={}: expected the name of a choice (lmc COMMAND --help lists them)",
    "train hydra=1": "hydra=1: expected the name of a choice (lmc COMMAND --help lists them)",
    "list experiment=0.5": "experiment: unknown key (keys: outputs, references)",
    "list device=foo": "device: unknown key (keys: outputs, references)",
    "explain outputs=x": "outputs: unknown key (keys: references)",
    "train hydra/launcher=joblib": "hydra/launcher=joblib: only sweeps use it (add -m)",
    "train -m variant=glob(x*)": "variant=glob(x*): matches no choice (choose from bernoulli, sigma, standard, syre, w)",
    "train -m training.learning_rate=interval(0,1)": "training.learning_rate=interval(0,1): no list of values"
    " (only other sweepers draw from it)",
    "train -m seeds=glob(*)": "seeds=glob(*): matches no choice (seeds has no choices by name)",
    "path a layers=[]": "layers=[]: empty (name at least one)",
    "cost a betas=[]": "betas=[]: empty (name at least one)",
    "train outputs=[a]": "outputs=['a']: expected a word or null",
    "train outputs=": "outputs=: empty",
    "list outputs=a,b": "outputs=a,b: several values (add -m to run each, or quote it for lmc too: outputs=\"'a,b'\")",
    "train seeds=99999999999": "seeds=99999999999: should be less than or equal to 100000",
    "dynamics a memory=inf": "memory=inf: should be a finite number",
    "train -q --cfg job": "-q and --cfg: settings are shown as YAML (leave one of them out)",
    "train seeds=x --cfg job": "seeds=x: expected a whole number or a list (each a whole number)",
    "train model=custom": "model.name: a value is needed (write model.name=package.module:function)",
    "train model=mlp model.name=a:b": "model=mlp and model.name=a:b: two choices of model (give one of them)",
    "list +foo=1": "foo: unknown key (valid keys: outputs, references)",
}


@pytest.mark.parametrize("line", CASES)
def test_message(lmc_run: Run, line: str) -> None:
    result = lmc_run(*line.split())
    assert (result.errors, result.code, result.out) == ([f"error: {CASES[line]}"], 2, "")
    assert not result.given


def test_unknown_choice_names_choices_but_not_custom(lmc_run: Run) -> None:
    result = lmc_run("train", "variant=stendard")
    assert result.errors[0].startswith(
        "error: variant=stendard: unknown choice (did you mean standard? choose "
    )
    assert "custom" not in result.err
    assert result.code == 2


def test_all_faults_at_once(lmc_run: Run) -> None:
    result = lmc_run(
        "train", "variant.scale=2", "seeds=0,1", "moddel=mlp", "training.learning_rate=abc", "name=a"
    )
    starts = [
        "seeds=0,1: several",
        "variant=standard has",
        "moddel: unknown",
        "training.learning_rate=abc: exp",
    ]
    assert [line.removeprefix("error: ").startswith(start) for line, start in zip(result.errors, starts)] == [
        True
    ] * 4
    assert len(result.errors) == 4


def test_a_sweep_is_checked_before_its_first_job(lmc_run: Run) -> None:
    result = lmc_run("train", "-m", "training.learning_rate=0.1,abc", "seeds=1")
    assert result.errors == ["error: training.learning_rate=abc: expected a number"]
    assert (result.code, result.given) == (2, [])


@pytest.mark.parametrize(
    ("fake", "line", "code"),
    [
        ("standard", "error: boom (try again)", 1),
        ("bug", "error: ValueError: boom (this is a bug; run again with --debug for the traceback)", 1),
        ("stop", "error: stopped after epoch 3 (the same command goes on)", 130),
        ("key", "error: stopped", 130),
    ],
)
def test_failed_jobs(lmc_run: Run, monkeypatch: pytest.MonkeyPatch, fake: str, line: str, code: int) -> None:
    monkeypatch.setenv("LMC_FAKE", fake)
    result = lmc_run("train")
    assert (result.errors, result.code) == ([line], code)


def test_debug_shows_the_traceback(lmc_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMC_FAKE", "bug")
    result = lmc_run("train", "--debug")
    assert result.errors[0] == "Traceback (most recent call last):"
    assert result.errors[-1].startswith("error: ValueError: boom")
