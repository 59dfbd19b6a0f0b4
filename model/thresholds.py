"""Thresholds of a company's own, in the place of those that a model was released with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from model.errors import ModelError
from model.labels import LABELS
from model.manifest import BALANCED, FEW_FALSE_ALARMS, Manifest

_DIGITS = 12


@dataclass(frozen=True)
class OwnThresholds:
    """What `brandtox thresholds fit` has chosen.

    Attributes:
        model: version of the model whose scores they were chosen on; they mean nothing for another.
        labels: probability from which a label is given, in (0, 1); a label that is not named keeps the
            one of the model.
    """

    model: str
    labels: Mapping[str, float]

    @property
    def fingerprint(self) -> str:
        """12 hex digits; files that say the same have the same."""
        said = json.dumps([self.model, sorted(self.labels.items())])
        return hashlib.sha256(said.encode()).hexdigest()[:_DIGITS]

    def applied(self, manifest: Manifest) -> Manifest:
        """The manifest with these thresholds; as it was where they are for another model."""
        if manifest.model != self.model:
            return manifest
        own = {name: _menu(manifest.thresholds[name], low) for name, low in self.labels.items()}
        return replace(manifest, thresholds=manifest.thresholds | own)


def _menu(released: Mapping[str, float], threshold: float) -> dict[str, float]:
    """`few_false_alarms` is never below `balanced`."""
    few = {name: max(low, threshold) for name, low in released.items() if name == FEW_FALSE_ALARMS}
    return {**released, BALANCED: threshold, **few}


def read_thresholds(path: Path) -> OwnThresholds:
    """Read and check a file of thresholds.

    Raises:
        ModelError: it is missing, or is no such file.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return OwnThresholds(_model(record), _labels(record))
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise ModelError(
            f"{path} is no file of thresholds ({error!r}): make one with `brandtox thresholds fit`, or"
            " unset BRANDTOX_THRESHOLDS"
        ) from error


def _model(record: Any) -> str:
    if not isinstance(record["model"], str) or not record["model"]:
        raise ValueError("it does not say for which model")
    return str(record["model"])


def _labels(record: Any) -> dict[str, float]:
    labels = record["thresholds"]
    if not isinstance(labels, dict) or not labels:
        raise ValueError("it has no thresholds")
    for name, value in labels.items():
        if name not in LABELS:
            raise ValueError(f"{name} is none of {', '.join(LABELS)}")
        if type(value) is not float or not 0 < value < 1:
            raise ValueError(f"the threshold of {name} is not between 0 and 1")
    return labels
