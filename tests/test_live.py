"""A running service takes a promoted model up without a dropped request."""

from __future__ import annotations

import asyncio
import gc
import logging
import shutil
import weakref
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry

from model import Classifier, ModelError, Verdict
from model.manifest import MODEL, RELEASED, TOKENIZER, read_manifest
from model.registry import ACTIVE, Registry
from serving.app import create_app
from serving.batcher import Batcher
from serving.live import Follower, Live, with_active_model
from serving.metrics import ModelMetrics
from serving.settings import Settings
from serving.store.database import Database
from serving.store.tables import messages, verdicts
from tests.helpers import FakeScorer, HeldScorer, Json, eventually, verdict
from tests.registries import add_candidate
from tests.stores import Company

_OFTEN = 0.02
_LONG = "a " * 3_000
"""Two of these are two rounds of the model."""


@pytest.fixture
def models(tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """With the candidates a and b in the place of the released model, and a in use."""
    registry = Registry(tmp_path / "models")
    menu = read_manifest(model_folder).thresholds
    add_candidate(registry, model_folder, tmp_path, "a")
    changes = menu | {"off_channel": {"balanced": 0.0001}}
    add_candidate(registry, model_folder, tmp_path, "b", thresholds=changes)
    registry.promote("a", "Amal")
    return registry


@asynccontextmanager
async def serving(models: Registry) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service that follows the folder, as `brandtox serve` opens it."""
    settings = Settings(models=models.folder, models_poll_seconds=_OFTEN, threads=1)
    classifier = Classifier.load(with_active_model(settings).model, 1)
    app = create_app(settings, classifier, models=models)
    del classifier
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        yield client


async def scores(client: httpx.AsyncClient, model: str) -> None:
    """Returns when a model has been taken up."""
    async with asyncio.timeout(60):
        while (await client.get("/readyz")).json()["model"] != model:
            await asyncio.sleep(0.01)


def body_of(number: int) -> Json:
    """Some are of one round, some of several."""
    texts = ["hello", "z", _LONG, _LONG] if number % 3 == 0 else ["hello z"]
    return {"messages": [{"id": i, "text": text} for i, text in enumerate(texts)]}


async def test_no_request_is_dropped_or_mixed_while_models_change(models: Registry) -> None:
    answers: list[httpx.Response] = []
    ended = asyncio.Event()

    async def ask(client: httpx.AsyncClient, number: int) -> None:
        while not ended.is_set():
            answers.append(await client.post("/classify", json=body_of(number)))

    async def answered_by(model: str) -> None:
        await eventually(lambda: answers and answers[-1].json().get("model") == model)

    async with serving(models) as client:
        callers = [asyncio.create_task(ask(client, number)) for number in range(6)]
        for change in (
            lambda: models.promote("b", "Amal"),
            lambda: models.rollback("Amal"),
            lambda: models.promote("b", "Amal"),
        ):
            await answered_by(models.active_id())
            await asyncio.to_thread(change)
            await scores(client, models.active_id())
        await answered_by(models.active_id())
        ended.set()
        await asyncio.gather(*callers)
    assert {answer.status_code for answer in answers} == {200}
    told = [answer.json() for answer in answers]
    assert {one["model"] for one in told} == {"a", "b"}
    for one in told:
        assert {found["model"] for found in one["verdicts"]} == {one["model"]}
    switches = sum(x["model"] != y["model"] for x, y in pairwise(told))
    assert switches >= 3


async def test_what_a_service_says_of_its_model_changes_with_it(models: Registry) -> None:
    async with serving(models) as client:
        before = (await client.get("/models")).json()["models"]
        models.promote("b", "Amal")
        await scores(client, "b")
        after = (await client.get("/models")).json()["models"]
        figures = (await client.get("/metrics")).text
    shipped = read_manifest(RELEASED).model
    assert [(one["model"], one["active"]) for one in before] == [
        (shipped, False),
        ("a", True),
        ("b", False),
    ]
    assert [one["active"] for one in after] == [False, False, True]
    assert [one["gate"] for one in after] == [None, "passed", "passed"]
    assert after[2]["thresholds"]["off_channel"] == {"balanced": 0.0001}
    assert 'brandtox_model_info{version="b"} 1.0' in figures
    assert 'version="a"' not in figures


async def test_the_store_keeps_the_signs_at_the_thresholds_of_the_model_that_scored(
    models: Registry, tmp_path: Path
) -> None:
    message = {
        "source": "wa",
        "customer_id": "c",
        "direction": "in",
        "channel": "chat",
        "sent_at": "2026-07-01T12:00:00Z",
        "text": "hello",
    }
    async with serving(models) as client:
        for wait in ("", "?wait=true"):
            for model in ("a", "b"):
                models.promote(model, "Amal")
                await scores(client, model)
                sent = message | {"id": f"{model}{wait}"}
                answer = await client.post(f"/messages{wait}", json={"messages": [sent]})
                assert answer.status_code in (200, 202)
                database = Database(Settings().database_url.get_secret_value())
                company = Company(database)
                await eventually(lambda: not waiting(company))  # noqa: B023
                database.close()
        database = Database(Settings().database_url.get_secret_value())
        kept = [(row.model, row.off_channel) for row in Company(database).rows(verdicts)]
        database.close()
    assert kept == [("a", False), ("b", True)] * 2


def waiting(company: Company) -> list[object]:
    return company.rows(messages, ~messages.c.scored)


# --- a model that cannot be taken up ---


async def test_a_model_that_cannot_be_loaded_leaves_the_old_one(
    models: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ModelError("its graph is of another time")

    async with serving(models) as client:
        monkeypatch.setattr(Classifier, "load", fail)
        models.promote("b", "Amal")
        async with asyncio.timeout(60):
            while not (told := (await client.get("/models")).json()["models"])[2]["error"]:
                await asyncio.sleep(0.01)
        answer = await client.post("/classify", json={"text": "z"})
        figures = (await client.get("/metrics")).text
    assert told[2]["error"] == "its graph is of another time"
    assert [one["active"] for one in told] == [False, True, False]
    assert (answer.status_code, answer.json()["model"]) == (200, "a")
    assert "brandtox_model_load_failed 1.0" in figures


class Followed:
    """A follower that looks only when it is told to."""

    def __init__(self, models: Registry, scorer: FakeScorer | Classifier) -> None:
        self.live = Live(scorer)
        self.figures = CollectorRegistry()
        metrics = ModelMetrics(self.figures)
        self.live.measure(metrics)
        self.follower = Follower(self.live, models, metrics, 1, _OFTEN)

    @property
    def failed(self) -> float | None:
        return self.figures.get_sample_value("brandtox_model_load_failed")


def test_a_failure_is_told_once_a_minute_and_ends_when_it_is_mended(
    models: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    followed = Followed(models, Classifier.load(models.active(), 1))
    models.promote("b", "Amal")
    damaged, good = models.folder / "b" / MODEL, models.folder / "a" / MODEL
    damaged.write_bytes(b"")
    for _ in range(3):
        followed.follower.turn()
    assert (followed.live.version, followed.failed) == ("a", 1)
    assert followed.follower.failure
    assert (followed.follower.failure.model, len(caplog.records)) == ("b", 1)
    assert "a still scores" in caplog.messages[0]
    assert caplog.records[0].levelno == logging.ERROR
    shutil.copy(good, damaged)
    followed.follower.turn()
    assert followed.live.version == "a", "it rests before it tries again"
    followed.follower._rest_until = 0.0
    followed.follower.turn()
    assert (followed.live.version, followed.failed) == ("b", 0)


@pytest.mark.parametrize("text", ["{", '{"promotions": [{"model": "gone"}]}'])
def test_promotions_that_cannot_be_read_change_nothing(models: Registry, text: str) -> None:
    followed = Followed(models, Classifier.load(models.active(), 1))
    kept = (models.folder / ACTIVE).read_text()
    (models.folder / ACTIVE).write_text(text)
    followed.follower.turn()
    assert (followed.live.version, followed.failed) == ("a", 1)
    (models.folder / ACTIVE).write_text(kept)
    followed.follower.turn()
    assert (followed.failed, followed.follower.failure) == (0, None)


def test_several_services_follow_one_folder(models: Registry) -> None:
    services = [Followed(models, Classifier.load(models.active(), 1)) for _ in range(2)]
    for wanted in ("b", "a"):
        models.promote(wanted, "Amal")
        for service in services:
            service.follower.turn()
        assert [service.live.version for service in services] == [wanted] * 2


def test_taking_the_promotion_back_ends_the_failure(models: Registry) -> None:
    followed = Followed(models, Classifier.load(models.active(), 1))
    models.promote("b", "Amal")
    (models.folder / "b" / TOKENIZER).unlink()
    followed.follower.turn()
    assert followed.failed == 1
    models.rollback("Amal")
    followed.follower.turn()
    assert (followed.failed, followed.live.version) == (0, "a")


# --- memory ---


def test_the_old_model_is_freed(models: Registry) -> None:
    classifier = Classifier.load(models.active(), 1)
    old = weakref.ref(classifier)
    followed = Followed(models, classifier)
    del classifier
    models.promote("b", "Amal")
    followed.follower.turn()
    assert followed.live.version == "b"
    assert old() is None


async def test_a_service_frees_the_model_that_it_started_with(models: Registry) -> None:
    async with serving(models) as client:
        assert (await client.post("/classify", json={"text": "z"})).status_code == 200
        models.promote("b", "Amal")
        await scores(client, "b")

        def loaded() -> list[str]:
            gc.collect()
            return sorted(o.version for o in gc.get_objects() if type(o) is Classifier)

        await eventually(lambda: loaded().count("a") == 0)


def test_a_third_model_waits_until_the_first_is_gone(models: Registry) -> None:
    followed = Followed(models, Classifier.load(models.active(), 1))
    busy = followed.live.current
    models.promote("b", "Amal")
    followed.follower.turn()
    models.rollback("Amal")
    followed.follower.turn()
    assert followed.live.version == "b", "the first is still at work"
    assert busy.score(["z"])[0].model == "a"
    del busy
    followed.follower.turn()
    assert followed.live.version == "a"


# --- requests in flight ---


class Named(HeldScorer):
    """Holds its texts back, and says which model it is."""

    def __init__(self, version: str) -> None:
        super().__init__()
        self.version = version

    def score(self, texts: Sequence[str]) -> list[Verdict]:
        return [replace(one, model=self.version) for one in super().score(texts)]


async def test_a_request_ends_with_the_model_it_began_with() -> None:
    old, new = Named("old"), Named("new")
    new.release()
    live = Live(old)
    batcher = Batcher(live, 10, 10**6, CollectorRegistry())
    async with batcher.running():
        first = asyncio.create_task(batcher.score([_LONG, "a", _LONG, "b"]))
        await old.is_called()
        waits = asyncio.create_task(batcher.score(["c"]))
        await asyncio.sleep(0)
        live.exchange(new)
        late = asyncio.create_task(batcher.score(["d", _LONG]))
        await asyncio.sleep(0)
        old.release()
        found = await asyncio.gather(first, waits, late)
    assert [{one.model for one in verdicts} for verdicts in found] == [{"old"}, {"old"}, {"new"}]
    assert [len(one) for one in found] == [4, 1, 2]


# --- which model is in use ---


def test_a_fixed_model_is_used_whatever_is_promoted(models: Registry, tmp_path: Path) -> None:
    settings = Settings(models=models.folder, model=tmp_path)
    assert with_active_model(settings).model == tmp_path
    assert with_active_model(Settings(models=models.folder)).model == models.folder / "a"
    assert with_active_model(Settings(models=tmp_path / "none")).model is None


def test_a_stand_in_has_the_thresholds_of_none() -> None:
    live = Live(FakeScorer(verdict))
    assert (live.version, live.manifest.thresholds, live.thresholds_of("other")) == ("fake", {}, {})
