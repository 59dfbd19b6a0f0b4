"""Who a customer is, however the id is written: the same person in several archives is one.

What cannot be told for certain is not merged: a number without its country, or a mere name.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_EMAIL = re.compile(r"(?:mailto:)?([^\s@]+@[^\s@.]+(?:\.[^\s@.]+)+)", re.IGNORECASE)
_INTERNATIONAL = re.compile(r"(?:(?:tel|whatsapp):)?\+([1-9]\d{7,14})|00([1-9]\d{10,14})")
"""A number with its country (E.164: at most 15 digits). After 00 it has at least 11 digits, since an id
may begin with zeros, too.
"""
_WITHOUT_PLUS = re.compile(r"[1-9]\d{10,14}")
_OF_WHATSAPP = re.compile(r"([1-9]\d{7,14})@(?:s\.whatsapp\.net|c\.us)")
_BETWEEN_DIGITS = re.compile(r"\(0\)|[\s().\u2010-\u2015\u2212/-]")
_LONGEST_NAME = 100


@lru_cache(65_536)
def customer_key(written: str, in_phones: bool = False) -> str:
    """The one way to write a customer's id.

    A phone number with its country is +201001234567, an e-mail address in lower case; any other id is
    as it is written, but for digits of other scripts, widths of letters (Unicode NFKC), blanks and
    invisible characters.

    Args:
        written: the id, trimmed.
        in_phones: the column holds phone numbers: 11 to 15 digits that begin with no zero are one
            with its country, though the plus is missing.
    """
    key = " ".join("".join(map(_plain, unicodedata.normalize("NFKC", written))).split())
    return _phone(key, in_phones) or _email(key) or key


def _plain(character: str) -> str:
    match unicodedata.category(character):
        case "Nd":
            return str(unicodedata.digit(character))
        case "Cf":
            return ""
    return character


def _phone(key: str, in_phones: bool) -> str | None:
    bare = _BETWEEN_DIGITS.sub("", key)
    if found := _INTERNATIONAL.fullmatch(bare) or _OF_WHATSAPP.fullmatch(key):
        return f"+{found[found.lastindex or 0]}"
    return f"+{bare}" if in_phones and _WITHOUT_PLUS.fullmatch(bare) else None


def _email(key: str) -> str | None:
    found = _EMAIL.fullmatch(key)
    return found[1].lower() if found else None


def is_address(key: str) -> bool:
    """Whether a key is a phone number or an e-mail address: it tells who somebody is everywhere."""
    return _phone(key, in_phones=False) is not None or _email(key) is not None


def display_name(written: str | None) -> str | None:
    """A person's name in one line; None for what is none: without a letter, an address, too long."""
    name = " ".join((written or "").split())
    if len(name) > _LONGEST_NAME or not any(map(str.isalpha, name)) or _email(name):
        return None
    return name
