"""Agreement of two readers: the figures, when they are not to be relied on, and both faces of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from serving.agreement import Agreement, agreements, cohen_kappa
from serving.cli import main
from serving.store.database import Database
from serving.store.feedback import Correction, keep, readings_of_two
from tests.conftest import OpenClient
from tests.helpers import NOW, Clock, FakeScorer
from tests.histories import judge

ANSWERS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=60)


def pairs(both: int, first: int, second: int, none: int) -> list[tuple[Any, Any]]:
    table = {(True, True): both, (True, False): first, (False, True): second, (False, False): none}
    return [pair for pair, number in table.items() for _ in range(number)]


def of(label: str, found: list[Agreement]) -> Agreement:
    return next(one for one in found if one.label == label)


def labelled(answers: list[tuple[Any, Any]], label: str = "abuse") -> list[tuple[Any, Any]]:
    return [({label: a}, {label: b}) for a, b in answers]


@given(ANSWERS)
def test_kappa_is_that_of_scikit_learn(answers: list[tuple[Any, Any]]) -> None:
    kappa, low, high = cohen_kappa(answers)
    if kappa is None or low is None or high is None:
        assert len({answer for pair in answers for answer in pair}) < 2
        return
    first, second = zip(*answers, strict=True)
    assert kappa == pytest.approx(cohen_kappa_score(first, second))
    assert low <= kappa <= high


def test_the_interval_is_that_of_a_bootstrap() -> None:
    answers = np.array(pairs(40, 10, 15, 135))
    _, low, high = cohen_kappa([tuple(pair) for pair in answers.tolist()])
    random = np.random.default_rng(0)
    drawn: list[Any] = [
        cohen_kappa([tuple(pair) for pair in answers[random.integers(0, 200, 200)].tolist()])[0]
        for _ in range(400)
    ]
    assert low == pytest.approx(np.quantile(drawn, 0.025), abs=0.03)
    assert high == pytest.approx(np.quantile(drawn, 0.975), abs=0.03)


def test_the_figures_of_a_label() -> None:
    found = of("abuse", agreements(labelled(pairs(20, 5, 5, 70))))
    assert (found.pairs, found.raw, found.positive) == (100, 0.9, 0.8)
    assert found.kappa == pytest.approx((0.9 - 0.625) / 0.375)
    assert found.enough
    assert found.note == ""


def test_too_few_are_told() -> None:
    few = of("abuse", agreements(labelled(pairs(10, 0, 0, 10))))
    assert (few.enough, few.kappa) == (False, 1)
    assert "20 messages were read by two; 30 are needed" in few.note
    rare = of("abuse", agreements(labelled(pairs(3, 0, 0, 97))))
    assert not rare.enough
    assert "yes 3 times" in rare.note
    none = of("threat", agreements(labelled(pairs(3, 0, 0, 97))))
    assert (none.pairs, none.raw, none.kappa, none.positive) == (0, None, None, None)


def test_kinds_and_sentiment_are_compared_too() -> None:
    threats = [({"threat_kind": ["job"]}, {"threat_kind": ["job", "physical"]})] * 4
    found = agreements([*threats, ({"threat_kind": []}, {"threat_kind": []})])
    assert (of("job", found).pairs, of("job", found).raw, of("physical", found).raw) == (4, 1, 0)
    mood = agreements(labelled([("negative", "neutral"), ("positive", "positive")], "sentiment"))
    assert of("sentiment", mood).raw == 0.5
    assert of("sentiment", mood).positive is None


def read_twice(store: Database) -> None:
    with store.begin() as connection:
        for n in range(40):
            for reviewer, yes in (("Omar", n % 2 == 0), ("Mona", n % 4 == 0), ("Zein", True)):
                word = Correction({"abuse": yes}, reviewer, text=f"text {n}")
                keep(connection, word, None, NOW)
        keep(connection, Correction({"abuse": True}, "Mona", text="alone"), None, NOW)


def test_a_pair_is_the_first_two_readings(store: Database) -> None:
    read_twice(store)
    with store.read() as connection:
        found = readings_of_two(connection)
    assert len(found) == 40
    assert sum(a["abuse"] for a, _ in found) == 10  # Mona
    assert sum(b["abuse"] for _, b in found) == 20  # Omar


async def test_agreement_is_told_by_the_service_and_by_the_command(
    open_client: OpenClient, store: Database, store_url: str, both_stores: None
) -> None:
    read_twice(store)
    async with open_client(FakeScorer(judge), clock=Clock()) as client:
        body = (await client.get("/feedback/agreement")).json()
    assert body["read_by_two"] == 40
    abuse = next(one for one in body["labels"] if one["label"] == "abuse")
    assert (abuse["pairs"], abuse["raw"], abuse["enough"]) == (40, 0.75, True)
    told = CliRunner().invoke(main, ["feedback", "agreement", "--database-url", store_url])
    assert told.exit_code == 0, told.output
    assert "40 messages were read by two people." in told.output
    assert "abuse 40 0.75 0.50" in " ".join(told.output.split())
