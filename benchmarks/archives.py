"""Speed and memory of `brandtox score`, beside plain ways to score the same rows.

    python -m benchmarks.archives               writes docs/archives-speed.json and .md
    python -m benchmarks.archives --rows 100000

Rows are distinct: messages of `datasets/` with some of their words exchanged for others of the same file,
cut to lengths of a realistic spread (log-normal, mean 24 tokens). All ways prepare, tokenise and read the
same rows; the ways take turns, a part of the rows at a time, and ratios are of the same turn.
"""

from __future__ import annotations

import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pyarrow.parquet as pq

from model import Classifier, Verdict
from model import classifier as classifier_module
from model.classifier import Encoded, usable_cores
from model.manifest import MODEL, RELEASED
from model.windows import pad

_MEAN_TOKENS = 24
_SPREAD = 0.85
"""Standard deviation of the logarithm of the length."""

_EXCHANGED = 0.15
"""Share of the words that are exchanged."""

_RAW_BATCH = 32
_RAW_ROWS = 2_000
_LOOP_ROWS = 150
_COPIES = 4
_MOST_MEGABYTES = 700
_LEAST_RATIO = 1.25
_PARTS = ("memory", "settings", "speed")
_BRANDTOX = str(Path(sys.executable).with_name("brandtox"))
_LAUNCHER = """
import resource, subprocess, sys, time
began = time.perf_counter()
subprocess.run(sys.argv[1:], check=True)
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""A child's peak includes what its parent held when it was started, so a small one starts it."""

_TOKEN_BUDGETS = (256, 512, 1024, 2048, 4096)
_CHUNK_ROWS = (256, 1024, 4096)
_ROWS_OF_A_SETTING = 1_024


# --- rows ---


def written() -> list[str]:
    """The messages of `datasets/`, read as plain JSON: the stand-in's process must stay small."""
    files = sorted(Path("datasets", "messages").glob("*.jsonl"))
    return [json.loads(line)["text"] for f in files for line in f.read_text("utf-8").splitlines()]


def invented(chance: random.Random, words: float) -> Iterator[str]:
    """Distinct texts without end; `words` is their mean length."""
    messages = [text.split() for text in written()]
    seen: set[int] = set()
    middle = math.log(words) - _SPREAD**2 / 2
    while True:
        length = max(1, round(chance.lognormvariate(middle, _SPREAD)))
        place = chance.randrange(len(messages))
        long = [w for m in messages[place : place + 1 + length // 8] for w in m]
        near = messages[(place + chance.randrange(50)) % len(messages)]
        text = " ".join(
            chance.choice(near) if chance.random() < _EXCHANGED else word for word in long[:length]
        )
        if text and hash(text) not in seen:
            seen.add(hash(text))
            yield text


def texts_of_mean_tokens(classifier: Classifier, count: int) -> list[str]:
    """Texts whose mean length is about 24 tokens."""
    sample = list(islice(invented(random.Random(0), _MEAN_TOKENS), 4_000))
    words = _MEAN_TOKENS**2 / statistics.mean(classifier.count_tokens(sample))
    return list(islice(invented(random.Random(1), words), count))


def write_rows(texts: Sequence[str], path: Path) -> None:
    numbers = range(len(texts))
    pq.write_table(
        pa.table(
            {
                "id": pa.array(numbers, pa.int64()),
                "customer_id": pa.array([f"c{number % 997}" for number in numbers]),
                "sent_at": pa.array(
                    [1_700_000_000 + 60 * n for n in numbers], pa.timestamp("s", "UTC")
                ),
                "text": pa.array(texts),
            }
        ),
        path,
    )


# --- the ways ---


def launch(*command: str) -> tuple[float, float]:
    """Wall seconds and peak resident megabytes of a process."""
    answer = subprocess.run(
        [sys.executable, "-c", _LAUNCHER, *command], check=True, stdout=subprocess.PIPE, text=True
    )
    seconds, kilobytes = answer.stdout.split()
    return float(seconds), int(kilobytes) / 1024


def score_rows(folder: Path, texts: Sequence[str]) -> float:
    """Seconds of `brandtox score`, Parquet to Parquet, with its start."""
    with tempfile.TemporaryDirectory(dir=folder) as inside:
        source, target = Path(inside, "in.parquet"), Path(inside, "out.parquet")
        write_rows(texts, source)
        return launch(_BRANDTOX, "score", str(source), "-o", str(target), "--quiet")[0]


def raw_session(threads: int) -> ort.InferenceSession:
    """The released graph with its batches on all threads, and nothing else set."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    return ort.InferenceSession(str(RELEASED / MODEL), options, providers=["CPUExecutionProvider"])


def read_raw(classifier: Classifier, session: ort.InferenceSession, texts: Sequence[str]) -> float:
    """Seconds of the session alone: 32 texts at a time in input order, prepared and tokenised."""
    began = time.perf_counter()
    for start in range(0, len(texts), _RAW_BATCH):
        windows = classifier.encode(texts[start : start + _RAW_BATCH]).windows.values()
        ids, mask = pad([w.ids[0] for w in windows])
        session.run(["probabilities", "vector"], {"ids": ids, "mask": mask})
    return time.perf_counter() - began


def plain_pipeline(classifier: Classifier) -> Callable[[str], Any]:
    """A `transformers` pipeline over a network of the same shape in float32."""
    import torch
    from transformers import BertForSequenceClassification, PreTrainedTokenizerFast, pipeline

    from benchmarks.speed import encoder_config

    torch.set_num_threads(usable_cores())
    config: Any = encoder_config(classifier)
    config.num_labels = len(classifier.manifest.outputs)
    make_tokenizer: Any = PreTrainedTokenizerFast
    network: Any = BertForSequenceClassification(config)
    tokenizer = make_tokenizer(
        tokenizer_object=classifier.tokenizer, pad_token="<pad>", model_max_length=256
    )
    classify: Any = pipeline(
        "text-classification", model=network.eval(), tokenizer=tokenizer, device="cpu"
    )
    return partial(classify, top_k=None, truncation=True)


def loop(classify: Callable[[str], Any], texts: Sequence[str]) -> float:
    """Seconds of a plain loop."""
    began = time.perf_counter()
    for text in texts:
        classify(text)
    return time.perf_counter() - began


# --- what is measured ---


def measure_speed(classifier: Classifier, rows: int, rounds: int) -> dict[str, Any]:
    """Rows a second of each way, and medians of their ratios; a part of the rows in each round."""
    texts = texts_of_mean_tokens(classifier, rows)
    tokens = classifier.count_tokens(texts[:10_000])
    session = raw_session(usable_cores())
    classify = plain_pipeline(classifier)
    part = rows // rounds
    found: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(rounds):
            mine = texts[number * part : (number + 1) * part]
            start = score_rows(folder, mine[:1])
            repeated = random.Random(number).sample(mine[: part // _COPIES] * _COPIES, part)
            found.append(
                {
                    "score": part / (score_rows(folder, mine) - start),
                    "raw": len(mine[:_RAW_ROWS]) / read_raw(classifier, session, mine[:_RAW_ROWS]),
                    "repeated": part / (score_rows(folder, repeated) - start),
                    "pipeline": _LOOP_ROWS / loop(classify, mine[:_LOOP_ROWS]),
                    "start_seconds": start,
                }
            )
            print(json.dumps(found[-1]), flush=True)
    median = {name: statistics.median(one[name] for one in found) for name in found[0]}
    ratio = {
        name: statistics.median(one[a] / one[b] for one in found)
        for name, (a, b) in {
            "against_raw_session": ("score", "raw"),
            "against_pipeline": ("score", "pipeline"),
            "saved_by_repeats": ("repeated", "score"),
        }.items()
    }
    return {
        "rows": part * rounds,
        "mean_tokens": statistics.mean(tokens),
        "tokens_at": {p: float(np.percentile(tokens, p)) for p in (5, 25, 50, 75, 95, 99)},
        "rows_a_second": {name: median[name] for name in ("score", "raw", "pipeline", "repeated")},
        "start_seconds": median["start_seconds"],
        **ratio,
    }


def measure_settings(classifier: Classifier) -> dict[str, dict[str, float]]:
    """Rows a second of the model alone, by how its work is cut; the settings take turns."""
    texts = texts_of_mean_tokens(classifier, max(_CHUNK_ROWS))
    cores = usable_cores()
    ways: dict[str, dict[str, Callable[[], float]]] = {
        "sessions × threads": {
            f"{sessions} × {cores // sessions}": partial(
                _judge, _with_sessions(sessions, cores // sessions), texts[:_ROWS_OF_A_SETTING]
            )
            for sessions in sorted({1, cores})
        },
        "tokens in a batch": {
            str(budget): partial(_judge_with_budget, classifier, budget, texts[:_ROWS_OF_A_SETTING])
            for budget in _TOKEN_BUDGETS
        },
        "rows in a chunk": {
            str(rows): partial(_judge, classifier, texts[: max(_ROWS_OF_A_SETTING, rows)], rows)
            for rows in _CHUNK_ROWS
        },
    }
    return {
        name: {
            setting: statistics.median(rates)
            for setting, rates in zip(
                settings,
                zip(*([way() for way in settings.values()] for _ in range(3)), strict=True),
                strict=True,
            )
        }
        for name, settings in ways.items()
    }


def _with_sessions(sessions: int, threads: int) -> Classifier:
    """A classifier that reads so many batches side by side, each on so many threads."""
    classifier = Classifier.load(threads=sessions)
    classifier._session = raw_session(threads)
    return classifier


def _judge(classifier: Classifier, texts: Sequence[str], chunk: int = 4_096) -> float:
    parts = [classifier.encode(texts[i : i + chunk]) for i in range(0, len(texts), chunk)]
    began = time.perf_counter()
    for encoded in parts:
        classifier.judge(encoded)
    return len(texts) / (time.perf_counter() - began)


def _judge_with_budget(classifier: Classifier, budget: int, texts: Sequence[str]) -> float:
    before = classifier_module._TOKEN_BUDGET
    classifier_module._TOKEN_BUDGET = budget
    try:
        return _judge(classifier, texts)
    finally:
        classifier_module._TOKEN_BUDGET = before


# --- memory ---


def measure_memory(rows: int) -> dict[str, float]:
    """Peak memory of a run whose model is loaded, reads the first chunk, and invents the rest."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.parquet"), Path(folder, "out.parquet")
        words = written()
        write_rows([f"{n} {words[n % len(words)]}" for n in range(rows)], source)
        mine = [sys.executable, "-m", "benchmarks.archives", "--stub", str(source), str(target)]
        seconds, megabytes = launch(*mine)
        return {"rows": rows, "peak_megabytes": megabytes, "rows_a_second": rows / seconds}


def score_with_stub(source: str, target: str) -> None:
    """`brandtox score` with a model that reads one chunk only."""
    from serving.cli import main as brandtox

    judge, encode = Classifier.judge, Classifier.encode
    known: list[Verdict] = []

    def encode_once(self: Classifier, texts: Sequence[str]) -> Encoded:
        return Encoded(texts, texts, {}) if known else encode(self, texts)

    def judge_once(self: Classifier, encoded: Encoded) -> list[Verdict]:
        if not known:
            known.extend(judge(self, encoded))
            return list(known)
        size = len(known)
        return [replace(known[hash(text) % size]) for text in encoded.texts]

    Classifier.encode = encode_once  # type: ignore[method-assign]
    Classifier.judge = judge_once  # type: ignore[method-assign]
    brandtox(["score", source, "-o", target])


# --- the page ---


def to_markdown(result: dict[str, Any]) -> str:
    speed, memory = result["speed"], result["memory"]
    rate, at = speed["rows_a_second"], speed["tokens_at"]
    spread = ", ".join(f"{p} %: {tokens:.0f}" for p, tokens in at.items())
    lines = [
        "# Speed and memory of archives",
        "",
        f"Model `{result['model']}` on {result['cores']} cores. Written by `python -m"
        " benchmarks.archives`; do not edit. Ratios move less from machine to machine than figures do.",
        "",
        f"{speed['rows']:,} distinct rows of Parquet, mean {speed['mean_tokens']:.1f} tokens (quantiles:"
        f" {spread}); `brandtox score` reads and writes Parquet and ranks the customers, its start of"
        f" {speed['start_seconds']:.1f} s left out. The session and the pipeline have the first of the"
        " same texts. Each way prepares and tokenises in the time that is counted; ratios are medians over"
        " rounds in which the ways take turns.",
        "",
        "| what | rows a second | `brandtox score` against it |",
        "|---|---|---|",
        f"| `brandtox score` | {rate['score']:.0f} | |",
        f"| the ONNX session, {_RAW_BATCH} rows at a time in input order, the same threads, at most"
        f" {_RAW_ROWS:,} rows a round |"
        f" {rate['raw']:.0f} | {speed['against_raw_session']:.2f} × (at least {_LEAST_RATIO}) |",
        f"| a loop over a `transformers` pipeline, float32, same shape, {_LOOP_ROWS} rows a round |"
        f" {rate['pipeline']:.0f} | {speed['against_pipeline']:.2f} × |",
        f"| `brandtox score` where each text comes {_COPIES} times | {rate['repeated']:.0f} |"
        f" repeated texts save {speed['saved_by_repeats']:.2f} × |",
        "",
        f"Peak memory on {memory['rows']:,} distinct rows: {memory['peak_megabytes']:.0f} MB (at most"
        f" {_MOST_MEGABYTES}), with the model loaded and a stand-in for its scores after the first"
        f" chunk; without the model's work a run handles {memory['rows_a_second']:,.0f} rows a second.",
    ]
    for name, settings in result.get("settings", {}).items():
        best = max(settings.values())
        lines += ["", f"| {name} | share of the best rate |", "|---|---|"]
        lines += [f"| {setting} | {value / best:.2f} |" for setting, value in settings.items()]
    return "\n".join([*lines, ""])


@click.command()
@click.option("--rows", default=10_000)
@click.option("--rounds", default=5)
@click.option("--memory-rows", default=1_000_000)
@click.option(
    "--part",
    "parts",
    multiple=True,
    type=click.Choice(_PARTS),
    default=_PARTS,
    help="Measure this part; the figures of the others stay.",
)
@click.option("--stub", nargs=2, hidden=True)
def main(
    rows: int, rounds: int, memory_rows: int, parts: tuple[str, ...], stub: tuple[str, str] | None
) -> None:
    if stub:
        score_with_stub(*stub)
        return
    classifier = Classifier.load()
    measures: dict[str, Callable[[], Any]] = {
        "memory": partial(measure_memory, memory_rows),
        "settings": partial(measure_settings, classifier),
        "speed": partial(measure_speed, classifier, rows, rounds),
    }
    figures = Path("docs", "archives-speed.json")
    result = json.loads(figures.read_text()) if figures.exists() else {}
    result |= {"model": classifier.version, "cores": len(os.sched_getaffinity(0))}
    for part in parts:
        result[part] = measures[part]()
        figures.write_text(json.dumps(result, indent=1) + "\n")
    page = to_markdown(result)
    figures.with_suffix(".md").write_text(page)
    print(page)


if __name__ == "__main__":
    main()
