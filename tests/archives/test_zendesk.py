"""Zendesk's tickets: a row a comment, nothing twice, nothing lost."""

from __future__ import annotations

import json
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from serving.archives.meaning import understand
from serving.archives.row import ArchiveError, ReadOptions, Row
from serving.archives.sources import FileSource
from serving.archives.zendesk import ZendeskArchive, looks_like, strip_html

CUSTOMER, AGENT = 20978392, 235323
Json = dict[str, Any]


def comment(number: int, by: int | None, text: str, **fields: Any) -> Json:
    return {
        "id": number,
        "type": "Comment",
        "author_id": by,
        "body": text,
        "html_body": f"<div><p>{text}</p></div>",
        "plain_body": text,
        "public": True,
        "attachments": [],
        "via": {"channel": "email", "source": {"from": {}, "to": {}, "rel": None}},
        "created_at": f"2024-03-14T09:{number % 60:02}:00Z",
    } | fields


def ticket(number: int = 35436, *comments: Json, **fields: Any) -> Json:
    return {
        "url": f"https://noor.zendesk.com/api/v2/tickets/{number}.json",
        "id": number,
        "external_id": None,
        "via": {"channel": "web", "source": {}},
        "created_at": "2024-03-14T09:00:00Z",
        "subject": "Order 4471",
        "raw_subject": "Order 4471",
        "description": "where is my order?",
        "priority": "high",
        "status": "open",
        "requester_id": CUSTOMER,
        "submitter_id": CUSTOMER,
        "tags": ["late", "refund"],
        "satisfaction_rating": {"id": 1, "score": "bad", "comment": "slow"},
        **({"comments": list(comments)} if comments else {}),
    } | fields


FIRST = comment(1, CUSTOMER, "where is my order?")
REPLY = comment(2, AGENT, "we are looking into it")


def archive(tmp_path: Path, text: str) -> ZendeskArchive:
    path = tmp_path / "tickets.json"
    path.write_text(text)
    return ZendeskArchive(FileSource(str(path), path, 2**40), "utf-8", ReadOptions())


def rows(tmp_path: Path, *tickets: Any) -> list[Row]:
    return list(archive(tmp_path, "\n".join(map(json.dumps, tickets))).rows())


def test_a_comment_is_a_row_and_the_description_is_not_another(tmp_path: Path) -> None:
    first, reply = rows(tmp_path, ticket(35436, FIRST, REPLY))
    assert first == Row(
        {
            "id": "1",
            "ticket_id": "35436",
            "customer_id": str(CUSTOMER),
            "customer_name": None,
            "agent_id": None,
            "sent_at": "2024-03-14T09:01:00Z",
            "direction": "in",
            "channel": "email",
            "sender": None,
            "kind": "message",
            "text": "where is my order?",
            "media": None,
            "subject": "Order 4471",
            "status": "open",
            "priority": "high",
            "tags": "late|refund",
            "satisfaction": "bad",
        }
    )
    assert reply.fields["direction"] == "out"
    assert reply.fields["agent_id"] == str(AGENT)
    assert reply.fields["customer_id"] == str(CUSTOMER)


def test_a_ticket_without_comments_gives_its_description(tmp_path: Path) -> None:
    for empty in (ticket(), ticket(comments=[]), ticket(comments=None)):
        (row,) = rows(tmp_path, empty)
        assert row.fields["text"] == "where is my order?"
        assert (row.fields["id"], row.fields["direction"]) == ("ticket-35436", "in")
        assert (row.fields["sent_at"], row.fields["channel"]) == ("2024-03-14T09:00:00Z", "web")


SHAPES = {
    "lines": lambda tickets: "\n".join(map(json.dumps, tickets)) + "\n",
    "wrapped lines": lambda tickets: "\n".join(json.dumps({"ticket": one}) for one in tickets),
    "array": lambda tickets: json.dumps(tickets, indent=2),
    "incremental": lambda tickets: json.dumps(
        {
            "users": [{"id": n, "name": "A"} for n in range(50)],
            "tickets": tickets,
            "count": 2,
            "end_of_stream": True,
        }
    ),
    "pages": lambda tickets: "\n".join(json.dumps({"tickets": [one]}) for one in tickets),
    "pretty one after another": lambda tickets: "\n".join(json.dumps(t, indent=1) for t in tickets),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_export_reads_the_same(shape: str, tmp_path: Path) -> None:
    text = SHAPES[shape]([ticket(1, FIRST, REPLY), ticket(2)])
    assert looks_like(text[: 2**16])
    found = list(archive(tmp_path, text).rows())
    assert [row.fields["ticket_id"] for row in found] == ["1", "1", "2"]
    assert not any(row.error for row in found)
    assert found == list(archive(tmp_path, text).rows())


def test_people_given_as_objects_are_read_as_well(tmp_path: Path) -> None:
    given = ticket(
        1,
        comment(1, None, "my order?", author={"id": 7, "name": "Sara"}),
        comment(2, None, "also mine", author={"id": 8, "role": "end-user"}),
        requester_id=None,
        requester={"id": 7, "name": "Sara", "email": "sara@example.com"},
    )
    first, second = rows(tmp_path, given)
    assert (first.fields["customer_id"], first.fields["sender"]) == ("7", "Sara")
    assert first.fields["customer_name"] == second.fields["customer_name"] == "Sara"
    assert [first.fields["direction"], second.fields["direction"]] == ["in", "in"]


@pytest.mark.parametrize(
    ("fields", "kind", "text"),
    [
        ({"public": False}, "note", "hello"),
        ({"author_id": -1}, "system", "hello"),
        (
            {
                **{"body": "", "plain_body": "", "html_body": ""},
                "attachments": [{"file_name": "receipt.pdf"}],
            },
            "media",
            "",
        ),
    ],
)
def test_what_is_no_message_is_silent(fields: Json, kind: str, text: str, tmp_path: Path) -> None:
    (row,) = rows(tmp_path, ticket(1, comment(1, AGENT, "hello", **fields)))
    assert (row.silent, row.fields["kind"], row.fields["text"]) == (True, kind, text)


def test_html_is_read_where_there_is_no_plain_text(tmp_path: Path) -> None:
    html = "<style>p {}</style><div>وين طلبي؟<br>It&#39;s   late</div>\n<p>a &lt;b&gt;</p><p><b>x</b>y</p>"
    given = comment(1, CUSTOMER, "", body=None, plain_body=None, html_body=html)
    (row,) = rows(tmp_path, ticket(1, given))
    assert row.fields["text"] == "وين طلبي؟\nIt's late\n\na <b>\n\nxy"
    assert strip_html("") == ""


def test_broken_tickets_are_error_rows_with_all_that_was_there(tmp_path: Path) -> None:
    lines = [
        json.dumps(ticket(1, FIRST)),
        '{"id": 2, "subject": "cut o',
        '{"url": "x", "subject": "no id"}',
        json.dumps(ticket(4, comments="none")),
        json.dumps(ticket(5, REPLY, comments=[REPLY, "not a comment"])),
        "[1]",
    ]
    found = list(archive(tmp_path, "\n".join(lines)).rows())
    errors = [row for row in found if row.error]
    assert [row.fields.get("ticket_id") for row in found if not row.error] == ["1", "5"]
    assert [row.fields["raw"] for row in errors] == [
        lines[1],
        lines[2],
        lines[3],
        '"not a comment"',
        "[1]",
    ]


def test_a_file_that_breaks_off_gives_what_there_is_and_an_error(tmp_path: Path) -> None:
    text = json.dumps({"tickets": [ticket(1, FIRST), ticket(2, REPLY)]})
    found = list(archive(tmp_path, text[:-200]).rows())
    assert [row.fields.get("ticket_id") for row in found] == ["1", None]
    assert found[-1].error


def test_the_requester_is_named_by_a_comment_and_no_other_author_is_taken_for_it(
    tmp_path: Path,
) -> None:
    found = rows(
        tmp_path,
        ticket(
            1,
            comment(1, None, "my order?", author={"id": CUSTOMER, "name": "Sara"}),
            comment(2, None, "me too", author={"id": 8, "name": "Huda", "role": "end-user"}),
            comment(3, None, "on it", author={"id": AGENT, "name": "Omar"}),
        ),
    )
    assert [row.fields["customer_name"] for row in found] == ["Sara", None, None]


def test_ids_and_places_survive_what_is_no_json(tmp_path: Path) -> None:
    """As data frames write it: NaN for nothing, and ids as floats."""
    tickets = [
        ticket(1, comment(1, None, "a"), external_id=float("nan"), requester_id=20978392.0),
        ticket(2, requester_id=float("nan"), requester={"id": None, "name": None}),
    ]
    for text in (
        json.dumps({"next_page": float("nan"), "rate": float("inf"), "tickets": tickets}),
        "\n".join(map(json.dumps, tickets)),
        json.dumps(tickets),
    ):
        found = list(archive(tmp_path, text).rows())
        assert [row.error for row in found] == [None, None]
        assert [row.fields["ticket_id"] for row in found] == ["1", "2"]
        assert [row.fields["customer_id"] for row in found] == ["20978392", None]


def test_the_columns_are_understood(tmp_path: Path) -> None:
    read = archive(tmp_path, json.dumps([ticket(1, FIRST, REPLY)]))
    meaning = understand([read], ReadOptions())[0]
    message = meaning.message(next(iter(read.rows())))
    assert message is not None and not isinstance(message, str)
    assert (message.text, message.id, message.customer) == (FIRST["body"], "1", str(CUSTOMER))
    assert (message.direction, message.ticket, message.channel) == ("in", "1", "email")
    assert meaning.columns["name"].column == "customer_name"
    assert message.at == datetime(2024, 3, 14, 9, 1, tzinfo=UTC).timestamp()
    assert any("requester is the customer" in one for one in read.understood)


@pytest.mark.parametrize(
    "text",
    [
        '{"text": "where is my order?", "customer_id": 7}\n',
        '[{"description": "x", "requester": "Sara"}]',
        'id,requester_id,"description","via"\n',
        json.dumps({"comments": [{"id": 1, "body": "x"}]}),
        "",
    ],
)
def test_other_files_are_not_taken_for_zendesks(text: str) -> None:
    assert not looks_like(text)


def test_a_file_of_another_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="no export of Zendesk"):
        list(archive(tmp_path, '{"text": "hello"}\n').rows())


def test_memory_is_that_of_a_ticket_not_of_the_file(tmp_path: Path) -> None:
    one = json.dumps(ticket(1, *[comment(n, CUSTOMER, "word " * 40) for n in range(20)]))
    read = archive(tmp_path, '{"tickets": [' + ",".join([one] * 300) + "]}")
    size = read.source.path.stat().st_size
    tracemalloc.start()
    count = sum(1 for _ in read.rows())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 6_000
    assert size > 5_000_000
    assert peak < size
