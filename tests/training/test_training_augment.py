"""Augmentation changes texts, never what is true of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from model.labels import LABELS, SENTIMENTS
from training.augment import augment, join_messages
from training.rows import Row

_LABELS = st.fixed_dictionaries(
    {name: st.sampled_from((0, 1)) for name in LABELS},
    optional={"leaving": st.sampled_from((0, 1))},
)
_ROWS = st.lists(
    st.builds(
        Row,
        text=st.sampled_from(("where is my order", "فين الطلب", "7aga tafha", "x" * 500)),
        labels=_LABELS,
        sentiment=st.sampled_from((*SENTIMENTS, None)),
        language=st.sampled_from(("ar", "en", "arabizi")),
        source=st.sampled_from(("own", "customers_relabelled")),
        group=st.sampled_from(("one", "two")),
        weight=st.sampled_from((0.5, 1.0)),
    ),
    max_size=30,
)


@given(_ROWS, st.floats(0, 1), st.integers(0, 99))
def test_joined_messages_carry_what_either_carries(
    rows: list[Row], share: float, seed: int
) -> None:
    result = join_messages(rows, share, seed)
    assert result[: len(rows)] == rows
    joined = result[len(rows) :]
    assert len(joined) <= round(share * len(rows))
    for row in joined:
        assert any(
            row.text.startswith(first.text)
            and row.text.endswith(second.text)
            and first.language == second.language == row.language
            and first.source == second.source == row.source
            and all(row.labels[n] == max(first.labels[n], second.labels[n]) for n in LABELS)
            and row.sentiment == (first.sentiment if first.sentiment == second.sentiment else None)
            and ("leaving" in row.labels)
            == ("leaving" in first.labels and "leaving" in second.labels)
            and row.weight == min(first.weight, second.weight)
            for first in rows
            for second in rows
        )


def test_messages_without_all_three_labels_and_long_ones_are_not_joined() -> None:
    partly = [Row("bad", {"abuse": 1}) for _ in range(10)]
    long = [Row("x" * 500, dict.fromkeys(LABELS, 0)) for _ in range(10)]
    assert join_messages(partly + long, 1.0, 1) == partly + long


def test_the_same_seed_gives_the_same_texts() -> None:
    rows = [Row(f"where is order {n}", dict.fromkeys(LABELS, 0), language="en") for n in range(40)]
    once = [row.text for row in augment(join_messages(rows, 0.2, 5), 0.5, 0.1, 6)]
    again = [row.text for row in augment(join_messages(rows, 0.2, 5), 0.5, 0.1, 6)]
    assert once == again
    assert len(once) == 48
