"""Text preparation, the same in training and in serving.

`prepare` undoes what hides or scatters a message's words without changing what they say: Unicode
compatibility forms, diacritics, tatweel, invisible and bidirectional marks, stretched letters,
separators between single letters, look-alike letters, Arabic-Indic digits. User names, links, e-mail
addresses and long numbers become placeholders, as in the public corpora.

It is idempotent, linear in time for any input, and keeps an offset map, so that a span of the
prepared text can be shown on what the customer wrote. It knows nothing of tokens or labels.

Most words need nothing: they are recognised by one pattern and passed on. Any other word goes once
through a fixed chain of steps whose order makes the result a fixed point; `_prepare_word` says why.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from model.language import ENGLISH

_ALEFS = dict.fromkeys("أإآٱ", "ا")
_PERSIAN = dict(zip("کیےھہۃګٮڪ", "كييههةكبك", strict=True))
_QUOTES = dict(zip("’‘`´“”–—", "''''\"\"--", strict=True)) | {"…": "..."}
_LETTERS = _ALEFS | _PERSIAN | _QUOTES
_LOOK_ALIKES = str.maketrans("аеорсухіѕјԁһӏԛԝкмнтвαεορυνικτχ", "aeopcyxisjdhlqwkmhtbaeopyviktx")
_SYMBOL_LETTERS = {"@": "a", "$": "s", "!": "i", "0": "o", "€": "e"}
_TATWEEL = "ـ"
_EDGE_PUNCTUATION = ".,!?؟،؛;:()[]{}\"'«»<>"
_LONG_NUMBER = range(9, 16)
_STRETCH_KEPT = {"ل": 2, "ه": 2}  # "الله" and laughter ("هه") are really doubled
_FEWEST_SPELLED_WORDS = 4

_MARKS = (
    "\u0300-\u036f\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8"
    "\u06ea-\u06ed\u08d3-\u08ff\u20d0-\u20ff\ufe00-\ufe0f"
)
"""Marks that only decorate Latin and Arabic letters and emoji (other scripts need theirs)."""

_MARK = re.compile(f"[{_MARKS}]")
_UNCHANGED = "a-z0-9 .,!?:;'\"()/@#&%+*=_،؟؛\u0621\u0624\u0626-\u063a\u0641-\u064a-"
_CLUSTERS = re.compile(f"([{_UNCHANGED}]+(?![{_MARKS}]))|.[{_MARKS}]*", re.DOTALL)
"""A stretch of characters that cleaning leaves alone, or one character with its marks."""

_WORDS = re.compile("[^ ]+")
_PLAIN_WORD = re.compile("(?:[a-z]+|[\u0620-\u063a\u0641-\u064a]+)[.,!?:;،؟؛)]?")
_THREE_ALIKE = re.compile(r"(.)\1\1")
_RUN = re.compile(r"(\D)\1{2,}")
_LATIN = re.compile("[a-z]")
_TO_LAST_LATIN = re.compile(".*[a-z]")
_SYMBOLS_IN_WORD = re.compile(r"(?<=[a-z])([@$!0€])(?:\1*(?=[a-z])|\1*(?=\1))")
_LAST_LETTERS = re.compile("[a-z]+$")
_FIRST_LETTERS = re.compile("[a-z]+")
_LONGEST_WORD = 24
_SEPARATOR = re.compile(r"[-._*•·~|/\\,+،#]")
_SPELLED_OUT = re.compile(
    rf"(?<![^\W_])[^\W\d_](?:{_SEPARATOR.pattern}{{1,2}}[^\W\d_](?![^\W_])){{2,}}"
)


class _Word(NamedTuple):
    """Characters under preparation: `starts[i]` and `ends[i]` bound the original behind `text[i]`,
    `blank` is the original span of the blanks before the word.
    """

    text: str
    starts: Sequence[int]
    ends: Sequence[int]
    blank: tuple[int, int] = (0, 0)


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
    words = [_prepare_word(word) for word in _split(_clean(text))]
    return _assemble(list(_join_spelled_words(words)))


def _assemble(words: Sequence[_Word]) -> Prepared:
    """The words with one blank between neighbours."""
    starts: list[int] = []
    ends: list[int] = []
    for word in words:
        if starts:
            starts.append(word.blank[0])
            ends.append(word.blank[1])
        starts.extend(word.starts)
        ends.extend(word.ends)
    return Prepared(" ".join(word.text for word in words), tuple(starts), tuple(ends))


def _clean(text: str) -> _Word:
    """Characters after Unicode normalisation, with invisible ones dropped and controls as blanks."""
    parts: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for cluster in _CLUSTERS.finditer(text):
        start, end = cluster.span()
        if unchanged := cluster[1]:
            parts.append(unchanged)
            starts.extend(range(start, end))
            ends.extend(range(start + 1, end + 1))
        else:
            cleaned = _clean_cluster(cluster[0][:2])
            parts.append(cleaned)
            starts.extend([start] * len(cleaned))
            ends.extend([end] * len(cleaned))
    return _Word("".join(parts), starts, ends)


@lru_cache(maxsize=65536)
def _clean_cluster(cluster: str) -> str:
    """Clean a base character with at most one mark; a mark that does not compose is dropped."""
    composed = unicodedata.normalize("NFC", cluster)
    base = composed if len(composed) == 1 else cluster[0]
    if _MARK.match(base):
        return ""
    folded = unicodedata.normalize("NFKC", base).lower()
    return "".join(map(_clean_char, unicodedata.normalize("NFC", folded)))


def _clean_char(char: str) -> str:
    category = unicodedata.category(char)
    if category == "Cs":
        return "\ufffd"
    if char == _TATWEEL or category == "Cf" or _MARK.match(char) or _is_skin_tone(char):
        return ""
    if category in ("Cc", "Zs", "Zl", "Zp"):
        return " "
    if category == "Nd":
        return str(unicodedata.decimal(char))
    return _LETTERS.get(char, char)


def _is_skin_tone(char: str) -> bool:
    return "\U0001f3fb" <= char <= "\U0001f3ff"


def _split(cleaned: _Word) -> Iterator[_Word]:
    stop = 0
    for match in _WORDS.finditer(cleaned.text):
        start = match.start()
        blank = (cleaned.starts[stop], cleaned.ends[start - 1]) if start else (0, 0)
        stop = match.end()
        yield _Word(match[0], cleaned.starts[start:stop], cleaned.ends[start:stop], blank)


def _prepare_word(word: _Word) -> _Word:
    """Bring a word to its fixed point.

    Once is enough for each step, in this order: look-alikes make the Latin letters that symbols stand
    between; neither comes back later, since the steps after them only drop characters between or
    beside equal kinds. Shortened runs can be the single letters of a spelled-out word ("ااا.ببب"),
    a joined one can hold runs ("ا.ا.ا"), and a letter that is left of those has no neighbour to be
    joined with, or the joining would have taken it. Whatever has become a placeholder is seen last.
    """
    if _PLAIN_WORD.fullmatch(word.text) and not _THREE_ALIKE.search(word.text):
        return word
    if name := _placeholder(word.text):
        return _stand_in(name, word)
    word = word._replace(text=_replace_symbols(_replace_look_alikes(word.text)))
    word = _shorten_runs(_join_separated(_shorten_runs(word)))
    name = _placeholder(word.text)
    return _stand_in(name, word) if name else word


def _placeholder(text: str) -> str:
    core = text.strip(_EDGE_PUNCTUATION)
    if not core.isascii():  # words glued to a link or an address must be read
        return ""
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


def _stand_in(placeholder: str, word: _Word) -> _Word:
    size = len(placeholder)
    return _Word(placeholder, [word.starts[0]] * size, [word.ends[-1]] * size, word.blank)


def _replace_look_alikes(text: str) -> str:
    """Cyrillic and Greek letters that pass for Latin ones, in words that also hold Latin letters."""
    return text if text.isascii() or not _LATIN.search(text) else text.translate(_LOOK_ALIKES)


def _replace_symbols(text: str) -> str:
    """Symbols that stand for a Latin letter, between two letters ("id!ot", "a$$hole").

    Of a run that no letter follows at once, all but the last are replaced, if one comes later.
    """
    if not (inner := _TO_LAST_LATIN.match(text)):
        return text
    return _SYMBOLS_IN_WORD.sub(_symbol_letters, inner[0]) + text[inner.end() :]


def _symbol_letters(symbols: re.Match[str]) -> str:
    """The letters meant; several exclamation marks, or one between two English words, stay."""
    if symbols[1] == "!" and _ends_a_sentence(symbols.string, symbols.start(), symbols.end()):
        return symbols[0]
    return _SYMBOL_LETTERS[symbols[1]] * len(symbols[0])


def _ends_a_sentence(text: str, start: int, end: int) -> bool:
    """The marks `text[start:end]` are several, or stand between two words of two letters or more.

    Single letters are no words here: they may be joined to others later.
    """
    if end - start > 1 or text[end] == "!":
        return True
    left = _LAST_LETTERS.search(text[max(0, start - _LONGEST_WORD) : start])
    right = _FIRST_LETTERS.match(text[end : end + _LONGEST_WORD])
    return all(match and len(match[0]) > 1 and match[0] in ENGLISH for match in (left, right))


def _join_separated(word: _Word) -> _Word:
    """Join three or more single letters that one or two separators keep apart ("f.u.c.k")."""
    return _drop(
        word,
        {
            stretch.start() + separator
            for stretch in _SPELLED_OUT.finditer(word.text)
            for separator, char in enumerate(stretch[0])
            if _SEPARATOR.match(char)
        },
    )


def _shorten_runs(word: _Word) -> _Word:
    """Shorten stretched letters and repeated signs; digits stay."""
    dropped: set[int] = set()
    ends = list(word.ends)
    for run in _RUN.finditer(word.text):
        stop = run.start() + _kept_of_run(run[1])
        ends[stop - 1] = ends[run.end() - 1]
        dropped.update(range(stop, run.end()))
    return _drop(word._replace(ends=ends), dropped)


def _kept_of_run(char: str) -> int:
    if not char.isalpha():
        return 3
    return _STRETCH_KEPT.get(char, 1) if _is_arabic(char) else 2


def _is_arabic(char: str) -> bool:
    return "\u0600" <= char <= "\u06ff"


def _drop(word: _Word, dropped: set[int]) -> _Word:
    if not dropped:
        return word
    kept = [i for i in range(len(word.text)) if i not in dropped]
    return _Word(
        "".join(word.text[i] for i in kept),
        [word.starts[i] for i in kept],
        [word.ends[i] for i in kept],
        word.blank,
    )


def _join_spelled_words(words: Sequence[_Word]) -> Iterator[_Word]:
    """Join four or more neighbouring one-letter words ("ح م ا ر")."""
    for single, group in groupby(words, key=lambda w: len(w.text) == 1 and w.text.isalpha()):
        run = list(group)
        if single and len(run) >= _FEWEST_SPELLED_WORDS:
            yield _prepare_word(_joined(run))
        else:
            yield from run


def _joined(words: Sequence[_Word]) -> _Word:
    return _Word(
        "".join(word.text for word in words),
        [word.starts[0] for word in words],
        [word.ends[0] for word in words],
        words[0].blank,
    )
