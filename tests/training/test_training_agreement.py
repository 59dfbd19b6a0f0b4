from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from tests.training import small
from training.agreement import (
    Reading,
    agreement_lines,
    cohen_kappa,
    composition_lines,
    main,
    parse_reading,
    real_label_lines,
    render_card,
)
from training.own import load_written
from training.report import replace_tables

CARD = "\n".join(
    ["# Card", "before"]
    + [
        f"<!-- begin {n} -->\nold\n<!-- end {n} -->"
        for n in ("composition", "agreement", "real labels")
    ]
    + ["after", ""]
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    records = [
        small.record(1, "idiot", "train", "abuse"),
        small.record(2, "pay or all see it", "dev", "reputation"),
        small.record(3, "thanks", "test"),
        small.record(4, "late", "train", dialect="uk"),
    ]
    readings = [
        {"id": "w1-01-1", "first": "neg A", "second": "neg A"},
        {"id": "w1-01-2", "first": "neg Trep", "second": "neg"},
        {"id": "w1-01-3", "first": "pos", "second": "neu"},
        {"id": "w1-01-4", "first": "neg", "second": "pos A"},
    ]
    real: list[dict[str, Any]] = [
        {"corpus": "olid", "hash": "aa", "unsure": 1},
        {"corpus": "olid", "hash": "bb", "unsure": 0},
    ]
    small.write_messages(tmp_path, records)
    small.write_lines(tmp_path / "readings.jsonl", readings)
    small.write_lines(tmp_path / "real_labels.jsonl", real)
    (tmp_path / "README.md").write_text(CARD, encoding="utf-8")
    return tmp_path


def test_a_reading_is_a_sentiment_and_what_holds() -> None:
    reading = parse_reading("neg A Trep esc")
    assert reading == Reading(
        "negative", frozenset({"abuse", "threat", "reputation", "escalation"})
    )
    assert parse_reading("neu") == Reading("neutral", frozenset())


@pytest.mark.parametrize("code", ["", "A", "neg X", "neg neg", "good"])
def test_another_code_is_an_error(code: str) -> None:
    with pytest.raises(ValueError, match="is not a reading"):
        parse_reading(code)


readings = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40)


@given(readings)
def test_kappa_is_cohens(pairs: list[tuple[bool, bool]]) -> None:
    first, second = zip(*pairs, strict=True)
    found = cohen_kappa(first, second)
    rows = len(pairs)
    observed = sum(a == b for a, b in pairs) / rows
    yes = sum(first) * sum(second) / rows**2
    by_chance = yes + (rows - sum(first)) * (rows - sum(second)) / rows**2
    if by_chance == 1:
        assert found is None
    else:
        assert found == pytest.approx((observed - by_chance) / (1 - by_chance))


def test_kappa_of_words_is_that_of_their_numbers() -> None:
    assert cohen_kappa(["a", "b", "c", "a"], ["a", "b", "b", "a"]) == cohen_kappa(
        [0, 1, 2, 0], [0, 1, 1, 0]
    )


def test_the_agreement_table_by_hand(folder: Path) -> None:
    text = render_card(folder)
    assert (
        "4 messages; the two readings differ in at least one label, sign or the sentiment on 3"
        in text
    )
    assert "settled 1 of these for the first, 1 for the second and 1 otherwise." in text
    assert "| abuse | 1 | 2 | 1 | 75.0% | 0.500 |" in text
    assert "| reputation | 1 | 0 | 1 | 75.0% | 0.000 |" in text
    assert "| distress | 0 | 0 | 0 | 100.0% | – |" in text
    assert "| sentiment (three classes) |  |  |  | 50.0% |" in text


def test_the_composition_tables_by_hand(folder: Path) -> None:
    lines = composition_lines(load_written(folder))
    assert lines[0] == "4 messages of 3 situations."
    for line in (
        "| en | 2 | 1 | 1 | 4 | 100.0% |",
        "| en uk | 1 | 0 | 0 | 1 | 25.0% |",
        "| abuse | 1 | 0 | 0 | 1 | 25.0% |",
        "| none of the three (fair) | 1 | 0 | 1 | 2 | 50.0% |",
        "| reputation | 0 | 1 | 0 | 1 | 25.0% |",
        "| negative | 1 | 1 | 0 | 2 | 50.0% |",
    ):
        assert line in lines


def test_real_labels_are_counted_by_corpus(folder: Path) -> None:
    assert real_label_lines(folder)[2:] == ["| olid | 2 | 1 |", "| all | 2 | 1 |"]
    (folder / "real_labels.jsonl").unlink()
    assert real_label_lines(folder)[2:] == ["| all | 0 | 0 |"]


def test_a_message_without_readings_is_an_error(folder: Path) -> None:
    rows = load_written(folder)
    with pytest.raises(ValueError, match="4 messages have no readings: w1-01-1, "):
        agreement_lines(rows, {})


def test_the_command_rewrites_only_what_stands_between_the_markers(folder: Path) -> None:
    result = CliRunner().invoke(main, ["--datasets", str(folder)])
    assert result.exit_code == 0, result.output
    written = (folder / "README.md").read_text(encoding="utf-8")
    assert "old" not in written
    assert written.startswith("# Card\nbefore\n<!-- begin composition -->\n\n4 messages")
    assert written.endswith("<!-- end real labels -->\nafter\n")
    assert render_card(folder) == written


@pytest.mark.parametrize("card", ["", "<!-- end x --><!-- begin x -->", "<!-- begin x -->"])
def test_a_card_without_its_markers_is_an_error(card: str) -> None:
    with pytest.raises(ValueError, match="the card lacks"):
        replace_tables(card, {"x": []})
