"""Minutes of work on tickets, whichever way they were told."""

from __future__ import annotations

from sqlalchemy import CompoundSelect, String, exists, func, literal_column, null, select, union_all

from serving.store.tables import ticket_events, tickets

# Written into the statement, not bound: a partial index serves only what its condition implies.
_IS_WORK = ticket_events.c.type == literal_column("'work'")


def worked_minutes(
    start: float, end: float, customer: str | None = None
) -> CompoundSelect[tuple[str, str | None, float]]:
    """Rows (customer_id, agent_id, minutes) of the work done at `start` < time <= `end`.

    A ticket without an event of work is read from its record's total, dated at its last change, with
    no agent. Given a customer, only its own.
    """
    told = (
        select(
            tickets.c.customer_id,
            ticket_events.c.agent_id,
            ticket_events.c.minutes.label("minutes"),
        )
        .join_from(ticket_events, tickets, tickets.c.id == ticket_events.c.ticket_id)
        .where(_IS_WORK, ticket_events.c.at > start, ticket_events.c.at <= end)
        .where(ticket_events.c.minutes.is_not(None))
    )
    record = tickets.c
    dated = func.coalesce(record.resolved_at, record.first_reply_at, record.opened_at)
    total = select(
        record.customer_id,
        null().cast(String).label("agent_id"),
        record.minutes_of_work.label("minutes"),
    ).where(
        record.minutes_of_work.is_not(None),
        record.updated_at > start,  # no earlier than the last change, and indexed
        dated > start,
        dated <= end,
        ~exists().where(ticket_events.c.ticket_id == record.id, _IS_WORK),
    )
    if customer is not None:
        told, total = (query.where(record.customer_id == customer) for query in (told, total))
    return union_all(told, total)
