import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from model.spreadsheet import guard, unguard


@given(st.text(alphabet="'=+-@＝ \t\n1.5eaع", max_size=6) | st.text())
@example("'=1")
@example("'-1")
def test_a_text_comes_back_as_it_was(text: str) -> None:
    assert unguard(guard(text)) == text
    assert not guard(text).startswith(("=", "@"))


@pytest.mark.parametrize("text", ['=HYPERLINK("http://a")', "@SUM(1)", " +cmd|' /C calc'!A0", "-a"])
def test_what_a_spreadsheet_would_run_is_text(text: str) -> None:
    assert guard(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "-5", "+1.5e3", "عايز فلوسي", "'quoted'", "a=b"])
def test_other_texts_stay(text: str) -> None:
    assert guard(text) == unguard(text) == text
