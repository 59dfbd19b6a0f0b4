"""Alerts: what has changed, for whoever asks or to a webhook."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from serving.access import allow
from serving.routes.answers import leave_trace
from serving.routes.bodies import Id
from serving.services import services_of
from serving.store.alerts import list_alerts

router = APIRouter(tags=["alerts"], dependencies=[Depends(allow("read"))])


@router.get("/alerts")
def get_alerts(
    request: Request,
    after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    customer_id: Id | None = None,
) -> dict[str, Any]:
    """Alerts after an id, oldest first: one for each change of quadrant, each sign that begins to
    stand, each grave event, and when a separation may be prepared. One of the kind `drift` is about no
    customer (`customer_id` is null): it names the `week` and the `figures` that have left their usual
    range.
    """
    services = services_of(request)
    with services.database.read() as connection:
        found = list_alerts(connection, after, limit, customer_id)
    told = sorted({alert["customer_id"] for alert in found} - {None})
    leave_trace(request, "read_alerts", customer_id, {"customers": told})
    return {"alerts": found, "next": found[-1]["id"] if len(found) == limit else None}
