"""Which sources name agents: of the others every outgoing message counts as a person's."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, func, select, update

from serving.store.customers import lock_customers, touch
from serving.store.database import KEYS_A_QUERY, Database
from serving.store.tables import customers, messages, sources


def note_sources(
    database: Database, connection: Connection, names: Collection[str], naming: Collection[str]
) -> None:
    """Remember sources, and which of them name agents.

    Where one does so for the first time, its earlier messages without an agent turn out to be a
    bot's: `fold_sources_anew` is told.
    """
    rows = [{"name": name, "names_agents": False} for name in sorted(names)]
    database.insert_new(connection, sources, rows)
    for name in sorted(naming):
        connection.execute(
            update(sources)
            .where(sources.c.name == name, ~sources.c.names_agents)
            .values(names_agents=True, anew_after="")
        )


def turned_sources(connection: Connection) -> bool:
    """Whether `fold_sources_anew` has something to do."""
    query = select(sources.c.name).where(sources.c.anew_after.is_not(None)).limit(1)
    return connection.scalar(query) is not None


def fold_sources_anew(connection: Connection, limit: int = KEYS_A_QUERY) -> int:
    """Of a source that began to name agents, have those be folded anew, among the next customers, to
    whom it wrote without one; how many customers were looked at.

    A message that is being stored meanwhile is folded later, when its source is known.
    """
    query = select(sources).where(sources.c.anew_after.is_not(None)).order_by(sources.c.name)
    source = connection.execute(query.limit(1).with_for_update(skip_locked=True)).one_or_none()
    if source is None:
        return 0
    following = select(customers.c.id).where(customers.c.id > source.anew_after)
    names = list(connection.scalars(following.order_by(customers.c.id).limit(limit)))
    lock_customers(connection, names)
    first = (
        select(messages.c.customer_id, func.min(messages.c.sent_at))
        .where(
            messages.c.customer_id.in_(names),
            messages.c.source == source.name,
            messages.c.direction == "out",
            messages.c.agent_id.is_(None),
        )
        .group_by(messages.c.customer_id)
    )
    for customer, at in connection.execute(first).all():
        touch(connection, customer, at)
    done = names[-1] if len(names) == limit else None
    connection.execute(update(sources).where(sources.c.name == source.name).values(anew_after=done))
    return max(1, len(names))
