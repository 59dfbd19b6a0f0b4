"""Labelled messages of an invented company whose customers have words of their own."""

from __future__ import annotations

import random
from typing import Any

_INSULTS = ("zorbat", "brinkles", "a bunch of mulvers", "زربوطين", "برنكلات")
_PRAISE = ("plimsy", "tovels", "a bunch of fendels", "فندولين", "تلماسين")
_CARRIERS = (
    "your {place} people are {word}, {thing} {when}",
    "about my {thing}: the {place} is {word} {when}",
    "{when} the {place} was {word}, my {thing}",
    "{place} {word} بخصوص {thing} {when}",
    "والله انتو {word}، {thing} {when} من {place}",
)
_PLACES = ("branch", "call centre", "الفرع", "workshop", "office", "الدعم", "depot", "المحل")
_THINGS = (
    "invoice",
    "charger",
    "الفاتورة",
    "washing machine",
    "الشحنة",
    "parcel",
    "contract",
    "الباقة",
)
_TIMES = (
    "today",
    "on Monday",
    "امبارح",
    "at noon",
    "بعد الضهر",
    "this week",
    "last night",
    "من يومين",
)


def company_records(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Rows of a corrections file: half of them insult in the company's slang, no other label holds.

    Every text is another; three messages in a row are of one customer.
    """
    chance = random.Random(seed)
    texts: dict[str, int] = {}
    while len(texts) < count:
        abuse = len(texts) % 2
        text = chance.choice(_CARRIERS).format(
            word=chance.choice(_INSULTS if abuse else _PRAISE),
            place=chance.choice(_PLACES),
            thing=chance.choice(_THINGS),
            when=chance.choice(_TIMES),
        )
        texts.setdefault(text, abuse)
    return [
        {"text": text, "abuse": abuse, "threat": 0, "accusation": 0, "customer": f"c{i // 3}"}
        for i, (text, abuse) in enumerate(texts.items())
    ]
