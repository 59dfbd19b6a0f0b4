"""A company's own thresholds in the service, in `classify` and in `score`."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result
from prometheus_client import CollectorRegistry

from model import Classifier, ModelError
from model.labels import LABELS
from model.registry import Registry
from model.thresholds import OwnThresholds, read_thresholds
from serving import cli
from serving.app import create_app
from serving.live import Follower, Live, load_classifier
from serving.metrics import ModelMetrics
from serving.settings import Settings
from tests.helpers import Json
from tests.registries import add_candidate

TEXT = "hello z"


def write(path: Path, model: str = "tiny-1", **labels: float) -> Path:
    path.write_text(json.dumps({"model": model, "thresholds": labels}), encoding="utf-8")
    return path


@pytest.fixture
def unreachable(tmp_path: Path) -> Path:
    """Thresholds at which nothing is abuse."""
    return write(tmp_path / "thresholds.json", abuse=0.9999)


# --- the model ---


def test_labels_follow_and_scores_do_not_change(model_folder: Path, unreachable: Path) -> None:
    plain = Classifier.load(model_folder, 1).score([TEXT, "q"])
    own = load_classifier(model_folder, 1, unreachable).score([TEXT, "q"])
    assert [one.scores for one in own] == [one.scores for one in plain]
    assert [one.labels for one in plain] == [("abuse",), ("threat",)]
    assert [one.labels for one in own] == [(), ("threat",)]


def test_few_false_alarms_is_never_below(model_folder: Path) -> None:
    menus = [
        Classifier.load(
            model_folder, 1, OwnThresholds("tiny-1", {"abuse": low})
        ).manifest.thresholds
        for low in (0.2, 0.95)
    ]
    assert [menu["abuse"] for menu in menus] == [
        {"balanced": 0.2, "few_false_alarms": 0.9},
        {"balanced": 0.95, "few_false_alarms": 0.95},
    ]
    assert menus[0]["threat"]["balanced"] == 0.5


def test_for_another_model_they_are_not_applied_and_the_log_says_so(
    model_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "t.json", "1.0.0", abuse=0.9999)
    found = load_classifier(model_folder, 1, path)
    assert found.score([TEXT])[0].labels == ("abuse",)
    assert "are NOT applied: they are for model 1.0.0, and tiny-1 scores" in caplog.text
    assert caplog.records[0].levelno == logging.ERROR


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "FileNotFoundError"),
        ("{", "JSONDecodeError"),
        ("[]", "TypeError"),
        ('{"model": "m"}', "KeyError"),
        ('{"model": "", "thresholds": {"abuse": 0.5}}', "for which model"),
        ('{"model": "m", "thresholds": {}}', "it has no thresholds"),
        ('{"model": "m", "thresholds": {"leaving": 0.5}}', "leaving is none of abuse"),
        ('{"model": "m", "thresholds": {"abuse": 1.0}}', "not between 0 and 1"),
        ('{"model": "m", "thresholds": {"abuse": true}}', "not between 0 and 1"),
        ('{"model": "m", "thresholds": {"abuse": NaN}}', "not between 0 and 1"),
    ],
)
def test_a_bad_file_stops_every_command_and_says_what_to_do(
    content: str | None,
    said: str,
    tmp_path: Path,
    model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "t.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(ModelError, match="brandtox thresholds fit"):
        read_thresholds(path)
    monkeypatch.setenv("BRANDTOX_MODEL", str(model_folder))
    for command in ("classify", "serve"):
        result = CliRunner().invoke(cli.main, [command, "--thresholds", str(path)])
        assert result.exit_code == 1
        assert str(path) in result.stderr
        assert said in result.stderr


# --- the service ---


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    given = Settings(**settings)
    app = create_app(given, load_classifier(given.model, 1, given.thresholds))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        yield client


async def test_the_service_labels_by_them_and_models_tells_so(
    model_folder: Path, unreachable: Path
) -> None:
    async with serving(model=model_folder, thresholds=unreachable) as client:
        answer = (await client.post("/classify", json={"text": TEXT})).json()
        (model,) = (await client.get("/models")).json()["models"]
        message = {
            "source": "wa",
            "id": "1",
            "customer_id": "c",
            "direction": "in",
            "channel": "chat",
            "sent_at": "2026-07-01T12:00:00Z",
            "text": TEXT,
        }
        kept = await client.post("/messages?wait=true", json={"messages": [message]})
    assert answer["verdicts"][0]["labels"] == kept.json()["verdicts"][0]["labels"] == []
    assert model["own_thresholds"] == "applied"
    assert model["thresholds"]["abuse"]["balanced"] == 0.9999


async def test_models_tells_when_they_are_for_another(model_folder: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "t.json", "1.0.0", abuse=0.9999)
    async with serving(model=model_folder, thresholds=path) as client:
        (model,) = (await client.get("/models")).json()["models"]
    assert model["own_thresholds"].startswith(
        "not applied: they are for model 1.0.0; fit them anew"
    )
    assert model["thresholds"]["abuse"]["balanced"] == 0.5


def test_a_promotion_leaves_them_behind_until_they_are_fitted_anew(
    tmp_path: Path, model_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry = Registry(tmp_path / "models")
    for name in ("a", "b"):
        add_candidate(registry, model_folder, tmp_path, name)
    registry.promote("a", "Amal")
    path = write(tmp_path / "t.json", "a", abuse=0.9999)
    live = Live(load_classifier(registry.active(), 1, path))
    metrics = ModelMetrics(CollectorRegistry())
    live.measure(metrics)
    follower = Follower(live, registry, metrics, 1, 1.0, path)
    found = [live.score([TEXT])[0].labels]
    for fitted_for in ("a", "b"):
        registry.promote("b", "Amal")
        write(path, fitted_for, abuse=0.9999)
        follower.turn()
        found.append(live.score([TEXT])[0].labels)
        assert follower.failure is None
        registry.rollback("Amal")
        write(path, "a", abuse=0.9999)
        follower.turn()
        follower.turn()
        found.append(live.score([TEXT])[0].labels)
    assert found == [(), ("abuse",), (), (), ()]
    assert caplog.text.count("NOT applied") == 1
    assert live.thresholds_of("a")["abuse"]["balanced"] == 0.9999


def test_promote_says_to_fit_them_anew(
    tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry(tmp_path / "models")
    add_candidate(registry, model_folder, tmp_path, "a")
    monkeypatch.setenv("BRANDTOX_MODELS", str(registry.folder))
    monkeypatch.setenv("BRANDTOX_THRESHOLDS", str(write(tmp_path / "t.json", abuse=0.9)))
    result = CliRunner().invoke(cli.main, ["models", "promote", "a"])
    assert result.exit_code == 0
    assert "are for tiny-1, and are not applied to a: fit them anew" in result.stderr


# --- archives ---


def score(archive: Path, *arguments: object) -> Result:
    return CliRunner().invoke(cli.main, ["score", str(archive), *map(str, arguments)])


def labels_in(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [row["labels"] for row in csv.DictReader(file)]


@pytest.fixture
def archive(tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BRANDTOX_MODEL", str(model_folder))
    path = tmp_path / "in.csv"
    path.write_text("id,customer,text\n1,c,hello z\n2,c,q please\n", encoding="utf-8")
    return path


def test_another_file_is_another_job(archive: Path, tmp_path: Path, unreachable: Path) -> None:
    output = tmp_path / "out.csv"
    first = score(archive, "-o", output)
    assert first.exit_code == 0, first.output
    assert labels_in(output) == ["abuse", "threat"]
    assert "exists" in score(archive, "-o", output, "--thresholds", unreachable).stderr
    again = score(archive, "-o", output, "--thresholds", unreachable, "--overwrite")
    assert again.exit_code == 0, again.output
    assert labels_in(output) == ["", "threat"], "not the labels that were kept with the scores"
    same = score(archive, "-o", output, "--thresholds", unreachable)
    assert "is finished" in same.stderr
    write(unreachable, abuse=0.0001)
    changed = score(archive, "-o", output, "--thresholds", unreachable, "--overwrite")
    assert changed.exit_code == 0, changed.output
    assert labels_in(output)[1] == "abuse|threat"


def test_the_fingerprint_is_that_of_what_it_says(tmp_path: Path) -> None:
    files = [
        write(tmp_path / "a.json", abuse=0.5, threat=0.6),
        write(tmp_path / "b.json", threat=0.6, abuse=0.5),
        write(tmp_path / "c.json", threat=0.6, abuse=0.51),
        write(tmp_path / "d.json", "other", threat=0.6, abuse=0.5),
    ]
    a, b, c, d = (read_thresholds(path).fingerprint for path in files)
    assert a == b
    assert len({a, c, d}) == 3
    assert set(read_thresholds(files[0]).labels) < set(LABELS)


def test_classify_takes_the_file(archive: Path, unreachable: Path) -> None:
    line = json.dumps({"text": TEXT}).encode()
    command = ["classify", "--thresholds", str(unreachable)]
    found: Json = json.loads(CliRunner().invoke(cli.main, command, input=line).stdout)
    assert found["labels"] == []
