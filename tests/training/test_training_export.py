"""Export, evaluation and the commands, on a small run that was trained for a moment."""

import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from model import Classifier, ModelError
from model.labels import LABELS, OUTPUTS, YES_NO
from model.manifest import BALANCED, load_manifest
from serving.cli import main
from tests.training import small
from tests.training.test_training_report import REPORT
from training import cli as cli_module
from training import export as export_module
from training import metrics, recipe
from training import release as release_module
from training import run as run_module
from training.baselines import _compare, evaluate_baselines
from training.batches import encode
from training.corpora import RELABELLED
from training.data import Data, load_data
from training.evaluate import _corpora_report, customer_metrics, customer_parts, evaluate
from training.export import GateError, Parity, customer_rows, export, read_probabilities
from training.fit import CheckpointError
from training.lexical import Lexical
from training.predict import predict
from training.release import reliability_panels, write_card
from training.run import Run
from training.suites import identity_suite, obfuscation_suite

GOOD = Parity(
    rows=1000,
    flipped_fp32=0.0,
    flipped_int8=0.01,
    difference_fp32=0.0,
    difference_int8=0.05,
    difference_batch=0.005,
    megabytes=45,
)


@pytest.fixture(scope="module")
def datasets_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.write_messages(tmp_path_factory.mktemp("data"), small.many_records(320))


@pytest.fixture(scope="module")
def data(datasets_folder: Path) -> Data:
    return load_data(None, datasets_folder)


def quick(stage: recipe.Stage) -> recipe.Stage:
    """The stage for a small random network: faster rates, texts as they are."""
    settings = replace(stage.fit, rate=2e-3, max_rows=16, average=0.9, masked=0.0, sampled=0.0)
    return replace(stage, fit=settings, perturbed=0.0, arabizi=0.0, joined=0.0, drawn_back=0.0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, data: Data) -> Iterator[Run]:
    """A trained run; the two words that decide the labels are learned well in it."""
    made = Run(tmp_path_factory.mktemp("run"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "load_base", lambda name: small.base())
        patch.setattr(recipe, "STAGES", tuple(map(quick, recipe.STAGES)))
        recipe.train(made, data, "bundled", epochs=8)
        yield made


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory, run: Run, data: Data) -> Path:
    folder = tmp_path_factory.mktemp("released") / "model"
    export(run, data, folder, "9.1")
    return folder


@pytest.fixture(scope="module")
def classifier(released: Path) -> Classifier:
    return Classifier.load(released, threads=1)


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_RESAMPLES", 20)


# gates


def test_figures_at_their_limits_pass() -> None:
    assert GOOD.failures() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("flipped_fp32", 0.011),
        ("flipped_int8", 0.02),
        ("difference_fp32", 0.06),
        ("difference_int8", 0.051),
        ("difference_batch", 0.006),
        ("megabytes", 46.0),
        ("difference_int8", float("nan")),
    ],
)
def test_a_figure_beyond_its_limit_fails_by_name(name: str, value: float) -> None:
    (failure,) = Parity(**{**asdict(GOOD), name: value}).failures()
    assert failure.startswith(f"{name} is ")


def test_beyond_a_limit_nothing_is_released(
    run: Run, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_module, "_MOST_MEGABYTES", 0)
    with pytest.raises(GateError, match=r"megabytes is .*, at most 0 is allowed"):
        export(run, data, tmp_path / "new", "1.0")
    assert not (tmp_path / "new" / "manifest.json").exists()
    assert not list(tmp_path.glob("*.fp32"))


def test_another_network_than_the_trained_one_is_not_released(
    run: Run, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def foreign(*arguments: Any) -> Any:
        logits, features = predict(*arguments)
        return logits.flip(1), features

    monkeypatch.setattr(export_module, "predict", foreign)
    with pytest.raises(GateError, match="flipped_fp32"):
        export(run, data, tmp_path / "new", "1.0")


def test_another_lexical_part_than_the_fitted_one_is_not_released(
    run: Run, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits = Lexical.logits
    monkeypatch.setattr(Lexical, "logits", lambda *arguments: -9 * logits(*arguments))
    with pytest.raises(GateError, match="difference_fp32"):
        export(run, data, tmp_path / "new", "1.0")


def test_a_run_without_a_lexical_part_is_released(
    run: Run, released: Path, data: Data, tmp_path: Path
) -> None:
    shutil.copytree(run.folder, tmp_path / "run")
    (tmp_path / "run" / "lexical.npz").unlink()
    parity = export(Run(tmp_path / "run"), data, tmp_path / "model", "1.0")
    with_one = json.loads((released / "parity.json").read_text())["megabytes"]
    assert parity.megabytes < with_one - 4


def test_without_dev_rows_nothing_is_released(run: Run, data: Data, tmp_path: Path) -> None:
    with pytest.raises(GateError, match="no dev rows"):
        export(run, Data(data.train, [], data.test), tmp_path / "new", "1.0")
    assert not (tmp_path / "new").exists()


# what is released


def test_a_release_is_checked_complete_and_calibrated(released: Path, run: Run, data: Data) -> None:
    manifest = load_manifest(released)
    assert (manifest.model, manifest.base) == ("9.1", "bundled")
    assert sorted(manifest.calibration) == sorted(OUTPUTS)
    assert manifest.calibration["abuse"] != [1.0, 0.0]
    assert all(0 < value < 1 for menu in manifest.thresholds.values() for value in menu.values())
    parity = Parity(**json.loads((released / "parity.json").read_text()))
    assert parity.failures() == []
    assert 0 < parity.rows == len(data.dev)
    assert {path.name for path in released.iterdir()} == {
        "manifest.json",
        "model.onnx",
        "parity.json",
        "tokenizer.json",
    }
    assert set(manifest.files) == {"model.onnx", "parity.json", "tokenizer.json"}


def network_logits(run: Run, texts: list[str]) -> NDArray[np.float32]:
    logits, _ = predict(run.network(recipe.FINAL), run.tokenizer(), texts)
    return logits.numpy()


def lexical_logits(run: Run, texts: list[str]) -> NDArray[np.float32]:
    lexical = run.lexical()
    assert lexical
    return lexical.logits(encode(run.tokenizer(), texts, 256))


def test_the_lexical_part_tells_the_learned_labels(run: Run) -> None:
    idiot, thieves, thanks = lexical_logits(run, ["idiot agent", "thieves agent", "thanks agent"])
    abuse, accusation = LABELS.index("abuse"), LABELS.index("accusation")
    assert idiot[abuse] > max(thieves[abuse], thanks[abuse]) + 0.1
    assert thieves[accusation] > max(idiot[accusation], thanks[accusation]) + 0.1


def test_released_probabilities_are_the_calibrated_ones_of_torch_and_lexical_part(
    released: Path, run: Run, data: Data
) -> None:
    texts = [row.text for row in data.test]
    logits = network_logits(run, texts) + lexical_logits(run, texts)
    calibration = load_manifest(released).calibration
    scale, shift = np.array([calibration[name] for name in YES_NO]).T
    expected = 1 / (1 + np.exp(-(logits[:, : len(YES_NO)] * scale + shift)))
    found = read_probabilities(released, texts)[:, : len(YES_NO)]
    assert np.quantile(np.abs(found - expected), 0.95) < 0.05


def test_the_released_model_has_learned_the_toy_language(classifier: Classifier) -> None:
    idiot, thieves, thanks = classifier.score(["idiot agent", "thieves agent", "thanks agent"])
    assert idiot.labels == ("abuse",)
    assert thieves.labels == ("accusation",)
    assert thanks.labels == ()


# evaluation


def test_the_report_of_a_learned_model(classifier: Classifier, data: Data) -> None:
    report = evaluate(classifier, data)
    assert report["model"] == "9.1"
    written = report["written"]
    assert written["rows"] == len(data.test)
    assert written["labels"]["abuse"]["auroc"]["value"] > 0.95
    assert written["labels"]["abuse"]["positives"] == len(data.test) // 4
    assert set(written["groups"]) == {"en", "en us"}
    assert 0 <= written["review"]["share"] <= 0.5
    assert not {"reviews", "comments"} & set(report)
    assert written["labels"]["abuse"]["ece_before"] != written["labels"]["abuse"]["ece"]
    assert report["unknown_pieces"] == {"en": 0.0, "en us": 0.0}
    assert report["corpora"] == {}
    json.dumps(report, allow_nan=False)


def test_measures_by_hand() -> None:
    holds = [["abuse"], ["abuse"], ["accusation"], [], [], []]
    rows = [small.row("x", *names, sentiment="negative" if names else "neutral") for names in holds]
    probabilities = np.zeros((6, len(OUTPUTS)), np.float32)
    probabilities[:, 0] = [0.9, 0.2, 0.1, 0.8, 0.1, 0.1]
    probabilities[:, 2] = [0.1, 0.1, 0.7, 0.1, 0.1, 0.1]
    probabilities[:, -3] = [1, 1, 1, 0, 0, 0]
    probabilities[:, -2] = [0, 0, 0, 1, 1, 1]
    menu = {name: {BALANCED: 0.5, "few_false_alarms": 0.85} for name in YES_NO}
    report = customer_metrics(rows, probabilities, menu)
    assert report["rows"] == 6
    assert report["false_alarms"]["value"] == pytest.approx(1 / 3, abs=1e-4)
    assert report["sentiment_macro_f1"]["value"] == 1.0
    assert (report["macro_f1"], report["macro_f1_of"]) == (None, [])
    assert report["labels"]["abuse"] == {
        "positives": 2,
        "false_alarms": 0.3333,
    }  # too few to measure
    few = report["few_false_alarms"]
    assert few["abuse"] == {"threshold": 0.85, "recall": 0.5, "false_alarms": 0.0}
    assert few["threat"]["recall"] is None


def test_macro_f1_is_over_the_labels_with_five_positives() -> None:
    holds = [["abuse"]] * 5 + [["accusation"]] * 5 + [[], []]
    rows = [small.row("x", *names) for names in holds]
    probabilities = np.zeros((12, len(OUTPUTS)), np.float32)
    probabilities[[0, 1, 2, 3, 10], 0] = 0.9
    probabilities[0, 1] = 0.9  # a false alarm of a label that no row holds
    probabilities[[5, 6, 7, 8, 9, 11], 2] = 0.9
    menu = {name: {BALANCED: 0.5, "few_false_alarms": 0.85} for name in YES_NO}
    report = customer_metrics(rows, probabilities, menu)
    assert report["macro_f1_of"] == ["abuse", "accusation"]
    assert report["macro_f1"]["value"] == round((4 / 5 + 10 / 11) / 2, 4)
    alarms = {name: report["labels"][name]["false_alarms"] for name in LABELS}
    assert alarms == {"abuse": 0.5, "threat": 0.0, "accusation": 0.5}
    assert report["false_alarms"]["value"] == 1.0
    fewer = customer_metrics(rows[1:], probabilities[1:], menu)
    assert fewer["macro_f1_of"] == ["accusation"]
    assert fewer["macro_f1"]["value"] == round(10 / 11, 4)


def test_hiding_words_loses_recall_and_is_measured_per_perturbation(
    classifier: Classifier, data: Data
) -> None:
    suite = obfuscation_suite(classifier, data.test)
    toxic = [row for row in data.test if not row.is_fair]
    assert suite["rows"] == len(toxic)
    assert len(suite["lost"]) >= 12
    assert suite["recall"] > 0.8
    assert suite["lost"]["dots"] == 0.0  # preparation undoes them
    assert suite["worst_lost"] == max(suite["lost"].values()) > 0
    assert suite["mean_lost"] == pytest.approx(np.mean(list(suite["lost"].values())), abs=0.06)


def test_the_identity_suite_has_a_figure_for_every_group(classifier: Classifier) -> None:
    suite = identity_suite(classifier)
    assert suite["sentences"] == 10 * len(suite["mean_abuse"])
    assert 0 <= suite["false_alarms"] <= 1
    assert 0 <= suite["spread"] <= 1
    assert all(0 < rate <= 1 for rate in suite["highest"].values())


def test_reliability_before_calibration_is_undone_from_after(
    classifier: Classifier, run: Run, data: Data
) -> None:
    panels = reliability_panels(classifier, data.test)
    assert set(panels) == set(LABELS)
    texts = [row.text for row in data.test]
    raw = 1 / (1 + np.exp(-(network_logits(run, texts) + lexical_logits(run, texts))[:, 0]))
    truth, before, after = panels["abuse"]
    assert truth.tolist() == [row.labels["abuse"] for row in data.test]
    assert np.median(np.abs(before - raw)) < 0.02
    assert np.abs(before - after).max() > 0.005


def test_baselines_learn_the_toy_language(data: Data) -> None:
    train = [
        replace(row, labels={**row.labels, "threat": i % 2}) for i, row in enumerate(data.train)
    ]
    blind = np.full((len(data.test), len(OUTPUTS)), 0.5)
    report = evaluate_baselines(small.base(), train, {"written": data.test}, {"written": blind})
    assert set(report) == {"ngrams", "frozen"}
    learned = report["ngrams"]["written"]["abuse"]
    assert learned["auroc"]["value"] > 0.95
    assert learned["lead"]["value"] == pytest.approx(0.5 - learned["auroc"]["value"], abs=1e-4)
    assert 0 <= report["frozen"]["written"]["abuse"]["auroc"]["value"] <= 1
    assert report["ngrams"]["written"]["threat"] is None


def test_the_lead_over_a_baseline_is_of_the_same_draws_and_needs_five_rows_of_a_class() -> None:
    rows = [small.row(f"message {i}", *(["abuse"] if i < 5 else [])) for i in range(20)]
    scores = np.random.default_rng(0).random(20)
    found = _compare(rows, 0, scores, scores)
    assert found is not None
    assert found["auroc"]["low"] < found["auroc"]["high"]
    assert found["lead"] == {"value": 0.0, "low": 0.0, "high": 0.0, "rows": 20}
    perfect = (np.arange(20) < 5).astype(float)
    found = _compare(rows, 0, perfect, 1 - perfect)
    assert found is not None
    assert found["lead"] == {"value": 1.0, "low": 1.0, "high": 1.0, "rows": 20}
    assert _compare(rows[1:], 0, scores[1:], scores[1:]) is None


def test_customer_rows_are_ours_and_the_relabelled() -> None:
    rows = [small.row("a", source=s) for s in ("own", "olid", "customers_relabelled")]
    assert customer_rows(rows) == [rows[0], rows[2]]


# commands


@pytest.fixture(autouse=True)
def quiet_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands set up logging for the terminal; not for the tests that follow."""
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)


@pytest.mark.parametrize("name", ["train", "evaluate", "release"])
def test_a_command_is_registered_and_explains_itself(name: str) -> None:
    (entry,) = entry_points(group="brandtox.commands", name=name)
    result = invoke(name, "--help")
    assert result.exit_code == 0
    assert "--corpora" in result.output
    assert "BRANDTOX_CORPORA" in result.output
    assert entry.load().help.splitlines()[0].strip() in " ".join(result.output.split())


@pytest.mark.parametrize("name", ["train", "evaluate"])
def test_a_folder_without_rows_is_a_clear_error(name: str, tmp_path: Path, released: Path) -> None:
    (tmp_path / "messages").mkdir()
    options: dict[str, tuple[str | Path, ...]] = {
        "train": ("--run", tmp_path / "run"),
        "evaluate": ("--model", released, "--to", tmp_path),
    }
    result = invoke(name, "--datasets", tmp_path, *options[name])
    assert result.exit_code == 1
    assert f"no rows to train on in {tmp_path}" in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "run").exists()


def test_a_missing_corpora_folder_is_a_clear_error(tmp_path: Path, datasets_folder: Path) -> None:
    result = invoke(
        "train",
        "--datasets",
        datasets_folder,
        "--corpora",
        tmp_path / "nowhere",
        "--run",
        tmp_path / "run",
    )
    assert result.exit_code == 1
    assert f"corpora folder {tmp_path / 'nowhere'} does not exist" in result.output


def test_release_without_a_trained_run_is_a_clear_error(tmp_path: Path) -> None:
    result = invoke("release", "--run", tmp_path, "--version", "1", "--to", tmp_path / "model")
    assert result.exit_code == 1
    assert f"Error: no trained run in {tmp_path}: `brandtox train` makes one" in result.output
    assert list(tmp_path.iterdir()) == []


def test_evaluate_without_a_model_is_a_clear_error(tmp_path: Path) -> None:
    result = invoke("evaluate", "--model", tmp_path, "--to", tmp_path)
    assert result.exit_code == 1
    assert f"Error: no model in {tmp_path}" in result.output


def test_a_run_of_other_data_is_a_clear_error(tmp_path: Path, run: Run) -> None:
    messages = small.write_messages(tmp_path, small.many_records(64))
    result = invoke("train", "--run", run.folder, "--datasets", messages)
    assert result.exit_code == 1
    assert f"Error: {run.folder} holds a run of another base or other data" in result.output


def test_a_checkpoint_of_other_settings_is_a_clear_error(
    tmp_path: Path, run: Run, datasets_folder: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run.folder, folder)
    for name in ("customers.pt", "final.pt"):
        (folder / name).unlink()
    result = invoke("train", "--run", folder, "--datasets", datasets_folder, "--epochs", "1")
    assert result.exit_code == 1
    assert "Error: " in result.output
    assert "is of a run with other data or settings" in result.output


def test_train_finishes_a_run_and_draws_its_curves(
    tmp_path: Path, run: Run, datasets_folder: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run.folder, folder)
    (folder / "final.pt").unlink()
    result = invoke("train", "--run", folder, "--datasets", datasets_folder)
    assert result.exit_code == 0, result.output
    assert (folder / "final.pt").exists()
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_release_replaces_the_folder_as_a_whole_or_not_at_all(
    tmp_path: Path,
    run: Run,
    released: Path,
    datasets_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = tmp_path / "model"
    shutil.copytree(released, target)
    (target / "old").touch()
    arguments = ("release", "--run", run.folder, "--to", target, "--datasets", datasets_folder)
    with monkeypatch.context() as patch:
        patch.setattr(export_module, "_MOST_MEGABYTES", 0)
        failed = invoke(*arguments, "--version", "2.0")
    assert failed.exit_code == 1
    assert "Error: not released: megabytes" in failed.output
    assert (target / "old").exists()
    assert invoke(*arguments, "--version", "2.0").exit_code == 0
    assert not (target / "old").exists()
    assert load_manifest(target).model == "2.0"
    assert {path.name for path in tmp_path.iterdir()} == {"model"}


def test_release_replaces_no_folder_of_something_else(
    tmp_path: Path, run: Run, datasets_folder: Path
) -> None:
    (tmp_path / "thesis.txt").touch()
    result = invoke(
        "release",
        "--run",
        run.folder,
        "--to",
        tmp_path,
        "--datasets",
        datasets_folder,
        "--version",
        "2",
    )
    assert result.exit_code == 1
    assert f"Error: {tmp_path} is no model folder" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_run_is_checked_against_its_base_and_rows(run: Run, data: Data) -> None:
    run.check("bundled", data.train)
    for base, rows in (("another", data.train), ("bundled", data.train[1:])):
        with pytest.raises(CheckpointError, match="holds a run of another base or other data"):
            run.check(base, rows)


def test_release_refuses_a_run_of_other_data(tmp_path: Path, run: Run) -> None:
    messages = small.write_messages(tmp_path / "data", small.many_records(64))
    target = tmp_path / "model"
    result = invoke(
        "release", "--run", run.folder, "--to", target, "--datasets", messages, "--version", "2"
    )
    assert result.exit_code == 1
    assert f"Error: {run.folder} holds a run of another base or other data" in result.output
    assert not target.exists()


def test_release_without_dev_rows_is_a_clear_error(tmp_path: Path, run: Run) -> None:
    records = [record for record in small.many_records(320) if record["split"] == "train"]
    messages = small.write_messages(tmp_path / "data", records)
    result = invoke(
        "release",
        "--run",
        run.folder,
        "--to",
        tmp_path / "model",
        "--datasets",
        messages,
        "--version",
        "2",
    )
    assert result.exit_code == 1
    assert "Error: not released: there are no dev rows" in result.output


def test_evaluate_writes_report_plots_and_card(
    tmp_path: Path, run: Run, released: Path, datasets_folder: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(released, model)
    docs = tmp_path / "docs"
    result = invoke("evaluate", "--model", model, "--to", docs, "--datasets", datasets_folder)
    assert result.exit_code == 0, result.output
    report = json.loads((docs / "results.json").read_text())
    assert report["parity"] == json.loads((model / "parity.json").read_text())
    assert (docs / "results.md").read_text().startswith("# Results")
    assert (docs / "reliability.png").stat().st_size > 1000
    card = (model / "card.md").read_text()
    assert "# Model card: brandtox 9.1" in card
    assert "{{" not in card
    assert "## Written customer messages" in card
    classifier = Classifier.load(model, threads=1)
    assert classifier.version == "9.1"
    assert set(classifier.manifest.files) == {
        "card.md",
        "model.onnx",
        "parity.json",
        "tokenizer.json",
    }
    assert classifier.manifest.metrics["written"]["auroc"]["abuse"]["value"] > 0.95


def test_a_card_and_parity_that_were_changed_are_no_longer_the_models(
    tmp_path: Path, released: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(released, model)
    write_card(model, REPORT)
    for name in ("card.md", "parity.json"):
        kept = (model / name).read_bytes()
        (model / name).write_bytes(kept + b" ")
        with pytest.raises(ModelError, match=rf"{name} is damaged"):
            Classifier.load(model)
        (model / name).write_bytes(kept)
    assert load_manifest(model).metrics["written"]["rows"] == REPORT["written"]["rows"]


def test_a_kill_while_a_card_is_replaced_leaves_a_model_that_loads(
    tmp_path: Path, released: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_: Path) -> str:
        raise KeyboardInterrupt

    model = tmp_path / "model"
    shutil.copytree(released, model)
    write_card(model, REPORT)
    monkeypatch.setattr(release_module, "sha256", killed)
    with pytest.raises(KeyboardInterrupt):
        write_card(model, REPORT | {"model": "3.3"})
    assert "3.3" in (model / "card.md").read_text()
    assert load_manifest(model).model == "9.1"


def test_evaluate_on_dev_rows_writes_no_card(tmp_path: Path, released: Path) -> None:
    records = small.many_records(320)
    dev = [record for record in records if record["split"] == "dev"][:40]
    rest = [record for record in records if record["split"] != "dev"]
    messages = small.write_messages(tmp_path / "data", rest + dev)
    model, docs = tmp_path / "model", tmp_path / "docs"
    shutil.copytree(released, model)
    result = invoke(
        "evaluate", "--model", model, "--to", docs, "--datasets", messages, "--split", "dev"
    )
    assert result.exit_code == 0, result.output
    assert json.loads((docs / "results.json").read_text())["written"]["rows"] == 40
    assert contents(model) == contents(released)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def published(tmp_path: Path, released: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout, now the working folder, whose released model is the toy one; returns the model."""
    model = tmp_path / "model" / "released"
    shutil.copytree(released, model)
    (tmp_path / "README.md").write_text("<!-- begin results -->\nold\n<!-- end results -->\n")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "results.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli_module, "RELEASED", model)
    return model


def with_all_parts(data: Data) -> Data:
    """The same with reviews and comments among the held-out rows."""
    real = [
        replace(row, source=RELABELLED, origin=origin, text=f"{row.text} {origin}")
        for row in data.test
        for origin in ("us_airline_tweets", "tunizi")
    ]
    return replace(data, dev=data.dev + real, test=data.test + real)


@pytest.mark.parametrize(
    ("whole", "options"),
    [
        pytest.param(True, [], id="no baselines"),
        pytest.param(True, ["--baselines", "--split", "dev"], id="dev rows"),
        pytest.param(False, ["--baselines"], id="no corpora"),
        pytest.param(True, ["--to", "{here}/docs"], id="docs by another path"),
        pytest.param(True, ["--model", "model/released"], id="the model by another path"),
    ],
)
def test_published_results_are_not_replaced_by_a_part_of_them(
    published: Path,
    released: Path,
    data: Data,
    monkeypatch: pytest.MonkeyPatch,
    whole: bool,
    options: list[str],
) -> None:
    rows = with_all_parts(data) if whole else data
    monkeypatch.setattr(cli_module, "load_data", lambda *_: rows)
    given = [option.format(here=Path.cwd()) for option in options]
    result = invoke("evaluate", "--model", published, *given)
    assert result.exit_code == 1
    assert "Error: this would replace the published results" in result.output
    assert contents(published) == contents(released)
    assert contents(Path("docs")) == {"results.json": b"{}"}
    assert "old" in Path("README.md").read_text()


def test_published_results_go_to_the_docs_the_card_and_the_readme(
    published: Path, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = with_all_parts(data)
    given: dict[str, tuple[int, ...]] = {}

    def baselines(_: Any, __: Any, test: Any, scores: dict[str, Any]) -> dict[str, Any]:
        given.update({name: scores[name].shape for name in test})
        return {"ngrams": {name: dict.fromkeys(LABELS) for name in test}}

    monkeypatch.setattr(cli_module, "load_data", lambda *_: whole)
    monkeypatch.setattr(cli_module, "load_base", small.base)
    monkeypatch.setattr(cli_module, "evaluate_baselines", baselines)
    result = invoke("evaluate", "--model", published, "--baselines")
    assert result.exit_code == 0, result.output
    size = (len(data.test), len(OUTPUTS))
    assert given == {"written": size, "reviews": size, "comments": size}
    report = json.loads(Path("docs/results.json").read_text())
    assert set(report["baselines"]["ngrams"]) == set(given)
    assert "# Model card: brandtox 9.1" in (published / "card.md").read_text()
    assert set(load_manifest(published).metrics) == set(given)
    readme = Path("README.md").read_text()
    assert "| Written customer messages (80) | Real reviews and tweets" in readme
    assert "old" not in readme


def test_the_released_model_measured_elsewhere_keeps_its_card(
    published: Path, released: Path, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_module, "load_data", lambda *_: data)
    result = invoke("evaluate", "--model", published, "--to", "elsewhere")
    assert result.exit_code == 0, result.output
    assert Path("elsewhere/results.json").exists()
    assert contents(published) == contents(released)
    assert contents(Path("docs")) == {"results.json": b"{}"}
    assert "old" in Path("README.md").read_text()


def test_customer_rows_are_written_reviews_and_comments() -> None:
    rows = [
        small.row("a"),
        small.row("b", source=RELABELLED, origin="us_airline_tweets"),
        small.row("c", source=RELABELLED, origin="tunizi"),
        small.row("d", source="tunizi", origin="tunizi"),
    ]
    parts = customer_parts(rows)
    assert {name: [row.text for row in part] for name, part in parts.items()} == {
        "written": ["a"],
        "reviews": ["b"],
        "comments": ["c"],
    }
    assert customer_parts(rows[:1]) == {"written": rows[:1]}


@pytest.mark.parametrize(
    ("official", "name"), [(["olid"], "official {}"), ([], "{}, by hash")], ids=["official", "hash"]
)
def test_a_corpus_with_one_held_out_split_is_measured_on_half_of_it(
    classifier: Classifier, official: list[str], name: str
) -> None:
    words = ["idiot", "thanks"]
    rows = [
        small.row(
            f"{words[i % 2]} agent {chr(97 + i // 2)}", *(["abuse"] * (i % 2 == 0)), source="olid"
        )
        for i in range(48)
    ]
    for dev, test, split, count in (
        (rows, [], "half of dev", 24),
        ([], rows, "half of test", 24),
        (rows, rows, "test", 48),
    ):
        data = Data([], dev, test, frozenset(official))
        entry = _corpora_report(classifier, data)["olid"]
        assert (entry["split"], entry["rows"]) == (name.format(split), count)
        if split == "test":
            assert entry["abuse_auroc"]["value"] > 0.95


def test_corpora_are_part_of_the_report(classifier: Classifier) -> None:
    rows = [small.row(f"idiot agent {i}", "abuse", source=s) for i, s in enumerate(("olid", "own"))]
    report = evaluate(classifier, Data([], [], [*rows, rows[0]], frozenset({"olid"})))
    assert report["corpora"] == {"olid": {"split": "official half of test", "rows": 1}}


def test_the_published_results_are_of_the_released_model_only(released: Path) -> None:
    result = invoke("evaluate", "--model", released)
    assert result.exit_code == 1
    assert "give --to FOLDER" in result.output
