"""Long texts as windows of tokens, and one result of a text from those of its windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.labels import YES_NO

BEGIN, PAD, END = 0, 1, 2


@dataclass(frozen=True)
class Windows:
    """Token ids of each window of one text, with begin and end marks."""

    ids: list[list[int]]
    truncated: bool


def cut_windows(ids: Sequence[int], size: int, overlap: int, most: int) -> Windows:
    """Cut a text's ids (without marks) into at most `most` windows of at most `size` tokens.

    Neighbours share `overlap` tokens. The last window is full, reaching back as far as it needs.
    """
    room = size - 2
    if len(ids) <= room:
        return Windows([[BEGIN, *ids, END]], truncated=False)
    starts = [*range(0, len(ids) - room, room - overlap), len(ids) - room]
    kept = starts[:most]
    windows = [[BEGIN, *ids[start : start + room], END] for start in kept]
    return Windows(windows, truncated=len(starts) > most)


def plan_batches(lengths: Sequence[int], token_budget: int) -> list[list[int]]:
    """Indices of each batch: sorted by length, at most `token_budget` padded tokens, at least one."""
    batches: list[list[int]] = []
    current: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if current and lengths[index] * (len(current) + 1) > token_budget:
            batches.append(current)
            current = []
        current.append(index)
    return [*batches, current] if current else batches


def pad(rows: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ids and mask [rows, longest]."""
    longest = max(map(len, rows))
    ids = np.full((len(rows), longest), PAD, np.int64)
    mask = np.zeros((len(rows), longest), np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return ids, mask


def merge_probabilities(
    probabilities: NDArray[np.float32], tokens: Sequence[int]
) -> NDArray[np.float32]:
    """[windows, 16] to [16]: the highest of each yes/no output (one phrase is enough), and the mean
    of the sentiment by length.
    """
    merged = np.average(probabilities, axis=0, weights=tokens)
    merged[: len(YES_NO)] = probabilities[:, : len(YES_NO)].max(axis=0)
    return np.asarray(merged, np.float32)


def merge_vectors(vectors: NDArray[np.float32], tokens: Sequence[int]) -> NDArray[np.float32]:
    """[windows, 256] to an L2-normalised [256]."""
    mean = np.average(vectors, axis=0, weights=tokens)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)
