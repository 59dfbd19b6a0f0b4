"""The models folder: candidates, and promotions that a kill cannot tear."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model import ModelError
from model.manifest import MODEL, RELEASED, read_manifest
from model.registry import ACTIVE, GATE, Registry, RegistryError
from tests.helpers import Json, changed_folder
from tests.registries import add_candidate

SHIPPED = read_manifest(RELEASED).model


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models")


@pytest.fixture
def two(registry: Registry, model_folder: Path, tmp_path: Path) -> Registry:
    """With the candidates a and b, which their gates passed."""
    for name in ("a", "b"):
        add_candidate(registry, model_folder, tmp_path, name)
    return registry


# --- which one is in use ---


def test_without_a_promotion_the_released_model_is_in_use(registry: Registry) -> None:
    assert (registry.active(), registry.active_id()) == (RELEASED, SHIPPED)
    assert list(registry.list()) == [RELEASED]
    assert registry.find(SHIPPED) == RELEASED
    assert not registry.folder.exists()


def test_what_is_promoted_is_in_use_and_on_record(two: Registry) -> None:
    assert two.promote("b", "Amal", "fewer false alarms")
    assert (two.active(), two.active_id()) == (two.folder / "b", "b")
    (last,) = two.promotions()
    assert (last.model, last.by, last.reason) == ("b", "Amal", "fewer false alarms")
    assert (last.previous, last.forced, last.rollback) == (SHIPPED, False, False)
    assert last.at.endswith("Z")


def test_promoting_what_is_in_use_changes_nothing(two: Registry) -> None:
    assert not two.promote(SHIPPED, "Amal")
    two.promote("a", "Amal")
    assert not two.promote("a", "Amal")
    assert len(two.promotions()) == 1


def test_rollback_goes_back_step_by_step(two: Registry) -> None:
    for model in ("a", "b", SHIPPED, "a"):
        two.promote(model, "Amal")
    assert [two.rollback("Amal") for _ in range(4)] == [SHIPPED, "b", "a", SHIPPED]
    assert two.active() == RELEASED
    with pytest.raises(RegistryError, match="no promotion is left"):
        two.rollback("Amal")
    assert len(two.promotions()) == 8


@given(steps=st.lists(st.sampled_from(["a", "b", SHIPPED, "back"]), max_size=12))
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rollback_always_undoes_the_last_standing_promotion(
    two: Registry, steps: list[str]
) -> None:
    (two.folder / ACTIVE).unlink(missing_ok=True)
    stack = [SHIPPED]
    for step in steps:
        if step != "back":
            if two.promote(step, "Amal"):
                stack.append(step)
        elif len(stack) > 1:
            stack.pop()
            assert two.rollback("Amal") == stack[-1]
        assert two.active_id() == stack[-1]


def test_a_newer_brandtox_uses_its_own_released_model(two: Registry) -> None:
    two.promote("a", "Amal")
    two.rollback("Amal")
    record = json.loads((two.folder / ACTIVE).read_text())
    for one in record["promotions"]:
        one |= {"model": one["model"].replace(SHIPPED, "0.9"), "previous": "0.9"}
    (two.folder / ACTIVE).write_text(json.dumps(record))
    assert (two.active(), two.active_id()) == (RELEASED, SHIPPED)


# --- what is refused ---


def gate(registry: Registry, model: str, record: Json | None) -> None:
    path = registry.folder / model / GATE
    if record is None:
        path.unlink()
    else:
        path.write_text(json.dumps(record))


REFUSED = {
    "verdict": "refused",
    "checks": [
        {"name": "abuse_f1", "passed": False, "why": "0.70 is 0.04 below 0.74"},
        {"name": "speed", "passed": True, "why": "as fast"},
    ],
}


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (REFUSED, "abuse_f1: 0.70 is 0.04 below 0.74"),
        ({"verdict": "refused", "checks": []}, "nothing is better"),
        (None, "no gate has looked at it"),
    ],
)
def test_what_its_gate_did_not_pass_needs_force_and_a_reason(
    two: Registry, record: Json | None, says: str
) -> None:
    gate(two, "a", record)
    with pytest.raises(RegistryError, match=says) as caught:
        two.promote("a", "Amal", "I like it")
    assert "speed" not in str(caught.value)
    with pytest.raises(RegistryError, match="only for a reason"):
        two.promote("a", "Amal", " ", forced=True)
    assert two.active() == RELEASED
    assert two.promote("a", "Amal", "the contract says so", forced=True)
    assert (two.promotions()[-1].forced, two.promotions()[-1].reason) == (
        True,
        "the contract says so",
    )


def test_what_was_compared_with_another_model_than_the_one_in_use_needs_force(
    two: Registry,
) -> None:
    for name in ("a", "b"):
        gate(two, name, {"verdict": "passed", "released": SHIPPED, "checks": []})
    assert two.promote("b", "Amal")
    with pytest.raises(RegistryError, match=f"compared it with {SHIPPED}, and b is in use now"):
        two.promote("a", "Amal")
    assert two.promote("a", "Amal", "measured by hand", forced=True)
    assert two.rollback("Amal") == "b"
    assert two.rollback("Amal") == SHIPPED
    assert two.promote("a", "Amal")


def test_force_that_was_not_needed_is_not_recorded(two: Registry) -> None:
    two.promote("a", "Amal", "sure", forced=True)
    assert not two.promotions()[-1].forced


@pytest.mark.parametrize("name", ["c", "../models/a", "", ".", ".lock", ACTIVE, "a/"])
def test_what_is_no_model_is_not_promoted(two: Registry, name: str) -> None:
    with pytest.raises(RegistryError, match="there is no model"):
        two.promote(name, "Amal")
    assert two.active() == RELEASED


def test_a_damaged_model_is_not_promoted_nor_gone_back_to(two: Registry) -> None:
    two.promote("a", "Amal")
    two.promote("b", "Amal")
    (two.folder / "a" / MODEL).write_bytes(b"")
    with pytest.raises(ModelError, match="damaged"):
        two.promote("a", "Amal", "force", forced=True)
    with pytest.raises(ModelError, match="damaged"):
        two.rollback("Amal")
    assert two.active_id() == "b"


def test_a_folder_under_another_name_is_not_promoted(two: Registry) -> None:
    (two.folder / "a").rename(two.folder / "z")
    with pytest.raises(RegistryError, match="holds the model 'a'"):
        two.promote("z", "Amal")


def test_a_model_in_use_that_is_gone_is_told(two: Registry) -> None:
    two.promote("a", "Amal")
    (two.folder / "a").rename(two.folder / ".gone")
    with pytest.raises(RegistryError, match="rollback"):
        two.active()
    assert two.rollback("Amal") == SHIPPED


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"promotions": [{"model": "a"}]}', "\x00"])
def test_a_file_of_promotions_that_cannot_be_read_is_told(two: Registry, text: str) -> None:
    (two.folder / ACTIVE).write_text(text)
    with pytest.raises(RegistryError, match="mend it"):
        two.active()
    with pytest.raises(RegistryError, match="mend it"):
        two.promote("a", "Amal")
    assert (two.folder / ACTIVE).read_text() == text


# --- candidates ---


def test_a_candidate_is_moved_in(registry: Registry, model_folder: Path, tmp_path: Path) -> None:
    made = changed_folder(model_folder, tmp_path / "made", model="1.2.0+20261101.0a1b2c3d")
    added = registry.add(made)
    assert added == registry.folder / "1.2.0+20261101.0a1b2c3d"
    assert list(registry.list()) == [RELEASED, added]
    assert not made.exists()


def test_a_candidate_from_another_file_system_is_copied(
    registry: Registry, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = changed_folder(model_folder, tmp_path / "made", model="c")
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self == made:
            raise OSError(errno.EXDEV, "another file system")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    registry.add(made)
    assert read_manifest(registry.find("c")).model == "c"
    assert not made.exists()


@pytest.mark.parametrize("name", ["a", SHIPPED, "x/y", "..", ".hidden"])
def test_a_candidate_whose_name_is_taken_or_none_stays_where_it_is(
    two: Registry, model_folder: Path, tmp_path: Path, name: str
) -> None:
    made = changed_folder(model_folder, tmp_path / "made", model=name)
    with pytest.raises(RegistryError, match="give another"):
        two.add(made)
    assert made.is_dir()
    assert len(two.list()) == 3


def test_what_is_told_of_a_damaged_candidate_is_its_error(two: Registry) -> None:
    (two.folder / "a" / "manifest.json").write_text("{")
    found = [two.describe(folder) for folder in two.list()]
    assert [one["model"] for one in found] == [SHIPPED, "a", "b"]
    assert [bool(one["error"]) for one in found] == [False, True, False]
    assert [one["active"] for one in found] == [True, False, False]


def test_many_at_once_are_all_on_record(two: Registry) -> None:
    def decide(number: int) -> bool:
        return two.promote("ab"[number % 2], str(number))

    with ThreadPoolExecutor(8) as pool:
        changed = sum(pool.map(decide, range(40)))
    history = two.promotions()
    assert len(history) == changed
    assert all(one.previous == before.model for before, one in pairwise(history))


# --- kills ---


class Killed:
    """Runs steps on a registry in processes that die before the n-th change to the file system."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, registry: Registry, step: str, argument: str, lives: int) -> int:
        """The status: 0, or that of a kill."""
        assert self._process.stdin
        assert self._process.stdout
        order = [str(registry.folder), step, argument, lives]
        self._process.stdin.write(json.dumps(order) + "\n")
        return os.waitstatus_to_exitcode(int(self._process.stdout.readline()))


@pytest.fixture(scope="module")
def killed() -> Iterator[Killed]:
    command = [sys.executable, "-m", "tests.killed_registry"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, bufsize=1) as process:
        yield Killed(process)
        assert process.stdin
        process.stdin.close()


@contextmanager
def whole(registry: Registry) -> Iterator[list[tuple[Any, ...]]]:
    """What is in use afterwards is a model whose files are whole."""
    seen: list[tuple[Any, ...]] = []
    yield seen
    folder = registry.active()
    assert registry._checked(registry.active_id()) == folder


@pytest.mark.parametrize("step", ["promote", "rollback"])
def test_a_kill_at_any_step_leaves_the_old_or_the_new_model(
    two: Registry, killed: Killed, step: str
) -> None:
    seen = set()
    two.promote("b", "Amal")
    for lives in range(1, 40):
        before = two.promotions()
        status = killed.run(two, step, "a" if two.active_id() == "b" else "b", lives)
        with whole(two):
            after = two.promotions()
            assert after[: len(before)] == before
            assert len(after) - len(before) in (0, 1)
            seen.add((status, len(after) - len(before)))
        if status == 0:
            assert len(after) - len(before) == 1
            break
        if len(after) > len(before):  # as it was, for the next
            (two.folder / ACTIVE).write_text(
                json.dumps({"promotions": [vars(one) for one in before]})
            )
    assert seen == {(-signal.SIGKILL, 0), (-signal.SIGKILL, 1), (0, 1)}


def test_a_kill_at_any_step_leaves_a_candidate_in_or_out(
    two: Registry, killed: Killed, model_folder: Path, tmp_path: Path
) -> None:
    seen = set()
    for lives in range(1, 60):
        made = changed_folder(model_folder, tmp_path / f"made{lives}", model=f"c{lives}")
        status = killed.run(two, "add", str(made), lives)
        is_in = (two.folder / f"c{lives}").is_dir()
        assert is_in != made.is_dir()
        if is_in:
            two._checked(f"c{lives}")
        seen.add((status, is_in))
        if status == 0:
            break
    assert seen == {(-signal.SIGKILL, False), (-signal.SIGKILL, True), (0, True)}
