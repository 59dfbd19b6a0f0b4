"""Rate of `brandtox score --engine ray` beside that of the local engine, on the cores of one machine.

    python -m benchmarks.cluster            writes docs/cluster.json, and the figures in docs/cluster.md

Distinct messages of about 24 tokens with two hundred customers, in equal parts. Rates leave out the start:
they are of the whole run less one on a few rows. It does not measure several machines.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.speed import _BRANDTOX, distinct, texts_of_about_24_tokens
from model import Classifier
from serving.archives.chunks import ROWS
from serving.archives.meaning import understand
from serving.archives.parts import Work, score_part, write_customers
from serving.archives.remote import open_parquet
from serving.archives.row import ReadOptions
from serving.settings import Settings

_ROWS = 8_192
_FEW = 32
_CUSTOMERS = 200
_TIMES = 8
_DOCUMENT, _RESULT = Path("docs/cluster.md"), Path("docs/cluster.json")
_BEGIN, _END = "<!-- figures: written by benchmarks/cluster.py -->", "<!-- end of figures -->"


def write_archive(path: Path, texts: list[str]) -> None:
    rows = range(len(texts))
    columns = {
        "customer": [f"c-{i % _CUSTOMERS}" for i in rows],
        "sent_at": [f"2024-{i % 12 + 1:02}-{i % 28 + 1:02} 10:30" for i in rows],
        "text": texts,
    }
    pq.write_table(pa.table(columns), path)


def seconds(archive: Path, output: Path, engine: str, threads: int) -> float:
    options = ["--engine", engine, "--threads", str(threads), "--quiet", "-o", str(output)]
    began = time.perf_counter()
    subprocess.run([_BRANDTOX, "score", str(archive), *options], check=True)
    return time.perf_counter() - began


def measure() -> dict[str, Any]:
    classifier = Classifier.load()
    texts = distinct(texts_of_about_24_tokens(classifier), _ROWS)
    load = round(os.getloadavg()[0], 1)
    rates: dict[str, dict[str, float]] = {"local": {}, "ray": {}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        many, few = folder / "many.parquet", folder / "few.parquet"
        write_archive(many, texts)
        write_archive(few, texts[:_FEW])
        outputs = {"local": ".parquet", "ray": ""}
        starts = {e: seconds(few, folder / f"few-{e}{s}", e, 2) for e, s in outputs.items()}
        for threads in (1, 2):
            for engine, suffix in outputs.items():
                taken = seconds(many, folder / f"{engine}-{threads}{suffix}", engine, threads)
                rates[engine][str(threads)] = round((_ROWS - _FEW) / (taken - starts[engine]), 1)
        driver = customers_rate(many, folder / "driver", classifier)
        difference = largest_difference(folder / "local-2.parquet", folder / "ray-2")
    return {
        "model": classifier.version,
        "cores": len(os.sched_getaffinity(0)),
        "rows": _ROWS,
        "rows_a_second": rates,
        "start_seconds": {engine: round(start, 1) for engine, start in starts.items()},
        "customers_rows_a_second": round(driver),
        "largest_difference": difference,
        "load": load,
    }


def customers_rate(archive: Path, output: Path, classifier: Classifier) -> float:
    """Rows a second that the driver takes up into the customers' file."""
    (source,) = open_parquet([str(archive)])
    (meaning,) = understand([source], ReadOptions())
    work = Work(
        archives=[source],
        meanings=[meaning],
        schema=source.schema,
        output=str(output),
        model=None,
        version=classifier.version,
        most_characters=100_000,
        part_rows=ROWS,
        own_thresholds=None,
    )
    part = work.parts[0]
    score_part(work, part, classifier)
    began = time.perf_counter()
    write_customers(work, [part] * _TIMES, Settings(), classifier.manifest)
    return _TIMES * part.rows / (time.perf_counter() - began)


def largest_difference(local: Path, ray: Path) -> float:
    """Of any probability; all labels are equal."""
    one, other = pq.read_table(local), pq.read_table(ray)
    assert one["labels"] == other["labels"]
    names = [field.name for field in one.schema if pa.types.is_floating(field.type)]
    return max(
        abs(float(a) - float(b))
        for name in names
        for a, b in zip(one[name].to_pylist(), other[name].to_pylist(), strict=True)
    )


def to_markdown(result: dict[str, Any]) -> str:
    rates, starts = result["rows_a_second"], result["start_seconds"]
    lines = [
        f"Model `{result['model']}`, {result['rows']:,} distinct messages of about 24 tokens on a machine"
        f" of {result['cores']} cores, whose load was {result['load']} before the runs: above zero they"
        " had other work, too, and no figure here shows what they can do alone.",
        "",
        "| | local engine | ray | ray against local |",
        "|---|---|---|---|",
    ]
    for threads, name in (("1", "one core"), ("2", "two cores")):
        local, ray = rates["local"][threads], rates["ray"][threads]
        lines.append(f"| rows a second, {name} | {local} | {ray} | {ray / local:.2f} × |")
    scaled = [f"{rates[e]['2'] / rates[e]['1']:.2f} ×" for e in ("local", "ray")]
    lines.append(f"| two cores against one | {scaled[0]} | {scaled[1]} | |")
    lines.append(f"| seconds to start and end | {starts['local']} | {starts['ray']} | |")
    driver = result["customers_rows_a_second"]
    lines.append(f"| rows a second into the customers' file | | {driver:,} | |")
    lines.append(f"| cores that score as much | | {driver / rates['ray']['1']:.0f} | |")
    lines += ["", f"All labels were equal; the largest difference of a probability was"
              f" {result['largest_difference']:.4f}."]  # fmt: skip
    return "\n".join(lines)


def write(result: dict[str, Any]) -> None:
    _RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    before, _, rest = _DOCUMENT.read_text(encoding="utf-8").partition(_BEGIN)
    after = rest.partition(_END)[2]
    figures = f"{_BEGIN}\n\n{to_markdown(result)}\n\n{_END}"
    _DOCUMENT.write_text(before + figures + after, encoding="utf-8")


if __name__ == "__main__":
    write(measure())
