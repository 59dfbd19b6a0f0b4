"""Every kind of error that a row can have is told in Arabic, too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from serving.archives.failures import in_arabic
from serving.archives.gathering import kind_of
from serving.archives.meaning import understand
from serving.archives.pipeline import Reading, read_chunks
from serving.archives.row import ReadOptions
from tests.archives.files import open_file

_ZENDESK = (
    '{"id": 7, "requester": {"id": 1}, "comments": [{"id": 1, "body": "hello", "author_id": 1}, 5]}'
)
_CHATWOOT = '{"id": 7, "messages": [{"content": "hello", "message_type": 0}, 5]}'
_BROKEN = {
    "empty": ("csv", "text,id\nhello,1\n,2\n", "فارغ"),
    "long": ("csv", f"text,id\nhello,1\n{'a' * 60},2\n", "أطول"),
    "uneven": ("csv", "text,id\nhello,1\nhello,2\nhello,3,4\n", "الخانات"),
    "line": ("jsonl", '{"text": "hello"}\n{"text": \n', "ليس JSON"),
    "no object": ("jsonl", '{"text": "hello"}\n[1]\n', "السطر ليس كائن"),
    "record": ("json", '[{"text": "hello"}, 5]', "السجل ليس كائن"),
    "broken off": ("json", '[{"text": "hello"}, {"text"', "الملف ليس JSON"),
    "conversation": ("chatwoot", _CHATWOOT + '\n{"id": 8}', "ليست محادثة"),
    "message": ("chatwoot", _CHATWOOT, "رسالة في المحادثة"),
    "ticket": ("zendesk", _ZENDESK + '\n{"comments": []}', "ليست تذكرة"),
    "comment": ("zendesk", _ZENDESK, "تعليق في التذكرة"),
    "chat": ("whatsapp", "over\n[01/02/2024, 10:00:00] A: hello\n", "نص قبل أول رسالة"),
}


def errors_of(path: Path, format_: str) -> list[str]:
    options = ReadOptions(format=format_)
    archive = open_file(path, format=format_)
    readings = [Reading(archive, *understand([archive], options))]
    chunks = read_chunks(readings, done=0, most_characters=50)
    return [
        e.error for chunk in chunks if not isinstance(chunk, int) for e in chunk.entries if e.error
    ]


@pytest.mark.parametrize("kind", _BROKEN)
def test_errors_of_rows_are_told_in_arabic(kind: str, tmp_path: Path) -> None:
    format_, content, says = _BROKEN[kind]
    path = tmp_path / "archive"
    path.write_text(content, encoding="utf-8")
    errors = errors_of(path, format_)
    told = [in_arabic(kind_of(error)) for error in errors]
    assert any(says in sentence for sentence in told), errors
    assert all(re.search("[\u0600-\u06ff]", sentence) for sentence in told), errors


def test_an_unknown_error_stays_as_it_is() -> None:
    assert in_arabic("the sky has fallen") == "the sky has fallen"
