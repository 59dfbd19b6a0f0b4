"""The messages of `datasets/` themselves, whatever their number: form, splits, card."""

import json
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from model.labels import LABELS, SIGNS, THREAT_KINDS
from training.agreement import load_readings, render_card, settled
from training.corpora import CORPORA
from training.mixture import shingles, text_key
from training.own import DATASETS, load_written
from training.rows import Row

Record = dict[str, Any]

_LINK = re.compile(
    r"https?://|www\.|[^\s@]+@[^\s@]+\.[a-z]{2,}|\b[a-z0-9-]+\.(?:com|net|org|io|me|co|sa|eg|ae)\b",
    re.I,
)
_NUMBER = re.compile(r"\+?\d(?:[ \-]?\d){8,}")
_PHONE = re.compile(r"\+|00|0[15-79]|(?:20|21[236]|212|44|96[1-8]|97[0-4]|1)")
_LEAST = {
    "language": {"ar": 0.45, "arabizi": 0.06, "mixed": 0.02, "en": 0.12},
    "dialect": dict.fromkeys(
        ("egy", "gulf", "lev", "iraqi", "magh", "msa", "us", "uk", "l2"), 0.02
    ),
    "split": {"train": 0.7, "dev": 0.05, "test": 0.05},
    "sentiment": {"negative": 0.4, "neutral": 0.1, "positive": 0.03},
}
_LABEL_SHARES = {"abuse": (0.12, 0.4), "threat": (0.08, 0.3), "accusation": (0.1, 0.4)}


@cache
def records() -> list[Record]:
    files = sorted((DATASETS / "messages").glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]


@cache
def rows() -> list[Row]:
    return load_written()


def by_key() -> dict[str, list[Row]]:
    found = defaultdict(list)
    for row in rows():
        found[text_key(row.text)].append(row)
    return found


def test_there_are_messages_enough() -> None:
    assert len(records()) == len(rows()) >= 5_000


def test_every_message_is_valid_by_the_schema() -> None:
    schema = json.loads((DATASETS / "schema.json").read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    wrong = [f"{r.get('id')}: {e.message}" for r in records() for e in validator.iter_errors(r)]
    assert wrong == []


def example(**changes: Any) -> Record:
    return {**records()[0], "threat": 0, "threat_kind": [], **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"threat": 1},
        {"threat_kind": ["job"]},
        {"threat": 1, "threat_kind": ["job", "job"]},
        {"threat": 1, "threat_kind": ["curse"]},
        {"abuse": 2},
        {"text": ""},
        {"language": "fr"},
        {"id": "17"},
        {"note": "x"},
    ],
)
def test_the_schema_refuses_what_is_wrong(changes: Record) -> None:
    schema = json.loads((DATASETS / "schema.json").read_text("utf-8"))
    validator = Draft202012Validator(schema)
    assert validator.is_valid(example())
    assert not validator.is_valid(example(**changes))


def test_ids_are_unique() -> None:
    repeated = [name for name, count in Counter(r["id"] for r in records()).items() if count > 1]
    assert repeated == []


def test_no_situation_straddles_splits() -> None:
    splits = defaultdict(set)
    for row in rows():
        splits[row.group].add(row.split)
    assert [group for group, found in splits.items() if len(found) > 1] == []


def test_no_two_messages_have_the_same_text() -> None:
    assert [[row.id for row in group] for group in by_key().values() if len(group) > 1] == []


def test_hardly_any_training_message_is_lost_as_a_near_copy_of_a_held_out_one() -> None:
    held = {s for row in rows() if row.split != "train" for s in shingles(text_key(row.text))}
    train = [row for row in rows() if row.split == "train"]
    near = [row.id for row in train if not held.isdisjoint(shingles(text_key(row.text)))]
    assert len(near) <= 0.002 * len(train), near


def test_no_links_or_addresses() -> None:
    assert [f"{r['id']}: {r['text']}" for r in records() if _LINK.search(r["text"])] == []


def phone_numbers(text: str) -> Iterator[str]:
    """Runs of nine digits or more that could be somebody's number: a phone's prefix, no toy digits."""
    plain = "".join(str(unicodedata.decimal(c, c)) for c in text)
    for match in _NUMBER.finditer(plain):
        digits = re.sub(r"\D", "", match[0])
        if _PHONE.match(match[0]) and len(set(digits)) > 3 and digits not in "01234567890123456789":
            yield match[0]


def test_no_phone_numbers() -> None:
    assert [(r["id"], n) for r in records() for n in phone_numbers(r["text"])] == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("call 01064728391 now", ["01064728391"]),
        ("رقمي ٠١٠٦٤٧٢٨٣٩١", ["01064728391"]),
        ("+966 50 473 8261", ["+966 50 473 8261"]),
        ("0123456789", []),
        ("0100000000", []),
        ("order 8830177", []),
        ("from 2024 to 2025, 15000 EGP", []),
    ],
)
def test_phone_numbers_are_told_from_other_digits(text: str, found: list[str]) -> None:
    assert list(phone_numbers(text)) == found


@pytest.mark.parametrize("field", _LEAST)
def test_every_value_has_its_share(field: str) -> None:
    counts = Counter(str(getattr(row, field)) for row in rows())
    assert counts.keys() == _LEAST[field].keys()
    short = {v: counts[v] for v, least in _LEAST[field].items() if counts[v] < least * len(rows())}
    assert short == {}


def test_arabic_is_the_largest_language_and_egyptian_its_largest_dialect() -> None:
    assert Counter(row.language for row in rows()).most_common(1)[0][0] == "ar"
    arabic = Counter(row.dialect for row in rows() if row.language == "ar")
    assert arabic.most_common(1)[0][0] == "egy"


def test_dialects_go_with_their_languages() -> None:
    english = {"us", "uk", "l2"}
    assert [
        r["id"] for r in records() if (r["language"] == "en") != (r["dialect"] in english)
    ] == []


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_labels_are_mixed_in_every_split(split: str) -> None:
    members = [row for row in rows() if row.split == split]
    shares = {n: sum(row.labels[n] for row in members) / len(members) for n in LABELS}
    assert [n for n, (least, most) in _LABEL_SHARES.items() if not least < shares[n] < most] == []
    assert 0.35 < sum(row.is_fair for row in members) / len(members) < 0.6
    rare = [n for n in (*SIGNS, *THREAT_KINDS) if sum(row.labels[n] for row in members) < 4]
    assert rare == []


def test_every_language_has_every_label_and_fair_messages_on_both_sides() -> None:
    for language in _LEAST["language"]:
        members = [row for row in rows() if row.language == language]
        for name in LABELS:
            assert {row.labels[name] for row in members} == {0, 1}, (language, name)
        assert {row.is_fair for row in members} == {True, False}, language


def test_texts_are_from_one_word_to_long_tickets() -> None:
    lengths = [len(row.text.split()) for row in rows()]
    assert min(lengths) <= 2
    assert max(lengths) >= 150


def test_every_message_has_its_two_readings_and_no_reading_is_left_over() -> None:
    lines = (DATASETS / "readings.jsonl").read_text("utf-8").splitlines()
    assert sorted(json.loads(line)["id"] for line in lines) == sorted(row.id for row in rows())


def test_where_the_readings_agree_they_are_the_labels() -> None:
    readings = load_readings()
    wrong = [row.id for row in rows() if readings[row.id][0] == readings[row.id][1] != settled(row)]
    assert wrong == []


def real_labels() -> list[Record]:
    lines = (DATASETS / "real_labels.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_real_labels_have_no_texts_and_are_valid() -> None:
    schema = json.loads((DATASETS / "schema.json").read_text("utf-8"))
    flags = ("split", "abuse", "threat", "threat_kind", "accusation", "sentiment", *SIGNS)
    own = {
        "corpus": {"enum": list(CORPORA)},
        "hash": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
        "unsure": {"enum": [0, 1]},
    }
    schema["properties"] = {name: schema["properties"][name] for name in flags} | own
    schema["required"] = [*flags, *own]
    validator = Draft202012Validator(schema)
    wrong = [
        f"{r.get('hash')}: {e.message}" for r in real_labels() for e in validator.iter_errors(r)
    ]
    assert wrong == []


def test_a_real_text_has_one_set_of_labels() -> None:
    counts = Counter(r["hash"] for r in real_labels())
    assert [name for name, count in counts.items() if count > 1] == []


def test_the_tables_of_the_card_are_those_of_the_data() -> None:
    """When this fails: `python -m training.agreement`."""
    assert (DATASETS / "README.md").read_text("utf-8") == render_card()
