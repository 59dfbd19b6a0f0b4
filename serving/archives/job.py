"""The work on one output: what it is, which chunks are done, and how it ends.

    OUT.work/lock      held by the process that works; its death lets go
    OUT.work/job.json  what the job is: inputs, options, model
    OUT.work/chunks/   a file for each scored chunk, without gaps

Files appear under their names when they are whole and on the disk. So a killed job is begun again at
its first missing chunk, and its end as a whole: each step of it can be repeated.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from model.files import sync
from serving.archives.row import ArchiveError

_MOST_NAMES = 5

Write = Callable[[Path], object]
"""Writes a whole file."""

Identity = dict[str, Any]
"""What determines an output, as JSON values by name."""


def beside(output: Path, name: str) -> Path:
    """`OUT.<name>`, without OUT's suffix: scores.csv has scores.customers.csv."""
    return output.with_name(f"{output.stem}.{name}")


class Job:
    """An output under way, in its work folder.

    Use it inside `lock()`.

    Args:
        output: tells that the job is done.
        others: files that are written besides.
    """

    def __init__(self, output: Path, identity: Identity, others: Sequence[Path] = ()) -> None:
        self.output = output
        self._others = others
        self.identity = identity
        self.folder = work_folder(output)
        self._chunks = self.folder / "chunks"
        self._about = self.folder / "job.json"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes out; a work folder that holds no job goes at the end.

        Raises:
            ArchiveError: another process works on this output.
        """
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise self._taken() from error
            if not os.fstat(file.fileno()).st_nlink:  # its holder has removed it just now
                raise self._taken()
            try:
                yield
            finally:
                if not self._about.exists():
                    shutil.rmtree(self.folder)

    def _taken(self) -> ArchiveError:
        return ArchiveError(
            f"another `brandtox score` is writing {self.output}: wait for it, or give another --output"
        )

    def begin(self, overwrite: bool, restart: bool, finished: Identity | None = None) -> None:
        """Go on with the job, or begin it.

        Args:
            overwrite: an output that is there may be replaced, at the end.
            restart: what was done of this or another job is given up.
            finished: the job that has made the output, if that is known.

        Raises:
            ArchiveError: the work folder holds another job, or a file to write is there.
        """
        begun = self.begun()
        if begun is None or restart:
            there = [path for path in (self.output, *self._others) if path.exists()]
            if there and not overwrite:
                raise _exists(there[0], different(finished, self.identity) if finished else "")
            self.give_up()
            self._chunks.mkdir()
            put(self._about, lambda part: part.write_text(json.dumps(self.identity)))
        elif differences := different(begun, self.identity):
            raise unfinished(self.folder, differences)

    def begun(self) -> Identity | None:
        """What the work folder holds the work of."""
        try:
            return dict(json.loads(self._about.read_text()))
        except FileNotFoundError:
            return None

    def chunk_files(self) -> list[Path]:
        """Of the chunks that are done, in order."""
        return sorted(self._chunks.glob("*.parquet"))

    def save(self, number: int, chunk: pa.Table) -> None:
        """The chunk is done."""
        path = self._chunks / f"{number:08}.parquet"
        put(path, lambda part: pq.write_table(chunk, part, compression="zstd"))

    def place(self, files: Mapping[Path, Write]) -> None:
        """Write files whole, each beside its place, then put all in place; the last one tells that
        the others are there.
        """
        try:
            for path, write in files.items():
                _write_part(path, write)
            for path in files:
                _place(path)
        except BaseException:
            for path in files:
                _part(path).unlink(missing_ok=True)
            raise

    def give_up(self) -> None:
        """There is no job any more: first its description goes, since chunks without it count for
        nothing.
        """
        self._about.unlink(missing_ok=True)
        sync(self.folder)
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != "lock":
                path.unlink()


def work_folder(output: Path) -> Path:
    return output.with_name(f"{output.name}.work")


def different(one: Identity, other: Identity) -> str:
    """Names of what differs."""
    names = [name for name in one | other if one.get(name) != other.get(name)]
    return ", ".join(names[:_MOST_NAMES]) + " …" * (len(names) > _MOST_NAMES)


def unfinished(folder: Path | str, differences: str) -> ArchiveError:
    """The work folder is of another job."""
    return ArchiveError(
        f"{folder} holds the unfinished work of another run ({differences}): repeat that run's command,"
        " with the version and model that began it, to finish it, or give --restart to begin anew"
    )


def _exists(path: Path, differences: str) -> ArchiveError:
    made = f", made with another version, model, input or settings ({differences})"
    return ArchiveError(
        f"{path} exists{made if differences else ''}: give another name, or --overwrite (texts that are"
        " scored already are not scored again)"
    )


def put(path: Path, write: Write) -> None:
    """Write a file that appears whole."""
    _write_part(path, write)
    _place(path)


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _write_part(path: Path, write: Write) -> None:
    part = _part(path)
    try:
        write(part)
        sync(part)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _place(path: Path) -> None:
    _part(path).replace(path)
    sync(path.parent)
