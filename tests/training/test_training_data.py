import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.training import small
from tests.training.test_training_corpora import write_corpus
from training.corpora import RELABELLED
from training.data import Data, load_data
from training.mixture import text_key
from training.own import apply_real_labels, load_written, text_hash
from training.rows import Row, fingerprint, label_matrix, sentiment_indices


def real_label(text: str, *holds: str, **fields: Any) -> dict[str, Any]:
    """A line of `real_labels.jsonl`."""
    record = small.record(0, "", "train", *holds)
    kept = {k: v for k, v in record.items() if k not in ("id", "text", "situation")}
    return {"corpus": "olid", "hash": text_hash(text), **kept, "unsure": 0, **fields}


def load(tmp_path: Path) -> Data:
    return load_data(tmp_path / "corpora", tmp_path / "datasets")


def keys(rows: list[Row]) -> set[str]:
    return {text_key(row.text) for row in rows}


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    return small.write_messages(tmp_path / "datasets", [small.record(1, "our own row")])


def test_written_rows_have_every_label(tmp_path: Path) -> None:
    line = small.record(3, "pay or all see it", "dev", "reputation", "refund_demand")
    (row,) = load_written(small.write_messages(tmp_path, [line]))
    assert {name for name, value in row.labels.items() if value} == {
        "threat",
        "reputation",
        "refund_demand",
    }
    assert len(row.labels) == 13
    assert (row.source, row.split, row.group, row.id) == ("own", "dev", "w1-1", "w1-01-3")
    assert (row.sentiment, row.industry, row.weight) == ("negative", "shop", 1.0)


def test_a_hash_names_a_text_without_regard_to_case_and_blanks() -> None:
    expected = hashlib.sha256(b"so late!").hexdigest()
    assert text_hash("So   LATE!") == expected[:16]
    assert text_hash("so late! 🖕") != text_hash("so late! 🌹")


def test_real_labels_override_the_corpus(tmp_path: Path) -> None:
    line = real_label("They STOLE it!", "accusation", "private_data")
    small.write_lines(tmp_path / "real_labels.jsonl", [line])
    rows = [
        Row("they stole it!", {"abuse": 1}, "positive", source="olid", weight=0.5, dialect="us"),
        Row("something else", {"abuse": 1}, source="olid", weight=0.5),
    ]
    changed, same = apply_real_labels(rows, tmp_path)
    holds = {name for name, value in changed.labels.items() if value}
    assert holds == {"accusation", "threat", "private_data"}
    assert (changed.source, changed.weight, changed.sentiment) == (RELABELLED, 1.0, "negative")
    assert (changed.dialect, changed.text) == ("us", "they stole it!")
    assert same == rows[1]


def test_unsure_real_labels_weigh_half(tmp_path: Path) -> None:
    small.write_lines(tmp_path / "real_labels.jsonl", [real_label("hm", unsure=1)])
    (row,) = apply_real_labels([Row("hm", {"abuse": 1}, source="olid")], tmp_path)
    assert row.weight == 0.5


def test_real_labels_leave_relabelled_messages_and_held_out_rows_alone(tmp_path: Path) -> None:
    small.write_lines(tmp_path / "real_labels.jsonl", [real_label("you fool", "abuse")])
    rows = [
        Row("you fool", {"abuse": 0}, source=RELABELLED),
        Row("you fool", {"abuse": 0}, source="hateval_en", split="test"),
    ]
    assert apply_real_labels(rows, tmp_path, {"hateval_en"}) == rows


def test_real_labels_name_the_split(tmp_path: Path, ours: Path) -> None:
    texts = [f"text {chr(0x4E00 + i)}" for i in range(60)]
    write_corpus(tmp_path / "corpora", "olid", *[{"text": t, "abuse": 1.0} for t in texts])
    splits = ["train", "dev", "test"] * 20
    lines = [real_label(t, split=s) for t, s in zip(texts, splits, strict=True)]
    small.write_lines(ours / "real_labels.jsonl", lines)
    data = load(tmp_path)
    for split, rows in (("train", data.train), ("dev", data.dev), ("test", data.test)):
        found = {row.text for row in rows if row.source == RELABELLED}
        assert found == {t for t, s in zip(texts, splits, strict=True) if s == split}


def test_without_the_file_rows_stay(tmp_path: Path) -> None:
    rows = [Row("a", {"abuse": 1}, source="olid")]
    assert apply_real_labels(rows, tmp_path) == rows


def test_official_splits_are_kept(tmp_path: Path, ours: Path) -> None:
    records = [
        {"text": f"{split} text {i}", "split": split, "abuse": 1.0}
        for split, count in (("train", 200), ("dev", 3), ("test", 4))
        for i in map(chr, range(0x4E00, 0x4E00 + count))
    ]
    write_corpus(tmp_path / "corpora", "hateval_en", *records)
    data = load(tmp_path)
    for split, rows, count in (
        ("train", data.train, 200),
        ("dev", data.dev, 3),
        ("test", data.test, 4),
    ):
        texts = [row.text for row in rows if row.source == "hateval_en"]
        assert len(texts) == count
        assert all(text.startswith(split) for text in texts)
    assert data.official == {"hateval_en"}


def test_a_corpus_without_splits_is_split_by_the_hash_of_its_texts(
    tmp_path: Path, ours: Path
) -> None:
    records: list[dict[str, Any]] = [
        {"text": f"text {chr(0x4E00 + i)}", "abuse": 1.0} for i in range(1500)
    ]
    write_corpus(tmp_path / "corpora", "davidson", *records)
    write_corpus(
        tmp_path / "corpora", RELABELLED, *[{**r, "text": "real " + r["text"]} for r in records]
    )
    data, again = load(tmp_path), load(tmp_path)
    assert [row.text for row in data.test] == [row.text for row in again.test]
    for source, share in (("davidson", 0.03), (RELABELLED, 0.10)):
        for rows in (data.dev, data.test):
            found = sum(row.source == source for row in rows) / 1500
            assert 0.6 * share < found < 1.5 * share
    assert sum(row.source != "own" for row in data.train + data.dev + data.test) == 3000
    assert data.official == frozenset()


def test_rows_that_tell_nothing_are_left_out(tmp_path: Path, ours: Path) -> None:
    records: list[dict[str, Any]] = [
        {"text": "told", "abuse": 1.0},
        {"text": "untold"},
        {"text": "read by us"},
    ]
    write_corpus(tmp_path / "corpora", "olid", *records)
    small.write_lines(ours / "real_labels.jsonl", [real_label("Read by us")])
    data = load(tmp_path)
    public = [row for row in data.train + data.dev + data.test if row.source != "own"]
    assert sorted((row.text, row.source) for row in public) == [
        ("read by us", RELABELLED),
        ("told", "olid"),
    ]


def test_equal_held_out_texts_count_once_and_ours_stands(tmp_path: Path) -> None:
    ours = small.record(1, "so late", "test")
    small.write_messages(tmp_path / "datasets", [ours, small.record(2, "only here")])
    records = [{"text": text, "split": "test", "abuse": 1.0} for text in ("So late!", "other")]
    write_corpus(tmp_path / "corpora", "hateval_en", *records, {**records[1]})
    data = load(tmp_path)
    assert sorted((row.text, row.source) for row in data.test) == [
        ("other", "hateval_en"),
        ("so late", "own"),
    ]


def test_a_fingerprint_changes_with_what_trains() -> None:
    rows = [small.row("so late", "abuse"), small.row("thanks")]
    changes = [
        [replace(rows[0], text="so  late"), rows[1]],
        [replace(rows[0], labels={**rows[0].labels, "threat": 1}), rows[1]],
        [replace(rows[0], sentiment=None), rows[1]],
        [replace(rows[0], weight=0.5), rows[1]],
        [replace(rows[0], source="olid"), rows[1]],
        rows[:1],
        rows[::-1],
    ]
    prints = [fingerprint(changed) for changed in (rows, *changes)]
    assert len(set(prints)) == len(prints)
    assert fingerprint([replace(row) for row in rows]) == prints[0]
    assert len(fingerprint([small.row("lone \ud800 surrogate")])) == 16


def test_splits_share_no_text(tmp_path: Path) -> None:
    records = [
        small.record(i, f"{chr(0x4E00 + i // 3)} late", ("train", "dev", "test")[i % 3])
        for i in range(30)
    ]
    small.write_messages(tmp_path / "datasets", [*records, small.record(40, "only here")])
    shared = [{"text": f"{chr(0x4E00 + i)} LATE!", "abuse": 0.0} for i in range(20)]
    write_corpus(tmp_path / "corpora", "davidson", *shared)
    data = load(tmp_path)
    assert not keys(data.train) & keys(data.dev)
    assert not keys(data.train) & keys(data.test)
    assert not keys(data.dev) & keys(data.test)
    assert keys(data.test) >= {text_key(f"{chr(0x4E00 + i)} late") for i in range(10)}
    assert "only here" in keys(data.train)


def test_a_row_is_fair_only_when_all_three_labels_are_known() -> None:
    assert small.row("late", "leaving").is_fair
    assert not small.row("late", "accusation").is_fair
    assert not Row("late", {"abuse": 0, "threat": 0}).is_fair


def test_label_matrix_and_sentiment_of_rows_and_of_none() -> None:
    rows = [small.row("a", "threat", sentiment="positive"), Row("b", {}, None)]
    matrix = label_matrix(rows)
    assert matrix[0].tolist() == [0.0, 1.0] + [0.0] * 11
    assert matrix[1].tolist() != matrix[1].tolist()  # NaN
    assert sentiment_indices(rows).tolist() == [2, -1]
    assert label_matrix([]).shape == (0, 13)
    assert sentiment_indices([]).tolist() == []
