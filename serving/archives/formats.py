"""Which format an archive has, by its content, and the reader for it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from itertools import groupby

from serving.archives import chatwoot, whatsapp, zendesk
from serving.archives.chatwoot import ChatwootArchive
from serving.archives.encodings import encoding_of, open_text, read_head
from serving.archives.excel import ExcelArchive
from serving.archives.json_rows import JsonArchive, JsonLinesArchive
from serving.archives.parquet import ParquetArchive
from serving.archives.row import Archive, ArchiveError, ReadOptions, Source
from serving.archives.sources import ZIP_MAGIC, Tell, is_spreadsheet, seekable
from serving.archives.tables import TableArchive
from serving.archives.whatsapp import WhatsAppArchive
from serving.archives.zendesk import ZendeskArchive

_TEXT_FORMATS: dict[str, Callable[[Source, str, ReadOptions], Archive]] = {
    "whatsapp": WhatsAppArchive,
    "zendesk": ZendeskArchive,
    "chatwoot": ChatwootArchive,
    "csv": TableArchive,
    "tsv": TableArchive,
    "jsonl": JsonLinesArchive,
    "json": JsonArchive,
}
_LOOKS_LIKE: dict[str, Callable[[str], bool]] = {
    "whatsapp": whatsapp.looks_like,
    "zendesk": zendesk.looks_like,
    "chatwoot": chatwoot.looks_like,
}
_BINARY_FORMATS: dict[str, Callable[[Source, ReadOptions], Archive]] = {
    "parquet": ParquetArchive,
    "excel": ExcelArchive,
}
FORMATS = (*_TEXT_FORMATS, *_BINARY_FORMATS)
_HEAD_CHARACTERS = 2**16
_LONGEST_LINE = 2**26
_PARQUET_MAGIC, _OLD_EXCEL_MAGIC = b"PAR1", b"\xd0\xcf\x11\xe0"
_PACKERS = {
    b"BZh9": "bzip2",
    b"\xfd7zXZ": "xz",
    b"7z\xbc\xaf": "7-Zip",
    b"Rar!\x1a": "RAR",
    b"\x1f\x8b": "gzip twice",
    b"\x28\xb5\x2f\xfd": "Zstandard twice",
}
_TAR_MAGIC, _TAR_PLACE = b"ustar", 257
_CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x7f]")


def open_archives(
    sources: Sequence[Source], options: ReadOptions, tell: Tell = lambda _: None
) -> list[Archive]:
    """The readers for sources; what was sent in a WhatsApp chat and lies in its zip is left out.

    Args:
        sources: as `find_sources` found them.
        options: how to read them.
        tell: takes a sentence for the user on what was left out.

    Raises:
        ArchiveError: one cannot be read.
    """
    return [
        open_archive(source, options)
        for _, group in groupby(sources, key=lambda source: source.path)
        for source in _without_attachments(list(group), options, tell)
    ]


def _without_attachments(sources: list[Source], options: ReadOptions, tell: Tell) -> list[Source]:
    """The sources of one file: of a WhatsApp zip, the chats alone."""
    texts = [source for source in sources if source.name.endswith(".txt")]
    if len(sources) == 1 or options.format not in {None, "whatsapp"}:
        return sources
    chats = [source for source in texts if find_format(source, options) == "whatsapp"]
    if not chats or len(chats) == len(sources):
        return sources
    tell(f"{sources[0].path}: {len(sources) - len(chats):,} files sent in the chat left out")
    return chats


def open_archive(source: Source, options: ReadOptions) -> Archive:
    """The reader for a source, of the format told or found out.

    Raises:
        ArchiveError: the format is unknown, or the source is not in it.
    """
    format_ = options.format or find_format(source, options)
    if format_ in _BINARY_FORMATS:
        return _BINARY_FORMATS[format_](source, options)
    if format_ not in _TEXT_FORMATS:
        raise ArchiveError(f"there is no format {format_!r}; the formats are {', '.join(FORMATS)}")
    return _TEXT_FORMATS[format_](source, encoding_of(source, options.encoding), options)


def find_format(source: Source, options: ReadOptions) -> str:
    """The format that its content shows.

    Raises:
        ArchiveError: it is in none that can be read.
    """
    return _binary_format(source) or _text_format(source, encoding_of(source, options.encoding))


def _binary_format(source: Source) -> str | None:
    with source.open() as stream:
        head = stream.read(_TAR_PLACE + len(_TAR_MAGIC))
    if head.startswith(_PARQUET_MAGIC):
        return "parquet"
    if head.startswith(_OLD_EXCEL_MAGIC):
        return "excel"
    packers = [name for magic, name in _PACKERS.items() if head.startswith(magic)]
    if packers or head.endswith(_TAR_MAGIC):
        packer = packers[0] if packers else "tar"
        raise ArchiveError(
            f"{source.name} is packed with {packer}, which is not read: unpack it first"
        )
    if not head.startswith(ZIP_MAGIC):
        return None
    with seekable(source) as stream:
        if is_spreadsheet(stream):
            return "excel"
    raise ArchiveError(f"{source.name} is a zip inside another file: unpack it first")


def _text_format(source: Source, encoding: str) -> str:
    head = read_head(source, encoding, _HEAD_CHARACTERS)
    for format_, looks_like in _LOOKS_LIKE.items():
        if looks_like(head):
            return format_
    start = head.lstrip()
    if len(_CONTROL.findall(head)) * 50 > len(head):
        raise _unreadable(source, "is no text")
    for sign, kind in (("<", "HTML or XML"), ("%PDF", "PDF")):
        if start.startswith(sign):
            raise _unreadable(source, f"is {kind}")
    if start.startswith(("{", "[")):
        return "jsonl" if _is_json_lines(start, source, encoding) else "json"
    return "csv"


def _unreadable(source: Source, reason: str) -> ArchiveError:
    return ArchiveError(
        f"{source.name} {reason}, in none of the formats that can be read:"
        f" {', '.join(FORMATS)}; save it as one of them, or leave it out"
    )


def _is_json_lines(start: str, source: Source, encoding: str) -> bool:
    """Whether the first line is an object of its own and more follows, or most lines are objects."""
    lines = [line for line in start.split("\n")[:100] if line.strip()]
    if len(lines) < 2:
        return _has_long_lines(source, encoding)
    objects = [_is_object(line) for line in lines]
    return objects[0] or sum(objects) * 2 >= len(lines)


def _has_long_lines(source: Source, encoding: str) -> bool:
    """Whether the first line, longer than the head, is an object and more follows."""
    with open_text(source, encoding, newline="\n") as text:
        line = "\n"
        while line.isspace():
            line = text.readline(_LONGEST_LINE)
        return _is_object(line) and any(rest.strip() for rest in iter(lambda: text.read(2**16), ""))


def _is_object(line: str) -> bool:
    if not line.lstrip().startswith("{"):
        return False
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
