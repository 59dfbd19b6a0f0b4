"""What the routes work with: opened with the application, closed with it."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from fastapi import Request
from prometheus_client import CollectorRegistry

from model.manifest import Manifest
from model.registry import Registry
from serving.access import Access
from serving.batcher import Batcher
from serving.kept import Kept
from serving.live import Follower, Live
from serving.metrics import ModelMetrics, RequestMetrics, open_registry
from serving.scoring import Thresholds
from serving.settings import Settings
from serving.store.database import Database
from serving.store.states import States
from serving.watch import DriftWatch
from serving.webhooks import Deliverer, WebhookError, check_url
from serving.worker import Worker


@dataclass(frozen=True)
class Services:
    """One application's parts.

    Attributes:
        clock: seconds since 1970; the only clock that routes and store read.
        live: the model that scores now.
        models: the models folder whose promotions are followed; None where the model is fixed.
        follower: what takes promoted models up; None likewise.
        registry: the metrics of this application.
        kept_support: what the portfolio tells of support.
    """

    settings: Settings
    database: Database
    states: States
    access: Access
    batcher: Batcher
    worker: Worker
    live: Live
    models: Registry | None
    follower: Follower | None
    registry: CollectorRegistry
    requests: RequestMetrics
    clock: Callable[[], float]
    kept_support: Kept = field(default_factory=Kept)

    @property
    def manifest(self) -> Manifest:
        """What the model that scores now says of itself."""
        return self.live.manifest

    @property
    def thresholds(self) -> Thresholds:
        """Its menu by output."""
        return self.manifest.thresholds


def services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


@asynccontextmanager
async def open_services(
    settings: Settings,
    live: Live,
    clock: Callable[[], float] = time.time,
    models: Registry | None = None,
) -> AsyncIterator[Services]:
    """Open the store, start the scorer, and follow promotions; all end with the context."""
    database = Database(settings.database_url.get_secret_value())
    try:
        database.migrate()
        states = States(database, settings)
        states.check_settings()
        access = Access(settings, database, clock)
        registry = open_registry(database, states, clock)
        metrics = ModelMetrics(registry)
        live.measure(metrics)
        follower = None
        if models is not None:
            pause = settings.models_poll_seconds
            own = settings.thresholds
            follower = Follower(live, models, metrics, settings.threads, pause, own)
        kept_days = settings.retention_days
        watch = DriftWatch(database, live.thresholds_of, live.count_unknown, kept_days, clock)
        worker = Worker(
            database,
            states,
            live,
            live.thresholds_of,
            settings.store_text,
            kept_days,
            clock,
            watch.turn,
        )
        batcher = Batcher(
            live, settings.max_concurrent_requests, settings.max_waiting_characters, registry
        )
        webhook = webhook_of(settings)
        deliverer = Deliverer(database, *webhook, clock) if webhook else None
        async with batcher.running():
            with (
                _running(worker, "brandtox-scorer"),
                _running(deliverer, "brandtox-webhook"),
                _running(follower, "brandtox-models"),
            ):
                yield Services(
                    settings,
                    database,
                    states,
                    access,
                    batcher,
                    worker,
                    live,
                    models,
                    follower,
                    registry,
                    RequestMetrics(registry),
                    clock,
                )
    finally:
        database.close()


class _Loop(Protocol):
    def run(self) -> None: ...

    def stop(self) -> None: ...


@contextmanager
def _running(loop: _Loop | None, name: str) -> Iterator[None]:
    """Run a loop in a thread while the context is open."""
    if loop is None:
        yield
        return
    thread = threading.Thread(target=loop.run, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.stop()
        thread.join()


def webhook_of(settings: Settings) -> tuple[str, str] | None:
    """The URL and the secret of the webhook; None when none is set.

    Raises:
        WebhookError: it has no secret, or a URL that cannot be used.
    """
    if settings.webhook_url is None:
        return None
    secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else ""
    if not secret:
        raise WebhookError("set BRANDTOX_WEBHOOK_SECRET: webhooks are signed")
    check_url(settings.webhook_url)
    return settings.webhook_url, secret
