"""Figures of the report that a stub with hand-made verdicts decides."""

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import numpy as np
import pytest

from model import Classifier, Verdict
from tests.helpers import FakeScorer, verdict
from tests.training import small
from training.data import Data
from training.evaluate import _corpora_report, _review, _vector_report
from training.rows import Row
from training.suites import identity_suite


def stub(judge: Callable[[str], Verdict]) -> Classifier:
    return cast(Classifier, FakeScorer(judge))


def labelled(*labels: str, abuse: float = 0.0, needs_review: bool = False) -> Verdict:
    plain = verdict()
    scores = plain.scores | {"abuse": abuse}
    return replace(plain, labels=labels, scores=scores, needs_review=needs_review)


# corpora


def scored_rows(fair: float, abusive: float) -> list[Row]:
    """Ten rows of a corpus whose texts are the scores that `reads_scores` gives them."""
    return [small.row(str(fair), source="olid")] * 5 + [
        small.row(str(abusive), "abuse", source="olid")
    ] * 5


def reads_scores(text: str) -> Verdict:
    return labelled(abuse=float(text))


@pytest.mark.parametrize(
    ("dev", "test", "f1"),
    [
        pytest.param((0.305, 0.605), (0.505, 0.805), 1 / 3, id="dev's threshold is too low"),
        pytest.param((0.705, 0.905), (0.305, 0.605), 1 / 3, id="dev's threshold is too high"),
        pytest.param((0.505, 0.805), (0.305, 0.605), 1.0, id="dev's threshold fits"),
    ],
)
def test_the_threshold_of_a_corpus_is_that_of_its_dev_rows(
    dev: tuple[float, float], test: tuple[float, float], f1: float
) -> None:
    data = Data([], scored_rows(*dev), scored_rows(*test))
    entry = _corpora_report(stub(reads_scores), data)["olid"]
    assert entry["abuse_macro_f1"]["value"] == round(f1, 4)
    assert entry["abuse_auroc"]["value"] == entry["abuse_average_precision"]["value"] == 1.0
    fair, abusive = test
    assert entry["abuse_ece"] == pytest.approx((fair + 1 - abusive) / 2, abs=1e-4)


# review


def test_the_share_to_review_and_the_errors_in_it() -> None:
    rows = [
        small.row("right", "abuse", "threat"),
        small.row("missed", "abuse"),
        small.row("false alarm"),
        small.row("doubtful"),
        small.row("fair"),
    ]
    verdicts = {
        "right": labelled("threat", "abuse"),
        "missed": labelled(needs_review=True),
        "false alarm": labelled("threat"),
        "doubtful": labelled(needs_review=True),
        "fair": labelled(),
    }
    classifier = stub(verdicts.__getitem__)
    assert _review(classifier, rows) == {"share": 0.4, "errors_found": 0.5}
    assert _review(classifier, rows[3:]) == {"share": 0.5, "errors_found": None}


# identity words


def test_false_alarms_on_identity_words_and_their_spread() -> None:
    def judge(text: str) -> Verdict:
        flagged = "gay" in text or "My neighbour is deaf" in text
        return labelled("abuse", abuse=0.75) if flagged else labelled(abuse=0.25)

    suite = identity_suite(stub(judge))
    assert suite["sentences"] == 440
    assert suite["false_alarms"] == 11 / 440
    assert suite["spread"] == 1.0
    assert suite["highest"] == {"en gay": 1.0, "en deaf": 0.1}
    means = suite["mean_abuse"]
    assert (means["en gay"], means["en deaf"], means["ar مصري"]) == (0.75, 0.3, 0.25)
    assert len(means) == 44


def test_false_alarms_that_all_groups_have_are_no_spread() -> None:
    suite = identity_suite(stub(lambda text: labelled("threat")))
    assert (suite["false_alarms"], suite["spread"]) == (1.0, 0.0)


# the same complaint


def test_sentence_vectors_are_measured_on_pairs() -> None:
    vectors = {
        "parcel never came": (1.0, 0.0),
        "where is my order": (0.6, 0.8),
        "rude agent": (0.8, 0.6),
        "card got lost": (1.0, 0.0),
        "someone stole it": (1.0, 0.0),
        "app keeps crashing": (0.0, 1.0),
    }
    groups, industries = "aabccd", ["shop"] * 3 + ["bank"] * 3
    rows = [
        small.row(text, group=group, industry=industry)
        for text, group, industry in zip(vectors, groups, industries, strict=True)
    ]

    def judge(text: str) -> Verdict:
        return replace(verdict(), vector=np.array(vectors[text], np.float32))

    # Same: 0.6 and 1.0. Different: 0.8 and 0.0.
    assert _vector_report(stub(judge), rows) == {
        "same": 2,
        "different": 2,
        "auroc": 0.75,
        "precision_at_recall_0.6": 0.6667,
    }
    assert _vector_report(stub(judge), rows[2:3]) == {}
