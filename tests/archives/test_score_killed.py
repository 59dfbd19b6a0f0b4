"""`brandtox score`, killed wherever it can be: the same command ends with the same bytes."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.archives.conftest import WriteCsv, invented

_ROWS = 200
_KILLED = -signal.SIGKILL
_MOST_CHANGES = 200


class Runs:
    """Runs `brandtox` in processes of their own."""

    def __init__(self, model: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.archives.killed"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
            env=os.environ | {"BRANDTOX_MODEL": str(model), "OPENBLAS_NUM_THREADS": "1"},
        )

    def run(self, arguments: list[str], changes: int = 0, seconds: float | None = None) -> int:
        """The exit code, or minus the signal, of a run that is killed after so many changes to the
        file system, or so many seconds.
        """
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([arguments, changes]) + "\n")
        number = int(self._process.stdout.readline())
        if seconds is not None:
            time.sleep(seconds)
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        return os.waitstatus_to_exitcode(int(self._process.stdout.readline()))

    def end(self) -> None:
        with self._process:
            self._process.kill()


@pytest.fixture(scope="module")
def runs(model_folder: Path) -> Iterator[Runs]:
    running = Runs(model_folder)
    yield running
    running.end()


def command(source: Path, folder: Path, suffix: str) -> list[str]:
    folder.mkdir(exist_ok=True)
    output, report = folder / f"out{suffix}", folder / "report.html"
    return ["score", str(source), "-o", str(output), "--report", str(report), "--quiet"]


def contents(folder: Path) -> dict[str, object]:
    """What is in each file; of the file of scores its rows (pages of SQLite are as they come)."""
    found: dict[str, object] = {p.name: p.read_bytes() for p in folder.iterdir()}
    with closing(sqlite3.connect(folder / "out.scores")) as scores:
        found["out.scores"] = sorted(scores.execute("SELECT * FROM verdicts"))
    return found


def is_whole(folder: Path, expected: dict[str, object]) -> bool:
    """No file under its final name is ever a part of one."""
    names = expected.keys() - {"out.scores"}
    return all(
        path.read_bytes() == expected[path.name] for path in folder.iterdir() if path.name in names
    )


def undisturbed(runs: Runs, source: Path, suffix: str) -> dict[str, object]:
    folder = source.parent / "undisturbed"
    assert runs.run(command(source, folder, suffix)) == 1  # some rows have no text
    found = contents(folder)
    assert len(found) == 4
    return found


@pytest.mark.parametrize("suffix", [".csv"])
def test_a_run_killed_at_its_steps_ends_the_same(
    runs: Runs, write_csv: WriteCsv, suffix: str
) -> None:
    die_at_each_step(runs, write_csv(invented(_ROWS)), suffix, stride=8)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_a_run_killed_at_every_step_ends_the_same(
    runs: Runs, write_csv: WriteCsv, suffix: str
) -> None:
    die_at_each_step(runs, write_csv(invented(_ROWS)), suffix, stride=1)


def die_at_each_step(runs: Runs, source: Path, suffix: str, stride: int) -> None:
    """Begin anew, die at one step, and run again to the end, for one step after the other."""
    expected = undisturbed(runs, source, suffix)
    for changes in range(1, _MOST_CHANGES, stride):
        folder = source.parent / f"killed-{changes}"
        arguments = command(source, folder, suffix)
        if runs.run(arguments, changes) != _KILLED:
            assert changes > 10
            return
        assert is_whole(folder, expected)
        assert runs.run(arguments) in (0, 1)  # 0: it was finished
        assert contents(folder) == expected
    raise AssertionError("it never came to its end")


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_a_run_killed_twenty_times_ends_the_same(
    runs: Runs, write_csv: WriteCsv, suffix: str
) -> None:
    source = write_csv(invented(1_000))
    expected = undisturbed(runs, source, suffix)
    folder = source.parent / "killed"
    arguments = command(source, folder, suffix)
    chance = random.Random(20)
    kills = 0
    while kills < 20:
        code = runs.run(arguments, seconds=chance.uniform(0.02, 0.6))
        assert is_whole(folder, expected)
        kills += code == _KILLED
        if code != _KILLED:  # it was quicker: again from the beginning
            assert contents(folder) == expected
            for path in folder.iterdir():
                path.unlink()
    assert runs.run(arguments) in (0, 1)
    assert contents(folder) == expected
