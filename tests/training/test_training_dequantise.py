"""A graph read back: the same weights but for their rounding, and the same graph again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from model.errors import ModelError
from model.labels import LABELS, OUTPUTS, SCHEME
from model.manifest import BALANCED, MODEL, TOKENIZER, Manifest, sha256
from tests.training import small
from training.dequantise import dequantise, start_run
from training.fit import CheckpointError
from training.graph import Calibration, build_graph

MADE_OF = {"data": "0123", "recipe": "full"}


def model_of(folder: Path, int8: bool, lexical: bool = True) -> Path:
    folder.mkdir()
    weights = {name: tensor.numpy() for name, tensor in small.network().state_dict().items()}
    part = small.lexical() if lexical else None
    calibration = replace(Calibration.identity(), shift=np.arange(16, dtype=np.float32))
    onnx.save(build_graph(weights, small.config(), calibration, int8, part), str(folder / MODEL))
    small.tokenizer().save(str(folder / TOKENIZER))
    Manifest(
        model="small-1",
        scheme=SCHEME,
        outputs=list(OUTPUTS),
        files={name: sha256(folder / name) for name in (MODEL, TOKENIZER)},
        thresholds={name: {BALANCED: 0.5} for name in LABELS},
        review_above=0.4,
        base="small",
    ).write(folder)
    return folder


def test_weights_come_back_within_their_rounding(tmp_path: Path) -> None:
    parts = dequantise(model_of(tmp_path / "model", int8=True))
    state = small.network().state_dict()
    types = state["encoder.embeddings.token_type_embeddings.weight"]
    for name, after in parts.state.items():
        before = state[name] + types[0] if "position_embeddings" in name else state[name]
        if "token_type" not in name:
            step = before.abs().amax(-1, keepdim=True) / 127
            assert ((after - before).abs() <= 1.01 * step + 1e-6).all(), name
    assert (parts.calibration.shift == np.arange(16)).all()


def test_a_float_graph_comes_back_exactly(tmp_path: Path) -> None:
    parts = dequantise(model_of(tmp_path / "model", int8=False))
    ids = torch.tensor([[0, 7, 9, 30, 2]])
    network = small.network()
    before, features = network(ids, torch.ones_like(ids))
    network.load_state_dict(parts.state)
    after, features_after = network(ids, torch.ones_like(ids))
    assert torch.allclose(before, after, atol=1e-5)
    assert torch.allclose(features, features_after, atol=1e-5)
    assert parts.lexical is not None
    assert (parts.lexical.table == small.lexical().table).all()


def test_the_graph_of_a_dequantised_model_is_the_same_again(tmp_path: Path) -> None:
    folder = model_of(tmp_path / "model", int8=True)
    parts = dequantise(folder)
    run = start_run(folder, tmp_path / "run", MADE_OF)
    weights = {name: t.numpy() for name, t in run.network("start").state_dict().items()}
    again = build_graph(weights, run.config(), parts.calibration, True, run.lexical())
    for before, after in zip(
        onnx.load(str(folder / MODEL)).graph.initializer, again.graph.initializer, strict=True
    ):
        a, b = onnx.numpy_helper.to_array(before), onnx.numpy_helper.to_array(after)
        assert before.name == after.name
        if a.dtype == np.int8:
            assert np.abs(a.astype(int) - b).max() <= 1
            assert (a != b).mean() < 1e-3
        else:
            assert np.allclose(a, b, rtol=1e-5)


def test_a_model_without_a_lexical_part(tmp_path: Path) -> None:
    folder = model_of(tmp_path / "model", int8=True, lexical=False)
    assert start_run(folder, tmp_path / "run", MADE_OF).lexical() is None


def test_a_run_goes_on_only_for_the_same_model_and_rows(tmp_path: Path) -> None:
    folder = model_of(tmp_path / "model", int8=True)
    run = start_run(folder, tmp_path / "run", MADE_OF)
    assert run.base() == "small"
    assert start_run(folder, run.folder, MADE_OF).folder == run.folder
    with pytest.raises(CheckpointError, match="give another --run"):
        start_run(folder, run.folder, MADE_OF | {"data": "4567"})


def test_a_damaged_or_foreign_model_is_an_error(tmp_path: Path) -> None:
    folder = model_of(tmp_path / "model", int8=True)
    graph = onnx.load(str(folder / MODEL))
    del graph.graph.initializer[0]
    onnx.save(graph, str(folder / MODEL))
    with pytest.raises(ModelError, match="damaged"):
        dequantise(folder)
