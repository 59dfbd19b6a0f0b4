"""`brandtox retrain` on a small model: rows in, a judged candidate out, whatever comes between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from model.manifest import load_manifest
from serving.cli import main
from tests.training import small
from tests.training.quick import patches
from training import retrain
from training.data import load_data
from training.export import export
from training.mixture import shingles, text_key
from training.own import DATASETS
from training.retrain import RECIPES, epoch_of, known_rows, mix_weights, split_rows, train_on
from training.rows import Row
from training.run import Run


def letters(number: int) -> str:
    """Three letters, another three for each number."""
    return "".join(chr(97 + number // 26**place % 26) for place in range(3))


def new_rows(count: int, size: int = 2) -> list[Row]:
    return [
        Row(f"order {letters(i)}", {"abuse": i % 2}, group=f"new {i // size}") for i in range(count)
    ]


@settings(max_examples=25)
@given(st.integers(1, 250), st.integers(1, 9))
def test_a_split_loses_no_row_and_cuts_no_group(count: int, size: int) -> None:
    rows = new_rows(count, size)
    train, fresh = split_rows(rows)
    assert sorted(r.text for r in train + fresh) == sorted(r.text for r in rows)
    assert not {r.group for r in train} & {r.group for r in fresh}
    again = split_rows(rows[::-1])[1]
    assert {r.text for r in again} == {r.text for r in fresh}


def test_retraining_changes_the_shares_of_rows_that_its_own_recipe_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares: list[tuple[float, float]] = []

    def noted(rows: list[Row], perturbed: float, arabizi: float, seed: int) -> list[Row]:
        shares.append((perturbed, arabizi))
        return rows

    monkeypatch.setattr(retrain, "augment", noted)
    monkeypatch.setattr(retrain, "fit", lambda _network, _tokenizer, epoch_rows, *_: epoch_rows(0))
    run = Run(tmp_path / "run")
    run.create("bundled", new_rows(4))
    train_on(run, new_rows(4), [], replace(RECIPES["full"], perturbed=0.25, arabizi=0.125))
    assert shares == [(0.25, 0.125)]


@pytest.mark.parametrize(
    ("count", "held_out"), [(100, 30), (149, 45), (150, 100), (200, 100), (300, 100), (1000, 300)]
)
def test_a_hundred_rows_are_held_out_of_half_as_many_more(count: int, held_out: int) -> None:
    assert held_out <= len(split_rows(new_rows(count))[1]) <= held_out + 1


def test_near_duplicates_stay_on_one_side() -> None:
    long = "one two three four five six seven"
    rows = [
        Row(f"{letters(i // 4)} {long} {letters(i)}", {"abuse": 0}, group=f"new {i}")
        for i in range(80)
    ]
    train, fresh = split_rows(rows)
    assert fresh
    runs = {run for row in train for run in shingles(text_key(row.text))}
    assert runs.isdisjoint(run for row in fresh for run in shingles(text_key(row.text)))


def test_a_companys_label_wins_over_a_known_one() -> None:
    new = [Row("the same order", {"abuse": 1}, group="new 1")]
    known = [Row("The same order!", {"abuse": 0}), Row("another order", {"abuse": 0})]
    assert [row.text for row in known_rows(known, new, [])] == ["another order"]


def test_an_epoch_has_whole_situations_and_each_new_row_once() -> None:
    known = [small.row(f"known {i}", group=f"w1-{i // 5}") for i in range(4_000)]
    recipe = replace(RECIPES["full"], replay=500)
    epoch = epoch_of(new_rows(100), known, recipe, 0)
    replayed = [row for row in epoch if row.text.startswith("known")]
    assert len(replayed) == 500
    assert len({row.group for row in replayed}) == 100
    added = [row for row in epoch if row not in replayed]
    assert len(added) == 100
    assert {row.group for row in added} == {""}
    assert epoch_of(new_rows(100), known, recipe, 1) != epoch


def test_the_mean_of_weights() -> None:
    new, old = small.network(1), small.network(2)
    expected = 0.75 * new.head.weight + 0.25 * old.head.weight
    mix_weights(new, old, 0.25)
    assert torch.allclose(new.head.weight, expected, atol=1e-6)
    before = small.network(1).state_dict()
    same = small.network(1)
    mix_weights(same, old, 0.0)
    assert all(torch.equal(before[name], tensor) for name, tensor in same.state_dict().items())


# the command


@pytest.fixture(scope="module")
def datasets_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.write_messages(tmp_path_factory.mktemp("data"), small.many_records(320))


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory, datasets_folder: Path) -> Path:
    """A random network, released."""
    run = Run(tmp_path_factory.mktemp("first"))
    small.tokenizer().save(str(run.folder / "tokenizer.json"))
    small.config().save_pretrained(run.folder)
    run.keep_made_of({"base": "small", "data": ""})
    run.keep_lexical(small.lexical())
    run.keep(small.network(), "final")
    folder = tmp_path_factory.mktemp("parent") / "model"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.export._MOST_FLIPPED", 1.0)
        patch.setattr("training.export._MOST_DIFFERENCE", 1.0)
        export(run, load_data(None, datasets_folder), folder, "1.0")
    return folder


@pytest.fixture
def here(tmp_path: Path, parent: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder in which the small model is the released one, and training is quick."""
    monkeypatch.chdir(tmp_path)
    for name, value in patches(parent).items():
        monkeypatch.setattr(name, value)
    return tmp_path


def write_new(path: Path, count: int = 200) -> Path:
    """The word `phone` is an insult here, `wait` is none."""
    lines = []
    for i in range(count):
        text = f"{('wait', 'phone')[i % 2]} {small.ENGLISH[i % 5]} {letters(i)}"
        lines.append(json.dumps({"text": text, "abuse": i % 2, "threat": 0, "accusation": 0}))
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def invoke(datasets: Path, *arguments: str | Path) -> Result:
    given = ["retrain", *map(str, arguments), "--datasets", str(datasets)]
    return CliRunner().invoke(main, given)


@pytest.mark.parametrize("recipe", ["full", "head"])
def test_rows_in_a_judged_candidate_out(here: Path, datasets_folder: Path, recipe: str) -> None:
    new = write_new(here / "new.jsonl")
    result = invoke(datasets_folder, new, "--recipe", recipe, "--run", "run", "--name", "1.0+mine")
    assert result.exit_code == 0, result.output
    candidate = here / "models" / "1.0+mine"
    manifest = load_manifest(candidate)
    assert (manifest.model, manifest.parent, len(manifest.data)) == ("1.0+mine", "1.0", 16)
    assert {p.name for p in candidate.iterdir()} >= {"gate.json", "comparison.json", "report.md"}
    gate = json.loads((candidate / "gate.json").read_text())
    fresh = next(c for c in gate["better"] if c["name"] == "new_data_log_loss")
    assert fresh["rows"] == 100
    if recipe == "full":
        assert fresh["passed"]
    assert "brandtox models promote 1.0+mine" in result.output
    assert "Not checked without --corpora" in result.output
    assert not list((here / "run").glob("*.pt"))
    assert "## " in (here / "run" / "check.md").read_text("utf-8")
    again = invoke(datasets_folder, new, "--recipe", recipe, "--run", "run", "--name", "1.0+mine")
    assert again.exit_code == 1
    assert "there is a model '1.0+mine' of these rows already" in again.output


def test_a_check_alone_trains_nothing(here: Path, datasets_folder: Path) -> None:
    result = invoke(datasets_folder, write_new(here / "new.jsonl"), "--check-only", "--run", "run")
    assert result.exit_code == 0, result.output
    assert "200 rows to train on (abuse 100 of 200" in result.output
    assert {p.name for p in (here / "run").iterdir()} == {"check.md", "check.json"}
    assert not (here / "models").exists()


def test_a_file_that_cannot_train_is_an_error(here: Path, datasets_folder: Path) -> None:
    result = invoke(datasets_folder, write_new(here / "new.jsonl", 5))
    assert result.exit_code == 1
    assert "Error: 5 rows are too few to train on: at least 50 are needed" in result.output
    (here / "new.csv").write_bytes("text,abuse\nشكرا,0\n".encode("cp1256"))
    result = invoke(datasets_folder, here / "new.csv")
    assert result.exit_code == 1
    assert "it seems to be Windows-1256 (Arabic)" in result.output


@pytest.mark.slow
def test_a_killed_run_goes_on_and_gives_the_same_model(
    here: Path, parent: Path, datasets_folder: Path
) -> None:
    new = write_new(here / "new.jsonl", 60)
    options = ["--datasets", str(datasets_folder), "--run", "run", "--name", "1.0+killed"]
    program = [sys.executable, "-m", "tests.training.quick", str(parent), "retrain", str(new)]
    environment = os.environ | {"PYTHONPATH": str(DATASETS.parent), "OMP_NUM_THREADS": "1"}
    checkpoint = here / "run" / "retrain.checkpoint.pt"
    with subprocess.Popen([*program, *options], env=environment) as process:
        while not checkpoint.exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not (here / "models" / "1.0+killed").exists()
    step = torch.load(checkpoint, weights_only=True)["step"]
    subprocess.run([*program, *options], env=environment, check=True)
    assert 0 < step < json.loads((here / "run" / "retrain.curve.json").read_text())[-1]["step"]
    whole = invoke(datasets_folder, new, "--run", "other", "--name", "1.0+whole")
    assert whole.exit_code == 0, whole.output
    # on one thread in both, so that sums are added in the same order
    killed, unbroken = (load_manifest(here / "models" / f"1.0+{n}") for n in ("killed", "whole"))
    assert killed.files["model.onnx"] == unbroken.files["model.onnx"]
