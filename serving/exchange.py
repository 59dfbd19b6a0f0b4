"""Corrections as files: JSON lines and CSV, one reviewer's word on one message a line.

The columns are those that retraining reads. A label that is not given is unknown: an empty cell, or no
field. Every line that cannot be used is told with its number. Label Studio's format is in
`serving.label_studio`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

from model.labels import LABELS, SIGNS
from model.spreadsheet import guard, unguard
from serving.corrections import SENTIMENT, THREAT_KIND, YES_NO, Labels, read_labels
from serving.messages import parse_json
from serving.routes.bodies import clean
from serving.store.feedback import Correction
from serving.times import TimeError, read_time, wire_time

COLUMNS = (
    "text",
    *LABELS,
    SENTIMENT,
    THREAT_KIND,
    *SIGNS,
    "language",
    "group",
    "source",
    "id",
    "reviewer",
    "reason",
    "at",
)
NO_KIND = "none"
"""Written for a threat of no kind; an empty cell is unknown."""

_YES = {"1", "1.0", "true", "yes", "نعم"}
_NO = {"0", "0.0", "false", "no", "لا"}
_MOST_CELL = 2**24
_MOST_NAME = 200

csv.field_size_limit(_MOST_CELL)


@dataclass(frozen=True)
class Word:
    """One correction of a file, or what is wrong with it; `place` says where it stands."""

    place: str
    correction: Correction | None = None
    error: str = ""


class ExchangeError(Exception):
    """A file cannot be read at all, with what to do."""


def record_of(row: Any) -> dict[str, Any]:
    """A row of `store.feedback.read_all` by the names of the columns; what is unknown is left out."""
    labels = json.loads(row.labels)
    if THREAT_KIND in labels:
        labels[THREAT_KIND] = "|".join(labels[THREAT_KIND]) or NO_KIND
    language = json.loads(row.verdict)["language"] if row.verdict else None
    place = {"group": row.group, "source": row.source, "id": row.id}
    said = {"reviewer": row.reviewer, "reason": row.reason, "at": wire_time(row.at)}
    record = {"text": row.whole_text, **labels, "language": language, **place, **said}
    return {name: record[name] for name in COLUMNS if record.get(name) is not None}


def write_jsonl(rows: Iterable[Any]) -> Iterator[str]:
    for row in rows:
        yield json.dumps(record_of(row), ensure_ascii=False) + "\n"


def write_csv(rows: Iterable[Any]) -> Iterator[str]:
    """With a heading and a byte order mark, by which spreadsheets know UTF-8."""
    page = io.StringIO(newline="")
    writer = csv.DictWriter(page, COLUMNS, restval="")
    page.write("\ufeff")
    writer.writeheader()
    yield _taken(page)
    for row in rows:
        record = record_of(row)
        writer.writerow({name: _cell(value) for name, value in record.items()})
        yield _taken(page)


def _cell(value: Any) -> Any:
    return guard(value) if isinstance(value, str) else int(value)


def _taken(page: io.StringIO) -> str:
    text = page.getvalue()
    page.seek(0)
    page.truncate()
    return text


def decoded(raw: bytes) -> str:
    """The text of a file.

    Raises:
        ExchangeError: it is not UTF-8.
    """
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ExchangeError(
            f"line {line} is not UTF-8: save the file as UTF-8 (in Excel: CSV UTF-8)"
        ) from error


def read_jsonl(file: IO[bytes], reviewer: str | None) -> Iterator[Word]:
    """`reviewer` is whose words those are that name none."""
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            record = parse_json(line)
        except ValueError as error:
            yield Word(f"line {number}", error=f"it is not JSON in UTF-8: {error}")
            continue
        if isinstance(record, dict):
            yield read_record(f"line {number}", record, reviewer)
        else:
            yield Word(
                f"line {number}", error='it is no object such as {"text": "…", "abuse": true}'
            )


def read_csv(file: IO[bytes], reviewer: str | None) -> Iterator[Word]:
    """As `read_jsonl`; the first line names the columns.

    Raises:
        ExchangeError: it is not UTF-8, or has no column of texts.
    """
    text = decoded(file.read())
    heading = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=heading.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or []]
    if not {"text", "id"} & set(reader.fieldnames):
        raise ExchangeError(
            "the first line must name the columns, one of them text: " + ",".join(COLUMNS)
        )
    while True:
        number = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Word(f"line {number}", error=f"{error}; what follows was not read")
            return
        if None in record or None in record.values():
            yield Word(f"line {number}", error="it has another number of cells than the first line")
        else:
            cells = {name: unguard(cell) for name, cell in record.items()}
            yield read_record(f"line {number}", cells, reviewer)


def read_record(place: str, record: Mapping[str, Any], reviewer: str | None) -> Word:
    """One correction of fields by the names of the columns; others are ignored."""
    try:
        raw: dict[str, Any] = {name: _bool(name, record.get(name)) for name in YES_NO}
        raw[SENTIMENT] = _lower(record.get(SENTIMENT))
        raw[THREAT_KIND] = _kinds(record.get(THREAT_KIND))
        return Word(place, _correction(read_labels(raw), record, reviewer))
    except ValueError as error:
        return Word(place, error=str(error))


def _correction(labels: Labels, record: Mapping[str, Any], reviewer: str | None) -> Correction:
    """A correction with labels that were checked, its other fields from a record.

    Raises:
        ValueError: what is wrong.
    """
    at = record.get("at")
    who = (_text(record, "reviewer", _MOST_NAME) or reviewer or "").strip()
    if not who:
        raise ValueError('it names no "reviewer": add the column, or give --reviewer')
    try:
        return Correction(
            labels=labels,
            reviewer=who,
            source=_text(record, "source", _MOST_NAME),
            id=_text(record, "id", _MOST_NAME),
            text=_text(record, "text"),
            reason=_text(record, "reason"),
            group=_text(record, "group", _MOST_NAME),
            at=read_time(at, "at") if at else None,
        )
    except TimeError as error:
        raise ValueError(str(error)) from error


def _text(record: Mapping[str, Any], name: str, most: int = _MOST_CELL) -> str | None:
    value = record.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError(f'"{name}" must be a string')
    if len(value) > most:
        raise ValueError(f'"{name}" has {len(value):,} characters, at most {most:,}')
    return clean(value)


def _lower(value: Any) -> Any:
    return (value.strip().lower() or None) if isinstance(value, str) else value


def _bool(name: str, value: Any) -> bool | None:
    """A yes or no in any of its spellings; None for an empty cell."""
    word = _lower(str(value) if isinstance(value, int | float) else value)
    if word is None:
        return None
    if word in _YES or word in _NO:
        return word in _YES
    raise ValueError(
        f'"{name}" is {str(value)[:40]!r}: write 1 or 0, true or false, yes or no, نعم or لا'
    )


def _kinds(value: Any) -> Any:
    value = _lower(value)
    if not isinstance(value, str):
        return value
    return [kind.strip() for kind in value.split("|") if kind.strip() != NO_KIND]
