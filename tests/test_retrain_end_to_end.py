"""From 200 labelled rows to a service that answers with the new model, and back: no corpora, no GPU."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from fastapi.testclient import TestClient

from model import Classifier
from model.manifest import RELEASED, load_manifest
from model.registry import Registry
from serving.app import create_app
from serving.cli import main
from serving.live import with_active_model
from serving.settings import Settings
from tests.training.company import company_records
from training.own import DATASETS

SLANG = "your branch people are zorbat, contract today"
ORDINARY = "where is my order?"


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def write(path: Path, records: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records), "utf-8")
    return str(path)


def retrain(folder: Path, records: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Train on the records; the candidate's gate."""
    new = write(folder / f"{name}.jsonl", records)
    result = invoke(
        "retrain", new, "--name", name, "--run", f"runs/{name}", "--datasets", str(DATASETS)
    )
    assert result.exit_code == 0, result.output
    gate: dict[str, Any] = json.loads((folder / "models" / name / "gate.json").read_text())
    return gate


def answer(text: str) -> dict[str, Any]:
    """What a service that starts now says of a text."""
    settings = Settings()
    classifier = Classifier.load(with_active_model(settings).model)
    app = create_app(settings, classifier, models=Registry(settings.models))
    with TestClient(app, base_url="http://localhost") as client:
        answered = client.post("/classify", json={"text": text}).json()
    verdict: dict[str, Any] = answered["verdicts"][0]
    return verdict


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BRANDTOX_CORPORA", raising=False)
    return tmp_path


@pytest.mark.slow
def test_200_rows_in_a_better_model_in_service_and_back(here: Path) -> None:
    released = load_manifest(RELEASED).model
    before = answer(SLANG)
    assert (before["model"], before["labels"]) == (released, [])
    gate = retrain(here, company_records(200), "slang")
    assert gate["verdict"] == "passed", [c for c in gate["checks"] if not c["passed"]]
    assert "Passed" in (here / "models" / "slang" / "report.md").read_text("utf-8")
    assert answer(SLANG)["model"] == released
    assert invoke("models", "promote", "slang").exit_code == 0
    after = answer(SLANG)
    assert after["model"] == "slang"
    assert after["scores"]["abuse"] > before["scores"]["abuse"] + 0.2
    assert answer(ORDINARY)["labels"] == []
    assert invoke("models", "rollback").exit_code == 0
    assert answer(SLANG)["model"] == released


def flipped(records: list[dict[str, Any]], sides: tuple[int, ...]) -> list[dict[str, Any]]:
    """The same with 40 % of the labels of abuse that are one of `sides` turned round."""
    chance = random.Random(3)
    return [
        record | {"abuse": 1 - record["abuse"]}
        if record["abuse"] in sides and chance.random() < 0.4
        else record
        for record in records
    ]


def known_records(count: int) -> list[dict[str, Any]]:
    """Rows as a company may label them, from the messages of this project: one industry's."""
    lines = (
        line
        for path in sorted((DATASETS / "messages").glob("*.jsonl"))
        for line in path.read_text("utf-8").splitlines()
    )
    names = ("text", "abuse", "threat", "accusation", "situation")
    records = [
        r for r in map(json.loads, lines) if (r["industry"], r["split"]) == ("telecom", "train")
    ]
    chosen = random.Random(0).sample(records, count)
    return [{name: r[name] for name in names} | {"group": r["situation"]} for r in chosen]


@pytest.mark.slow
@pytest.mark.parametrize("sides", [(0, 1), (0,), (1,)], ids=["both", "no to yes", "yes to no"])
def test_a_candidate_of_wrong_labels_is_refused(here: Path, sides: tuple[int, ...]) -> None:
    gate = retrain(here, flipped(known_records(300), sides), "poisoned")
    assert gate["verdict"] == "refused"
    result = invoke("models", "promote", "poisoned")
    assert result.exit_code == 1
    assert "is not promoted" in result.output
