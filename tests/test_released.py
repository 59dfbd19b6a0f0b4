"""The model that ships, and the figures that are published of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from model import Classifier
from model.labels import LABELS
from model.manifest import MANIFEST, RELEASED, load_manifest
from tests.conftest import OpenClient
from training.report import to_markdown, write_headline

_CHECKOUT = Path(__file__).parent.parent
DOCS = _CHECKOUT / "docs"


@pytest.fixture(scope="module")
def shipped() -> Classifier:
    return Classifier.load()


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DOCS / "results.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("الطلب متأخر أسبوع ومحدش بيرد عليا", "ar"),
        ("el order met2akhar osbo3 w ma7adesh beyrod 3alaya", "arabizi"),
        ("My order is a week late and nobody answers.", "en"),
    ],
)
def test_every_language_gets_a_verdict(shipped: Classifier, text: str, language: str) -> None:
    (verdict,) = shipped.score([text])
    assert verdict.language == language
    assert verdict.model == shipped.manifest.model
    assert all(0 < verdict.scores[name] < 1 for name in LABELS)
    assert sum(verdict.sentiment.values()) == pytest.approx(1, abs=1e-4)
    assert not verdict.truncated


@pytest.mark.parametrize(
    "text",
    [
        "انت حمار وغبي وشركتكم كلها كلاب",
        "You are a stupid idiot and a worthless piece of garbage.",
    ],
)
def test_an_obvious_insult_is_abuse(shipped: Classifier, text: str) -> None:
    assert "abuse" in shipped.score([text])[0].labels


@pytest.mark.parametrize(
    "text",
    [
        "السلام عليكم، ممكن اعرف الطلب هيوصل امتى؟ شكرا",
        "salam, momken a3raf el order haywsal emta? shokran",
        "Hello, could you tell me when my order will arrive? Thank you.",
    ],
)
def test_a_calm_question_is_nothing(shipped: Classifier, text: str) -> None:
    assert shipped.score([text])[0].labels == ()


def test_every_shipped_file_is_listed() -> None:
    names = {path.name for path in RELEASED.iterdir()}
    assert names == {MANIFEST, *load_manifest(RELEASED).files}
    assert {"card.md", "parity.json"} < names


def test_the_published_figures_are_of_the_shipped_model(results: dict[str, Any]) -> None:
    version = load_manifest(RELEASED).model
    speed = json.loads((DOCS / "speed.json").read_text(encoding="utf-8"))
    assert results["model"] == version
    assert speed.get("model", version) == version
    assert f"brandtox {version}\n" in (RELEASED / "card.md").read_text(encoding="utf-8")


def test_the_results_page_is_written_from_its_figures(results: dict[str, Any]) -> None:
    assert to_markdown(results) == (DOCS / "results.md").read_text(encoding="utf-8")


def test_the_readme_has_the_published_figures(results: dict[str, Any], tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    shutil.copy(_CHECKOUT / "README.md", readme)
    write_headline(results, readme)
    assert readme.read_bytes() == (_CHECKOUT / "README.md").read_bytes()


async def test_the_documented_verdicts_are_what_it_says(
    shipped: Classifier, open_client: OpenClient
) -> None:
    document = json.loads((DOCS / "openapi.json").read_text(encoding="utf-8"))
    described = document["paths"]["/classify"]["post"]
    asked = described["requestBody"]["content"]["application/json"]["examples"]
    told = described["responses"]["200"]["content"]["application/json"]["examples"]
    assert len(told) == 2
    async with open_client(shipped) as client:
        for request, answer in zip(asked.values(), told.values(), strict=False):
            (said,) = (await client.post("/classify", json=request["value"])).json()["verdicts"]
            (verdict,) = answer["value"]["verdicts"]
            assert said.pop("id") is None
            assert_near(verdict, said)


def assert_near(told: dict[str, Any], said: dict[str, Any]) -> None:
    """Figures may differ a little from processor to processor."""
    assert told.keys() == said.keys()
    for name, value in told.items():
        figures = isinstance(value, dict)
        assert said[name] == (pytest.approx(value, abs=2e-3) if figures else value), name
