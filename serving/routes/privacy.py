"""A customer's right to their data: export and deletion, for administrators."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from serving.access import allow
from serving.errors import ApiError, Code
from serving.routes.intake import clean
from serving.services import services_of
from serving.store.audit import record
from serving.store.privacy import delete_customer, export_customer

router = APIRouter(tags=["privacy"], dependencies=[Depends(allow("admin"))])


@router.get("/customers/{customer_id}/export")
def get_export(request: Request, customer_id: str) -> dict[str, Any]:
    """Everything that is stored of a customer, as JSON."""
    services = services_of(request)
    customer_id = clean(customer_id)
    with services.database.begin() as connection:
        key = request.state.key_id
        record(connection, services.clock(), key, "export", customer_id)
        found = export_customer(connection, customer_id)
        if found is None:
            raise _unknown(customer_id)
    return found


@router.delete("/customers/{customer_id}", status_code=HTTPStatus.NO_CONTENT)
def delete_one(request: Request, customer_id: str) -> Response:
    """Delete a customer, with messages, tickets, verdicts and index. The audit keeps that it was done."""
    services = services_of(request)
    customer_id = clean(customer_id)
    with services.database.begin() as connection:
        if not delete_customer(connection, customer_id):
            raise _unknown(customer_id)
        record(connection, services.clock(), request.state.key_id, "delete", customer_id)
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _unknown(customer: str) -> ApiError:
    return ApiError(HTTPStatus.NOT_FOUND, Code.NOT_FOUND, f"no customer {customer!r}")
