"""Formula injection: no part of a guarded cell begins with a formula sign, whichever separator it is split at."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.domain.pledges.formula_guard import guard_formulas

SIGNS = "=+-@＝＋－＠"
SEPARATORS = ",;\t|\r\n"
# Pieces of what an attacker would try, so that signs, blanks and separators often meet.
PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            [*SIGNS, *SEPARATORS, "\r\n", " ", "\xa0", "\u3000", "\ufeff", "\u2028", '"', "'", "1", "x"]
        ),
        st.text(max_size=3),
    ),
    max_size=12,
).map("".join)


def cells_at_any_separator(text: str) -> list[str]:
    """Return what spreadsheets may take for a cell, for one separator and for all at once."""
    parts = [text, *re.split(f"[{SEPARATORS}]", text)]
    for separator in SEPARATORS:
        parts += text.split(separator)
    return parts


@settings(deadline=None, max_examples=1000)
@given(PIECES)
@example("x;=1+1;y")
@example('x;"=1+1";y')
@example("\t=1")
def test_no_part_of_a_guarded_cell_begins_with_a_formula_sign(text: str) -> None:
    for cell in cells_at_any_separator(guard_formulas(text)):
        assert not cell.strip('\ufeff"' + " \xa0\u3000\t\r\n").startswith(tuple(SIGNS)), cell


@settings(deadline=None)
@given(PIECES)
def test_guard_only_adds_apostrophes_and_only_once(text: str) -> None:
    guarded = guard_formulas(text)
    assert guarded.replace("'", "") == text.replace("'", "")
    assert guard_formulas(guarded) == guarded


@pytest.mark.parametrize(
    ("text", "guarded"),
    [
        ("=1+1", "'=1+1"),
        ("-5", "'-5"),
        ("+31 20 123 4567", "'+31 20 123 4567"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("＝1", "'＝1"),
        ("－1", "'－1"),
        ("  =1", "'  =1"),
        ("\xad=1", "'\xad=1"),
        ("x;\u202e=1", "x;'\u202e=1"),
        ("x,\u180e\u2066@A1", "x,'\u180e\u2066@A1"),
        ("\x9f\ufe0f=1", "'\x9f\ufe0f=1"),
        ("\u3000＝1", "'\u3000＝1"),
        ("\tcmd", "'\tcmd"),
        ("\rcmd", "'\rcmd"),
        ("x;=1+1;y", "x;'=1+1;y"),
        ("x; =1+1", "x;' =1+1"),
        ("a,=b|@c\t-d", "a,'=b|'@c\t'-d"),
        ("one\r\n=two", "one\r\n'=two"),
        ('x;"=1";y', 'x;\'"=1";y'),
        (";＝1;＋2", ";'＝1;'＋2"),
    ],
)
def test_formula_sign_is_guarded(text: str, guarded: str) -> None:
    assert guard_formulas(text) == guarded


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a=b",
        "'quoted'",
        "1-2",
        "Ünïcødé — 💶",
        "0012",
        "a\\b",
        "|pipe",
        "100%",
        "a, b; c",
        "x;y",
        "name@paper.example",
    ],
)
def test_harmless_text_is_unchanged(text: str) -> None:
    assert guard_formulas(text) == text
