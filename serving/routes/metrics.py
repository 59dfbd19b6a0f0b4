"""What Prometheus scrapes."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from serving.access import allow
from serving.services import services_of

_EXAMPLE = """\
# HELP brandtox_messages_waiting Messages that wait for the model.
# TYPE brandtox_messages_waiting gauge
brandtox_messages_waiting 3.0
"""
_ANSWER = {
    "description": "One metric after another, each with its explanation.",
    "content": {"text/plain": {"schema": {"type": "string"}, "example": _EXAMPLE}},
}

router = APIRouter(tags=["operation"], dependencies=[Depends(allow())])


@router.get("/metrics", response_class=PlainTextResponse, responses={200: _ANSWER})
def get_metrics(request: Request) -> Response:
    """Figures of this process and its store, in the text format of Prometheus.

    They name no customer, so that any API key may read them; one of scope `classify` reads nothing
    else. In Prometheus it is the `credentials` of `authorization`.
    """
    figures = generate_latest(services_of(request).registry)
    return Response(figures, media_type=CONTENT_TYPE_PLAIN_0_0_4)
