"""An archive that lies in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from serving.archives.row import Row


@dataclass(frozen=True)
class NoFile:
    name: str = "messages.csv"
    path: Path = Path("messages.csv")

    def open(self) -> BinaryIO:
        return BytesIO()

    def fingerprint(self) -> str:
        return ""


@dataclass(frozen=True)
class Table:
    """Rows by their fields; those of JSON lines have no columns told before."""

    records: Sequence[dict[str, Any] | Row]
    columns: list[str] | None = None
    format: str = "csv"
    source: NoFile = field(default_factory=NoFile)
    schema: pa.Schema | None = None
    understood: list[str] = field(default_factory=list)

    def rows(self) -> Iterator[Row]:
        for record in self.records:
            yield record if isinstance(record, Row) else Row(record)


def table(header: str, *lines: str) -> Table:
    """A CSV: names and values between bars."""
    names = [name.strip() for name in header.split("|")]
    records = [dict(zip(names, map(str.strip, line.split("|")), strict=True)) for line in lines]
    return Table(records, names)
