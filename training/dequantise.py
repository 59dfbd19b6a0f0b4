"""A released int8 model as a training run to go on from: the graph of `training.graph`, read back.

A weight comes back as a value that its channel's scale rounds to the same int8, so that exporting the
run again gives the same graph (but for the rounding of a scale). How little is lost:
docs/retraining.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from transformers import BertConfig

from model.manifest import MODEL, TOKENIZER, load_manifest
from training.graph import Calibration
from training.lexical import Lexical
from training.network import empty_network
from training.run import SOURCES, Run

_LAYER = re.compile(r"encoder\.encoder\.layer\.(\d+)\.")
_PAD = 1
_WITHIN = 0.49
Constants = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Dequantised:
    """A released graph's parts.

    Attributes:
        state: weights by their name in `training.network.Network`.
        lexical: None where the graph has no lexical part.
    """

    config: BertConfig
    state: dict[str, torch.Tensor]
    lexical: Lexical | None
    calibration: Calibration


def dequantise(model: Path) -> Dequantised:
    """Read the graph of a model folder, int8 or float32.

    Raises:
        ModelError: the folder is missing or damaged.
        ValueError: the graph is not one of `training.graph`.
    """
    load_manifest(model)
    graph = onnx.load(str(model / MODEL)).graph
    constants: Constants = {c.name: numpy_helper.to_array(c) for c in graph.initializer}
    try:
        config = _config(graph, constants)
        calibration = Calibration(constants["calibration_scale"], constants["calibration_shift"])
        return Dequantised(config, _state(config, constants), _lexical(constants), calibration)
    except KeyError as error:
        raise ValueError(f"{model / MODEL} cannot be trained on: it has no {error}") from error


def start_run(model: Path, folder: Path, made_of: dict[str, str]) -> Run:
    """A run's folder with the model's tokenizer, lexical part and weights as `start`; once only.

    `made_of` names what the run hangs on besides: the fingerprint of its rows and its recipe.

    Raises:
        CheckpointError: the folder holds a run of another model, or made of something else.
    """
    run = Run(folder)
    manifest = load_manifest(model)
    made_of = {"base": manifest.base, "model": manifest.files[MODEL], **made_of}
    if run.weights("start").exists():
        run.check_made_of(made_of)
        return run
    folder.mkdir(parents=True, exist_ok=True)
    parts = dequantise(model)
    run.keep_made_of(made_of)
    parts.config.save_pretrained(folder)
    (folder / TOKENIZER).write_bytes((model / TOKENIZER).read_bytes())
    if parts.lexical:
        run.keep_lexical(parts.lexical)
    network = empty_network(parts.config, len(SOURCES))
    network.load_state_dict(parts.state)
    run.keep(network, "start")
    return run


def _config(graph: onnx.GraphProto, constants: Constants) -> BertConfig:
    layers = {int(found[1]) for name in constants if (found := _LAYER.match(name))}
    attention = next(node for node in graph.node if node.op_type == "MultiHeadAttention")
    norm = next(node for node in graph.node if node.op_type == "LayerNormalization")
    inner = constants["encoder.encoder.layer.0.intermediate.dense.bias"]
    return BertConfig(
        vocab_size=len(constants["words"]),
        hidden_size=constants["words"].shape[1],
        num_hidden_layers=len(layers),
        num_attention_heads=_attribute(attention, "num_heads"),
        intermediate_size=len(inner),
        max_position_embeddings=len(constants["positions"]),
        layer_norm_eps=_attribute(norm, "epsilon"),
        type_vocab_size=2,
        pad_token_id=_PAD,
    )


def _attribute(node: onnx.NodeProto, name: str) -> Any:
    return next(onnx.helper.get_attribute_value(a) for a in node.attribute if a.name == name)


def _state(config: BertConfig, constants: Constants) -> dict[str, torch.Tensor]:
    """The weights by name. The graph has the type embedding inside the positions; it comes back as
    zero, and so do the sources' offsets, which no graph has.
    """
    empty = empty_network(config, len(SOURCES)).state_dict()
    return {
        name: torch.from_numpy(np.array(_weight(name, constants), np.float32)).reshape(zero.shape)
        if _is_kept(name)
        else torch.zeros_like(zero)
        for name, zero in empty.items()
    }


def _is_kept(name: str) -> bool:
    return "token_type_embeddings" not in name and name != "offsets.weight"


def _weight(name: str, constants: Constants) -> NDArray[Any]:
    """One weight of the network.

    Raises:
        KeyError: the graph has none of that name.
    """
    if name in constants:
        return constants[name]
    layer = name.removesuffix(".weight")
    match layer.removeprefix("encoder.embeddings."):
        case "word_embeddings":
            return _table("words", constants)
        case "position_embeddings":
            return constants["positions"]
        case "head" | "project":
            return constants[layer].T
    if layer + ".q" in constants:
        return _spread(constants[layer + ".q"]).T * constants[layer + ".s"][:, None]
    return constants[layer].T


def _spread(rounded: NDArray[Any]) -> NDArray[Any]:
    """The values anywhere in the interval that rounds to them, at random; the ends of the scale stay.

    On the grid itself a training step of less than half an interval would be rounded away at export,
    all in the same direction; from within, it moves as many values as it should.
    """
    within = np.random.default_rng(0).uniform(-_WITHIN, _WITHIN, rounded.shape)
    return rounded + np.where(np.abs(rounded) < 127, within, 0.0).astype(np.float32)


def _table(name: str, constants: Constants) -> NDArray[Any]:
    """A table [rows, width] with a scale a row in int8."""
    if name + "_scales" not in constants:
        return constants[name]
    return constants[name].astype(np.float32) * constants[name + "_scales"]


def _lexical(constants: Constants) -> Lexical | None:
    if "lexical" not in constants:
        return None
    table = np.asarray(_table("lexical", constants), np.float32)
    return Lexical(table, np.asarray(constants["lexical_bias"], np.float32))
