"""Decisions on record: what a named person decided about a customer, and why. Nothing acts on them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Depends, Request
from pydantic import Field, field_validator
from sqlalchemy import Connection, select

from serving.access import allow
from serving.errors import ApiError, Code
from serving.index.ladder import STEPS
from serving.openapi import body_documentation
from serving.routes.bodies import MOST_NOTE, Body, Id, Name, OwnId, Time, read_body, write
from serving.services import Services
from serving.store.audit import record
from serving.store.customers import lock_customers
from serving.store.feeds import add_decision
from serving.store.tables import customers

router = APIRouter(tags=["decisions"], dependencies=[Depends(allow("review"))])


class DecisionBody(Body):
    id: str | None = OwnId
    step: str
    decided_by: str = Name
    reason: str = Field(min_length=1, max_length=MOST_NOTE)
    at: Time = None

    @field_validator("step")
    @classmethod
    def _known(cls, step: str) -> str:
        if step not in STEPS:
            raise ValueError(f"is none of {', '.join(STEPS)}")
        return step


@router.post(
    "/customers/{customer_id}/decisions",
    status_code=HTTPStatus.CREATED,
    **body_documentation(DecisionBody),
)
async def post_decision(request: Request, customer_id: Id) -> dict[str, Any]:
    """What a named person decided, and why. The software itself never acts. The same one counts once:
    by its `id`, or else by step, person and time, if it has an `at`.
    """
    row = (await read_body(request, DecisionBody)).model_dump()

    def work(_: Services, connection: Connection, now: float) -> bool:
        lock_customers(connection, [customer_id])
        require_customer(connection, customer_id)
        if new := add_decision(connection, customer_id, row, now):
            details = {"step": row["step"], "decided_by": row["decided_by"]}
            record(connection, now, request.state.key_id, "decision", customer_id, details)
        return new

    new = await write(request, work)
    return {"customer_id": customer_id, "step": row["step"], "duplicate": not new}


def require_customer(connection: Connection, customer: str) -> Any:
    """The customer's row.

    Raises:
        ApiError: 404.
    """
    row = connection.execute(select(customers).where(customers.c.id == customer)).one_or_none()
    if row is None:
        raise unknown_customer(customer)
    return row


def unknown_customer(customer: str) -> ApiError:
    return ApiError(HTTPStatus.NOT_FOUND, Code.NOT_FOUND, f"no customer {customer!r}")
