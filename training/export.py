"""From a trained network to a model folder: int8 graph, calibration, thresholds, parity gates."""

from __future__ import annotations

import datetime
import json
import random
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from model import Classifier, Verdict
from model.labels import LABELS, OUTPUTS, SCHEME, SENTIMENTS, YES_NO
from model.manifest import BALANCED, MODEL, TOKENIZER, Manifest, load_manifest, sha256
from training.batches import encode
from training.calibrate import Thresholds, choose_thresholds, fit_calibration
from training.corpora import RELABELLED
from training.data import Data
from training.graph import Calibration, build_graph
from training.predict import predict
from training.recipe import FINAL
from training.rows import Row
from training.run import Run

Probabilities = NDArray[np.float32]
_MOST_FLIPPED = 0.01
_MOST_DIFFERENCE = 0.05
_MOST_BATCH_DIFFERENCE = 0.005
_PARITY_ROWS = 1_000
_WINDOW = 256
_MEGABYTE = 1_000_000
PARITY = "parity.json"
_MOST_MEGABYTES = 45


class GateError(Exception):
    """An exported model is not the trained one, too large, or cannot be checked: it is not released."""


@dataclass(frozen=True)
class Parity:
    """How far the exported graph is from the torch network, over `rows` texts."""

    rows: int
    flipped_fp32: float
    flipped_int8: float
    difference_fp32: float
    difference_int8: float
    difference_batch: float
    megabytes: float

    def failures(self) -> list[str]:
        limits = {
            "flipped_fp32": _MOST_FLIPPED,
            "flipped_int8": _MOST_FLIPPED,
            "difference_fp32": _MOST_DIFFERENCE,
            "difference_int8": _MOST_DIFFERENCE,
            "difference_batch": _MOST_BATCH_DIFFERENCE,
            "megabytes": _MOST_MEGABYTES,
        }
        return [
            f"{name} is {getattr(self, name):.4f}, at most {limit} is allowed"
            for name, limit in limits.items()
            if not getattr(self, name) <= limit
        ]


def customer_rows(rows: list[Row]) -> list[Row]:
    """Rows of the product's own domain: written ones and real ones under our guideline."""
    return [row for row in rows if row.source in ("own", RELABELLED)]


def export(run: Run, data: Data, folder: Path, version: str) -> Parity:
    """Write a model folder: graph, tokenizer, manifest.

    Raises:
        GateError: parity or size is beyond its limit, or no dev rows are there to check it on; the
            folder is then incomplete (no manifest).
    """
    dev = customer_rows(data.dev)
    if not dev:
        raise GateError("there are no dev rows of customer messages to calibrate and check it on")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").unlink(missing_ok=True)
    (folder / TOKENIZER).write_bytes((run.folder / "tokenizer.json").read_bytes())
    texts = [row.text for row in dev]
    plain = Thresholds({name: {BALANCED: 0.5} for name in OUTPUTS}, 0.0)
    identity = Calibration.identity()
    _write_graph(run, folder, identity)
    _write_manifest(run, folder, version, identity, plain)
    calibration = fit_calibration(dev, read_probabilities(folder, texts))
    _write_graph(run, folder, calibration)
    _write_manifest(run, folder, version, calibration, plain)
    thresholds = choose_thresholds(dev, read_probabilities(folder, texts))
    _write_manifest(run, folder, version, calibration, thresholds)
    sample = random.Random(0).sample(texts, min(_PARITY_ROWS, len(texts)))
    parity = check_parity(run, folder, calibration, thresholds, sample)
    if failures := parity.failures():
        (folder / "manifest.json").unlink()
        raise GateError("; ".join(failures))
    (folder / PARITY).write_text(json.dumps(asdict(parity), indent=1) + "\n")
    manifest = load_manifest(folder)
    replace(manifest, files=manifest.files | {PARITY: sha256(folder / PARITY)}).write(folder)
    return parity


def _write_graph(run: Run, folder: Path, calibration: Calibration) -> None:
    onnx.save(_graph(run, calibration, int8=True), str(folder / MODEL))


def _write_manifest(
    run: Run, folder: Path, version: str, calibration: Calibration, thresholds: Thresholds
) -> None:
    Manifest(
        model=version,
        scheme=SCHEME,
        outputs=list(OUTPUTS),
        files={name: sha256(folder / name) for name in (MODEL, TOKENIZER)},
        thresholds=thresholds.menu,
        review_above=thresholds.review_above,
        created=datetime.date.today().isoformat(),
        base=run.base(),
        calibration={
            name: [round(float(a), 5), round(float(b), 5)]
            for name, a, b in zip(OUTPUTS, calibration.scale, calibration.shift, strict=True)
        },
    ).write(folder)


def _graph(run: Run, calibration: Calibration, int8: bool) -> onnx.ModelProto:
    state = {name: t.detach().numpy() for name, t in run.network(FINAL).state_dict().items()}
    return build_graph(state, run.config(), calibration, int8, run.lexical())


def read_probabilities(folder: Path, texts: list[str]) -> Probabilities:
    """Probabilities [texts, 16] as the classifier gives them."""
    return verdict_probabilities(Classifier.load(folder), texts)


def verdict_probabilities(classifier: Classifier, texts: list[str]) -> Probabilities:
    return probabilities_of(classifier.score(texts))


def probabilities_of(verdicts: Sequence[Verdict]) -> Probabilities:
    """The 16 probabilities of each verdict, shape [verdicts, 16]."""
    rows = [{**v.scores, **v.threat_kind, **v.signs, **v.sentiment} for v in verdicts]
    return np.array([[row[name] for name in OUTPUTS] for row in rows], np.float32)


def check_parity(
    run: Run, folder: Path, calibration: Calibration, thresholds: Thresholds, texts: list[str]
) -> Parity:
    """Compare torch and the lexical part, the float32 graph and the int8 graph, on texts that fit
    one window.
    """
    classifier = Classifier.load(folder)
    texts = [t for t, n in zip(texts, classifier.count_tokens(texts), strict=True) if n <= _WINDOW]
    torch_probabilities = _calibrated(_logits(run, texts), calibration)
    exported = _float32_probabilities(run, folder, calibration, texts)
    int8 = verdict_probabilities(classifier, texts)
    alone = np.concatenate([verdict_probabilities(classifier, [text]) for text in texts[:200]])
    menu = np.array([thresholds.menu[name][BALANCED] for name in LABELS])
    return Parity(
        rows=len(texts),
        flipped_fp32=_flipped(torch_probabilities, exported, menu),
        flipped_int8=_flipped(torch_probabilities, int8, menu),
        difference_fp32=_difference(torch_probabilities, exported),
        difference_int8=_difference(torch_probabilities, int8),
        difference_batch=float(np.abs(alone - int8[: len(alone)]).max()),
        megabytes=(folder / MODEL).stat().st_size / _MEGABYTE,
    )


def _logits(run: Run, texts: list[str]) -> NDArray[np.float32]:
    """Logits [texts, 16] before calibration: the torch network's and the lexical part's."""
    logits, _ = predict(run.network(FINAL), run.tokenizer(), texts, _WINDOW)
    lexical = run.lexical()
    if lexical is None:
        return logits.numpy()
    return logits.numpy() + lexical.logits(encode(run.tokenizer(), texts, _WINDOW))


def _float32_probabilities(
    run: Run, folder: Path, calibration: Calibration, texts: list[str]
) -> Probabilities:
    with tempfile.TemporaryDirectory() as name:
        fp32 = Path(name)
        onnx.save(_graph(run, calibration, int8=False), str(fp32 / MODEL))
        (fp32 / TOKENIZER).write_bytes((folder / TOKENIZER).read_bytes())
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["files"] = {name: sha256(fp32 / name) for name in (MODEL, TOKENIZER)}
        (fp32 / "manifest.json").write_text(json.dumps(manifest))
        return read_probabilities(fp32, texts)


def _calibrated(logits: NDArray[np.float32], calibration: Calibration) -> NDArray[np.float64]:
    scaled = logits * calibration.scale + calibration.shift
    yes_no = 1 / (1 + np.exp(-scaled[:, : len(YES_NO)]))
    powers = np.exp(scaled[:, -len(SENTIMENTS) :])
    return np.concatenate([yes_no, powers / powers.sum(1, keepdims=True)], axis=1)


def _flipped(a: NDArray[np.floating], b: NDArray[np.floating], menu: NDArray[np.float64]) -> float:
    """Share of labels that are on another side of their balanced threshold."""
    count = len(LABELS)
    return float(((a[:, :count] >= menu) != (b[:, :count] >= menu)).mean())


def _difference(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """99th percentile of the difference of probabilities, over all outputs."""
    return float(np.quantile(np.abs(a - b), 0.99))
