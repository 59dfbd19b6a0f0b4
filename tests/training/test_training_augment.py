"""Augmentation changes texts, never what is true of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from model.labels import LABELS, SENTIMENTS
from training.augment import augment, join_messages
from training.rows import Row

_LABELS = st.fixed_dictionaries(
    {name: st.sampled_from((0, 1)) for name in LABELS},
    optional={"leaving": st.sampled_from((0, 1)), "physical": st.sampled_from((0, 1))},
)
_DRAWN = st.lists(
    st.builds(
        Row,
        text=st.sampled_from(("where is my order", "فين الطلب؟", "7aga tafha.")),
        labels=_LABELS,
        sentiment=st.sampled_from((*SENTIMENTS, None)),
        language=st.sampled_from(("ar", "en")),
        dialect=st.sampled_from(("egy", None)),
        source=st.sampled_from(("own", "customers_relabelled")),
        origin=st.sampled_from(("one", "another")),
        group=st.sampled_from(("one", "two")),
        weight=st.sampled_from((0.5, 1.0)),
    ),
    min_size=1,
    max_size=40,
)
_ROWS = _DRAWN.map(
    lambda rows: [replace(r, text=f"{i} {r.text}", id=f"r{i}") for i, r in enumerate(rows)]
)


@given(_ROWS, st.floats(0, 1), st.integers(0, 99))
def test_joined_messages_carry_what_either_carries(
    rows: list[Row], share: float, seed: int
) -> None:
    result = join_messages(rows, share, seed)
    assert result[: len(rows)] == rows
    joined = result[len(rows) :]
    kinds = Counter((row.source, row.origin, row.language, row.dialect) for row in rows)
    pairs = sum(count // 2 for count in kinds.values())
    assert len(joined) == min(pairs, round(share * len(rows)))
    used = [parts_of(row, rows) for row in joined]
    assert len({row.id for parts in used for row in parts}) == 2 * len(joined)
    for row, (first, second) in zip(joined, used, strict=True):
        for field in ("source", "origin", "language", "dialect"):
            assert getattr(row, field) == getattr(first, field) == getattr(second, field)
        both = first.labels.keys() & second.labels.keys()
        assert row.labels == {n: max(first.labels[n], second.labels[n]) for n in both}
        assert row.sentiment == (first.sentiment if first.sentiment == second.sentiment else None)
        assert row.weight == min(first.weight, second.weight)
        assert (row.id, row.group) == ("", "")


def parts_of(joined: Row, rows: list[Row]) -> tuple[Row, Row]:
    """The two rows of a joined one: their texts begin with their number."""
    first = next(row for row in rows if joined.text.startswith(row.text))
    rest = joined.text.removeprefix(first.text)
    between = " " if rest.startswith(" ") else ". "
    return first, next(row for row in rows if rest == between + row.text)


def test_a_mark_stands_between_joined_messages_only_after_a_letter() -> None:
    fields = {"labels": dict.fromkeys(LABELS, 0), "language": "en"}
    plain = [Row(f"where is order {n}", **fields) for n in range(100)]  # type: ignore[arg-type]
    marked = [Row(f"order {n}, where is it?", **fields) for n in range(100)]  # type: ignore[arg-type]
    assert any(". where" in row.text for row in join_messages(plain, 1.0, 1))
    assert any("0 where" in row.text for row in join_messages(plain, 1.0, 1))
    assert not any("?." in row.text for row in join_messages(marked, 1.0, 1))


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
