"""`python -m tests.archives.killed`: runs `brandtox` again and again, so that it can be killed.

Each line on standard input is a JSON list: the arguments, and how many changes to the file system (files
renamed or removed, folders made or removed) the run lives to see; 0 for all. For each it prints the
number of the process, and when it has ended its status. A fork starts in a fraction of the time that
loading the libraries takes. Chunks are small here.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

import serving.archives.session  # noqa: F401 (loads what every run needs)
from serving.archives import chunks
from serving.cli import main as brandtox

ROWS = 40
_CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir"}


def die_after(changes: int) -> None:
    left = changes

    def count(event: str, _: tuple[Any, ...]) -> None:
        nonlocal left
        if event in _CHANGES:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def run(arguments: list[str], changes: int) -> None:
    chunks.ROWS = ROWS
    if changes:
        die_after(changes)
    try:
        brandtox(arguments)
    except SystemExit as end:
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else 1)


def main() -> None:
    for line in sys.stdin:
        number = os.fork()
        if not number:
            try:
                run(*json.loads(line))
            finally:
                os._exit(99)
        print(number, flush=True)
        print(os.waitpid(number, 0)[1], flush=True)


if __name__ == "__main__":
    main()
