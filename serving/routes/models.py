"""Which models there are, and what they say of themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from model import ModelError
from model.manifest import RELEASED, Manifest, read_manifest
from model.registry import Registry, gate_of
from serving.access import allow
from serving.services import Services, services_of

_EXAMPLE: Any = {
    "model": "1.6.0",
    "created": "2026-11-23",
    "active": True,
    "base": "bundled",
    "parent": None,
    "data": None,
    "gate": None,
    "error": None,
    "size_bytes": 43_416_599,
    "thresholds": {
        "abuse": {"balanced": 0.625, "few_false_alarms": 0.837},
        "threat": {"balanced": 0.625, "few_false_alarms": 0.8413},
        "accusation": {"balanced": 0.75, "few_false_alarms": 0.7629},
        "leaving": {"balanced": 0.55},
    },
    "own_thresholds": None,
    "metrics": {
        "written": {
            "rows": 1704,
            "macro_f1": {"value": 0.825, "low": 0.8052, "high": 0.8451, "rows": 1704},
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
    parent: str | None = Field(
        description="The model that `brandtox retrain` began with; null for a release."
    )
    data: str | None = Field(description="Fingerprint of the rows that it was trained on.")
    gate: str | None = Field(
        description="Whether it was found no worse than the model before it: passed or refused; null"
        " where that was not asked."
    )
    error: str | None = Field(
        description="Why it cannot be used, though it is there; at the model in use, why none other"
        " could take its place."
    )
    size_bytes: int | None = Field(description="Its files together; null if they are gone.")
    thresholds: dict[str, dict[str, float]] = Field(
        description="By label, kind of threat or sign, then by menu (labels follow `balanced`): the"
        " probability from which it is given."
    )
    own_thresholds: str | None = Field(
        description="At the model in use, whether the company's own thresholds (setting `thresholds`)"
        " are applied: `applied`, or why not; null where there are none."
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
    """The model that scores, and all others that can be promoted, with what their release says."""
    services = services_of(request)
    live = services.live.version
    told = [] if services.models is None else list(_registered(services.models, live))
    if not any(answer.active for answer in told):
        folder = services.settings.model
        if services.models is not None:  # it was removed since it was loaded
            folder = services.models.folder / live
        told.insert(0, _answer(services.manifest, folder, active=True))
    for answer in told:
        if answer.active:
            answer.thresholds = services.manifest.thresholds
            answer.own_thresholds = _own_thresholds(services)
    failure = services.follower and services.follower.failure
    if failure:
        wanted = [answer for answer in told if answer.model == failure.model]
        for answer in wanted or [one for one in told if one.active]:
            answer.error = failure.message
    return ModelsAnswer(models=told)


def _registered(models: Registry, live: str) -> Iterator[ModelAnswer]:
    """The models of the folder; a manifest that cannot be read is told as an error."""
    for folder in models.list():
        gate = (gate_of(folder) or {}).get("verdict")
        try:
            manifest = read_manifest(folder)
            yield _answer(manifest, folder, manifest.model == live, gate)
        except ModelError as error:
            yield _answer(Manifest(folder.name, "", [], {}, {}, 1.0), None, error=str(error))


def _answer(
    manifest: Manifest,
    folder: Path | None,
    active: bool = False,
    gate: str | None = None,
    error: str | None = None,
) -> ModelAnswer:
    return ModelAnswer(
        model=manifest.model,
        created=manifest.created or None,
        active=active,
        base=manifest.base or None,
        parent=manifest.parent or None,
        data=manifest.data or None,
        gate=gate,
        error=error,
        size_bytes=None if error else _size(manifest, folder or RELEASED),
        thresholds=manifest.thresholds,
        own_thresholds=None,
        metrics=manifest.metrics,
    )


def _own_thresholds(services: Services) -> str | None:
    own, live = services.live.own_thresholds, services.live.version
    if own is None:
        return None
    if own.model == live:
        return "applied"
    return f"not applied: they are for model {own.model}; fit them anew (`brandtox thresholds fit`)"


def _size(manifest: Manifest, folder: Path) -> int | None:
    try:
        return sum((folder / name).stat().st_size for name in manifest.files)
    except OSError:
        return None
