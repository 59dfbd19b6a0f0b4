"""What the OpenAPI document says of /classify: schemas and real examples in both languages."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Literal

from pydantic import BaseModel, Field

Probability = Field(ge=0, le=1)


class Scores(BaseModel):
    """Probabilities of the three labels."""

    abuse: float = Probability
    threat: float = Probability
    accusation: float = Probability


class ThreatKind(BaseModel):
    """Probabilities of the kinds of threat."""

    physical: float = Probability
    private_data: float = Probability
    job: float = Probability
    reputation: float = Probability


class Sentiment(BaseModel):
    """Probabilities that sum to 1."""

    negative: float = Probability
    neutral: float = Probability
    positive: float = Probability


class Signs(BaseModel):
    """Probabilities of the message signs."""

    off_channel: float = Probability
    out_of_scope: float = Probability
    refund_demand: float = Probability
    escalation: float = Probability
    leaving: float = Probability
    distress: float = Probability


class VerdictAnswer(BaseModel):
    """What the model says of one message."""

    id: str | int | None
    language: Literal["ar", "arabizi", "mixed", "en", "other"]
    script: Literal["Arab", "Latn", "Mixed", "Zyyy"]
    scores: Scores
    labels: list[Literal["abuse", "threat", "accusation"]]
    threat_kind: ThreatKind
    sentiment: Sentiment
    signs: Signs
    needs_review: bool
    truncated: bool
    model: str


class ItemError(BaseModel):
    """Why one message could not be scored."""

    code: str
    message: str


class BadItem(BaseModel):
    """A message that could not be scored, in its place."""

    id: str | int | None
    error: ItemError


class ClassifyAnswer(BaseModel):
    """One verdict or error a message, in order."""

    model: str
    verdicts: list[VerdictAnswer | BadItem]


class ErrorDetail(ItemError):
    """What went wrong and what to do."""

    details: Any = None


class ErrorAnswer(BaseModel):
    """The error shape of every route."""

    error: ErrorDetail


class Message(BaseModel):
    """One message; the id comes back with its verdict."""

    id: str | int | None = None
    text: str


_EXAMPLES = {
    "one text (Arabic)": {"value": {"text": "بقالي أسبوعين مستني الفلوس ومحدش بيرد، انتو نصابين"}},
    "one text (English)": {
        "value": {"text": "Refund me today or I will post your home address everywhere."}
    },
    "several messages": {
        "value": {
            "messages": [
                {"id": "m-1", "text": "The order is ten days late and nobody answers my emails."},
                {"id": "m-2", "text": "رجع فلوسي النهارده ولا هفضحكم على كل الجروبات"},
                {"id": "m-3", "text": "msh fahem leh el far2 fel fatora, momken tewada7o?"},
            ]
        }
    },
}
_VERDICTS = {
    "accusation (Arabic)": {
        "id": None,
        "language": "ar",
        "script": "Arab",
        "scores": {"abuse": 0.0097, "threat": 0.0046, "accusation": 0.9838},
        "labels": ["accusation"],
        "threat_kind": {
            "physical": 0.0023,
            "private_data": 0.0009,
            "job": 0.0007,
            "reputation": 0.0024,
        },
        "sentiment": {"negative": 0.9973, "neutral": 0.0011, "positive": 0.0016},
        "signs": {
            "off_channel": 0.0007,
            "out_of_scope": 0.0002,
            "refund_demand": 0.0673,
            "escalation": 0.0018,
            "leaving": 0.0043,
            "distress": 0.0008,
        },
        "needs_review": False,
        "truncated": False,
        "model": "1.6.0",
    },
    "threat (English)": {
        "id": None,
        "language": "en",
        "script": "Latn",
        "scores": {"abuse": 0.0112, "threat": 0.9967, "accusation": 0.0071},
        "labels": ["threat"],
        "threat_kind": {
            "physical": 0.2031,
            "private_data": 0.9868,
            "job": 0.0013,
            "reputation": 0.1006,
        },
        "sentiment": {"negative": 0.9918, "neutral": 0.0065, "positive": 0.0017},
        "signs": {
            "off_channel": 0.0004,
            "out_of_scope": 0.0,
            "refund_demand": 0.9881,
            "escalation": 0.0043,
            "leaving": 0.0018,
            "distress": 0.0002,
        },
        "needs_review": False,
        "truncated": False,
        "model": "1.6.0",
    },
}
"""What model 1.6.0 says of the first two examples above."""
_ANSWER = {
    "description": "A verdict or an error for each message, in order.",
    "content": {
        "application/json": {
            "examples": {
                name: {"value": {"model": verdict["model"], "verdicts": [verdict]}}
                for name, verdict in _VERDICTS.items()
            }
        }
    },
}
_MESSAGES = {
    # Spelled out: FastAPI keeps `openapi_extra` apart from its own component schemas, so that a
    # reference to the schema of one message would lead nowhere.
    "title": "Messages",
    "description": "Up to 1,000 messages.",
    "type": "object",
    "required": ["messages"],
    "properties": {"messages": {"type": "array", "items": Message.model_json_schema()}},
}
_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"anyOf": [Message.model_json_schema(), _MESSAGES]},
            "examples": _EXAMPLES,
        }
    },
}


_ERRORS = {
    HTTPStatus.BAD_REQUEST: "The body is not JSON in UTF-8 (`invalid_json`).",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large (`body_too_large`).",
    HTTPStatus.UNAUTHORIZED: "No valid API key (`unauthorized`).",
    HTTPStatus.FORBIDDEN: "The key lacks the scope (`forbidden`).",
    HTTPStatus.NOT_FOUND: "There is no such customer (`not_found`).",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Neither one text nor a list of messages"
    " (`invalid_request`), too many of them (`too_many_messages`), or a single text that cannot be"
    " scored (`text_missing`, `text_not_string`, `text_too_long`).",
    HTTPStatus.TOO_MANY_REQUESTS: "The service is busy (`overloaded`): wait `Retry-After` seconds.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "A failure on our side (`internal_error`).",
    HTTPStatus.SERVICE_UNAVAILABLE: "The model is not loaded (`not_ready`) or the database is busy"
    " (`overloaded`): wait `Retry-After` seconds.",
}


def error_documentation(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    return {int(s): {"model": ErrorAnswer, "description": _ERRORS[s]} for s in statuses}


_CLASSIFY_ERRORS = [status for status in _ERRORS if status != HTTPStatus.NOT_FOUND]
_COMMON_ERRORS = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
)


def body_documentation(body: type[BaseModel], many: str = "") -> dict[str, Any]:
    """`openapi_extra` and `responses` of a route that reads a `body`, or a list of them under the
    name `many`.
    """
    schema = body.model_json_schema()
    if many:
        schema = {
            "type": "object",
            "required": [many],
            "properties": {many: {"type": "array", "items": schema}},
        }
    content = {"application/json": {"schema": schema}}
    return {
        "openapi_extra": {"requestBody": {"required": True, "content": content}},
        "responses": {
            int(s): {"model": ErrorAnswer, "description": _BODY_ERRORS.get(s, _ERRORS[s])}
            for s in (*_BODY_ERRORS, *_COMMON_ERRORS)
        },
    }


_BODY_ERRORS = {
    HTTPStatus.BAD_REQUEST: _ERRORS[HTTPStatus.BAD_REQUEST],
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: _ERRORS[HTTPStatus.REQUEST_ENTITY_TOO_LARGE],
    HTTPStatus.UNPROCESSABLE_ENTITY: "A field is missing or wrong (`invalid_request`,"
    " `invalid_time`, `time_zone_missing`, `time_in_future`); the message says which.",
}


CLASSIFY_DOCUMENTATION: dict[str, Any] = {
    "openapi_extra": {"requestBody": _BODY},
    "responses": {
        200: {"model": ClassifyAnswer, **_ANSWER},
        **error_documentation(*_CLASSIFY_ERRORS),
    },
}
