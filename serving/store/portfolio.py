"""The portfolio's figures, each from a bounded window and an index: messages are never scanned.

A figure with nothing to compute it from is None. A month is 30 days.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, literal_column, or_, select

from serving.index.reading import CALM, DRAINING, HURT, INFLAMED
from serving.index.settings import DAY
from serving.store.reads import MONTH
from serving.store.tables import agents, customers, decisions, messages, ratings, states
from serving.store.work import worked_minutes

YEAR = 365 * DAY
RATING_DAYS = 90
HEAVY_SHARE = 0.6
"""Of the support minutes; "heavy" are the fewest customers who together take it."""

_STEPS = range(10, 100, 10)
_DRAINING = select(states.c.customer_id).where(states.c.quadrant.in_((DRAINING, INFLAMED)))


def count_customers(connection: Connection, since: float) -> int:
    """Customers who had not left at an instant."""
    query = select(func.count()).select_from(customers).where(_stayed(since))
    return connection.scalar(query) or 0


def _stayed(since: float) -> ColumnElement[bool]:
    return or_(customers.c.ended_at.is_(None), customers.c.ended_at > since)


def distribution(connection: Connection) -> dict[str, Any]:
    """Customers by tenth of the index and by quadrant, as of the last refresh."""
    tenth = case(*((states.c.index_value < top, top - 10) for top in _STEPS), else_=90).label(
        "tenth"
    )
    query = select(states.c.quadrant, tenth, func.count().label("customers"))
    rows = connection.execute(query.group_by(states.c.quadrant, tenth)).all()
    quadrants = dict.fromkeys((CALM, HURT, DRAINING, INFLAMED), 0)
    tenths = dict.fromkeys(range(0, 100, 10), 0)
    for row in rows:
        quadrants[row.quadrant] += row.customers
        tenths[row.tenth] += row.customers
    index = [{"from": low, "to": low + 10, "customers": count} for low, count in tenths.items()]
    return {"index": index, "quadrants": quadrants}


def month_of_work(connection: Connection, now: float) -> Sequence[Any]:
    """All work on tickets of the last 30 days, on customers who had not left before.

    Rows (customer_id, agent_id or None, minutes, monthly_value or None).
    """
    start = now - MONTH
    work = worked_minutes(start, now).subquery()
    query = (
        select(work, customers.c.monthly_value)
        .join(customers, customers.c.id == work.c.customer_id)
        .where(_stayed(start))
    )
    return connection.execute(query).all()


def support_time(connection: Connection, work: Sequence[Any], now: float) -> dict[str, Any]:
    """Support minutes per customer and month, and the heavy customers; `work` is the last month's."""
    minutes: dict[str, float] = defaultdict(float)
    values: dict[str, float] = {}
    for one in work:
        minutes[one.customer_id] += one.minutes
        values[one.customer_id] = one.monthly_value or 0.0
    total = sum(minutes.values())
    present = count_customers(connection, now - MONTH)
    if not total:
        return {"support_minutes_per_customer_month": None, "heavy_customers": None}
    top = heaviest(minutes)
    return {
        "support_minutes_per_customer_month": total / present,
        "heavy_customers": {
            "share_of_minutes": sum(minutes[customer] for customer in top) / total,
            "customers": len(top),
            "share_of_customers": len(top) / present,
            "share_of_revenue": _share_of_revenue(
                connection, sum(values[customer] for customer in top), now - MONTH
            ),
        },
    }


def heaviest(minutes: Mapping[str, float], share: float = HEAVY_SHARE) -> list[str]:
    """The fewest customers that together take a share of all minutes, the heaviest first."""
    order = sorted(minutes, key=lambda customer: (-minutes[customer], customer))
    goal = share * sum(minutes.values()) * (1 - 1e-12)  # sums round
    together = list(accumulate(minutes[customer] for customer in order))
    return order[: bisect_left(together, goal) + 1]


def _share_of_revenue(connection: Connection, value_of_top: float, since: float) -> float | None:
    """None where no value is known, or values are in several currencies, which nobody can add."""
    value = customers.c.monthly_value
    currency = func.coalesce(customers.c.currency, "")
    query = select(func.sum(value), func.count(currency.distinct())).where(
        _stayed(since), value.is_not(None)
    )
    total, currencies = connection.execute(query).one()
    if not total or currencies > 1:
        return None
    return float(value_of_top / total)


def team_turnover(connection: Connection, now: float) -> dict[str, float] | None:
    """Those who left the support team in 12 months against its mean headcount over that time.

    An agent without a date of joining counts as there from the start; None without any agent.
    """
    start = now - YEAR
    rows = connection.execute(select(agents.c.joined_at, agents.c.left_at)).all()
    left = sum(1 for row in rows if row.left_at is not None and start < row.left_at <= now)
    headcount = sum(_overlap(row.joined_at, row.left_at, start, now) for row in rows) / YEAR
    if not headcount:
        return None
    return {"left": left, "average_headcount": headcount, "rate": left / headcount}


def _overlap(joined: float | None, left: float | None, start: float, end: float) -> float:
    """Seconds of the window that somebody was there."""
    first = start if joined is None else max(joined, start)
    last = end if left is None else min(left, end)
    return max(0.0, last - first)


def internal_toxicity(connection: Connection, now: float) -> dict[str, float] | None:
    """Mean of the team's ratings (1 calm to 5 toxic) in the last 90 days."""
    query = select(func.avg(ratings.c.rating), func.count()).where(
        ratings.c.at > now - RATING_DAYS * DAY, ratings.c.at <= now
    )
    mean, number = connection.execute(query).one()
    return {"mean": float(mean), "ratings": number} if number else None


def drainage(connection: Connection, work: Sequence[Any], now: float) -> list[dict[str, Any]]:
    """What each agent spent on draining and inflamed customers in the last 30 days.

    Outgoing messages and ticket work that name the agent; the quadrant is that of the last refresh.
    Those who spent most on them come first.
    """
    draining = set(connection.scalars(_DRAINING))
    names = {row.id: row.name for row in connection.execute(select(agents.c.id, agents.c.name))}
    spent: dict[str, _Spent] = defaultdict(_Spent)
    for agent, number, on_draining in _sent(connection, now - MONTH, now):
        spent[agent].messages, spent[agent].messages_on_draining = number, on_draining
    for one in work:
        if one.agent_id is not None:
            spent[one.agent_id].minutes += one.minutes
            if one.customer_id in draining:
                spent[one.agent_id].minutes_on_draining += one.minutes
    order = sorted(
        spent, key=lambda a: (-spent[a].messages_on_draining, -spent[a].minutes_on_draining, a)
    )
    return [{"agent_id": agent, "name": names.get(agent), **spent[agent].told()} for agent in order]


@dataclass
class _Spent:
    messages: int = 0
    messages_on_draining: int = 0
    minutes: float = 0.0
    minutes_on_draining: float = 0.0

    def told(self) -> dict[str, float | None]:
        return asdict(self) | {
            "share_of_messages": _ratio(self.messages_on_draining, self.messages),
            "share_of_minutes": _ratio(self.minutes_on_draining, self.minutes),
        }


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _sent(connection: Connection, start: float, end: float) -> Sequence[Any]:
    """Rows of agent, its outgoing messages, and those of them to draining or inflamed customers."""
    on_draining = case((messages.c.customer_id.in_(_DRAINING), 1), else_=0)
    query = (
        select(messages.c.agent_id, func.count(), func.sum(on_draining))
        .where(
            messages.c.direction == literal_column("'out'"),  # as the partial index says it
            messages.c.agent_id.is_not(None),
            messages.c.sent_at > start,
            messages.c.sent_at <= end,
        )
        .group_by(messages.c.agent_id)
    )
    return connection.execute(query).all()


def separations(connection: Connection, now: float, alarm_above: float) -> dict[str, Any]:
    """Customers separated from in 12 months, against all who were there in that time."""
    start = now - YEAR
    query = select(func.count(decisions.c.customer_id.distinct())).where(
        decisions.c.step == "separation", decisions.c.at > start, decisions.c.at <= now
    )
    number = connection.scalar(query) or 0
    present = count_customers(connection, start)
    share = _ratio(number, present)
    return {
        "separations": number,
        "customers": present,
        "share": share,
        "alarm_above": alarm_above,
        "alarm": share is not None and share > alarm_above,
    }
