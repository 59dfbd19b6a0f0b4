"""The review queue: what is most worth a person's minute, lent to one reviewer at a time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import Field
from sqlalchemy import Row

from serving.access import allow
from serving.errors import ApiError, Code
from serving.openapi import body_documentation, error_documentation
from serving.review import SECOND_READING
from serving.routes.answers import leave_trace
from serving.routes.bodies import Body, Reviewer, clean, read_body
from serving.services import services_of
from serving.store.reviews import Reviews, give_back, held
from serving.times import wire_time

router = APIRouter(tags=["feedback"], dependencies=[Depends(allow("review"))])

_Number = Annotated[int, Path(ge=1, le=2**63 - 1)]
_Reviewer = Annotated[Reviewer, Query()]


class ReviewBody(Body):
    """Who wants to read, and how much."""

    reviewer: Reviewer
    limit: int = Field(default=10, ge=1, le=100)


@router.post("/review", **body_documentation(ReviewBody))
async def post_review(request: Request) -> dict[str, Any]:
    """Lend a reviewer up to `limit` messages, what they have already among them. Until `until` nobody
    else gets them; what is judged by POST /feedback, or given back, makes room for others.

    `why` has the reasons, in this order: high_stakes (it moves an index, or threatens gravely),
    contradiction (people said otherwise of the same words), unsure, new_language, second_reading
    (somebody has read it; read it blind: without the model's verdict).
    """
    services = services_of(request)
    body = await read_body(request, ReviewBody)
    reviews = Reviews(services.database, services.states, services.settings)

    def lend() -> list[dict[str, Any]]:
        now = services.clock()
        rows = reviews.lease(body.reviewer, body.limit, services.thresholds, now)
        return _told(request, body.reviewer, rows)

    return {"reviews": await asyncio.to_thread(lend)}


@router.get("/review")
def get_review(request: Request, reviewer: _Reviewer) -> dict[str, Any]:
    """What a reviewer has before them now; nothing new is lent."""
    services = services_of(request)
    with services.database.read() as connection:
        rows = held(connection, clean(reviewer), services.clock())
    return {"reviews": _told(request, clean(reviewer), rows)}


def _told(request: Request, reviewer: str, rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    """What is lent, with a trace of it in the audit."""
    owners = sorted({row.customer_id for row in rows})
    leave_trace(request, "review", None, {"reviewer": reviewer, "customers": owners})
    return [_lent(row) for row in rows]


def _lent(row: Row[Any]) -> dict[str, Any]:
    why = json.loads(row.why)
    blind = why[0]["reason"] == SECOND_READING
    fields = ("source", "id", "customer_id", "channel", "text")
    return {"review_id": row.seq, **{name: getattr(row, name) for name in fields}} | {
        "sent_at": wire_time(row.sent_at),
        "verdict": None if blind else {"id": row.id, **json.loads(row.verdict)},
        "why": why,
        "until": wire_time(row.until),
    }


@router.delete(
    "/review/{review_id}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=error_documentation(HTTPStatus.NOT_FOUND),
)
def delete_review(request: Request, review_id: _Number, reviewer: _Reviewer) -> Response:
    """Give a message back: others may get it at once, this reviewer not before its lease would end."""
    services = services_of(request)
    with services.database.begin() as connection:
        if not give_back(connection, review_id, clean(reviewer), services.clock()):
            message = f"{reviewer!r} has no message {review_id} before them"
            raise ApiError(HTTPStatus.NOT_FOUND, Code.NOT_FOUND, message)
    return Response(status_code=HTTPStatus.NO_CONTENT)
