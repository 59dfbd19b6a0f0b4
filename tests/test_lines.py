"""JSON lines in, one record a line out: in order, with the input's fields, and none lost."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import Classifier
from serving.lines import classify_lines
from tests.helpers import FakeScorer, Json

_VERDICT_FIELDS = {
    "language",
    "script",
    "scores",
    "labels",
    "threat_kind",
    "sentiment",
    "signs",
    "needs_review",
    "truncated",
    "model",
}


def strict(text: str) -> Any:
    """JSON as the standard has it; Python's own reader lets NaN pass."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def classify(source: bytes, most: int = 100) -> tuple[list[Any], int]:
    """The records written for these lines, and the number of errors told."""
    target = io.BytesIO()
    lines, errors = classify_lines(io.BytesIO(source), target, FakeScorer(), most)
    written = target.getvalue().decode("utf-8")
    assert written == "" or written.endswith("\n")
    records = [strict(line) for line in written.split("\n")[:-1]]
    assert lines == len(records)
    assert errors == sum("error" in record for record in records)
    return records, errors


def one(source: bytes) -> Json:
    records, _ = classify(source)
    assert len(records) == 1
    record: Json = records[0]
    return record


def test_a_verdict_a_line_in_order() -> None:
    records, errors = classify(
        b"".join(b'{"id": %d, "text": "%s"}\n' % (i, b"a" * (i % 90)) for i in range(3000))
    )
    assert errors == 0
    assert [r["id"] for r in records] == list(range(3000))
    assert [r["scores"]["abuse"] for r in records] == [(i % 90) / 100 for i in range(3000)]
    assert set(records[0]) == {"id", "text"} | _VERDICT_FIELDS


def test_the_verdict_is_the_classifiers(classifier: Classifier) -> None:
    target = io.BytesIO()
    classify_lines(io.BytesIO('{"text": "حرامية z"}'.encode()), target, classifier, 100)
    record = json.loads(target.getvalue())
    expected = classifier.score(["حرامية z"])[0].as_dict()
    assert record == {"id": None, "text": "حرامية z"} | expected


def test_no_input_no_output() -> None:
    assert classify(b"") == ([], 0)


def test_the_last_line_needs_no_end() -> None:
    assert [r["id"] for r in classify(b'{"id":1,"text":"a"}\n{"id":2,"text":"b"}')[0]] == [1, 2]


def test_windows_line_ends() -> None:
    assert [r["id"] for r in classify(b'{"id":1,"text":"a"}\r\n{"id":2,"text":"b"}\r\n')[0]] == [
        1,
        2,
    ]


def test_a_line_longer_than_a_read() -> None:
    line = json.dumps({"id": 1, "text": "a", "note": "b" * 500_000}).encode()
    records, _ = classify(line + b'\n{"id": 2, "text": "c"}\n')
    assert [r["id"] for r in records] == [1, 2]
    assert len(records[0]["note"]) == 500_000


def test_input_fields_are_kept() -> None:
    fields = {"ticket": 17, "at": None, "tags": ["a", {"b": 1.5}], "اسم": "علي", "big": 2**70}
    record = one(json.dumps({"text": "abc"} | fields).encode())
    assert {k: v for k, v in record.items() if k in fields} == fields
    assert record["text"] == "abc"


def test_clashing_fields_are_kept_under_another_name() -> None:
    source = {"text": "abc", "labels": ["mine"], "model": "theirs", "error": None}
    record = one(json.dumps(source).encode())
    assert record["labels"] == []
    assert record["model"] == "fake"
    assert "error" not in record
    assert record["input_labels"] == ["mine"]
    assert record["input_model"] == "theirs"
    assert record["input_error"] is None


@pytest.mark.parametrize("names", [("model", "input_model"), ("input_model", "model")])
def test_a_field_that_has_the_other_name_already_is_kept_too(names: tuple[str, str]) -> None:
    record = one(json.dumps({"text": "a"} | {name: f"my {name}" for name in names}).encode())
    assert record["model"] == "fake"
    assert record["input_model"] == "my input_model"
    assert record["input_input_model"] == "my model"


def test_clashing_fields_of_a_bad_line_have_the_same_names() -> None:
    record = one(b'{"id": 1, "labels": ["mine"], "error": "old"}')
    assert record["error"]["code"] == "text_missing"
    assert record["input_labels"] == ["mine"]
    assert record["input_error"] == "old"
    assert "labels" not in record


def test_an_id_that_cannot_come_back_is_kept_beside() -> None:
    record = one(b'{"id": 1.5, "text": "a"}')
    assert record["id"] is None
    assert record["error"]["code"] == "invalid_request"
    assert record["input_id"] == 1.5


@pytest.mark.parametrize(
    ("line", "content", "reason"),
    [
        (b"", "", "line 2: the line is empty"),
        (b"  \t", "  \t", "line 2: the line is empty"),
        (b"{", "{", "line 2: the line is not JSON such as "),
        (b"hello", "hello", "line 2: the line is not JSON such as "),
        (b'{"text": "a"} b', '{"text": "a"} b', "line 2: the line is not JSON such as "),
        (b'{"text": "\xff"}', '{"text": "\ufffd"}', "line 2: the line is not JSON such as "),
        (b'{"text": "a", "n": NaN}', '{"text": "a", "n": NaN}', "NaN is not a JSON value"),
        (b'{"text": "a", "n": 1e999}', '{"text": "a", "n": 1e999}', "line is not JSON such as "),
        (b"[" * 5000, "[" * 5000, "line 2: the line is not JSON such as "),
        (b'"hello"', '"hello"', "line 2: the line is not an object"),
        (b"[1]", "[1]", "line 2: the line is not an object"),
        (b"null", "null", "line 2: the line is not an object"),
        (b"\x00", "\x00", "line 2: the line is not JSON such as "),
    ],
)
def test_a_broken_line_is_an_error_in_its_place(line: bytes, content: str, reason: str) -> None:
    records, errors = classify(b'{"id": 1, "text": "a"}\n' + line + b'\n{"id": 3, "text": "b"}\n')
    first, broken, last = records
    assert (first["id"], last["id"], errors) == (1, 3, 1)
    assert set(broken) == {"id", "error", "line"}
    assert broken["id"] is None
    assert broken["error"]["code"] == "invalid_json"
    assert reason in broken["error"]["message"]
    assert broken["line"] == content


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b'{"id": "x", "note": "n"}', "text_missing"),
        (b'{"id": "x", "note": "n", "text": null}', "text_missing"),
        (b'{"id": "x", "note": "n", "text": 3}', "text_not_string"),
        (b'{"id": "x", "note": "n", "text": "%s"}' % (b"a" * 101), "text_too_long"),
    ],
)
def test_a_line_without_a_good_text_keeps_its_fields(line: bytes, code: str) -> None:
    record = one(line)
    assert (record["id"], record["note"], record["error"]["code"]) == ("x", "n", code)
    assert record.get("text") == json.loads(line).get("text")


def test_the_deepest_line_that_can_be_read_is_written_or_an_error() -> None:
    lines = [b'{"text": "a", "n": %s}' % (b"[" * n + b"]" * n) for n in range(850, 1010, 3)]
    records, errors = classify(b"\n".join(lines))
    assert len(records) == len(lines)
    assert 0 < errors < len(lines)


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    assert one(b'\xef\xbb\xbf{"id": 1, "text": "a"}')["id"] == 1


def test_surrogates_are_replaced() -> None:
    record = one(b'{"text": "a\\ud800", "note\\udfff": "\\ud83d"}')
    assert record["note\ufffd"] == "\ufffd"
    assert record["text"] == "a\ufffd"
    assert one(b'{"text": "\\ud83d\\ude00"}')["text"] == "😀"


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
_names = st.sampled_from(["id", "text", "error", "model", "input_model", "line", "x"]) | st.text()
_lines = st.lists(
    st.dictionaries(_names, _json, max_size=4).map(lambda r: json.dumps(r).encode())
    | st.binary().map(lambda raw: raw.replace(b"\n", b""))
    | _json.map(lambda value: json.dumps(value).encode()),
    max_size=6,
)


@given(_lines, st.booleans())
def test_every_line_has_its_record_and_no_value_is_lost(lines: list[bytes], ended: bool) -> None:
    source = b"\n".join(lines) + (b"\n" if ended else b"")
    records, _ = classify(source)
    assert len(records) == len(io.BytesIO(source).readlines())
    for raw, record in zip(lines, records, strict=False):
        try:
            given_record = json.loads(raw)
        except ValueError:
            continue
        if isinstance(given_record, dict):
            written = [json.dumps(value) for value in record.values()]
            assert all(json.dumps(value) in written for value in given_record.values())


class _Slow(io.RawIOBase):
    """A pipe that gives one part at a time, and says what had been written when it was asked."""

    def __init__(self, parts: list[bytes], target: io.BytesIO) -> None:
        self._parts = iter(parts)
        self._target = target
        self.answered: list[int] = []

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.answered.append(self._target.getvalue().count(b"\n"))
        part = next(self._parts, b"")
        buffer[: len(part)] = part
        return len(part)


def test_a_slow_pipe_is_answered_line_by_line() -> None:
    target = io.BytesIO()
    line = b'{"text": "a"}\n'
    source = _Slow([line, line + line, b'{"te', b'xt": "a"}', b"\n"], target)
    classify_lines(io.BufferedReader(source), target, FakeScorer(), 100)
    assert source.answered == [0, 1, 3, 3, 3, 4]


def test_a_failing_source_is_told_after_what_came_before() -> None:
    class Torn(_Slow):
        def readinto(self, buffer: Any) -> int:
            count = super().readinto(buffer)
            if not count:
                raise OSError("the disk is gone")
            return count

    target = io.BytesIO()
    source = Torn([b'{"text": "a"}\n'], target)
    with pytest.raises(OSError, match="the disk is gone"):
        classify_lines(io.BufferedReader(source), target, FakeScorer(), 100)
    assert target.getvalue().count(b"\n") == 1
