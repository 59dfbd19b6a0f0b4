"""Zendesk's exports of tickets with their comments, as JSON or JSON lines.

The shapes are those of the account's full JSON export (a ticket a line), of the incremental ticket
export, and of the ticket API (https://developer.zendesk.com/api-reference/ticketing/). Zendesk's CSV
of tickets is a table like any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
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

_REQUESTER = re.compile(r'"requester(?:_id)?"\s*:')
_TEXTS = re.compile(r'"(?:comments|description)"\s*:')
_TICKET = re.compile(r'"(?:via|submitter_id|raw_subject|satisfaction_rating)"\s*:')
_BLOCKS = frozenset({"p", "div", "br", "li", "tr", "blockquote", "h1", "h2", "h3", "h4", "pre"})
_UNSEEN = frozenset({"style", "script", "head", "title"})
_SYSTEM_AUTHOR = "-1"


def looks_like(head: str) -> bool:
    """Whether a text is JSON with Zendesk's tickets."""
    return begins_json(head) and all(mark.search(head) for mark in (_REQUESTER, _TEXTS, _TICKET))


class ZendeskArchive(HelpDeskArchive):
    """Tickets, a row a comment; the description, which is the first comment, where there are none.

    The requester is the customer. A comment by anyone else is the company's, unless the export tells
    that its author is an end user. Private notes are kind note, silent; comments that are only files
    are kind media, silent. Quoted mail stays in the text.
    """

    format = "zendesk"
    places: ClassVar[dict[tuple[str, str], str]] = {
        ("", "start_array"): "item",
        ("tickets", "start_array"): "tickets.item",
        ("results", "start_array"): "results.item",
        ("ticket", "start_map"): "",
        ("requester_id", "number"): "",
        ("requester_id", "string"): "",
        ("requester", "start_map"): "",
        ("comments", "start_array"): "",
    }

    @property
    def understood(self) -> list[str]:
        return [
            *self._records.understood,
            "a row a comment; the requester is the customer, other authors are the company",
        ]

    def read_record(self, record: dict[str, Any]) -> Iterator[Row]:
        ticket = as_object(record.get("ticket")) or record
        comments = ticket.get("comments") or []
        if not isinstance(comments, list) or as_id(ticket.get("id")) is None:
            yield broken_row(
                record, "no ticket of Zendesk: it has no id, or its comments are no list"
            )
            return
        about = _about(ticket)
        for comment in comments:
            if isinstance(comment, dict):
                yield _comment_row(comment, about)
            else:
                yield broken_row(
                    comment, f"a comment of ticket '{about['ticket_id']}' is no object"
                )
        if not comments:
            yield _description_row(ticket, about)


def _about(ticket: dict[str, Any]) -> dict[str, Any]:
    """The columns that are the same for all comments of a ticket."""
    return {
        "ticket_id": as_id(ticket["id"]),
        "customer_id": _person(ticket, "requester"),
        "customer_name": as_text(as_object(ticket.get("requester")).get("name")) or None,
        "channel": _channel(ticket),
        "subject": ticket.get("subject"),
        "status": ticket.get("status"),
        "priority": ticket.get("priority"),
        "tags": as_tags(ticket.get("tags")),
        "satisfaction": as_object(ticket.get("satisfaction_rating")).get("score"),
    }


def _person(record: dict[str, Any], role: str) -> str | None:
    """The id of a person who is given by id, or as an object."""
    return as_id(record.get(f"{role}_id")) or as_id(as_object(record.get(role)).get("id"))


def _channel(record: dict[str, Any]) -> str | None:
    via = record.get("via")
    return as_text(via) or as_id(as_object(via).get("channel"))


def _comment_row(comment: dict[str, Any], about: dict[str, Any]) -> Row:
    author, person = _person(comment, "author"), as_object(comment.get("author"))
    is_requester = author is not None and author == about["customer_id"]
    is_customer = is_requester or person.get("role") == "end-user"
    text, media = _text(comment), _files(comment)
    kind = _kind(comment, author, has_words=bool(text), has_files=media is not None)
    fields = {
        "id": as_id(comment.get("id")),
        "customer_name": about["customer_name"] or (person.get("name") if is_requester else None),
        "agent_id": None if is_customer else author,
        "sent_at": as_time(comment.get("created_at")),
        "direction": None if author is None else "in" if is_customer else "out",
        "channel": _channel(comment) or about["channel"],
        "sender": person.get("name"),
        "kind": kind,
        "text": text,
        "media": media,
    }
    return message_row(about | fields, silent=kind != "message")


def _kind(comment: dict[str, Any], author: str | None, *, has_words: bool, has_files: bool) -> str:
    if comment.get("public") is False:
        return "note"
    if author == _SYSTEM_AUTHOR:
        return "system"
    return "media" if has_files and not has_words else "message"


def _description_row(ticket: dict[str, Any], about: dict[str, Any]) -> Row:
    fields = {
        "id": f"ticket-{about['ticket_id']}",
        "sent_at": as_time(ticket.get("created_at")),
        "direction": "in",
        "sender": as_object(ticket.get("requester")).get("name"),
        "kind": "message",
        "text": as_text(ticket.get("description")).strip(),
    }
    return message_row(about | fields)


def _files(comment: dict[str, Any]) -> str | None:
    attachments = comment.get("attachments")
    if not isinstance(attachments, list):
        return None
    names = [
        as_object(one).get("file_name") or as_object(one).get("content_url") for one in attachments
    ]
    return "\n".join(str(name) for name in names if name) or None


def _text(comment: dict[str, Any]) -> str:
    plain = as_text(comment.get("plain_body")) or as_text(comment.get("body"))
    if plain.strip():
        return plain.replace("&nbsp;", " ").strip()
    return strip_html(as_text(comment.get("html_body")))


def strip_html(html: str) -> str:
    """The text of HTML, a line a block."""
    reader = _TextOfHtml()
    reader.feed(html)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.parts).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


class _TextOfHtml(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self._unseen += tag in _UNSEEN
        if tag in _BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._unseen = max(0, self._unseen - (tag in _UNSEEN))
        if tag in _BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.parts.append(data.replace("\n", " "))
