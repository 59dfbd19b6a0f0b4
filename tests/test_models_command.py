"""`brandtox models …`, and that the other commands use the model that it promotes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from model.manifest import MODEL, RELEASED, read_manifest
from model.registry import ACTIVE, COMPARISON, GATE, Registry
from serving import cli
from serving.options import this_user
from tests.helpers import Json, sealed
from tests.registries import add_candidate

SHIPPED = read_manifest(RELEASED).model
PARENT = "1.2.0+20261101.0a1b2c3d"
CHILD = "1.2.0+20261122.9f8e7d6c"


@pytest.fixture
def registry(tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """With a candidate that its gate passed, and a child of it that was refused."""
    found = Registry(tmp_path / "models")
    told: Json = {"created": "2026-11-01", "parent": SHIPPED, "data": "0a1b2c3d4e5f"}
    add_candidate(found, model_folder, tmp_path, PARENT, **told)
    told = {"created": "2026-11-22", "parent": PARENT, "data": "9f8e7d6c5b4a", "passed": False}
    add_candidate(found, model_folder, tmp_path, CHILD, **told)
    monkeypatch.setenv("BRANDTOX_MODELS", str(found.folder))
    return found


def run(*arguments: str, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(cli.main, arguments, input=stdin)


def models(*arguments: str) -> Result:
    return run("models", *arguments)


def told(*arguments: str) -> Json:
    result = models(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    found: Json = json.loads(result.stdout)
    return found


def row_of(name: str, table: str) -> list[str]:
    """The first row with the name in one of its first two cells."""
    rows = ([c.strip() for c in line.strip("│").split("│")] for line in table.splitlines())
    return next(row for row in rows if name in row[:2])


# --- list, show, compare ---


def test_list_has_a_row_for_each_model(registry: Registry) -> None:
    registry.promote(PARENT, "Amal")
    result = models("list")
    assert result.exit_code == 0
    shipped, parent, child = (row_of(model, result.stdout) for model in (SHIPPED, PARENT, CHILD))
    assert (shipped[0], parent[0], child[0]) == ("", "*", "")
    assert parent[1:6] == [PARENT, "2026-11-01", SHIPPED, "0a1b2c3d4e5f", "passed"]
    assert child[1:6] == [CHILD, "2026-11-22", PARENT, "9f8e7d6c5b4a", "refused"]
    assert parent[6].endswith("by Amal")
    found = told("list")["models"]
    assert [one["model"] for one in found] == [SHIPPED, PARENT, CHILD]
    assert [one["active"] for one in found] == [False, True, False]
    assert found[1]["promotions"][0]["previous"] == SHIPPED


def test_a_damaged_candidate_is_listed_with_its_error(registry: Registry) -> None:
    (registry.folder / CHILD / "manifest.json").write_text("{")
    result = models("list")
    assert result.exit_code == 0
    assert row_of(CHILD, result.stdout)
    assert f"{CHILD} cannot be used: " in result.stderr


def test_show_tells_the_gate_the_thresholds_and_the_promotions(registry: Registry) -> None:
    registry.promote(CHILD, "Amal", "the contract says so", forced=True)
    text = models("show").stdout
    for part in (CHILD, PARENT, "9f8e7d6c5b4a", "refused", "abuse_f1", "0.70 is below 0.74"):
        assert part in text
    assert "few_false_alarms" in text
    assert "the contract says so" in text
    assert told("show", CHILD)["gate"]["checks"][0]["name"] == "abuse_f1"
    assert told("show", SHIPPED)["gate"] is None


def test_compare_prints_the_figures_of_both(registry: Registry) -> None:
    pair = {
        "candidate": 0.75,
        "released": 0.7,
        "better": 0.05,
        "low": 0.01,
        "high": 0.09,
        "rows": 9,
    }
    record = {
        "candidate": PARENT,
        "released": SHIPPED,
        "written": {
            "rows": 900,
            "macro_f1": pair,
            "labels": {"abuse": {"auroc": pair, "f1": None}},
        },
        "megabytes": {"candidate": 43.4, "released": 43.5},
        "verdict": "better",
    }
    (registry.folder / PARENT / COMPARISON).write_text(json.dumps(record))
    for pair_of in ((PARENT, SHIPPED), (SHIPPED, PARENT)):
        text = models("compare", *pair_of).stdout
        assert "0.75 / 0.7 (better by 0.01 to 0.09)" in text
        assert "43.4 / 43.5" in text
        assert row_of("abuse", text)[0] == "abuse"
        assert told("compare", *pair_of) == record
    missing = models("compare", PARENT, CHILD)
    assert missing.exit_code == 1
    assert "brandtox retrain" in missing.stderr


# --- promote, rollback ---


def test_promote_and_rollback(registry: Registry) -> None:
    result = models("promote", PARENT, "--by", "Amal", "--reason", "better")
    assert (result.exit_code, result.stdout) == (0, f"{PARENT} is in use from now on\n")
    assert "already" in models("promote", PARENT).stdout
    assert registry.active_id() == PARENT
    assert models("rollback").stdout == f"{SHIPPED} is in use from now on\n"
    assert registry.active() == RELEASED
    first, last = registry.promotions()
    assert (first.by, first.reason, last.by) == ("Amal", "better", this_user())
    again = models("rollback")
    assert (again.exit_code, "no promotion is left" in again.stderr) == (1, True)


def test_who_decides_is_known_where_the_user_has_no_name(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> str:
        raise KeyError("getpwuid(): uid not found: 1000")

    monkeypatch.setattr("getpass.getuser", fail)
    assert models("promote", PARENT).exit_code == 0
    assert registry.promotions()[-1].by == f"user {os.getuid()}"


def test_a_refused_candidate_names_what_failed_and_goes_live_by_force_alone(
    registry: Registry,
) -> None:
    result = models("promote", CHILD)
    assert result.exit_code == 1
    assert "abuse_f1: 0.70 is below 0.74" in result.stderr
    assert "--force" in result.stderr
    result = models("promote", CHILD, "--force")
    assert (result.exit_code, "--reason" in result.stderr) == (2, True)
    assert registry.active() == RELEASED
    assert models("promote", CHILD, "--force", "--reason", "law").exit_code == 0
    assert registry.promotions()[-1].forced
    (registry.folder / PARENT / GATE).unlink()
    result = models("promote", PARENT)
    assert (result.exit_code, "no gate has looked" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    "arguments", [("promote", "1.0"), ("show", "1.0"), ("compare", "1.0", SHIPPED)]
)
def test_a_model_that_is_not_there_is_told(registry: Registry, arguments: tuple[str, ...]) -> None:
    result = models(*arguments)
    assert result.exit_code == 1
    assert "there is no model '1.0'" in result.stderr
    assert "brandtox models list" in result.stderr


def test_what_is_damaged_is_not_promoted(registry: Registry) -> None:
    (registry.folder / PARENT / MODEL).write_bytes(b"")
    result = models("promote", PARENT)
    assert (result.exit_code, "damaged" in result.stderr) == (1, True)
    assert registry.active() == RELEASED


def test_what_cannot_be_loaded_is_not_promoted(registry: Registry) -> None:
    folder = registry.folder / PARENT
    (folder / MODEL).write_bytes(b"no graph")
    sealed(folder)
    result = models("promote", PARENT)
    assert (result.exit_code, "cannot be loaded" in result.stderr) == (1, True)
    assert registry.active() == RELEASED


def test_a_fixed_model_is_mentioned(
    registry: Registry, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRANDTOX_MODEL", str(model_folder))
    result = models("promote", PARENT)
    assert f"BRANDTOX_MODEL is {model_folder}" in result.stderr


def test_promotions_that_cannot_be_read_are_told(registry: Registry) -> None:
    (registry.folder / ACTIVE).write_text("{")
    for command in ("list", "show", "rollback"):
        result = models(command)
        assert (result.exit_code, "mend it" in result.stderr) == (1, True)


# --- the commands that score ---


def test_classify_uses_the_promoted_model(registry: Registry) -> None:
    registry.promote(PARENT, "Amal")
    result = run("classify", stdin=b'{"text": "z"}\n')
    assert json.loads(result.stdout)["model"] == PARENT


def test_serve_follows_the_folder_unless_its_model_is_fixed(
    registry: Registry, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []

    def create_app(_: object, classifier: object, models: object) -> None:
        found.append((getattr(classifier, "version", None), models))

    monkeypatch.setattr(cli, "create_app", create_app)
    monkeypatch.setattr("uvicorn.run", lambda *_, **__: None)
    registry.promote(PARENT, "Amal")
    assert run("serve").exit_code == 0
    result = run("serve", "--model", str(model_folder))
    assert f"what is promoted in {registry.folder} is not looked at" in result.stderr
    (follows, fixed) = found
    assert follows[0] == PARENT
    assert isinstance(follows[1], Registry)
    assert fixed == ("tiny-1", None)


@pytest.mark.parametrize("command", ["serve", "classify"])
def test_a_promoted_model_that_is_gone_stops_the_start(registry: Registry, command: str) -> None:
    registry.promote(PARENT, "Amal")
    (registry.folder / PARENT).rename(registry.folder / ".gone")
    result = run(command)
    assert result.exit_code == 1
    assert "brandtox models rollback" in result.stderr
