"""Figures that are dear to compute, kept for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

_DEAR_SECONDS = 0.25


class Kept:
    """Figures that are dear on a large store, kept for a hundred times as long as they took, so that
    they take 1 % of a core at most. One thread computes them anew; the others get the previous ones.
    Those of a small store are always computed afresh.
    """

    def __init__(self) -> None:
        self._computing = threading.Lock()
        self._until = 0.0  # zero: there are none, or none that were dear
        self._figures: dict[str, Any] = {}

    def get(self, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        if time.monotonic() < self._until:
            return self._figures
        if not self._computing.acquire(blocking=not self._until):
            return self._figures
        try:
            began = time.monotonic()
            if began >= self._until:
                self._figures = compute()
                took = time.monotonic() - began
                self._until = began + 100 * took if took > _DEAR_SECONDS else 0.0
            return self._figures
        finally:
            self._computing.release()
