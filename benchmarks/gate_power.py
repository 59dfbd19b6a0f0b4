"""What the gate passes and what it refuses: candidates made from the released model, many times each.

    python -m benchmarks.gate_power [--older FOLDER]   writes docs/gate-power.json and the tables of docs/gate.md

On the written dev rows: 200 of them, whole situations, stand for the new data held out, the others for the
frozen test (which has more rows, so the gate is a little surer there). Every made-up candidate changes
the released model's logits, with other noise in each trial. It does not measure what training does to a
model; `--older` adds the one real pair that needs no training, an earlier release, both ways.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
from numpy.typing import NDArray

from model import Classifier
from model.labels import LABELS, SENTIMENTS, YES_NO
from training.calibrate import logit
from training.evidence import Evidence, Reading, gather
from training.gate import RESAMPLES, Gate, decide
from training.metrics import auroc
from training.own import load_written
from training.report import replace_tables, table
from training.rows import Row, label_matrix

_TRIALS = 10
_FRESH = 200
_MEGABYTES = 40.0
_ALIKE, _OTHER = 0.15, 0.27
"""Standard deviation of the difference of two models' logits: after a short training, and after two epochs
more from the same weights (1.2.0 against other weights of its last stage: 0.25 to 0.27)."""
_DOCUMENT, _RESULT = Path("docs/gate.md"), Path("docs/gate-power.json")
Logits = NDArray[np.float64]
Change = Callable[[Logits, list[Row], np.random.Generator], Logits]


def noise(logits: Logits, _: list[Row], chance: np.random.Generator, size: float) -> Logits:
    return np.asarray(logits + size * chance.normal(size=logits.shape))


def shifted(
    logits: Logits, rows: list[Row], chance: np.random.Generator, label: str, by: float
) -> Logits:
    """One label's logits moved: what labels that are wrong in one direction do."""
    made = noise(logits, rows, chance, _ALIKE)
    made[:, YES_NO.index(label)] += by
    return made


def damaged(
    logits: Logits, rows: list[Row], chance: np.random.Generator, where: str, size: float
) -> Logits:
    """A dialect or language whose verdicts became noise."""
    hit = np.array([where in (row.dialect, row.language) for row in rows], bool)
    harm = size * chance.normal(size=logits.shape) * hit[:, None]
    return np.asarray(noise(logits, rows, chance, _ALIKE) + harm)


def scaled(logits: Logits, rows: list[Row], chance: np.random.Generator, by: float) -> Logits:
    """All probabilities too sure (above 1) or not sure enough."""
    return noise(logits, rows, chance, _ALIKE) * by


def forgetful(logits: Logits, rows: list[Row], chance: np.random.Generator, size: float) -> Logits:
    """The three labels as before; kinds of threat, signs and sentiments noisier."""
    made = noise(logits, rows, chance, _ALIKE)
    made[:, len(LABELS) :] += size * chance.normal(size=made[:, len(LABELS) :].shape)
    return made


def learned(logits: Logits, rows: list[Row], chance: np.random.Generator, by: float) -> Logits:
    """Every label's logit nearer to the truth."""
    made = noise(logits, rows, chance, _ALIKE)
    made[:, : len(YES_NO)] += by * (2 * np.nan_to_num(label_matrix(rows), nan=0.5) - 1)
    return made


def logits_of(probabilities: NDArray[np.float32]) -> Logits:
    sentiments = np.log(np.clip(probabilities[:, len(YES_NO) :], 1e-6, 1)).astype(float)
    return np.column_stack([logit(probabilities[:, : len(YES_NO)]), sentiments])


def probabilities_of(logits: Logits) -> NDArray[np.float32]:
    powers = np.exp(logits[:, -len(SENTIMENTS) :])
    plain = 1 / (1 + np.exp(-logits[:, : len(YES_NO)]))
    return np.column_stack([plain, powers / powers.sum(1, keepdims=True)]).astype(np.float32)


def changed(
    evidence: Evidence, reading: Reading, on_test: Change, on_fresh: Change, seed: int
) -> Reading:
    """A made-up model: the reading's logits changed; its vectors with a little noise."""
    chance = np.random.default_rng(seed)
    assert reading.vectors is not None
    assert reading.hidden is not None
    vectors = reading.vectors + 0.01 * chance.normal(size=reading.vectors.shape)
    hidden_rows = [evidence.rows[text.row] for text in evidence.hidden]
    parts = (
        (reading.probabilities, evidence.rows, on_test),
        (reading.fresh, evidence.fresh, on_fresh),
        (reading.hidden, hidden_rows, on_test),
    )
    made = [probabilities_of(change(logits_of(p), rows, chance)) for p, rows, change in parts]
    return replace(
        reading,
        model="made up",
        probabilities=made[0],
        fresh=made[1],
        hidden=made[2],
        vectors=(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32),
    )


def noise_that_costs(evidence: Evidence, points: float) -> float:
    """Size of the noise on logits at which the mean AUROC of the three labels falls by so many points."""
    logits = logits_of(evidence.released.probabilities)
    chance = np.random.default_rng(0)

    def mean_auroc(scores: Logits) -> float:
        return float(
            np.mean([auroc(evidence.labels[:, c], scores[:, c]) for c in range(len(LABELS))])
        )

    whole = mean_auroc(logits)
    sizes = np.linspace(0.1, 3, 59)
    costs = [whole - mean_auroc(noise(logits, [], chance, size)) for size in sizes]
    return float(sizes[int(np.argmin(np.abs(np.array(costs) - points / 100)))])


class Scenario(NamedTuple):
    """What is done to the logits of the frozen rows, of the new data, and (for pairs of equals) of the
    released model.
    """

    on_test: Change
    on_fresh: Change
    on_released: Change | None = None


def scenarios(evidence: Evidence) -> dict[str, Scenario]:
    alike, other = partial(noise, size=_ALIKE / 2**0.5), partial(noise, size=_OTHER / 2**0.5)
    better = partial(learned, by=0.4)
    made = {
        "equal, after a short training": Scenario(alike, alike, alike),
        "equal, after a long training": Scenario(other, other, other),
    }
    for by in (0.1, 0.2, 0.4):
        name = f"equal, and on the new data each logit {by:g} nearer to the truth"
        made[name] = Scenario(alike, partial(learned, by=by), alike)
    for points in (1, 3):
        size = noise_that_costs(evidence, points)
        made[f"mean AUROC worse by {points} (points)"] = Scenario(partial(noise, size=size), better)
    damages: dict[str, Change] = {
        "abuse shifted by -0.5": partial(shifted, label="abuse", by=-0.5),
        "abuse shifted by -1": partial(shifted, label="abuse", by=-1),
        "threat shifted by -0.5": partial(shifted, label="threat", by=-0.5),
        "threat shifted by -1": partial(shifted, label="threat", by=-1),
        "abuse shifted by +1": partial(shifted, label="abuse", by=1),
        "all logits halved": partial(scaled, by=0.5),
        "all logits doubled": partial(scaled, by=2),
        "Levantine, noise of 1.5": partial(damaged, where="lev", size=1.5),
        "Arabizi, noise of 1.5": partial(damaged, where="arabizi", size=1.5),
        "kinds, signs and sentiment, noise of 1.5": partial(forgetful, size=1.5),
    }
    return made | {name: Scenario(change, better) for name, change in damages.items()}


def run(evidence: Evidence, scenario: Scenario, trials: int = _TRIALS) -> dict[str, Any]:
    """Shares of the trials in which no check failed, and in which the candidate passed."""
    gates = []
    for trial in range(trials):
        released = evidence.released
        candidate = changed(evidence, released, scenario.on_test, scenario.on_fresh, seed=trial)
        if scenario.on_released:
            both = scenario.on_released, scenario.on_released
            released = changed(evidence, released, *both, seed=10_000 + trial)
        gates.append(decide(replace(evidence, candidate=candidate, released=released), seed=trial))
    return summary(gates)


def summary(gates: list[Gate]) -> dict[str, Any]:
    failed = Counter(outcome.name for gate in gates for outcome in gate.failures)
    return {
        "trials": len(gates),
        "no_check_failed": sum(not gate.failures for gate in gates) / len(gates),
        "passed": sum(gate.passed for gate in gates) / len(gates),
        "failed": {name: count / len(gates) for name, count in failed.most_common()},
    }


def split(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """Frozen rows, and 200 rows of whole situations drawn at random."""
    groups = list(dict.fromkeys(row.group for row in rows))
    np.random.default_rng(0).shuffle(groups)
    place = {group: i for i, group in enumerate(groups)}
    ordered = sorted(rows, key=lambda row: place[row.group])
    return ordered[_FRESH:], ordered[:_FRESH]


def measure(older: Path | None = None, trials: int = _TRIALS) -> dict[str, Any]:
    frozen, fresh = split([row for row in load_written() if row.split == "dev"])
    released = Classifier.load()
    pair = gather(Classifier.load(older), released, frozen, fresh)
    pair = replace(
        pair,
        candidate=replace(pair.candidate, megabytes=_MEGABYTES),
        released=replace(pair.released, megabytes=_MEGABYTES),
        speed_ratio=1.0,
        suspicious_share=0.0,
    )
    itself = replace(pair, candidate=pair.released)
    back = replace(itself, released=pair.candidate)
    found: dict[str, Any] = {"the released model itself": summary([decide(itself)])}
    if older:
        for e in (pair, back):
            found[f"{e.candidate.model} against {e.released.model}"] = summary([decide(e)])
    for name, scenario in scenarios(itself).items():
        found[name] = run(itself, scenario, trials)
        click.echo(f"{name}: {found[name]}")
    return {
        "model": released.version,
        "rows": len(frozen),
        "fresh": len(fresh),
        "resamples": RESAMPLES,
        "candidates": found,
    }


def to_lines(result: dict[str, Any]) -> list[str]:
    head = ("candidate", "trials", "no check fails", "passes", "what refuses it, most often first")
    body = (
        (name, c["trials"], f"{c['no_check_failed']:.0%}", f"{c['passed']:.0%}", _refusers(c))
        for name, c in result["candidates"].items()
    )
    intro = (
        f"Model `{result['model']}`; {result['rows']:,} written dev rows for the frozen test and"
        f" {result['fresh']} for the new data, {result['resamples']:,} draws."
    )
    return [intro, "", *table(head, body)]


def _refusers(candidate: dict[str, Any]) -> str:
    named = [f"`{name}` {share:.0%}" for name, share in list(candidate["failed"].items())[:4]]
    if not named and not candidate["passed"]:
        return "nothing is better"
    return ", ".join(named)


@click.command()
@click.option(
    "--older", type=click.Path(path_type=Path, exists=True), help="An earlier release's folder."
)
@click.option("--trials", default=_TRIALS, show_default=True)
def main(older: Path | None, trials: int) -> None:
    """Write docs/gate-power.json and the tables of docs/gate.md."""
    result = measure(older, trials)
    _RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    text = _DOCUMENT.read_text(encoding="utf-8")
    _DOCUMENT.write_text(replace_tables(text, {"power": to_lines(result)}), encoding="utf-8")


if __name__ == "__main__":
    main()
