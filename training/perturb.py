"""Perturbations that people use to hide words, or that haste and keyboards cause.

Each takes one word and a random source; labels do not change. Augmentation in training draws from all
but the `UNSEEN` ones, which only the obfuscation suite of the evaluation uses.
"""

from __future__ import annotations

import random
from collections.abc import Callable

Perturbation = Callable[[str, random.Random], str]

_LEET = str.maketrans("aeiost", "431057")
_ARABIC_DIGITS = str.maketrans("حعخطصق", "735698")
_SYMBOLS = str.maketrans("aiso", "@!$0")
_CYRILLIC = str.maketrans("aeopcxyi", "аеорсхуі")
_PERSIAN = str.maketrans("كيه", "کیہ")
_SPELLINGS = {
    "ة": "ه",
    "ه": "ة",
    "ي": "ى",
    "ى": "ي",
    "ا": "أ",
    "أ": "ا",
    "إ": "ا",
    "ق": "ك",
    "ث": "س",
    "ذ": "ز",
}
_KEYBOARDS = (
    ("qwertyuiop", "asdfghjkl", "zxcvbnm"),
    ("ضصثقفغعهخحجد", "شسيبلاتنمكط", "ئءؤرىةوزظ"),
)
_NEIGHBOURS = {
    letter: row[max(0, i - 1) : i] + row[i + 1 : i + 2]
    for rows in _KEYBOARDS
    for row in rows
    for i, letter in enumerate(row)
}
_BOLD = str.maketrans(
    {chr(ord("a") + i): chr(0x1D41A + i) for i in range(26)}
    | dict(zip("ابتحدرسعفقكلمنهوي", "ﺍﺏﺕﺡﺩﺭﺱﻉﻑﻕﻙﻝﻡﻥﻩﻭﻱ", strict=True))
)
_DIACRITICS = "\u064b\u064e\u064f\u0650\u0651\u0652"
_INVISIBLE = "\u200b\u200c\u200d\u2060\u00ad\u200f"
_EMOJI = "🔥🙄😡❤💔😂👀✨"


def _inner(word: str, chance: random.Random) -> int:
    return chance.randrange(1, max(2, len(word) - 1))


def _is_arabic(word: str) -> bool:
    return any("\u0620" <= c <= "\u064a" for c in word)


def dots(word: str, chance: random.Random) -> str:
    return chance.choice((".", "-", "_", "*")).join(word)


def spaces(word: str, _: random.Random) -> str:
    return " ".join(word)


def tatweel(word: str, chance: random.Random) -> str:
    if not _is_arabic(word):
        return dots(word, chance)
    i = _inner(word, chance)
    return word[:i] + "ـ" * chance.randint(1, 5) + word[i:]


def stretched(word: str, chance: random.Random) -> str:
    i = _inner(word, chance)
    return word[:i] + word[i] * chance.randint(2, 6) + word[i:]


def diacritics(word: str, chance: random.Random) -> str:
    marks = _DIACRITICS if _is_arabic(word) else "\u0300\u0301\u0302\u0308"
    return "".join(c + (chance.choice(marks) if chance.random() < 0.6 else "") for c in word)


def invisible(word: str, chance: random.Random) -> str:
    return "".join(c + (chance.choice(_INVISIBLE) if chance.random() < 0.5 else "") for c in word)


def digits(word: str, chance: random.Random) -> str:
    table = _ARABIC_DIGITS if _is_arabic(word) else _LEET
    spots = [i for i, c in enumerate(word) if c.lower().translate(table) != c.lower()]
    if not spots:
        return swapped(word, chance)
    i = chance.choice(spots)
    return word[:i] + word[i].lower().translate(table) + word[i + 1 :]


def symbols(word: str, chance: random.Random) -> str:
    return word.translate(_SYMBOLS) if not _is_arabic(word) else masked(word, chance)


def look_alikes(word: str, _: random.Random) -> str:
    return word.translate(_PERSIAN if _is_arabic(word) else _CYRILLIC)


def masked(word: str, chance: random.Random) -> str:
    i = _inner(word, chance)
    return word[:i] + chance.choice("*#-.") + word[i + 1 :]


def swapped(word: str, chance: random.Random) -> str:
    i = _inner(word, chance)
    return word[: i - 1] + word[i] + word[i - 1] + word[i + 1 :] if i < len(word) else word


def dropped(word: str, chance: random.Random) -> str:
    i = _inner(word, chance)
    return word[:i] + word[i + 1 :]


def doubled(word: str, chance: random.Random) -> str:
    i = _inner(word, chance)
    return word[:i] + word[i] + word[i:]


def spelling(word: str, chance: random.Random) -> str:
    if not _is_arabic(word):
        return "".join(c.upper() if chance.random() < 0.5 else c for c in word)
    spots = [i for i, c in enumerate(word) if c in _SPELLINGS]
    if not spots:
        return doubled(word, chance)
    i = chance.choice(spots)
    return word[:i] + _SPELLINGS[word[i]] + word[i + 1 :]


def split(word: str, chance: random.Random) -> str:
    i = _inner(word, chance)
    return word[:i] + " " + word[i:]


def emoji(word: str, chance: random.Random) -> str:
    return word + chance.choice(_EMOJI)


def neighbour(word: str, chance: random.Random) -> str:
    """A slip to the next key of the Latin or Arabic keyboard."""
    spots = [i for i, c in enumerate(word) if c in _NEIGHBOURS]
    if not spots:
        return doubled(word, chance)
    i = chance.choice(spots)
    return word[:i] + chance.choice(_NEIGHBOURS[word[i]]) + word[i + 1 :]


def bold(word: str, _: random.Random) -> str:
    """Mathematical bold letters; the isolated presentation forms of Arabic ones."""
    return word.lower().translate(_BOLD)


def brackets(word: str, chance: random.Random) -> str:
    i = _inner(word, chance)
    return f"{word[:i]}({word[i]}){word[i + 1 :]}"


def emoji_inside(word: str, chance: random.Random) -> str:
    i = _inner(word, chance)
    return word[:i] + chance.choice(_EMOJI) + word[i:]


PERTURBATIONS: dict[str, Perturbation] = {
    function.__name__: function
    for function in (
        dots,
        spaces,
        tatweel,
        stretched,
        diacritics,
        invisible,
        digits,
        symbols,
        look_alikes,
        masked,
        swapped,
        dropped,
        doubled,
        spelling,
        split,
        emoji,
        neighbour,
        bold,
        brackets,
        emoji_inside,
    )
}
UNSEEN = ("neighbour", "bold", "brackets", "emoji_inside")


def perturb(text: str, name: str, chance: random.Random, share: float = 0.5) -> str:
    """Perturb about `share` (0 to 1) of the words that have at least three letters, at least one."""
    change = PERTURBATIONS[name]
    words = text.split(" ")
    open_to_change = [i for i, word in enumerate(words) if len(word) >= 3 and word.isalpha()]
    chosen = {i for i in open_to_change if chance.random() < share}
    if open_to_change and not chosen:
        chosen = {chance.choice(open_to_change)}
    return " ".join(change(w, chance) if i in chosen else w for i, w in enumerate(words))


_ARABIZI = {
    "ا": "a", "أ": "a", "إ": "e", "آ": "a", "ب": "b", "ت": "t", "ث": "s th", "ج": "g j", "ح": "7 h",
    "خ": "5 kh", "د": "d", "ذ": "z", "ر": "r", "ز": "z", "س": "s", "ش": "sh ch", "ص": "s 9", "ض": "d",
    "ط": "t 6", "ظ": "z", "ع": "3", "غ": "gh 8", "ف": "f", "ق": "2 q 9 k", "ك": "k", "ل": "l",
    "م": "m", "ن": "n", "ه": "h", "ة": "a", "و": "w o ou", "ي": "y i", "ى": "a", "ئ": "2", "ء": "2",
    "ؤ": "2",
}  # fmt: skip
_VOWELS = frozenset("aeiou")


def to_arabizi(text: str, chance: random.Random) -> str:
    """A rough Latin spelling of an Arabic text: one spelling a letter a message, vowels guessed."""
    table = {letter: chance.choice(options.split()) for letter, options in _ARABIZI.items()}
    return " ".join(_romanise(word, table, chance) for word in text.split(" "))


def _romanise(word: str, table: dict[str, str], chance: random.Random) -> str:
    spelled = ""
    for i, letter in enumerate(word):
        latin = table.get(letter, letter)
        between = i and spelled[-1:].isalnum() and latin.isalnum()
        if (
            between
            and spelled[-1] not in _VOWELS
            and latin[0] not in _VOWELS
            and chance.random() < 0.55
        ):
            spelled += chance.choice("aaeei")
        spelled += latin
    return spelled
