"""`python -m tests.killed_registry`: changes a models folder, and dies on the way.

Each line on standard input is a JSON list: the folder, promote, rollback or add, what to promote or to
add, and before which change to the file system (a file opened for writing, renamed or removed, a folder
made or removed, a wait for the disk) the process is killed. It prints the process's status.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from model.registry import Registry

_CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree", "fcntl.flock"}
_WRITING = os.O_WRONLY | os.O_RDWR


def die_before(change: int) -> None:
    left = change

    def count() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _CHANGES or (event == "open" and arguments[2] & _WRITING):
            count()

    def sync(number: Any) -> None:
        count()
        fsync(number)

    fsync, os.fsync = os.fsync, sync  # type: ignore[assignment] # no event tells of it
    sys.addaudithook(hear)


def run(folder: str, step: str, argument: str, lives: int) -> None:
    registry = Registry(Path(folder))
    die_before(lives)
    if step == "promote":
        registry.promote(argument, "Amal")
    elif step == "rollback":
        registry.rollback("Amal")
    else:
        registry.add(Path(argument))


def main() -> None:
    for line in sys.stdin:
        number = os.fork()
        if not number:
            run(*json.loads(line))
            os._exit(0)
        print(os.waitpid(number, 0)[1], flush=True)


if __name__ == "__main__":
    main()
