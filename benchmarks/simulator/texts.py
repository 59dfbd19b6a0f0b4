"""The bank of texts that the simulated customers and their company write, and who says what.

Each text was written one by one; there are no slots. `voice` is a dialect of Arabic, `arabizi` or
`en` (replies: `ar` or `en`); `about` is the matter complained of, or the kind of a threat. Rows of
`parallel.jsonl` with one `key` mean the same, equally strongly, in five dialects.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from random import Random
from typing import NamedTuple

DIALECTS = ("egy", "gulf", "lev", "magh", "msa")
VOICES = (*DIALECTS, "arabizi", "en")
ROLES = (
    "question",
    "thanks",
    "complaint",
    "matter",
    "furious",
    "chase",
    "nudge",
    "accusation",
    "insult",
    "threat",
    "off_channel",
    "out_of_scope",
    "bargain",
    "closing",
    "apology",
)
REPLIES = (
    "auto",
    "look",
    "answer",
    "solved",
    "holding",
    "handoff",
    "refuse_channel",
    "refuse_scope",
    "price",
    "calm_down",
    "apology",
)
_FOLDER = Path(__file__).with_name("texts")


class Text(NamedTuple):
    id: str
    role: str
    voice: str
    text: str
    about: str | None
    key: str | None


@cache
def load(name: str) -> tuple[Text, ...]:
    """The rows of one file of the bank."""
    lines = _FOLDER.joinpath(f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(_text(json.loads(line)) for line in lines)


def _text(row: dict[str, str]) -> Text:
    about, key = row.get("about"), row.get("key")
    return Text(row["id"], row["role"], row["voice"], row["text"], about, key)


def language(voice: str) -> str:
    """ar, arabizi or en."""
    return voice if voice in {"arabizi", "en"} else "ar"


class Wordings:
    """What one writer can say. It draws without replacement, and starts over where that is natural.

    Two writers with one seed draw the same keys of parallel texts.
    """

    def __init__(self, texts: Iterable[Text], random: Random) -> None:
        self._random = random
        self._all: dict[tuple[str, str | None], list[str]] = {}
        for text in texts:
            self._all.setdefault((text.role, text.about), []).append(text.text)
        for pile in self._all.values():
            random.shuffle(pile)
        self._left = {what: list(pile) for what, pile in self._all.items()}

    def abouts(self, role: str) -> list[str]:
        """The matters or kinds of threat that there are texts for."""
        return sorted(about for name, about in self._all if name == role and about)

    def new(self, role: str) -> str | None:
        """A text that this writer has not used; None when there is none left."""
        pile = self._left[role, None]
        return pile.pop() if pile else None

    def any(self, role: str, about: str | None = None) -> str:
        pile = self._left[role, about]
        if not pile:
            pile.extend(self._all[role, about])
            self._random.shuffle(pile)
        return pile.pop()


def customer_wordings(voice: str, seed: str, *, parallel: bool = False) -> Wordings:
    """Of a customer: all texts of the voice, or only those that have a parallel in five dialects."""
    texts = [text for text in load("parallel") if text.voice == voice]
    if not parallel:
        texts.extend(load(voice))
    return Wordings(texts, Random(seed))


def company_wordings(voice: str, seed: str) -> Wordings:
    spoken = "en" if voice == "en" else "ar"
    return Wordings((text for text in load("replies") if text.voice == spoken), Random(seed))
