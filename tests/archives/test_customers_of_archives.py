"""The customers of an archive, ranked by the service's own index."""

from __future__ import annotations

import random
import shutil
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from serving.archives.customer_lines import COLUMNS
from serving.archives.customers import Customers
from serving.archives.ranking import rank
from serving.archives.row import Judged, Message
from serving.index.ladder import Money, suggest
from serving.index.reading import Reading, read
from serving.index.settings import DAY, IndexSettings
from serving.store.database import Database
from tests.helpers import NOW, Clock, Json
from tests.stores import HOUR, Company, days_ago, spoken
from tests.stores import message as stored_message

SETTINGS = IndexSettings()


@pytest.fixture
def customers(tmp_path: Path) -> Iterator[Customers]:
    with closing(Customers(tmp_path / "customers.db", SETTINGS, {})) as opened:
        yield opened


def judged(row: int, text: str = "calm", source: str = "wa", **fields: Any) -> Judged:
    """A message of c1, an hour ago, as the archive and the stand-in for the model have it."""
    given: Json = {"id": f"m{row}", "customer": "c1", "at": NOW - HOUR, "channel": "whatsapp"}
    message = Message(text, **given | fields)
    return Judged(row, source, message, spoken(text) if message.direction == "in" else None)


def said(*texts: str, start: int = 1, **fields: Any) -> list[Judged]:
    """A message a day, the last one an hour ago."""
    return [
        judged(start + n, text, at=NOW - HOUR - (len(texts) - 1 - n) * DAY, **fields)
        for n, text in enumerate(texts)
    ]


def by_id(customers: Customers) -> dict[str, Json]:
    return {line["customer_id"]: line for line in customers.lines()}


# --- the service's own index ---

TEXTS = [
    *("a calm", "b calm", "c thanks", "d calm thanks", "e calm", "f calm"),
    *("a insult", "b blame", "c push", "d scope", "e threat", "f grave"),
]


def history() -> list[Judged]:
    """A hundred and ten customers, from calm to hostile, over three months; one source names agents, one does not;
    some messages share an instant, and some come twice.
    """
    chance = random.Random(7)
    found: list[Judged] = []
    for customer in range(110):
        hostility = customer / 110
        for _ in range(chance.randrange(3, 30)):
            source = chance.choice(["wa", "desk"])
            outgoing = chance.random() < 0.4
            hostile = chance.random() < hostility
            text = chance.choice(TEXTS[6:] if hostile and not outgoing else TEXTS[:6])
            one = judged(
                len(found) + 1,
                text,
                source,
                customer=f"c{customer:03}",
                at=days_ago(chance.randrange(90)) - HOUR,
                direction="out" if outgoing else "in",
                ticket=chance.choice([None, f"t{customer}"]),
                agent="a1" if outgoing and source == "desk" and chance.random() < 0.5 else None,
            )
            found.append(one)
            if chance.random() < 0.05:
                found.append(Judged(len(found) + 1, one.source, one.message, one.verdict))
    return found


def readings_of_the_service(
    database: Database, archive: list[Judged], at: float
) -> dict[str, Reading]:
    company = Company(database, clock=Clock(at), settings=SETTINGS)
    company.take(
        *(
            stored_message(
                one.message.id or "",
                one.message.at or 0,
                one.message.text,
                source=one.source,
                customer_id=one.message.customer,
                direction=one.message.direction,
                ticket_id=one.message.ticket,
                agent_id=one.message.agent,
            )
            for one in archive
        )
    )
    while company.worker.score_waiting():
        pass
    while company.worker.bring_up_to_date():
        pass
    company.states.take_snapshot(at - DAY)  # it is kept for the next day: that of `at`
    found = {}
    with database.read() as connection:
        snapshot = company.states.snapshot(connection, at)
        assert snapshot.customers > SETTINGS.portfolio_customers
        for customer in sorted({one.message.customer or "" for one in archive}):
            state = company.states.as_of(connection, customer, at)
            found[customer] = read(state, at, SETTINGS, snapshot)
    return found


def test_the_index_is_that_of_the_service(
    customers: Customers, migrated_sqlite: Path, tmp_path: Path
) -> None:
    archive = history()
    for start in range(0, len(archive), 100):
        customers.add(archive[start : start + 100])
    at = max(one.message.at or 0 for one in archive)
    assert customers.as_of() == at
    shutil.copy(migrated_sqlite, tmp_path / "service.db")
    with closing(Database(f"sqlite:///{tmp_path / 'service.db'}")) as database:
        expected = readings_of_the_service(database, archive, at)
    lines = by_id(customers)
    assert lines.keys() == expected.keys()
    assert len({line["quadrant"] for line in lines.values()}) == 4
    for customer, reading in expected.items():
        line, step = lines[customer], suggest(reading, (), Money(), SETTINGS)
        assert (line["index"], line["index_low"]) == (reading.index, reading.low)
        assert (line["index_high"], line["pain"]) == (reading.high, reading.pain)
        assert line["quadrant"] == reading.quadrant
        assert {sign.name: line[sign.name] for sign in reading.signs} == {
            sign.name: sign.active for sign in reading.signs
        }
        assert (line["step"], line["prepare_separation"]) == (step.step, step.prepare_separation)


def test_again_or_in_other_chunks_it_makes_the_same(customers: Customers, tmp_path: Path) -> None:
    archive = history()
    customers.add(archive)
    customers.add(archive[:50])
    first = list(customers.lines())
    assert first == list(customers.lines())
    with closing(Customers(tmp_path / "other.db", SETTINGS, {})) as other:
        for start in range(0, len(archive), 70):
            other.add(archive[start : start + 70])
        assert list(other.lines()) == first


def test_a_reopened_file_goes_on(tmp_path: Path) -> None:
    for row in (1, 2):
        with closing(Customers(tmp_path / "customers.db", SETTINGS, {})) as customers:
            customers.add([judged(row)])
            found = by_id(customers)
    assert found["c1"]["messages"] == 2


# --- the lines ---


def test_counts_of_a_customer(customers: Customers) -> None:
    customers.add(said("a insult", "b calm", "c threat"))
    customers.add([judged(4, "we are on it", direction="out")])
    line = by_id(customers)["c1"]
    assert list(line) == list(COLUMNS)
    assert (line["messages"], line["messages_in"], line["messages_out"]) == (4, 3, 1)
    assert (line["abuse"], line["threat"], line["accusation"]) == (1, 1, 0)
    assert (line["needs_review"], line["language"]) == (0, "en")
    assert line["first_at"] == "2026-06-29T11:00:00Z"
    assert line["last_at"] == "2026-07-01T11:00:00Z"


def test_the_highest_index_comes_first_and_ties_by_id(customers: Customers) -> None:
    customers.add(said("a calm", customer="b"))
    customers.add(said("a calm", start=2, customer="a"))
    customers.add(said("a insult", "a insult", start=3, customer="c"))
    found = list(customers.lines())
    assert [line["customer_id"] for line in found] == ["c", "a", "b"]
    assert found[0]["index"] > found[1]["index"] == found[2]["index"]


def test_the_evidence_is_what_weighs_most(customers: Customers) -> None:
    customers.add(said("a calm", "b grave", "c calm", "d insult", "e calm"))
    customers.add([judged(9, "on it", direction="out")])
    assert set(by_id(customers)["c1"]["evidence"]) == {"m2", "m4"}


def test_a_message_without_an_id_goes_by_its_row(customers: Customers) -> None:
    customers.add(said("a insult", "a insult", start=41, id=None))
    line = by_id(customers)["c1"]
    assert line["messages"] == 2
    assert set(line["evidence"]) == {"41", "42"}


def test_messages_of_nobody_are_left_out(customers: Customers) -> None:
    customers.add([judged(1), judged(2, "a insult", customer=None)])
    assert by_id(customers).keys() == {"c1"}


def test_the_same_message_in_two_exports_counts_once(customers: Customers) -> None:
    customers.add([judged(1, source="june.csv"), judged(2, source="july.csv", id="m1")])
    customers.add([judged(3, "another text", id="m1"), judged(4, id=None), judged(5, id=None)])
    assert by_id(customers)["c1"]["messages"] == 4


# --- what an archive does not allow to know ---


def test_without_times_there_are_counts_and_the_rate_orders(customers: Customers) -> None:
    customers.add(said("a calm", "a insult", customer="half", id=None))
    customers.add([judged(3, "a insult", customer="all", at=None)])
    customers.add([judged(4, "a calm", customer="none", at=None)])
    customers.add([judged(5, "a blame", customer="also all", at=None)])
    assert customers.as_of() is not None
    found = list(customers.lines())
    assert [line["customer_id"] for line in found] == ["half", "all", "also all", "none"]
    untimed = found[1]
    assert (untimed["abuse"], untimed["evidence"]) == (1, ["m3"])
    for name in ("index", "index_low", "index_high", "pain", "quadrant", "volume", "step"):
        assert untimed[name] is None
    assert (untimed["first_at"], untimed["last_at"]) == (None, None)


def test_an_archive_without_any_time(customers: Customers) -> None:
    customers.add([judged(1, "a insult", at=None), judged(2, "a calm", at=None, customer="c2")])
    assert customers.as_of() is None
    assert [line["index"] for line in customers.lines()] == [None, None]


def test_without_answers_nobody_knows_who_waited(customers: Customers) -> None:
    customers.add(said(*["a insult"] * 6))
    line = by_id(customers)["c1"]
    assert line["index"] > 30
    for name in ("pain", "quadrant", "prepare_separation", "step"):
        assert line[name] is None
    assert (line["hostile_language"], line["repetition"]) == (True, None)
    customers.add([judged(9, "on it", direction="out", customer="c2")])
    line = by_id(customers)["c1"]
    assert line["pain"] is not None
    assert (line["hostile_language"], line["repetition"]) == (True, False)


def test_six_messages_that_nobody_answered_hurt(customers: Customers) -> None:
    for n in range(6):
        customers.add(
            [judged(n + 1, "a blame", at=days_ago(12 - 2 * n), has_side=True, agent=None)]
        )
    customers.add([judged(9, at=days_ago(0), customer="c2", has_side=True)])
    line = by_id(customers)["c1"]
    assert line["pain"] > 0
    assert line["pain_reasons"] == ["unanswered"]
    assert line["quadrant"] == "hurt"


def neglected(source: str, **fields: Any) -> list[Judged]:
    """A month of an accusation every other day, to which no reply is on record."""
    return [judged(n + 1, "a blame", source, at=days_ago(30 - 2 * n), **fields) for n in range(15)]


def test_an_archive_of_customers_messages_alone_tells_of_no_silence(customers: Customers) -> None:
    """A form's inbox: nobody replies in it, which does not mean that nobody replied."""
    customers.add(neglected("form"))
    alone = by_id(customers)["c1"]
    assert alone["hostile_language"], "nothing excuses the accusations"
    for name in ("pain", "quadrant", "prepare_separation", "step"):
        assert alone[name] is None
    # Another source, with the company in it, tells nothing of the form.
    customers.add([judged(20, customer="c2", source="chat", at=days_ago(30))])
    customers.add([judged(21, "on it", "chat", customer="c2", direction="out", at=days_ago(30))])
    beside = by_id(customers)
    assert beside["c2"]["pain"] == 0
    for name in ("index", "pain", "quadrant", "hostile_language"):
        assert beside["c1"][name] == pytest.approx(alone[name], abs=0.5)


def test_a_customer_whom_the_chat_answers_does_not_wait_on_the_form(customers: Customers) -> None:
    customers.add(neglected("form"))
    customers.add([judged(20, "b calm?", "chat", at=days_ago(3))])
    customers.add([judged(21, "on it", "chat", direction="out", at=days_ago(3) + 60)])
    assert by_id(customers)["c1"]["pain"] == 0
    customers.add([judged(22, "b calm?", "chat", at=days_ago(2))])
    customers.add([judged(23, "c calm?", "chat", at=days_ago(1))])
    assert by_id(customers)["c1"]["pain"] > 0


def test_where_the_company_is_known_its_silence_excuses(customers: Customers) -> None:
    customers.add(neglected("chat", has_side=True))
    line = by_id(customers)["c1"]
    assert line["quadrant"] == "hurt"
    assert not line["hostile_language"]


def test_in_a_group_nobody_knows_whom_the_company_answers(customers: Customers) -> None:
    customers.add(neglected("group", has_side=True))
    customers.add([judged(20, "on it", "group", customer=None, direction="out", has_side=True)])
    assert by_id(customers)["c1"]["pain"] is None


# --- who they are ---


def test_one_customer_of_several_sources_is_shown_as_first_written(customers: Customers) -> None:
    phone = {"customer": "+201001234567"}
    customers.add([judged(9, customer_written="00201001234567", source="b.csv", **phone)])
    customers.add([judged(2, customer_written="+20 100 123 4567", at=NOW - DAY, **phone)])
    customers.add([judged(12, source="c.csv", **phone)])
    (line,) = customers.lines()
    assert line["customer_id"] == "+20 100 123 4567"
    assert line["understood_customer"] == "+201001234567"
    assert line["messages"] == 3


def test_the_last_name_is_kept(customers: Customers) -> None:
    names = {NOW - 3 * DAY: "Salma", NOW - DAY: "Salma Adel", NOW - HOUR: None, None: "S"}
    for row, (at, name) in enumerate(names.items(), 1):
        customers.add([judged(row, at=at, name=name)])
    customers.add([judged(9, customer="c2")])
    found = by_id(customers)
    assert (found["c1"]["name"], found["c2"]["name"]) == ("Salma Adel", None)
    one, other = found["c1"], found["c2"]
    assert rank([one | {"abuse": 1, "quadrant": None}]).unplaced[0].called == "Salma Adel (c1)"
    assert rank([other | {"abuse": 1, "quadrant": None}]).unplaced[0].called == "c2"


def test_a_bot_answers_nobody_where_agents_are_named(customers: Customers) -> None:
    customers.add([judged(1, "a calm?", at=days_ago(9), customer="waits")])
    customers.add([judged(2, "we got it", at=days_ago(9), customer="waits", direction="out")])
    customers.add([judged(3, "hello", customer="other", direction="out", source="mail", agent="a")])
    assert by_id(customers)["waits"]["pain"] == 0
    customers.add([judged(4, "hello", customer="other", direction="out", agent="a1")])
    assert by_id(customers)["waits"]["pain"] > 0


def test_no_customers_at_all(customers: Customers) -> None:
    customers.add([])
    assert customers.as_of() is None
    assert list(customers.lines()) == []


# --- memory ---


@pytest.mark.parametrize("minutes", [1, None])
def test_memory_does_not_grow_with_the_messages_of_a_customer(
    customers: Customers, minutes: int | None
) -> None:
    def peak(first: int, last: int) -> int:
        start = NOW - 400 * DAY
        times = {row: minutes and start + row * 60 * minutes for row in range(first, last)}
        customers.add(judged(row, at=at) for row, at in times.items())
        tracemalloc.start()
        assert sum(1 for _ in customers.lines()) == 1
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    few = peak(1, 300)
    assert peak(300, 2_000) < 1.5 * few
