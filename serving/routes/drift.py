"""How the messages, and what the model makes of them, change from week to week."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from serving.access import allow
from serving.routes.customers import QUERY_ERRORS
from serving.services import services_of
from serving.store.drift import report, wire_week

router = APIRouter(tags=["drift"], dependencies=[Depends(allow("read"))], responses=QUERY_ERRORS)


@router.get("/drift")
def get_drift(request: Request, weeks: Annotated[int, Query(ge=1, le=52)] = 12) -> dict[str, Any]:
    """The last complete weeks, oldest first, each figure with its usual range: `low` and `high` are null
    until four weeks of the same model are known. A week begins on Monday, 00:00 UTC, and is told from a
    day after its end on; `left` names the figures that have just left their range, of which there is an
    alert.
    """
    with services_of(request).database.read() as connection:
        return {"weeks": [wire_week(told) for told in report(connection, weeks)]}
