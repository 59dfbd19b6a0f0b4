"""HateCheck at the shipped balanced thresholds: `python -m benchmarks.hatecheck [FILE ...]`.

Files are CSV in HateCheck's columns (`functionality`, `test_case`, `label_gold`): the English one
(Röttger et al., ACL 2021), the Arabic one of Multilingual HateCheck (Röttger et al., WOAH 2022), which
users get from their source, or one of one's own. Without a file: the cases of the same kind that were
written for this project, datasets/functional/; it then writes docs/functional.md. A case is found where
abuse or threat is said to hold.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from model import Classifier
from model.manifest import RELEASED
from training.metrics import bootstrap, macro_f1
from training.own import DATASETS
from training.report import table

OWN = DATASETS / "functional"
_DOCS = Path("docs")
_COLUMNS = {"functionality", "test_case", "label_gold"}
_GOLD = {"hateful": True, "non-hateful": False}
_ABUSE_OF_OTHERS = {"target_indiv_nh", "target_group_nh"}
"""Abuse of somebody who is in no protected group: no hate speech, but abuse by our guideline."""


class Case(NamedTuple):
    """One sentence; `degrades`: it is abuse or a threat by our guideline."""

    functionality: str
    text: str
    degrades: bool


def read_cases(path: Path) -> list[Case]:
    """The cases of a file.

    Raises:
        ValueError: columns are missing, there is no case, or a label is neither hateful nor non-hateful.
    """
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        missing = _COLUMNS - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{path} is not HateCheck's: it lacks {', '.join(sorted(missing))}")
        cases = [_case(path, reader.line_num, row) for row in reader]
    if not cases:
        raise ValueError(f"{path} holds no case")
    return cases


def _case(path: Path, line: int, row: dict[str, str]) -> Case:
    gold = _GOLD.get(row["label_gold"])
    if gold is None or not row["test_case"]:
        raise ValueError(
            f"{path}, line {line}: needs a test_case, and hateful or non-hateful as label_gold"
        )
    functionality = row["functionality"]
    return Case(functionality, row["test_case"], gold or functionality in _ABUSE_OF_OTHERS)


def found_in(classifier: Classifier, cases: Sequence[Case]) -> list[bool]:
    """Whether abuse or threat reaches its balanced threshold, for each case."""
    verdicts = classifier.score([case.text for case in cases])
    return [not {"abuse", "threat"}.isdisjoint(verdict.labels) for verdict in verdicts]


def report(cases: Sequence[Case], found: Sequence[bool]) -> list[str]:
    """Markdown: macro-F1 over both classes, both sides, and the share that is right by functionality."""
    truth = np.array([case.degrades for case in cases])
    said = np.array(found)
    estimate = bootstrap(macro_f1, truth, said)
    head = f"{len(cases):,} cases"
    if estimate:
        head += f", macro-F1 {estimate.value:.3f} ({estimate.low:.3f}-{estimate.high:.3f})"
        head += f": {said[truth].mean():.1%} of {truth.sum():,} degrading ones found,"
        head += f" {1 - said[~truth].mean():.1%} of {(~truth).sum():,} others passed"
    right: dict[str, list[bool]] = defaultdict(list)
    for case, flagged in zip(cases, found, strict=True):
        right[case.functionality].append(flagged == case.degrades)
    rows = [(name, len(flags), f"{np.mean(flags):.0%}") for name, flags in right.items()]
    return [head + ".", "", *table(("functionality", "cases", "right"), rows)]


def to_markdown(version: str, reports: Iterable[tuple[str, list[str]]]) -> str:
    lines = [
        "# Functional tests of hate detection",
        "",
        f"Model `{version}` at its balanced thresholds. Cases of the kinds of HateCheck (`_h`: hateful,"
        " `_nh`: not), in our words; abuse of individuals and professions counts as degrading, as our"
        " guideline has it. Nothing trains on them. Intervals: 95 %, bootstrap. Written by"
        " `python -m benchmarks.hatecheck`; do not edit.",
    ]
    for name, told in reports:
        lines += ["", f"## {name.capitalize()}", "", *told]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--model", type=Path, default=RELEASED)
    arguments = parser.parse_args()
    try:
        cases = {p.stem: read_cases(p) for p in arguments.files or sorted(OWN.glob("*.csv"))}
    except (OSError, ValueError) as error:
        parser.error(str(error))
    classifier = Classifier.load(arguments.model)
    reports = [(name, report(rows, found_in(classifier, rows))) for name, rows in cases.items()]
    page = to_markdown(classifier.version, reports)
    if not arguments.files:
        (_DOCS / "functional.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
