"""The classifier over a tiny model: any text gets its own verdict, whatever shares its batch."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model import Classifier, Verdict
from model import classifier as classifier_module
from model.classifier import _multiplies_exactly, chance_of_error, usable_cores
from model.labels import LABELS, SENTIMENTS, SIGNS, THREAT_KINDS
from tests.helpers import LOUD, changed_folder

_WORDS = "hello my order is late z q j you شكرا الطلب متاخر قوي 123 thanks .. !".split()  # noqa: SIM905
_MOST_CHARACTERS = 4 * 64 * 40
_READ = 62 + 3 * 54 - 1
"""Characters that four windows hold, of which each is a token; the blank before them is one too."""


def texts(count: int, longest: int = 60) -> list[str]:
    chance = random.Random(count)
    return [" ".join(chance.choices(_WORDS, k=chance.randint(0, longest))) for _ in range(count)]


def all_values(verdict: Verdict) -> list[float]:
    parts = verdict.scores, verdict.threat_kind, verdict.signs, verdict.sentiment
    return [value for part in parts for value in part.values()]


def assert_near(one: Verdict, other: Verdict) -> None:
    assert all_values(one) == pytest.approx(all_values(other), abs=0.005)
    assert one.vector == pytest.approx(other.vector, abs=0.005)
    assert one.labels == other.labels


def test_a_verdict_has_all_of_the_scheme(classifier: Classifier) -> None:
    verdict = classifier.score(["where is my order"])[0]
    assert list(verdict.scores) == list(LABELS)
    assert list(verdict.threat_kind) == list(THREAT_KINDS)
    assert list(verdict.signs) == list(SIGNS)
    assert list(verdict.sentiment) == list(SENTIMENTS)
    assert sum(verdict.sentiment.values()) == pytest.approx(1, abs=1e-5)
    assert all(0 <= value <= 1 for value in all_values(verdict))
    assert (verdict.model, verdict.language, verdict.script) == ("tiny-1", "en", "Latn")
    assert np.linalg.norm(verdict.vector) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("label", LABELS)
def test_a_label_is_a_score_at_or_above_its_threshold(classifier: Classifier, label: str) -> None:
    quiet, loud = classifier.score(["hello", f"hello {LOUD[label]}"])
    assert quiet.labels == ()
    assert loud.labels == (label,)
    assert quiet.scores[label] < 0.5 <= loud.scores[label]


def test_the_thresholds_are_those_of_the_manifest(model_folder: Path, tmp_path: Path) -> None:
    thresholds = {"abuse": 1e-6, "threat": 1 - 1e-6, "accusation": 0.5}
    folder = changed_folder(
        model_folder,
        tmp_path / "model",
        thresholds={name: {"balanced": value} for name, value in thresholds.items()},
    )
    assert Classifier.load(folder).score(["zqj"])[0].labels == ("abuse", "accusation")
    assert Classifier.load(folder).score(["hello"])[0].labels == ("abuse",)


def test_a_score_at_the_threshold_is_labelled(
    classifier: Classifier, model_folder: Path, tmp_path: Path
) -> None:
    score = classifier.score(["hello"])[0].scores["abuse"]
    thresholds = {name: {"balanced": score if name == "abuse" else 0.5} for name in LABELS}
    folder = changed_folder(model_folder, tmp_path / "model", thresholds=thresholds)
    assert Classifier.load(folder).score(["hello"])[0].labels == ("abuse",)


def test_verdicts_come_in_order(classifier: Classifier) -> None:
    chance = random.Random(1)
    loud = [chance.choice("zqj") for _ in range(200)]
    letters = {letter: label for label, letter in LOUD.items()}
    verdicts = classifier.score([f"{'ab ' * chance.randint(0, 60)}{letter}" for letter in loud])
    assert [v.labels for v in verdicts] == [(letters[letter],) for letter in loud]


def test_the_same_text_alone_and_in_any_batch(classifier: Classifier) -> None:
    many = texts(80)
    alone = [classifier.score([text])[0] for text in many]
    for one, other in zip(alone, classifier.score(many), strict=True):
        assert_near(one, other)
    for one, other in zip(reversed(alone), classifier.score(many[::-1]), strict=True):
        assert_near(one, other)


def test_equal_texts_are_read_once(classifier: Classifier, rows_read: list[int]) -> None:
    verdicts = classifier.score(["late z", "hello", "late z", "LATE   z", "late z"])
    assert rows_read == [2]
    assert [v.labels for v in verdicts] == [("abuse",), (), ("abuse",), ("abuse",), ("abuse",)]


def test_no_texts_no_verdicts(classifier: Classifier) -> None:
    assert classifier.score([]) == []


@pytest.mark.parametrize(
    ("text", "language", "script"),
    [
        pytest.param("", "other", "Zyyy", id="empty"),
        pytest.param(" \n\t ", "other", "Zyyy", id="blank"),
        pytest.param("😂😂👍🏽", "other", "Zyyy", id="emoji"),
        pytest.param("\x00\x01\x1f\x7f", "other", "Zyyy", id="control"),
        pytest.param("\ud800\udfff", "other", "Zyyy", id="surrogates"),
        pytest.param("\u202e\u200b\ufeff", "other", "Zyyy", id="invisible"),
        pytest.param("\u0301" * 500, "other", "Zyyy", id="marks"),
        pytest.param("漢字", "other", "Zyyy", id="unknown letters"),
        pytest.param("hello " * 16_667, "en", "Latn", id="100,000 characters of words"),
        pytest.param("a" * 100_000, "en", "Latn", id="100,000 letters"),
        pytest.param("1" * 100_000, "other", "Zyyy", id="100,000 digits"),
        pytest.param("a!" * 50_000, "en", "Latn", id="100,000 characters of one word"),
        pytest.param("ﷺ" * 10_000, "ar", "Arab", id="one character that becomes eighteen"),
    ],
)
@pytest.mark.usefixtures("no_quadratic_time")
def test_any_text_gets_a_verdict(
    classifier: Classifier, text: str, language: str, script: str
) -> None:
    verdict = classifier.score([text])[0]
    assert (verdict.language, verdict.script) == (language, script)
    assert all(0 <= value <= 1 for value in all_values(verdict))


@settings(max_examples=50)
@given(st.lists(st.text(st.characters(exclude_categories=()), max_size=30), max_size=6))
def test_any_texts_get_a_verdict_each(classifier: Classifier, many: list[str]) -> None:
    verdicts = classifier.score(many)
    assert len(verdicts) == len(many)
    assert all(0 <= value <= 1 for verdict in verdicts for value in all_values(verdict))


def plain(size: int) -> str:
    """A text of that many characters and tokens."""
    return ("abcdefgh" * size)[:size]


def test_one_window_decides_the_label(classifier: Classifier) -> None:
    for place in (0, 61, 62, 100, 150, _READ - 1):
        text = plain(_READ)
        verdict = classifier.score([text[:place] + "z" + text[place + 1 :]])[0]
        assert (verdict.labels, verdict.truncated) == (("abuse",), False), place


def test_what_four_windows_hold_is_read_and_the_rest_is_said_to_be_cut(
    classifier: Classifier,
) -> None:
    fits, longer, late = classifier.score([plain(_READ), plain(_READ + 1), plain(_READ) + "z"])
    assert not fits.truncated
    assert longer.truncated
    assert late.truncated
    assert late.labels == ()


def test_text_beyond_all_windows_is_cut_before_it_is_prepared(classifier: Classifier) -> None:
    fits, longer = classifier.score(["a" * _MOST_CHARACTERS, "a" * (_MOST_CHARACTERS + 1)])
    assert not fits.truncated
    assert longer.truncated
    assert_near(fits, longer)


def test_tokens_are_counted_as_they_are_read(classifier: Classifier) -> None:
    assert classifier.count_tokens(["", "abc", plain(61), plain(62)]) == [2, 6, 64, 128]


def test_threads_share_a_classifier(classifier: Classifier) -> None:
    many = texts(60, longest=80)
    alone = classifier.score(many)
    parts = [many[i::6] for i in range(6)] * 3
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(classifier.score, parts))
    for i, verdicts in enumerate(results):
        for one, other in zip(verdicts, alone[i % 6 :: 6], strict=True):
            assert_near(one, other)


@pytest.mark.parametrize(("limit", "expected"), [(1.0, False), (0.0, True)])
def test_the_limit_decides_what_needs_review(
    model_folder: Path, tmp_path: Path, limit: float, expected: bool
) -> None:
    folder = changed_folder(model_folder, tmp_path / "model", review_above=limit)
    verdicts = Classifier.load(folder).score(["hello", "hello z", ""])
    assert {v.needs_review for v in verdicts} == {expected}


def test_the_chance_of_error_counts_every_label() -> None:
    probabilities = np.array([[0.9, 0.2, 0.1], [0.01, 0.01, 0.01]])
    chances = chance_of_error(probabilities, np.array([0.5, 0.1, 0.3]))
    assert chances == pytest.approx([1 - 0.9 * 0.2 * 0.9, 1 - 0.99**3])


@pytest.mark.parametrize("label", LABELS)
def test_a_doubtful_label_needs_review(
    classifier: Classifier, model_folder: Path, tmp_path: Path, label: str
) -> None:
    sure = classifier.score(["hello"])[0]
    low = sure.scores[label] * 0.8
    thresholds = {name: {"balanced": low if name == label else 0.5} for name in LABELS}
    folder = changed_folder(model_folder, tmp_path / "model", thresholds=thresholds)
    unsure = Classifier.load(folder).score(["hello"])[0]
    assert (sure.needs_review, unsure.needs_review) == (False, True)


def test_the_wire_form_is_rounded_and_has_no_vector(classifier: Classifier) -> None:
    verdict = classifier.score(["hello z"])[0]
    wire = verdict.as_dict()
    assert "vector" not in wire
    assert wire["labels"] == ["abuse"]
    assert wire["scores"] == {k: round(v, 4) for k, v in verdict.scores.items()}
    assert wire["scores"] != verdict.scores


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        pytest.param("max 100000\n", 8, id="no quota"),
        pytest.param("150000 100000\n", 1, id="one and a half"),
        pytest.param("400000 100000\n", 4, id="four"),
        pytest.param("50000 100000\n", 1, id="half"),
        pytest.param("1600000 100000\n", 8, id="more than there are"),
        pytest.param("", 8, id="empty"),
        pytest.param(None, 8, id="missing"),
    ],
)
def test_cores_are_those_of_the_affinity_and_the_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str | None, cores: int
) -> None:
    path = tmp_path / "cpu.max"
    if quota is not None:
        path.write_text(quota, encoding="ascii")
    monkeypatch.setattr(classifier_module, "_QUOTA", path)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    assert usable_cores() == cores


def test_a_classifier_reads_as_many_batches_at_once_as_it_has_cores(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier_module, "usable_cores", lambda: 3)
    assert Classifier.load(model_folder)._pool._max_workers == 3
    assert Classifier.load(model_folder, threads=1)._pool._max_workers == 1


@pytest.mark.parametrize(
    ("processor", "expected"),
    [("flags : avx2 avx512_vnni", True), ("flags : avx2", False), ("Features : asimd", True)],
)
def test_only_x86_without_vnni_needs_the_exact_way(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, processor: str, expected: bool
) -> None:
    monkeypatch.setattr("model.classifier._PROCESSOR", tmp_path / "cpuinfo")
    assert _multiplies_exactly()
    (tmp_path / "cpuinfo").write_text(processor)
    assert _multiplies_exactly() is expected


def test_the_kind_of_a_threat_is_the_likeliest_and_of_a_threat_alone(
    classifier: Classifier,
) -> None:
    kinds = dict(zip(THREAT_KINDS, (0.1, 0.2, 0.9, 0.3), strict=True))
    made = replace(classifier.score(["hello"])[0], threat_kind=kinds)
    assert replace(made, labels=("abuse", "threat")).likeliest_threat == "job"
    assert replace(made, labels=("abuse",)).likeliest_threat is None
