"""Speed and memory of one verdict: batch, one by one, and over HTTP.

    python -m benchmarks.speed          writes docs/speed.json and docs/speed.md

Texts are written messages of `datasets/` that have 20 to 28 tokens. Ratios are against PyTorch in
float32 with a network of the same shape, in the same run on the same cores (weights do not change the
time of a dense network). It does not measure archives or many clients at once.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import torch
from transformers import BertConfig

from model import Classifier
from training.batches import pad
from training.network import empty_network
from training.own import load_written

_TOKENS = range(20, 29)
_MESSAGES = 4_000
_TORCH_MESSAGES = 256
_BATCH = 32
_SINGLE = 300
_PORT = 8765
_LAUNCHER = """
import resource, subprocess, sys, time
began = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
_BRANDTOX = str(Path(sys.executable).with_name("brandtox"))


def texts_of_about_24_tokens(classifier: Classifier) -> list[str]:
    texts = [row.text for row in load_written()]
    counts = classifier.count_tokens(texts)
    return [text for text, count in zip(texts, counts, strict=True) if count in _TOKENS]


def distinct(texts: list[str], count: int) -> list[str]:
    """`count` different texts: after the last the list starts again with a number in front."""
    return [f"{i // len(texts)} {texts[i % len(texts)]}" for i in range(count)]


def batch_rate(texts: list[str]) -> dict[str, float]:
    """Messages a second and peak memory of `brandtox classify` as a process, loading left out."""
    few, many = (_classify(texts[:n]) for n in (_BATCH, len(texts)))
    return {
        "messages_a_second": (len(texts) - _BATCH) / (many[0] - few[0]),
        "start_seconds": few[0],
        "peak_megabytes": many[1],
    }


def _classify(texts: list[str]) -> tuple[float, float]:
    """Wall seconds and peak resident megabytes of one run."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "in.jsonl")
        source.write_text("".join(json.dumps({"text": t}) + "\n" for t in texts), encoding="utf-8")
        # A small launcher: a child's peak includes what its parent held when it was started.
        command = [sys.executable, "-c", _LAUNCHER, _BRANDTOX, "classify", str(source)]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        seconds, kilobytes = answer.split()
        return float(seconds), int(kilobytes) / 1024


def torch_rate(classifier: Classifier, texts: list[str]) -> float:
    """Messages a second of PyTorch float32 on all cores, batches of 32 in input order."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    network = empty_network(encoder_config(classifier), 1).eval()
    rows = [w.ids[0] for w in classifier._windows([classifier._prepare(t) for t in texts])]
    with torch.inference_mode():
        network(*pad(rows[:_BATCH]))
        began = time.perf_counter()
        for i in range(0, len(rows), _BATCH):
            network(*pad(rows[i : i + _BATCH]))
    return len(rows) / (time.perf_counter() - began)


def encoder_config(classifier: Classifier) -> BertConfig:
    return BertConfig(
        vocab_size=classifier.tokenizer.get_vocab_size(),
        hidden_size=384,
        num_hidden_layers=12,
        num_attention_heads=12,
        intermediate_size=1536,
        pad_token_id=1,
    )


def median_milliseconds(call: Callable[[str], object], texts: list[str]) -> float:
    for text in texts[:20]:
        call(text)
    times = []
    for text in texts:
        began = time.perf_counter()
        call(text)
        times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times)


def single_times(classifier: Classifier, texts: list[str]) -> dict[str, float]:
    """Median milliseconds of one message: the graph alone, the classifier, and over HTTP."""

    def graph(text: str) -> None:
        classifier._run_batch(rows[text])

    windows = classifier._windows([classifier._prepare(text) for text in texts])
    rows = {text: w.ids for text, w in zip(texts, windows, strict=True)}
    with _server() as url, httpx.Client(base_url=url) as client:
        return {
            "graph": median_milliseconds(graph, texts),
            "classifier": median_milliseconds(lambda text: classifier.score([text]), texts),
            "http": median_milliseconds(lambda text: _post(client, text), texts),
        }


def _post(client: httpx.Client, text: str) -> None:
    client.post("/classify", json={"text": text}).raise_for_status()


@contextmanager
def _server() -> Iterator[str]:
    url = f"http://127.0.0.1:{_PORT}"
    command = [_BRANDTOX, "serve", "--port", str(_PORT)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until_ready(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=10)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(150):
        if process.poll() is not None:
            raise RuntimeError(f"brandtox serve stopped: is port {_PORT} taken?")
        try:
            httpx.get(url + "/readyz").raise_for_status()
            return
        except httpx.TransportError:
            time.sleep(0.2)
    raise RuntimeError("brandtox serve did not come up in 30 seconds")


def measure() -> dict[str, Any]:
    classifier = Classifier.load()
    texts = texts_of_about_24_tokens(classifier)
    batch = batch_rate(distinct(texts, _MESSAGES))
    torch_messages = torch_rate(classifier, texts[:_TORCH_MESSAGES])
    single = single_times(classifier, texts[:_SINGLE])
    allowed = 1.35 * single["graph"] + 3
    return {
        "model": classifier.version,
        "cores": len(os.sched_getaffinity(0)),
        "batch": {k: round(v, 1) for k, v in batch.items()},
        "pytorch_fp32_messages_a_second": round(torch_messages, 1),
        "batch_against_pytorch_fp32": round(batch["messages_a_second"] / torch_messages, 2),
        "single_milliseconds": {k: round(v, 2) for k, v in single.items()},
        "http_allowed_milliseconds": round(allowed, 2),
        "http_within_allowed": single["http"] <= allowed,
    }


def to_markdown(result: dict[str, Any]) -> str:
    batch, single = result["batch"], result["single_milliseconds"]
    return "\n".join(
        [
            "# Speed and memory",
            "",
            f"Model `{result['model']}` on {result['cores']} cores, messages of about 24 tokens. Written"
            " by `make bench`; do not edit. Ratios move less from machine to machine than figures do.",
            "",
            "| what | figure |",
            "|---|---|",
            f"| `brandtox classify`, {_MESSAGES:,} messages | {batch['messages_a_second']} a second |",
            f"| its peak memory | {batch['peak_megabytes']} MB |",
            f"| its start | {batch['start_seconds']} s |",
            f"| PyTorch float32, same shape, batches of {_BATCH} |"
            f" {result['pytorch_fp32_messages_a_second']} a second |",
            f"| `brandtox classify` against PyTorch | {result['batch_against_pytorch_fp32']} × |",
            f"| one message, the graph alone | {single['graph']} ms |",
            f"| one message, `Classifier.score` | {single['classifier']} ms |",
            f"| one message over HTTP | {single['http']} ms |",
            f"| allowed: 1.35 × the graph + 3 ms | {result['http_allowed_milliseconds']} ms |",
            "",
        ]
    )


def main() -> None:
    result = measure()
    docs = Path("docs")
    docs.joinpath("speed.json").write_text(json.dumps(result, indent=1) + "\n")
    docs.joinpath("speed.md").write_text(to_markdown(result))
    print(to_markdown(result))


if __name__ == "__main__":
    main()
