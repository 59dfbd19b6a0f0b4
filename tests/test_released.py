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
