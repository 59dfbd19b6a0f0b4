"""The simulator's texts, histories, known truth and report; no service is started."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from functools import cache

import pytest

from benchmarks.simulator.histories import dialect_groups, history, portfolio
from benchmarks.simulator.play import Reading
from benchmarks.simulator.report import figures, share, to_markdown, weeks_until_recognised, wilson
from benchmarks.simulator.story import END, START, WEEKS, History
from benchmarks.simulator.texts import DIALECTS, REPLIES, ROLES, VOICES, language, load
from benchmarks.simulator.truth import ARCHETYPES, SIGNS, Truth

_CHANNELS = {"whatsapp", "ticket", "email", "direct"}
_EVENTS = {"opened", "replied", "handed_over", "resolved", "reopened", "work"}
_MESSAGE = {"source", "id", "customer_id", "direction", "channel", "sent_at", "text"}
_OPTIONAL = {"ticket_id", "agent_id"}


@cache
def _people() -> list[History]:
    return portfolio(60)


@cache
def _groups() -> list[History]:
    return dialect_groups()


def _everybody() -> list[History]:
    return [*_people(), *_groups()]


def _instant(stamp: str) -> datetime:
    at = datetime.fromisoformat(stamp)
    assert at.utcoffset() is not None
    return at


# Texts


def test_the_bank_is_large_enough_and_about_60_percent_arabic() -> None:
    written = [text for name in (*VOICES, "replies") for text in load(name)]
    english = sum(text.voice == "en" for text in written)
    assert len(written) >= 600
    assert 0.35 <= english / len(written) <= 0.45
    assert len({text.id for text in written}) == len(written)
    assert len({text.text for text in written}) == len(written)


@pytest.mark.parametrize("voice", VOICES)
def test_every_voice_can_play_every_role(voice: str) -> None:
    assert {text.role for text in load(voice)} == set(ROLES)
    assert {text.voice for text in load(voice)} == {voice}


def test_the_company_can_answer_in_both_languages() -> None:
    spoken = {(text.voice, text.role) for text in load("replies")}
    assert spoken == {(voice, role) for voice in ("ar", "en") for role in REPLIES}


def test_each_matter_has_six_wordings() -> None:
    matters = Counter(
        (voice, text.about) for voice in VOICES for text in load(voice) if text.role == "matter"
    )
    assert len(matters) >= 25
    assert set(matters.values()) == {6}


def test_parallel_texts_are_complete() -> None:
    by_key: dict[str, list[tuple[str, str, str | None]]] = {}
    for text in load("parallel"):
        assert text.key is not None
        by_key.setdefault(text.key, []).append((text.voice, text.role, text.about))
    assert len(by_key) >= 40
    for rows in by_key.values():
        assert tuple(voice for voice, _, _ in rows) == DIALECTS
        assert len({row[1:] for row in rows}) == 1
    assert {rows[0][1] for rows in by_key.values()} == set(ROLES)


# Histories


def test_a_seed_gives_the_same_histories() -> None:
    assert portfolio(20) == portfolio(20)
    assert portfolio(20, seed=1) != portfolio(20, seed=2)


def test_every_archetype_voice_and_sign_occurs() -> None:
    assert {h.truth.archetype for h in _people()} == set(ARCHETYPES)
    assert {h.voice for h in _people()} == set(VOICES)
    assert {sign for h in _people() for sign in h.truth.evidence} == set(SIGNS)
    for archetype in ARCHETYPES:
        spoken = {language(h.voice) for h in _people() if h.truth.archetype == archetype}
        assert {"ar", "en"} <= spoken


def test_messages_follow_the_contract() -> None:
    for row in (row for h in _everybody() for row in h.messages):
        assert set(row) >= _MESSAGE
        assert set(row) <= _MESSAGE | _OPTIONAL
        assert all(isinstance(value, str) and value for value in row.values())
        assert row["direction"] in {"in", "out"}
        assert row["channel"] in _CHANNELS
        assert START <= _instant(row["sent_at"]) < END
        assert row["direction"] == "out" or "agent_id" not in row


def test_messages_are_in_order_and_ids_unique() -> None:
    ids = [row["id"] for h in _everybody() for row in h.messages]
    assert len(set(ids)) == len(ids)
    customers = [h.customer_id for h in _everybody()]
    assert len(set(customers)) == len(customers)
    for h in _everybody():
        times = [_instant(row["sent_at"]) for row in h.messages]
        assert times == sorted(times)
        assert {row["customer_id"] for row in h.messages} == {h.customer_id}


def test_tickets_open_first_and_are_known() -> None:
    seen: set[str] = set()
    for h in _everybody():
        opened: dict[str, datetime] = {}
        for ticket, event in h.ticket_events:
            assert event["type"] in _EVENTS
            assert event["id"] not in seen
            seen.add(event["id"])
            if event["type"] == "opened":
                opened[ticket] = _instant(event["at"])
            assert opened[ticket] <= _instant(event["at"])
        assert set(opened) == set(h.tickets)
        assert {row["ticket_id"] for row in h.messages if "ticket_id" in row} <= set(opened)
        assert {row["customer_id"] for row in h.tickets.values()} <= {h.customer_id}


def test_dialect_groups_behave_alike() -> None:
    groups: dict[str, list[History]] = {}
    for h in _groups():
        groups.setdefault(str(h.group), []).append(h)
    keys = {text.text: text.key for text in load("parallel")}
    for five in groups.values():
        assert tuple(h.voice for h in five) == DIALECTS
        assert len({str(_acts(h, keys)) for h in five}) == 1
        assert len({str((h.profile, h.truth, h.outcomes)) for h in five}) == 1
        assert len({str(_without_prefix(h)) for h in five}) == 1


def _acts(h: History, keys: dict[str, str | None]) -> list[tuple[str, ...]]:
    """What happens, with the meaning of each text; each customer's text must have a parallel."""
    return [
        (
            row["sent_at"],
            row["channel"],
            row.get("agent_id", ""),
            str(keys[row["text"]]) if row["direction"] == "in" else row["text"],
        )
        for row in h.messages
    ]


def _without_prefix(h: History) -> list[tuple[str, str]]:
    return [(event["type"], event["at"]) for _, event in h.ticket_events]


@pytest.mark.parametrize("archetype", ["hurt", "inflamed"])
def test_a_failing_company_keeps_customers_waiting(archetype: str) -> None:
    for h in (h for h in _people() if h.truth.archetype == archetype):
        begins = h.truth.begins
        assert begins is not None
        waited = [row for row in _after(h, begins) if row["direction"] == "in"]
        assert len(waited) > sum("agent_id" in row for row in _after(h, begins))


def test_a_draining_customer_has_no_open_ticket_for_more_than_days_but_to_bargain() -> None:
    for h in (h for h in _people() if h.truth.archetype == "draining"):
        types = Counter(event["type"] for _, event in h.ticket_events)
        assert not types["reopened"]
        assert not types["handed_over"]
        assert types["opened"] - types["resolved"] <= 2  # those of the last days


def _after(h: History, at: datetime) -> list[dict[str, str]]:
    return [row for row in h.messages if _instant(row["sent_at"]) >= at]


# Truth


def _truth(weeks: dict[str, range], archetype: str = "draining") -> Truth:
    truth = Truth("inflamed" if archetype == "inflamed" else "draining", START)
    for sign, when in weeks.items():
        for week in when:
            truth.add(sign, START + timedelta(weeks=week))
    return truth


def test_three_signs_together_for_six_weeks_warrant_a_separation() -> None:
    weeks = {"volume": range(20), "repetition": range(2, 20), "scope_creep": range(4, 20)}
    truth = _truth(weeks)
    assert not truth.warrants_separation(START + timedelta(weeks=9))
    assert truth.warrants_separation(START + timedelta(weeks=10))
    assert truth.is_close_call(START + timedelta(weeks=9))
    assert not truth.is_close_call(START + timedelta(weeks=15))
    assert not truth.warrants_separation(START + timedelta(weeks=26))  # none stands any more
    assert not _truth(weeks, "inflamed").warrants_separation(START + timedelta(weeks=10))


def test_two_signs_do_not() -> None:
    truth = _truth({"volume": range(20), "repetition": range(20)})
    assert not truth.warrants_separation(START + timedelta(weeks=19))


def test_hostile_language_takes_three_messages() -> None:
    truth = _truth({"hostile_language": range(5)})
    assert not truth.standing(START + timedelta(weeks=1))
    assert truth.standing(START + timedelta(weeks=3)) == {
        "hostile_language": START + timedelta(weeks=2)
    }


def test_a_grave_event_warrants_it_for_90_days() -> None:
    truth = _truth({}, "inflamed")
    truth.threats = [(START, "physical")]
    assert truth.warrants_separation(START + timedelta(days=90))
    assert not truth.warrants_separation(START + timedelta(days=91))


def test_a_second_light_threat_is_grave() -> None:
    truth = _truth({})
    later = START + timedelta(days=30)
    truth.threats = [(START, "job"), (later, "reputation")]
    assert truth.grave_events() == [later]


# Report


def test_wilson_is_the_published_interval() -> None:
    low, high = wilson(0, 50)
    assert low == 0
    assert high == pytest.approx(0.0713, abs=1e-3)
    assert wilson(0, 0) == (0, 1)
    assert share([])["share"] is None


def _readings(h: History, *, late: int = 0) -> list[Reading]:
    """As a perfect service would answer, or one that is `late` weeks."""
    return [_perfect(h, week, late) for week in range(1, WEEKS + 1)]


def _perfect(h: History, week: int, late: int) -> Reading:
    at, begins = START + timedelta(weeks=week), h.truth.begins
    changed = begins is not None and at > begins + timedelta(weeks=late)
    quadrant = h.truth.archetype if changed else "calm"
    prepare = h.truth.warrants_separation(at)
    return Reading(week, 50.0, 10.0, quadrant, prepare, tuple(h.truth.standing(at)))


def test_weeks_until_recognised_counts_from_the_start() -> None:
    h = history("draining", "en", "seed", "somebody")
    assert weeks_until_recognised(h, _readings(h)) == 1
    assert weeks_until_recognised(h, _readings(h, late=5)) == 6
    assert weeks_until_recognised(h, []) is None


def test_a_perfect_service_meets_every_target() -> None:
    played = [(h, _readings(h)) for h in _people()]
    result = figures(played, [(h, _readings(h)) for h in _groups()])
    extra = {"customers": 60, "messages": 1, "seed": 0, "model": "none"}
    report = to_markdown(result | extra)
    assert "not met" not in report
    assert report.count("| met |") == 8
    assert result["all"]["quadrant_right"]["share"] == 1


def test_a_service_that_calls_all_hurt_customers_draining_does_not() -> None:
    played = [
        (h, [Reading(week, 80.0, 0.0, "draining", True, ()) for week in range(1, WEEKS + 1)])
        for h in _people()
    ]
    found = figures(played, [])["all"]
    assert found["hurt_ever_draining"]["share"] == 1
    assert found["draining_before_its_start"]["share"] == 1
    assert found["separation_wrong"]["share"] == 1
