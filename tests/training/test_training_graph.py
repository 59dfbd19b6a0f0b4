import functools
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from numpy.typing import NDArray

from model.labels import OUTPUTS, YES_NO
from tests.training import small
from training.batches import encode, pad
from training.graph import Calibration, build_graph, quantise_channels
from training.lexical import Lexical
from training.network import VECTOR_SIZE

Outputs = tuple[NDArray[np.float32], NDArray[np.float32]]
TEXTS = [
    "idiot",
    "refund my money or you are thieves",
    "الطلب متاخر يا نصابين",
    "thanks agent, the phone is broken and i never wait again for an order " * 2,
    "🤮",
]
texts_of_words = st.lists(st.sampled_from(small.WORDS), min_size=1, max_size=12).map(" ".join)


def calibration(seed: int = 0) -> Calibration:
    chance = np.random.default_rng(seed)
    scale = chance.uniform(0.5, 1.5, len(OUTPUTS)).astype(np.float32)
    scale[-3:] = 0.8
    shift = chance.normal(size=len(OUTPUTS)).astype(np.float32)
    shift[-3:] = 0.0
    return Calibration(scale, shift)


@functools.cache
def session(int8: bool, calibrated: bool = False, lexical: bool = False) -> ort.InferenceSession:
    weights = {name: tensor.numpy() for name, tensor in small.network().state_dict().items()}
    made = calibration() if calibrated else Calibration.identity()
    graph = build_graph(weights, small.config(), made, int8, small.lexical() if lexical else None)
    return ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])


def read(made: ort.InferenceSession, texts: list[str]) -> Outputs:
    ids, mask = pad(encode(small.tokenizer(), texts, 64))
    probabilities, vectors = made.run(None, {"ids": ids.numpy(), "mask": mask.numpy()})
    return probabilities, vectors


@torch.inference_mode()
def torch_outputs(
    texts: list[str], lexical: Lexical | None = None, made: Calibration | None = None
) -> Outputs:
    network, made = small.network(), made or Calibration.identity()
    ids = encode(small.tokenizer(), texts, 64)
    logits, features = network(*pad(ids))
    if lexical:
        logits = logits + torch.from_numpy(lexical.logits(ids))
    logits = logits * torch.from_numpy(made.scale) + torch.from_numpy(made.shift)
    cut = len(YES_NO)
    probabilities = torch.cat([logits[:, :cut].sigmoid(), logits[:, cut:].softmax(-1)], dim=-1)
    return probabilities.numpy(), network.vectors(features).numpy()


def test_the_float32_graph_is_the_torch_network() -> None:
    probabilities, vectors = read(session(int8=False), TEXTS)
    expected, expected_vectors = torch_outputs(TEXTS)
    assert expected.std(0).mean() > 0.05, "the small network must tell texts apart"
    np.testing.assert_allclose(probabilities, expected, atol=1e-4)
    np.testing.assert_allclose(vectors, expected_vectors, atol=1e-4)


def test_the_int8_graph_is_near_the_torch_network() -> None:
    probabilities, vectors = read(session(int8=True), TEXTS)
    expected, expected_vectors = torch_outputs(TEXTS)
    assert np.abs(probabilities - expected).max() < 0.05
    assert ((vectors * expected_vectors).sum(1) > 0.99).all()
    assert not np.array_equal(probabilities, expected)


@pytest.mark.parametrize("calibrated", [False, True])
@pytest.mark.parametrize(("int8", "most"), [(False, 1e-4), (True, 0.05)])
def test_the_lexical_part_is_added_before_calibration(
    int8: bool, most: float, calibrated: bool
) -> None:
    made = session(int8, calibrated, lexical=True)
    expected, _ = torch_outputs(TEXTS, small.lexical(), calibration() if calibrated else None)
    without, _ = read(session(int8, calibrated), TEXTS)
    together, vectors = read(made, TEXTS)
    alone = np.concatenate([read(made, [text])[0] for text in TEXTS])
    assert np.abs(expected - without).mean() > 0.05, "the lexical part must matter"
    np.testing.assert_allclose(together, expected, atol=most)
    np.testing.assert_allclose(alone, together, atol=1e-5)
    np.testing.assert_array_equal(vectors, read(session(int8, calibrated), TEXTS)[1])


@pytest.mark.parametrize("int8", [False, True])
def test_one_token_has_no_pair_and_padding_counts_for_nothing(int8: bool) -> None:
    made, token = session(int8, lexical=True), np.array([[5]])
    expected = made.run(None, {"ids": token, "mask": np.ones_like(token)})[0]
    lexical = small.lexical()
    logits = lexical.table[5] + lexical.bias
    plain = session(int8).run(None, {"ids": token, "mask": np.ones_like(token)})[0]
    change = np.log(expected / (1 - expected)) - np.log(plain / (1 - plain))
    np.testing.assert_allclose(change[0, : len(YES_NO)], logits[: len(YES_NO)], atol=0.02)
    for padding in (1, 7):
        ids, mask = np.array([[5, padding, padding]]), np.array([[1, 0, 0]])
        np.testing.assert_allclose(
            made.run(None, {"ids": ids, "mask": mask})[0], expected, atol=1e-5
        )


@pytest.mark.parametrize("lexical", [False, True])
@settings(deadline=None, max_examples=25)
@given(texts_of_words, st.lists(texts_of_words, min_size=1, max_size=6), st.integers(0, 6))
def test_in_int8_a_text_scores_the_same_alone_and_in_any_batch(
    lexical: bool, text: str, others: list[str], place: int
) -> None:
    made = session(int8=True, lexical=lexical)
    alone, vector = read(made, [text])
    batch = [*others[:place], text, *others[place:]]
    together, vectors = read(made, batch)
    index = min(place, len(others))
    assert np.abs(together[index] - alone[0]).max() <= 0.005
    assert np.abs(vectors[index] - vector[0]).max() <= 0.005


def test_calibration_is_inside_the_graph() -> None:
    plain, _ = read(session(int8=False), TEXTS)
    calibrated, _ = read(session(int8=False, calibrated=True), TEXTS)
    made, cut = calibration(), len(YES_NO)
    logits = np.log(plain[:, :cut] / (1 - plain[:, :cut]))
    expected = 1 / (1 + np.exp(-(logits * made.scale[:cut] + made.shift[:cut])))
    np.testing.assert_allclose(calibrated[:, :cut], expected, atol=1e-4)
    powers = plain[:, cut:] ** 0.8
    np.testing.assert_allclose(
        calibrated[:, cut:], powers / powers.sum(1, keepdims=True), atol=1e-4
    )
    assert np.abs(calibrated - plain).max() > 0.05


@pytest.mark.parametrize("int8", [False, True])
def test_outputs_have_their_shapes_and_norms(int8: bool) -> None:
    probabilities, vectors = read(session(int8=int8), TEXTS)
    assert probabilities.shape == (len(TEXTS), len(OUTPUTS))
    assert vectors.shape == (len(TEXTS), VECTOR_SIZE)
    assert ((probabilities > 0) & (probabilities < 1)).all()
    np.testing.assert_allclose(probabilities[:, len(YES_NO) :].sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_int8_makes_the_graph_smaller(tmp_path: Path) -> None:
    weights = {name: tensor.numpy() for name, tensor in small.network().state_dict().items()}
    sizes = [
        build_graph(weights, small.config(), Calibration.identity(), int8).ByteSize()
        for int8 in (False, True)
    ]
    assert sizes[1] < 0.6 * sizes[0]


@given(
    st_numpy.arrays(
        np.float32, (3, 5), elements=st.floats(-100, 100, width=32, allow_subnormal=False)
    )
)
def test_rounding_a_channel_loses_at_most_half_a_step(weight: NDArray[np.float32]) -> None:
    rounded, scale = quantise_channels(weight)
    assert rounded.dtype == np.int8
    assert np.abs(rounded.astype(int)).max() <= 127
    loss = np.abs(rounded * scale[:, None] - weight)
    assert (loss <= scale[:, None] * 0.5 + 1e-5).all()
