"""Chatwoot's conversations with their messages, or messages alone, as JSON or JSON lines.

The shapes are those of its API (https://developers.chatwoot.com/api-reference) and of its webhooks.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any, ClassVar

from serving.archives.helpdesk import (
    HelpDeskArchive,
    as_id,
    as_object,
    as_tags,
    as_text,
    as_time,
    begins_json,
    broken_row,
    message_row,
)
from serving.archives.row import Row

Contact = tuple[str | None, str | None]
"""Id and name."""

_MESSAGE = re.compile(r'"message_type"\s*:\s*(?:[0-3]\b|"(?:incoming|outgoing|activity|template)")')
_DESK = re.compile(r'"Channel::\w|"inbox_id"\s*:|"inbox"\s*:\s*\{')
_TYPES = {0: "incoming", 1: "outgoing", 2: "activity", 3: "template"}
_DIRECTIONS = {"incoming": "in", "outgoing": "out", "template": "out"}
_NOBODY: Contact = None, None
_CHANNELS = {
    "webwidget": "chat",
    "facebookpage": "messenger",
    "twiliosms": "sms",
    "instagram": "instagram",
    "twitterprofile": "twitter",
}
"""Where Chatwoot's name of a channel is not the usual one."""


def looks_like(head: str) -> bool:
    """Whether a text is JSON with Chatwoot's messages."""
    return begins_json(head) and bool(_MESSAGE.search(head) and _DESK.search(head))


class ChatwootArchive(HelpDeskArchive):
    """Conversations or messages, a row a message; the conversation is the ticket.

    The contact is the customer; where messages stand alone, the one who last wrote in their
    conversation. What Chatwoot wrote itself (activity, automatic templates) and deleted messages
    are kind system, private notes are kind note, messages of files alone are kind media: all silent.
    """

    format = "chatwoot"
    places: ClassVar[dict[tuple[str, str], str]] = {
        ("", "start_array"): "item",
        ("data.payload", "start_array"): "data.payload.item",
        ("payload", "start_array"): "payload.item",
        ("data", "start_array"): "data.item",
        ("conversations", "start_array"): "conversations.item",
        ("messages", "start_array"): "",
        ("message_type", "number"): "",
        ("message_type", "string"): "",
    }

    _last: tuple[str | None, Contact] = None, _NOBODY
    """Conversation and contact of the message before."""

    @property
    def understood(self) -> list[str]:
        return [*self._records.understood, "a row a message; the contact is the customer"]

    def rows(self) -> Iterator[Row]:
        reading = copy.copy(self)  # another may be under way, to count the rows
        reading._last = None, _NOBODY
        yield from super(ChatwootArchive, reading).rows()

    def read_record(self, record: dict[str, Any]) -> Iterator[Row]:
        if "message_type" in record:
            yield self._lone_row(record)
            return
        messages = record.get("messages")
        if not isinstance(messages, list) or as_id(record.get("id")) is None:
            yield broken_row(record, "no conversation of Chatwoot: it has no id or no messages")
            return
        about = _about(record)
        for message in messages:
            if isinstance(message, dict):
                yield _message_row(message, about)
            else:
                yield broken_row(message, f"a message of '{about['ticket_id']}' is no object")

    def _lone_row(self, message: dict[str, Any]) -> Row:
        """A message that stands alone: its conversation is within it, or only named."""
        conversation = as_object(message.get("conversation"))
        about = _about(conversation)
        ticket = as_id(message.get("conversation_id")) or about["ticket_id"]
        contact = _contact(conversation, message)
        if contact == _NOBODY and self._last[0] == ticket:
            contact = self._last[1]
        self._last = ticket, contact
        about |= {"ticket_id": ticket, "customer_id": contact[0], "customer_name": contact[1]}
        if about["channel"] is None:
            about["channel"] = _channel(message)
        return _message_row(message, about)


def _about(conversation: dict[str, Any]) -> dict[str, Any]:
    """The columns that are the same for all messages of a conversation."""
    attributes = as_object(conversation.get("additional_attributes"))
    contact, name = _contact(conversation)
    return {
        "ticket_id": as_id(conversation.get("id")),
        "customer_id": contact,
        "customer_name": name,
        "channel": _channel(conversation),
        "subject": attributes.get("mail_subject"),
        "status": conversation.get("status"),
        "priority": conversation.get("priority"),
        "tags": as_tags(conversation.get("labels")),
    }


def _contact(*records: dict[str, Any]) -> Contact:
    """The contact of a conversation, or of a message that the contact wrote; of several records the
    first that tells.
    """
    places = [place for record in records for place in _contacts(record)]
    ids = (as_id(place.get("id")) for place in places)
    names = (as_text(place.get("name")) for place in places)
    return next(filter(None, ids), None), next(filter(None, names), None)


def _contacts(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Where a record may tell who the contact is, the surest first."""
    yield as_object(as_object(record.get("meta")).get("sender"))
    yield as_object(record.get("contact"))
    yield {"id": as_object(record.get("contact_inbox")).get("contact_id")}
    yield {"id": record.get("contact_id")}
    sender = as_object(record.get("sender"))
    if sender.get("type") == "contact" or _type(record) == "incoming":
        yield sender


def _channel(record: dict[str, Any]) -> str | None:
    """`Channel::Whatsapp` as whatsapp."""
    inbox = as_object(record.get("inbox"))
    name = (
        as_text(record.get("channel"))
        or as_text(as_object(record.get("meta")).get("channel"))
        or as_text(inbox.get("channel_type"))
    )
    plain = name.removeprefix("Channel::").lower()
    return _CHANNELS.get(plain, plain) or None


def _type(message: dict[str, Any]) -> str | None:
    value = message.get("message_type")
    return (
        value if isinstance(value, str) else _TYPES.get(value) if isinstance(value, int) else None
    )


def _message_row(message: dict[str, Any], about: dict[str, Any]) -> Row:
    sender = as_object(message.get("sender"))
    direction = _DIRECTIONS.get(_type(message) or "")
    text, media = as_text(message.get("content")).strip(), _files(message)
    kind = _kind(message, has_words=bool(text), has_files=media is not None)
    fields = {
        "id": as_id(message.get("id")),
        "agent_id": as_id(sender.get("id")) if direction == "out" else None,
        "sent_at": as_time(message.get("created_at")),
        "direction": direction,
        "sender": sender.get("name"),
        "kind": kind,
        "text": text,
        "media": media,
    }
    return message_row(about | fields, silent=kind != "message")


def _kind(message: dict[str, Any], *, has_words: bool, has_files: bool) -> str:
    if message.get("private") is True:
        return "note"
    deleted = as_object(message.get("content_attributes")).get("deleted")
    if deleted or _type(message) in {"activity", "template"}:
        return "system"
    return "media" if has_files and not has_words else "message"


def _files(message: dict[str, Any]) -> str | None:
    attachments = message.get("attachments")
    if not isinstance(attachments, list):
        return None
    names = [
        as_object(one).get("data_url") or as_object(one).get("file_type") for one in attachments
    ]
    return "\n".join(str(name) for name in names if name) or None
