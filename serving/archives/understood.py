"""The columns of the output that tell what was understood: the same whatever the input's columns are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from serving.times import maybe_wire_time

UNDERSTOOD = pa.schema(
    [
        ("understood_customer", pa.string()),
        ("understood_sent_at", pa.timestamp("us", tz="UTC")),
        ("understood_direction", pa.string()),
        ("understood_text", pa.string()),
    ]
)
"""Null where a row does not tell."""


def understood(message: Mapping[str, Any] | None) -> dict[str, str | None]:
    """These columns of a row, by the message in it (`row.Message`); the time as RFC 3339."""
    if message is None:
        return dict.fromkeys(UNDERSTOOD.names)
    return {
        "understood_customer": message["customer"],
        "understood_sent_at": maybe_wire_time(message["at"]),
        "understood_direction": message["direction"] if message["has_side"] else None,
        "understood_text": message["text"],
    }
