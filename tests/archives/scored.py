"""Rows of a scored archive, and lines of its customers file, made by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from model.labels import LABELS, SENTIMENTS, SIGNS
from serving.archives.chunks import Scored
from serving.archives.customer_lines import COLUMNS
from serving.archives.row import Message

NOON = datetime(2024, 3, 4, 12, tzinfo=UTC).timestamp()
"""A Monday."""

DAY = 86_400.0


def said(text: str, *labels: str, score: float = 0.9, **about: Any) -> Scored:
    """A message; `about` are roles of the message, or columns of its scores."""
    scores: dict[str, Any] = {label: score if label in labels else 0.1 for label in LABELS}
    scores |= dict(zip(SENTIMENTS, (0.8, 0.1, 0.1) if labels else (0.1, 0.8, 0.1), strict=True))
    scores |= dict.fromkeys(SIGNS, 0.0) | {"labels": list(labels), "language": "en"}
    scores["threat_kind"] = None
    scores |= {"needs_review": False, "truncated": False, "model": "9.9.9"}
    scores |= {name: about.pop(name) for name in list(about) if name in scores}
    return Scored("a.csv", Message(text, **about), scores, None)


def failed(error: str) -> Scored:
    return Scored("a.csv", None, {}, error)


SILENT = Scored("a.csv", None, {}, None)


def line(customer: str, index: float, quadrant: str | None, **more: Any) -> dict[str, Any]:
    """A customer of the customers file."""
    return (
        dict.fromkeys(COLUMNS)
        | dict.fromkeys(LABELS, 1)
        | {
            "customer_id": customer,
            "understood_customer": customer,
            "messages_in": 5,
            "messages": 9,
            "evidence": [],
            "pain_reasons": [],
        }
        | {"index": index, "index_low": max(index - 9, 0.0), "index_high": min(index + 9, 100.0)}
        | {"quadrant": quadrant, "pain": 50.0 if quadrant in ("hurt", "inflamed") else 5.0}
        | {"prepare_separation": False, "step": {"hurt": "repair"}.get(quadrant or "", "warning")}
        | more
    )
