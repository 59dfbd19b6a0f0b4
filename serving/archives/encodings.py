"""The encoding of a text file, found out or told; wrong bytes become U+FFFD and end nothing."""

from __future__ import annotations

import base64
import codecs
import io
import re
from typing import TextIO

from serving.archives.row import ArchiveError, Source

_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_MARK_OF = {encoding: mark for mark, encoding in _MARKS.items()}
_NAMES = {
    "utf-8": "UTF-8",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16 (big-endian)",
    "cp1256": "Windows-1256",
    "cp1252": "Windows-1252",
    "iso8859-6": "ISO 8859-6",
}
_SAMPLE = 2**18
_FURTHEST = 2**28
"""How far to look for the first byte that is not ASCII: 256 MiB."""


def encoding_of(source: Source, told: str | None = None) -> str:
    """The name of Python's codec for a text file: the one told, or the one that its bytes show.

    Raises:
        ArchiveError: Python knows no encoding of the name told.
    """
    if told is None:
        return find_encoding(_sample(source))
    try:
        name = codecs.lookup(told).name
        "".encode(name)
    except LookupError as error:
        raise ArchiveError(
            f"there is no encoding {told!r}: use utf-8, utf-16, windows-1256 or another that"
            " Python knows"
        ) from error
    with source.open() as stream:
        marked = _marked(stream.read(4))
    return marked or "utf-16-le" if name == "utf-16" else name


def open_text(source: Source, encoding: str, newline: str = "") -> TextIO:
    r"""Its text from the beginning, without the byte order mark; U+FFFD stands for wrong bytes.

    Lines end with \n, \r\n or \r and keep their ends; with newline="\n" only with \n.
    """
    mark = _MARK_OF.get(encoding, b"")
    stream = source.open()
    if stream.read(len(mark)) != mark:
        stream.close()
        stream = source.open()
    return io.TextIOWrapper(stream, encoding, errors="replace", newline=newline)


def read_head(source: Source, encoding: str, characters: int = 2**16) -> str:
    """The first characters of its text; line ends are kept."""
    with open_text(source, encoding) as text:
        return text.read(characters)


def encoding_name(encoding: str) -> str:
    """As people call it."""
    return _NAMES.get(encoding, encoding)


def bytes_as_text(value: bytes) -> str:
    """The text that bytes are in UTF-8; Base64 of what is none, such as a picture."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode()


def replaced(count: int) -> list[str]:
    """A statement on characters that stand for wrong bytes, if there are any."""
    return [f"wrong bytes, shown as \ufffd: {count:,}"] if count else []


def _sample(source: Source) -> bytes:
    """The first bytes, or the first ones that are not all ASCII."""
    with source.open() as stream:
        head = block = stream.read(_SAMPLE)
        for _ in range(_FURTHEST // _SAMPLE):
            if b"\0" in block or not block.isascii():
                return block
            if not (block := stream.read(_SAMPLE)):
                break
    return head


def find_encoding(sample: bytes) -> str:
    """The codec that explains the bytes: a mark, UTF-16 by its zeros, UTF-8 by its rules (one
    wrong sequence in ten is damage, not another encoding), else the likeliest single-byte one.
    """
    if marked := _marked(sample):
        return marked
    if wide := _wide(sample):
        return wide
    good, wrong = _utf_8_sequences(sample)
    if wrong == 0 or wrong * 10 <= good:
        return "utf-8"
    return max(_SINGLE_BYTE, key=lambda encoding: _likelihood(sample, encoding))


def _marked(sample: bytes) -> str | None:
    return next((name for mark, name in _MARKS.items() if sample.startswith(mark)), None)


def _wide(sample: bytes) -> str | None:
    """UTF-16 without a mark: the high bytes of Latin and Arabic letters are 00 and 06."""
    even, odd = sample[0::2], sample[1::2]
    for high, low, encoding in (odd, even, "utf-16-le"), (even, odd, "utf-16-be"):
        zeros = high.count(0)
        if zeros and low.count(0) * 10 < zeros and (zeros + high.count(6)) * 10 > len(high) * 7:
            return encoding
    return None


def _utf_8_sequences(sample: bytes) -> tuple[int, int]:
    """How many characters beyond ASCII are right and wrong UTF-8; a cut last one is neither."""
    text, _ = codecs.utf_8_decode(sample, "replace", False)
    wrong = text.count("\ufffd") - sample.count("\ufffd".encode())
    return sum(character > "\x7f" for character in text) - wrong, wrong


def _likelihood(sample: bytes, encoding: str) -> int:
    """Frequent Arabic letters and Latin words with accents speak for an encoding; controls, accents
    outside Latin words and words of two alphabets against it.
    """
    text = sample.decode(encoding, "replace")
    return sum(weight * len(pattern.findall(text)) for pattern, weight in _EVIDENCE)


_SINGLE_BYTE = ("cp1256", "cp1252", "iso8859-6")
"""The likelier first, where the bytes do not decide."""

_EVIDENCE = (
    (re.compile("[اليمونرتهبعد]"), 1),
    (re.compile("(?<=[A-Za-z])[À-ÖØ-öø-ÿ](?![À-ÿ])"), 1),
    (re.compile("[\x80-\x9f\ufffd]"), -2),
    (re.compile("[À-ÿ]{3,}|[À-ÿ](?=[ء-ْ])|(?<=[ء-ْ])[À-ÿ]"), -2),
    (re.compile("(?<=[A-Za-z])[ء-ْ]|[ء-ْ](?=[A-Za-z])"), -2),
)
