"""What another model says of stored messages, beside the verdicts that count.

The table never holds a row of the model whose verdict counts: applying a row exchanges the two, and the
one that was replaced says by which model and when, so that it can be brought back.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    String,
    Subquery,
    and_,
    cast,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)

from serving.store.customers import lock_customers, touch
from serving.store.database import Database
from serving.store.tables import customers, messages, rescored, verdicts

_JUDGED = [column.name for column in verdicts.columns if column.name != "seq"]


def count_waiting(connection: Connection, model: str) -> tuple[int, int]:
    """How many messages `to_rescore` would give, and how many cannot be read any more: their text is
    not kept.
    """
    others = select(func.count()).select_from(verdicts).join(messages).where(_waits(model))
    with_text = connection.scalar(others.where(messages.c.text.is_not(None)))
    without = connection.scalar(others.where(messages.c.text.is_(None)))
    return with_text or 0, without or 0


def to_rescore(connection: Connection, model: str, after: int, limit: int) -> Sequence[Any]:
    """Up to `limit` messages (seq, text) that another model judged, from the one after `after` on."""
    query = select(messages.c.seq, messages.c.text).join(verdicts, verdicts.c.seq == messages.c.seq)
    query = query.where(messages.c.seq > after, messages.c.text.is_not(None), _waits(model))
    return connection.execute(query.order_by(messages.c.seq).limit(limit)).all()


def _waits(model: str) -> ColumnElement[bool]:
    known = exists().where(rescored.c.seq == verdicts.c.seq, rescored.c.model == model)
    return and_(verdicts.c.model != model, ~known)


def keep_rescored(
    database: Database, connection: Connection, model: str, rows: Sequence[dict[str, Any]]
) -> int:
    """Keep rows of the table `verdicts` beside those that count; how many. A message that is gone, or
    that the model judged meanwhile, is left out.
    """
    seqs = [row["seq"] for row in rows]
    owners = select(messages.c.customer_id).where(messages.c.seq.in_(seqs)).distinct()
    lock_customers(connection, connection.scalars(owners))
    query = select(verdicts.c.seq).where(verdicts.c.seq.in_(seqs), verdicts.c.model != model)
    there = set(connection.scalars(query))
    kept = [row for row in rows if row["seq"] in there]
    database.insert_new(connection, rescored, kept)
    return len(kept)


def pairs(connection: Connection, model: str, after: int, limit: int) -> Sequence[Any]:
    """Up to `limit` rescored messages from the one after `after` on: seq, source, id, text, and both
    verdicts (JSON), the one that counts first.
    """
    query = (
        select(
            rescored.c.seq,
            messages.c.source,
            messages.c.id,
            messages.c.text,
            verdicts.c.verdict.label("before"),
            rescored.c.verdict.label("after"),
        )
        .join(messages, messages.c.seq == rescored.c.seq)
        .join(verdicts, verdicts.c.seq == rescored.c.seq)
        .where(rescored.c.model == model, rescored.c.seq > after)
        .order_by(rescored.c.seq)
        .limit(limit)
    )
    return connection.execute(query).all()


def other_verdicts(connection: Connection, customer: str) -> dict[int, list[dict[str, Any]]]:
    """What other models say of a customer's messages, by the message's number."""
    columns = (rescored.c.seq, rescored.c.verdict, rescored.c.replaced_by, rescored.c.replaced_at)
    query = select(*columns).join(messages, messages.c.seq == rescored.c.seq)
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in connection.execute(
        query.where(messages.c.customer_id == customer).order_by(rescored.c.seq, rescored.c.model)
    ):
        found[row.seq].append(
            {
                "verdict": json.loads(row.verdict),
                "replaced_by": row.replaced_by,
                "replaced_at": row.replaced_at,
            }
        )
    return found


def by_model(model: str) -> ColumnElement[bool]:
    """Rows that the model made."""
    return rescored.c.model == model


def replaced_by(model: str) -> ColumnElement[bool]:
    """Rows that the model's verdicts have replaced, and nothing after them."""
    later = rescored.alias()
    again = exists().where(
        later.c.seq == rescored.c.seq, later.c.replaced_at > rescored.c.replaced_at
    )
    return and_(rescored.c.replaced_by == model, ~again.correlate(rescored))


def last_replacing(connection: Connection) -> str | None:
    """The model whose verdicts replaced others last."""
    query = select(rescored.c.replaced_by).where(rescored.c.replaced_at.is_not(None))
    model: str | None = connection.scalar(query.order_by(rescored.c.replaced_at.desc()).limit(1))
    return model


def customers_with(
    connection: Connection, rows: ColumnElement[bool], after: str, limit: int
) -> Sequence[str]:
    """Up to `limit` customers with such rows, by their ids, from the one after `after` on."""
    found = exists().where(
        messages.c.customer_id == customers.c.id, rescored.c.seq == messages.c.seq, rows
    )
    query = select(customers.c.id).where(customers.c.id > after, found)
    return connection.scalars(query.order_by(customers.c.id).limit(limit)).all()


def judged_anew(customer: str, model: str) -> Subquery:
    """A customer's verdicts as they would be with the model's: the columns of `verdicts`."""
    columns = [func.coalesce(rescored.c[n], verdicts.c[n]).label(n) for n in _JUDGED]
    anew = and_(rescored.c.seq == verdicts.c.seq, rescored.c.model == model)
    return (
        select(verdicts.c.seq, *columns)
        .join_from(verdicts, messages, messages.c.seq == verdicts.c.seq)
        .outerjoin(rescored, anew)
        .where(messages.c.customer_id == customer)
        .subquery()
    )


def exchange(
    connection: Connection,
    customer: str,
    rows: ColumnElement[bool],
    by: str | None = None,
    at: float | None = None,
) -> int:
    """Let such rows of a customer, one a message, count instead of its verdicts, and keep these; how
    many. The customer is to be folded anew from the first of them on. `by` and `at` are kept with the
    verdicts that are replaced.
    """
    lock_customers(connection, [customer])
    own = select(messages.c.seq).where(messages.c.customer_id == customer)
    chosen = and_(rescored.c.seq.in_(own), rows)
    count, first = connection.execute(
        select(func.count(), func.min(messages.c.sent_at))
        .join_from(rescored, messages, messages.c.seq == rescored.c.seq)
        .where(chosen)
    ).one()
    old = select(
        verdicts.c.seq, *(verdicts.c[n] for n in _JUDGED), cast(by, String), cast(at, Double)
    ).where(verdicts.c.seq.in_(select(rescored.c.seq).where(chosen)))
    names = ["seq", *_JUDGED, "replaced_by", "replaced_at"]
    connection.execute(insert(rescored).from_select(names, old))
    connection.execute(
        update(verdicts)
        .values({name: rescored.c[name] for name in _JUDGED})
        .where(verdicts.c.seq == rescored.c.seq, chosen)
    )
    connection.execute(delete(rescored).where(chosen))
    touch(connection, customer, first)
    return int(count)
