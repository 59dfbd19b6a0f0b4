"""How far a run is, for whoever waits for it: rows, rate, time left, rows flagged so far."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TextIO

import rich.progress
from rich.console import Console

from serving.archives.parquet import ParquetArchive
from serving.archives.row import Archive, ArchiveError

_EVERY_SECONDS = 10.0
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


class Progress:
    """A bar on a terminal, else a line every ten seconds. Silent when `stream` is None."""

    def __init__(self, stream: TextIO | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._began = self._told = clock()
        self._done = self._skipped = self._flagged = 0
        self._closed = False
        self.total: int | None = None
        self._bar: rich.progress.Progress | None = None
        if stream is not None and stream.isatty():
            self._bar = rich.progress.Progress(
                rich.progress.BarColumn(),
                rich.progress.TextColumn("{task.description}", markup=False),
                console=Console(file=stream),
                transient=True,
            )
            self._bar.add_task("reading", total=None)

    def __enter__(self) -> Progress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar from the screen, and stop counting."""
        self._closed = True
        if self._bar:
            self._bar.stop()

    def count(self, archives: Sequence[Archive]) -> None:
        """Find out the number of rows meanwhile: reading is quick beside scoring."""
        if self._stream is not None:
            threading.Thread(target=self._count, args=(archives,), daemon=True).start()

    def _count(self, archives: Sequence[Archive]) -> None:
        rows = 0
        with suppress(ArchiveError, OSError):  # the run itself will meet and tell it
            for archive in archives:
                if isinstance(archive, ParquetArchive):
                    rows += archive.num_rows
                    continue
                for _ in archive.rows():
                    rows += 1
                    if self._closed:
                        return
            self.total = rows

    def skip(self, rows: int) -> None:
        """Rows were done by an earlier run."""
        self._done += rows
        self._skipped += rows
        self._show()

    def add(self, rows: int, flagged: int) -> None:
        """Rows are done now; so many of them have a label."""
        self._done += rows
        self._flagged += flagged
        self._show()

    def describe(self) -> str:
        seconds = self._clock() - self._began
        rate = (self._done - self._skipped) / seconds if seconds else 0.0
        total = self.total if self.total is not None and self.total >= self._done else None
        parts = [f"{self._done:,} rows" if total is None else f"{self._done:,} of {total:,} rows"]
        if self._skipped:
            parts.append(f"{self._skipped:,} by an earlier run")
        if rate:
            parts.append(f"{rate:,.0f} a second")
        if rate and total is not None:
            parts.append(f"about {duration((total - self._done) / rate)} left")
        return ", ".join([*parts, f"{self._flagged:,} flagged"])

    def _show(self) -> None:
        if self._bar:
            self._bar.update(
                rich.progress.TaskID(0),
                completed=self._done,
                total=self.total,
                description=self.describe(),
            )
        elif self._stream and self._clock() - self._told >= _EVERY_SECONDS:
            self._told = self._clock()
            print(self.describe(), file=self._stream, flush=True)


def duration(seconds: float) -> str:
    """In its two largest units."""
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} min"
    if seconds < _DAY:
        return f"{seconds // _HOUR:.0f} h {seconds % _HOUR // _MINUTE:.0f} min"
    return f"{seconds // _DAY:.0f} days {seconds % _DAY // _HOUR:.0f} h"
