"""`python -m tests.killed URL PORT BEGAN`: starts services that are killed.

For each line on standard input it forks one service and prints its number: a fork starts in a tenth of
the time that loading the libraries takes. The services' clock began at `BEGAN` and runs so fast that
leases of the dead lapse in tenths of a second.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence

import uvicorn

from model import Verdict
from serving.app import create_app
from serving.settings import Settings
from tests.helpers import NOW, FakeScorer
from tests.stores import spoken

SPEED = 600.0


class SlowScorer(FakeScorer):
    """Takes some milliseconds, so that many die while it scores."""

    def score(self, texts: Sequence[str]) -> list[Verdict]:
        time.sleep(0.004)
        return [spoken(text) for text in texts]


def serve(url: str, port: int, began: float) -> None:
    def clock() -> float:
        return NOW + (time.time() - began) * SPEED

    settings = Settings(database_url=url, api_keys="off")  # type: ignore[arg-type]
    app = create_app(settings, SlowScorer(), clock)
    uvicorn.run(app, port=port, log_level="error")


def main(url: str, port: int, began: float) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are not waited for
    for _ in sys.stdin:
        number = os.fork()
        if not number:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                serve(url, port, began)
            finally:
                os._exit(1)
        print(number, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
