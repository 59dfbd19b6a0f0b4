"""From what a caller sent to texts fit to score, item by item; the same for HTTP and command line."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from model import Verdict
from serving.errors import Code, error_body

_SURROGATES = re.compile("[\ud800-\udfff]")

Answer = dict[str, Any]


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON value")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def parse_json(raw: bytes | bytearray) -> Any:
    """What the bytes say; a byte order mark is allowed.

    Raises:
        ValueError: they are not JSON in UTF-8. NaN and Infinity, which Python would read, are not.
    """
    try:
        return _DECODER.decode(raw.decode("utf-8-sig"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def replace_surrogates(text: str) -> str:
    """Replace lone surrogates, which no encoding can carry, by U+FFFD."""
    return _SURROGATES.sub("\ufffd", text)


@dataclass(frozen=True)
class Item:
    """One message of a request: its id, and its text or what is wrong with it."""

    id: str | int | None
    text: str = ""
    error: Answer | None = None

    def answer(self, verdict: Verdict | None) -> Answer:
        if self.error or verdict is None:
            return {"id": self.id, "error": self.error}
        return {"id": self.id, **verdict.as_dict()}


def read_item(raw: Any, most_characters: int) -> Item:
    """Check one message; never raises."""
    if not isinstance(raw, dict):
        return _bad(None, Code.INVALID_REQUEST, 'a message is an object: {"id", "text"}')
    identity = raw.get("id")
    if isinstance(identity, bool) or not isinstance(identity, (str, int, type(None))):
        return _bad(None, Code.INVALID_REQUEST, "the id must be a string or an integer")
    if isinstance(identity, str):
        identity = replace_surrogates(identity)
    if raw.get("text") is None:
        return _bad(identity, Code.TEXT_MISSING, 'the message has no "text"')
    text = raw["text"]
    if not isinstance(text, str):
        return _bad(identity, Code.TEXT_NOT_STRING, 'the "text" must be a string')
    if len(text) > most_characters:
        message = f"the text has {len(text):,} characters, at most {most_characters:,} are read"
        return _bad(identity, Code.TEXT_TOO_LONG, message)
    return Item(identity, replace_surrogates(text))


def _bad(identity: str | int | None, code: Code, message: str) -> Item:
    return Item(identity, error=error_body(code, message))


def good_texts(items: Sequence[Item]) -> list[str]:
    return [item.text for item in items if item.error is None]


def answers(items: Sequence[Item], verdicts: Sequence[Verdict]) -> list[Answer]:
    """One answer an item, in place; `verdicts` are those of `good_texts(items)`."""
    left = iter(verdicts)
    return [item.answer(None if item.error else next(left)) for item in items]
