"""The network as an ONNX graph, in float32 or int8.

The graph is built from the weights directly, with ONNX Runtime's fused operators, so that its
structure does not hang on an exporter's version; parity with the torch network is gated in
`training.export`. In int8, weights have a scale per output channel and activations one per token,
found as the text is read: products of integers are exact, so a text's scores do not depend on what
shares its batch (dynamic quantisation with one scale per tensor does not have this property).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from transformers import BertConfig

from model.labels import OUTPUTS, SENTIMENTS, YES_NO
from training.lexical import BUCKETS, FIRST, SECOND, Lexical
from training.network import MIDDLE_LAYER, VECTOR_SIZE

_OPSET = 20
_CONTRIB = "com.microsoft"
_ZERO = 128
_MASKED = -1e4


@dataclass(frozen=True)
class Calibration:
    """Per-output scale and shift of the logits, each [16], applied before sigmoid and softmax."""

    scale: np.ndarray
    shift: np.ndarray

    @classmethod
    def identity(cls) -> Calibration:
        return cls(np.ones(len(OUTPUTS), np.float32), np.zeros(len(OUTPUTS), np.float32))


def build_graph(
    weights: dict[str, np.ndarray],
    config: BertConfig,
    calibration: Calibration,
    int8: bool,
    lexical: Lexical | None = None,
) -> onnx.ModelProto:
    """Graph with inputs `ids`, `mask` [batch, tokens] (int64) and outputs `probabilities`
    [batch, 16] and `vector` [batch, 256] (L2-normalised).
    """
    return _Builder(weights, config, int8).build(calibration, lexical)


class _Builder:
    """Collects nodes and constants; every method adds nodes and returns its output's name."""

    def __init__(self, weights: dict[str, np.ndarray], config: BertConfig, int8: bool) -> None:
        self.weights = weights
        self.config = config
        self.int8 = int8
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.quantised: dict[str, tuple[str, str]] = {}

    def build(self, calibration: Calibration, lexical: Lexical | None) -> onnx.ModelProto:
        state = self.embed()
        self.prepare_masks()
        middle = state
        for layer in range(self.config.num_hidden_layers):
            state = self.layer(state, f"encoder.encoder.layer.{layer}.")
            middle = state if layer + 1 == MIDDLE_LAYER else middle
        mean = self.mean(state)
        logits = self.head(self.op("Concat", [mean, self.max(state)], axis=-1))
        if lexical:
            logits = self.op("Add", [logits, self.lexical_logits(lexical)])
        self.probabilities(logits, calibration)
        self.vector(self.op("Concat", [self.mean(middle), mean], axis=-1))
        return self.model()

    def op(
        self,
        kind: str,
        inputs: Sequence[str],
        domain: str = "",
        output: str = "",
        **attributes: object,
    ) -> str:
        output = output or f"{kind}_{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(kind, list(inputs), [output], domain=domain, **attributes)
        )
        return output

    def constant(self, name: str, value: np.ndarray | np.generic) -> str:
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def weight(self, name: str) -> str:
        return self.constant(name, self.weights[name].astype(np.float32))

    def indices(self, *values: int) -> str:
        return self.constant(f"indices_{values}", np.array(values, np.int64))

    def embed(self) -> str:
        table = self.weights["encoder.embeddings.word_embeddings.weight"]
        words = self.gather("words", table, "ids")
        tokens = self.op("Slice", [self.op("Shape", ["ids"]), self.indices(1), self.indices(2)])
        table = self.weights["encoder.embeddings.position_embeddings.weight"]
        table = table + self.weights["encoder.embeddings.token_type_embeddings.weight"][0]
        positions = self.constant("positions", table.astype(np.float32))
        positions = self.op("Slice", [positions, self.indices(0), tokens])
        return self.layer_norm(self.op("Add", [words, positions]), "encoder.embeddings.LayerNorm")

    def gather(self, name: str, table: np.ndarray, rows: str) -> str:
        """Rows of a table [rows, width], which in int8 have a scale each."""
        table = table.astype(np.float32)
        if not self.int8:
            return self.op("Gather", [self.constant(name, table), rows])
        rounded, scale = quantise_channels(table)
        gathered = self.op("Gather", [self.constant(name, rounded), rows])
        scales = self.op("Gather", [self.constant(name + "_scales", scale[:, None]), rows])
        return self.op("Mul", [self.op("Cast", [gathered], to=TensorProto.FLOAT), scales])

    def prepare_masks(self) -> None:
        """`keep` [batch, tokens, 1], 1 where a token is; `drop`, -10,000 where none is; `bias`
        [batch, 1, 1, tokens] for attention.
        """
        mask = self.op("Cast", ["mask"], to=TensorProto.FLOAT)
        self.op("Unsqueeze", [mask, self.indices(2)], output="keep")
        one = self.constant("one", np.float32(1))
        masked = self.constant("masked", np.float32(_MASKED))
        self.op("Mul", [self.op("Sub", [one, "keep"]), masked], output="drop")
        self.op("ReduceSum", ["keep", self.indices(1)], keepdims=0, output="count")
        self.op("Cast", ["mask"], to=TensorProto.INT32, output="key_mask")

    def layer(self, state: str, name: str) -> str:
        attention = name + "attention."
        heads = [
            self.linear(state, f"{attention}self.{part}") for part in ("query", "key", "value")
        ]
        context = self.op(
            "MultiHeadAttention",
            [*heads, "", "key_mask"],
            _CONTRIB,
            num_heads=self.config.num_attention_heads,
            mask_filter_value=_MASKED,
        )
        context = self.linear(context, attention + "output.dense")
        state = self.add_norm(state, context, attention + "output.LayerNorm")
        inner = self.op("Gelu", [self.linear(state, name + "intermediate.dense")])
        return self.add_norm(
            state, self.linear(inner, name + "output.dense"), name + "output.LayerNorm"
        )

    def linear(self, x: str, name: str) -> str:
        weight = self.weights[name + ".weight"].astype(np.float32)
        product = self.int8_product(x, name, weight) if self.int8 else self.product(x, name, weight)
        return self.op("Add", [product, self.weight(name + ".bias")])

    def product(self, x: str, name: str, weight: np.ndarray) -> str:
        return self.op("MatMul", [x, self.constant(name, weight.T)])

    def int8_product(self, x: str, name: str, weight: np.ndarray) -> str:
        """X @ weight.T in int8: weights rounded per output channel, activations per token."""
        rounded, channel_scales = quantise_channels(weight)
        quantised, token_scales = self.quantise_tokens(x)
        zero = self.constant("zero_point", np.uint8(_ZERO))
        product = self.op("MatMulInteger", [quantised, self.constant(name + ".q", rounded.T), zero])
        product = self.op("Cast", [product], to=TensorProto.FLOAT)
        product = self.op("Mul", [product, self.constant(name + ".s", channel_scales)])
        return self.op("Mul", [product, token_scales])

    def quantise_tokens(self, x: str) -> tuple[str, str]:
        """uint8 values around 128 of x [batch, tokens, width], and scales [batch, tokens, 1]."""
        if x not in self.quantised:
            largest = self.op("ReduceMax", [self.op("Abs", [x]), self.indices(2)], keepdims=1)
            step = self.constant("step", np.float32(1 / 127))
            tiny = self.constant("tiny", np.float32(1e-12))
            scale = self.op("Mul", [self.op("Max", [largest, tiny]), step])
            rounded = self.op("Round", [self.op("Div", [x, scale])])
            shifted = self.op("Add", [rounded, self.constant("zero", np.float32(_ZERO))])
            self.quantised[x] = self.op("Cast", [shifted], to=TensorProto.UINT8), scale
        return self.quantised[x]

    def layer_norm(self, x: str, name: str) -> str:
        epsilon = float(self.config.layer_norm_eps)
        gain, bias = self.weight(name + ".weight"), self.weight(name + ".bias")
        return self.op("LayerNormalization", [x, gain, bias], axis=-1, epsilon=epsilon)

    def add_norm(self, x: str, skip: str, name: str) -> str:
        epsilon = float(self.config.layer_norm_eps)
        gain, bias = self.weight(name + ".weight"), self.weight(name + ".bias")
        return self.op("SkipLayerNormalization", [x, skip, gain, bias], _CONTRIB, epsilon=epsilon)

    def mean(self, state: str) -> str:
        total = self.op("ReduceSum", [self.op("Mul", [state, "keep"]), self.indices(1)], keepdims=0)
        return self.op("Div", [total, "count"])

    def max(self, state: str) -> str:
        return self.op("ReduceMax", [self.op("Add", [state, "drop"]), self.indices(1)], keepdims=0)

    def head(self, pooled: str) -> str:
        weight = self.weights["head.weight"].astype(np.float32)
        return self.op("Add", [self.product(pooled, "head", weight), self.weight("head.bias")])

    def lexical_logits(self, lexical: Lexical) -> str:
        """Logits [batch, 16] of the lexical part, as `Lexical.logits` finds them."""
        features, present = self.lexical_features(lexical.vocabulary)
        rows = self.gather("lexical", lexical.table, features)
        rows = self.op("Mul", [rows, self.op("Unsqueeze", [present, self.indices(2)])])
        total = self.op("ReduceSum", [rows, self.indices(1)], keepdims=0)
        count = self.op("ReduceSum", [present, self.indices(1)], keepdims=1)
        total = self.op("Div", [total, self.op("Sqrt", [count])])
        return self.op("Add", [total, self.constant("lexical_bias", lexical.bias)])

    def lexical_features(self, vocabulary: int) -> tuple[str, str]:
        """The features of pieces and of pairs of neighbours (int64), and 1 where the text has them,
        0 in padding (float32); both [batch, 2 tokens - 1].
        """
        left, right = self.neighbours("ids")
        left = self.op("Mul", [left, self.constant("first", np.int64(FIRST))])
        right = self.op("Mul", [right, self.constant("second", np.int64(SECOND))])
        bucket = self.op("Add", [left, right])
        bucket = self.op("Mod", [bucket, self.constant("buckets", np.int64(BUCKETS))])
        pairs = self.op("Add", [bucket, self.constant("vocabulary", np.int64(vocabulary))])
        both = self.op("Mul", self.neighbours("mask"))
        features = self.op("Concat", ["ids", pairs], axis=1)
        present = self.op("Concat", ["mask", both], axis=1)
        return features, self.op("Cast", [present], to=TensorProto.FLOAT)

    def neighbours(self, x: str) -> tuple[str, str]:
        """Of x [batch, tokens] all columns but the last, and all but the first."""
        zero, one, last = self.indices(0), self.indices(1), self.indices(-1)
        end = self.indices(np.iinfo(np.int64).max)
        return self.op("Slice", [x, zero, last, one]), self.op("Slice", [x, one, end, one])

    def probabilities(self, logits: str, calibration: Calibration) -> None:
        scale, shift = (x.astype(np.float32) for x in (calibration.scale, calibration.shift))
        logits = self.op("Mul", [logits, self.constant("calibration_scale", scale)])
        logits = self.op("Add", [logits, self.constant("calibration_shift", shift)])
        first, last = self.indices(0), self.indices(len(OUTPUTS))
        cut, axis = self.indices(len(YES_NO)), self.indices(1)
        yes_no = self.op("Sigmoid", [self.op("Slice", [logits, first, cut, axis])])
        sentiment = self.op("Softmax", [self.op("Slice", [logits, cut, last, axis])], axis=-1)
        self.op("Concat", [yes_no, sentiment], axis=-1, output="probabilities")

    def vector(self, features: str) -> None:
        weight = self.weights["project.weight"].T.astype(np.float32)
        projected = self.op("MatMul", [features, self.constant("project", weight)])
        self.op("LpNormalization", [projected], axis=-1, p=2, output="vector")

    def model(self) -> onnx.ModelProto:
        batch = ["batch", "tokens"]
        graph = helper.make_graph(
            self.nodes,
            "brandtox",
            [helper.make_tensor_value_info(n, TensorProto.INT64, batch) for n in ("ids", "mask")],
            [
                helper.make_tensor_value_info(
                    "probabilities", TensorProto.FLOAT, ["batch", len(YES_NO) + len(SENTIMENTS)]
                ),
                helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["batch", VECTOR_SIZE]),
            ],
            list(self.constants.values()),
        )
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_CONTRIB, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def quantise_channels(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Symmetric int8 of weight [out, in] and a float32 scale [out] of each output channel."""
    scale = np.maximum(np.abs(weight).max(1), 1e-12) / 127
    return np.rint(weight / scale[:, None]).astype(np.int8), scale.astype(np.float32)
