"""Another model for tests: what it says, and `python -m tests.rescorers URL STEP N`, which judges a
history anew, or applies or undoes that, and is killed in its n-th transaction.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from sqlalchemy import Connection

from model import Verdict
from serving import rescoring
from serving.store.database import Database
from tests.helpers import NOW
from tests.stores import spoken

BATCH = 3
_OTHERWISE = {"insult": "calm", "thanks": "insult", "scope": "threat"}


class Other:
    """Takes some words for others."""

    def __init__(self, version: str = "other") -> None:
        self.version = version
        self.read = 0

    def score(self, texts: Sequence[str]) -> list[Verdict]:
        self.read += len(texts)
        return [self.says(text) for text in texts]

    def says(self, text: str) -> Verdict:
        if "broken" in text:
            raise ValueError(text)
        words = " ".join(_OTHERWISE.get(word, word) for word in text.split())
        return replace(spoken(words), model=self.version, vector=spoken(text).vector)


class Mortal(Database):
    """Dies in the n-th transaction that writes, just before it is durable."""

    def __init__(self, url: str, lives: int) -> None:
        super().__init__(url)
        self._lives = lives

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        self._lives -= 1
        with super().begin() as connection:
            yield connection
            if self._lives == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def main(url: str, step: str, lives: int) -> None:
    rescoring._BATCH = BATCH
    database = Mortal(url, lives)
    if step == "score":
        rescoring.score_history(database, Other(), {})
    elif step == "apply":
        rescoring.apply(database, "other", "Amal", NOW)
    else:
        rescoring.undo(database, "Amal", NOW)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
