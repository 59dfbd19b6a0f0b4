"""Segmentations drawn at random: of the same text, repeatable, and only of as many texts as asked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.training import small
from training.batches import encode
from training.segmentation import encode_sampled

TEXTS = [" ".join(small.WORDS[i : i + 6]) for i in range(len(small.WORDS) - 6)] * 10
LONG = 64


def spelled(ids: list[int]) -> str:
    tokenizer = small.tokenizer()
    return "".join(str(tokenizer.id_to_token(i)) for i in ids)


def test_at_share_zero_every_text_has_its_likeliest_segmentation() -> None:
    tokenizer = small.tokenizer()
    assert encode_sampled(tokenizer, TEXTS, LONG, 0.0, 1) == encode(tokenizer, TEXTS, LONG)


def test_about_the_share_of_texts_is_segmented_otherwise() -> None:
    tokenizer = small.tokenizer()
    usual = encode(tokenizer, TEXTS, LONG)
    for share in (0.3, 0.9):
        sampled = encode_sampled(tokenizer, TEXTS, LONG, share, 1)
        changed = sum(a != b for a, b in zip(usual, sampled, strict=True)) / len(TEXTS)
        assert share / 3 < changed < share + 0.1


def test_it_follows_from_the_seed() -> None:
    tokenizer = small.tokenizer()
    one, same, other = (encode_sampled(tokenizer, TEXTS, LONG, 0.5, seed) for seed in (1, 1, 2))
    assert one == same
    assert one != other


@given(st.lists(st.sampled_from(small.WORDS), max_size=12), st.integers(0, 9))
def test_the_pieces_still_spell_the_text(words: list[str], seed: int) -> None:
    tokenizer = small.tokenizer()
    text = " ".join(words)
    (usual,) = encode(tokenizer, [text], 512)
    (sampled,) = encode_sampled(tokenizer, [text], 512, 1.0, seed)
    assert spelled(sampled) == spelled(usual)
    assert len(sampled) >= len(usual)


def test_a_long_text_is_cut_with_its_end_mark() -> None:
    tokenizer = small.tokenizer()
    (ids,) = encode_sampled(tokenizer, [" ".join(small.WORDS)], 8, 1.0, 3)
    assert len(ids) == 8
    assert spelled(ids[-1:]) == "</s>"
