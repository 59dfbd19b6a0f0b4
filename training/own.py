"""The project's own data: written messages, and labels for real ones that are kept without texts."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from model.labels import LABELS, SIGNS, THREAT_KINDS
from training.corpora import RELABELLED
from training.rows import Row

_CHECKOUT = Path(__file__).resolve().parent.parent / "datasets"
DATASETS = _CHECKOUT if (_CHECKOUT / "schema.json").exists() else Path("datasets")
_REAL_LABELS = "real_labels.jsonl"


def load_written(folder: Path = DATASETS) -> list[Row]:
    """The messages of `datasets/messages/*.jsonl`, all labels known."""
    return [
        _written_row(record)
        for path in sorted((folder / "messages").glob("*.jsonl"))
        for record in _read_lines(path)
    ]


def _written_row(record: dict[str, Any]) -> Row:
    kinds = record["threat_kind"]
    labels = {name: int(record[name]) for name in (*LABELS, *SIGNS)}
    labels |= {kind: int(kind in kinds) for kind in THREAT_KINDS}
    return Row(
        text=record["text"],
        labels=labels,
        sentiment=record["sentiment"],
        language=record["language"],
        dialect=record["dialect"],
        group=record["situation"],
        split=record["split"],
        id=record["id"],
        industry=record["industry"],
    )


def _read_lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def text_hash(text: str) -> str:
    """Names a text without holding it: 16 hex digits of the SHA-256 of the text in NFKC, without
    regard to case and blanks.

    Not of the prepared text, whose rules may change, nor of its key: emoji can turn praise into an
    insult, so a label holds for the text with them.
    """
    plain = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return hashlib.sha256(plain.encode("utf-8", "replace")).hexdigest()[:16]


def apply_real_labels(
    rows: Iterable[Row], folder: Path = DATASETS, official: Collection[str] = ()
) -> list[Row]:
    """Give corpus rows the labels and the split that `real_labels.jsonl` has for their texts.

    Dev and test rows of the corpora named in `official` stay as they are: they must not come to
    train.
    """
    path = folder / _REAL_LABELS
    if not path.exists():
        return list(rows)
    known = {record["hash"]: record for record in _read_lines(path)}
    return [
        row
        if row.source == RELABELLED or (row.source in official and row.split != "train")
        else _relabel(row, known.get(text_hash(row.text)))
        for row in rows
    ]


def _relabel(row: Row, record: dict[str, Any] | None) -> Row:
    if record is None:
        return row
    kinds = record["threat_kind"]
    labels = {name: int(record[name]) for name in (*LABELS, *SIGNS)}
    labels |= {kind: int(kind in kinds) for kind in THREAT_KINDS}
    return replace(
        row,
        labels=labels,
        sentiment=record["sentiment"],
        split=record["split"],
        source=RELABELLED,
        weight=0.5 if record["unsure"] else 1.0,
    )
