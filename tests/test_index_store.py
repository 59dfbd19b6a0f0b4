"""What the index needs of the store: flags that outlive a text, and states that follow their logic."""

from __future__ import annotations

import pytest

from serving.index.settings import DAY
from serving.index.state import LOGIC
from serving.store.messages import add_messages
from tests.helpers import NOW
from tests.stores import Company, days_ago, message, reply


def test_a_refusal_counts_although_its_text_is_not_kept(company: Company) -> None:
    batch = []
    for day in (30, 20, 10):
        batch.append(message(f"m{day}", days_ago(day), "could you draw us a logo"))
        refusal = "Design isn't part of your plan, sorry."
        batch.append(reply(f"o{day}", days_ago(day) + 600, text=refusal))
    with company.database.begin() as connection:
        add_messages(company.database, connection, batch, NOW, keep_text=False)
    company.work()
    run = company.kept().behaviour.runs["scope_creep"]
    assert (run.since, run.count) == (days_ago(30), 3)
    assert company.is_consistent()


def test_a_threat_taken_back_is_known_after_scoring(company: Company) -> None:
    company.take(
        message("a", NOW - 20 * DAY, "b threat"),
        message("b", NOW - 19 * DAY, "I take that back, I'm sorry"),
        message("c", NOW - DAY, "b threat"),
    )
    company.work()
    assert ("grave", "") not in company.alerts()
    assert [threat.id for threat in company.kept().language.threats] == ["c"]


def test_a_change_of_the_logic_folds_every_state_anew(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.take(message("m"))
    company.work()
    company.states.check_settings()
    assert company.dirty_from() is None
    monkeypatch.setattr("serving.store.states.LOGIC", LOGIC + 1)
    company.states.check_settings()
    assert company.dirty_from() is not None
    company.work()
    assert company.is_consistent()
