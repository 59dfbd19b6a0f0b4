import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.training import small
from training import vectors as vectors_module
from training.rows import Row
from training.vectors import complaint_pairs, fit_projection, precision_at_recall

WIDTH = 2 * small.WIDTH


def groups_in_noise(groups: int, members: int, seed: int = 0) -> tuple[list[Row], Tensor]:
    """Rows of situations; four dimensions tell the situation, all sixty others are noise."""
    chance = torch.Generator().manual_seed(seed)
    centres = torch.randn(groups, 4, generator=chance).repeat_interleave(members, 0)
    noise = 0.5 * torch.randn(groups * members, WIDTH - 4, generator=chance)
    rows = [small.row("x", group=str(i // members)) for i in range(groups * members)]
    return rows, torch.cat([centres, noise], dim=1)


def separation(rows: list[Row], vectors: Tensor) -> float:
    """Mean similarity within situations less that between them."""
    similar = vectors @ vectors.T
    groups = np.array([row.group for row in rows])
    same = torch.from_numpy(groups[:, None] == groups)
    within = same & ~torch.eye(len(rows), dtype=torch.bool)
    return float(similar[within].mean() - similar[~same].mean())


def test_the_projection_brings_a_situation_together() -> None:
    rows, features = groups_in_noise(60, 4)
    unseen_rows, unseen = groups_in_noise(30, 4, seed=9)
    network = small.network()
    with torch.inference_mode():
        before = separation(unseen_rows, network.vectors(unseen))
    fit_projection(network, rows, features)
    with torch.inference_mode():
        after = separation(unseen_rows, network.vectors(unseen))
    assert after > before + 0.2


def test_the_projection_follows_from_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors_module, "_STEPS", 5)
    rows, features = groups_in_noise(200, 2)
    networks = [small.network() for _ in range(3)]
    for network, seed in zip(networks, (7, 7, 8), strict=True):
        fit_projection(network, rows, features, seed)
    weights = [network.project.weight for network in networks]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_the_projection_alone_is_changed() -> None:
    rows, features = groups_in_noise(5, 2)
    network = small.network()
    fit_projection(network, rows, features)
    before = small.network().state_dict()
    changed = [
        n for n, tensor in network.state_dict().items() if not torch.equal(tensor, before[n])
    ]
    assert changed == ["project.weight"]


def test_without_situations_the_projection_stays() -> None:
    rows, features = groups_in_noise(20, 1)
    network = small.network()
    fit_projection(network, rows, features)
    assert torch.equal(network.project.weight, small.network().project.weight)


def test_precision_at_recall_by_hand() -> None:
    same = np.array([1, 1, 0, 1, 0, 1, 1, 0], bool)
    similarity = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])
    assert precision_at_recall(same, similarity, 0.4) == 1.0
    assert precision_at_recall(same, similarity, 0.6) == 3 / 4
    assert precision_at_recall(same, similarity, 1.0) == 5 / 7


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=1),
    st.floats(0.05, 1.0),
)
def test_precision_is_where_at_least_the_recall_is_found_and_no_more_than_needed(
    rows: list[tuple[bool, int]], recall: float
) -> None:
    same = np.array([True, *(s for s, _ in rows)])
    similarity = np.array([5.0, *(float(v) for _, v in rows)])
    allowed = []
    for threshold in np.unique(similarity[same]):
        found = similarity >= threshold
        if (found & same).sum() >= recall * same.sum() - 1e-9:
            allowed.append((threshold, float(same[found].mean())))
    assert precision_at_recall(same, similarity, recall) == max(allowed)[1]


def test_pairs_are_of_one_situation_in_other_words_or_of_others_in_the_industry() -> None:
    rows = [
        small.row("the parcel never came", group="a"),
        small.row("where is my order", group="a"),
        small.row("where is my order!", group="a"),
        *(small.row(f"other matter {chr(97 + i)}", group=f"b{i}") for i in range(12)),
        *(small.row(f"bank {chr(97 + i)}", group=f"c{i}", industry="bank") for i in range(12)),
    ]
    pairs = list(complaint_pairs(rows))
    assert [(a, b) for a, b, same in pairs if same] == [(0, 1), (0, 2)]
    different = [(a, b) for a, b, same in pairs if not same]
    assert [a for a, _ in different] == [0, 0]
    assert {rows[b].industry for _, b in different} == {"shop"}
    assert all(rows[b].group != "a" for _, b in different)
    assert pairs == list(complaint_pairs(rows))


def test_without_other_situations_there_are_no_pairs() -> None:
    rows = [small.row(text, group="a") for text in ("parcel never came", "where is my order")]
    bank = small.row("card lost", group="b", industry="bank")
    assert list(complaint_pairs([*rows, bank])) == []


def test_vectors_have_length_one() -> None:
    _, features = groups_in_noise(5, 1)
    norms = small.network().vectors(features).norm(dim=-1)
    assert all(math.isclose(norm, 1, rel_tol=1e-5) for norm in norms.tolist())
