"""Files as they should not be: each fault has a message of its own, and slips are listed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from model import Classifier
from tests.helpers import LOUD
from training.check_report import sections, to_markdown
from training.checks import Checks, check
from training.data import Data
from training.labelled import Labelled
from training.rows import Row
from training.suspicious import find_suspicious

WORDS = ("where", "order", "phone", "late", "money", "branch", "office", "monday", "agent", "still")


def texts(count: int, seed: int = 0) -> list[str]:
    """Texts that share no eight words in a row."""
    chance = random.Random(seed)
    return [
        " ".join(chance.choices(WORDS, k=6)) + f" {chr(97 + i % 26)}{i // 26}" for i in range(count)
    ]


def company(count: int = 200, seed: int = 0) -> list[Row]:
    """Every third insults, every fifth accuses; the tiny model hears it."""
    rows = []
    for i, text in enumerate(texts(count, seed)):
        holds = [name for name, every in (("abuse", 3), ("accusation", 5)) if i % every == 0]
        loud = "".join(f" {LOUD[name]}" for name in holds)
        labels = {name: int(name in holds) for name in ("abuse", "threat", "accusation")}
        rows.append(Row(f"{text}{loud}", labels, language="en", group=f"new c{i}"))
    return rows


def labelled(rows: Sequence[Row]) -> Labelled:
    return Labelled(list(rows), [f"new.csv:{i + 2}" for i in range(len(rows))])


def checked(rows: Sequence[Row], classifier: Classifier, data: Data | None = None) -> Checks:
    return check(labelled(rows), data or Data([], [], []), classifier)


def test_a_good_file_has_no_errors(classifier: Classifier) -> None:
    checks = checked(company(), classifier)
    assert checks.errors == []
    assert checks.kept == list(range(200))
    assert checks.labels["abuse"] == {"rows": 200, "yes": 67}
    assert checks.languages == {"en": 200}
    assert len(checks.suspicions) < 10
    assert checks.suspicious_share < 0.05


def test_five_rows_are_told_how_many_are_needed(classifier: Classifier) -> None:
    (error, *_) = checked(company(5), classifier).errors
    assert error.startswith("5 rows are too few to train on: at least 50 are needed, and 200 for")


@pytest.mark.parametrize("value", [0, 1])
def test_one_class_is_told(classifier: Classifier, value: int) -> None:
    rows = [Row(text, {"abuse": value}, group=text) for text in texts(60)]
    (error,) = checked(rows, classifier).errors
    assert f"have one class (abuse: {60 * value} yes of 60)" in error


def test_no_judged_label_is_told(classifier: Classifier) -> None:
    rows = [Row(text, {"leaving": i % 2}, group=text) for i, text in enumerate(texts(60))]
    assert "none of the three labels is told" in checked(rows, classifier).errors[0]


def test_few_rows_and_few_of_a_class_are_notes(classifier: Classifier) -> None:
    notes = "\n".join(checked(company(100), classifier).notes)
    assert "threat: 0 yes of 100" in notes
    assert "100 rows are too few to judge the new model on them" in notes


def test_conflicts_and_duplicates_are_told_with_their_lines(classifier: Classifier) -> None:
    rows = company()
    rows.append(Row(rows[1].text.upper() + "!!", {"abuse": 1}, group="new x"))
    known = [Row(rows[2].text, {"abuse": 1}), Row(rows[3].text, dict(rows[3].labels))]
    checks = checked(rows, classifier, Data(known, [], []))
    assert [remark.places for remark in checks.duplicates] == [["new.csv:3", "new.csv:202"]]
    inside, outside = checks.conflicts
    assert inside.places == ["new.csv:3", "new.csv:202"]
    assert "differ in abuse" in inside.message
    assert outside.places == ["new.csv:4"]
    assert "known with another label for abuse" in outside.message


def test_texts_that_models_are_measured_on_are_left_out(classifier: Classifier) -> None:
    rows = company()
    long = "one two three four five six seven eight"
    rows.append(Row(f"so {long} nine", {"abuse": 0}, group="new y"))
    test = [Row(rows[5].text.title(), {}), Row(f"{long} and more", {})]
    checks = checked(rows, classifier, Data([], [], test))
    assert [remark.places for remark in checks.held_out] == [["new.csv:7"], ["new.csv:202"]]
    assert 5 not in checks.kept
    assert len(checks.kept) == 199


def test_flipped_labels_are_listed_with_their_lines(classifier: Classifier) -> None:
    rows = company()
    flipped = set(random.Random(1).sample(range(200), 20))
    for i in flipped:
        rows[i].labels["abuse"] = 1 - rows[i].labels["abuse"]
    checks = checked(rows, classifier)
    listed = {s["place"] for s in checks.suspicions if s["label"] == "abuse"}
    wanted = {f"new.csv:{i + 2}" for i in flipped}
    assert len(listed & wanted) >= 15
    assert len(listed - wanted) <= 5
    first = next(s for s in checks.suspicions if s["label"] == "abuse")
    assert first["given"] != round(first["expected"])
    assert first["neighbours"] == 5


def test_many_wrong_labels_make_a_large_share(classifier: Classifier) -> None:
    rows = company(300)
    chance = random.Random(2)
    for row in rows:
        if chance.random() < 0.4:
            row.labels["abuse"] = 1 - row.labels["abuse"]
    checks = checked(rows, classifier)
    assert checks.suspicious_share > 0.2
    assert any("of the labels of abuse look wrong" in note for note in checks.notes)


def test_nothing_is_judged_where_a_class_is_rare(classifier: Classifier) -> None:
    rows = company(40)
    found = find_suspicious(rows, classifier)
    assert set(found.shares) == {"abuse"}
    assert find_suspicious(rows[:20], classifier).share == 0


def test_the_report_has_every_line_and_no_markup_of_the_texts(
    classifier: Classifier, tmp_path: Path
) -> None:
    rows = [*company(), Row("<b>|bold|</b> `x`", {"abuse": 1}, group="new z")]
    rows.append(Row("<b>|bold|</b> `x`", {"abuse": 0}, group="new z"))
    checks = checked(rows, classifier)
    report = to_markdown(checks)
    assert "## Conflicts" in report
    assert r"new.csv:202, new.csv:203: “\<b\>\|bold\|" in report
    assert [title for title, _ in sections(checks)].count("Conflicts") == 1
