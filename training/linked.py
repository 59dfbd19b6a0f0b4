"""Which items belong together because a chain of shared marks connects them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components


def linked(marks: Sequence[Iterable[Hashable]]) -> NDArray[np.intp]:
    """A number for each item, the same for items with a mark in common, directly or over others."""
    count = len(marks)
    numbers: dict[Hashable, int] = {}
    pairs = [
        (i, numbers.setdefault(mark, count + len(numbers)))
        for i, own in enumerate(marks)
        for mark in own
    ]
    rows, columns = np.array(pairs, np.intp).reshape(-1, 2).T
    size = count + len(numbers)
    graph = coo_matrix((np.ones(len(pairs)), (rows, columns)), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1][:count], np.intp)
