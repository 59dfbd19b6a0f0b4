"""The optional feeds: what a company tells of its customers, tickets, agents, outcomes and ratings."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from serving.access import allow
from serving.classify import read_json
from serving.errors import ApiError, Code
from serving.openapi import body_documentation
from serving.routes.bodies import (
    MOST_AMOUNT,
    MOST_NOTE,
    Amount,
    Body,
    Id,
    Name,
    OwnId,
    Time,
    checked,
    item_error,
    read_body,
    unprocessable,
    write,
)
from serving.services import services_of
from serving.store import feeds, tickets
from serving.times import maybe_wire_time

_MOST_COUNT = 1_000_000

router = APIRouter(tags=["intake"], dependencies=[Depends(allow("write"))])


class CustomerBody(Body):
    """PUT /customers/{id}; a field that is not sent stays as it is."""

    name: str | None = None
    plan: str | None = None
    monthly_value: float | None = Amount
    currency: str | None = None
    usage_volume: float | None = Amount
    started_at: Time = None
    ended_at: Time = None
    end_reason: str | None = None


class TicketBody(Body):
    """PUT /tickets/{id}: a record with final counts."""

    customer_id: Id
    opened_at: Time
    first_reply_at: Time = None
    resolved_at: Time = None
    reopened: int | None = Field(default=None, ge=0, le=_MOST_COUNT)
    handoffs: int | None = Field(default=None, ge=0, le=_MOST_COUNT)
    minutes_of_work: float | None = Amount


class TicketEventBody(Body):
    """One of POST /tickets/{id}/events."""

    id: str = Name
    type: Literal["opened", "replied", "handed_over", "resolved", "reopened", "work"]
    at: Time
    agent_id: Id | None = None
    minutes: float | None = Amount


class AgentBody(Body):
    name: str | None = None
    joined_at: Time = None
    left_at: Time = None


class OutcomeBody(Body):
    type: Literal["purchase", "renewal", "upgrade", "cancellation"]
    at: Time
    amount: float | None = Field(default=None, ge=-MOST_AMOUNT, le=MOST_AMOUNT, allow_inf_nan=False)


class RatingBody(Body):
    id: str | None = OwnId
    rating: int = Field(ge=1, le=5)
    note: str | None = Field(default=None, max_length=MOST_NOTE)
    agent_id: Id | None = None
    at: Time = None


@router.put("/customers/{customer_id}", **body_documentation(CustomerBody))
async def put_customer(request: Request, customer_id: Id) -> dict[str, Any]:
    """What the company knows of a customer. The first plan, usage and value hold for all that was
    before; a change of them counts from now on.
    """
    body = await read_body(request, CustomerBody)
    given = body.model_dump(exclude_unset=True)
    await write(
        request,
        lambda s, c, now: feeds.put_customer(s.database, c, customer_id, given, now),
    )
    return {"customer_id": customer_id}


@router.put("/tickets/{ticket_id}", **body_documentation(TicketBody))
async def put_ticket(request: Request, ticket_id: Id) -> dict[str, Any]:
    """A ticket's final counts. What its events do not tell is read from here; counts among that are
    dated at the last of the times, which `counts_dated_at` names.
    """
    body = await read_body(request, TicketBody)
    given = body.model_dump()
    dated = await write(
        request,
        lambda s, c, now: tickets.put_ticket(s.database, c, ticket_id, given, now),
    )
    return {"ticket_id": ticket_id, "counts_dated_at": maybe_wire_time(dated)}


@router.post("/tickets/{ticket_id}/events", **body_documentation(TicketEventBody, "events"))
async def post_ticket_events(request: Request, ticket_id: Id) -> dict[str, Any]:
    """What happened with a ticket, once each by the event's id; a broken event is told, the others
    are stored.
    """
    services = services_of(request)
    raw = await read_json(request, services.settings.max_body_bytes)
    items = raw.get("events") if isinstance(raw, dict) else None
    if not isinstance(items, list) or not items:
        raise unprocessable('send an object with a list of "events"')
    if len(items) > services.settings.max_messages:
        raise unprocessable(f"at most {services.settings.max_messages:,} events at once")
    good, errors = [], []
    for place, item in enumerate(items):
        try:
            good.append(checked(item, TicketEventBody, services).model_dump())
        except ApiError as error:
            errors.append(item_error(place, error.code, str(error)))
    if not good:
        raise ApiError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            Code(errors[0]["code"]),
            f"none of the events can be taken: {errors[0]['message']}",
            {"errors": errors},
        )
    accepted, duplicates = await write(
        request,
        lambda s, c, now: tickets.add_ticket_events(s.database, c, ticket_id, good, now),
    )
    return {"accepted": accepted, "duplicates": duplicates, "errors": errors}


@router.put("/agents/{agent_id}", **body_documentation(AgentBody))
async def put_agent(request: Request, agent_id: Id) -> dict[str, Any]:
    """Who works in support, and since and until when: for the turnover of the team."""
    given = (await read_body(request, AgentBody)).model_dump(exclude_unset=True)
    await write(request, lambda s, c, _: feeds.put_agent(s.database, c, agent_id, given))
    return {"agent_id": agent_id}


@router.post(
    "/customers/{customer_id}/outcomes",
    status_code=HTTPStatus.CREATED,
    **body_documentation(OutcomeBody),
)
async def post_outcome(request: Request, customer_id: Id) -> dict[str, Any]:
    """A purchase, renewal, upgrade or cancellation; the same one at the same time counts once."""
    row = (await read_body(request, OutcomeBody)).model_dump()
    new = await write(
        request,
        lambda s, c, now: feeds.add_outcome(s.database, c, customer_id, row, now),
    )
    return {"customer_id": customer_id, "duplicate": not new}


@router.post(
    "/customers/{customer_id}/ratings",
    status_code=HTTPStatus.CREATED,
    **body_documentation(RatingBody),
)
async def post_rating(request: Request, customer_id: Id) -> dict[str, Any]:
    """The team's rating, from 1 (calm) to 5 (toxic). The same one counts once: by its `id`, or else by
    all that it says, if it has an `at`.
    """
    row = (await read_body(request, RatingBody)).model_dump()
    new = await write(
        request,
        lambda s, c, now: feeds.add_rating(s.database, c, customer_id, row, now),
    )
    return {"customer_id": customer_id, "duplicate": not new}
