"""The HTTP application: a thin face over the classifier."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from importlib.metadata import version

from fastapi import FastAPI, Request

from serving import classify
from serving.batcher import Batcher, Scorer
from serving.errors import add_error_handlers
from serving.openapi import error_documentation
from serving.settings import Settings

_DESCRIPTION = (
    "Scores customer messages in Arabic, Arabizi, English and mixtures for abuse, threat and"
    " accusatory tone, and tells them apart from a fair complaint."
)


def create_app(settings: Settings, classifier: Scorer) -> FastAPI:
    """The application over a loaded classifier."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        batcher = Batcher(
            classifier, settings.max_concurrent_requests, settings.max_waiting_characters
        )
        async with batcher.running():
            app.state.batcher = batcher
            yield
            del app.state.batcher

    app = FastAPI(
        title="brandtox",
        version=version("brandtox"),
        description=_DESCRIPTION,
        lifespan=lifespan,
    )
    app.state.settings = settings
    add_error_handlers(app)
    app.include_router(classify.router)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """The process lives."""
        return {"status": "ok"}

    @app.get("/readyz", responses=error_documentation(HTTPStatus.SERVICE_UNAVAILABLE))
    async def readyz(request: Request) -> dict[str, str]:
        """The model is loaded and requests are answered."""
        return {"status": "ready", "model": classify.batcher_of(request).classifier.version}

    return app
