"""Chatwoot's conversations and messages: a row a message, nothing lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from serving.archives import zendesk
from serving.archives.chatwoot import ChatwootArchive, looks_like
from serving.archives.meaning import understand
from serving.archives.row import ArchiveError, ReadOptions, Row
from serving.archives.sources import FileSource

Json = dict[str, Any]
AT = 1710407100


def message(number: int, kind: Any, content: str | None, **fields: Any) -> Json:
    sender = {
        0: {"id": 71, "name": "سارة عادل", "type": "contact"},
        1: {"id": 5, "name": "Omar", "type": "user"},
    }
    return {
        "id": number,
        "content": content,
        "inbox_id": 3,
        "conversation_id": 12,
        "message_type": kind,
        "content_type": "text",
        "content_attributes": {},
        "created_at": AT + number,
        "private": False,
        "source_id": None,
        "sender": sender.get(kind, {}),
    } | fields


def conversation(number: int = 12, *messages: Json, **fields: Any) -> Json:
    return {
        "meta": {
            "sender": {"id": 71, "name": "سارة عادل", "phone_number": "+966550100199"},
            "channel": "Channel::Whatsapp",
            "assignee": {"id": 5, "name": "Omar"},
        },
        "id": number,
        "messages": list(messages),
        "account_id": 1,
        "inbox_id": 3,
        "labels": ["late", "vip"],
        "status": "resolved",
        "priority": "urgent",
        "created_at": AT,
    } | fields


ASKED = message(1, 0, "وين طلبي؟")
ANSWERED = message(2, 1, "we are looking into it")


def archive(tmp_path: Path, text: str) -> ChatwootArchive:
    path = tmp_path / "conversations.json"
    path.write_text(text)
    return ChatwootArchive(FileSource(str(path), path, 2**40), "utf-8", ReadOptions())


def rows(tmp_path: Path, *records: Any) -> list[Row]:
    return list(archive(tmp_path, "\n".join(map(json.dumps, records))).rows())


def test_a_message_is_a_row_of_its_conversation(tmp_path: Path) -> None:
    asked, answered = rows(tmp_path, conversation(12, ASKED, ANSWERED))
    assert asked == Row(
        {
            "id": "1",
            "ticket_id": "12",
            "customer_id": "71",
            "customer_name": "سارة عادل",
            "agent_id": None,
            "sent_at": "2024-03-14T09:05:01Z",
            "direction": "in",
            "channel": "whatsapp",
            "sender": "سارة عادل",
            "kind": "message",
            "text": "وين طلبي؟",
            "media": None,
            "subject": None,
            "status": "resolved",
            "priority": "urgent",
            "tags": "late|vip",
            "satisfaction": None,
        }
    )
    assert (answered.fields["direction"], answered.fields["agent_id"]) == ("out", "5")
    assert answered.fields["customer_id"] == "71"


SHAPES = {
    "lines": lambda found: "\n".join(map(json.dumps, found)) + "\n",
    "array": lambda found: json.dumps(found, indent=2),
    "list of the API": lambda found: json.dumps(
        {"data": {"meta": {"all_count": 2}, "payload": found}}
    ),
    "payload": lambda found: json.dumps({"meta": {"count": 2}, "payload": found}),
    "one after another": lambda found: "\n".join(json.dumps(one, indent=1) for one in found),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_export_reads_the_same(shape: str, tmp_path: Path) -> None:
    text = SHAPES[shape]([conversation(12, ASKED, ANSWERED), conversation(13, ASKED)])
    assert looks_like(text)
    assert not zendesk.looks_like(text)
    found = list(archive(tmp_path, text).rows())
    assert [row.fields["ticket_id"] for row in found] == ["12", "12", "13"]
    assert [row.fields["customer_id"] for row in found] == ["71"] * 3
    assert found == list(archive(tmp_path, text).rows())


@pytest.mark.parametrize("shape", ["lines", "array", "payload", "one after another"])
def test_messages_alone_are_read_with_the_contact_of_their_conversation(
    shape: str, tmp_path: Path
) -> None:
    other = message(4, 1, "hello", conversation_id=13)
    text = SHAPES[shape]([ASKED, ANSWERED, other])
    assert looks_like(text)
    found = list(archive(tmp_path, text).rows())
    assert [row.fields["ticket_id"] for row in found] == ["12", "12", "13"]
    assert [row.fields["customer_id"] for row in found] == ["71", "71", None]
    assert [row.fields["customer_name"] for row in found] == ["سارة عادل", "سارة عادل", None]
    assert [row.fields["direction"] for row in found] == ["in", "out", "out"]


def test_two_readings_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    lone = [message(n, n % 2, "x", conversation_id=n // 2) for n in range(40)]
    for one in lone[1::2]:
        del one["sender"]
    found = archive(tmp_path, "\n".join(map(json.dumps, lone)))
    alone = list(found.rows())
    first, second = found.rows(), found.rows()
    together = []
    for row in first:
        together.append(row)
        next(second, None)
        next(second, None)
    assert together == alone


def test_the_events_of_webhooks_are_messages(tmp_path: Path) -> None:
    event = message(
        1,
        "outgoing",
        "hello",
        event="message_created",
        created_at="2024-03-14T09:05:01.000Z",
        conversation=conversation(12) | {"channel": "Channel::WebWidget"},
    )
    del event["conversation_id"]
    (row,) = rows(tmp_path, event)
    fields = row.fields
    assert (fields["ticket_id"], fields["customer_id"], fields["channel"]) == ("12", "71", "chat")
    assert (fields["direction"], fields["sent_at"]) == ("out", "2024-03-14T09:05:01.000Z")


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (message(1, 2, "Omar resolved the conversation"), "system"),
        (message(1, 3, "We reply within a day"), "system"),
        (message(1, 0, "This message was deleted", content_attributes={"deleted": True}), "system"),
        (message(1, 1, "he is rude again", private=True), "note"),
        (message(1, 0, None, attachments=[{"file_type": "image", "data_url": "a/b.jpg"}]), "media"),
    ],
)
def test_what_is_no_message_is_silent(given: Json, kind: str, tmp_path: Path) -> None:
    (row,) = rows(tmp_path, conversation(12, given))
    assert (row.silent, row.fields["kind"]) == (True, kind)
    assert row.fields["text"] == (given["content"] or "")


def test_a_caption_is_a_message(tmp_path: Path) -> None:
    given = message(1, 0, "مكسور", attachments=[{"file_type": "image", "data_url": "a/b.jpg"}])
    (row,) = rows(tmp_path, conversation(12, given))
    assert (row.silent, row.fields["text"], row.fields["media"]) == (False, "مكسور", "a/b.jpg")


def test_broken_records_are_error_rows_with_all_that_was_there(tmp_path: Path) -> None:
    lines = [
        json.dumps(conversation(12, ASKED)),
        '{"id": 13, "mess',
        json.dumps({"id": 14, "status": "open"}),
        json.dumps(conversation(15) | {"messages": ["hi", ASKED]}),
    ]
    found = list(archive(tmp_path, "\n".join(lines)).rows())
    assert [row.fields.get("ticket_id") for row in found if not row.error] == ["12", "15"]
    assert [row.fields["raw"] for row in found if row.error] == [lines[1], lines[2], '"hi"']


def test_times_that_are_none_are_left_out(tmp_path: Path) -> None:
    values: list[Any] = [None, {}, 1e300]
    for wrong in values:
        (row,) = rows(tmp_path, conversation(12, message(1, 0, "hello", created_at=wrong)))
        assert row.fields["sent_at"] is None


def test_the_columns_are_understood(tmp_path: Path) -> None:
    read = archive(tmp_path, json.dumps([conversation(12, ASKED, ANSWERED)]))
    meaning = understand([read], ReadOptions())[0]
    found = meaning.message(next(iter(read.rows())))
    assert found is not None and not isinstance(found, str)
    assert (found.text, found.id, found.customer, found.at) == ("وين طلبي؟", "1", "71", AT + 1)
    assert (found.direction, found.channel, found.ticket) == ("in", "whatsapp", "12")
    assert found.name == "سارة عادل"


@pytest.mark.parametrize(
    "text",
    [
        '{"text": "hello", "message_type": "incoming"}\n',
        '{"content": "hello", "inbox_id": 3}\n',
        'id,"message_type": 0,"inbox_id":\n',
        "",
    ],
)
def test_other_files_are_not_taken_for_chatwoots(text: str) -> None:
    assert not looks_like(text)


def test_a_file_of_another_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="no export of Chatwoot"):
        list(archive(tmp_path, '{"text": "hello"}\n').rows())
