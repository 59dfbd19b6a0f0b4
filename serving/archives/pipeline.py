"""Chunks through the model: one is read and tokenised while the one before it is scored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from model import Verdict
from model.classifier import Encoded
from serving.archives.chunks import Chunk, Entry, cut
from serving.archives.meaning import Meaning
from serving.archives.row import Archive, Row
from serving.archives.verdicts import Key, Verdicts


class Judge(Protocol):
    """What scoring archives needs of a `model.Classifier`."""

    def encode(self, texts: Sequence[str]) -> Encoded: ...

    def judge(self, encoded: Encoded) -> list[Verdict]: ...


@dataclass(frozen=True)
class Reading:
    """An archive and how to understand it."""

    archive: Archive
    meaning: Meaning


def read_chunks(
    readings: Sequence[Reading], done: int, most_characters: int
) -> Iterator[Chunk | int]:
    """All chunks, in order; of the first `done` ones only their numbers of rows.

    A message longer than `most_characters` is an error of its row.
    """
    rows = ((reading, row) for reading in readings for row in reading.archive.rows())
    first_row = 1
    for number, part in enumerate(cut(rows)):
        if number < done:
            yield len(part)
        else:
            entries = [_entry(reading, row, most_characters) for reading, row in part]
            yield Chunk(number, first_row, entries)
        first_row += len(part)


def _entry(reading: Reading, row: Row, most_characters: int) -> Entry:
    name = reading.archive.source.name
    found = reading.meaning.message(row)
    if found is None:
        return Entry(name, row)
    if isinstance(found, str):
        return Entry(name, row, error=found)
    if (size := len(found.text)) > most_characters:
        error = f"the text has {size:,} characters, at most {most_characters:,} are read"
        return Entry(name, row, error=error)
    return Entry(name, row, found)


def score_chunks(
    chunks: Iterable[Chunk], classifier: Judge, verdicts: Verdicts
) -> Iterator[tuple[Chunk, dict[Key, Verdict]]]:
    """Each chunk with the verdicts of its texts, which are then in the file of verdicts.

    A batch holds new texts of one chunk only: those that no earlier chunk has, and that were not in
    the file. What shares a batch thus depends on the archive and the file, never on time, nor on where
    an earlier run was killed.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="brandtox-chunk") as model:
        waiting: _Scoring | None = None
        for chunk in chunks:
            known = verdicts.known(chunk.texts) | (waiting.new.keys() if waiting else set())
            new = {key: text for key, text in chunk.texts.items() if key not in known}
            encoded = classifier.encode(list(new.values()))
            scoring = _Scoring(chunk, new, model.submit(classifier.judge, encoded))
            if waiting:
                yield waiting.finish(verdicts)
            waiting = scoring
        if waiting:
            yield waiting.finish(verdicts)


@dataclass(frozen=True)
class _Scoring:
    """A chunk whose new texts are in the model."""

    chunk: Chunk
    new: dict[Key, str]
    judged: Future[list[Verdict]]

    def finish(self, verdicts: Verdicts) -> tuple[Chunk, dict[Key, Verdict]]:
        verdicts.add(dict(zip(self.new, self.judged.result(), strict=True)))
        return self.chunk, verdicts.get(self.chunk.texts)
