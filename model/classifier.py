"""The classifier: texts in, verdicts out. Works without HTTP, a store or torch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from tokenizers import Tokenizer

from model.errors import ModelError
from model.labels import LABELS, OUTPUTS, SENTIMENTS, SIGNS, THREAT_KINDS
from model.language import detect_language, detect_script
from model.manifest import BALANCED, MODEL, RELEASED, TOKENIZER, Manifest, load_manifest
from model.preparation import prepare
from model.thresholds import OwnThresholds
from model.verdict import Verdict
from model.windows import (
    Windows,
    cut_windows,
    merge_probabilities,
    merge_vectors,
    pad,
    plan_batches,
)

_TOKEN_BUDGET = 256
"""Tokens in a batch: small enough for its activations to stay in a core's cache (docs/archives-speed.md)."""
_CHARS_PER_TOKEN = 40
"""No text needs more characters than this per token that is read; the rest is not prepared."""

_PROCESSOR = Path("/proc/cpuinfo")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_INPUTS = ["ids", "mask"]
_OUTPUTS = ["probabilities", "vector"]
_UNKNOWN = "<unk>"

Outputs = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True)
class Encoded:
    """Texts as the model reads them.

    Attributes:
        texts: as they were written.
        prepared: one a text.
        windows: by prepared text; equal ones are read once.
    """

    texts: Sequence[str]
    prepared: Sequence[str]
    windows: Mapping[str, Windows]


class Classifier:
    """A loaded model. Safe to share between threads.

    One session runs on one thread each; `threads` batches run side by side, which is faster on a CPU
    than one batch on all of them.
    """

    def __init__(
        self,
        manifest: Manifest,
        session: ort.InferenceSession,
        tokenizer: Tokenizer,
        threads: int,
        own_thresholds: OwnThresholds | None = None,
    ) -> None:
        self.manifest = own_thresholds.applied(manifest) if own_thresholds else manifest
        self.own_thresholds = own_thresholds
        self._session = session
        self.tokenizer = tokenizer
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="brandtox-model")

    @classmethod
    def load(
        cls,
        path: Path | str | None = None,
        threads: int | None = None,
        own_thresholds: OwnThresholds | None = None,
    ) -> Classifier:
        """Load a model folder; the released one by default.

        Args:
            path: a folder with manifest.json, model.onnx and tokenizer.json.
            threads: batches at once; the number of usable cores by default.
            own_thresholds: labels follow these, if they are for this model.

        Raises:
            ModelError: the folder is missing, damaged, or of another label scheme.
        """
        folder = Path(path) if path else RELEASED
        manifest = load_manifest(folder)
        threads = threads or usable_cores()
        try:
            session = _open_session(folder / MODEL)
            tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
            classifier = cls(manifest, session, tokenizer, threads, own_thresholds)
            classifier._read_longest()
        except ModelError:
            raise
        except Exception as error:  # neither library documents what it raises
            raise ModelError(f"{folder} cannot be loaded: {error}") from error
        return classifier

    @property
    def version(self) -> str:
        return self.manifest.model

    def score(self, texts: Sequence[str]) -> list[Verdict]:
        """One verdict a text, in order. Any text gets one; equal texts are scored once."""
        return self.judge(self.encode(texts))

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Prepare and tokenise; another thread may do so while the model reads."""
        prepared = [self._prepare(text) for text in texts]
        unique = list(dict.fromkeys(prepared))
        return Encoded(texts, prepared, dict(zip(unique, self._windows(unique), strict=True)))

    def judge(self, encoded: Encoded) -> list[Verdict]:
        """One verdict a text, in order."""
        windows = encoded.windows
        results = dict(zip(windows, self._read(list(windows.values())), strict=True))
        return [
            self._verdict(prepared, text, *results[prepared])
            for prepared, text in zip(encoded.prepared, encoded.texts, strict=True)
        ]

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens that the model would read of each text, with begin and end marks."""
        return [
            sum(map(len, w.ids)) for w in self._windows([self._prepare(text) for text in texts])
        ]

    def count_unknown(self, texts: Sequence[str]) -> tuple[int, int]:
        """Pieces of the texts that the vocabulary does not have, and all pieces."""
        unknown = self.tokenizer.token_to_id(_UNKNOWN)
        prepared = [self._prepare(text) for text in texts]
        encodings = self.tokenizer.encode_batch_fast(prepared, add_special_tokens=False)
        ids: list[list[int]] = [encoding.ids for encoding in encodings]
        found = 0 if unknown is None else sum(one.count(unknown) for one in ids)
        return found, sum(map(len, ids))

    @property
    def _most_characters(self) -> int:
        return self.manifest.max_windows * self.manifest.window_tokens * _CHARS_PER_TOKEN

    def _read_longest(self) -> None:
        """Read a full window of the last token: what does not fit fails now, not at a request."""
        last = self.tokenizer.get_vocab_size() - 1
        probabilities, vectors = self._run_batch([[last] * self.manifest.window_tokens])
        if not (np.isfinite(probabilities).all() and np.isfinite(vectors).all()):
            raise ModelError("the model's outputs are not numbers: get the model folder again")

    def _prepare(self, text: str) -> str:
        return prepare(text[: self._most_characters]).text

    def _windows(self, prepared: Sequence[str]) -> list[Windows]:
        encodings = self.tokenizer.encode_batch_fast(list(prepared), add_special_tokens=False)
        m = self.manifest
        return [
            cut_windows(e.ids, m.window_tokens, m.window_overlap, m.max_windows) for e in encodings
        ]

    def _read(self, texts: Sequence[Windows]) -> Iterator[tuple[Outputs, bool]]:
        """Merged probabilities [16] and vector [256] of each text, and whether it was cut."""
        rows = [ids for text in texts for ids in text.ids]
        probabilities, vectors = self._run(rows)
        start = 0
        for text in texts:
            stop = start + len(text.ids)
            tokens = [len(ids) for ids in text.ids]
            merged = merge_probabilities(probabilities[start:stop], tokens)
            yield (merged, merge_vectors(vectors[start:stop], tokens)), text.truncated
            start = stop

    def _run(self, rows: Sequence[Sequence[int]]) -> Outputs:
        batches = plan_batches([len(row) for row in rows], _TOKEN_BUDGET)
        if len(batches) == 1:
            results = [self._run_batch([rows[i] for i in batches[0]])]
        else:
            results = list(
                self._pool.map(self._run_batch, ([rows[i] for i in batch] for batch in batches))
            )
        probabilities = np.empty((len(rows), len(self.manifest.outputs)), np.float32)
        vectors = np.empty((len(rows), results[0][1].shape[1] if results else 0), np.float32)
        for batch, (batch_probabilities, batch_vectors) in zip(batches, results, strict=True):
            probabilities[batch] = batch_probabilities
            vectors[batch] = batch_vectors
        return probabilities, vectors

    def _run_batch(self, rows: Sequence[Sequence[int]]) -> Outputs:
        ids, mask = pad(rows)
        probabilities, vectors = self._session.run(_OUTPUTS, {"ids": ids, "mask": mask})
        return probabilities, vectors

    def _verdict(self, prepared: str, text: str, outputs: Outputs, cut: bool) -> Verdict:
        probabilities, vector = outputs
        value = dict(zip(self.manifest.outputs, map(float, probabilities), strict=True))
        thresholds = {name: self.manifest.thresholds[name][BALANCED] for name in LABELS}
        return Verdict(
            language=detect_language(prepared),
            script=detect_script(prepared),
            scores={name: value[name] for name in LABELS},
            labels=tuple(name for name in LABELS if value[name] >= thresholds[name]),
            threat_kind={name: value[name] for name in THREAT_KINDS},
            sentiment={name: value[name] for name in SENTIMENTS},
            signs={name: value[name] for name in SIGNS},
            needs_review=self._is_unsure(value, thresholds),
            truncated=cut or len(text) > self._most_characters,
            model=self.version,
            vector=vector,
        )

    def _is_unsure(self, value: dict[str, float], thresholds: dict[str, float]) -> bool:
        probabilities = np.array([value[name] for name in LABELS])
        cuts = np.array([thresholds[name] for name in LABELS])
        return bool(chance_of_error(probabilities, cuts) > self.manifest.review_above)


def _multiplies_exactly() -> bool:
    """Whether sums of int8 products are exact: x86 cores without VNNI cut them to 16 bits.

    The slower exact way costs half the speed, so it is taken on those alone.
    """
    try:
        processor = _PROCESSOR.read_text(encoding="utf-8")
    except OSError:
        return True
    return "vnni" in processor or "flags" not in processor  # only x86 lists flags


def usable_cores() -> int:
    """Cores that this process may use: its affinity, and the quota of its container (cgroup v2)."""
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = _QUOTA.read_text(encoding="ascii").split()
        return max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):  # no cgroup v2, or "max": no quota
        return cores


def _open_session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    if not _multiplies_exactly():
        options.add_session_config_entry("session.x64quantprecision", "1")
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = {i.name for i in session.get_inputs()}, {o.name for o in session.get_outputs()}
    if names != (set(_INPUTS), set(_OUTPUTS)):
        raise ModelError(
            f"{path} is not a brandtox model: it has inputs {sorted(names[0])} and outputs"
            f" {sorted(names[1])}, not {_INPUTS} and {_OUTPUTS}"
        )
    width = next(o.shape[-1] for o in session.get_outputs() if o.name == "probabilities")
    if width != len(OUTPUTS):
        raise ModelError(
            f"{path} has {width} probabilities, not the {len(OUTPUTS)} of this label scheme:"
            " use a model released for this version of brandtox"
        )
    return session


def chance_of_error(
    probabilities: NDArray[np.floating], thresholds: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Chance that at least one label is wrong, as if labels erred independently.

    Args:
        probabilities: [..., labels], calibrated.
        thresholds: [labels]; a label is given at or above its own.
    """
    wrong = np.where(probabilities >= thresholds, 1 - probabilities, probabilities)
    return np.asarray(1 - np.prod(1 - wrong, axis=-1))
