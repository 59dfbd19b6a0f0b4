"""Requests share batches: the model takes what waits when it is free, from each request in turn.

There is no timer: an idle model starts at once, a busy one finds more texts when it comes back. A
large text has a round of its own, in turn with the rounds of short ones: a short text waits for the
rounds in progress and before it, never for all the large ones that came first.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol

from prometheus_client import CollectorRegistry, Histogram

from model import Verdict
from serving.errors import ApiError, Code

_CHARACTERS_A_ROUND = 16_000
"""Text that one round takes, about 130 short messages: some tenths of a second on two cores."""
_CHARACTERS_A_TURN = 4_000
"""Text that one request may add to a round before the next request has its turn."""


class Scorer(Protocol):
    """What the service needs of a `model.Classifier`."""

    @property
    def version(self) -> str: ...

    def score(self, texts: Sequence[str]) -> list[Verdict]: ...


class Exchangeable(Scorer, Protocol):
    """A scorer whose model may be another one at the next call."""

    @property
    def current(self) -> Scorer: ...


@dataclass(eq=False)
class _Waiting:
    text: str
    scorer: Scorer
    verdict: asyncio.Future[Verdict]
    since: float = field(default_factory=time.monotonic)


class Batcher:
    """Scores texts of many requests together, off the event loop; those of one request with one model.

    Args:
        most_requests: requests scored or waiting at once.
        most_characters: text that may wait.
        registry: where the time that texts wait is counted.
    """

    def __init__(
        self,
        classifier: Exchangeable,
        most_requests: int,
        most_characters: int,
        registry: CollectorRegistry,
    ) -> None:
        self.classifier = classifier
        self._most_requests = most_requests
        self._most_characters = most_characters
        self._turns: deque[deque[_Waiting]] = deque()
        self._large_is_next = False
        self._filled = asyncio.Event()
        self._thread = ThreadPoolExecutor(1)  # writes and look-ups share the default one
        self._requests = 0
        self._characters = 0
        self._queue_seconds = Histogram(
            "brandtox_queue_seconds",
            "Seconds that a text of a request waits for the model.",
            registry=registry,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the worker while the context is open."""
        worker = asyncio.create_task(self._work())
        try:
            yield
        finally:
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Count a request for as long as the context is open, from before its body is read.

        Raises:
            ApiError: 429, too many requests are being read or scored.
        """
        if self._requests >= self._most_requests:
            raise _overloaded()
        self._requests += 1
        try:
            yield
        finally:
            self._requests -= 1

    async def score(self, texts: Sequence[str]) -> list[Verdict]:
        """Verdicts of one request's texts, in order.

        Raises:
            ApiError: 429, too much text waits already.
        """
        if not texts:
            return []
        size = sum(map(len, texts))
        if self._characters and self._characters + size > self._most_characters:
            raise _overloaded()
        loop = asyncio.get_running_loop()
        scorer = self.classifier.current
        waiting = [_Waiting(text, scorer, loop.create_future()) for text in texts]
        left = deque(waiting)
        self._characters += size
        self._turns.append(left)
        self._filled.set()
        try:
            return await asyncio.gather(*(item.verdict for item in waiting))
        finally:
            self._characters -= size
            left.clear()  # when the caller is gone, its texts must not stay in memory

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._filled.wait()
            if not (batch := self._take()):
                self._filled.clear()
                continue
            self._count_waits(batch)
            try:
                texts = [item.text for item in batch]
                scoring = loop.run_in_executor(self._thread, batch[0].scorer.score, texts)
                _answer(batch, await scoring)
            except Exception as error:  # the requests must hear of it, and the worker must live
                _fail(batch, error)

    def _count_waits(self, batch: Sequence[_Waiting]) -> None:
        now = time.monotonic()
        for item in batch:
            self._queue_seconds.observe(now - item.since)

    def _take(self) -> list[_Waiting]:
        """The next round: one large text, or short ones of each request, the requests in turn; those
        with the model of the request whose turn it is.
        """
        self._turns = deque(request for request in self._turns if request)
        turns = [r for r in self._turns if r[0].scorer is self._turns[0][0].scorer]
        short = deque(request for request in turns if not _is_large(request))
        large = [request for request in turns if _is_large(request)]
        if large and (self._large_is_next or not short):
            self._large_is_next = False
            self._to_the_back(large[0])
            return [large[0].popleft()]
        self._large_is_next = bool(large)
        batch: list[_Waiting] = []
        characters = 0
        while short and characters < _CHARACTERS_A_ROUND:
            request = short.popleft()
            taken = _take_turn(request)
            batch += taken
            characters += sum(len(item.text) for item in taken)
            self._to_the_back(request)
            if request and not _is_large(request):
                short.append(request)
        return batch

    def _to_the_back(self, request: deque[_Waiting]) -> None:
        self._turns.remove(request)
        self._turns.append(request)


def _overloaded() -> ApiError:
    return ApiError(
        HTTPStatus.TOO_MANY_REQUESTS,
        Code.OVERLOADED,
        "the service is busy: send the same request again in a moment",
        retry_after=1,
    )


def _is_large(request: deque[_Waiting]) -> bool:
    """The request's next text is longer than a turn."""
    return len(request[0].text) > _CHARACTERS_A_TURN


def _take_turn(request: deque[_Waiting]) -> list[_Waiting]:
    """Texts of one turn; a large one ends it."""
    taken: list[_Waiting] = []
    characters = 0
    while request and characters < _CHARACTERS_A_TURN and not _is_large(request):
        taken.append(request.popleft())
        characters += len(taken[-1].text)
    return taken


def _answer(batch: list[_Waiting], verdicts: list[Verdict]) -> None:
    for item, verdict in zip(batch, verdicts, strict=True):
        if not item.verdict.done():
            item.verdict.set_result(verdict)


def _fail(batch: list[_Waiting], error: Exception) -> None:
    for item in batch:
        if not item.verdict.done():
            item.verdict.set_exception(error)
