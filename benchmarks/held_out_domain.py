"""A domain held out: a starting model that never saw it, and files of its rows to train on with.

The starting model is trained from the bundled base on the rest of the written rows, two epochs of the
messages stage. Networks are compared in float32, with their lexical part, without export.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from model.files import write_whole
from model.labels import LABELS
from training.base import BUNDLED
from training.batches import encode
from training.calibrate import fit_calibration
from training.data import Data
from training.fit import CheckpointError
from training.mixture import build_training_rows
from training.predict import predict
from training.recipe import FINAL, MESSAGES_STAGE, Stage, train_lexical, train_stage
from training.retrain import RECIPES, known_rows, split_rows, train_on
from training.rows import Row
from training.run import Run

EPOCHS = 2
_HELD_OUT, _MOST_HELD_OUT = 0.3, 1_500
_MAX_TOKENS = 256
Probabilities = NDArray[np.float64]


class Parts(NamedTuple):
    """Who learns and judges what.

    Attributes:
        start: rows of the other domains, which train the starting model and are replayed.
        calibration: half of the other domains' dev rows.
        known: the other half, to see what is forgotten.
        pool: rows of the domain that files are drawn from.
        held_out: the domain's dev rows, and a share of its training situations.
    """

    start: list[Row]
    calibration: list[Row]
    known: list[Row]
    pool: list[Row]
    held_out: list[Row]


class Try(NamedTuple):
    """One file that is trained on; `recipe` is empty for the starting model."""

    recipe: str = ""
    size: int = 0
    seed: int = 0

    @property
    def name(self) -> str:
        """Another one where the recipe is another."""
        if not self.recipe:
            return "none"
        made = hashlib.sha256(repr(RECIPES[self.recipe]).encode()).hexdigest()[:6]
        return f"{self.recipe}-{self.size}-{self.seed}-{made}"


class Outcome(NamedTuple):
    """What a try gave.

    Attributes:
        held_out, known: calibrated probabilities [rows, 3].
        seconds: processor time of training.
        trained: rows of the file that trained.
    """

    held_out: Probabilities
    known: Probabilities
    seconds: float
    trained: int


def divide(data: Data, field: str, value: str) -> Parts:
    """The written rows, and those of the domain, which may be of a corpus. No situation and no text is in
    two parts; the test split is left alone.
    """

    def of_domain(rows: list[Row]) -> list[Row]:
        labelled = (row for row in rows if row.labels.keys() >= set(LABELS))
        found = (row for row in labelled if getattr(row, field) == value)
        return [replace(row, group=situation(row)) for row in found]

    def others(rows: list[Row]) -> list[Row]:
        written = (row for row in rows if row.source == "own" and getattr(row, field) != value)
        return [row for row in written if situation(row) not in own]

    learnt = of_domain(data.train)
    judged, pool = cut(learnt, min(_HELD_OUT, _MOST_HELD_OUT / max(1, len(learnt))))
    held_out = of_domain(data.dev) + judged
    own = {situation(row) for row in held_out + pool}
    calibration, known = cut(others(data.dev), 0.5)
    start = others(data.train)
    return Parts(
        build_training_rows(start, held_out),
        calibration,
        known,
        build_training_rows(pool, held_out),
        held_out,
    )


def cut(rows: list[Row], share: float) -> tuple[list[Row], list[Row]]:
    """About a share of the rows, whole situations, and the others."""
    mixed = by_situation(rows, seed=0)
    count = round(share * len(rows))
    while 0 < count < len(mixed) and situation(mixed[count]) == situation(mixed[count - 1]):
        count += 1
    return mixed[:count], mixed[count:]


def by_situation(rows: list[Row], seed: int) -> list[Row]:
    """Situations in random order, the rows of one together: a file is the first of them, so that a
    smaller one is part of a larger one.
    """
    situations = sorted({situation(row) for row in rows})
    random.Random(seed).shuffle(situations)
    place = {name: i for i, name in enumerate(situations)}
    return sorted(rows, key=lambda row: place[situation(row)])


def situation(row: Row) -> str:
    """What a row shares with others of its situation; a row of a corpus stands alone."""
    return row.group or row.text


def train_start(folder: Path, parts: Parts, epochs: int = EPOCHS) -> Run:
    """The starting model, which never saw the domain; goes on where it was stopped.

    Raises:
        CheckpointError: the one there is of other rows or settings.
    """
    stage = replace(MESSAGES_STAGE, start="start", fit=replace(MESSAGES_STAGE.fit, epochs=epochs))
    run = Run(folder)
    _refuse_other_stage(run, stage)
    _begin(run, parts)
    if not run.weights(FINAL).exists():
        data = Data(parts.start, [], [])
        train_stage(run, data, stage)
        train_lexical(run, data)
        run.keep(run.network(MESSAGES_STAGE.name), FINAL)  # no sentence vector is judged here
    return run


def _refuse_other_stage(run: Run, stage: Stage) -> None:
    noted, settings = run.folder / "stage.txt", repr(stage)
    begun = any(run.folder.glob(f"{stage.name}.*"))
    if (noted.read_text(encoding="utf-8") if noted.exists() else "") != settings and begun:
        raise _other(run, "settings")
    run.folder.mkdir(parents=True, exist_ok=True)
    write_whole(noted, settings)


def _other(run: Run, what: str) -> CheckpointError:
    return CheckpointError(
        f"{run.folder} holds a starting model of other {what}: remove {run.folder.parent}, whose tries go"
        " on from it, or give another --run"
    )


def kept_start(folder: Path, parts: Parts) -> Run:
    """The starting model that was trained for these parts, whatever the settings of today.

    Raises:
        CheckpointError: there is none, or it is of other rows, which its tries were judged on.
    """
    run = Run(folder)
    if not run.weights(FINAL).exists():
        raise CheckpointError(f"no starting model is in {folder}: leave --report-only out")
    _begin(run, parts)
    return run


def _begin(run: Run, parts: Parts) -> None:
    try:
        run.create(BUNDLED, parts.start)
    except CheckpointError as error:
        raise _other(run, "data") from error


def attempt(start: Run, parts: Parts, which: Try, folder: Path) -> Outcome:
    """Train and read; once only. A try that was stopped starts anew, so that its time is whole."""
    kept = folder / f"{which.name}.npz"
    if not kept.exists():
        outcome = _attempt(start, parts, which, folder / which.name)
        part = kept.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, **outcome._asdict())
        part.replace(kept)
    with np.load(kept) as values:
        return Outcome(
            values["held_out"], values["known"], float(values["seconds"]), int(values["trained"])
        )


def _attempt(start: Run, parts: Parts, which: Try, folder: Path) -> Outcome:
    if not which.recipe:
        return Outcome(*_read(start, parts), 0.0, 0)
    rows = by_situation(parts.pool, which.seed)[: which.size]
    new, fresh = split_rows(rows)
    known = known_rows(parts.start, rows, fresh)
    shutil.rmtree(folder, ignore_errors=True)
    run = _continue(start, folder)
    began = time.process_time()
    train_on(run, new, known, RECIPES[which.recipe])
    seconds = time.process_time() - began
    outcome = Outcome(*_read(run, parts), seconds, len(new))
    shutil.rmtree(folder)
    return outcome


def _continue(start: Run, folder: Path) -> Run:
    """A run whose start weights are the final ones of another."""
    shutil.copytree(start.folder, folder, ignore=shutil.ignore_patterns("*.pt"))
    shutil.copy(start.weights(FINAL), folder / "start.pt")
    return Run(folder)


def _read(run: Run, parts: Parts) -> tuple[Probabilities, Probabilities]:
    """Probabilities [rows, 3] of the held-out and of the known rows, calibrated as at a release."""
    logits = _logits(run, [*parts.calibration, *parts.held_out, *parts.known])
    first, second = len(parts.calibration), len(parts.calibration) + len(parts.held_out)
    made = fit_calibration(parts.calibration, expit(logits[:first]))
    probabilities = expit(logits * made.scale + made.shift)[:, : len(LABELS)]
    return probabilities[first:second], probabilities[second:]


def _logits(run: Run, rows: list[Row]) -> NDArray[np.float32]:
    """Logits [rows, 16] of the network and the lexical part."""
    texts = [row.text for row in rows]
    logits, _ = predict(run.network(FINAL), run.tokenizer(), texts, _MAX_TOKENS)
    lexical = run.lexical()
    assert lexical is not None
    return logits.numpy() + lexical.logits(encode(run.tokenizer(), texts, _MAX_TOKENS))
