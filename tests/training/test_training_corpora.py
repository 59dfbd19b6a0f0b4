import logging
import math
from pathlib import Path
from typing import Any

import pytest

import datasets
from model.labels import THREAT_KINDS
from training.corpora import CORPORA, RELABELLED, load_corpora


def write_corpus(folder: Path, name: str, *records: dict[str, Any]) -> None:
    """A Parquet file with the columns of the contract; a value not given is null."""
    empty = dict.fromkeys(
        ("source", "dialect", "split", "abuse", "threat", "accusation", "sentiment")
    )
    rows = [{"text": f"text {i}", "lang": "en", **empty, **r} for i, r in enumerate(records)]
    strings, numbers = (
        ("text", "lang", "dialect", "split", "sentiment", "source"),
        ("abuse", "threat", "accusation"),
    )
    kinds = dict.fromkeys(strings, "string") | dict.fromkeys(numbers, "float64")
    extra = {key for row in rows for key in row} - kinds.keys()
    features = {k: datasets.Value(v) for k, v in (kinds | dict.fromkeys(extra, "float64")).items()}
    folder.mkdir(exist_ok=True)
    made = datasets.Dataset.from_list(rows, features=datasets.Features(features))
    made.to_parquet(str(folder / f"{name}.parquet"))


def test_rows_carry_what_the_corpus_tells(tmp_path: Path) -> None:
    record = {
        "lang": "ar",
        "dialect": "saudi",
        "split": "dev",
        "abuse": 1.0,
        "threat": 1.0,
        "accusation": 0.0,
    }
    write_corpus(tmp_path, "osact2022_ar", {**record, "sentiment": "negative"})
    (row,) = load_corpora(tmp_path)
    assert row.labels == {"abuse": 1, "threat": 1, "accusation": 0}
    assert (row.language, row.dialect, row.split, row.sentiment) == (
        "ar",
        "gulf",
        "dev",
        "negative",
    )
    assert (row.source, row.weight) == ("osact2022_ar", CORPORA["osact2022_ar"].weight)
    assert (row.text, row.origin) == ("text 0", "osact2022_ar")


def test_a_relabelled_text_names_the_corpus_it_comes_from(tmp_path: Path) -> None:
    write_corpus(tmp_path, RELABELLED, {"abuse": 0.0, "source": "us_airline_tweets"})
    (row,) = load_corpora(tmp_path)
    assert (row.source, row.origin) == (RELABELLED, "us_airline_tweets")


def test_unsure_relabelled_texts_weigh_half_and_comments_have_no_sentiment(tmp_path: Path) -> None:
    told = {"abuse": 1.0, "sentiment": "negative"}
    write_corpus(
        tmp_path,
        RELABELLED,
        {**told, "source": "us_airline_tweets", "unsure": 1.0},
        {**told, "source": "alakrot_youtube", "unsure": 0.0},
    )
    review, comment = load_corpora(tmp_path)
    assert (review.weight, review.sentiment) == (0.5, "negative")
    assert (comment.weight, comment.sentiment) == (1.0, None)


def test_what_a_corpus_does_not_tell_is_masked(tmp_path: Path) -> None:
    write_corpus(
        tmp_path, "davidson", {"abuse": math.nan, "accusation": 1.0}, {"sentiment": "positive"}, {}
    )
    first, second, third = load_corpora(tmp_path)
    assert first.labels == {"accusation": 1}
    assert first.sentiment is None
    assert second.labels == {}
    assert (second.sentiment, second.split, second.dialect) == ("positive", "train", None)
    assert (third.labels, third.sentiment) == ({}, None)


def test_no_threat_means_no_kind_of_threat_and_a_threat_leaves_its_kind_open(
    tmp_path: Path,
) -> None:
    write_corpus(tmp_path, "davidson", {"threat": 0.0}, {"threat": 1.0})
    none, some = load_corpora(tmp_path)
    assert none.labels == {"threat": 0, **dict.fromkeys(THREAT_KINDS, 0)}
    assert some.labels == {"threat": 1}


def test_a_threat_column_of_another_meaning_is_not_read(tmp_path: Path) -> None:
    assert not CORPORA["letmi"].has_threat
    write_corpus(tmp_path, "letmi", {"abuse": 1.0, "threat": 1.0})
    (row,) = load_corpora(tmp_path)
    assert row.labels == {"abuse": 1}


def test_signs_of_the_relabelled_messages_are_read(tmp_path: Path) -> None:
    write_corpus(tmp_path, RELABELLED, {"abuse": 0.0, "leaving": 1.0, "escalation": math.nan})
    (row,) = load_corpora(tmp_path)
    assert row.labels == {"abuse": 0, "leaving": 1}


def test_absent_corpora_are_named_and_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_corpus(tmp_path, "davidson", {"abuse": 1.0})
    with caplog.at_level(logging.WARNING):
        rows = load_corpora(tmp_path)
    assert {row.source for row in rows} == {"davidson"}
    (warning,) = [record.getMessage() for record in caplog.records]
    named = {name for name in CORPORA if name in warning.split(": ")[-1].split(", ")}
    assert named == {name for name, corpus in CORPORA.items() if corpus.rows} - {"davidson"}


def test_the_permissive_switch_leaves_other_licences_out(tmp_path: Path) -> None:
    write_corpus(tmp_path, "davidson", {"abuse": 1.0})
    write_corpus(tmp_path, "olid", {"abuse": 1.0})
    assert {row.source for row in load_corpora(tmp_path)} == {"davidson", "olid"}
    assert {row.source for row in load_corpora(tmp_path, permissive_only=True)} == {"davidson"}


def test_permissive_licences_are_what_the_switch_promises() -> None:
    for corpus in CORPORA.values():
        if corpus.permissive:
            assert corpus.licence in {"MIT", "Apache-2.0", "CC BY 4.0", "CC0"}


def test_without_a_folder_there_are_no_rows_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        assert load_corpora(None) == []
    assert "BRANDTOX_CORPORA" in caplog.text


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        load_corpora(tmp_path / "nowhere")
