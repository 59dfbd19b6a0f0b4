"""The manifest of a released model, checked at load."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from model.errors import ModelError
from model.files import write_whole
from model.labels import LABELS, OUTPUTS, SCHEME

RELEASED = Path(__file__).parent / "released"
MANIFEST = "manifest.json"
MODEL = "model.onnx"
TOKENIZER = "tokenizer.json"
BALANCED = "balanced"
FEW_FALSE_ALARMS = "few_false_alarms"
_MARKS = 2  # a window begins and ends with a mark
_GET_AGAIN = "get the model folder again, or set BRANDTOX_MODEL to another"


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
        review_above: a verdict needs review when the chance (0 to 1) that one of its three labels
            is wrong exceeds this.
        window_tokens, window_overlap, max_windows: how long texts are read.
        base: the encoder that it was trained from.
        parent: version of the model that it was trained on from; empty for none.
        data: fingerprint of the rows that it was trained on; empty where it was not kept.
        calibration: scale and shift of each output's logit, already inside the graph.
        metrics: headline figures, for reading only.
    """

    model: str
    scheme: str
    outputs: list[str]
    files: dict[str, str]
    thresholds: dict[str, dict[str, float]]
    review_above: float
    window_tokens: int = 256
    window_overlap: int = 32
    max_windows: int = 64
    created: str = ""
    base: str = ""
    parent: str = ""
    data: str = ""
    calibration: dict[str, list[float]] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """A kill leaves the manifest before or this one."""
        record = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        write_whole(folder / MANIFEST, record + "\n")


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_manifest(folder: Path) -> Manifest:
    """Read and check a model folder, each of its files too.

    Raises:
        ModelError: it is missing, incomplete, damaged, or of another label scheme.
    """
    manifest = read_manifest(folder)
    for name in {MODEL, TOKENIZER, *manifest.files}:
        _check_file(folder / name, manifest.files.get(name))
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """What a model folder says of itself; its other files are not looked at.

    Raises:
        ModelError: the manifest is missing, damaged, or of another label scheme.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ModelError(f"no model in {folder}: {MANIFEST} is missing (set BRANDTOX_MODEL)")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        _check_scheme(record, path)
        manifest = Manifest(**record)
        _check_values(manifest)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{path} is not a model manifest ({error}): {_GET_AGAIN}") from error
    return manifest


def _check_scheme(record: dict[str, Any], path: Path) -> None:
    """Checked before anything else: a manifest of another scheme may have other fields."""
    scheme = record.get("scheme")
    if scheme != SCHEME:
        raise ModelError(
            f"{path} is of label scheme {scheme!r}; this version of brandtox needs {SCHEME!r}:"
            " use a model released for it"
        )


def _check_values(manifest: Manifest) -> None:
    """Refuse now what would fail at a request.

    Raises:
        ValueError, TypeError, AttributeError: a value is out of range or of another type.
    """
    if not isinstance(manifest.model, str) or not manifest.model:
        raise ValueError("it has no version")
    told = manifest.created, manifest.base, manifest.parent, manifest.data
    if not all(isinstance(text, str) for text in told):
        raise TypeError("its origin is not told in words")
    if tuple(manifest.outputs) != OUTPUTS:
        raise ValueError("its outputs are not those of the label scheme")
    for name in LABELS:
        if not 0 < manifest.thresholds.get(name, {}).get(BALANCED, 0) < 1:
            raise ValueError(f"it has no balanced threshold for {name}")
    if not 0 <= manifest.review_above <= 1:
        raise ValueError("its review_above is no probability")
    sizes = manifest.window_tokens, manifest.window_overlap, manifest.max_windows
    if not all(isinstance(size, int) for size in sizes):
        raise TypeError("its window sizes are not whole numbers")
    if not 0 <= manifest.window_overlap < manifest.window_tokens - _MARKS:
        raise ValueError("its windows do not move on")
    if manifest.max_windows < 1:
        raise ValueError("it reads no window")
    if not isinstance(manifest.files, dict):
        raise TypeError("it lists no files")


def _check_file(path: Path, expected: str | None) -> None:
    if not path.is_file():
        raise ModelError(f"{path} is missing: {_GET_AGAIN}")
    if sha256(path) != expected:
        raise ModelError(f"{path} is damaged (its SHA-256 is not the manifest's): {_GET_AGAIN}")
