"""Language and script of a message, by rule: fast, no model, good enough to report and group by.

Arabic script is `ar`, Latin script with the marks of Arabizi (digits for letters, common words) is
`arabizi`, other Latin text is `en` when English words carry it, both together are `mixed`, and all
else (no letters, other scripts, other languages) is `other`.
"""

from __future__ import annotations

import re
from importlib.resources import files

_ARABIC = re.compile(r"[\u0620-\u064a\u0671-\u06d3\ufb50-\ufdff\ufe70-\ufefc]")
_LATIN_WORD = re.compile(r"[a-z0-9']+")
_ARABIC_WORD = re.compile(r"[\u0620-\u064a\u0671-\u06d3]+")
_DIGIT_LETTERS = re.compile(r"(?<=[a-z])[23578](?=[a-z])|^[2357](?=[a-z]{2})|(?<=[a-z]{2})[23578]$")
_PLACEHOLDERS = frozenset({"url", "email", "number", "user"})
_OTHER_LETTER = re.compile(r"[^\W\d_a-z\u0600-\u06ff\u00df-\u024f]")


def _words(name: str) -> frozenset[str]:
    return frozenset(files("model").joinpath(name).read_text(encoding="utf-8").split())


ENGLISH = _words("english_words.txt")
_ARABIZI = _words("arabizi_words.txt")
_KNOWN = _ARABIZI | ENGLISH


def detect_language(prepared: str) -> str:
    """`ar`, `arabizi`, `mixed`, `en` or `other` for a prepared text."""
    latin = _latin_words(prepared)
    arabic = len(_ARABIC_WORD.findall(prepared))
    english = sum(word in ENGLISH for word in latin)
    arabizi = _count_arabizi(latin)
    if arabic:
        return "mixed" if len(latin) >= 2 and len(latin) * 6 >= arabic else "ar"
    if len(latin) == 0 or len(_OTHER_LETTER.findall(prepared)) > sum(map(len, latin)):
        return "other"
    if arabizi and english >= 2 and english * 3 >= len(latin) and arabizi * 3 >= len(latin):
        return "mixed"
    if arabizi > english:
        return "arabizi"
    return "en" if english * 4 >= len(latin) or len(latin) < 3 else "other"


def _latin_words(prepared: str) -> list[str]:
    # That a word holds a letter is not in the pattern: on long digits it would take quadratic time.
    words = (w for w in _LATIN_WORD.findall(prepared) if w not in _PLACEHOLDERS)
    return [w for w in words if not w.replace("'", "0").isdecimal()]


def _count_arabizi(latin: list[str]) -> int:
    """Known Arabizi words, and words with digits for letters where those are not alone ("b2b")."""
    known = sum(word in _ARABIZI for word in latin)
    digits = sum(w not in _KNOWN and bool(_DIGIT_LETTERS.search(w)) for w in latin)
    return known + digits if known or digits >= 2 or digits == len(latin) else 0


def detect_script(prepared: str) -> str:
    """`Arab`, `Latn`, `Mixed` (both) or `Zyyy` (neither), after ISO 15924."""
    arabic = bool(_ARABIC.search(prepared))
    latin = any("a" <= c <= "z" for c in prepared)
    if arabic and latin:
        return "Mixed"
    return "Arab" if arabic else "Latn" if latin else "Zyyy"
