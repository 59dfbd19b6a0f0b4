"""The dossier of a customer, as JSON or as a page to print."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response

from serving.access import allow
from serving.dossier import gather
from serving.index import words
from serving.index.words import Language
from serving.openapi import error_documentation
from serving.routes.answers import json_answer, leave_trace
from serving.routes.bodies import Id
from serving.routes.customers import describe, read_instant
from serving.services import services_of
from serving.templating import pages
from serving.times import wire_time

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'self'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept",
}

router = APIRouter(tags=["customers"], dependencies=[Depends(allow("read"))])


@router.get(
    "/customers/{customer_id}/dossier",
    response_model=None,
    responses={
        200: {"content": {"application/json": {}, "text/html": {}}},
        **error_documentation(HTTPStatus.NOT_FOUND),
    },
)
def get_dossier(
    request: Request,
    customer_id: Id,
    as_of: str | None = None,
    lang: Language = "en",
    format_: Annotated[Literal["json", "html"] | None, Query(alias="format")] = None,
) -> Response:
    """The record on which people decide about a customer, as of an instant (by default now): complaints,
    how the language went on, what the team did, money, signs, decisions. A page to print with
    `format=html`, or `Accept: text/html`.
    """
    services = services_of(request)
    at = read_instant(as_of, services)
    answer = describe(services, customer_id, at, lang)
    with services.database.read() as connection:
        found = gather(
            connection, services.states, services.settings, services.thresholds, customer_id, at
        )
    leave_trace(request, "read_dossier", customer_id, {"as_of": wire_time(at)} if as_of else None)
    profile = answer["profile"]
    found["money"] |= {name: profile[name] for name in ("monthly_value", "currency")}
    found["money"] |= answer.pop("support")
    answer |= found
    if format_ is None:
        format_ = "html" if "text/html" in request.headers.get("accept", "") else "json"
    if format_ == "json":
        return json_answer(answer, {"Vary": "Accept"})
    return HTMLResponse(render(answer, lang), headers=_HEADERS)


def render(dossier: dict[str, Any], language: Language) -> str:
    """The dossier as one page that needs nothing from elsewhere."""
    return pages.get_template("dossier.html").render(
        dossier,
        arabic=language == "ar",
        say=lambda english, arabic: arabic if language == "ar" else english,
        name_of=lambda word: words.name_of(word, language),
        day=lambda time: words.date(_seconds(time), language),
        month_of=lambda month: words.date(_seconds(f"{month}-01T00:00Z"), language).split(" ", 1)[
            1
        ],
        amount=words.amount,
    )


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
