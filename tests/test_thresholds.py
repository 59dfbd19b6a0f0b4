"""Thresholds fitted to rows of one company: the rate that they keep, and when nothing can be said."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from model import Verdict
from model.labels import LABELS
from model.manifest import BALANCED
from serving import cli
from serving.corrections import Labels
from serving.exchange import read_jsonl
from serving.thresholds import (
    LabelledRow,
    _at_most,
    _Rows,
    collect,
    fit,
    groups_needed,
    lowest_threshold,
    upper_bound,
)
from tests.helpers import FakeScorer, Json, verdict

RELEASED = {name: {BALANCED: 0.5} for name in LABELS}


def score_of(text: str) -> Verdict:
    """The text is its score."""
    found = verdict()
    found.scores.update(dict.fromkeys(LABELS, float(text.split(maxsplit=1)[0])))
    return found


def rows_of(
    without: list[float], having: list[float], group: str = "", label: str = "abuse"
) -> list[LabelledRow]:
    """Rows with these scores; each of a group of its own where none is given."""
    scores = [(score, False) for score in without] + [(score, True) for score in having]
    return [
        LabelledRow(f"{score} {place}", group or str(place), {label: held})
        for place, (score, held) in enumerate(scores)
    ]


def side(scores: list[float], groups: list[int]) -> _Rows:
    numbers = np.unique(groups, return_inverse=True)[1]
    return _Rows(np.array(scores), np.asarray(numbers, np.int64))


# --- the bound ---


@pytest.mark.parametrize(
    ("hits", "trials", "alpha", "bound"),
    [(0, 114, 0.1, 0.019995), (0, 59, 0.05, 0.049508), (2, 100, 0.025, 0.070384), (5, 5, 0.1, 1.0)],
)
def test_the_bound_is_that_of_clopper_and_pearson(
    hits: int, trials: int, alpha: float, bound: float
) -> None:
    assert upper_bound(hits, trials, alpha) == pytest.approx(bound, abs=2e-6)


def test_the_rows_needed_are_those_of_the_rule_of_three() -> None:
    assert groups_needed(0.02) == 114
    assert upper_bound(0, 114, 0.1) <= 0.02 < upper_bound(0, 113, 0.1)
    assert groups_needed(0.01) == 230


def test_the_promise_holds_for_nine_companies_in_ten() -> None:
    """The true rate of a fitted threshold exceeds the wanted one with a chance of at most 10 %."""
    chance = np.random.default_rng(0)
    broken = 0
    for _ in range(400):
        scores = chance.random(300).round(5)
        threshold = lowest_threshold(side(list(scores), list(range(300))), 0.05)
        assert threshold is not None
        broken += 1 - threshold > 0.05  # scores are uniform: the true rate is known
    assert 10 < broken <= 45, "neither more than promised nor needlessly wide"


# --- what must always hold ---

SCORES = st.lists(st.floats(0, 1), min_size=120, max_size=300)
WANTED = st.sampled_from([0.02, 0.05, 0.1, 0.3])


@given(SCORES, WANTED, st.integers(1, 120))
def test_the_rate_is_kept_on_the_rows_and_none_lower_would(
    scores: list[float], wanted: float, groups: int
) -> None:
    rows = side(scores, [place % groups for place in range(len(scores))])
    threshold = lowest_threshold(rows, wanted)
    if threshold is None:
        return
    rate = rows.rate(threshold, 0.1)
    assert rate.flagged <= wanted * len(scores)
    assert rate.high <= wanted + 1e-9
    below, hits = rows.flagged(
        round(threshold - 0.0001, 4)
    )  # the grid's own number, to the last bit
    too_many = below > wanted * len(scores)
    assert threshold == 0.0001 or too_many or _at_most(int(np.ceil(hits)), groups, wanted) > 0.1


@given(SCORES, st.tuples(WANTED, WANTED).map(sorted))
def test_a_higher_rate_never_raises_the_threshold(scores: list[float], rates: list[float]) -> None:
    rows = side(scores, list(range(len(scores))))
    strict, lax = (lowest_threshold(rows, rate) for rate in rates)
    assert strict is None or (lax is not None and lax <= strict)


@given(st.lists(st.floats(0, 0.999), min_size=120, max_size=200), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(scores: list[float], chance: object) -> None:
    rows = rows_of(scores, [0.7, 0.8])
    shuffled = list(rows)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    found = [fit(some, FakeScorer(score_of), RELEASED, 0.1, ["abuse"]) for some in (rows, shuffled)]
    assert [one.fitted and one.fitted.threshold for one in found[0]] == [
        one.fitted and one.fitted.threshold for one in found[1]
    ]


# --- groups ---


def test_messages_of_one_customer_are_one_witness() -> None:
    """300 rows of 5 customers cannot show 2 %; the same rows of 300 customers can."""
    scores = [0.1] * 300
    many = rows_of(scores, [0.9])
    few = [LabelledRow(r.text, str(i % 5), r.labels) for i, r in enumerate(many)]
    (alone,) = fit(many, FakeScorer(score_of), RELEASED, 0.02, ["abuse"])
    (grouped,) = fit(few, FakeScorer(score_of), RELEASED, 0.02, ["abuse"])
    assert alone.fitted
    assert alone.fitted.threshold == 0.1001
    assert not grouped.fitted
    assert "300 rows without it, of 5 customers" in grouped.refusal
    assert "114 are needed" in grouped.refusal


def test_rows_without_a_group_that_are_near_duplicates_are_one_group() -> None:
    lines = [
        {"text": "Where is my order?", "abuse": 0},
        {"text": "where is my ORDER 🙂", "abuse": 0},
        {"text": "another thing", "abuse": 0, "group": "c1"},
        {"text": "and a third", "abuse": 0, "group": "c1"},
        {"abuse": 0, "source": "wa", "id": "1"},
    ]
    raw = [json.dumps(line).encode() for line in lines]
    rows, problems = collect(read_jsonl(raw, "-"))  # type: ignore[arg-type]
    assert len({row.group for row in rows}) == 2
    assert problems == ["line 5: it has no text"]


def test_two_people_on_one_text_are_settled() -> None:
    said = [("Mona", 1), ("Ali", 1), ("Sara", 0)]
    raw = [json.dumps({"text": "a", "abuse": v, "reviewer": who}).encode() for who, v in said]
    (row,), _ = collect(read_jsonl(raw, "-"))  # type: ignore[arg-type]
    assert row.labels == {"abuse": True}


# --- refusals ---


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (rows_of([0.1] * 200, [], label="threat"), "no row says"),
        (rows_of([0.1] * 200, []), "each of the 200 rows is without it: add rows that have it"),
        (rows_of([], [0.9] * 7), "each of the 7 rows has it: add rows without it"),
        (rows_of([0.1] * 50, [0.9]), "Label 64 more"),
        (rows_of([1.0] * 200, [1.0]), "no threshold keeps 2.0%"),
    ],
)
def test_what_cannot_be_said_is_refused(rows: list[LabelledRow], said: str) -> None:
    (found,) = fit(rows, FakeScorer(score_of), RELEASED, 0.02, ["abuse"])
    assert found.fitted is None
    assert said in found.refusal


def test_one_label_is_refused_and_another_fitted() -> None:
    rows = rows_of([0.1] * 200, [0.9] * 20)
    abuse, threat, accusation = fit(rows, FakeScorer(score_of), RELEASED, 0.02)
    assert abuse.fitted
    assert abuse.released
    assert (abuse.released.threshold, abuse.fitted.threshold) == (0.5, 0.1001)
    assert abuse.fitted.recall.value == 1
    assert abuse.fitted.recall.low == pytest.approx(0.05 ** (1 / 20), abs=1e-4)
    assert (threat.fitted, accusation.fitted) == (None, None)


# --- the command ---


@pytest.fixture
def labelled(tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """150 messages, 20 of them rude; the tests' model sees a rude one by its z."""
    monkeypatch.setenv("BRANDTOX_MODEL", str(model_folder))
    path = tmp_path / "rows.jsonl"
    lines: list[Json] = [{"text": f"order {_word(n)} is late", "abuse": 0} for n in range(130)]
    lines += [{"text": f"z {_word(n)}", "abuse": 1} for n in range(20)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def _word(number: int) -> str:
    """Letters, since texts that differ in digits alone are near-duplicates."""
    return "".join("abcdefghik"[int(digit)] for digit in str(number))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.main, ["thresholds", "fit", *map(str, arguments)])


def test_the_command_writes_the_same_file_each_time(labelled: Path, tmp_path: Path) -> None:
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    for file in files:
        result = run(labelled, "--false-alarms", "0.02", "-o", file)
        assert result.exit_code == 0, result.output
        assert "threat keeps its threshold: no row says" in result.stderr
    assert files[0].read_bytes() == files[1].read_bytes()
    written: Json = json.loads(files[0].read_text(encoding="utf-8"))
    assert (written["model"], list(written["thresholds"])) == ("tiny-1", ["abuse"])
    assert written["labels"]["abuse"]["fitted"]["false_alarms"]["high"] <= 0.02
    assert written["labels"]["abuse"]["released"]["threshold"] == 0.5


def test_csv_is_read_with_the_words_of_a_spreadsheet(labelled: Path, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    words: dict[int, str] = {0: "لا", 1: "نعم"}
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["text", "abuse"])
        for line in labelled.read_text(encoding="utf-8").splitlines():
            row: Labels = json.loads(line)
            writer.writerow([row["text"], words[row["abuse"]]])
    found = [
        json.loads(run(p, "--false-alarms", "0.05", "--json").stdout) for p in (labelled, path)
    ]
    assert found[0]["thresholds"] == found[1]["thresholds"]


def test_a_label_that_is_asked_for_and_refused_is_a_failure(labelled: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.json"
    result = run(labelled, "--false-alarms", "0.001", "--label", "abuse", "-o", output)
    assert result.exit_code == 1
    assert "2302 are needed" in result.stderr
    assert not output.exists()
    assert run(labelled, "--false-alarms", "0.02", "--label", "threat").exit_code == 1
    assert run(labelled, "--false-alarms", "0.02", "--label", "abuse").exit_code == 0


def test_a_file_that_is_no_file_of_rows_is_told(labelled: Path, tmp_path: Path) -> None:
    other = tmp_path / "rows.txt"
    other.write_text("x", encoding="utf-8")
    assert run(other, "--false-alarms", "0.02").exit_code == 2
    empty = tmp_path / "empty.jsonl"
    empty.write_text('{"text": "a"}\n', encoding="utf-8")
    result = run(empty, "--false-alarms", "0.02")
    assert result.exit_code == 1
    assert "has no labelled row: line 1: give at least one label" in result.stderr
