"""Hard cases of the index, each a short story: what is the company's fault is pain, not toxicity."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from serving.index.alerts import changes, standing_of
from serving.index.events import Event, Outcome, Profile, Rating
from serving.index.ladder import Decision, Money, Suggestion, suggest
from serving.index.portfolio import Member, Usual, take_snapshot
from serving.index.reading import CALM, DRAINING, HURT, INFLAMED, Reading
from serving.index.settings import DAY
from serving.index.signs import Sign
from tests.index_events import (
    SETTINGS,
    SNAPSHOT,
    about,
    answers,
    at,
    reading,
    says,
    ticket,
)

Story = list[Event]


def sign(found: Reading, name: str) -> Sign:
    return next(sign for sign in found.signs if sign.name == name)


def active(found: Reading) -> set[str]:
    return {sign.name for sign in found.signs if sign.active}


def advice(found: Reading, *decisions: Decision) -> Suggestion:
    return suggest(found, decisions, Money(), SETTINGS)


def served(days: list[float], *holds: str, **fields: object) -> Story:
    """Messages that are answered within the hour."""
    return [e for day in days for e in (says(day, *holds, **fields), answers(day + 0.03))]


def solved_again_and_again(times: int, apart: float = 10) -> Story:
    """The same complaint, each time resolved within hours, and back after it was solved."""
    story: Story = []
    for i in range(times):
        name, day = f"t{i}", i * apart
        story += [
            ticket(day, "opened", name),
            says(day + 0.01, ticket=name, vector=about(1)),
            answers(day + 0.05),
            ticket(day + 0.1, "resolved", name),
        ]
    return story


def draining(weeks: int) -> Story:
    """Polite: pushes the private channel, asks for extras, brings back what was solved."""
    story = solved_again_and_again(weeks, apart=7.5)
    for week in range(weeks):
        story += served([week * 7.5 + 2], "off_channel", vector=about(2))
        story += served([week * 7.5 + 3], "out_of_scope", vector=about(3 + week % 3))
    return story


def test_asking_again_because_nobody_answered_is_pain_and_no_sign() -> None:
    story: Story = [says(day, "accusation", vector=about(1)) for day in range(0, 20, 2)]
    found = reading(story)
    assert found.quadrant == HURT
    assert active(found) == set()


def test_private_channels_after_being_sent_around_are_no_sign() -> None:
    story: Story = [ticket(0, "opened"), says(0.1, ticket="t1")]
    for day in (1, 2, 3, 4):
        story += [ticket(day, "handed_over"), says(day + 0.2, "off_channel"), answers(day + 0.3)]
    found = reading(story)
    assert not sign(found, "informal_channel").active
    assert found.quadrant == HURT


def test_private_channels_of_ones_own_accord_are_a_sign() -> None:
    found = reading(served([0, 8, 16, 24], "off_channel"))
    assert sign(found, "informal_channel").active
    assert sign(found, "informal_channel").since == at(0)


def test_a_sign_that_has_just_begun_has_half_its_weight() -> None:
    strengths = [
        sign(found, "informal_channel").strength(found.at, SETTINGS)
        for found in (reading(served([0.0, 8.0, 16.0, 24.0][:n], "off_channel")) for n in (2, 3, 4))
    ]
    assert strengths == [0.0, 0.5, 1.0]


def test_a_complaint_back_within_a_week_was_never_solved() -> None:
    found = reading(solved_again_and_again(5, apart=4))
    assert not sign(found, "repetition").active
    assert found.quadrant == HURT


def test_a_complaint_back_after_a_real_solution_is_repetition() -> None:
    found = reading(solved_again_and_again(4, apart=10))
    assert sign(found, "repetition").active
    assert found.pain < SETTINGS.hurt_pain


def test_other_complaints_are_no_repetition() -> None:
    story: Story = []
    for i in range(5):
        story += [says(i * 10, vector=about(i)), answers(i * 10 + 0.1)]
    assert not sign(reading(story), "repetition").active


def test_two_sharp_sentences_at_the_end_of_neglect_do_not_make_a_toxic_customer() -> None:
    neglect: Story = [says(day) for day in range(0, 24, 3)]
    found = reading([*neglect, says(25, "abuse"), says(25.01, "abuse", "accusation")])
    assert found.quadrant == HURT
    assert not sign(found, "hostile_language").active


def test_accusations_of_a_neglected_customer_weigh_little() -> None:
    accuses = [says(day, "accusation") for day in range(0, 20, 2)]
    neglected = reading(accuses)
    well_served = reading(served([float(day) for day in range(0, 20, 2)], "accusation"))
    assert neglected.index < 15 < well_served.index


def test_abuse_weighs_the_same_whoever_is_at_fault() -> None:
    neglected = reading([says(0), *[says(5 + i, "abuse") for i in range(6)]])
    assert neglected.quadrant == INFLAMED


def test_a_bot_answers_nobody() -> None:
    story: Story = []
    for day in range(0, 16, 4):
        story += [says(day), answers(day + 0.001, person=False)]
    assert reading(story).quadrant == HURT


def test_one_reply_answers_every_channel() -> None:
    story: Story = [says(0, channel="email"), says(0.1), says(0.2, channel="comment"), answers(0.3)]
    assert reading(story, 10).pain == 0


def test_a_thank_you_and_a_word_in_passing_wait_for_nothing() -> None:
    story: Story = [says(0), answers(0.1), says(0.2, "thanks"), says(0.3, asks=False)]
    assert reading(story, 20).pain == 0


def test_a_word_in_passing_was_a_wait_when_the_customer_soon_asks_again() -> None:
    story: Story = [says(0), answers(0.1), says(0.2, asks=False), says(2.5)]
    assert reading(story).pain > 20


def test_an_insult_after_the_matter_is_solved_makes_no_pain() -> None:
    solved: Story = [ticket(0, "opened"), says(0.1, ticket="t1"), ticket(0.2, "resolved")]
    assert reading([*solved, says(1, "abuse", asks=False)], 10).pain == 0


def test_insulting_complaints_that_nobody_answers_are_pain_too() -> None:
    assert reading([says(day * 4.0, "abuse") for day in range(6)]).quadrant == INFLAMED


def test_a_night_without_a_reply_is_no_pain() -> None:
    assert reading([says(0), answers(0.3)]).pain == 0


def test_much_contact_in_silence_is_no_volume() -> None:
    chasing: Story = [says(i / 2) for i in range(60)]
    assert not sign(reading(chasing), "volume").active
    assert sign(reading(served([i / 2 for i in range(60)])), "volume").active


def test_volume_is_measured_against_usage_within_the_plan() -> None:
    usual = Usual(0.0, 0.5)  # one contact per unit of usage
    snapshot = msgspec.structs.replace(SNAPSHOT, per_usage={"pro": usual})
    story = served([float(day) for day in range(28)])
    heavy: Story = [Profile(at=at(0), plan="pro", usage_volume=40.0), *story]
    light: Story = [Profile(at=at(0), plan="pro", usage_volume=2.0), *story]
    assert not sign(reading(heavy, snapshot=snapshot), "volume").active
    assert sign(reading(light, snapshot=snapshot), "volume").active


def refused(days: list[float], *holds: str, after: float = 0.1, **fields: object) -> Story:
    """Requests that the company refuses as outside its product."""
    return [
        e for day in days for e in (says(day, *holds, **fields), answers(day + after, refuses=True))
    ]


def test_a_refusal_tells_that_the_request_before_it_was_out_of_scope() -> None:
    story = refused([0, 8, 16])
    found = sign(reading(story), "scope_creep")
    assert found.active
    assert found.since == at(0)
    assert set(found.message_ids) == {e.id for e in story[::2]}  # type: ignore[union-attr]


def test_a_request_that_the_model_finds_and_the_company_refuses_is_one_piece() -> None:
    twice = refused([0, 8], "out_of_scope")
    assert not sign(reading(twice), "scope_creep").active
    assert sign(reading([*twice, *refused([16])]), "scope_creep").active


@pytest.mark.parametrize(
    "story",
    [
        pytest.param(refused([0, 8, 16], displeased=True), id="complaints"),
        pytest.param(refused([0, 8, 16], after=4), id="too late to be the answer"),
        pytest.param([says(0), *(answers(day, refuses=True) for day in (0.1, 0.2, 0.3))], id="one"),
        pytest.param(
            [
                e
                for d in (0, 8, 16)
                for e in (says(d), answers(d + 0.1, refuses=True, person=False))
            ],
            id="a bot",
        ),
        pytest.param(
            [e for d in (0, 8, 16) for e in (says(d), says(d + 3), answers(d + 3.1, refuses=True))],
            id="after waiting in vain",
        ),
    ],
)
def test_other_refusals_are_no_evidence(story: Story) -> None:
    assert not sign(reading(story), "scope_creep").active


def test_a_long_discussion_that_ends_in_a_purchase_is_productive() -> None:
    talk = served([i * 2.0 for i in range(12)], vector=about(1))
    assert sign(reading(talk), "unproductive_discussion").active
    bought = [*talk[:16], Outcome(at=at(14.5), type="purchase"), *talk[16:]]
    assert not sign(reading(bought), "unproductive_discussion").active


def test_thanks_end_a_long_discussion() -> None:
    def talk(*thanks: int) -> Story:
        story: Story = []
        for day in range(0, 30, 2):
            story += [says(day, vector=about(1)), answers(day + 0.1)]
            if day in thanks:
                story.append(says(day + 0.2, "thanks", vector=about(1)))
        return story

    assert sign(reading(talk()), "unproductive_discussion").active
    assert not sign(reading(talk(6, 14, 22)), "unproductive_discussion").active


def test_a_buyer_who_thanks_and_orders_again_repeats_no_complaint() -> None:
    def buys(*holds: str) -> Story:
        story: Story = []
        for day in range(0, 60, 10):
            story += [says(day, *holds, vector=about(1), asks=False), answers(day + 0.1)]
            story.append(says(day + 0.2, "thanks", vector=about(1)))
        return story

    assert not sign(reading(buys()), "repetition").active
    assert sign(reading(buys("accusation")), "repetition").active


def test_a_sign_lapses_when_its_evidence_stops() -> None:
    story = served([0, 8, 16], "off_channel")
    assert sign(reading(story, 16 + 41), "informal_channel").active
    assert not sign(reading(story, 16 + 43), "informal_channel").active


def test_three_signs_for_six_weeks_prepare_a_separation() -> None:
    early, late = reading(draining(5)), reading(draining(10))
    assert early.quadrant == late.quadrant == DRAINING
    assert not advice(early).prepare_separation
    assert advice(late).prepare_separation


def test_a_hurt_customer_is_never_separated_from() -> None:
    found = reading([says(day, "accusation", vector=about(1)) for day in range(0, 90, 3)])
    assert found.quadrant == HURT
    assert advice(found).step == "repair"
    assert not advice(found).prepare_separation


def test_an_inflamed_customer_is_repaired_first_unless_grave() -> None:
    neglect: Story = [says(0), *[says(5 + i, "abuse") for i in range(8)]]
    assert advice(reading(neglect)).step == "repair"
    assert not advice(reading(neglect)).prepare_separation
    grave = reading([*neglect, says(14, "threat", "grave")])
    assert grave.quadrant == INFLAMED
    assert advice(grave).step == "repair"
    assert advice(grave).prepare_separation


def test_a_second_threat_within_ninety_days_is_grave() -> None:
    first = served([0.0], "threat")
    assert reading(first).grave_at is None
    second = reading([*first, says(80, "threat")])
    assert second.grave_at == at(80)
    assert len(second.grave_ids) == 2
    assert reading([*first, says(95, "threat")]).grave_at is None


def test_a_threat_in_several_lines_is_one_threat() -> None:
    assert reading([says(0, "threat"), says(0.1, "threat")]).grave_at is None


def test_what_a_grave_threat_adds_grows_with_its_probability() -> None:
    found = [reading([says(0, threat=p, grave_kind=p)]) for p in (0.7, 0.8, 0.85, 0.9, 0.95, 1.0)]
    indices = [reading.index for reading in found]
    assert indices == sorted(indices)
    assert all(after - before < 30 for before, after in itertools.pairwise(indices))
    ordinary = reading([says(0, threat=0.7)]).index
    assert indices[0] == ordinary
    assert indices[-1] > 65
    assert [reading.grave_at is not None for reading in found] == [False] * 3 + [True] * 3


def test_a_doubtful_grave_threat_prepares_no_separation() -> None:
    doubtful = reading(served([0.0], "threat", threat=0.85, grave_kind=0.84))
    sure = reading(served([0.0], "threat", threat=0.98, grave_kind=0.9))
    assert doubtful.index < SETTINGS.toxic_index < sure.index
    assert not advice(doubtful).prepare_separation
    assert advice(sure).prepare_separation


def test_two_doubtful_threats_are_doubtful() -> None:
    found = reading([says(0, "threat", threat=0.8), says(20, "threat", threat=0.8)])
    assert found.grave_at is None
    assert found.index < SETTINGS.toxic_index


def test_a_threat_that_was_taken_back_is_not_the_first_of_two() -> None:
    first, second = served([0.0], "threat"), says(20, "threat")
    withdrawn = [*first, says(2, "takes_back")]
    assert reading([*withdrawn, second]).grave_at is None
    assert reading([*withdrawn, second, says(40, "threat")]).grave_at == at(40)
    assert reading([*first, says(9, "takes_back"), second]).grave_at == at(20), "too late"


def test_taking_a_threat_back_changes_nothing_else() -> None:
    story = served([0.0, 1.0], "threat", "abuse")
    calm, sorry = says(3), says(3, "takes_back")
    assert reading([*story, sorry]).index == reading([*story, calm]).index
    grave = [says(0, "threat", "grave"), sorry, says(20, "threat")]
    assert reading(grave).grave_at == at(20), "a grave threat cannot be taken back"


def test_insults_alone_are_not_grave() -> None:
    found = reading(served([float(day) for day in range(10)], "abuse"))
    assert found.quadrant == DRAINING
    assert found.grave_at is None


def test_the_ladder_is_climbed_step_by_step_and_separation_comes_last() -> None:
    found = reading(draining(12))
    taken: list[Decision] = []
    suggested = []
    for step in range(6):
        suggested.append(advice(found, *taken).step)
        taken.append(Decision(suggested[-1], found.at - (6 - step) * 20 * DAY))
    assert suggested[-1] == "separation"
    assert suggested[:4] == ["boundary", "warning", "repelling_price", "step_down"]


def test_a_step_gets_time_to_work() -> None:
    found = reading(draining(12))
    assert advice(found, Decision("boundary", found.at - 3 * DAY)).step == "boundary"


def test_a_grave_event_may_lead_to_separation_at_once() -> None:
    found = reading([*served([0.0, 1.0]), says(2, "threat", "grave")])
    assert advice(found).step == "separation"


def test_a_calm_customer_needs_nothing() -> None:
    found = reading(served([0, 7, 14]))
    assert (found.quadrant, advice(found).step) == (CALM, "none")


def test_the_teams_rating_counts_a_little() -> None:
    story = served([0, 7, 14])
    rated: Story = [*story, *[Rating(at=at(15 + i), rating=5) for i in range(3)]]
    assert reading(story).index < reading(rated).index < SETTINGS.toxic_index


def test_a_customer_who_leaves_or_complains_lawfully_is_as_before() -> None:
    story = served([0, 7, 14])
    left: Story = [*story, Outcome(at=at(15), type="cancellation")]
    assert reading(left, 16).index == reading(story, 16).index


def test_the_portfolio_stands_in_only_when_it_is_large_enough() -> None:
    members = [Member(rate=0.1, contacts=30.0) for _ in range(60)]
    assert take_snapshot("2026-01-01", members[:49], SETTINGS).rate == SNAPSHOT.rate
    own = take_snapshot("2026-01-01", members, SETTINGS)
    assert own.rate == pytest.approx(0.1)
    assert own.volume_score(30.0, None, None, None) == 0


def test_alerts_tell_changes_only() -> None:
    calm = standing_of(reading(served([0.0])), SETTINGS)
    grave = standing_of(reading([*served([0.0]), says(2, "threat", "grave")]), SETTINGS)
    assert [alert.kind for alert in changes(calm, grave)] == [
        "quadrant",
        "prepare_separation",
        "grave",
    ]
    assert changes(grave, grave) == []
