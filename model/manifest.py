"""The manifest of a released model, checked at load."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from model.errors import ModelError
from model.labels import LABELS, OUTPUTS, SCHEME

RELEASED = Path(__file__).parent / "released"
MANIFEST = "manifest.json"
MODEL = "model.onnx"
TOKENIZER = "tokenizer.json"
BALANCED = "balanced"
FEW_FALSE_ALARMS = "few_false_alarms"


@dataclass(frozen=True)
class Manifest:
    """What a model folder holds and how its probabilities are read.

    Attributes:
        model: the model's version, part of every verdict.
        scheme: the label scheme; must equal `model.labels.SCHEME`.
        outputs: names of the columns of `probabilities`.
        files: SHA-256 (hex) of each file by name.
        thresholds: menu by label: `balanced` and `few_false_alarms`, each in (0, 1); the signs and
            kinds of threat have `balanced` only.
        review_margin: a verdict needs review when a label's logit is nearer to its balanced
            threshold's than this.
        window_tokens, window_overlap, max_windows: how long texts are read.
        calibration: scale and shift of each output's logit, already inside the graph.
        metrics: headline figures, for reading only.
    """

    model: str
    scheme: str
    outputs: list[str]
    files: dict[str, str]
    thresholds: dict[str, dict[str, float]]
    review_margin: float
    window_tokens: int = 256
    window_overlap: int = 32
    max_windows: int = 64
    created: str = ""
    base: str = ""
    calibration: dict[str, list[float]] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_manifest(folder: Path) -> Manifest:
    """Read and check a model folder.

    Raises:
        ModelError: it is missing, incomplete, damaged, or of another label scheme.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ModelError(f"no model in {folder}: {MANIFEST} is missing (set BRANDTOX_MODEL)")
    try:
        manifest = Manifest(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ModelError(f"{path} is not a model manifest: {error}") from error
    _check_scheme(manifest, path)
    for name in (MODEL, TOKENIZER):
        _check_file(folder / name, manifest.files.get(name))
    return manifest


def _check_scheme(manifest: Manifest, path: Path) -> None:
    if manifest.scheme != SCHEME or tuple(manifest.outputs) != OUTPUTS:
        raise ModelError(
            f"{path} is of label scheme {manifest.scheme!r}; this version of brandtox needs"
            f" {SCHEME!r}: use a model released for it"
        )
    if missing := [name for name in LABELS if BALANCED not in manifest.thresholds.get(name, {})]:
        raise ModelError(f"{path} has no balanced threshold for {', '.join(missing)}")


def _check_file(path: Path, expected: str | None) -> None:
    if not path.is_file():
        raise ModelError(f"{path} is missing: get the model folder again")
    if sha256(path) != expected:
        raise ModelError(f"{path} is damaged (its SHA-256 is not the manifest's): get it again")
