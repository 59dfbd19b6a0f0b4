"""The model that scores now, and what takes the next one up while requests are answered."""

from __future__ import annotations

import ctypes
import gc
import logging
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model import Classifier, ModelError, Verdict
from model.manifest import RELEASED, Manifest
from model.registry import Registry
from model.thresholds import OwnThresholds, read_thresholds
from serving.batcher import Scorer
from serving.metrics import MeasuredScorer, ModelMetrics
from serving.scoring import Thresholds
from serving.settings import Settings

log = logging.getLogger(__name__)

_TRY_AGAIN_SECONDS = 60.0
"""A model that could not be loaded is tried again after this."""


def with_active_model(settings: Settings) -> Settings:
    """The settings with the folder of the model in use as `model`; without one where it is released.

    Raises:
        RegistryError: the models folder cannot be read, or the model in use is gone.
    """
    if settings.model is not None:
        return settings
    folder = Registry(settings.models).active()
    return settings if folder == RELEASED else settings.model_copy(update={"model": folder})


def load_classifier(
    folder: Path | None, threads: int | None, thresholds: Path | None
) -> Classifier:
    """A model with the company's own thresholds; the log says so where they are for another one.

    Raises:
        ModelError: the model or the file of thresholds cannot be read.
    """
    own = read_thresholds(thresholds) if thresholds else None
    classifier = Classifier.load(folder, threads, own)
    if own is not None and own.model != classifier.version:
        log.error(
            "the thresholds in %s are NOT applied: they are for model %s, and %s scores with those that"
            " it was released with. Fit them anew: brandtox thresholds fit",
            thresholds,
            own.model,
            classifier.version,
        )
    return classifier


class Live:
    """A scorer whose model can be exchanged.

    Who must not get verdicts of two models at once keeps `current`, which never changes; a model that
    is no longer used ends with the last one who keeps it.
    """

    def __init__(self, scorer: Scorer) -> None:
        self._metrics: ModelMetrics | None = None
        self._thresholds: dict[str, Thresholds] = {}
        self._retired: weakref.ref[Scorer] | None = None
        self.own_thresholds = own_thresholds_of(scorer)
        self._install(scorer, manifest_of(scorer))

    def measure(self, metrics: ModelMetrics) -> None:
        """Count from now on what is read."""
        self._metrics = metrics
        self._install(*self._used)

    def _install(self, scorer: Scorer, manifest: Manifest) -> None:
        self._thresholds[manifest.model] = manifest.thresholds
        if self._metrics is not None:
            scorer = MeasuredScorer(scorer, self._metrics)
            self._metrics.tell_model(manifest.model)
        self._used = scorer, manifest

    @property
    def current(self) -> Scorer:
        return self._used[0]

    @property
    def manifest(self) -> Manifest:
        return self._used[1]

    @property
    def version(self) -> str:
        return self.manifest.model

    def score(self, texts: Sequence[str]) -> list[Verdict]:
        return self.current.score(texts)

    def count_unknown(self, texts: Sequence[str]) -> tuple[int, int] | None:
        """As of `Classifier.count_unknown`; None for a stand-in that cannot tell."""
        count = getattr(self.current, "count_unknown", None)
        return None if count is None else count(texts)

    def thresholds_of(self, model: str) -> Thresholds:
        """The menu of a model that has scored here."""
        return self._thresholds.get(model, self.manifest.thresholds)

    def exchange(self, scorer: Scorer) -> None:
        """Score what comes from now on with another model."""
        self._retired = weakref.ref(self._used[0])
        self.own_thresholds = own_thresholds_of(scorer)
        self._install(scorer, manifest_of(scorer))

    def is_retiring(self) -> bool:
        """Whether somebody still waits for the model before this one, which is in memory until then."""
        if self._retired is not None and self._retired() is not None:
            gc.collect()  # nobody may hold it but a cycle
        return self._retired is not None and self._retired() is not None


@dataclass(frozen=True)
class Failure:
    """Why a model that should be in use could not be taken up: the one before still scores."""

    model: str
    message: str


class Follower:
    """Looks which model is in use, and has it taken up; where it cannot be loaded, the old one stays.

    Args:
        threads: as of `Classifier.load`.
        seconds: how often it looks.
        thresholds: the company's own, in a file that is read again with each model.
    """

    def __init__(
        self,
        live: Live,
        registry: Registry,
        metrics: ModelMetrics,
        threads: int | None,
        seconds: float,
        thresholds: Path | None = None,
    ) -> None:
        self.failure: Failure | None = None
        self._live = live
        self._registry = registry
        self._metrics = metrics
        self._threads = threads
        self._seconds = seconds
        self._thresholds = thresholds
        self._rest_until = float("-inf")
        self._exchanged = False  # and what the old model had is not given back yet
        self._stop = threading.Event()

    def stop(self) -> None:
        self._stop.set()

    def run(self) -> None:
        """Look until stopped."""
        while not self._stop.wait(self._seconds):
            self.turn()

    def turn(self) -> None:
        """Look once. A third model is not loaded before the one that retires is out of memory."""
        wanted = self._live.version
        try:
            wanted = self._registry.active_id()
            if self._exchanged and not self._live.is_retiring():
                _give_memory_back()
                self._exchanged = False
            if wanted == self._live.version:
                self._tell(None)
            elif self._may_load(wanted) and not self._exchanged:
                self._live.exchange(self._load())
                self._exchanged = True
                log.warning("model %s scores from now on", self._live.version)
                self._tell(None)
        except Exception as error:
            message = str(error) if isinstance(error, ModelError) else repr(error)
            self._fail(Failure(wanted, message))

    def _may_load(self, model: str) -> bool:
        failed = self.failure is not None and self.failure.model == model
        return not failed or time.monotonic() >= self._rest_until

    def _load(self) -> Classifier:
        return load_classifier(self._registry.active(), self._threads, self._thresholds)

    def _fail(self, failure: Failure) -> None:
        if failure != self.failure or time.monotonic() >= self._rest_until:
            log.error(
                "the model in use cannot be taken up, %s still scores: %s",
                self._live.version,
                failure.message,
            )
            self._rest_until = time.monotonic() + _TRY_AGAIN_SECONDS
        self._tell(failure)

    def _tell(self, failure: Failure | None) -> None:
        self.failure = failure
        self._metrics.tell_failure(failure is not None)


def _give_memory_back() -> None:
    """Glibc keeps what is freed, as much as a model at each exchange; other libraries need no telling."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def manifest_of(scorer: Scorer) -> Manifest:
    """The model's manifest; for a stand-in without one, one that says nothing (a threshold is then one
    half everywhere).
    """
    empty = Manifest(scorer.version, "", [], {}, {}, review_above=1.0)
    return getattr(scorer, "manifest", empty)


def own_thresholds_of(scorer: Scorer) -> OwnThresholds | None:
    """The company's own thresholds that the model was loaded with, whether or not they are for it."""
    return getattr(scorer, "own_thresholds", None)
