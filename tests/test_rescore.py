"""A history is brought to another model: judged beside, shown, applied, undone; killed on the way."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, update
from sqlalchemy.exc import OperationalError

from model import Classifier
from model.registry import Registry
from serving import cli, rescoring
from serving.index.reading import read
from serving.index.settings import DAY
from serving.rescoring import RescoringError, Shown
from serving.store.customers import lock_customers
from serving.store.database import Database
from serving.store.privacy import delete_customer, export_customer
from serving.store.rescored import count_waiting, keep_rescored
from serving.store.tables import audit, customers, messages, rescored, verdicts
from tests.helpers import NOW, Json
from tests.registries import add_candidate
from tests.rescorers import BATCH, Other
from tests.stores import Company, message, reply, spoken

_WORDS = ["calm", "insult", "thanks", "scope", "grave", "calm insult", "blame"]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rescoring, "_BATCH", BATCH)
    monkeypatch.setattr(rescoring, "_PAGE", BATCH)
    monkeypatch.setattr(rescoring, "_CUSTOMERS", 2)


def tell(company: Company, *names: str) -> None:
    """A month of each customer."""
    for number, customer in enumerate(names):
        batch = []
        for day in range(10):
            at, word = NOW - (30 - 3 * day) * DAY, _WORDS[(day + number) % len(_WORDS)]
            place = {"customer_id": customer}
            batch += [message(f"{customer}{day}", at, word, **place)]
            batch += [reply(f"{customer}{day}r", at + 600, **place)]
        company.take(*batch)
    company.work()


@pytest.fixture
def known(company: Company) -> Company:
    tell(company, "c1", "c2", "c3")
    return company


def judge_anew(company: Company, scorer: Other | None = None) -> Other:
    scorer = scorer or Other()
    rescoring.score_history(company.database, scorer, {})
    rescoring.note_shown(company.database, scorer.version)
    return scorer


def shown(company: Company, model: str = "other", **options: Any) -> Json:
    found = Shown(**options)
    return rescoring.difference(company.database, company.settings, model, found, NOW)


def counting(company: Company) -> dict[int, Any]:
    """The verdicts that count, by message."""
    return {row.seq: tuple(row) for row in company.rows(verdicts)}


def beside(company: Company) -> set[tuple[int, str]]:
    return {(row.seq, row.model) for row in company.rows(rescored)}


def incoming(company: Company) -> int:
    return len(company.rows(messages, messages.c.direction == "in"))


# --- judging anew ---


def test_old_verdicts_count_until_new_ones_are_applied(known: Company) -> None:
    before = counting(known)
    scorer = judge_anew(known)
    assert counting(known) == before
    assert beside(known) == {(seq, "other") for seq in before}
    assert scorer.read == len(before) == incoming(known)
    assert known.dirty_from() is None


def test_nothing_is_judged_twice(known: Company) -> None:
    judge_anew(known)
    assert judge_anew(known).read == 0
    known.take(message("late", NOW - 60, "insult"))
    known.work()
    assert judge_anew(known).read == 1


def test_a_message_without_a_text_or_that_cannot_be_read_keeps_its_verdict(known: Company) -> None:
    with known.database.begin() as connection:
        own = messages.c.customer_id == "c1"
        connection.execute(update(messages).where(own).values(text=None))
        broken = update(messages).where(messages.c.customer_id == "c2", messages.c.id == "c20")
        connection.execute(broken.values(text="broken insult"))
        assert rescoring_counts(connection) == (20, 10)
    assert rescoring.score_history(known.database, Other(), {}) == 1
    assert len(beside(known)) == 19


def rescoring_counts(connection: Any) -> tuple[int, int]:
    return count_waiting(connection, "other")


# --- the difference ---


def test_the_difference_says_which_labels_go_on_and_off(known: Company) -> None:
    judge_anew(known)
    found = shown(known, examples=2)
    texts = {row.id: row.text for row in known.rows(messages, messages.c.direction == "in")}
    lost = {i for i, text in texts.items() if "insult" in text}
    new = {i for i, text in texts.items() if "thanks" in text}
    assert found["messages"] == 30
    assert found["labels"]["abuse"] == {"on": len(new), "off": len(lost)}
    assert found["labels"]["accusation"] == {"on": 0, "off": 0}
    assert found["labels"]["threat"]["on"] == sum("scope" in text for text in texts.values())
    for one in found["examples"]:
        assert one["id"] in (lost if (one["label"], one["goes"]) == ("abuse", "off") else texts)
    assert len(found["examples"]) == 6
    assert "text" not in found["examples"][0]
    with_texts = shown(known, texts=True)["examples"]
    assert all(one["text"] == texts[one["id"]] for one in with_texts)


def readings(company: Company) -> dict[str, tuple[float, str]]:
    with company.database.read() as connection:
        snapshot = company.states.snapshot(connection, NOW)
    found = {}
    for row in company.rows(customers):
        reading = read(company.kept(row.id), NOW, company.settings, snapshot)
        found[row.id] = (reading.index, reading.quadrant)
    return found


def test_the_difference_of_customers_is_what_applying_does(known: Company) -> None:
    judge_anew(known)
    found = shown(known)["customers"]
    before = readings(known)
    rescoring.apply(known.database, "other", "Amal", NOW)
    known.work()
    after = readings(known)
    moved = [name for name in before if abs(before[name][0] - after[name][0]) >= 1]
    assert moved
    assert (found["customers"], found["looked_at"]) == (3, 3)
    assert found["index"] == len(moved)
    assert found["quadrant"] == sum(before[name][1] != after[name][1] for name in before)
    told = {one["customer_id"]: one["index"] for one in found["examples"]}
    for name in moved:
        assert told[name] == f"{before[name][0]:.1f} → {after[name][0]:.1f}"


def test_only_a_sample_of_customers_is_read_and_the_same_each_time(known: Company) -> None:
    judge_anew(known)
    found = shown(known, customers=2)["customers"]
    assert (found["customers"], found["looked_at"]) == (3, 2)
    assert shown(known, customers=2)["customers"] == found
    assert shown(known, customers=0)["customers"]["looked_at"] == 0


# --- applying, undoing ---


def test_applied_verdicts_make_the_states_of_a_store_judged_so_from_the_start(
    known: Company, tmp_path: Path
) -> None:
    judge_anew(known)
    assert rescoring.apply(known.database, "other", "Amal", NOW) == 30
    assert known.dirty_from() == NOW - 30 * DAY
    known.work()
    database = Database(f"sqlite:///{tmp_path / 'other.db'}")
    database.migrate()
    fresh = Company(database, Other())
    tell(fresh, "c1", "c2", "c3")
    for name in ("c1", "c2", "c3"):
        assert known.kept(name) == fresh.kept(name)
        assert known.is_consistent(name)
    plain = [row[1:] for row in counting(known).values()]
    assert plain == [row[1:] for row in counting(fresh).values()]
    database.close()


def test_undone_verdicts_are_as_before(known: Company) -> None:
    before, states = counting(known), {n: known.kept(n) for n in ("c1", "c2", "c3")}
    judge_anew(known)
    rescoring.apply(known.database, "other", "Amal", NOW)
    known.work()
    assert known.kept("c1") != states["c1"]
    assert rescoring.undo(known.database, "Amal", NOW) == ("other", 30)
    known.work()
    assert counting(known) == before
    assert {n: known.kept(n) for n in states} == states
    assert beside(known) == {(seq, "other") for seq in before}


def test_who_did_it_is_on_record(known: Company) -> None:
    judge_anew(known)
    rescoring.apply(known.database, "other", "Amal", NOW)
    rescoring.undo(known.database, "Basma", NOW)
    told = [(row.action, json.loads(row.details)) for row in known.rows(audit)]
    assert told == [
        ("apply_rescored", {"model": "other", "by": "Amal"}),
        ("undo_rescored", {"model": "other", "by": "Basma"}),
    ]


def test_nothing_is_applied_before_its_difference_was_shown(known: Company) -> None:
    rescoring.score_history(known.database, Other(), {})
    with pytest.raises(RescoringError, match="run `brandtox rescore` first"):
        rescoring.apply(known.database, "other", "Amal", NOW)
    rescoring.note_shown(known.database, "third")
    with pytest.raises(RescoringError, match="run `brandtox rescore` first"):
        rescoring.apply(known.database, "other", "Amal", NOW)
    with pytest.raises(RescoringError, match="nothing to undo"):
        rescoring.undo(known.database, "Amal", NOW)
    assert known.rows(audit) == []


def test_what_arrives_or_goes_in_between_is_no_obstacle(known: Company) -> None:
    judge_anew(known)
    known.take(message("late", NOW - 60, "insult", customer_id="c1"))
    known.work()
    late = known.rows(verdicts)[-1]
    with known.database.begin() as connection:
        delete_customer(connection, "c2")
        connection.execute(delete(messages).where(messages.c.id == "c30"))
    assert rescoring.apply(known.database, "other", "Amal", NOW) == 19
    known.work()
    assert counting(known)[late.seq] == tuple(late)
    assert known.is_consistent("c1")
    assert known.is_consistent("c3")


def test_a_customers_export_has_what_other_models_say(known: Company) -> None:
    judge_anew(known)
    with known.database.read() as connection:
        found = export_customer(connection, "c1")
    assert found
    others = [one["other_verdicts"] for one in found["messages"] if one["direction"] == "in"]
    assert [[one["verdict"]["model"] for one in some] for some in others] == [["other"]] * 10
    assert json.dumps(found)


class Deleting(Other):
    """While it judges, a customer is deleted."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    def score(self, texts: Any) -> Any:
        with self._database.begin() as connection:
            delete_customer(connection, "c1")
        return super().score(texts)


def test_a_message_that_goes_while_it_is_judged_is_left_out(known: Company) -> None:
    judge_anew(known, Deleting(known.database))
    assert {row.customer_id for row in known.rows(messages)} == {"c2", "c3"}
    assert len(beside(known)) == 20


def test_customers_are_locked_before_anything_is_kept_of_them(known: Company) -> None:
    if known.database.is_sqlite:
        pytest.skip("a transaction has the whole store")
    row = known.rows(verdicts)[0]._asdict()
    with known.database.begin() as first, known.database.begin() as second:
        lock_customers(first, ["c1"])
        second.exec_driver_sql("SET LOCAL lock_timeout = '10ms'")
        with pytest.raises(OperationalError, match="lock timeout"):
            keep_rescored(known.database, second, "other", [row])


@given(
    steps=st.lists(st.sampled_from(["one", "two", "fake", "undo", "arrive", "work"]), max_size=8)
)
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_undo_always_takes_back_the_last_change(company: Company, steps: list[str]) -> None:
    with company.database.begin() as connection:
        delete_customer(connection, "c1")
    company.take(message("m0", text="insult"), message("m1", NOW - 60, "thanks"))
    company.work()
    at, history = NOW, [counting(company)]
    for number, step in enumerate(steps):
        at += 1
        if step == "arrive":
            company.take(message(f"late{number}", NOW - 30, "scope"))
            company.work()
            history = [
                h | {s: v for s, v in counting(company).items() if s not in history[-1]}
                for h in history
            ]
        elif step == "undo":
            if len(history) > 1:
                rescoring.undo(company.database, "Amal", at)
                history.pop()
        elif step == "work":
            company.work()
        else:
            judge_anew(company, Fake() if step == "fake" else Other(step))
            if rescoring.apply(company.database, step, "Amal", at):
                history.append(counting(company))
        assert counting(company) == history[-1]
        now = {(seq, row[1]) for seq, row in counting(company).items()}
        assert not now & beside(company)
    company.work()
    assert company.is_consistent("c1")


class Fake(Other):
    """The model that has judged the store."""

    def __init__(self) -> None:
        super().__init__("fake")

    def says(self, text: str) -> Any:
        return spoken(text)


# --- kills ---


def run_killed(url: str, step: str, lives: int) -> int:
    command = [sys.executable, "-m", "tests.rescorers", url, step, str(lives)]
    return subprocess.run(command, check=False).returncode


def models_of(company: Company) -> dict[str, set[str]]:
    """The models of each customer's verdicts."""
    found: dict[str, set[str]] = {}
    owner = {row.seq: row.customer_id for row in company.rows(messages)}
    for row in company.rows(verdicts):
        found.setdefault(owner[row.seq], set()).add(row.model)
    return found


def test_a_killed_rescoring_goes_on(known: Company, store_url: str) -> None:
    before = counting(known)
    assert run_killed(store_url, "score", 4) == -signal.SIGKILL
    done = len(beside(known))
    assert done == 3 * BATCH
    assert judge_anew(known).read == len(before) - done
    assert counting(known) == before
    for step, new in (("apply", "other"), ("undo", "fake")):
        assert run_killed(store_url, step, 3) == -signal.SIGKILL  # after the audit and a customer
        models = models_of(known)
        assert sorted(map(len, models.values())) == [1, 1, 1], "a customer is between two models"
        assert sum(found == {new} for found in models.values()) == 1
        known.work()
        assert all(known.is_consistent(name) for name in models)
        if step == "apply":
            rescoring.apply(known.database, "other", "Amal", NOW)
        else:
            rescoring.undo(known.database, "Amal", NOW)
        assert set.union(*models_of(known).values()) == {new}
    assert counting(known) == before


# --- the command ---


@pytest.fixture
def promoted(
    tmp_path: Path, model_folder: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> Registry:
    """A folder of models, where b gives no label, and a service's store that a has judged."""
    registry = Registry(tmp_path / "models")
    add_candidate(registry, model_folder, tmp_path, "a")
    high = {name: {"balanced": 0.99999} for name in ("abuse", "threat", "accusation")}
    add_candidate(registry, model_folder, tmp_path, "b", thresholds=high)
    registry.promote("a", "Amal")
    monkeypatch.setenv("BRANDTOX_MODELS", str(registry.folder))
    monkeypatch.setenv("BRANDTOX_DATABASE_URL", store_url)
    return registry


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["rescore", *arguments])


def test_the_command_shows_applies_and_undoes(promoted: Registry, store: Database) -> None:
    company = Company(store, Classifier.load(promoted.active(), 1))
    company.take(*(message(f"m{i}", NOW - i * DAY, f"z secret {i}") for i in range(5)))
    company.work()
    result = run()
    assert result.exit_code == 0, result.output
    assert run("--json").exit_code == 0
    promoted.promote("b", "Amal")
    refused = run("--apply")
    assert (refused.exit_code, "run `brandtox rescore` first" in refused.stderr) == (1, True)
    result = run()
    assert result.exit_code == 0
    assert "abuse" in result.stdout
    assert "secret" not in result.stdout
    assert "secret" in run("--texts").stdout
    found = json.loads(run("--json").stdout)
    assert found["labels"]["abuse"] == {"on": 0, "off": 5}
    assert found["customers"]["customers"] == 1
    applied = json.loads(run("--apply", "--json", "--by", "Amal").stdout)
    assert (applied["model"], applied["exchanged"]) == ("b", 5)
    assert {row.model for row in company.rows(verdicts)} == {"b"}
    undone = json.loads(run("--undo", "--json").stdout)
    assert (undone["undone"], undone["exchanged"]) == ("b", 5)
    assert {row.model for row in company.rows(verdicts)} == {"a"}
    assert len(company.rows(audit)) == 2


def test_apply_and_undo_at_once_is_a_usage_error(promoted: Registry) -> None:
    assert run("--apply", "--undo").exit_code == 2


def test_a_store_that_cannot_be_opened_is_told() -> None:
    result = run("--database-url", "mysql://x", "--undo")
    assert result.exit_code == 1
    assert "--database-url" in result.stderr
