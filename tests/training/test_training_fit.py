"""The loop, prediction and the recipe's stages on a small network."""

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model.labels import OUTPUTS
from tests.training import small
from training import fit as fit_module
from training import recipe
from training import run as run_module
from training.batches import Batch
from training.data import Data
from training.fit import CheckpointError, FitSettings, _parameter_groups, fit, mask_pieces
from training.network import Network
from training.own import load_written
from training.predict import predict
from training.rows import Row
from training.run import SOURCES, Run

SETTINGS = FitSettings(
    epochs=2,
    rate=1e-3,
    max_rows=4,
    max_tokens=32,
    same_complaint=0.1,
    average=0.9,
    masked=0.2,
    checkpoint_seconds=0.0,
)


class StoppedError(Exception):
    """Stands for a kill."""


def rows_of(tmp_path: Path, count: int = 24) -> list[Row]:
    return load_written(small.write_messages(tmp_path / "written", small.many_records(count)))


def run_fit(folder: Path, rows: list[Row], settings: FitSettings = SETTINGS) -> Network:
    folder.mkdir(exist_ok=True)
    network = small.network()
    fit(network, small.tokenizer(), lambda epoch: rows[epoch:], SOURCES, settings, folder, "stage")
    return network


def stop_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    step = fit_module._Run.train_step

    def stopping(self: fit_module._Run, batch: Batch) -> None:
        if self.step == steps:
            raise StoppedError
        step(self, batch)

    monkeypatch.setattr(fit_module._Run, "train_step", stopping)


def assert_equal(one: Network, other: Network) -> None:
    other_state = other.state_dict()
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other_state[name]), name


@pytest.mark.parametrize("steps", [3, 8])
def test_a_stopped_and_resumed_run_gives_the_weights_of_an_undisturbed_one(
    tmp_path: Path, steps: int
) -> None:
    rows = rows_of(tmp_path)
    undisturbed = run_fit(tmp_path / "one", rows)
    with pytest.MonkeyPatch.context() as patch:
        stop_after(steps, patch)
        with pytest.raises(StoppedError):
            run_fit(tmp_path / "two", rows)
    checkpoint = torch.load(tmp_path / "two" / "stage.checkpoint.pt", weights_only=True)
    assert checkpoint["step"] == steps
    assert_equal(run_fit(tmp_path / "two", rows), undisturbed)
    curves = [json.loads((tmp_path / n / "stage.curve.json").read_text()) for n in ("one", "two")]
    assert [p["loss"] for p in curves[0]] == [p["loss"] for p in curves[1]]


def test_a_finished_run_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of(tmp_path)
    trained = run_fit(tmp_path / "one", rows)
    stop_after(-1, monkeypatch)
    monkeypatch.setattr(fit_module._Run, "_average_weights", lambda self: pytest.fail("trained"))
    assert_equal(run_fit(tmp_path / "one", rows), trained)


def test_a_checkpoint_of_other_data_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of(tmp_path, 48)
    with monkeypatch.context() as patch:
        stop_after(2, patch)
        with pytest.raises(StoppedError):
            run_fit(tmp_path / "run", rows)
    with pytest.raises(CheckpointError, match=r"of a run with other data .*: remove it"):
        run_fit(tmp_path / "run", rows[:20])


def test_training_lowers_the_loss_and_writes_its_curve(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, 40)
    run_fit(tmp_path / "run", rows, replace(SETTINGS, epochs=6, checkpoint_seconds=60))
    curve = json.loads((tmp_path / "run" / "stage.curve.json").read_text())
    assert [point["step"] for point in curve][:2] == [20, 40]
    assert curve[-1]["loss"] < curve[0]["loss"]


def test_without_averaging_the_last_weights_are_the_result(tmp_path: Path) -> None:
    rows = rows_of(tmp_path)
    plain = run_fit(tmp_path / "plain", rows, replace(SETTINGS, average=0.0))
    averaged = run_fit(tmp_path / "averaged", rows)
    state = torch.load(tmp_path / "plain" / "stage.checkpoint.pt", weights_only=True)
    assert torch.equal(plain.head.weight, state["network"]["head.weight"])
    assert torch.equal(plain.head.weight, state["average"]["head.weight"])
    assert not torch.equal(plain.head.weight, averaged.head.weight)


def test_a_kill_while_a_checkpoint_is_written_leaves_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of(tmp_path)
    save = torch.save
    saved: list[Path] = []

    def breaking(state: object, path: Path) -> None:
        if len(saved) == 3:
            path.write_bytes(b"half")
            raise StoppedError
        saved.append(path)
        save(state, path)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", breaking)
        with pytest.raises(StoppedError):
            run_fit(tmp_path / "run", rows)
    checkpoint = torch.load(tmp_path / "run" / "stage.checkpoint.pt", weights_only=True)
    assert checkpoint["step"] == 3
    assert_equal(run_fit(tmp_path / "run", rows), run_fit(tmp_path / "other", rows))


def test_masked_pieces_are_a_share_of_each_text_and_never_its_first() -> None:
    torch.manual_seed(1)
    mask = torch.ones(400, 200, dtype=torch.long)
    mask[:200, 100:] = 0
    kept = mask_pieces(mask, 0.3)
    assert bool((kept <= mask).all())
    assert bool((kept[:, 0] == 1).all())
    shares = 1 - kept.sum(1) / mask.sum(1)
    # each text draws its own chance, evenly from 0 to 0.3
    assert 0.14 < shares.mean() < 0.16
    assert 0.07 < shares.std() < 0.11
    assert mask_pieces(mask, 0.0) is mask


def test_a_text_of_few_pieces_stays_whole() -> None:
    mask = torch.ones(200, 6, dtype=torch.long)
    mask[:100, 5:] = 0
    kept = mask_pieces(mask, 0.9)
    assert bool((kept[:100] == mask[:100]).all())
    assert not bool((kept[100:] == mask[100:]).all())


def test_rates_fall_from_layer_to_layer_and_new_parts_learn_faster() -> None:
    network = small.network()
    groups = _parameter_groups(network, FitSettings(epochs=1, rate=1.0, layer_decay=0.5))
    rate = {id(g["params"][0]): g["lr"] for g in groups}  # type: ignore[index]
    named = dict(network.named_parameters())
    last, first = (f"encoder.encoder.layer.{i}.output.dense.weight" for i in (small.LAYERS - 1, 0))
    assert rate[id(named[last])] == 1.0
    assert rate[id(named[first])] == 0.5 ** (small.LAYERS - 1)
    words = named["encoder.embeddings.word_embeddings.weight"]
    assert rate[id(words)] == 0.5**small.LAYERS
    assert rate[id(named["head.weight"])] == 10.0


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_the_sentence_vector_is_learned_only_with_its_loss(tmp_path: Path, weight: float) -> None:
    settings = replace(SETTINGS, same_complaint=weight)
    trained = run_fit(tmp_path / "run", rows_of(tmp_path), settings)
    same = torch.equal(trained.project.weight, small.network().project.weight)
    assert same == (weight == 0.0)
    assert not torch.equal(trained.head.weight, small.network().head.weight)


def test_predictions_are_those_of_each_text_alone() -> None:
    texts = ["idiot", "refund my money please", "الطلب متاخر", "thanks " * 30, "idiot"]
    logits, features = predict(small.network(), small.tokenizer(), texts)
    assert logits.shape == (5, len(OUTPUTS))
    for i, text in enumerate(texts):
        alone, alone_features = predict(small.network(), small.tokenizer(), [text])
        torch.testing.assert_close(logits[i], alone[0], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(features[i], alone_features[0], atol=1e-4, rtol=1e-4)
    assert torch.equal(logits[0], logits[4]) or torch.allclose(logits[0], logits[4], atol=1e-5)
    assert not torch.allclose(logits[0], logits[1], atol=1e-2)


def test_the_source_offsets_are_no_part_of_a_prediction() -> None:
    network = small.network()
    before, _ = predict(network, small.tokenizer(), ["idiot"])
    network.offsets.weight.data.fill_(9.0)
    after, _ = predict(network, small.tokenizer(), ["idiot"])
    assert torch.equal(before, after)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Data:
    monkeypatch.setattr(run_module, "load_base", lambda name: small.base())
    rows = rows_of(tmp_path)
    return Data([row for row in rows if row.split == "train"], [], [])


def test_the_recipe_trains_on_own_rows_alone(tmp_path: Path, data: Data) -> None:
    run = Run(tmp_path / "run")
    recipe.train(run, data, "bundled", epochs=1)
    names = ["start", *(stage.name for stage in recipe.STAGES), recipe.FINAL]
    start, corpora, *stages, final = (run.network(name) for name in names)
    assert_equal(start, corpora)
    for before, after in itertools.pairwise([start, *stages]):
        assert not torch.equal(before.head.weight, after.head.weight)
    assert torch.equal(stages[-1].head.weight, final.head.weight)
    assert not torch.equal(stages[-1].project.weight, final.project.weight)
    assert not list(run.folder.glob("*.part"))


def test_the_recipe_trains_corpora_first(tmp_path: Path, data: Data) -> None:
    public = [replace(row, source="davidson", text=row.text + " x") for row in data.train]
    run = Run(tmp_path / "run")
    recipe.train(run, Data(data.train + public, [], []), "bundled", epochs=1)
    start, corpora = run.network("start"), run.network("corpora")
    assert not torch.equal(start.head.weight, corpora.head.weight)
    offsets = corpora.offsets.weight
    assert offsets[SOURCES["davidson"]].abs().max() > 0
    assert offsets[SOURCES["own"]].abs().max() == 0


def test_a_stage_joins_the_share_of_messages_that_it_names(
    tmp_path: Path, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []

    def counted(
        network: Network, tokenizer: object, epoch_rows: Callable[[int], list[Row]], *_: object
    ) -> None:
        drawn.append(len(epoch_rows(0)))

    monkeypatch.setattr(recipe, "fit", counted)
    for joined in (0.0, 0.25):
        run = Run(tmp_path / f"{joined}")
        run.create("bundled", data.train)
        stage = replace(recipe.MESSAGES_STAGE, start="start", joined=joined)
        recipe.train_stage(run, data, stage)
    rows = len(data.train)
    assert drawn == [rows, rows + round(0.25 * rows)]


def test_a_stage_starts_with_its_encoder_drawn_back(
    tmp_path: Path, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "fit", lambda *_: None)
    run = Run(tmp_path / "run")
    run.create("bundled", data.train)
    learnt = run.network("start")
    for weight in learnt.parameters():
        weight.data += 1.0
    run.keep(learnt, "learnt")
    for share in (0.0, 0.25):
        stage = replace(recipe.MESSAGES_STAGE, name=f"{share}", start="learnt", drawn_back=share)
        recipe.train_stage(run, data, stage)
        begun = run.network(stage.name)
        assert torch.equal(begun.head.weight, learnt.head.weight)
        for weight, before in zip(
            begun.encoder.parameters(), run.network("start").encoder.parameters(), strict=True
        ):
            torch.testing.assert_close(weight, before + 1 - share)


def test_a_trained_stage_is_left_as_it_is(tmp_path: Path, data: Data) -> None:
    run = Run(tmp_path / "run")
    recipe.train(run, data, "bundled", epochs=1)
    kept = [*run.folder.glob("c*.pt"), run.folder / "lexical.npz"]
    before = [path.read_bytes() for path in kept]
    recipe.train(run, data, "bundled", epochs=5)
    assert [path.read_bytes() for path in kept] == before


def test_a_kill_while_weights_are_written_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path)

    def half(state: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise StoppedError

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(StoppedError):
        run.keep(small.network(), "final")
    assert not run.weights("final").exists()
