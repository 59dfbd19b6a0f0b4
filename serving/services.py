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
from serving.access import Access
from serving.batcher import Batcher, Scorer
from serving.kept import Kept
from serving.metrics import MeasuredScorer, RequestMetrics, open_registry
from serving.scoring import Thresholds
from serving.settings import Settings
from serving.store.database import Database
from serving.store.states import States
from serving.webhooks import Deliverer, WebhookError, check_url
from serving.worker import Worker


@dataclass(frozen=True)
class Services:
    """One application's parts.

    Attributes:
        clock: seconds since 1970; the only clock that routes and store read.
        manifest: what the model says of itself.
        registry: the metrics of this application.
        kept_support: what the portfolio tells of support.
    """

    settings: Settings
    database: Database
    states: States
    access: Access
    batcher: Batcher
    worker: Worker
    manifest: Manifest
    registry: CollectorRegistry
    requests: RequestMetrics
    clock: Callable[[], float]
    kept_support: Kept = field(default_factory=Kept)

    @property
    def thresholds(self) -> Thresholds:
        """The model's menu by output."""
        return self.manifest.thresholds


def services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


@asynccontextmanager
async def open_services(
    settings: Settings, classifier: Scorer, clock: Callable[[], float] = time.time
) -> AsyncIterator[Services]:
    """Open the store and start the scorer; both end with the context."""
    database = Database(settings.database_url.get_secret_value())
    try:
        database.migrate()
        states = States(database, settings)
        states.check_settings()
        access = Access(settings, database, clock)
        manifest = manifest_of(classifier)
        registry = open_registry(database, states, clock)
        measured = MeasuredScorer(classifier, registry)
        worker = Worker(
            database,
            states,
            measured,
            manifest.thresholds,
            settings.store_text,
            settings.retention_days,
            clock,
        )
        batcher = Batcher(
            measured, settings.max_concurrent_requests, settings.max_waiting_characters, registry
        )
        webhook = webhook_of(settings)
        deliverer = Deliverer(database, *webhook, clock) if webhook else None
        async with batcher.running():
            with _running(worker, "brandtox-scorer"), _running(deliverer, "brandtox-webhook"):
                yield Services(
                    settings,
                    database,
                    states,
                    access,
                    batcher,
                    worker,
                    manifest,
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


def manifest_of(classifier: Scorer) -> Manifest:
    """The model's manifest; for a stand-in without one, one that says nothing (a threshold is then one
    half everywhere).
    """
    empty = Manifest(classifier.version, "", [], {}, {}, review_above=1.0)
    return getattr(classifier, "manifest", empty)
