"""Reading customers: the list, one customer as of an instant, its messages and its timeline."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from msgspec import Meta
from sqlalchemy import Row

from serving.access import allow
from serving.corrections import Labels
from serving.errors import Code
from serving.index.drafts import Facts, drafts, sentence
from serving.index.ladder import Money, Suggestion, suggest
from serving.index.reading import Contribution, Reading, read
from serving.index.settings import DAY
from serving.index.signs import Sign
from serving.index.state import State
from serving.openapi import ErrorAnswer, error_documentation
from serving.routes.answers import json_answer, leave_trace
from serving.routes.bodies import Id, clean, unprocessable
from serving.routes.cursors import bad_cursor, decode, encode
from serving.routes.decisions import require_customer
from serving.services import Services, services_of
from serving.store import reads, timeline
from serving.store.customers import BEGINNING
from serving.store.feedback import corrections_of
from serving.store.history import load_events
from serving.times import TimeError, maybe_wire_time, read_time, wire_time

_MOST_HAPPENINGS = 5_000
"""Of each kind in one timeline."""

_ZONE_WITHOUT_PLUS = re.compile(r"([Tt]\S+) (\d\d:\d\d)$")

Language = Literal["en", "ar"]
Quadrant = Literal["calm", "hurt", "draining", "inflamed"]
SignName = Literal[
    "volume",
    "repetition",
    "hostile_language",
    "informal_channel",
    "scope_creep",
    "unproductive_discussion",
]
Limit = Annotated[int, Query(ge=1, le=200)]
After = Annotated[str | None, Query(description="The `next` of the page before.")]
_Seq = Annotated[int, Meta(ge=0, le=2**63 - 1)]

QUERY_ERRORS: dict[int | str, dict[str, Any]] = {
    HTTPStatus.UNPROCESSABLE_ENTITY: {
        "model": ErrorAnswer,
        "description": "A parameter is wrong (`invalid_request`, `invalid_time`,"
        " `time_zone_missing`, `time_in_future`); the message says which.",
    }
}
_UNKNOWN = error_documentation(HTTPStatus.NOT_FOUND)

router = APIRouter(
    tags=["customers"], dependencies=[Depends(allow("read"))], responses=QUERY_ERRORS
)


@router.get("/customers")
def get_customers(
    request: Request,
    sort: Literal["-index", "index", "-pain", "pain"] = "-index",
    quadrant: Quadrant | None = None,
    sign: SignName | None = None,
    limit: Limit = 50,
    after: After = None,
) -> dict[str, Any]:
    """Customers with their figures as of the last refresh, at most an hour old (`refreshed_at` tells
    the oldest). One of whom nothing has happened yet is not listed.

    A customer whose figure changes between two pages may be on both, or on none.
    """
    services = services_of(request)
    listing = reads.Listing(sort.lstrip("-"), sort.startswith("-"), quadrant, sign)
    place = _customer_place(after, sort) if after is not None else None
    with services.database.read() as connection:
        rows = reads.list_customers(connection, listing, limit + 1, place)
        refreshed = services.states.refreshed_at(connection)
    page = rows[:limit]
    last = (sort, page[-1].figure, page[-1].customer_id) if len(rows) > limit else None
    leave_trace(request, "list", None, {"customers": [row.customer_id for row in page]})
    return {
        "customers": [_listed(row) for row in page],
        "next": encode(last) if last else None,
        "refreshed_at": maybe_wire_time(refreshed),
    }


def _customer_place(cursor: str, sort: str) -> tuple[float, str]:
    of_sort, figure, customer = decode(cursor, tuple[str, float, str])
    if of_sort != sort:
        raise bad_cursor()
    return figure, clean(customer)


def _listed(row: Row[Any]) -> dict[str, Any]:
    return {
        "customer_id": row.customer_id,
        "name": row.name,
        "index": row.index_value,
        "pain": row.pain,
        "quadrant": row.quadrant,
        "early_signs": row.signs.split("|") if row.signs else [],
    }


@router.get("/customers/{customer_id}", responses=_UNKNOWN)
def get_customer(
    request: Request, customer_id: Id, as_of: str | None = None, lang: Language = "en"
) -> dict[str, Any]:
    """One customer as of an instant (by default now): index, service pain, quadrant, early signs, and
    what a person may do next. `lang` is the language of the reasons; drafts come in both.
    """
    services = services_of(request)
    at = read_instant(as_of, services)
    answer = describe(services, customer_id, at, lang)
    leave_trace(request, "read", customer_id, {"as_of": wire_time(at)} if as_of else None)
    return answer


def read_instant(raw: str | None, services: Services) -> float:
    """The instant that is asked about.

    Raises:
        ApiError: 422, it is no time, lies ahead of our clock or before 1970.
    """
    now = services.clock()
    if raw is None:
        return now
    try:
        # "+03:00" that was not percent-encoded comes as " 03:00".
        sent = _ZONE_WITHOUT_PLUS.sub(r"\1+\2", raw)
        at = read_time(sent, "as_of", services.settings.default_timezone)
    except TimeError as error:
        raise unprocessable(str(error), error.code) from error
    if at > now:
        raise unprocessable('"as_of" lies ahead of our clock', Code.TIME_IN_FUTURE)
    if at < 0:
        raise unprocessable('"as_of" lies before 1970', Code.INVALID_TIME)
    return at


def describe(services: Services, customer: str, at: float, language: Language) -> dict[str, Any]:
    """The answer of GET /customers/{id} at seconds since 1970 that do not lie ahead of our clock.

    Raises:
        ApiError: 404.
    """
    with services.database.read() as connection:
        row = require_customer(connection, customer)
        state, reading = reading_at(services, connection, customer, at)
        week, month = (_trend(services, connection, reading, customer, days) for days in (7, 30))
        taken = reads.decisions_until(connection, customer, at)
        minutes = reads.support_minutes(connection, customer, at)
        waiting = reads.pending(connection, customer)
    money, facts = _money(row, state, minutes)
    suggestion = suggest(reading, taken, money, services.settings)
    return {
        "customer_id": customer,
        "as_of": wire_time(at),
        "profile": _profile(row),
        "index": {
            "value": reading.index,
            "low": reading.low,
            "high": reading.high,
            "trend_7d": week,
            "trend_30d": month,
            "contributions": _contributions(reading.contributions),
        },
        "pain": {
            "value": reading.pain,
            "contributions": _contributions(reading.pain_contributions),
        },
        "quadrant": reading.quadrant,
        "signs": [_sign(sign) for sign in reading.signs],
        "together_since": maybe_wire_time(reading.together_since),
        "support": _support(minutes, services),
        "suggestion": _suggestion(suggestion, reading, facts, language),
        "pending": waiting,
    }


def reading_at(
    services: Services, connection: Any, customer: str, at: float
) -> tuple[State, Reading]:
    """State and reading of a customer after all scored events up to an instant."""
    state = services.states.as_of(connection, customer, at)
    snapshot = services.states.snapshot(connection, at)
    return state, read(state, at, services.settings, snapshot)


def _trend(
    services: Services, connection: Any, reading: Reading, customer: str, days: int
) -> float | None:
    """Points by which the index rose; None when nothing had happened so many days before."""
    state, before = reading_at(services, connection, customer, reading.at - days * DAY)
    return round(reading.index - before.index, 2) if state.at > BEGINNING else None


def _money(row: Row[Any], state: State, minutes: float | None) -> tuple[Money, Facts]:
    """What was paid at the instant; what is known now where nothing was told by then."""
    value = row.monthly_value if state.monthly_value is None else state.monthly_value
    plan = row.plan if state.plan is None else state.plan
    facts = Facts(name=row.name, monthly_value=value, currency=row.currency, plan=plan)
    return Money(value, row.currency, minutes), facts


def _profile(row: Row[Any]) -> dict[str, Any]:
    fields = ("name", "plan", "monthly_value", "currency", "usage_volume", "end_reason")
    return {name: getattr(row, name) for name in fields} | {
        "started_at": maybe_wire_time(row.started_at),
        "ended_at": maybe_wire_time(row.ended_at),
    }


def _contributions(parts: tuple[Contribution, ...]) -> list[dict[str, Any]]:
    return [
        {"component": p.component, "points": p.points, "message_ids": list(p.message_ids)}
        for p in parts
    ]


def _sign(sign: Sign) -> dict[str, Any]:
    return {
        "sign": sign.name,
        "active": sign.active,
        "since": maybe_wire_time(sign.since),
        "message_ids": list(sign.message_ids),
    }


def _support(minutes: float | None, services: Services) -> dict[str, Any]:
    """Per month, over the last 90 days."""
    price = services.settings.support_minute_cost
    cost = None if minutes is None or price is None else minutes * price
    return {"minutes_per_month": minutes, "cost_per_month": cost}


def _suggestion(
    suggestion: Suggestion, reading: Reading, facts: Facts, language: Language
) -> dict[str, Any]:
    return {
        "step": suggestion.step,
        "prepare_separation": suggestion.prepare_separation,
        "reasons_for": [sentence(reason, language) for reason in suggestion.reasons_for],
        "reasons_against": [sentence(reason, language) for reason in suggestion.reasons_against],
        "drafts": drafts(suggestion, reading, facts),
    }


@router.get("/customers/{customer_id}/messages", response_model=dict[str, Any], responses=_UNKNOWN)
def get_messages(
    request: Request, customer_id: Id, limit: Limit = 50, after: After = None
) -> Response:
    """A customer's messages, newest first. `text` is null where it is not kept, `verdict` where a
    message is the company's own, still waits for the model, or could not be read. `corrected` has the
    labels in which the index believes people rather than the verdict.
    """
    services = services_of(request)
    place = decode(after, tuple[float, _Seq]) if after is not None else None
    with services.database.read() as connection:
        require_customer(connection, customer_id)
        rows = reads.list_messages(connection, customer_id, limit + 1, place)
        corrected = corrections_of(connection, customer_id)
    page = rows[:limit]
    last = (page[-1].sent_at, page[-1].seq) if len(rows) > limit else None
    leave_trace(request, "read_messages", customer_id, {"messages": len(page)})
    found = [_message(row, corrected.get(row.seq)) for row in page]
    return json_answer({"messages": found, "next": encode(last) if last else None})


def _message(row: Row[Any], corrected: Labels | None) -> dict[str, Any]:
    fields = ("id", "source", "direction", "channel", "ticket_id", "agent_id", "text")
    verdict = {"id": row.id, **json.loads(row.verdict)} if row.verdict else None
    return {name: getattr(row, name) for name in fields} | {
        "sent_at": wire_time(row.sent_at),
        "verdict": verdict,
        "corrected": corrected,
    }


@router.get("/customers/{customer_id}/timeline", response_model=dict[str, Any], responses=_UNKNOWN)
def get_timeline(
    request: Request,
    customer_id: Id,
    days: Annotated[int, Query(ge=1, le=3650)] = 180,
) -> Response:
    """What happened in the last days, oldest first, without texts, and the index and the pain at each
    day's end (UTC; each week's above 180 days) from the first event on.

    At most 5,000 events of a kind are told, the newest; `left_out` counts the others.
    """
    services = services_of(request)
    now = services.clock()
    start = now - days * DAY
    with services.database.read() as connection:
        require_customer(connection, customer_id)
        found, left_out = timeline.happenings(connection, customer_id, start, now, _MOST_HAPPENINGS)
        line = timeline.line(
            services.states.as_of(connection, customer_id, start),
            load_events(connection, customer_id, start, now),
            timeline.instants(start, now),
            services.settings,
            timeline.Snapshots(connection, start, now),
        )
        points = [_point(reading) for reading in line]
    leave_trace(request, "read_timeline", customer_id, {"days": days})
    events = [happening | {"at": wire_time(happening["at"])} for happening in found]
    return json_answer(
        {"customer_id": customer_id, "events": events, "left_out": left_out, "line": points}
    )


def _point(reading: Reading) -> dict[str, Any]:
    return {
        "at": wire_time(reading.at),
        "index": reading.index,
        "pain": reading.pain,
        "quadrant": reading.quadrant,
    }
