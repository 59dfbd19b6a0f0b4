"""From the bundled base to a verdict, as a user would: `brandtox train`, `release`, then score."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from model import Classifier
from serving.cli import main
from tests.training import small
from training import export as export_module
from training.own import DATASETS

ROWS = {"train": 48, "dev": 36, "test": 12}


def write_few_messages(folder: Path) -> Path:
    """Messages of `datasets/`, so many of each split, from all its files."""
    files = sorted((DATASETS / "messages").glob("*.jsonl"))
    lines = [line for file in files for line in file.read_text("utf-8").splitlines()]
    records = [json.loads(line) for line in lines]
    few = []
    for split, count in ROWS.items():
        members = [record for record in records if record["split"] == split]
        few += members[:: len(members) // count][:count]
    return small.write_messages(folder, few)


def invoke(*arguments: str | Path) -> None:
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == 0, result.output


@pytest.mark.slow
def test_a_model_is_trained_released_and_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A barely trained model's probabilities lie close to its thresholds; the other gates stand.
    monkeypatch.setattr(export_module, "_MOST_FLIPPED", 0.1)
    messages = write_few_messages(tmp_path / "datasets")
    run, model = tmp_path / "run", tmp_path / "model"
    invoke("train", "--datasets", messages, "--run", run, "--epochs", "1")
    invoke("release", "--datasets", messages, "--run", run, "--to", model, "--version", "0.0.1")
    curve = json.loads((run / "customers.curve.json").read_text())
    assert curve[-1]["step"] >= 2
    classifier = Classifier.load(model)
    verdict, same, other = classifier.score(
        ["يا نصابين رجعوا فلوسي", "يا نصابين رجعوا فلوسي", "thank you"]
    )
    assert verdict.model == "0.0.1"
    assert (verdict.language, other.language) == ("ar", "en")
    assert verdict.scores == same.scores != other.scores
    assert all(0 < score < 1 for score in verdict.scores.values())
    assert sum(verdict.sentiment.values()) == pytest.approx(1, abs=1e-4)
