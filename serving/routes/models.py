"""Which models there are, and what they say of themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from model.manifest import RELEASED, Manifest
from serving.access import allow
from serving.services import Services, services_of

_EXAMPLE: Any = {
    "model": "1.2.0",
    "created": "2026-11-22",
    "active": True,
    "base": "bundled",
    "size_bytes": 43_415_724,
    "thresholds": {
        "abuse": {"balanced": 0.75, "few_false_alarms": 0.833},
        "threat": {"balanced": 0.85, "few_false_alarms": 0.85},
        "accusation": {"balanced": 0.625, "few_false_alarms": 0.8322},
        "leaving": {"balanced": 0.17},
    },
    "metrics": {
        "written": {
            "rows": 1704,
            "macro_f1": {"value": 0.728, "low": 0.7021, "high": 0.7494, "rows": 1704},
        }
    },
}


class ModelAnswer(BaseModel):
    """What a model says of itself."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    model: str = Field(description="Its version, as in verdicts.")
    created: str | None = Field(description="The day on which it was released (ISO 8601).")
    active: bool = Field(description="Whether it scores what comes now.")
    base: str | None = Field(description="The encoder that it was trained from.")
    size_bytes: int | None = Field(description="Its files together; null if they are gone.")
    thresholds: dict[str, dict[str, float]] = Field(
        description="By label, kind of threat or sign, then by menu (labels follow `balanced`): the"
        " probability from which it is given."
    )
    metrics: dict[str, Any] = Field(
        description="By set of held-out messages, with 95 % intervals: what it did before release."
    )


class ModelsAnswer(BaseModel):
    """The models of this service."""

    models: list[ModelAnswer]


router = APIRouter(tags=["models"], dependencies=[Depends(allow("read"))])


@router.get("/models")
def get_models(request: Request) -> ModelsAnswer:
    """The model that scores, and what its release says of it."""
    return ModelsAnswer(models=[_active(services_of(request))])


def _active(services: Services) -> ModelAnswer:
    manifest = services.manifest
    return ModelAnswer(
        model=manifest.model,
        created=manifest.created or None,
        active=True,
        base=manifest.base or None,
        size_bytes=_size(manifest, services.settings.model or RELEASED),
        thresholds=manifest.thresholds,
        metrics=manifest.metrics,
    )


def _size(manifest: Manifest, folder: Path) -> int | None:
    try:
        return sum((folder / name).stat().st_size for name in manifest.files)
    except OSError:
        return None
