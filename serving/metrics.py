"""What Prometheus is told: the requests, the model, and how far the store is behind.

Labels hold route templates, methods, status and error codes: never what a caller wrote.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import msgspec
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from model import Verdict
from serving.batcher import Scorer
from serving.errors import Code
from serving.store.database import Database
from serving.store.states import States
from serving.store.tables import customers, messages

log = logging.getLogger(__name__)

# When each series began: as many series again, which nobody reads.
disable_created_metrics()  # type: ignore[no-untyped-call]

_OTHER = "other"
"""The route of every path that is none, and the method of every request that has none of these:"""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_STORE_SECONDS = 5.0
"""The store is asked no more often than this."""


class _Error(msgspec.Struct):
    code: Code


class _ErrorAnswer(msgspec.Struct):
    error: _Error


class RequestMetrics:
    """Counts what is answered."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "brandtox_http_requests",
            "Requests answered.",
            ("route", "method", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "brandtox_http_request_seconds",
            "Seconds from a request's head to the end of its answer.",
            ("route", "method"),
            registry=registry,
        )
        self._errors = Counter(
            "brandtox_http_errors",
            "Error answers by their code.",
            ("code",),
            registry=registry,
        )

    def count(self, scope: Scope, status: int, body: bytes, seconds: float) -> None:
        """Count an answer; `body` is that of an error, empty where none could be sent."""
        route = getattr(scope.get("route"), "path", _OTHER)
        method = scope["method"] if scope["method"] in _METHODS else _OTHER
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route, method).observe(seconds)
        if status >= 400:
            self._errors.labels(_error_code(body)).inc()


def _error_code(body: bytes) -> str:
    """The code in an error's answer, read there so that no way to an error is forgotten."""
    try:
        return msgspec.json.decode(body, type=_ErrorAnswer).error.code
    except msgspec.MsgspecError:
        return Code.INTERNAL_ERROR


class CountRequests:
    """Tells the running application's `RequestMetrics` of each answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        services = getattr(scope["app"].state, "services", None)
        if scope["type"] != "http" or services is None:
            await self._app(scope, receive, send)
            return
        status, body = 500, b""  # as it is when the application fails, which is answered outside
        began = time.perf_counter()

        async def watch(message: Message) -> None:
            nonlocal status, body
            if message["type"] == "http.response.start":
                status = message["status"]
            elif status >= 400:
                body += message.get("body", b"")
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            services.requests.count(scope, status, body, time.perf_counter() - began)


class ModelMetrics:
    """What models read, for requests and for the store alike, and which one it is."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._messages = Counter(
            "brandtox_messages_scored", "Messages that the model has read.", registry=registry
        )
        self._characters = Counter(
            "brandtox_characters_scored", "Characters of these messages.", registry=registry
        )
        self._failures = Counter(
            "brandtox_model_failures", "Batches that the model failed on.", registry=registry
        )
        self._batch = Histogram(
            "brandtox_model_batch_messages",
            "Messages given to the model at once.",
            registry=registry,
            buckets=_BATCH_SIZES,
        )
        self._seconds = Histogram(
            "brandtox_model_seconds", "Seconds in the model for a batch.", registry=registry
        )
        self._info = Info("brandtox_model", "The model that scores.", registry=registry)
        self._load_failed = Gauge(
            "brandtox_model_load_failed",
            "1 while the model in use cannot be loaded, and the one before still scores.",
            registry=registry,
        )

    def tell_model(self, version: str) -> None:
        self._info.info({"version": version})

    def tell_failure(self, failed: bool) -> None:
        self._load_failed.set(failed)

    def score(self, scorer: Scorer, texts: Sequence[str]) -> list[Verdict]:
        """Score texts, and count them."""
        with self._seconds.time(), self._failures.count_exceptions():
            verdicts = scorer.score(texts)
        self._batch.observe(len(texts))
        self._messages.inc(len(texts))
        self._characters.inc(sum(map(len, texts)))
        return verdicts


class MeasuredScorer:
    """A scorer that counts what it reads."""

    def __init__(self, scorer: Scorer, metrics: ModelMetrics) -> None:
        self._scorer = scorer
        self._metrics = metrics

    @property
    def version(self) -> str:
        return self._scorer.version

    def score(self, texts: Sequence[str]) -> list[Verdict]:
        return self._metrics.score(self._scorer, texts)

    def count_unknown(self, texts: Sequence[str]) -> tuple[int, int] | None:
        """Of the scorer, if it can tell; that is not measured."""
        count = getattr(self._scorer, "count_unknown", None)
        return None if count is None else count(texts)


class _StoreCollector(Collector):
    """How far the store is behind, read when it is asked for. Services that share a database tell the
    same.
    """

    def __init__(self, database: Database, states: States, clock: Callable[[], float]) -> None:
        self._database = database
        self._states = states
        self._clock = clock
        self._reading = threading.Lock()
        self._until = 0.0
        self._kept: list[GaugeMetricFamily] = []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """No figures where the database does not answer: the others are then needed most."""
        with self._reading:
            if time.monotonic() >= self._until:
                try:
                    self._kept = self._read()
                except SQLAlchemyError as error:
                    log.warning("the store's metrics cannot be read: %s", type(error).__name__)
                    self._kept = []
                self._until = time.monotonic() + _STORE_SECONDS
            yield from self._kept

    def _read(self) -> list[GaugeMetricFamily]:
        now = self._clock()
        with self._database.read() as connection:
            waiting, oldest = _waiting(connection)
            stale = connection.scalar(
                select(func.count()).where(customers.c.dirty_from.is_not(None))
            )
            refreshed = self._states.refreshed_at(connection)
        return [
            GaugeMetricFamily(
                "brandtox_messages_waiting", "Messages that wait for the model.", waiting
            ),
            GaugeMetricFamily(
                "brandtox_messages_waiting_oldest_seconds",
                "How long the first of these has waited; 0 where there is none.",
                _age(oldest, now),
            ),
            GaugeMetricFamily(
                "brandtox_customers_waiting",
                "Customers whose index does not know all of their events yet.",
                stale,
            ),
            GaugeMetricFamily(
                "brandtox_figures_oldest_seconds",
                "Age of the oldest figure in lists and in the portfolio; 0 where there is none.",
                _age(refreshed, now),
            ),
        ]


def _waiting(connection: Connection) -> tuple[int, float | None]:
    """How many messages wait for the model, and since when the first does (they are numbered as they
    come).
    """
    unscored = select(messages.c.received_at).where(~messages.c.scored)
    count = connection.scalar(unscored.with_only_columns(func.count()))
    return count or 0, connection.scalar(unscored.order_by(messages.c.seq).limit(1))


def open_registry(
    database: Database, states: States, clock: Callable[[], float]
) -> CollectorRegistry:
    """A registry with the figures of the process and of the store."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_StoreCollector(database, states, clock))
    return registry


def _age(since: float | None, now: float) -> float:
    return 0.0 if since is None else max(0.0, now - since)
