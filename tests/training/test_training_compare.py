import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from model import Classifier, Verdict
from model.labels import LABELS, OUTPUTS
from tests.helpers import FakeScorer, verdict
from tests.training import small
from tests.training.readings import MENU, better_on_fresh, changed, copies, rows_of
from training.compare import compare, comparison
from training.evidence import gather, hidden_texts, speed_ratio
from training.gate import decide
from training.gate_report import plain_verdict, to_markdown, write_gate
from training.metrics import auroc, rate
from training.rows import clusters_of

_DRAWS = 200


class Stub(FakeScorer):
    """A model whose verdicts are made by hand."""

    def __init__(self, judge: Callable[[str], Verdict], version: str = "1") -> None:
        super().__init__(judge)
        self.version = version
        self.manifest = SimpleNamespace(thresholds=MENU)

    def read(self) -> list[str]:
        return [text for call in self.calls for text in call]


def model(judge: Callable[[str], Verdict] = verdict, version: str = "1") -> Stub:
    return Stub(judge, version)


def as_classifier(stub: Stub) -> Classifier:
    return cast(Classifier, stub)


def gathered(stub: Stub, rows: list[Any], fresh: list[Any], suites: bool) -> Any:
    return gather(as_classifier(stub), as_classifier(model()), rows, fresh, suites)


# reading


def test_each_text_is_read_once_by_each_model_and_rows_of_other_corpora_are_not() -> None:
    rows = [small.row("ours", "abuse"), small.row("real", source="customers_relabelled")]
    other = small.row("theirs", source="olid")
    stub = model()
    evidence = gathered(stub, [*rows, other], [small.row("new")], suites=False)
    assert sorted(stub.read()) == ["new", "ours", "real"]
    assert evidence.rows == rows
    assert evidence.candidate.probabilities.shape == (2, len(OUTPUTS))
    assert evidence.candidate.fresh.shape == (1, len(OUTPUTS))
    assert evidence.candidate.vectors.shape == (2, 256)
    assert (evidence.candidate.hidden, evidence.speed_ratio) == (None, None)


def test_probabilities_stand_in_the_order_of_the_outputs() -> None:
    made = replace(verdict(), scores={"abuse": 0.1, "threat": 0.2, "accusation": 0.3})
    evidence = gathered(model(lambda _: made), [small.row("a")], [], suites=False)
    assert evidence.candidate.probabilities[0, :3].tolist() == pytest.approx([0.1, 0.2, 0.3])


def test_hidden_words_are_of_toxic_rows_in_every_way() -> None:
    rows = [
        small.row(f"message number {c}", *holds) for c in "abcde" for holds in ((), ("threat",))
    ]
    hidden = hidden_texts(rows)
    assert {text.row for text in hidden} == {1, 3, 5, 7, 9}
    assert len({text.perturbation for text in hidden}) == 20
    assert hidden == hidden_texts(rows)


def test_speed_is_the_ratio_of_processor_time() -> None:
    def slow(text: str) -> Verdict:
        sum(range(60_000))
        return verdict(text)

    def slower(text: str) -> Verdict:
        sum(range(180_000))
        return verdict(text)

    texts = [f"text {i}" for i in range(12)]
    ratio = speed_ratio(as_classifier(model(slower)), as_classifier(model(slow)), texts)
    assert 2 < ratio < 4.5


# side by side


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return comparison(better_on_fresh(), resamples=_DRAWS)


def test_figures_are_those_of_the_rows(report: dict[str, Any]) -> None:
    evidence = better_on_fresh()
    written = report["written"]
    own = evidence.written
    truth, score = evidence.labels[own, 1], evidence.released.probabilities[own, 1]
    assert written["labels"]["threat"]["auroc"]["released"] == round(auroc(truth, score), 4)
    found = score[truth == 1] >= 0.7
    assert written["labels"]["threat"]["recall"]["released"] == round(rate(found), 4)
    fair = np.array([row.is_fair for row in evidence.rows]) & own
    alarms = (evidence.released.probabilities[fair, :3] >= 0.7).any(1)
    assert written["false_alarms"]["released"] == round(rate(np.asarray(alarms)), 4)
    assert (written["rows"], written["fair_rows"]) == (int(own.sum()), int(fair.sum()))


def test_every_language_and_dialect_and_the_new_data_stand_side_by_side(
    report: dict[str, Any],
) -> None:
    assert {"written", "comments", "fresh"} <= set(report)
    assert "reviews" not in report
    groups = report["written"]["groups"]
    assert {"ar", "ar egy", "arabizi", "arabizi lev", "mixed gulf", "en uk"} <= set(groups)
    assert all({*LABELS, "false_alarms", "rows"} == set(group) for group in groups.values())
    assert report["fresh"]["labels"]["abuse"]["auroc"]["low"] > 0
    assert report["written"]["labels"]["abuse"]["auroc"]["better"] == 0
    assert (report["speed_ratio"], report["megabytes"]["candidate"]) == (1.0, 40.0)
    assert len(report["hidden_words"]["recall"]) == 20


def test_fewer_false_alarms_are_better() -> None:
    pair = comparison(changed(lambda logits: logits - 1), resamples=_DRAWS)["written"][
        "false_alarms"
    ]
    assert pair["candidate"] < pair["released"]
    assert pair["low"] > 0


def test_compare_reads_and_compares_two_models() -> None:
    def judge(text: str) -> Verdict:
        return replace(verdict(), scores=dict.fromkeys(LABELS, 0.9 if text[-1] in "acegi" else 0.1))

    rows = rows_of(80, 6)
    both = model(judge, "2"), model(verdict, "1")
    made = compare(
        as_classifier(both[0]), as_classifier(both[1]), rows, rows_of(40, 7), suites=False
    )
    assert (made["candidate"], made["released"]) == ("2", "1")
    assert made["written"]["rows"] == 80
    assert made["fresh"]["rows"] == 40
    assert "side by side the candidate is better" in made["verdict"]


def test_no_new_data_and_no_suites_leave_their_parts_out() -> None:
    rows = rows_of(60, 6)
    made = compare(as_classifier(model()), as_classifier(model()), rows, [], suites=False)
    assert "fresh" not in made
    assert "hidden_words" not in made
    assert made["speed_ratio"] is None
    assert clusters_of(rows).max() == 29


# the report


def _lines(text: str, start: str) -> Sequence[str]:
    return [line for line in text.splitlines() if line.startswith(start)]


def test_the_report_begins_with_the_verdict_and_its_reasons(tmp_path: Path) -> None:
    step = -1.5 * (np.array(OUTPUTS) == "threat")
    evidence = replace(changed(lambda logits: logits + step), suspicious_share=0.31)
    gate = decide(evidence, resamples=400)
    write_gate(tmp_path, gate, comparison(evidence, resamples=_DRAWS))
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert text.splitlines()[2].startswith(
        "**Refused: not promoted.** `1.1` does not replace `1.0`"
    )
    reasons = _lines(text, "- ")
    assert any("threats found" in r and "points fewer" in r and "instead of" in r for r in reasons)
    assert any("suspicious labels" in r and "0.31, at most 0.2" in r for r in reasons)
    assert "at its own thresholds, it flags" in text
    record = json.loads((tmp_path / "gate.json").read_text(encoding="utf-8"))
    assert record["verdict"] == "refused"
    sides = json.loads((tmp_path / "comparison.json").read_text(encoding="utf-8"))
    assert sides["released"] == "1.0"


def test_a_candidate_that_passes_is_told_what_is_better(report: dict[str, Any]) -> None:
    gate = decide(better_on_fresh(), resamples=400)
    lines = plain_verdict(gate)
    assert lines[0].startswith("**Passed.** `1.1` may take the place of `1.0`")
    assert any("on the new data" in line and "points better" in line for line in lines)
    text = to_markdown(gate, report)
    assert "**refused**" not in text


def test_a_copy_is_told_that_nothing_is_better() -> None:
    lines = plain_verdict(decide(copies(), resamples=400))
    assert lines[0].startswith("**Refused: nothing is better.**")
    assert all("as before (no better beyond noise)" in line for line in lines[2:])


def test_what_could_not_be_checked_is_a_reason() -> None:
    evidence = replace(copies(), speed_ratio=None)
    lines = plain_verdict(decide(evidence, resamples=400))
    assert any("not checked: it was not measured, and it must be" in line for line in lines)


def test_every_table_row_has_as_many_cells_as_its_head(report: dict[str, Any]) -> None:
    rows = _lines(to_markdown(decide(copies(), resamples=400), report), "|")
    heads = [i for i, line in enumerate(rows) if set(line) <= set("|-")]
    for start, stop in zip(heads, [h - 1 for h in heads[1:]] + [len(rows)], strict=True):
        assert {row.count("|") for row in rows[start - 1 : stop]} == {rows[start].count("|")}
