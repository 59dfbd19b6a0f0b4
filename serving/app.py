"""The HTTP application: a thin face over the classifier."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from importlib.metadata import version

from fastapi import FastAPI, Request

from model.registry import Registry
from serving import classify
from serving.access import ThisMachineOnly, needs_keys
from serving.batcher import Scorer
from serving.errors import add_error_handlers
from serving.live import Live
from serving.metrics import CountRequests
from serving.openapi import error_documentation
from serving.routes import (
    alerts,
    customers,
    decisions,
    dossier,
    drift,
    feedback,
    feeds,
    messages,
    metrics,
    models,
    portfolio,
    privacy,
    review,
)
from serving.services import open_services
from serving.settings import Settings

_DESCRIPTION = (
    "Scores customer messages in Arabic, Arabizi, English and mixtures for abuse, threat and"
    " accusatory tone, and tells them apart from a fair complaint."
)


ROUTERS = (
    classify.router,
    messages.router,
    feeds.router,
    decisions.router,
    feedback.router,
    review.router,
    alerts.router,
    privacy.router,
    customers.router,
    dossier.router,
    portfolio.router,
    drift.router,
    models.router,
    metrics.router,
)


def create_app(
    settings: Settings,
    classifier: Scorer,
    clock: Callable[[], float] = time.time,
    models: Registry | None = None,
) -> FastAPI:
    """The application over a loaded classifier; its store is opened when it starts. What is promoted
    in `models` takes the classifier's place; without a folder of models it stays.

    Raises:
        ValueError: keys are switched off on an address that others reach.
    """
    live = Live(classifier)  # kept instead of the classifier, which must be free to go

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(settings, live, clock, models) as services:
            app.state.services = services
            app.state.batcher = services.batcher
            yield
            del app.state.batcher, app.state.services

    app = FastAPI(
        title="brandtox",
        version=version("brandtox"),
        description=_DESCRIPTION,
        lifespan=lifespan,
    )
    app.state.settings = settings
    add_error_handlers(app)
    if not needs_keys(settings):
        app.add_middleware(ThisMachineOnly)
    app.add_middleware(CountRequests)
    for router in ROUTERS:
        app.include_router(router)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """The process lives."""
        return {"status": "ok"}

    @app.get("/readyz", responses=error_documentation(HTTPStatus.SERVICE_UNAVAILABLE))
    async def readyz(request: Request) -> dict[str, str]:
        """The model is loaded and requests are answered."""
        return {"status": "ready", "model": classify.batcher_of(request).classifier.version}

    return app
