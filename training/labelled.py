"""A company's labelled messages: JSON lines, CSV or Parquet, read to rows; what cannot be read is told.

Columns and values: docs/retraining.md. A line with anything wrong in it is left out as a whole and
told with its place; nothing is guessed.
"""

from __future__ import annotations

import csv
import io
import json
import math
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from model.labels import LABELS, SENTIMENTS, SIGNS, THREAT_KINDS
from model.language import detect_language
from model.spreadsheet import unguard
from training.encodings import EncodingError, decode
from training.mixture import text_key
from training.rows import Row

COLUMNS = {
    "text": "text message body content comment النص نص الرسالة رسالة نص_الرسالة التعليق",
    "abuse": "abuse abusive إساءة اساءة الإساءة مسيء",
    "threat": "threat threatening تهديد التهديد",
    "accusation": "accusation accusatory accusatory_tone اتهام الاتهام لهجة_اتهام نبرة_اتهام",
    "threat_kind": "threat_kind threat_kinds نوع_التهديد",
    "sentiment": "sentiment feeling المشاعر الشعور",
    "off_channel": "off_channel قناة_خاصة",
    "out_of_scope": "out_of_scope خارج_النطاق",
    "refund_demand": "refund_demand طلب_استرداد",
    "escalation": "escalation تصعيد",
    "leaving": "leaving مغادرة",
    "distress": "distress استغاثة",
    "language": "language lang اللغة لغة",
    "dialect": "dialect اللهجة لهجة",
    "group": "group customer customer_id ticket ticket_id العميل رقم_العميل التذكرة رقم_التذكرة",
    "id": "id message_id المعرف رقم_الرسالة",
    "reviewer": "reviewer annotator المراجع",
    "reason": "reason note notes السبب ملاحظات",
}
"""The columns that are read, and the headers that name each, without regard to case."""

_BY_HEADER = {alias: name for name, aliases in COLUMNS.items() for alias in aliases.split()}
_FLAGS = {
    **dict.fromkeys(("1", "1.0", "true", "yes", "y", "نعم"), 1),
    **dict.fromkeys(("0", "0.0", "false", "no", "n", "لا"), 0),
}
_UNKNOWN = frozenset(("", "null", "none", "nan", "na", "n/a", "unknown", "?", "؟", "-"))
_SENTIMENT_WORDS = {
    **{name: name for name in SENTIMENTS},
    **dict(zip(("سلبي", "محايد", "إيجابي"), SENTIMENTS, strict=True)),
}
_LANGUAGES = ("ar", "arabizi", "mixed", "en", "other")
_DIALECTS = ("egy", "gulf", "lev", "iraqi", "magh", "msa", "us", "uk", "l2")
_DIGITS = str.maketrans("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹", "01234567890123456789")
_DELIMITERS = ",;\t|"
_MOST_CHARACTERS = 40
csv.field_size_limit(2**30)
Record = dict[str, Any]


class LabelledError(ValueError):
    """A file that cannot be read as a whole, with what to do."""


@dataclass(frozen=True)
class Problem:
    """Why a line was left out.

    Attributes:
        place: file and line, as `new.csv:12`.
        column: empty where the line as a whole is wrong.
        value: as it stands there, cut to 40 characters.
        message: what is wrong and what to do.
    """

    place: str
    column: str
    value: str
    message: str

    def __str__(self) -> str:
        column = f", column {self.column}" if self.column else ""
        value = f": {self.value!r}" if self.value else ""
        return f"{self.place}{column}{value} {self.message}"


@dataclass
class Labelled:
    """The rows of one or more files.

    Attributes:
        places: of each row, as `new.csv:12`.
        problems: one for each line that is no row.
        unread: columns that mean nothing here.
    """

    rows: list[Row] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


class _LineError(Exception):
    """A line that is left out: column, value, message."""


def read_labelled(paths: Iterable[Path]) -> Labelled:
    """The rows of all files, in order; equal texts are all kept.

    Raises:
        LabelledError: a file is missing, of another format or encoding, has no text or label column,
            or none of its lines is a row.
    """
    labelled = Labelled()
    for path in paths:
        before = len(labelled.rows)
        try:
            _read(path, labelled)
        except (OSError, pa.ArrowException, EncodingError) as error:
            raise LabelledError(f"{path} cannot be read: {error}") from error
        if len(labelled.rows) == before:
            reasons = "; ".join(map(str, labelled.problems[:3])) or "it has no lines"
            raise LabelledError(f"{path} has no row to train on: {reasons}")
    return labelled


def _read(path: Path, labelled: Labelled) -> None:
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(_READERS)
        raise LabelledError(
            f"{path} has none of the endings {known}: save it as one of these"
            ' (in Excel: "CSV UTF-8")'
        )
    names: dict[str, str] = {}
    for line, record in reader(path):
        place = f"{path.name}:{line}"
        try:
            if isinstance(record, str):
                raise _LineError("", "", record)
            _name_columns(path, record, names, labelled)
            row = _row(
                {names[header]: value for header, value in record.items() if header in names}
            )
        except _LineError as error:
            column, value, message = error.args
            labelled.problems.append(Problem(place, column, value[:_MOST_CHARACTERS], message))
        else:
            labelled.rows.append(row)
            labelled.places.append(place)
    if names and "text" not in names.values():
        raise LabelledError(f"{path} has no column `text`: name the column of messages so")


def _name_columns(path: Path, record: Record, names: dict[str, str], labelled: Labelled) -> None:
    """Learn the meaning of headers that are new.

    Raises:
        LabelledError: two headers of a line mean the same.
    """
    for header in record:
        if header in names or header in labelled.unread:
            continue
        meaning = _BY_HEADER.get(_header_key(header))
        if meaning is None:
            labelled.unread.append(header)
        elif other := next((h for h in record if h != header and names.get(h) == meaning), None):
            raise LabelledError(
                f"{path} has two columns for {meaning}, {other!r} and {header!r}: remove one"
            )
        else:
            names[header] = meaning


def _header_key(header: str) -> str:
    return "_".join(_plain(header).replace("-", " ").split())


def _plain(value: object) -> str:
    """Of a cell what is compared: folded, with Western digits."""
    return unicodedata.normalize("NFKC", str(value)).translate(_DIGITS).strip().casefold()


def _row(record: Record) -> Row:
    """Raises _LineError."""
    text = str(record.get("text") or "").encode("utf-8", "replace").decode("utf-8")
    if not text.strip():
        raise _LineError("text", "", "is empty: fill it in, or remove the line")
    labels = _labels(record)
    sentiment = _one_of(record, "sentiment", _SENTIMENT_WORDS)
    if not labels and sentiment is None:
        names = ", ".join(LABELS)
        raise _LineError("", "", f"has no label: fill in one of {names}, or remove the line")
    language = _one_of(record, "language", dict(zip(_LANGUAGES, _LANGUAGES, strict=True)))
    group = str(record.get("group") or "").strip()
    return Row(
        text=text,
        labels=labels,
        sentiment=sentiment,
        language=language or detect_language(text),
        dialect=_one_of(record, "dialect", dict(zip(_DIALECTS, _DIALECTS, strict=True))),
        group=f"new {group or text_key(text)}",
        id=str(record.get("id") or ""),
    )


def _labels(record: Record) -> dict[str, int]:
    labels = {}
    for name in (*LABELS, *SIGNS):
        if (flag := _flag(record, name)) is not None:
            labels[name] = flag
    kinds = _kinds(record)
    if kinds and labels.get("threat") == 0:
        raise _LineError(
            "threat_kind", "|".join(kinds), "has a kind, but threat is no: correct one"
        )
    if kinds:
        labels["threat"] = 1
    if kinds or labels.get("threat") == 0:
        labels |= {kind: int(kind in kinds) for kind in THREAT_KINDS}
    return labels


def _flag(record: Record, name: str) -> int | None:
    value = _plain(_cell(record, name))
    if value in _UNKNOWN:
        return None
    if value not in _FLAGS:
        raise _LineError(name, value, f"is neither yes nor no: {_hint(value)}")
    return _FLAGS[value]


def _hint(value: str) -> str:
    """What to do about a value that is no flag."""
    try:
        is_share = 0 < float(value) < 1
    except ValueError:
        is_share = False
    if is_share:
        return "it looks like a model's probability; labels are 1 or 0, set by a person"
    return "write 1 or 0 (or true, false, yes, no, نعم, لا), or leave it empty where unknown"


def _cell(record: Record, name: str) -> object:
    value = record.get(name)
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else value


def _kinds(record: Record) -> list[str]:
    value = _cell(record, "threat_kind")
    parts = value if isinstance(value, list) else str(value).split("|")
    kinds = [kind for part in parts if (kind := _plain(part)) not in _UNKNOWN]
    for kind in kinds:
        if kind not in THREAT_KINDS:
            known = " | ".join(THREAT_KINDS)
            raise _LineError("threat_kind", kind, f"is no kind of threat: use {known}")
    return kinds


def _one_of(record: Record, name: str, words: dict[str, str]) -> str | None:
    value = _plain(_cell(record, name))
    if value in _UNKNOWN:
        return None
    if value not in words:
        raise _LineError(name, value, f"is none of {', '.join(words)}: use one, or leave it empty")
    return words[value]


def _json_lines(path: Path) -> Iterator[tuple[int, Record | str]]:
    for number, line in enumerate(decode(path.read_bytes()).split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield number, f"is not JSON ({error}): one object a line, as {{'text': …, 'abuse': 1}}"
            continue
        yield number, record if isinstance(record, dict) else "is no JSON object: write {…}"


def _csv(path: Path) -> Iterator[tuple[int, Record | str]]:
    """Comma, semicolon (Excel's in many countries), tab or bar: whichever the header has most of."""
    text = decode(path.read_bytes())
    first = text.lstrip("\n").split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    for line, cells in _records(reader):
        if isinstance(cells, str):
            yield line, cells
        elif not header:
            header = _header(path, cells)
        elif len(cells) != len(header):
            yield (
                line,
                f"has {len(cells)} cells, the header {len(header)}: quote text that has {delimiter!r}",
            )
        else:
            yield line, dict(zip(header, map(unguard, cells), strict=True))


def _records(reader: Any) -> Iterator[tuple[int, list[str] | str]]:
    """Each record that is not empty with the number of its first line."""
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, f'is no CSV ({error}): check its quotes; inside quoted text " is written ""'
            continue
        if any(cell.strip() for cell in cells):
            yield line, cells


def _header(path: Path, cells: list[str]) -> list[str]:
    """Raises LabelledError where two columns have one name."""
    names = [cell.strip() for cell in cells]
    if twice := next((name for name in names if name and names.count(name) > 1), None):
        raise LabelledError(f"{path} has two columns {twice!r}: remove or rename one")
    if "text" not in {_BY_HEADER.get(_header_key(name)) for name in names}:
        raise LabelledError(
            f"{path} has no column `text`; its first line has {', '.join(names)}: name the columns"
            " there"
        )
    return names


def _parquet(path: Path) -> Iterator[tuple[int, Record | str]]:
    yield from enumerate(pq.read_table(path).to_pylist(), 1)


_READERS: dict[str, Callable[[Path], Iterator[tuple[int, Record | str]]]] = {
    ".csv": _csv,
    ".tsv": _csv,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
}
