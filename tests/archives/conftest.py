"""Archives of invented messages, and `brandtox score` over the tests' tiny model."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_WORDS = "hello my order is late z q j you شكرا الطلب متاخر قوي thanks .. !".split()  # noqa: SIM905

Table = list[dict[str, Any]]
WriteCsv = Callable[..., Path]


def invented(rows: int, seed: int = 0) -> Table:
    """Messages of a few customers over a year, some of them twice, some without a text."""
    chance = random.Random(seed)
    texts = [" ".join(chance.choices(_WORDS, k=chance.randint(1, 12))) for _ in range(rows)]
    return [
        {
            "id": number,
            "customer": f"c{chance.randint(1, 9)}",
            "date": f"2024-{chance.randint(1, 12):02}-{chance.randint(1, 28):02} 10:30",
            "text": "" if number % 50 == 49 else chance.choice([text, text, texts[0]]),
        }
        for number, text in enumerate(texts)
    ]


@pytest.fixture
def write_csv(tmp_path: Path) -> WriteCsv:
    """Writes rows into a file of the test's folder."""

    def write(rows: Table, name: str = "in.csv") -> Path:
        path = tmp_path / name
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return path

    return write
