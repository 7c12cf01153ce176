"""Workbooks that are sent while they are made: their chunks, their sheets and what their cells hold."""

import datetime
import io
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.pledges import workbook
from service.domain.pledges.workbook import CHUNK_BYTES, write_workbook

Book = openpyxl.Workbook


def load(rows: list[tuple[Any, ...]], columns: tuple[str, ...] = ("text", "number")) -> Book:
    file = io.BytesIO(b"".join(write_workbook(columns, rows)))
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
    return openpyxl.load_workbook(file)


def values(sheet: Any) -> list[tuple[Any, ...]]:
    return list(sheet.iter_rows(values_only=True))


def test_rows_are_sent_before_the_last_one_is_read() -> None:
    """The first chunk of a large workbook does not wait for its last row."""
    read = 0

    def rows() -> Iterator[tuple[str, int]]:
        nonlocal read
        for number in range(100_000):
            read += 1
            yield f"{number * 7919 % 100_003:x} {number * 104_729:x}", number

    chunks = write_workbook(("text", "number"), rows())
    first = next(chunks)
    assert first.startswith(b"PK\x03\x04")
    assert CHUNK_BYTES <= len(first) < 2 * CHUNK_BYTES
    assert read < 20_000
    rest = list(chunks)
    assert len(rest) > 5
    sheet = openpyxl.load_workbook(io.BytesIO(first + b"".join(rest)), read_only=True).active
    assert sum(1 for _ in sheet.iter_rows()) == 100_001


def test_abandoned_workbook_stops_reading_rows() -> None:
    closed = False

    def rows() -> Iterator[tuple[str, int]]:
        nonlocal closed
        try:
            for number in range(1_000_000):
                yield f"{number * 7919:x}", number
        finally:
            closed = True

    chunks = write_workbook(("text", "number"), rows())
    next(chunks)
    chunks.close()
    del chunks
    assert closed


@pytest.mark.parametrize(
    ("rows", "sheets"), [(0, [0]), (1, [1]), (2, [2]), (3, [2, 1]), (4, [2, 2]), (5, [2, 2, 1])]
)
def test_rows_that_do_not_fit_go_to_further_sheets(
    monkeypatch: pytest.MonkeyPatch, rows: int, sheets: list[int]
) -> None:
    monkeypatch.setattr(workbook, "MAX_SHEET_ROWS", 3)
    book = load([(f"row {number}", number) for number in range(rows)])
    assert [len(values(sheet)) - 1 for sheet in book] == sheets
    assert {values(sheet)[0] for sheet in book} == {("text", "number")}
    assert [row[1] for sheet in book for row in values(sheet)[1:]] == list(range(rows))
    # Several selected sheets would all change when one is edited.
    assert [sheet.sheet_view.tabSelected or False for sheet in book] == [True, *[False] * (len(sheets) - 1)]
    assert {sheet.freeze_panes for sheet in book} == {"A2"}


def test_sheet_that_grows_too_large_for_plain_zip_is_continued_on_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workbook, "MAX_SHEET_BYTES", 20_000)
    monkeypatch.setattr(workbook, "BATCH_ROWS", 10)
    book = load([("x" * 100, number) for number in range(1000)])
    assert len(book.worksheets) > 5
    assert [row[1] for sheet in book for row in values(sheet)[1:]] == list(range(1000))


def test_every_part_is_compressed_and_has_the_plain_form() -> None:
    """LibreOffice 24.8 rejects stored parts whose size follows them, and Excel rejects some ZIP64 forms."""
    file = io.BytesIO(b"".join(write_workbook(("text",), [("a",)])))
    with zipfile.ZipFile(file) as archive:
        parts = archive.infolist()
    assert {part.compress_type for part in parts} == {zipfile.ZIP_DEFLATED}
    assert {part.extract_version for part in parts} == {20}
    # Programs that look only at the start of a file know a workbook by this name.
    assert parts[0].filename == "_rels/.rels"


def test_columns_may_differ_in_every_row() -> None:
    midnight = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    book = load([("a", 1), (None, None), (Decimal("-2.50"), midnight), ("", Decimal(7))])
    naive = midnight.replace(tzinfo=None)
    assert values(book.active)[1:] == [("a", 1), (None, None), (-2.5, naive), ("", 7)]


def test_text_is_cut_at_what_a_cell_can_hold() -> None:
    assert len(values(load([("x" * 40_000, 1)]).active)[1][0]) == 32_767


@settings(deadline=None, max_examples=200)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_any_text_makes_a_readable_workbook(text: str) -> None:
    [_, (cell, _)] = values(load([(text, 1)]).active)
    assert isinstance(cell, str)
    if text.isprintable() and "_x" not in text:
        assert cell == text


@settings(deadline=None, max_examples=200)
@given(st.datetimes(datetime.datetime(1901, 1, 1), datetime.datetime(2500, 1, 1)))  # noqa: DTZ001 - as shown
def test_times_are_exact_to_the_second(shown: datetime.datetime) -> None:
    aware = shown.replace(microsecond=0, tzinfo=datetime.UTC)
    assert values(load([(aware, 1)]).active)[1][0] == aware.replace(tzinfo=None)
