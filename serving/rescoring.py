"""A history brought to another model: its messages judged anew beside the verdicts that count, the
difference told, and the two exchanged or exchanged back, customer by customer.

Each step is a transaction of its own: what is killed goes on where it was.
"""

from __future__ import annotations

import json
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from model import Verdict
from model.labels import LABELS
from serving.batcher import Scorer
from serving.index.ladder import Money, suggest
from serving.index.reading import Reading, read
from serving.index.settings import IndexSettings
from serving.index.state import fold
from serving.scoring import Thresholds, verdict_row
from serving.store.audit import record
from serving.store.database import Database
from serving.store.history import load_events
from serving.store.reads import decisions_until
from serving.store.rescored import (
    by_model,
    customers_with,
    exchange,
    judged_anew,
    keep_rescored,
    last_replacing,
    pairs,
    replaced_by,
    to_rescore,
)
from serving.store.states import States
from serving.store.tables import facts, verdicts

log = logging.getLogger(__name__)

_BATCH = 256
_PAGE = 1_000
_CUSTOMERS = 200
_SHOWN = "rescored difference"
"""The fact that says of which model the difference was shown."""
_SEED = 0
_POINT = 1.0
"""An index that moves by less is told as the same."""

Told = Callable[[int], object]
"""Hears how many messages more are done."""


class RescoringError(Exception):
    """It cannot be done now; the message says what to do first."""


def score_history(
    database: Database, scorer: Scorer, thresholds: Thresholds, told: Told = lambda _: None
) -> int:
    """Judge what other models have judged; how many messages could not be read."""
    after, unread = -1, 0
    while True:
        with database.read() as connection:
            batch = to_rescore(connection, scorer.version, after, _BATCH)
        if not batch:
            return unread
        found = _score(scorer, [row.text for row in batch])
        rows = [
            verdict_row(row.seq, row.text, verdict, thresholds)
            for row, verdict in zip(batch, found, strict=True)
            if verdict is not None
        ]
        with database.begin() as connection:
            keep_rescored(database, connection, scorer.version, rows)
        unread += len(batch) - len(rows)
        after = batch[-1].seq
        told(len(batch))


def _score(scorer: Scorer, texts: Sequence[str]) -> Sequence[Verdict | None]:
    """None for a text on which the model fails; the log gets the kind of error only."""
    try:
        return scorer.score(texts)
    except Exception as error:
        if len(texts) == 1:
            log.error("the model failed on a message: %s", type(error).__name__)
            return [None]
        return [verdict for text in texts for verdict in _score(scorer, [text])]


@dataclass(frozen=True)
class Shown:
    """How much of a difference is shown.

    Attributes:
        customers: so many, drawn at random, are read with both verdicts.
        examples: of messages for each change of a label, and of customers.
        texts: with the texts of these messages.
    """

    customers: int = 1_000
    examples: int = 5
    texts: bool = False


def difference(
    database: Database, settings: IndexSettings, model: str, shown: Shown, now: float
) -> dict[str, Any]:
    """What would change if the model's verdicts counted."""
    return {
        "model": model,
        **_of_messages(database, model, shown),
        "customers": _of_customers(database, settings, model, shown, now),
    }


def _of_messages(database: Database, model: str, shown: Shown) -> dict[str, Any]:
    """Labels that go on and off."""
    counts: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], list[dict[str, Any]]] = {}
    total = 0
    for row in _pages(database, model):
        total += 1
        for change in _label_changes(row):
            counts[change] += 1
            known = examples.setdefault(change, [])
            if len(known) < shown.examples:
                text = {"text": row.text} if shown.texts else {}
                known.append({"source": row.source, "id": row.id, **text})
    labels = {
        name: {way: counts[name, way] for way in ("on", "off")}
        for name in (*LABELS, "needs_review")
    }
    told = [{"label": n, "goes": w, **one} for (n, w), some in examples.items() for one in some]
    return {"messages": total, "labels": labels, "examples": told}


def _pages(database: Database, model: str) -> Iterator[Any]:
    after = -1
    while True:
        with database.read() as connection:
            page = pairs(connection, model, after, _PAGE)
        if not page:
            return
        yield from page
        after = page[-1].seq


def _label_changes(row: Any) -> Iterator[tuple[str, str]]:
    before, after = (_labels(json.loads(text)) for text in (row.before, row.after))
    yield from ((name, "on") for name in sorted(after - before))
    yield from ((name, "off") for name in sorted(before - after))


def _labels(verdict: dict[str, Any]) -> set[str]:
    return {*verdict["labels"], *(["needs_review"] if verdict["needs_review"] else [])}


def _of_customers(
    database: Database, settings: IndexSettings, model: str, shown: Shown, now: float
) -> dict[str, Any]:
    """Whose index, quadrant or suggested step would change, as of now."""
    names, total = _sample(_customers(database, by_model(model)), shown.customers)
    states = States(database, settings)
    changed: Counter[str] = Counter(index=0, quadrant=0, suggestion=0)
    examples: list[dict[str, Any]] = []
    for customer in names:
        with database.read() as connection:
            snapshot = states.snapshot(connection, now)
            before, after = (
                _read(connection, customer, now, settings, snapshot, judged)
                for judged in (verdicts, judged_anew(customer, model))
            )
        found = _changes(before, after)
        changed.update(found)
        if found and len(examples) < shown.examples:
            examples.append({"customer_id": customer, **_both(before, after)})
    return {"customers": total, "looked_at": len(names), **changed, "examples": examples}


@dataclass(frozen=True)
class _Standing:
    index: float
    quadrant: str
    suggestion: str


def _read(
    connection: Connection,
    customer: str,
    now: float,
    settings: IndexSettings,
    snapshot: Any,
    judged: Any,
) -> _Standing:
    state = fold(load_events(connection, customer, float("-inf"), now, judged), settings)
    reading: Reading = read(state, now, settings, snapshot)
    taken = decisions_until(connection, customer, now)
    step = suggest(reading, taken, Money(), settings).step  # money is a reason, it chooses no step
    return _Standing(reading.index, reading.quadrant, step)


def _changes(before: _Standing, after: _Standing) -> list[str]:
    found = ["index"] if abs(after.index - before.index) >= _POINT else []
    for name in ("quadrant", "suggestion"):
        found += [name] if getattr(before, name) != getattr(after, name) else []
    return found


def _both(before: _Standing, after: _Standing) -> dict[str, str]:
    return {
        "index": f"{before.index:.1f} → {after.index:.1f}",
        "quadrant": f"{before.quadrant} → {after.quadrant}",
        "suggestion": f"{before.suggestion} → {after.suggestion}",
    }


def _sample(names: Iterator[str], size: int) -> tuple[list[str], int]:
    """`size` of the names at random, the same each time (Vitter's algorithm R), and how many there
    are.
    """
    chosen = random.Random(_SEED)
    kept: list[str] = []
    total = 0
    for total, name in enumerate(names, 1):
        if len(kept) < size:
            kept.append(name)
        elif (place := chosen.randrange(total)) < size:
            kept[place] = name
    return sorted(kept), total


def _customers(database: Database, rows: ColumnElement[bool]) -> Iterator[str]:
    """All with such rows. Pages, so that no reading holds the store up."""
    after = ""
    while True:
        with database.read() as connection:
            page = customers_with(connection, rows, after, _CUSTOMERS)
        if not page:
            return
        yield from page
        after = page[-1]


def note_shown(database: Database, model: str) -> None:
    """The difference between the history and the model was shown."""
    with database.begin() as connection:
        database.upsert(connection, facts, [{"name": _SHOWN, "value": model}])


def apply(database: Database, model: str, by: str, now: float) -> int:
    """Let the model's verdicts count; how many messages got another.

    Raises:
        RescoringError: the difference was not shown yet.
    """
    with database.read() as connection:
        shown = connection.scalar(select(facts.c.value).where(facts.c.name == _SHOWN))
    if shown != model:
        raise RescoringError(
            f"the history was not judged by {model} yet: run `brandtox rescore` first, and look at"
            " the difference"
        )
    _record(database, "apply_rescored", model, by, now)
    return _exchange_all(database, by_model(model), model, now)


def undo(database: Database, by: str, now: float) -> tuple[str, int]:
    """Let the verdicts count again that were replaced last: the model whose verdicts go, and how many.

    Raises:
        RescoringError: none were replaced.
    """
    with database.read() as connection:
        model = last_replacing(connection)
    if model is None:
        raise RescoringError("no verdicts were replaced: there is nothing to undo")
    _record(database, "undo_rescored", model, by, now)
    return model, _exchange_all(database, replaced_by(model))


def _record(database: Database, action: str, model: str, by: str, now: float) -> None:
    with database.begin() as connection:
        record(connection, now, None, action, details={"model": model, "by": by})


def _exchange_all(
    database: Database, rows: ColumnElement[bool], by: str | None = None, at: float | None = None
) -> int:
    """Each customer in a transaction of its own, so that none is seen between two models."""
    total = 0
    for customer in _customers(database, rows):
        with database.begin() as connection:
            total += exchange(connection, customer, rows, by, at)
    return total
