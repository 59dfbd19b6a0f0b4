"""The learning curve: who learns from what, what is not mixed, and the tables."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss as expected_log_loss

from benchmarks import learning_curve
from benchmarks.held_out_domain import (
    Outcome,
    Parts,
    Try,
    by_situation,
    cut,
    divide,
    kept_start,
    train_start,
)
from model.labels import LABELS
from tests.training import small
from training import run as run_module
from training.data import Data
from training.fit import CheckpointError
from training.mixture import text_key
from training.rows import Row


def letters(number: int) -> str:
    return "".join(chr(97 + number // 26**place % 26) for place in range(3))


def rows(count: int, dialect: str, mark: str, size: int = 3) -> list[Row]:
    return [
        small.row(
            f"{mark} {letters(i)}",
            *(("abuse",) if i % 2 else ()),
            *(("threat", "accusation") if i % 3 else ()),
            dialect=dialect,
            group=f"{mark} {i // size}",
        )
        for i in range(count)
    ]


def data() -> Data:
    train = rows(90, "magh", "lost") + rows(60, "uk", "phone")
    dev = rows(12, "magh", "wait") + rows(40, "uk", "order")
    return Data(train, dev, test=rows(9, "magh", "never"))


@settings(max_examples=25)
@given(st.integers(2, 60), st.integers(1, 7), st.integers(0, 5))
def test_a_smaller_file_is_part_of_a_larger_one(count: int, size: int, seed: int) -> None:
    given_rows = rows(count, "magh", "lost", size)
    drawn = by_situation(given_rows, seed)
    assert sorted(r.text for r in drawn) == sorted(r.text for r in given_rows)
    changes = sum(a.group != b.group for a, b in pairwise(drawn))
    assert changes == len({r.group for r in drawn}) - 1
    assert by_situation(given_rows[::-1], seed)[0].group == drawn[0].group


@settings(max_examples=25)
@given(st.integers(1, 60), st.integers(1, 7), st.floats(0.1, 0.9))
def test_a_cut_goes_between_situations(count: int, size: int, share: float) -> None:
    first, second = cut(rows(count, "magh", "lost", size), share)
    assert len(first) + len(second) == count
    assert not {r.group for r in first} & {r.group for r in second}
    assert abs(len(first) - share * count) <= size


def test_the_domain_is_held_out_and_the_test_split_left_alone() -> None:
    parts = divide(data(), "dialect", "magh")
    others = (parts.start, parts.calibration, parts.known)
    assert {r.dialect for r in parts.pool + parts.held_out} == {"magh"}
    assert {r.dialect for part in others for r in part} == {"uk"}
    groups = [{r.group for r in part} for part in parts]
    assert sum(map(len, groups)) == len(set().union(*groups))
    texts = [text_key(r.text) for part in parts for r in part]
    assert len(set(texts)) == len(texts) == 202
    assert not any(text.startswith("never") for text in texts)
    assert len(parts.held_out) == 12 + 27


def test_a_domain_of_a_corpus_is_held_out_of_the_written_rows() -> None:
    reviews = [
        replace(r, group="", source="relabelled", origin="shop") for r in rows(60, "", "shop")
    ]
    other = [replace(r, group="", source="else", origin="else") for r in rows(20, "", "else")]
    unlabelled = replace(reviews[0], text="stars alone", labels={})
    written = data()
    parts = divide(
        Data([*written.train, *reviews[:50], *other, unlabelled], written.dev + reviews[50:], []),
        "origin",
        "shop",
    )
    assert {r.origin for r in parts.pool + parts.held_out} == {"shop"}
    assert {r.source for part in parts[:3] for r in part} == {"own"}
    assert (len(parts.pool), len(parts.held_out)) == (35, 25)
    assert len({r.group for r in parts.pool}) == 35
    assert "stars alone" not in {r.text for part in parts for r in part}


def test_log_loss_is_the_usual_one() -> None:
    chance = np.random.default_rng(0)
    truth, score = chance.integers(0, 2, 50), chance.uniform(0.01, 0.99, 50)
    found = learning_curve.log_loss(truth, score)
    assert found == pytest.approx(expected_log_loss(truth, score))


def outcome(parts: Parts, sure: float, seconds: float = 0.0, trained: int = 0) -> Outcome:
    """A reading that is right as surely as is said."""

    def said(members: list[Row]) -> np.ndarray[Any, Any]:
        truth = np.array([[r.labels[n] for n in LABELS] for r in members])
        return np.where(truth == 1, sure, 1 - sure)

    return Outcome(said(parts.held_out), said(parts.known), seconds, trained)


def test_the_table_says_which_recipe_is_better() -> None:
    parts = divide(data(), "dialect", "magh")
    outcomes = {
        Try(): outcome(parts, 0.4),
        Try("full", 50, 0): outcome(parts, 0.6, 60, 35),
        Try("head", 50, 0): outcome(parts, 0.7, 30, 35),
        Try("full", 200, 0): outcome(parts, 0.9, 110, 100),
        Try("full", 200, 1): outcome(parts, 0.9, 130, 100),
        Try("head", 200, 0): outcome(parts, 0.7, 30, 100),
        Try("head", 200, 1): outcome(parts, 0.7, 30, 100),
    }
    result = learning_curve.measure(parts, outcomes)
    points = {(p["size"], p["recipe"]): p for p in result["curve"]}
    assert list(points) == [(0, ""), (50, "full"), (50, "head"), (200, "full"), (200, "head")]
    assert points[200, "full"]["seconds"] == 120
    assert points[200, "full"]["draws"] == 2
    assert points[0, ""]["domain"]["abuse"]["value"] == 0
    assert points[200, "full"]["domain"]["log_loss"]["value"] == pytest.approx(0.1054)
    text = learning_curve.to_markdown({"dialect=magh": result})
    assert "with 50 rows head is clearly better; with 200 rows full is clearly better" in text
    assert "`full`: log loss 0.916 becomes 0.105 in 2.0 minutes of training" in text
    assert "| 200 | 100 | full | 2 | 1.000 (1.000 to 1.000) |" in text
    assert "-0.811 (-0.811 to -0.811) | 120 |" in text


def test_no_interval_beyond_zero_is_no_choice() -> None:
    assert learning_curve.better({"value": -0.1, "low": -0.2, "high": 0.01}) == ""


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Parts:
    monkeypatch.setattr(run_module, "load_base", lambda name: small.base())
    rows = [small.row(f"{word} order", "abuse" if word == "idiot" else "") for word in small.WORDS]
    return Parts(rows, [], [], [], [])


def test_a_starting_model_of_other_settings_or_rows_is_refused(tmp_path: Path, few: Parts) -> None:
    train_start(tmp_path / "start", few, epochs=1)
    train_start(tmp_path / "start", few, epochs=1)
    with pytest.raises(CheckpointError, match="other settings: remove"):
        train_start(tmp_path / "start", few, epochs=2)
    with pytest.raises(CheckpointError, match="other data: remove"):
        train_start(tmp_path / "start", few._replace(start=few.start[1:]), epochs=1)


def test_reported_again_is_only_what_was_measured_on_the_same_rows(
    tmp_path: Path, few: Parts
) -> None:
    with pytest.raises(CheckpointError, match="--report-only"):
        kept_start(tmp_path / "start", few)
    train_start(tmp_path / "start", few, epochs=1)
    assert kept_start(tmp_path / "start", few).folder == tmp_path / "start"
    with pytest.raises(CheckpointError, match="other data"):
        kept_start(tmp_path / "start", few._replace(start=few.start[1:]))
