"""The load of a component: loads add up, and both figures are 100 (1 - exp(-sum of loads))."""

from __future__ import annotations

import math

_MOST = 0.999
"""A component alone makes no more of a figure than this."""


def load(share: float) -> float:
    """The load, 0 and more, of a component that alone would make `share` (0 to 1) of a figure."""
    return -math.log1p(-min(share, _MOST))
