from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertModel

from model.preparation import prepare
from tests.training import small
from training.base import Base
from training.vocabulary import (
    add_emoji,
    build_tokenizer,
    count_emoji,
    count_pieces,
    trim,
    unknown_share,
)

FOREIGN = ["▁привет", "日本", "д", "▁مرحبا", "▁Hello", "▁rare", "▁fire"]
TEXTS = ["fire refund money fire", "refund MONEY fire مرحبا", "thanks fire"] * 2


def full_base() -> Base:
    """The small base with pieces of other scripts, an upper-case one and a rare one."""
    torch.manual_seed(3)
    pieces, scores = small.pieces()
    pieces, scores = pieces + FOREIGN, scores + [-4.0] * len(FOREIGN)
    config = small.config(layers=1)
    config.vocab_size = len(pieces)
    return Base(BertModel(config, add_pooling_layer=False).train(False), pieces, scores)


def vectors(base: Base) -> torch.Tensor:
    return base.encoder.embeddings.word_embeddings.weight.data


def trimmed(texts: list[str]) -> tuple[Base, Base, torch.Tensor]:
    """The base before and after its trim to the texts, and the vectors before."""
    base = full_base()
    before = vectors(base).clone()
    return base, trim(base, count_pieces(base, texts)), before


def test_pieces_of_served_scripts_that_occur_are_kept() -> None:
    _, kept, _ = trimmed(TEXTS)
    assert {"▁fire", "▁refund", "▁مرحبا"} <= set(kept.pieces)
    assert not {"▁привет", "日本", "д", "▁Hello", "▁rare"} & set(kept.pieces)
    assert "▁idiot" not in kept.pieces
    assert kept.pieces[:4] == small.SPECIALS
    assert set(small.LETTERS[:26]) <= set(kept.pieces)


def test_a_latin_piece_needs_three_occurrences_and_an_arabic_one_a_single_one() -> None:
    _, kept, _ = trimmed(["refund", "thanks thanks thanks", "مرحبا"])
    assert "▁thanks" in kept.pieces
    assert "▁refund" not in kept.pieces
    assert "▁مرحبا" in kept.pieces


def test_kept_pieces_keep_their_vectors_scores_and_order() -> None:
    base, kept, before = trimmed(TEXTS)
    places = [base.pieces.index(piece) for piece in kept.pieces]
    assert places == sorted(places)
    assert torch.equal(vectors(kept), before[places])
    assert kept.scores == [base.scores[i] for i in places]
    assert kept.encoder.config.vocab_size == len(kept.pieces) == len(vectors(kept))
    assert len(kept.pieces) < len(base.pieces)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.sampled_from(["fire", "refund", "money", "xyz", "12", "شكرا"]), min_size=1, max_size=6
    )
)
def test_text_of_kept_pieces_is_cut_as_before(words: list[str]) -> None:
    base, kept, _ = trimmed(TEXTS)
    text = " ".join(words)
    before = build_tokenizer(base.pieces, base.scores).encode(text).tokens
    lost = set(before) - set(kept.pieces)
    assert lost <= {"▁شكرا"}
    if not lost:
        assert build_tokenizer(kept.pieces, kept.scores).encode(text).tokens == before


def test_the_encoder_reads_a_text_of_kept_pieces_as_before() -> None:
    base = full_base()
    ids = torch.tensor([build_tokenizer(base.pieces, base.scores).encode(TEXTS[0]).ids])
    with torch.inference_mode():
        before = base.encoder(ids).last_hidden_state
        kept = trim(base, count_pieces(base, TEXTS))
        ids = torch.tensor([build_tokenizer(kept.pieces, kept.scores).encode(TEXTS[0]).ids])
        after = kept.encoder(ids).last_hidden_state
    torch.testing.assert_close(after, before)


def test_pieces_are_counted_in_prepared_texts() -> None:
    base = full_base()
    counts = count_pieces(base, ["FIRE", "f.i.r.e", "fiiiire"])
    assert counts[base.pieces.index("▁fire")] == 2
    assert counts[base.pieces.index("<s>")] == 3


def test_a_tokenizer_marks_begin_and_end() -> None:
    encoding = small.tokenizer().encode("refund xy")
    assert encoding.tokens == ["<s>", "▁refund", "▁", "x", "y", "</s>"]


def test_emoji_are_counted_by_character() -> None:
    assert count_emoji(["🤮🤮 bad ☎", "no ! 1 ©"]) == Counter({"🤮": 2, "☎": 1})


def test_new_emoji_get_the_mean_of_their_name() -> None:
    _, kept, _ = trimmed(TEXTS)
    table, tokenizer = vectors(kept).clone(), build_tokenizer(kept.pieces, kept.scores)
    added = add_emoji(kept, Counter({"🔥": 9, "🤮": 5}))
    assert added.pieces == [*kept.pieces, "🔥", "🤮"]
    assert torch.equal(vectors(added)[: len(table)], table)
    fire = table[kept.pieces.index("▁fire")]
    torch.testing.assert_close(vectors(added)[-2], fire)  # its name is "fire"
    name = tokenizer.encode("face with open mouth vomiting", add_special_tokens=False).ids
    torch.testing.assert_close(vectors(added)[-1], table[name].mean(0))
    assert added.encoder.config.vocab_size == len(added.pieces) == len(added.scores)
    made = build_tokenizer(added.pieces, added.scores)
    assert made.encode("late🤮", add_special_tokens=False).tokens[-1] == "🤮"


def test_only_the_most_frequent_unknown_emoji_are_added() -> None:
    _, kept, _ = trimmed(TEXTS)
    once = add_emoji(kept, Counter({"🔥": 1, "🤮": 5, "👀": 3}), most=2)
    assert once.pieces[len(kept.pieces) :] == ["🤮", "👀"]
    again = add_emoji(once, Counter({"🤮": 5}))
    assert again is once


@pytest.mark.parametrize(("text", "share"), [("refund", 0.0), ("日", 0.5), ("refund 日", 1 / 3)])
def test_unknown_share(text: str, share: float) -> None:
    _, kept, _ = trimmed(TEXTS)
    found = unknown_share(build_tokenizer(kept.pieces, kept.scores), [text])
    assert found == pytest.approx(share)


def test_unknown_share_of_nothing_is_zero() -> None:
    assert unknown_share(small.tokenizer(), []) == 0.0
    assert prepare("").text == ""
