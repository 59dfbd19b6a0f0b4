"""What several tests use: stand-ins for the model, and changed copies of a model folder."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from model import Verdict
from model.labels import LABELS, SENTIMENTS, SIGNS, THREAT_KINDS
from model.manifest import MANIFEST, MODEL, sha256

LOUD = {"abuse": "z", "threat": "q", "accusation": "j"}
"""One of these letters anywhere in a text gives the test model's label."""

Json = dict[str, Any]

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC).timestamp()
"""When tests of the store take place: a Wednesday noon."""


class Clock:
    """Stands still until it is moved."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


async def eventually(holds: Callable[[], Any], seconds: float = 60) -> Any:
    """What `holds` returns once that is something: for what another thread is about to do."""
    end = time.monotonic() + seconds
    while not (found := await asyncio.to_thread(holds)):
        assert time.monotonic() < end, "it never came true"
        await asyncio.sleep(0.01)
    return found


def verdict(text: str = "") -> Verdict:
    """A verdict that shows which text it is of: the score of abuse is a hundredth of its length."""
    return Verdict(
        language="en",
        script="Latn",
        scores=dict.fromkeys(LABELS, 0.0) | {"abuse": len(text) / 100},
        labels=(),
        threat_kind=dict.fromkeys(THREAT_KINDS, 0.0),
        sentiment=dict.fromkeys(SENTIMENTS, 1 / 3),
        signs=dict.fromkeys(SIGNS, 0.0),
        needs_review=False,
        truncated=False,
        model="fake",
        vector=np.zeros(256, np.float32),
    )


class FakeScorer:
    """Scores by a function of one text, and remembers every call."""

    version = "fake"

    def __init__(self, score_one: Callable[[str], Verdict] = verdict) -> None:
        self.calls: list[list[str]] = []
        self._score_one = score_one

    def score(self, texts: Sequence[str]) -> list[Verdict]:
        self.calls.append(list(texts))
        return [self._score_one(text) for text in texts]


def changed_folder(folder: Path, target: Path, **changes: Any) -> Path:
    """A copy of a model folder whose manifest has other values."""
    shutil.copytree(folder, target)
    record = json.loads((target / MANIFEST).read_text(encoding="utf-8")) | changes
    (target / MANIFEST).write_text(json.dumps(record), encoding="utf-8")
    return target


def sealed(folder: Path) -> Path:
    """Write the graph's present hash into the manifest, as if it had been released so."""
    record = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    record["files"][MODEL] = sha256(folder / MODEL)
    (folder / MANIFEST).write_text(json.dumps(record), encoding="utf-8")
    return folder


class HeldScorer(FakeScorer):
    """Scores like its base, but only after `release`: a slow model."""

    def __init__(self) -> None:
        super().__init__()
        self._released = threading.Event()
        self._called = threading.Event()

    def score(self, texts: Sequence[str]) -> list[Verdict]:
        verdicts = super().score(texts)
        self._called.set()
        assert self._released.wait(120), "nobody released the model"
        return verdicts

    def release(self) -> None:
        self._released.set()

    async def is_called(self) -> None:
        """Returns when the model has begun to score."""
        assert await asyncio.to_thread(self._called.wait, 120), "the model was never called"
