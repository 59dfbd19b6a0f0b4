"""What the reading routes have in common: a trace in the audit, and JSON made off the event loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import Request, Response

from serving.services import services_of
from serving.store.audit import record


def leave_trace(
    request: Request,
    action: str,
    customer: str | None = None,
    details: dict[str, Any] | None = None,
) -> None:
    """The audit's row of a read, on disk before it is answered."""
    services = services_of(request)
    with services.database.begin() as connection:
        record(connection, services.clock(), request.state.key_id, action, customer, details)


def json_answer(answer: Any, headers: Mapping[str, str] | None = None) -> Response:
    """The answer as JSON, encoded here: what a route returns as it is, is encoded on the event loop,
    which a large one would hold up.
    """
    return Response(msgspec.json.encode(answer), media_type="application/json", headers=headers)
