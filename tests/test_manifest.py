"""A model folder that is missing, damaged or foreign is a clear error at load."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from model import Classifier, ModelError
from model.labels import LABELS, OUTPUTS
from model.manifest import MANIFEST, MODEL, RELEASED, TOKENIZER, load_manifest, sha256
from tests.helpers import changed_folder, sealed


@pytest.fixture
def folder(model_folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return changed_folder(model_folder, tmp_path / "model")


def refusal(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        Classifier.load(folder)
    return str(caught.value)


def test_a_whole_folder_loads(folder: Path) -> None:
    manifest = load_manifest(folder)
    assert manifest.model == "tiny-1"
    assert Classifier.load(folder).version == "tiny-1"


def test_the_released_model_is_the_default(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr("model.classifier.RELEASED", folder)
    assert Classifier.load().version == "tiny-1"
    assert RELEASED.name == "released"


def test_a_missing_folder_says_which_setting_names_one(tmp_path: Path) -> None:
    message = refusal(tmp_path / "nowhere")
    assert "nowhere" in message
    assert "BRANDTOX_MODEL" in message


@pytest.mark.parametrize("name", [MODEL, TOKENIZER])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert f"{name} is missing: get the model folder again" in refusal(folder)


@pytest.mark.parametrize("name", [MODEL, TOKENIZER])
@pytest.mark.parametrize(
    "damage", [lambda b: b[:-1], lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda b: b""]
)
def test_a_damaged_file_is_named(folder: Path, name: str, damage: Callable[[bytes], bytes]) -> None:
    path = folder / name
    path.write_bytes(damage(path.read_bytes()))
    message = refusal(folder)
    assert f"{name} is damaged" in message
    assert "get the model folder again" in message


@pytest.fixture
def carded(folder: Path) -> Path:
    """The copy with a card, which its manifest lists."""
    (folder / "card.md").write_text("# A card\n", encoding="utf-8")
    manifest = load_manifest(folder)
    files = manifest.files | {"card.md": sha256(folder / "card.md")}
    replace(manifest, files=files).write(folder)
    return folder


def test_every_listed_file_is_checked(carded: Path) -> None:
    assert Classifier.load(carded).version == "tiny-1"
    (carded / "card.md").write_text("# Another\n", encoding="utf-8")
    assert "card.md is damaged" in refusal(carded)
    (carded / "card.md").unlink()
    assert "card.md is missing" in refusal(carded)


def test_a_file_that_is_not_listed_is_nobodys_business(folder: Path) -> None:
    (folder / "notes.txt").touch()
    assert Classifier.load(folder).version == "tiny-1"


def test_a_kill_while_a_manifest_is_written_leaves_the_one_before(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        replace(load_manifest(folder), model="tiny-2").write(folder)
    assert load_manifest(folder).model == "tiny-1"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"scheme": "1"}',
        b"[" * 100_000,
        b'{"scheme": "1", "new": 1}',
    ],
)
def test_a_damaged_manifest_says_what_to_do(folder: Path, content: bytes) -> None:
    (folder / MANIFEST).write_bytes(content)
    message = refusal(folder)
    assert MANIFEST in message
    assert "get the model folder again" in message


@pytest.mark.parametrize("scheme", ["0", "2", None, 1])
def test_another_label_scheme_is_told_before_anything_else(folder: Path, scheme: Any) -> None:
    (folder / MANIFEST).write_text(json.dumps({"scheme": scheme, "a_field_of_tomorrow": 1}))
    message = refusal(folder)
    assert f"label scheme {scheme!r}" in message
    assert "needs '1': use a model released for it" in message


_THRESHOLDS = {name: {"balanced": 0.5} for name in LABELS}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model": ""}, "it has no version"),
        ({"model": 3}, "it has no version"),
        ({"outputs": list(reversed(OUTPUTS))}, "outputs"),
        ({"outputs": list(OUTPUTS[:-1])}, "outputs"),
        ({"thresholds": {}}, "no balanced threshold for abuse"),
        ({"thresholds": _THRESHOLDS | {"threat": {}}}, "no balanced threshold for threat"),
        ({"thresholds": _THRESHOLDS | {"abuse": {"balanced": 0}}}, "threshold for abuse"),
        ({"thresholds": _THRESHOLDS | {"abuse": {"balanced": 1.0}}}, "threshold for abuse"),
        ({"thresholds": _THRESHOLDS | {"abuse": {"balanced": float("nan")}}}, "for abuse"),
        ({"thresholds": _THRESHOLDS | {"abuse": {"balanced": "high"}}}, "not a model manifest"),
        ({"thresholds": []}, "not a model manifest"),
        ({"review_above": -0.1}, "review_above"),
        ({"review_above": None}, "not a model manifest"),
        ({"window_overlap": 62}, "windows do not move on"),
        ({"window_overlap": -1}, "windows do not move on"),
        ({"window_tokens": 2, "window_overlap": 0}, "windows do not move on"),
        ({"window_tokens": "64"}, "not whole numbers"),
        ({"window_overlap": 8.0}, "not whole numbers"),
        ({"max_windows": None}, "not whole numbers"),
        ({"max_windows": 0}, "reads no window"),
        ({"files": []}, "lists no files"),
    ],
)
def test_a_value_that_would_fail_later_fails_at_load(
    model_folder: Path, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    message = refusal(changed_folder(model_folder, tmp_path / "model", **changes))
    assert reason in message
    assert "get the model folder again" in message


def test_a_manifest_that_names_no_hash_is_not_trusted(model_folder: Path, tmp_path: Path) -> None:
    assert "damaged" in refusal(changed_folder(model_folder, tmp_path / "model", files={}))


def test_longer_windows_than_the_graph_reads_fail_at_load(
    model_folder: Path, tmp_path: Path
) -> None:
    folder = changed_folder(model_folder, tmp_path / "model", window_tokens=65)
    assert "cannot be loaded" in refusal(folder)


def test_a_file_that_is_no_graph(folder: Path) -> None:
    (folder / MODEL).write_bytes(b"not a graph")
    assert "cannot be loaded" in refusal(sealed(folder))


def _tenths(width: int) -> onnx.TensorProto:
    return helper.make_tensor("", TensorProto.FLOAT, [1, width], [0.1] * width)


def _replace_graph(folder: Path, outputs: dict[str, int]) -> Path:
    """A valid graph whose outputs are constants of the given widths."""
    nodes = [
        helper.make_node("Constant", [], [name], value=_tenths(width))
        for name, width in outputs.items()
    ]
    inputs = [
        helper.make_tensor_value_info(n, TensorProto.INT64, ["b", "t"]) for n in ("ids", "mask")
    ]
    declared = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, width])
        for name, width in outputs.items()
    ]
    graph = helper.make_graph(nodes, "foreign", inputs, declared)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, str(folder / MODEL))
    return sealed(folder)


def test_a_graph_of_other_outputs(folder: Path) -> None:
    message = refusal(_replace_graph(folder, {"logits": 2}))
    assert "not a brandtox model" in message
    assert "['logits']" in message


def test_a_graph_of_another_width(folder: Path) -> None:
    message = refusal(_replace_graph(folder, {"probabilities": 12, "vector": 256}))
    assert "12 probabilities, not the 16" in message


def test_outputs_in_another_order_are_read_by_name(folder: Path) -> None:
    _replace_graph(folder, {"vector": 256, "probabilities": 16})
    assert Classifier.load(folder).score(["a"])[0].scores["abuse"] == pytest.approx(0.1)


def test_a_folder_in_place_of_a_file(folder: Path) -> None:
    (folder / MANIFEST).unlink()
    (folder / MANIFEST).mkdir()
    assert "manifest.json is missing" in refusal(folder)
