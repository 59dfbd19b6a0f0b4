"""JSON lines, and JSON with an array of records; values stay as they are, numbers as int or float."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, TextIO

import ijson
import msgspec

from serving.archives.encodings import encoding_name, open_text, replaced
from serving.archives.row import ReadOptions, Row, Source
from serving.messages import replace_surrogates

_LONGEST_LINE = 2**26
_CHARACTERS_SEARCHED = 2**26
_RAW_AT_BREAK = 2000
_CONSTANTS = {"NaN": "null", "Infinity": '"Infinity"', "-Infinity": '"-Infinity"'}
_ESCAPED = re.compile(r"\\.", re.DOTALL)
_SIGNS = re.compile(r'\\.|"|-?Infinity|NaN', re.DOTALL)
_UNFINISHED = tuple("\\-INanfit")
"""What an escape or a constant may have at the end of a block that cuts it."""


class JsonLinesArchive:
    """One record a line; a line that is none becomes an error row."""

    format = "jsonl"
    columns = None
    schema = None

    def __init__(self, source: Source, encoding: str, _: ReadOptions) -> None:
        self.source, self._encoding = source, encoding
        self._replaced = 0

    @property
    def understood(self) -> list[str]:
        """See `Archive`; after reading, also how many bytes were wrong."""
        return [encoding_name(self._encoding), *replaced(self._replaced)]

    def rows(self) -> Iterator[Row]:
        """See `Archive.rows`."""
        self._replaced = 0
        with open_text(self.source, self._encoding, newline="\n") as text:
            number = 0
            while line := text.readline(_LONGEST_LINE):
                number += 1
                if not line.isspace():
                    self._replaced += line.count("\ufffd")
                    yield _read_line(line, number)


def _read_line(line: str, number: int) -> Row:
    try:
        record = read_json(line)
    except (ValueError, RecursionError) as error:
        return Row({"raw": line.rstrip("\r\n")}, f"line {number:,} is not JSON: {error}")
    if not isinstance(record, dict):
        return Row({"raw": line.rstrip("\r\n")}, f"line {number:,} is no JSON object")
    return Row(record)


def read_json(text: str) -> Any:
    """A JSON value. NaN, which is no JSON but often written, is null; numbers beyond a float, and
    infinities, are kept as text; lone surrogates are replaced.

    Raises:
        ValueError: it is not JSON.
        RecursionError: it is nested too deeply.
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        value = json.loads(text, parse_constant=_constant, parse_float=_float)
        clean = replace_surrogates(json.dumps(value, ensure_ascii=False))
        return json.loads(clean)


def _constant(name: str) -> str | None:
    return None if name == "NaN" else name


def _float(digits: str | Decimal) -> float | str:
    number = float(digits)
    return number if math.isfinite(number) else str(digits)


class JsonArchive:
    """An array of records, or an object with one: the longest is read. Without any, the object is
    the one record.
    """

    format = "json"
    columns = None
    schema = None

    def __init__(
        self, source: Source, encoding: str, _: ReadOptions, prefix: str | None = None
    ) -> None:
        """Find the array in the first 64 MiB, unless `prefix` (as ijson writes it) tells where it is."""
        self.source, self._encoding = source, encoding
        self._replaced = 0
        self._others: dict[str, int] = {}
        if prefix is not None:
            self._prefix = prefix
            return
        with open_text(source, encoding) as text:
            counts = _count_records(Utf8(text, _CHARACTERS_SEARCHED))
        self._prefix = max(counts, key=lambda prefix: counts[prefix], default="")
        self._others = {prefix: n for prefix, n in counts.items() if prefix != self._prefix}

    @property
    def understood(self) -> list[str]:
        """See `Archive`; after reading, also how many bytes were wrong."""
        return [
            encoding_name(self._encoding),
            *([f"records in {_place(self._prefix)}"] if "." in self._prefix else []),
            *(f"{n:,} records in {_place(other)} left out" for other, n in self._others.items()),
            *replaced(self._replaced),
        ]

    def rows(self) -> Iterator[Row]:
        """See `Archive.rows`. Where the file breaks off, an error row ends it."""
        with open_text(self.source, self._encoding) as text:
            stream = Utf8(text)
            number = 0
            try:
                for number, record in enumerate(_items(stream, self._prefix), 1):
                    yield _read_record(record, number)
            except ijson.JSONError as error:
                reason = str(error).partition("\n")[0]
                yield Row(
                    {"raw": stream.tail},
                    f"the file is no JSON after record {number:,} ({reason}): what follows is not"
                    " read; raw has what stands there",
                )
            self._replaced = stream.replaced


def _items(stream: Utf8, prefix: str) -> Iterator[Any]:
    return iter(ijson.items(stream, prefix, multiple_values=True))


def _count_records(stream: Utf8) -> dict[str, int]:
    """The number of objects in each array that is in no other array, by ijson's prefix."""
    counts: Counter[str] = Counter()
    inside: str | None = None
    try:
        for prefix, event, _ in ijson.parse(stream, multiple_values=True):
            if (prefix, event) == ("", "start_array"):
                return {"item": 1}
            if event == "start_array" and inside is None:
                inside = prefix
            elif event == "start_map" and prefix == f"{inside}.item":
                counts[prefix] += 1
            elif event == "end_array" and prefix == inside:
                inside = None
    except ijson.JSONError:
        pass  # cut at the end of the search, or broken: reading tells
    return counts


def _place(prefix: str) -> str:
    return f'"{prefix.removesuffix(".item")}"'


def _read_record(record: Any, number: int) -> Row:
    value = _plain(record)
    if isinstance(value, dict):
        return Row(value)
    raw = json.dumps(value, ensure_ascii=False)
    return Row({"raw": raw}, f"record {number:,} is no JSON object")


def _plain(value: Any) -> Any:
    """The value with floats for the decimals that ijson reads."""
    if isinstance(value, Decimal):
        return _float(value)
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value


class Utf8:
    """A text as the UTF-8 bytes that ijson reads, NaN and infinities as `read_json` has them;
    remembers the end of what was read.
    """

    def __init__(self, text: TextIO, most: int | None = None) -> None:
        self._text, self._left = text, most
        self._in_string = False
        self.tail = ""
        self.replaced = 0

    def read(self, size: int) -> bytes:
        if self._left is not None:
            size = min(size, self._left)
            self._left -= size
        block = self._text.read(size)
        while block.endswith(_UNFINISHED) and (more := self._text.read(1)):
            block += more
        self.tail = (self.tail + block)[-_RAW_AT_BREAK:]
        self.replaced += block.count("\ufffd")
        return self._without_constants(block).encode("utf-8", "replace")

    def _without_constants(self, block: str) -> str:
        if "NaN" in block or "Infinity" in block:
            return _SIGNS.sub(self._replace, block)
        self._in_string ^= _ESCAPED.sub("", block).count('"') % 2 == 1
        return block

    def _replace(self, sign: re.Match[str]) -> str:
        if sign[0] == '"':
            self._in_string = not self._in_string
        return sign[0] if self._in_string else _CONSTANTS.get(sign[0], sign[0])
