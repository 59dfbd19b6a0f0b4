"""Corrections by people: taken, undone, handed out as training data, compared between readers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field
from sqlalchemy.exc import IntegrityError

from model import Verdict
from serving.access import allow
from serving.agreement import agreements
from serving.classify import unless_gone
from serving.corrections import THREAT_KIND, changed, read_labels
from serving.errors import ApiError, Code
from serving.exchange import write_csv, write_jsonl
from serving.label_studio import write_tasks
from serving.openapi import body_documentation, error_documentation
from serving.routes.answers import leave_trace
from serving.routes.bodies import MOST_NOTE, Body, Id, Reviewer, read_body, unprocessable, write
from serving.services import Services, services_of
from serving.store import feedback
from serving.store.audit import record
from serving.store.database import Database

router = APIRouter(tags=["feedback"], dependencies=[Depends(allow("review"))])

Number = Annotated[int, Path(ge=1, le=2**63 - 1)]
_ID = Field(default=None, min_length=1, max_length=200)


class FeedbackBody(Body):
    """A person's word on a stored message, or on a text."""

    source: str | None = _ID
    id: str | None = _ID
    text: str | None = Field(
        default=None, description="Needed where the message or its text is not stored."
    )
    customer_id: Id | None = Field(
        default=None, description="Whose text it is; that of a stored message is known."
    )
    labels: dict[str, Any] = Field(
        description="Any of abuse, threat, accusation, off_channel, out_of_scope, refund_demand,"
        " escalation, leaving, distress (true or false), sentiment (negative, neutral, positive),"
        f" {THREAT_KIND} (a list of physical, private_data, job, reputation). What is left out, or null,"
        " is unknown."
    )
    reviewer: Reviewer
    reason: str | None = Field(default=None, max_length=MOST_NOTE)


@router.post("/feedback", status_code=HTTPStatus.CREATED, **body_documentation(FeedbackBody))
async def post_feedback(request: Request) -> dict[str, Any]:
    """Correct or confirm what the model says of a message. Only the labels that are given count.

    `changed` names those that differ from the model's, whose `verdict` stays on record. The index of
    the customer is made anew with what most reviewers say of each label; where they are even, with
    what the model says. The same reviewer's word on the same message takes the place of the one before.
    """
    services = services_of(request)
    correction = _checked(await read_body(request, FeedbackBody), services)
    subject = await asyncio.to_thread(_subject, services, correction)
    verdict = subject.verdict
    if verdict is None:
        text = correction.text if subject.text is None else subject.text
        verdict = json.dumps((await _judged(request, text or "")).as_dict())
    kept = await _kept(request, correction, verdict)
    found = json.loads(verdict)
    thresholds = services.live.thresholds_of(found["model"])
    return {
        "id": kept.id,
        "state": kept.state,
        "replaced": kept.replaced,
        "labels": correction.labels,
        "changed": changed(correction.labels, found, thresholds),
        "verdict": {"id": correction.id, **found},
        "in_index": subject.seq is not None,
    }


def _checked(body: FeedbackBody, services: Services) -> feedback.Correction:
    most = services.settings.max_text_characters
    if body.text is not None and len(body.text) > most:
        message = f"the text has {len(body.text):,} characters, at most {most:,} are read"
        raise unprocessable(message, Code.TEXT_TOO_LONG)
    if (body.source is None) != (body.id is None):
        raise unprocessable('"source" and "id" name a message together: send both, or a "text"')
    try:
        labels = read_labels(body.labels)
    except ValueError as error:
        raise unprocessable(str(error)) from error
    return feedback.Correction(
        labels=labels,
        reviewer=body.reviewer,
        source=body.source,
        id=body.id,
        text=body.text or None,
        reason=body.reason,
        group=body.customer_id,
    )


def _subject(services: Services, correction: feedback.Correction) -> feedback.Subject:
    try:
        with services.database.read() as connection:
            return feedback.find_subject(connection, correction)
    except feedback.FeedbackError as error:
        raise _refused(error) from error


def _refused(error: feedback.FeedbackError) -> ApiError:
    match error:
        case feedback.UnknownMessage():
            return ApiError(HTTPStatus.NOT_FOUND, Code.NOT_FOUND, str(error))
        case feedback.OtherText():
            return ApiError(HTTPStatus.CONFLICT, Code.CONFLICT, str(error))
        case feedback.TextMissing():
            return unprocessable(str(error), Code.TEXT_MISSING)
    return unprocessable(str(error))


async def _judged(request: Request, text: str) -> Verdict:
    batcher = services_of(request).batcher
    with batcher.admitted():
        return (await unless_gone(request, batcher.score([text])))[0]


async def _kept(request: Request, correction: feedback.Correction, verdict: str) -> feedback.Kept:
    def work(_: Services, connection: Any, now: float) -> feedback.Kept:
        return feedback.keep(connection, correction, verdict, now, request.state.key_id)

    try:
        try:
            found: feedback.Kept = await write(request, work)
        except IntegrityError:  # the same word came twice at once, or the customer was just deleted
            found = await write(request, work)
    except feedback.FeedbackError as error:
        raise _refused(error) from error
    return found


@router.delete(
    "/feedback/{feedback_id}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=error_documentation(HTTPStatus.NOT_FOUND),
)
def delete_feedback(request: Request, feedback_id: Number) -> Response:
    """Undo a correction: it stays on record, marked, and counts nowhere any more. A word that it had
    replaced does not come back.
    """
    services = services_of(request)
    now = services.clock()
    with services.database.begin() as connection:
        row = feedback.find(connection, feedback_id)
        if row is None:
            message = f"no feedback {feedback_id}"
            raise ApiError(HTTPStatus.NOT_FOUND, Code.NOT_FOUND, message)
        if not feedback.undo(connection, feedback_id, now):
            message = f"feedback {feedback_id} was {row.ended or 'undone'} already"
            raise ApiError(HTTPStatus.CONFLICT, Code.CONFLICT, message)
        details = {"feedback": feedback_id, "reviewer": row.reviewer}
        key = request.state.key_id
        record(connection, now, key, "undo_feedback", row.customer_id, details)
    services.worker.wake()
    return Response(status_code=HTTPStatus.NO_CONTENT)


Format = Literal["jsonl", "csv", "label-studio"]
WRITERS: dict[Format, Callable[[Iterable[Any]], Iterator[str]]] = {
    "jsonl": write_jsonl,
    "csv": write_csv,
    "label-studio": write_tasks,
}
_MEDIA_TYPES: dict[Format, str] = {
    "jsonl": "application/jsonl",
    "csv": "text/csv",
    "label-studio": "application/json",
}


@router.get("/feedback", response_class=StreamingResponse)
def get_feedback(request: Request, format: Format = "jsonl") -> StreamingResponse:
    """All corrections that hold, with their texts: what retraining reads, or tasks for Label Studio."""
    leave_trace(request, "export_feedback", None, {"format": format})
    lines = export(services_of(request).database, format)
    return StreamingResponse(lines, media_type=_MEDIA_TYPES[format])


def export(database: Database, format: Format) -> Iterator[str]:
    with database.read() as connection:
        yield from WRITERS[format](feedback.read_all(connection))


@router.get("/feedback/agreement")
def get_agreement(request: Request) -> dict[str, Any]:
    """How far two readers of the same messages agree, label by label. `enough` is false, and `note` says
    why, where a figure rests on too few messages; a figure that is not defined is null.
    """
    with services_of(request).database.read() as connection:
        pairs = feedback.readings_of_two(connection)
    return {"read_by_two": len(pairs), "labels": [asdict(one) for one in agreements(pairs)]}
