"""Bytes of a text file as text: UTF-8, or UTF-16 with its mark; any other encoding is named."""

from __future__ import annotations

import codecs

_ARABIC = ("\u0600", "\u06ff")
_SAMPLE = 100_000
_ZEROS = 0.1  # half of the bytes of English in UTF-16; of Arabic, the blanks' and line ends'


class EncodingError(ValueError):
    """The bytes are of another encoding, with which it seems to be and how to convert."""


def decode(content: bytes) -> str:
    """The text, with plain line ends and without a mark.

    Raises:
        EncodingError: it is neither UTF-8 nor marked UTF-16.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _decode(content, "utf-16")
    return _decode(content, "utf-8-sig")


def _decode(content: bytes, encoding: str) -> str:
    sample = content[:_SAMPLE]
    if encoding != "utf-16" and sample.count(0) > len(sample) * _ZEROS:
        raise EncodingError(f"it seems to be UTF-16 without its mark: {_convert('UTF-16LE')}")
    try:
        return content.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise EncodingError(
            f"it is not {encoding.upper().removesuffix('-SIG')} (byte 0x{byte:02X} in line {line});"
            f" {_guess(content)}"
        ) from error


def _guess(content: bytes) -> str:
    """Windows-1256 where most characters beyond ASCII would be Arabic letters."""
    text = content[:_SAMPLE].decode("cp1256", "replace")
    other = [character for character in text if not character.isascii()]
    arabic = sum(_ARABIC[0] <= character <= _ARABIC[1] for character in other)
    if arabic > len(other) / 2:
        return f"it seems to be Windows-1256 (Arabic): {_convert('WINDOWS-1256')}"
    return f"it may be Windows-1252 (Western): {_convert('WINDOWS-1252')}"


def _convert(encoding: str) -> str:
    return (
        f'in Excel save it as "CSV UTF-8", or convert it:'
        f" iconv -f {encoding} -t UTF-8 OLD.csv > NEW.csv"
    )
