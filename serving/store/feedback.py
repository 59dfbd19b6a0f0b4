"""Labels that people gave to messages and texts: kept, replaced, undone, read.

A reviewer has one word on each item; the words before it, and those undone, are kept with their end.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)

from serving.corrections import Labels, settled
from serving.store.audit import record
from serving.store.customers import lock_customers, touch
from serving.store.messages import hash_text
from serving.store.tables import feedback, leases, messages, verdicts

REPLACED, UNDONE = "replaced", "undone"
_A_PAGE = 500

HOLDS = feedback.c.ended_at.is_(None)


class FeedbackError(Exception):
    """A correction cannot be kept, with what to do."""


class UnknownMessage(FeedbackError):
    """No such message is stored."""


class TextMissing(FeedbackError):
    """The text is neither stored nor sent."""


class OtherText(FeedbackError):
    """The message has another text than the one that was sent."""


@dataclass(frozen=True)
class Correction:
    """What a person says of a message (source and id) or of a text.

    Attributes:
        labels: as `read_labels` gives them.
        text: None where the message's own is meant.
        group: of which customer; that of a stored message is known.
        at: when it was said, in seconds since 1970; None for now.
    """

    labels: Labels
    reviewer: str
    source: str | None = None
    id: str | None = None
    text: str | None = None
    reason: str | None = None
    group: str | None = None
    at: float | None = None

    @property
    def item(self) -> str:
        """What is judged, by which readings of the same are found."""
        if self.source is not None and self.id is not None:
            return hash_text(json.dumps([self.source, self.id]))
        return hash_text(self.text or "")


@dataclass(frozen=True)
class Subject:
    """What a correction is about, as it is stored: all None for a text alone.

    Attributes:
        verdict: the model's, as JSON; None while it waits for it.
    """

    seq: int | None = None
    customer_id: str | None = None
    sent_at: float | None = None
    text: str | None = None
    verdict: str | None = None


@dataclass(frozen=True)
class Kept:
    """What became of a correction.

    Attributes:
        id: of the row that holds now.
        replaced: id of the reviewer's word before, if that was another one.
        state: new, replaced, duplicate (it was there already) or older (a later one is kept).
    """

    id: int
    state: str
    replaced: int | None = None


def find_subject(connection: Connection, correction: Correction) -> Subject:
    """The stored message that a correction is about.

    Raises:
        FeedbackError: there is none, its text is not kept and not sent, or it is another one.
    """
    if correction.source is None or correction.id is None:
        if not (correction.text or "").strip():
            raise TextMissing('send "source" and "id" of a stored message, or a "text"')
        return Subject()
    row = connection.execute(
        select(messages, verdicts.c.verdict)
        .outerjoin(verdicts, verdicts.c.seq == messages.c.seq)
        .where(messages.c.source == correction.source, messages.c.id == correction.id)
    ).one_or_none()
    if row is None:
        if not (correction.text or "").strip():
            raise UnknownMessage("no such message is stored (any more): send its text, too")
        return Subject()
    if row.direction == "out":
        raise FeedbackError("this message is the company's own: only customers' are judged")
    if correction.text is not None and hash_text(correction.text) != row.text_hash:
        raise OtherText("this message has another text than the one that you send")
    text = row.text if row.text is not None else correction.text
    if text is None:
        raise TextMissing("the text of this message is not kept: send it, too")
    return Subject(row.seq, row.customer_id, row.sent_at, row.text, row.verdict)


def keep(
    connection: Connection,
    correction: Correction,
    verdict: str | None,
    now: float,
    key_id: str | None = None,
) -> Kept:
    """Keep a correction with the model's verdict; the customer's index is then folded anew, and the
    reviewer's lease of the message ends. What is kept is in the audit.

    Raises:
        FeedbackError: as of `find_subject`.
        IntegrityError: the same was said, or the message deleted, at this moment: try again.
    """
    subject = find_subject(connection, correction)
    customer = subject.customer_id or correction.group
    known = lock_customers(connection, [customer]) if customer else set()
    at = now if correction.at is None else min(correction.at, now)
    words = _words(connection, correction)
    if before := _before(words, correction, at):
        return before
    replaced = _end_words(connection, words, at)
    added = feedback.insert().values(
        customer_id=customer if customer in known else None,
        message_seq=subject.seq,
        item=correction.item,
        source=correction.source,
        id=correction.id,
        group=customer,
        text=correction.text if subject.text is None else None,
        reviewer=correction.reviewer,
        labels=json.dumps(correction.labels),
        reason=correction.reason,
        at=at,
        verdict=subject.verdict or verdict,
    )
    key = connection.execute(added).inserted_primary_key
    if subject.seq is not None and subject.customer_id is not None:
        touch(connection, subject.customer_id, subject.sent_at)
        _end_lease(connection, subject.seq, correction.reviewer)
    kept = Kept(int(key[0]) if key else 0, "new" if replaced is None else REPLACED, replaced)
    details = {"feedback": kept.id, "reviewer": correction.reviewer}
    details |= {"labels": list(correction.labels), "replaced": replaced}
    record(connection, now, key_id, "feedback", customer, details)
    return kept


def _words(connection: Connection, correction: Correction) -> Sequence[Row[Any]]:
    """All that the reviewer has said of the item, the last first."""
    query = select(feedback).where(
        feedback.c.reviewer == correction.reviewer, feedback.c.item == correction.item
    )
    return connection.execute(query.order_by(feedback.c.seq.desc())).all()


def _before(words: Sequence[Row[Any]], correction: Correction, at: float) -> Kept | None:
    """What the reviewer said of the item already, if that is the same, or later than `at`."""
    for row in words:
        same = json.loads(row.labels) == correction.labels and row.reason == correction.reason
        if row.ended_at is None and same:
            return Kept(row.seq, "duplicate")
        if correction.at is not None and max(row.at, row.ended_at or row.at) > at:
            return Kept(row.seq, "older")
    return None


def _end_words(connection: Connection, words: Sequence[Row[Any]], at: float) -> int | None:
    """End the word that holds; its id."""
    seq = next((row.seq for row in words if row.ended_at is None), None)
    if seq is not None:
        end = {"ended_at": at, "ended": REPLACED}
        connection.execute(update(feedback).where(feedback.c.seq == seq, HOLDS).values(**end))
    return seq


def _end_lease(connection: Connection, seq: int, reviewer: str) -> None:
    connection.execute(
        delete(leases).where(leases.c.message_seq == seq, leases.c.reviewer == reviewer)
    )


def find(connection: Connection, seq: int) -> Row[Any] | None:
    return connection.execute(select(feedback).where(feedback.c.seq == seq)).one_or_none()


def undo(connection: Connection, seq: int, now: float) -> bool:
    """End a reviewer's word; the row stays. False when it has ended already."""
    row = find(connection, seq)
    if row is None:
        return False
    if row.customer_id:
        lock_customers(connection, [row.customer_id])
    end = {"ended_at": now, "ended": UNDONE}
    held = update(feedback).where(feedback.c.seq == seq, HOLDS).values(**end)
    if not connection.execute(held).rowcount:
        return False
    if row.message_seq is not None:
        sent_at = select(messages.c.sent_at).where(messages.c.seq == row.message_seq)
        touch(connection, row.customer_id, connection.scalar(sent_at))
    return True


def of_customer(customer: str) -> ColumnElement[bool]:
    """Words on a customer's texts, also those that were said before the message was stored."""
    own = exists().where(
        messages.c.source == feedback.c.source,
        messages.c.id == feedback.c.id,
        messages.c.customer_id == customer,
    )
    return or_(feedback.c.group == customer, own)


def corrections_of(connection: Connection, customer: str) -> dict[int, Labels]:
    """What people say of a customer's messages, by the message's number, settled between them."""
    query = (
        select(feedback.c.message_seq, feedback.c.labels)
        .where(HOLDS, feedback.c.customer_id == customer, feedback.c.message_seq.is_not(None))
        .order_by(feedback.c.seq)
    )
    readings: dict[int, list[Labels]] = defaultdict(list)
    for row in connection.execute(query):
        readings[row.message_seq].append(json.loads(row.labels))
    return {seq: settled(given) for seq, given in readings.items()}


def readings_of_two(connection: Connection) -> list[tuple[Labels, Labels]]:
    """The first two readings of each item that more than one person has read, in the order of their
    names, so that a pair is the same whoever came first.
    """
    several = (
        select(feedback.c.item).where(HOLDS).group_by(feedback.c.item).having(func.count() > 1)
    )
    query = (
        select(feedback.c.item, feedback.c.reviewer, feedback.c.labels)
        .where(HOLDS, feedback.c.item.in_(several))
        .order_by(feedback.c.seq)
    )
    readings: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in connection.execute(query):
        readings[row.item].append((row.reviewer, row.labels))
    pairs = (sorted(those[:2]) for those in readings.values())
    return [(json.loads(a), json.loads(b)) for (_, a), (_, b) in pairs]


def read_all(connection: Connection) -> Iterator[Row[Any]]:
    """All words that hold, with their texts, by number, page by page."""
    last = 0
    while rows := connection.execute(_page(last)).all():
        yield from rows
        last = rows[-1].seq


def _page(last: int) -> Select[Any]:
    text = func.coalesce(feedback.c.text, messages.c.text).label("whole_text")
    return (
        select(feedback, text)
        .outerjoin(messages, messages.c.seq == feedback.c.message_seq)
        .where(HOLDS, feedback.c.seq > last)
        .order_by(feedback.c.seq)
        .limit(_A_PAGE)
    )


def forget_texts(connection: Connection, before: float) -> int:
    """Delete words on texts that are no stored message's, said before an instant; how many."""
    old = delete(feedback).where(feedback.c.message_seq.is_(None), feedback.c.at < before)
    return connection.execute(old).rowcount
