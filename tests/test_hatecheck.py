"""Functional tests of hate detection: HateCheck's form, and the cases of the same kind that we wrote."""

from pathlib import Path

import pytest

from benchmarks.hatecheck import OWN, Case, found_in, read_cases, report
from model import Classifier
from training.mixture import shingles, text_key
from training.own import load_written

_HEAD = "case_id,functionality,test_case,label_gold\n"


def cases_file(folder: Path, text: str) -> Path:
    path = folder / "cases.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_abuse_of_somebody_in_no_protected_group_is_abuse(tmp_path: Path) -> None:
    path = cases_file(
        tmp_path,
        _HEAD
        + "1,derog_dehum_h,They are pests.,hateful\n"
        + '2,target_indiv_nh,"You, sir, are a pest.",non-hateful\n'
        + "3,target_obj_nh,This app is a pest.,non-hateful\n",
    )
    assert [case.degrades for case in read_cases(path)] == [True, True, False]
    assert read_cases(path)[1].text == "You, sir, are a pest."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("text,label\na,hateful\n", "lacks functionality, label_gold, test_case"),
        ("", "lacks functionality"),
        (_HEAD, "no case"),
        (_HEAD + "1,slur_h,a,hate\n", "line 2: needs a test_case, and hateful or non-hateful"),
        (_HEAD + "1,slur_h,,hateful\n", "line 2"),
        (_HEAD + "1,slur_h,a\n", "line 2"),
    ],
)
def test_another_file_is_told_what_it_lacks(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_cases(cases_file(tmp_path, text))


def test_accusation_alone_does_not_find_a_case(classifier: Classifier) -> None:
    texts = ("z", "q", "j", "a")  # the test model's abuse, threat, accusation, and nothing
    assert found_in(classifier, [Case("", text, True) for text in texts]) == [
        True,
        True,
        False,
        False,
    ]


def test_both_sides_are_told() -> None:
    cases = [Case("slur_h", "", True)] * 4 + [Case("neutral_nh", "", False)] * 5
    lines = report(cases, [True, True, True, False, True, *[False] * 4])
    assert lines[0].startswith("9 cases, macro-F1 0.775 (")
    assert lines[0].endswith("75.0% of 4 degrading ones found, 80.0% of 5 others passed.")
    assert lines[-2:] == ["| slur_h | 4 | 75% |", "| neutral_nh | 5 | 80% |"]


def test_one_side_alone_has_no_macro_f1() -> None:
    assert report([Case("slur_h", "", True)] * 2, [True, False])[0] == "2 cases."


@pytest.mark.parametrize("path", sorted(OWN.glob("*.csv")), ids=lambda path: path.stem)
def test_our_cases_have_both_sides_and_train_nothing(path: Path) -> None:
    cases = read_cases(path)
    assert min(sum(case.degrades for case in cases), sum(not c.degrades for c in cases)) >= 40
    assert len({text_key(case.text) for case in cases}) == len(cases)
    written = [text_key(row.text) for row in load_written()]
    assert not {text_key(case.text) for case in cases} & set(written)
    known = {run for key in written for run in shingles(key)}
    assert known.isdisjoint(run for case in cases for run in shingles(text_key(case.text)))
