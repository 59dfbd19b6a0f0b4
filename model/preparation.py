"""Text preparation, the same in training and in serving.

`prepare` undoes what hides or scatters a message's words without changing what they say: Unicode
compatibility forms, diacritics, tatweel, invisible and bidirectional marks, stretched letters,
separators between single letters, look-alike letters, Arabic-Indic digits. User names, links, e-mail
addresses and long numbers become placeholders, as in the public corpora.

It is idempotent, linear in time for any input, and keeps an offset map, so that a span of the
prepared text can be shown on what the customer wrote. It knows nothing of tokens or labels.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

_ALEFS = dict.fromkeys("أإآٱ", "ا")
_PERSIAN = {"ک": "ك", "ی": "ي", "ے": "ي", "ھ": "ه", "ہ": "ه", "ۃ": "ة", "ګ": "ك", "ٮ": "ب", "ڪ": "ك"}
_QUOTES = {"’": "'", "‘": "'", "`": "'", "´": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "..."}
_LETTERS = _ALEFS | _PERSIAN | _QUOTES
_LOOK_ALIKES = dict(
    zip("аеорсухіѕјԁһӏԛԝкмнтвαεορυνικτχ", "aeopcyxisjdhlqwkmhtbaeopyviktx", strict=True)
)
_SYMBOL_LETTERS = {"@": "a", "$": "s", "!": "i", "0": "o", "€": "e"}
_SEPARATORS = frozenset(".-_*·•~|/\\,+،#")
_TATWEEL = "ـ"
_EDGE_PUNCTUATION = ".,!?؟،؛;:()[]{}\"'«»<>"
_LONG_NUMBER = range(9, 16)
_STRETCH_KEPT = {"ل": 2, "ه": 2}  # "الله" and laughter ("هه") are really doubled


class _Char(NamedTuple):
    """One prepared character and the half-open span of the original that it stands for."""

    char: str
    start: int
    end: int


@dataclass(frozen=True)
class Prepared:
    """A prepared text; `starts[i]` and `ends[i]` bound the original characters behind `text[i]`."""

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def original_span(self, start: int, end: int) -> tuple[int, int]:
        """Map a half-open span of the prepared text to the original one.

        Raises:
            ValueError: the span is empty or out of range.
        """
        if not 0 <= start < end <= len(self.text):
            raise ValueError(f"span {start}:{end} is empty or outside 0:{len(self.text)}")
        return self.starts[start], self.ends[end - 1]


def prepare(text: str) -> Prepared:
    """Prepare a text of any length and content; never fails."""
    chars = _squeeze_spaces(_clean(text))
    words = [_prepare_word(list(word)) for is_space, word in _words(chars) if not is_space]
    words = list(_join_spelled_words(words))
    joined: list[_Char] = []
    for word in words:
        if joined:
            joined.append(_Char(" ", joined[-1].end, word[0].start))
        joined.extend(word)
    return Prepared(
        "".join(c.char for c in joined),
        tuple(c.start for c in joined),
        tuple(c.end for c in joined),
    )


def _clean(text: str) -> Iterator[_Char]:
    """Characters after Unicode normalisation, with invisible ones dropped and controls as blanks."""
    position = 0
    while position < len(text):
        base = text[position]
        end = position + 1
        while end < len(text) and _is_mark(text[end]):
            end += 1
        cluster = base + text[position + 1 : position + 2] if end > position + 1 else base
        for char in _clean_cluster(cluster):
            yield _Char(char, position, end)
        position = end


@lru_cache(maxsize=65536)
def _clean_cluster(cluster: str) -> str:
    """Clean a base character with at most one mark; marks that do not compose are dropped."""
    composed = unicodedata.normalize("NFC", cluster)
    base = composed if len(composed) == 1 else cluster[0]
    if _is_mark(base):
        return ""
    folded = unicodedata.normalize("NFKC", base).lower()
    return "".join(map(_clean_char, unicodedata.normalize("NFC", folded)))


def _clean_char(char: str) -> str:
    category = unicodedata.category(char)
    if category == "Cs":
        return "\ufffd"
    if char == _TATWEEL or category == "Cf" or _is_mark(char) or _is_skin_tone(char):
        return ""
    if category in ("Cc", "Zs", "Zl", "Zp"):
        return " "
    if category == "Nd":
        return str(unicodedata.decimal(char))
    return _LETTERS.get(char, char)


def _is_mark(char: str) -> bool:
    """Marks that only decorate Latin and Arabic letters and emoji (other scripts need theirs)."""
    return (
        "\u0300" <= char <= "\u036f"
        or "\u064b" <= char <= "\u065f"
        or ("\u06d6" <= char <= "\u06ed" and unicodedata.category(char) == "Mn")
        or char == "\u0670"
        or "\ufe00" <= char <= "\ufe0f"
        or "\u20d0" <= char <= "\u20ff"
        or "\u0610" <= char <= "\u061a"
        or "\u08d3" <= char <= "\u08ff"
    )


def _is_skin_tone(char: str) -> bool:
    return "\U0001f3fb" <= char <= "\U0001f3ff"


def _squeeze_spaces(chars: Iterable[_Char]) -> list[_Char]:
    kept: list[_Char] = []
    for char in chars:
        if char.char != " " or (kept and kept[-1].char != " "):
            kept.append(char)
    return kept


def _words(chars: list[_Char]) -> Iterator[tuple[bool, Iterator[_Char]]]:
    return groupby(chars, key=lambda c: c.char == " ")


def _prepare_word(word: list[_Char]) -> list[_Char]:
    text = "".join(c.char for c in word)
    placeholder = _placeholder(text)
    if placeholder:
        return _stand_in(placeholder, word)
    if text.isascii() and text.isalpha() and len(text) < 3:
        return word
    steps: tuple[Callable[[list[_Char]], list[_Char]], ...] = (
        _replace_look_alikes,
        _replace_symbols,
        _join_separated,
        _shorten_runs,
    )
    for step in steps:
        word = step(word)
    # Joining and shortening can uncover a placeholder or another run; the word only gets shorter,
    # and one more pass settles all but hand-made nests, which `_settled` bounds.
    return _settled(word, text)


def _settled(word: list[_Char], before: str) -> list[_Char]:
    return word if "".join(c.char for c in word) == before else _prepare_word(word)


def _placeholder(text: str) -> str:
    core = text.strip(_EDGE_PUNCTUATION)
    if core.startswith(("http://", "https://", "www.")) and len(core) > 4:
        return "url"
    name, at, host = core.partition("@")
    if at and name and "." in host.strip(".") and "@" not in host and name[0].isalnum():
        return "email"
    if at and not name and len(host) > 1 and host.replace("_", "").isalnum():
        return "@user"
    digits = core.lstrip("+").replace("-", "")
    if digits.isdecimal() and len(digits) in _LONG_NUMBER:
        return "number"
    return ""


def _stand_in(placeholder: str, word: list[_Char]) -> list[_Char]:
    return [_Char(char, word[0].start, word[-1].end) for char in placeholder]


def _replace_look_alikes(word: list[_Char]) -> list[_Char]:
    """Cyrillic and Greek letters that pass for Latin ones, in words that also hold Latin letters."""
    if not any(_is_latin(c.char) for c in word) or all(c.char.isascii() for c in word):
        return word
    return [c._replace(char=_LOOK_ALIKES.get(c.char, c.char)) for c in word]


def _replace_symbols(word: list[_Char]) -> list[_Char]:
    """Symbols that stand for a Latin letter, between two letters ("id!ot", "a$$hole")."""
    if not any(c.char in _SYMBOL_LETTERS for c in word):
        return word
    replaced = list(word)
    last_letter = max((i for i, c in enumerate(word) if _is_latin(c.char)), default=-1)
    for i in range(1, last_letter):
        if word[i].char in _SYMBOL_LETTERS and _is_latin(replaced[i - 1].char):
            follows_letter = _is_latin(word[i + 1].char) or word[i + 1].char == word[i].char
            if follows_letter:
                replaced[i] = word[i]._replace(char=_SYMBOL_LETTERS[word[i].char])
    return replaced


def _is_latin(char: str) -> bool:
    return "a" <= char <= "z"


def _join_separated(word: list[_Char]) -> list[_Char]:
    """Join three or more single letters that one or two separators keep apart ("f.u.c.k")."""
    joined: list[_Char] = []
    i = 0
    while i < len(word):
        stop, letters = _spelled_out(word, i)
        joined.extend(letters)
        i = stop
    return joined


def _spelled_out(word: list[_Char], start: int) -> tuple[int, list[_Char]]:
    """The letters of a spelled-out stretch that begins at `start`, or the one character there."""
    letters = [start]
    at_word_start = start == 0 or not word[start - 1].char.isalnum()
    i = start
    while at_word_start and word[i].char.isalpha():
        following = i + 1
        while following < len(word) and following <= i + 2 and word[following].char in _SEPARATORS:
            following += 1
        single = following < len(word) and word[following].char.isalpha()
        if following == i + 1 or not single:
            break
        if following + 1 < len(word) and word[following + 1].char.isalnum():
            break
        letters.append(following)
        i = following
    if len(letters) < 3:
        return start + 1, [word[start]]
    return letters[-1] + 1, [word[k] for k in letters]


def _shorten_runs(word: list[_Char]) -> list[_Char]:
    """Shorten stretched letters and repeated signs; digits stay."""
    shortened: list[_Char] = []
    for char, group in groupby(word, key=lambda c: c.char):
        run = list(group)
        kept = min(_kept_of_run(char, len(run)), len(run))
        shortened.extend(run[: kept - 1])
        shortened.append(run[kept - 1]._replace(end=run[-1].end))
    return shortened


def _kept_of_run(char: str, length: int) -> int:
    if char.isdigit() or length < 3:
        return length
    if not char.isalpha():
        return 3
    if "\u0600" <= char <= "\u06ff":
        return _STRETCH_KEPT.get(char, 1)
    return 2


def _join_spelled_words(words: list[list[_Char]]) -> Iterator[list[_Char]]:
    """Join four or more neighbouring one-letter words of one script ("ح م ا ر")."""

    def is_letter(word: list[_Char]) -> bool:
        return len(word) == 1 and word[0].char.isalpha()

    for single, group in groupby((w for w in words if w), key=is_letter):
        run = list(group)
        if single and len(run) >= 4:
            yield _prepare_word([word[0] for word in run])
        else:
            yield from run
