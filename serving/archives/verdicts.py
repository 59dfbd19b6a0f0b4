"""What the model said of each text, on disk: a text that comes again is not scored again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from model import Verdict
from serving.archives.row import ArchiveError
from serving.index.matters import pack_vector

Key = bytes
"""Hash of a text."""

_TABLES = """
CREATE TABLE IF NOT EXISTS verdicts
    (text BLOB, model TEXT, verdict TEXT NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (text, model));
CREATE TABLE IF NOT EXISTS finished (output TEXT PRIMARY KEY, record TEXT NOT NULL);
"""
_KEYS_A_QUERY = 5_000


def key_of(text: str) -> Key:
    """16 bytes; two different texts of an archive never share one in practice."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class Verdicts:
    """A file of verdicts, and of the outputs that were finished with them. It holds no text.

    Verdicts are kept as they go over the wire (4 digits), with the vector that the index compares
    (256 signed bytes), so that one that was just made and one that is read again are the same.

    Args:
        model: whose verdicts; those of others stay in the file and are not used.

    Raises:
        ArchiveError: the file is not one of verdicts, or another run uses it.
    """

    def __init__(self, path: Path, model: str) -> None:
        self._model = model
        try:
            self._connection = sqlite3.connect(path, timeout=0)
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(f"BEGIN EXCLUSIVE; {_TABLES} COMMIT")
        except sqlite3.DatabaseError as error:
            raise ArchiveError(_explain(path, error)) from error

    def known(self, keys: Collection[Key]) -> set[Key]:
        """Those of the keys whose text has a verdict."""
        return {key for key, *_ in self._select("text", keys)}

    def get(self, keys: Collection[Key]) -> dict[Key, Verdict]:
        """Verdicts of those of the keys that have one."""
        found = self._select("text, verdict, vector", keys)
        return {key: unpack(verdict, vector) for key, verdict, vector in found}

    def add(self, verdicts: Mapping[Key, Verdict]) -> None:
        """Keep verdicts durably; of a text that has one the first stays."""
        rows = [(key, self._model, *pack(verdict)) for key, verdict in verdicts.items()]
        with self._connection:
            self._connection.executemany("INSERT OR IGNORE INTO verdicts VALUES (?, ?, ?, ?)", rows)

    def finished(self, output: str) -> dict[str, Any] | None:
        """The record of a finished output."""
        select = "SELECT record FROM finished WHERE output = ?"
        found = self._connection.execute(select, (output,)).fetchone()
        return json.loads(found[0]) if found else None

    def finish(self, output: str, record: dict[str, Any]) -> None:
        with self._connection:
            values = output, json.dumps(record)
            self._connection.execute("INSERT OR REPLACE INTO finished VALUES (?, ?)", values)

    def close(self) -> None:
        self._connection.close()

    def _select(self, columns: str, keys: Collection[Key]) -> Iterable[tuple[Any, ...]]:
        listed = list(keys)
        for start in range(0, len(listed), _KEYS_A_QUERY):
            part = listed[start : start + _KEYS_A_QUERY]
            marks = ",".join("?" * len(part))
            select = f"SELECT {columns} FROM verdicts WHERE model = ? AND text IN ({marks})"
            yield from self._connection.execute(select, (self._model, *part))


def _explain(path: Path, error: sqlite3.DatabaseError) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without the extended part
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"{path} is in use by another `brandtox score`: wait for it, or give --scores FILE"
    if code == sqlite3.SQLITE_NOTADB:
        return f"{path} is no file of scores: move it away, or give --scores FILE"
    return f"{path} cannot be used: {error}"


def pack(verdict: Verdict) -> tuple[str, bytes]:
    """A verdict as it is kept: JSON, and the vector."""
    return json.dumps(verdict.as_dict(), ensure_ascii=False), pack_vector(verdict.vector)


def unpack(verdict: str, vector: bytes) -> Verdict:
    """A verdict that was kept."""
    fields = json.loads(verdict)
    fields["labels"] = tuple(fields["labels"])
    values = np.frombuffer(vector, np.int8).astype(np.float32) / np.float32(127)
    return Verdict(**fields, vector=values)
