"""`brandtox classify`: JSON lines in, one record a line out, in order; no line is ever lost."""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import IO, Any

from serving.batcher import Scorer
from serving.errors import Code, error_body
from serving.messages import Item, answers, good_texts, parse_json, read_item, replace_surrogates
from serving.openapi import BadItem, VerdictAnswer

_ROUND_BYTES = 2**17
"""About 500 lines of Arabic: enough for full batches, and a reader sees progress."""

_SUCH_AS = 'such as {"text": "…"}'
_ANSWER_FIELDS = frozenset({*VerdictAnswer.model_fields, *BadItem.model_fields})


@dataclass(frozen=True)
class Line:
    """One input line: the message, and the fields that are kept beside its verdict."""

    item: Item
    kept: dict[str, Any]


def classify_lines(
    source: io.BufferedIOBase, target: IO[bytes], classifier: Scorer, most_characters: int
) -> tuple[int, int]:
    """Score JSON lines as they come; how many lines and how many errors there were."""
    lines = errors = 0
    for chunk in _rounds(source):
        parsed = [
            read_line(raw, number, most_characters) for number, raw in enumerate(chunk, lines + 1)
        ]
        items = [line.item for line in parsed]
        verdicts = classifier.score(good_texts(items))
        for line, answer in zip(parsed, answers(items, verdicts), strict=True):
            record = {"id": answer["id"]} | line.kept | answer
            target.write(replace_surrogates(_to_json(record)).encode() + b"\n")
        target.flush()
        lines += len(chunk)
        errors += sum(item.error is not None for item in items)
    return lines, errors


def read_line(raw: bytes, number: int, most_characters: int) -> Line:
    """Parse one line; what is wrong with it becomes the item's error, its content is kept."""
    try:
        record = parse_json(raw)
        _to_json(record)  # 1e999 and the deepest nests can be read but not written
    except (ValueError, RecursionError) as error:
        reason = f"the line is not JSON {_SUCH_AS}: {error}" if raw.strip() else "the line is empty"
        return _broken(raw, number, reason)
    if not isinstance(record, dict):
        return _broken(raw, number, f"the line is not an object {_SUCH_AS}")
    item = read_item(record, most_characters)
    if item.id == record.get("id"):
        record.pop("id", None)
    return Line(item, keep_fields(record))


def _to_json(record: Any) -> str:
    return json.dumps(record, ensure_ascii=False, allow_nan=False)


def _broken(raw: bytes, number: int, reason: str) -> Line:
    content = raw.decode("utf-8", "replace").rstrip("\r\n")
    item = Item(None, error=error_body(Code.INVALID_JSON, f"line {number}: {reason}"))
    return Line(item, {"line": content})


def keep_fields(record: dict[str, Any]) -> dict[str, Any]:
    """The fields of an input; one that has the name `x` of an answer's field becomes `input_x`."""
    kept: dict[str, Any] = {}
    for name, value in record.items():
        kept[_free_name(name, record) if name in _ANSWER_FIELDS else name] = value
    return kept


def _free_name(name: str, taken: Collection[str]) -> str:
    while name in taken:
        name = "input_" + name
    return name


def _rounds(source: io.BufferedIOBase) -> Iterator[list[bytes]]:
    """Lines in rounds of what has come so far, so that a slow pipe is answered line by line."""
    begun: list[bytes] = []
    while block := source.read1(_ROUND_BYTES):
        ended, newline, rest = block.rpartition(b"\n")
        if newline:
            yield b"".join([*begun, ended]).split(b"\n")
            begun = []
        begun.append(rest)
    if last := b"".join(begun):
        yield [last]
