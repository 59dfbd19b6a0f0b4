from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from scipy.special import expit

from model.labels import LABELS, OUTPUTS, SIGNS, THREAT_KINDS
from model.manifest import BALANCED
from tests.training.readings import MENU, Logits, better_on_fresh, changed, copies, vectors_of
from training.calibrate import logit
from training.evidence import Evidence, Reading
from training.gate import CHECKS, IMPROVEMENTS, MIN_ROWS, Gate, Outcome, decide, run_gate
from training.gate_checks import Rule
from training.rows import label_matrix

_DRAWS = 300


def gate_of(evidence: Evidence, seed: int = 0) -> Gate:
    return decide(evidence, seed, _DRAWS)


def outcome(gate: Gate, name: str) -> Outcome:
    return next(o for o in (*gate.checks, *gate.better) if o.name == name)


def failed(gate: Gate) -> set[str]:
    return {o.name for o in gate.failures}


# the list


def test_the_list_is_this_one() -> None:
    """A check that is added, dropped or loosened shows up here."""
    by_rule = {rule: [check.name for check in CHECKS if check.rule == rule] for rule in Rule}
    assert by_rule[Rule.NON_INFERIOR] == [
        "rank_abuse",
        "rank_threat",
        "rank_accusation",
        "rank_arabic",
        "rank_arabizi",
        "rank_english",
        "threat_kinds",
        "message_signs",
        "sentiment",
        "log_loss",
        "hidden_words",
        "same_complaint",
    ]
    assert by_rule[Rule.NOT_WORSE] == [
        "false_alarms",
        "recall_abuse",
        "recall_threat",
        "recall_accusation",
        "decisions",
        "calibration",
        "dialect_egy",
        "dialect_gulf",
        "dialect_lev",
        "dialect_magh",
        "dialect_iraqi",
        "dialect_msa",
        "real_messages",
        "new_data",
    ]
    limits = {check.name: check.margin for check in CHECKS if check.rule == Rule.LIMIT}
    assert limits == {"data_quality": 0.20, "speed": 1.15, "size": 45.0}
    assert by_rule[Rule.BETTER] == []
    assert {check.rule for check in IMPROVEMENTS} == {Rule.BETTER}


def test_every_check_has_a_name_of_its_own_a_reason_and_the_margin() -> None:
    everything = (*CHECKS, *IMPROVEMENTS)
    assert len({check.name for check in everything}) == len(everything)
    assert all(check.why.endswith(".") and check.metric for check in everything)
    assert {check.margin for check in CHECKS if check.rule == Rule.NON_INFERIOR} == {0.01}
    may_be_missing = {check.name for check in CHECKS if not check.must}
    dialects = {check.name for check in CHECKS if check.name.startswith("dialect_")}
    assert may_be_missing == {*dialects, "real_messages", "new_data"}


# what passes


def test_a_copy_fails_no_check_but_is_refused_because_nothing_is_better() -> None:
    gate = gate_of(copies())
    assert not gate.failures
    assert all(o.checked for o in (*gate.checks, *gate.better))
    assert {o.difference for o in gate.checks if o.low is not None} == {0.0}
    assert not gate.improvements
    assert gate.as_dict()["verdict"] == "refused"


def test_a_copy_that_is_better_on_the_new_data_passes() -> None:
    gate = gate_of(better_on_fresh())
    assert gate.passed
    assert {o.name for o in gate.improvements} == {"new_data_log_loss", "new_data_ranking"}


def test_another_base_rate_on_the_new_data_is_nothing_better() -> None:
    """Where labels are wrong on one side, the candidate learns to say it less often."""
    evidence = copies()
    fresh = evidence.candidate.fresh
    less = replace(evidence.candidate, fresh=expit(logit(fresh) - 1).astype(np.float32))
    gate = gate_of(replace(evidence, candidate=less))
    found = {o.name: o.difference for o in gate.better}
    assert found["new_data_log_loss"] == pytest.approx(0, abs=1e-4)
    assert not gate.improvements


def test_a_model_that_is_better_everywhere_passes() -> None:
    evidence = copies()
    gate = gate_of(changed(_towards_truth(evidence, 1.0)))
    assert gate.passed
    assert outcome(gate, "test_ranking").passed


def test_a_little_noise_passes() -> None:
    """Two trainings never give the same logits."""
    gate = gate_of(better_on_fresh(changed(_noise(0.1))))
    assert gate.passed


# what is refused, each check by the damage that it is there for


def _noise(
    size: float, columns: Sequence[int] = range(16), rows: Sequence[int] | None = None
) -> Callable[[Logits], Logits]:
    def change(logits: Logits) -> Logits:
        made = logits.copy()
        area = np.ix_(range(len(logits)) if rows is None else rows, columns)
        made[area] += size * np.random.default_rng(9).normal(size=logits.shape)[area]
        return made

    return change


def _towards_truth(evidence: Evidence, by: float) -> Callable[[Logits], Logits]:
    step = np.zeros((len(evidence.rows), len(OUTPUTS)))
    step[:, :13] = by * (2 * label_matrix(evidence.rows) - 1)
    return lambda logits: logits + step


def _shift(name: str, by: float) -> Callable[[Logits], Logits]:
    step = by * (np.array(OUTPUTS) == name)
    return lambda logits: logits + step


def _columns(names: tuple[str, ...]) -> list[int]:
    return [OUTPUTS.index(name) for name in names]


def _where(evidence: Evidence, word: str) -> list[int]:
    return [
        i for i, row in enumerate(evidence.rows) if word in (row.language, row.dialect, row.source)
    ]


def _menu(evidence: Evidence, threshold: float) -> Evidence:
    menu = {name: {BALANCED: threshold} for name in LABELS}
    return replace(evidence, candidate=replace(evidence.candidate, thresholds=menu))


def _vectors(evidence: Evidence) -> Evidence:
    vectors = vectors_of(evidence.rows, 1.5)
    return replace(evidence, candidate=replace(evidence.candidate, vectors=vectors))


_ONLY = range(3)
DAMAGES: dict[str, Callable[[Evidence], Evidence]] = {
    "rank_abuse": lambda _: changed(_noise(2, _columns(("abuse",)))),
    "rank_threat": lambda _: changed(_noise(2, _columns(("threat",)))),
    "rank_accusation": lambda _: changed(_noise(2, _columns(("accusation",)))),
    "rank_arabic": lambda e: changed(_noise(2, _ONLY, _where(e, "ar"))),
    "rank_arabizi": lambda e: changed(_noise(2, _ONLY, _where(e, "arabizi"))),
    "rank_english": lambda e: changed(_noise(2, _ONLY, _where(e, "en"))),
    "threat_kinds": lambda _: changed(_noise(2, _columns(THREAT_KINDS))),
    "message_signs": lambda _: changed(_noise(2, _columns(SIGNS))),
    "sentiment": lambda _: changed(_noise(2, range(13, 16))),
    "log_loss": lambda _: changed(lambda logits: 0.4 * logits),
    "hidden_words": lambda _: changed(_noise(2), "hidden"),
    "same_complaint": _vectors,
    "false_alarms": lambda e: _menu(e, 0.4),
    "recall_abuse": lambda _: changed(_shift("abuse", -0.7)),
    "recall_threat": lambda _: changed(_shift("threat", -0.7)),
    "recall_accusation": lambda _: changed(_shift("accusation", -0.7)),
    "decisions": lambda e: _menu(e, 0.98),
    "calibration": lambda _: changed(lambda logits: logits + 1),
    **{
        f"dialect_{name}": lambda e, name=name: changed(_noise(3, _ONLY, _where(e, name)))  # type: ignore[misc]
        for name in ("egy", "gulf", "lev", "magh", "iraqi", "msa")
    },
    "real_messages": lambda e: changed(_noise(3, _ONLY, _where(e, "customers_relabelled"))),
    "new_data": lambda _: changed(_noise(3), "fresh"),
    "data_quality": lambda e: replace(e, suspicious_share=0.31),
    "speed": lambda e: replace(e, speed_ratio=1.3),
    "size": lambda e: replace(e, candidate=replace(e.candidate, megabytes=46.0)),
}


@pytest.mark.parametrize("name", [check.name for check in CHECKS])
def test_each_check_refuses_the_damage_it_is_there_for(name: str) -> None:
    evidence = DAMAGES[name](copies())
    if name != "new_data":
        evidence = better_on_fresh(evidence)
    gate = gate_of(evidence)
    assert name in failed(gate)
    assert not gate.passed


def test_noise_that_costs_three_points_is_refused_by_every_ranking() -> None:
    gate = gate_of(better_on_fresh(changed(_noise(2))))
    assert outcome(gate, "rank_threat").difference < -0.03  # type: ignore[operator]
    assert {check.name for check in CHECKS if check.name.startswith("rank_")} <= failed(gate)


@pytest.mark.parametrize("label", LABELS)
def test_labels_wrong_in_one_direction_are_refused_though_the_ranking_and_the_new_data_agree(
    label: str,
) -> None:
    """New data that calls every threat none makes a model that does so look better on it."""
    gate = gate_of(better_on_fresh(changed(_shift(label, -1.0))))
    assert gate.improvements
    assert failed(gate) & {f"recall_{label}", "log_loss"}
    assert outcome(gate, f"rank_{label}").passed


# rows


def _first(evidence: Evidence, rows: int, fresh: int) -> Evidence:
    def cut(reading: Reading) -> Reading:
        assert reading.vectors is not None
        assert reading.hidden is not None
        return replace(
            reading,
            probabilities=reading.probabilities[:rows],
            vectors=reading.vectors[:rows],
            fresh=reading.fresh[:fresh],
            hidden=reading.hidden[[text.row < rows for text in evidence.hidden]],
        )

    return replace(
        evidence,
        rows=evidence.rows[:rows],
        fresh=evidence.fresh[:fresh],
        candidate=cut(evidence.candidate),
        released=cut(evidence.released),
        hidden=[text for text in evidence.hidden if text.row < rows],
    )


def test_checks_on_too_few_rows_do_not_run_and_those_that_must_refuse() -> None:
    gate = gate_of(_first(better_on_fresh(), rows=300, fresh=220))
    english = outcome(gate, "rank_english")
    assert english.rows < MIN_ROWS
    assert (english.checked, english.passed, english.candidate) == (False, False, None)
    iraqi = outcome(gate, "dialect_iraqi")
    assert (iraqi.checked, iraqi.passed) == (False, True)
    assert outcome(gate, "rank_abuse").checked
    assert gate.improvements
    assert not gate.passed


def test_new_data_of_too_few_rows_neither_refuse_nor_help() -> None:
    gate = gate_of(_first(better_on_fresh(), rows=len(copies().rows), fresh=MIN_ROWS - 1))
    assert not outcome(gate, "new_data").checked
    assert not gate.failures
    assert not gate.improvements
    assert not gate.passed


def test_new_data_whose_labels_are_unknown_do_not_count() -> None:
    evidence = better_on_fresh()
    fresh = [replace(r, labels={}) if i % 2 else r for i, r in enumerate(evidence.fresh)]
    gate = gate_of(replace(evidence, fresh=fresh))
    assert outcome(gate, "new_data").rows == len(fresh) // 2


@pytest.mark.parametrize(
    "name", ["data_quality", "speed", "size", "hidden_words", "same_complaint"]
)
def test_what_was_not_measured_is_refused(name: str) -> None:
    evidence = better_on_fresh()
    without = replace(evidence.candidate, megabytes=None, hidden=None, vectors=None)
    gate = gate_of(replace(evidence, candidate=without, speed_ratio=None, suspicious_share=None))
    assert not outcome(gate, name).checked
    assert name in failed(gate)


# properties


def test_the_same_seed_gives_the_same_gate() -> None:
    evidence = changed(_noise(0.3))
    assert gate_of(evidence, 1) == gate_of(evidence, 1)
    assert gate_of(evidence, 1) != gate_of(evidence, 2)


_SIGNED = [
    name
    for name in DAMAGES
    if name not in ("calibration", "new_data", "data_quality", "speed", "size")
]


@settings(deadline=None, max_examples=3, phases=[Phase.generate])
@given(st.integers(0, 1_000), st.floats(0.05, 1), st.floats(0.1, 2))
def test_worse_scores_never_turn_refused_into_passed(seed: int, share: float, by: float) -> None:
    """Whatever labels get lower scores where they hold and higher ones where they do not: no bound rises."""
    chance = np.random.default_rng(seed)
    before = changed(_noise(0.4))
    step = _towards_truth(before, -by)
    hit = chance.random((len(before.rows), len(OUTPUTS))) < share
    after = changed(lambda x: np.where(hit, step(x), x), evidence=before)
    first, second = gate_of(before), gate_of(after)
    for name in _SIGNED:
        worse, better = outcome(second, name), outcome(first, name)
        assert worse.low <= better.low + 1e-6  # type: ignore[operator]
        assert worse.high <= better.high + 1e-6  # type: ignore[operator]
        assert worse.passed <= better.passed
    assert not (second.passed and failed(first) - {"calibration"})


def test_the_correction_is_for_the_checks_of_a_rule_that_ran() -> None:
    """With a few checks left, each bound is nearer to the difference."""
    evidence = changed(_noise(0.3))
    gate, few = gate_of(evidence), gate_of(_first(evidence, rows=150, fresh=220))
    assert sum(o.checked for o in few.better) == sum(o.checked for o in gate.better)
    assert sum(o.checked for o in few.checks) < sum(o.checked for o in gate.checks)
    noisy = changed(_noise(1.0), "fresh")
    all_ran, alone = (outcome(gate_of(e), "new_data") for e in (noisy, _first(noisy, 150, 220)))
    assert all_ran.difference == alone.difference
    assert all_ran.high > alone.high  # type: ignore[operator]


# arrays


def test_run_gate_decides_on_arrays() -> None:
    evidence = better_on_fresh(changed(_noise(0.1)))
    sides = (evidence.candidate, evidence.released)
    first, second = (np.concatenate([side.probabilities, side.fresh]) for side in sides)
    gate = run_gate(
        first,
        second,
        evidence.rows,
        evidence.fresh,
        thresholds=(MENU, MENU),
        vectors=(sides[0].vectors, sides[1].vectors),  # type: ignore[arg-type]
        hidden=evidence.hidden,
        hidden_probabilities=(sides[0].hidden, sides[1].hidden),  # type: ignore[arg-type]
        speed_ratio=1.0,
        megabytes=40.0,
        suspicious_share=0.0,
        models=("1.1", "1.0"),
        resamples=_DRAWS,
    )
    assert gate == gate_of(evidence)
    with pytest.raises(ValueError, match="give one row of probabilities for each"):
        run_gate(first[1:], second, evidence.rows, evidence.fresh, thresholds=(MENU, MENU))


def test_what_is_written_of_a_gate() -> None:
    record = gate_of(changed(_noise(2))).as_dict()
    assert record["verdict"] == "refused"
    assert (record["candidate"], record["released"], record["resamples"]) == ("1.1", "1.0", _DRAWS)
    keys = {
        "name",
        "metric",
        "rows",
        "candidate",
        "released",
        "difference",
        "low",
        "margin",
        "passed",
        "why",
        "told",
    }
    assert all(keys <= set(check) for check in (*record["checks"], *record["better"]))
    assert [check["name"] for check in record["checks"]] == [check.name for check in CHECKS]
    assert record["checks"][0]["told"].startswith("AUROC of abuse: 0.8")
    assert record["checks"][0]["told"].endswith("points worse")
