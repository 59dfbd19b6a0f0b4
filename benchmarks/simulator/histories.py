"""What calm, hurt, draining and inflamed customers do in six months, as small random processes.

    from benchmarks.simulator.histories import portfolio, dialect_groups

`portfolio(200)` makes the customers of one company (cash desks and online shops for small
merchants), `dialect_groups()` the same histories in five dialects. All is drawn from one seed. It
does not play: team ratings, decisions, customers who change twice (repaired, relapsed), threats
taken back, voices other than those of the bank, or more than one source of messages.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Any

from benchmarks.simulator.story import (
    END,
    GOOD,
    PROMPT,
    SLOW,
    START,
    History,
    Service,
    Story,
    Thread,
)
from benchmarks.simulator.texts import DIALECTS
from benchmarks.simulator.truth import ARCHETYPES, GRAVE_KINDS, SIGNS, Archetype

SEED = 20250105
FIRST_WEEK, LAST_WEEK = 2, 18
"""The weeks in which a customer may stop being calm; at least 8 weeks are left to notice."""
_SHARES: dict[Archetype, float] = {"calm": 0.45, "hurt": 0.225, "draining": 0.225, "inflamed": 0.1}
_VOICES = (
    *("en", "egy", "gulf", "en", "lev", "magh", "en", "msa", "arabizi", "en"),
    *("egy", "gulf", "en", "lev", "en", "magh", "en", "egy", "en", "gulf"),
)
_GROUPS_PER_ARCHETYPE = 2
_GROUP_WEEK = 6
_PLANS = {"small": (29, 400), "medium": (79, 1_500), "large": (199, 6_000)}


def portfolio(customers: int, seed: int = SEED) -> list[History]:
    """About 45 % calm, 22 % hurt, 22 % draining and 10 % inflamed; 40 % write English."""
    counts = {kind: max(1, round(customers * _SHARES[kind])) for kind in ARCHETYPES[1:]}
    counts["calm"] = max(1, customers - sum(counts.values()))
    return [
        history(kind, _VOICES[i % len(_VOICES)], f"{seed} {kind} {i}", f"{kind}-{i:04}")
        for kind in ARCHETYPES
        for i in range(counts[kind])
    ]


def dialect_groups(seed: int = SEED) -> list[History]:
    """Of each archetype two histories, each five times: same behaviour, parallel texts."""
    groups = [f"{kind}-{i}" for kind in ARCHETYPES for i in range(_GROUPS_PER_ARCHETYPE)]
    kinds = [kind for kind in ARCHETYPES for _ in range(_GROUPS_PER_ARCHETYPE)]
    return [
        history(kind, voice, f"{seed} parallel {group}", f"parallel-{group}-{voice}", group=group)
        for kind, group in zip(kinds, groups, strict=True)
        for voice in DIALECTS
    ]


def history(
    archetype: Archetype, voice: str, seed: str, customer_id: str, *, group: str | None = None
) -> History:
    week = Random(f"{seed} week").randint(FIRST_WEEK, LAST_WEEK)
    begins = START + timedelta(weeks=_GROUP_WEEK if group else week)
    changed = None if archetype == "calm" else begins
    story = Story(customer_id, voice, archetype, changed, seed, group=group)
    play = {
        "calm": _play_calm,
        "hurt": _play_hurt,
        "draining": _play_draining,
        "inflamed": _play_inflamed,
    }
    return story.finish(play[archetype](story, begins))


def _profile(story: Story, plan: str) -> dict[str, Any]:
    value, usage = _PLANS[plan]
    joined = START - story.days(60, 900)
    return {
        "plan": plan,
        "monthly_value": value,
        "currency": "USD",
        "usage_volume": round(usage * story.random.lognormvariate(0, 0.35)),
        "started_at": joined.isoformat(timespec="seconds"),
    }


# The calm


def _play_calm(story: Story, _begins: datetime) -> dict[str, Any]:
    busy = story.chance(0.15)
    story.truth.kind = "busy" if busy else "quiet"
    _everyday(story, START, END, story.random.uniform(2, 4) if busy else _calm_rate(story))
    if story.chance(0.25):
        story.truth.kind += ", one bad day"
        _bad_day(story, story.awake(START + story.days(14, 175)))
    if story.chance(0.25):
        _purchase(story, START + story.days(10, 160))
    if story.chance(0.2):
        _ask(story, story.awake(START + story.days(5, 175)), "off_channel", "refuse_channel")
    if story.chance(0.2):
        _ask(story, story.awake(START + story.days(5, 175)), "out_of_scope", "refuse_scope")
    if busy or story.chance(0.5):
        story.outcome(START + story.days(10, 175), "renewal")
    for at in story.arrivals(START, END, 0.12) if busy else []:
        story.outcome(at, "purchase", float(story.random.randint(20, 200)))
    plans = ["large"] if busy else ["small", "small", "medium", "large"]
    return _profile(story, story.random.choice(plans))


def _calm_rate(story: Story) -> float:
    """Contacts a week."""
    return story.random.uniform(0.3, 1.1)


def _everyday(story: Story, begin: datetime, end: datetime, a_week: float) -> None:
    """Questions and small complaints, answered well."""
    for at in story.arrivals(begin, end, a_week):
        if story.chance(0.65):
            _question(story, at, story.words.new("question"))
        elif (text := story.words.new("complaint")) is not None:
            _solved(story, at, text, thanks=0.6)


def _question(story: Story, at: datetime, text: str | None, thanks: float = 0.55) -> None:
    if text is None:
        return
    thread = story.thread(at)
    story.say(at, text, thread)
    answered = story.reply(at + story.hours(*GOOD.reply_hours), "answer", thread)
    if story.chance(thanks):
        role = "thanks" if story.chance(0.8) else "closing"
        story.say(answered + story.hours(0.02, 1), story.words.any(role), thread)


def _solved(
    story: Story, at: datetime, text: str, *, thanks: float, service: Service = GOOD
) -> datetime:
    """A complaint with a ticket that is answered and solved; returns when."""
    thread = story.thread(at, ticket=True)
    story.say(at, text, thread)
    if story.chance(0.4):
        story.acknowledge(at, thread)
    replied = story.reply(at + story.hours(*service.reply_hours), "look", thread)
    story.work(replied, thread, 5, 30)
    solved = story.reply(replied + story.hours(*service.solve_hours), "solved", thread)
    story.event(thread, "resolved", solved)
    if story.chance(thanks):
        story.say(story.awake(solved + story.hours(0.1, 4)), story.words.any("thanks"), thread)
    return solved


def _bad_day(story: Story, at: datetime) -> None:
    """A good customer loses his temper once; it is solved the same day."""
    thread = story.thread(at, ticket=True)
    for _ in range(story.random.randint(1, 3)):
        story.say(at, story.words.any("furious"), thread)
        at += story.hours(0.02, 0.2)
    if story.chance(0.4):
        story.say(at, story.words.any("accusation"), thread)
    if story.chance(0.2):
        story.say(at + story.hours(0.02, 0.1), story.words.any("insult"), thread)
    replied = story.reply(at + story.hours(0.1, 0.5), "apology", thread)
    solved = story.reply(replied + story.hours(0.3, 4), "solved", thread)
    story.event(thread, "resolved", solved)
    role = "apology" if story.chance(0.6) else "thanks"
    story.say(story.awake(solved + story.hours(0.2, 14)), story.words.any(role), thread)


def _purchase(story: Story, at: datetime) -> None:
    """A short talk about the price that ends in a purchase."""
    thread = story.thread(at, channel="email")
    at = story.awake(at)
    for _ in range(story.random.randint(2, 4)):
        story.say(at, story.words.any("bargain"), thread)
        at = story.reply(at + story.hours(0.3, 4), "price", thread) + story.hours(1, 20)
    story.outcome(at, "purchase", 480.0)


def _ask(story: Story, at: datetime, role: str, refusal: str, service: Service = GOOD) -> None:
    thread = story.thread(at, channel=story.random.choice(["whatsapp", "direct"]))
    story.say(at, story.words.any(role), thread)
    story.reply(at + story.hours(*service.reply_hours), refusal, thread)


# The hurt


def _play_hurt(story: Story, begins: datetime) -> dict[str, Any]:
    story.truth.kind = "stays"
    if story.chance(0.1):
        story.truth.kind = "leaves"
        story.leave(END - story.days(2, 14))
    _everyday(story, START, begins, _calm_rate(story) + 0.2)
    accuses = story.random.choice([0.0, 0.0, 0.1, 0.2])
    _neglected(story, begins, accuses)
    if story.chance(0.2):
        at = story.awake(begins + story.days(10, 40))
        _ask(story, at, "off_channel", "holding", SLOW)
    return _profile(story, story.random.choice(["small", "medium", "large"]))


def _neglected(story: Story, begins: datetime, accuses: float) -> None:
    """Case after case that the company fails at, and questions that wait for days."""
    matters = story.words.abouts("matter")
    story.random.shuffle(matters)
    at = begins + story.days(0, 2)
    number = 0
    while at < END:
        at = _failed_case(story, story.awake(at), matters[number % len(matters)], accuses)
        at += story.days(1.5, 8)
        number += 1
    for asked in story.arrivals(begins, END, 0.3):
        if (text := story.words.new("question")) is None:
            break
        thread = story.thread(asked)
        story.say(asked, text, thread)
        if story.chance(0.7):
            story.reply(asked + story.hours(*SLOW.reply_hours), "answer", thread)


def _failed_case(story: Story, at: datetime, matter: str, accuses: float) -> datetime:
    """A complaint that is left lying, passed on, and solved badly or not at all; returns its end."""
    thread = story.thread(at, ticket=True)
    story.say(at, story.words.any("matter", matter), thread)
    if story.chance(0.6):
        story.acknowledge(at, thread)
    for _ in range(story.random.randint(2, 4)):
        wait = story.days(2, 6)
        _chase(story, thread, at, at + wait)
        at = story.office(at + wait)
        if story.chance(0.75):
            passed_on = story.chance(0.5)
            at = story.reply(at, "handoff" if passed_on else "holding", thread)
            if passed_on:
                story.hand_over(at, thread)
            story.work(at, thread, 3, 15)
        _anger(story, thread, story.awake(at + story.hours(0.2, 8)), matter, accuses)
    if story.chance(0.65):
        at = story.office(at + story.days(1, 4))
        story.reply(at, "apology" if story.chance(0.4) else "solved", thread)
        story.event(thread, "resolved", at)
        if story.chance(0.75):
            at = _comes_back(story, thread, at, matter, accuses)
    return at


def _chase(story: Story, thread: Thread, begin: datetime, end: datetime) -> None:
    at = begin
    for _ in range(story.random.randint(1, 3)):
        at = story.awake(at + story.days(0.6, 2.2))
        if at >= end:
            return
        elsewhere = story.other_channel(thread) if story.chance(0.4) else None
        story.say(at, story.words.any("chase"), thread, elsewhere)


def _anger(story: Story, thread: Thread, at: datetime, matter: str, accuses: float) -> None:
    if story.chance(accuses):
        story.say(at, story.words.any("accusation"), thread)
    else:
        story.say(at, story.words.any("furious"), thread)
    if story.chance(0.5):
        story.say(at + story.hours(0.02, 0.5), story.words.any("matter", matter), thread)


def _comes_back(
    story: Story, thread: Thread, resolved: datetime, matter: str, accuses: float
) -> datetime:
    """It was not solved: the customer is back within days, and waits again."""
    at = story.awake(resolved + story.days(0.4, 4))
    story.say(at, story.words.any("matter", matter), thread)
    if story.chance(0.8):
        story.event(thread, "reopened", at + story.hours(0.5, 5))
    wait = story.days(2, 6)
    _chase(story, thread, at, at + wait)
    at = story.office(at + wait)
    _anger(story, thread, at, matter, accuses)
    if story.chance(0.5):
        at = story.reply(at + story.days(0.5, 3), "solved", thread)
        story.event(thread, "resolved", at)
    return at


# The draining


def _play_draining(story: Story, begins: datetime) -> dict[str, Any]:
    rate = _calm_rate(story)
    _everyday(story, START, begins, rate)
    _everyday(story, begins, END, rate / 2)
    others = [sign for sign in SIGNS if sign != "volume"]
    signs = story.random.sample(others, story.random.choices([2, 3, 4, 5], [25, 35, 25, 15])[0])
    story.truth.kind = "early signs"
    if story.chance(0.1):
        story.truth.kind, signs = "insults only", ["hostile_language"]
    insults = 0.8 if story.truth.kind == "insults only" else story.random.choice([0.0, 0.2, 0.5])
    for number, sign in enumerate(["volume", *signs]):
        late = story.days(0, 4) if number < 2 else story.days(0, 18)
        _drain(story, sign, begins + late, insults, GOOD)
    _threaten(story, begins, grave=0.15, single=0.1)
    return _profile(story, story.random.choice(["small", "small", "small", "medium"]))


def _drain(story: Story, sign: str, begin: datetime, insults: float, service: Service) -> None:
    habits: dict[str, Callable[[], None]] = {
        "volume": lambda: _chatter(story, begin, service),
        "repetition": lambda: _return_to_solved(story, begin),
        "hostile_language": lambda: _attack(story, begin, insults, service),
        "informal_channel": lambda: _push(
            story, begin, sign, "off_channel", "refuse_channel", service
        ),
        "scope_creep": lambda: _push(story, begin, sign, "out_of_scope", "refuse_scope", service),
        "unproductive_discussion": lambda: _bargain(story, begin, service),
    }
    habits[sign]()


def _chatter(story: Story, begin: datetime, service: Service) -> None:
    """Every trifle becomes a message, and nothing can wait ten minutes."""
    quick = PROMPT if service is GOOD else service
    for at in story.arrivals(begin, END, story.random.uniform(2.5, 8)):
        story.truth.add("volume", at)
        thread = story.thread(at)
        story.say(at, story.words.any("question"), thread)
        if story.chance(0.4):
            story.say(at + story.hours(0.05, 0.3), story.words.any("nudge"), thread)
        answered = story.reply(at + story.hours(*quick.reply_hours), "answer", thread)
        if story.chance(0.2):
            story.say(answered + story.hours(0.02, 1), story.words.any("closing"), thread)


def _return_to_solved(story: Story, begin: datetime) -> None:
    """The same two or three complaints again and again, each time more than a week after solved."""
    matters = story.words.abouts("matter")
    story.random.shuffle(matters)
    for number, matter in enumerate(matters[: story.random.randint(2, 3)]):
        at = story.awake(begin + timedelta(days=4 * number) + story.days(0, 3))
        again = False
        while at < END:
            if again:
                story.truth.add("repetition", at)
            text = story.words.any("matter", matter)
            solved = _solved(story, at, text, thanks=0.35, service=PROMPT)
            at, again = story.awake(solved + story.days(8.5, 15)), True


def _push(
    story: Story, begin: datetime, sign: str, role: str, refusal: str, service: Service
) -> None:
    for at in story.arrivals(begin, END, story.random.uniform(0.8, 2.2)):
        story.truth.add(sign, at)
        _ask(story, at, role, refusal, service)


def _attack(story: Story, begin: datetime, insults: float, service: Service) -> None:
    """Accusations and insults, answered calmly; not every insult is answered."""
    for at in story.arrivals(begin, END, story.random.uniform(1.2, 3.5)):
        story.truth.add("hostile_language", at)
        insult = story.chance(insults)
        thread = story.thread(at)
        story.say(at, story.words.any("insult" if insult else "accusation"), thread)
        if not insult or story.chance(0.5):
            story.reply(at + story.hours(*service.reply_hours), "calm_down", thread)


def _bargain(story: Story, begin: datetime, service: Service) -> None:
    """Talks about the price of the yearly plan, over weeks, without a purchase."""
    at = begin
    while at < END:
        thread = story.thread(at, ticket=story.chance(0.5))
        count = story.random.randint(9, 16)
        pause = story.random.uniform(0.8, 1.4)
        for number in range(count):
            at = story.awake(at + story.days(0.5 * pause, 1.5 * pause))
            if number >= count // 2:
                story.truth.add("unproductive_discussion", at)
            story.say(at, story.words.any("bargain"), thread)
            story.reply(at + story.hours(*service.reply_hours), "price", thread)
        story.event(thread, "resolved", story.office(at + timedelta(hours=20)))
        at += story.days(8, 18)


def _threaten(story: Story, begins: datetime, *, grave: float, single: float) -> None:
    """With `grave` a grave threat or two lighter ones, with `single` one light threat."""
    kinds = story.words.abouts("threat")
    light = [kind for kind in kinds if kind not in GRAVE_KINDS]
    heavy = [kind for kind in kinds if kind in GRAVE_KINDS]
    at = story.awake(begins + story.days(21, 55))
    drawn = story.random.random()
    if drawn >= grave + single:
        return
    thread = story.thread(at)
    if drawn >= grave:
        story.truth.kind += ", one light threat"
        story.threat(at, story.random.choice(light), thread)
    elif story.chance(0.6):
        story.truth.kind += ", grave"
        story.threat(at, story.random.choice(heavy), thread)
    else:
        story.truth.kind += ", grave"
        story.threat(at, story.random.choice(light), thread)
        later = story.awake(at + story.days(7, 50))
        story.threat(later, story.random.choice(light), thread)


# The inflamed


def _play_inflamed(story: Story, begins: datetime) -> dict[str, Any]:
    """The company fails, and the customer is hostile, pushing and now and then dangerous."""
    _everyday(story, START, begins, _calm_rate(story) + 0.2)
    _neglected(story, begins, 0.3)
    story.truth.kind = "hostile"
    others = story.random.sample(["informal_channel", "scope_creep", "volume"], 2)
    for sign in ["hostile_language", *others]:
        _drain(story, sign, begins + story.days(0, 10), story.random.uniform(0.3, 0.7), SLOW)
    _threaten(story, begins, grave=0.45, single=0.15)
    return _profile(story, story.random.choice(["small", "small", "medium"]))
