"""Texts in CSV cells that a spreadsheet would run as a formula, and back (OWASP, CSV injection).

A customer may send `=HYPERLINK(…)`; whoever opens the file must see it, not run it.
"""

import re

_FORMULA = re.compile(r"'*(?:\s*[=+\-@＝＋－＠]|[\t\r\n])")
_NUMBER = re.compile(r"[+-]?\d[\d.,]*([eE][+-]?\d+)?")


def guard(text: str) -> str:
    """The text with an apostrophe before what would begin a formula; a number stays as it is."""
    return f"'{text}" if _begins_formula(text) else text


def unguard(text: str) -> str:
    """What `guard` was given."""
    return text[1:] if text.startswith("'") and _begins_formula(text[1:]) else text


def _begins_formula(text: str) -> bool:
    return bool(_FORMULA.match(text)) and not _NUMBER.fullmatch(text.strip())
