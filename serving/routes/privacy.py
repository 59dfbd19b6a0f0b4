"""A customer's right to their data: export and deletion, for administrators."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from serving.access import allow
from serving.routes.answers import json_answer, leave_trace
from serving.routes.bodies import Id
from serving.routes.decisions import require_customer, unknown_customer
from serving.services import services_of
from serving.store.audit import record
from serving.store.privacy import delete_customer, export_customer

router = APIRouter(tags=["privacy"], dependencies=[Depends(allow("admin"))])


@router.get("/customers/{customer_id}/export", response_model=dict[str, Any])
def get_export(request: Request, customer_id: Id) -> Response:
    """Everything that is stored of a customer, as JSON."""
    services = services_of(request)
    with services.database.read() as connection:
        require_customer(connection, customer_id)
    leave_trace(request, "export", customer_id)
    with services.database.read() as connection:
        found = export_customer(connection, customer_id)
    if found is None:  # deleted in between
        raise unknown_customer(customer_id)
    return json_answer(found)


@router.delete("/customers/{customer_id}", status_code=HTTPStatus.NO_CONTENT)
def delete_one(request: Request, customer_id: Id) -> Response:
    """Delete a customer, with messages, tickets, verdicts and index. The audit keeps that it was done."""
    services = services_of(request)
    with services.database.begin() as connection:
        if not delete_customer(connection, customer_id):
            raise unknown_customer(customer_id)
        record(connection, services.clock(), request.state.key_id, "delete", customer_id)
    return Response(status_code=HTTPStatus.NO_CONTENT)
