"""Texts and names that a report may show to people who must not know whose they are."""

from __future__ import annotations

from unicodedata import category, normalize

from serving.index.events import INSTANT_CHANNELS

_FACES = range(0x1F600, 0x1F650)
_CONTROLS = frozenset({"Cc", "Cf"})
_DROPPED = _CONTROLS | {"Mn", "Me", "Cs"}
_SHOWN = frozenset({"Po", "Pd", "Ps", "Pe", "Pi", "Pf", "Zs"})

KNOWN_CHANNELS = INSTANT_CHANNELS | {"email", "web", "app", "ticket", "comment", "review", "post"}
"""Names that tell nothing about a customer."""


def mask(text: str) -> str:
    """The shape of a text: its spaces, punctuation and faces, with a dot for everything else.

    No letter, digit or symbol is left, so no name, number, address or link can be read; marks on
    letters and invisible characters are dropped.
    """
    return "".join(map(_masked, normalize("NFC", text)))


def _masked(character: str) -> str:
    kind = category(character)
    if character == "\n" or kind in _SHOWN or ord(character) in _FACES:
        return character
    return "" if kind in _DROPPED else "•"


def displayed(text: str) -> str:
    """A text without what could change how the words around it are shown: control characters, and
    invisible ones such as bidirectional marks. Joiners stay: letters and emoji need them.
    """
    whole = text.encode(errors="replace").decode()
    return "".join(c for c in whole if c in "\n\u200c\u200d" or category(c) not in _CONTROLS)
