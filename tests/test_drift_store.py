"""Weeks of messages in both databases: made once they are complete, kept, told when they change."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import text as sql

from model import Verdict
from serving import cli
from serving.drift import WEEK, WeekFigures, week_of
from serving.index.settings import DAY
from serving.store import drift as module
from serving.store.alerts import list_alerts
from serving.store.database import Database
from serving.store.drift import WeekReader, newest_complete, report
from serving.store.feedback import Correction, keep, undo
from serving.store.privacy import delete_customer
from serving.store.tables import drift_weeks, messages
from serving.times import wire_time
from serving.watch import DriftWatch
from tests.conftest import OpenClient
from tests.helpers import NOW, Clock, FakeScorer, Json, verdict
from tests.stores import Company, message

BEGIN = week_of(NOW) - 40 * WEEK
SIZE = 120


def judge(text: str) -> Verdict:
    """The first word is the language; rude texts are abuse."""
    language, rude = text.split(maxsplit=1)[0], "rude" in text
    found = replace(verdict(), language=language, labels=("abuse",) if rude else ())
    return replace(found, scores=found.scores | {"abuse": 0.9 if rude else 0.03})


class Model(FakeScorer):
    def __init__(self, version: str) -> None:
        super().__init__(lambda text: replace(judge(text), model=version))
        self.version = version


class Story:
    """A company week by week; every text is another."""

    def __init__(self, database: Database, **watch: Any) -> None:
        self.clock = Clock(BEGIN)
        self.company = Company(database, Model("m"), self.clock)
        self.looked: list[list[str]] = []
        self.watch = self.another_watch(**watch)
        self.week = 0
        self._number = 0

    def another_watch(self, **options: Any) -> DriftWatch:
        given: Json = {"clock": self.clock, "count_unknown": self._count} | options
        return DriftWatch(self.company.database, lambda _: {}, **given)

    def _count(self, texts: Sequence[str]) -> tuple[int, int]:
        self.looked.append(list(texts))
        return sum("?" in text for text in texts), 10 * len(texts)

    def write(self, arabizi: int = 12, rude: int = 6, size: int = SIZE, start: float = -1) -> None:
        """Messages of the week that begins, or of another one."""
        start = self.clock() if start < 0 else start
        batch = []
        for place in range(size):
            language = "arabizi" if place < arabizi else "ar"
            words = f"{language} {'rude' if place >= size - rude else 'kind'} {self._number}"
            at = start + (place + 1) * WEEK / (size + 2)
            batch.append(message(f"m{self._number}", at, words, customer_id=f"c{place % 40}"))
            self._number += 1
        now, self.clock.now = self.clock.now, max(self.clock.now, start + WEEK)
        self.company.take(*batch)
        while self.company.worker.score_waiting():
            pass
        self.clock.now = now

    def live(self, weeks: int = 1, **written: int) -> None:
        """Weeks that pass, with a service that runs."""
        for _ in range(weeks):
            self.write(**written)
            self.clock.now += WEEK
            self.week += 1
            self.look()

    def look(self) -> None:
        """The service runs on for two days."""
        before = self.clock.now
        self.clock.now += 2 * DAY
        while self.watch.turn():
            pass
        self.clock.now = before

    def weeks(self) -> list[float]:
        return [(row.start - BEGIN) / WEEK for row in self.company.rows(drift_weeks)]

    def figures(self, week: int) -> WeekFigures:
        with self.company.database.read() as connection:
            found = {t.week.start: t.week.figures for t in report(connection, 52)}
        return found[BEGIN + week * WEEK]

    def alerts(self) -> list[Json]:
        with self.company.database.read() as connection:
            return [one for one in list_alerts(connection, 0, 100) if one["kind"] == "drift"]


@pytest.fixture
def story(store: Database) -> Story:
    return Story(store)


# --- stories ---


def test_thirty_weeks_in_which_nothing_happens_give_no_alert(story: Story) -> None:
    for week in range(30):
        story.live(arabizi=12 + week % 3, rude=6 - week % 2)
    assert story.weeks() == list(range(30))
    assert story.alerts() == []


def test_a_change_of_the_language_mix_is_told_once(story: Story) -> None:
    story.live(10)
    assert story.alerts() == []
    story.live(2, arabizi=100)
    (alert,) = story.alerts()
    assert alert["customer_id"] is None
    assert (alert["week"], alert["model"]) == (_day(BEGIN + 10 * WEEK), "m")
    named = {one["figure"]: one for one in alert["figures"]}
    assert set(named) == {"language_ar", "language_arabizi"}
    found = named["language_arabizi"]
    assert found["value"] == pytest.approx(100 / SIZE, abs=1e-4)
    assert found["low"] < 0.1 < found["high"] < found["value"]


def _day(at: float) -> str:
    return wire_time(at)[:10]


def test_a_change_of_the_model_begins_the_range_anew(story: Story) -> None:
    story.live(8)
    story.company.worker._scorer = Model("n")
    story.live(5, rude=60)
    with story.company.database.read() as connection:
        told = report(connection, 52)
    assert [one.week.model for one in told] == ["m"] * 8 + ["n"] * 5
    assert [one.begins_anew for one in told].index(True) == 8
    assert [one.compared_with for one in told[8:]] == [0, 1, 2, 3, 4]
    assert story.alerts() == []
    story.live(1, rude=0)
    assert "abuse_share" in [one["figure"] for one in story.alerts()[0]["figures"]]


def test_a_week_of_two_models_is_of_the_one_that_judged_more(story: Story) -> None:
    story.write(size=30, start=BEGIN)
    story.company.worker._scorer = Model("n")
    story.live()
    figures = story.figures(0)
    assert (figures.messages, figures.others) == (SIZE, 30)


def test_late_messages_do_not_change_what_was_told(story: Story) -> None:
    story.live(6)
    before = story.figures(5)
    story.write(arabizi=120, start=BEGIN + 5 * WEEK)
    story.live()
    assert story.figures(5) == before
    assert story.figures(6).messages == SIZE
    assert story.alerts() == []


def test_a_past_that_is_loaded_later_is_made_without_alerts(story: Story) -> None:
    """Weeks of which nothing was known yet; only the newest week is news."""
    story.clock.now = BEGIN + 12 * WEEK
    story.live()
    for week in range(12):
        story.write(start=BEGIN + week * WEEK, arabizi=100 if week == 7 else 12)
    story.clock.now += 2 * 3_600
    story.look()
    assert story.weeks() == list(range(13))
    with story.company.database.read() as connection:
        assert "language_arabizi" in report(connection, 52)[7].left
    assert story.alerts() == []


# --- when a week is made ---


def test_a_week_is_made_a_day_after_its_end(story: Story) -> None:
    story.write()
    for hours, known in ((0, []), (23, []), (25, [0])):
        story.clock.now = BEGIN + WEEK + hours * 3_600
        while story.watch.turn():
            pass
        assert story.weeks() == known
    assert newest_complete(BEGIN + WEEK + DAY) == BEGIN


def test_a_week_waits_for_the_model(story: Story) -> None:
    story.write()
    story.company.take(message("late", BEGIN + DAY, "ar"))
    story.clock.now = BEGIN + WEEK
    story.look()
    assert story.weeks() == []
    story.clock.now += 3 * DAY
    story.company.worker.score_waiting()
    story.look()
    assert story.figures(0).messages == SIZE + 1


def test_several_services_make_a_week_and_tell_of_it_once(story: Story) -> None:
    story.live(6)
    story.write(arabizi=110)
    story.clock.now += WEEK + 2 * DAY
    others = [story.another_watch() for _ in range(2)]
    readers = [watch._next() for watch in others]
    assert [reader and reader.start for reader in readers] == [BEGIN + 6 * WEEK] * 2
    for watch in others:
        while watch.turn():
            pass
    assert story.weeks() == list(range(7))
    assert len(story.alerts()) == 1


def test_a_week_that_is_partly_deleted_has_no_figures(store: Database) -> None:
    story = Story(store, retention_days=10.0)
    for week in range(3):
        story.write(start=BEGIN + week * WEEK)
    story.clock.now = BEGIN + 3 * WEEK + DAY
    while story.watch.turn():
        pass
    assert story.weeks() == [2]


def test_replies_alone_make_no_week(story: Story) -> None:
    story.company.take(message("r", BEGIN + 5, "we are on it", direction="out"))
    story.clock.now = BEGIN + WEEK
    story.look()
    assert story.weeks() == []


def test_figures_outlive_the_customers(story: Story) -> None:
    story.live()
    before = story.figures(0)
    with story.company.database.begin() as connection:
        for number in range(40):
            delete_customer(connection, f"c{number}")
    assert story.figures(0) == before


# --- figures ---


def test_pages_and_their_order_do_not_matter(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where many messages were sent at one instant."""
    story.company.take(*(message(f"x{n}", BEGIN + 7, f"en {n}") for n in range(25)))
    story.live()
    for size in (1, 7):
        monkeypatch.setattr(module, "_PAGE", size)
        reader = WeekReader(BEGIN)
        with story.company.database.read() as connection:
            while reader.read(connection):
                pass
            week = reader.finish(connection, story._count)
        assert week
        assert replace_thresholds(week.figures) == replace_thresholds(story.figures(0))
    assert story.figures(0).languages["en"] == 25


def replace_thresholds(figures: WeekFigures) -> Json:
    return {n: getattr(figures, n) for n in figures.__struct_fields__ if n != "thresholds"}


def test_the_sample_has_each_text_once_and_is_the_same_each_time(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SAMPLE", 50)
    story.company.take(*(message(f"x{n}", BEGIN + 7, "en spam ?") for n in range(500)))
    story.live()
    (looked,) = story.looked
    assert len(looked) == len(set(looked)) == 50
    assert story.figures(0).texts == 50
    reader = WeekReader(BEGIN)
    with story.company.database.read() as connection:
        while reader.read(connection):
            pass
        reader.finish(connection, story._count)
    assert story.looked[1] == looked


def test_texts_that_are_not_kept_are_not_looked_at(store: Database) -> None:
    story = Story(store)
    story.company.worker._keep_text = False
    story.live(6)
    assert not [row for row in story.company.rows(messages) if row.text is not None]
    assert story.looked == []
    with store.read() as connection:
        figures = report(connection, 1)[-1].figures
    assert figures["unknown_pieces"].value is None
    assert figures["language_ar"].low is not None


def test_people_agree_where_they_leave_the_labels_as_they_are(story: Story) -> None:
    story.write()
    with story.company.database.begin() as connection:
        for number in range(30):
            labels = {"abuse": number >= 24} if number < 28 else {"sentiment": "negative"}
            word = Correction(labels, "Mona", source="wa", id=f"m{number}", at=BEGIN + DAY)
            keep(connection, word, None, BEGIN + WEEK)
        for labels, at in (({"abuse": True}, BEGIN + WEEK + 1), ({"abuse": True}, BEGIN + 2)):
            word = Correction(labels, "Ali", source="wa", id="m50", at=at)
            kept = keep(connection, word, None, BEGIN + 2 * WEEK)
            undo(connection, kept.id, at)
    story.clock.now = BEGIN + WEEK
    story.look()
    assert (story.figures(0).said, story.figures(0).agreed) == (28, 24)


# --- how it is asked for ---


@pytest.mark.usefixtures("both_stores")
async def test_the_service_makes_tells_and_alerts(store: Database, open_client: OpenClient) -> None:
    story = Story(store)
    story.live(8)
    story.write(arabizi=110)
    story.clock.now += WEEK + 2 * DAY
    async with open_client(Model("m"), clock=story.clock) as client:
        for _ in range(600):
            found = (await client.get("/drift?weeks=3")).json()["weeks"]
            if found[-1]["week"] == _day(BEGIN + 8 * WEEK):
                break
        alerts = (await client.get("/alerts")).json()["alerts"]
        assert (await client.get("/drift?weeks=0")).status_code == 422
    assert [week["compared_with"] for week in found] == [6, 7, 8]
    figure = found[-1]["figures"]["language_arabizi"]
    assert figure["outside"]
    assert figure["low"] < figure["high"] < figure["value"]
    assert found[-1]["left"] == [one["figure"] for one in alerts[-1]["figures"]]
    assert found[0]["left"] == []


@pytest.mark.usefixtures("both_stores")
def test_the_command_tells_the_same(store: Database) -> None:
    def run(*arguments: str) -> str:
        result = CliRunner().invoke(cli.main, ["drift", *arguments])
        assert result.exit_code == 0, result.output
        return result.stdout

    assert "No week is known yet" in run()
    story = Story(store)
    story.live(2)
    assert "Ranges need 4 earlier weeks of one model; 1 are known" in run()
    story.live(3)
    story.live(1, arabizi=110)
    weeks = json.loads(run("--json", "--weeks", "4"))["weeks"]
    assert [week["messages"] for week in weeks] == [SIZE] * 4
    assert "outside" in run().split("language_arabizi")[-1].splitlines()[0]


# --- the schema ---


def test_alerts_are_as_they_were_in_sqlite_but_may_be_about_nobody(store: Database) -> None:
    if not store.is_sqlite:
        return
    with store.read() as connection:
        query = "SELECT sql FROM sqlite_master WHERE name IN ('alerts', 'ix_alerts_due')"
        table, index = sorted(connection.scalars(sql(query)), key=len, reverse=True)
    assert "AUTOINCREMENT" in table
    assert "ON DELETE CASCADE" in table
    assert "delivered_at IS NULL" in index
