"""Writing rows as an Office Open XML workbook (ECMA-376) that is sent while it is made.

XlsxWriter makes the workbook's styles and lists of parts, but only as a whole. The rows are therefore written
here, into sheets that it made empty, and each sheet is compressed into the ZIP file as its rows arrive.
"""

import datetime
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import xlsxwriter
from xlsxwriter.utility import xl_col_to_name

CHUNK_BYTES = 64 * 1024
BATCH_ROWS = 100
# A sheet has at most 1,048,576 rows; further ones go to another sheet. So do those after a gigabyte, because some
# readers reject the ZIP64 form that larger parts need.
MAX_SHEET_ROWS = 1_048_576
MAX_SHEET_BYTES = 2**30
MAX_CELL_CHARACTERS = 32_767
# Text of three times the size is compressed in a third of the time of the default.
COMPRESSION_LEVEL = 1
# A spreadsheet counts days from here; the day before 1 March 1900 is off by one in Excel.
EPOCH = datetime.datetime(1899, 12, 30)  # noqa: DTZ001 - a spreadsheet's times have no zone
SECONDS_A_DAY = 86_400
NUMBER_FORMATS = {
    str: "@",
    datetime.datetime: "yyyy-mm-dd hh:mm:ss",
    int: "0",
    0: "#,##0",
    -2: "#,##0.00",
    -3: "#,##0.000",
    -4: "#,##0.0000",
}
"""The format of each type of cell; that of a `Decimal` by its exponent."""
COLUMN_WIDTH = 19
# These parts name the sheets, so they are written after them.
PARTS_THAT_NAME_SHEETS = (
    "docProps/app.xml",
    "xl/workbook.xml",
    "xl/_rels/workbook.xml.rels",
    "[Content_Types].xml",
)
# Markup, characters that XML 1.0 cannot contain, and what would be read as the escape of one (ECMA-376,
# ST_Xstring).
_NEEDS_ESCAPE = re.compile("[&<>\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
_MARKUP = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


class _ZipOutput(io.RawIOBase):
    """A file that cannot be rewound, which makes `zipfile` write sizes after each part instead of before it."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def write(self, data: Any, /) -> int:
        self._bytes += data
        return len(data)

    def __len__(self) -> int:
        return len(self._bytes)

    def drain(self) -> bytes:
        data = bytes(self._bytes)
        self._bytes.clear()
        return data


@dataclass(frozen=True)
class _Sheet:
    """The XML before and after a sheet's rows, and the style of each type of cell."""

    head: str
    tail: str
    styles: dict[Any, str]


def write_workbook(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """Yield a workbook in chunks: typed cells under a header, in as many sheets as the rows need.

    Values are `str`, `int`, `Decimal`, `datetime` (shown by the clock of its own zone) or None.
    """
    output = _ZipOutput()
    remaining = iter(rows)
    first_parts = _package(columns, sheets=1)
    sheet = _empty_sheet(first_parts)
    letters = [xl_col_to_name(number) for number in range(len(columns))]
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION_LEVEL) as archive:
        for name, part in first_parts.items():
            if name not in PARTS_THAT_NAME_SHEETS and not name.startswith("xl/worksheets/"):
                archive.writestr(name, part)
        row = next(remaining, None)
        sheets = 0
        while row is not None or sheets == 0:
            sheets += 1
            with archive.open(f"xl/worksheets/sheet{sheets}.xml", "w") as file:
                size = file.write((sheet.head if sheets == 1 else _unselected(sheet.head)).encode())
                line = 1
                batch: list[str] = []
                while row is not None and line < MAX_SHEET_ROWS and size < MAX_SHEET_BYTES:
                    line += 1
                    batch.append(_row_xml(row, line, letters, sheet.styles))
                    row = next(remaining, None)
                    if len(batch) == BATCH_ROWS:
                        size += file.write("".join(batch).encode())
                        batch.clear()
                        if len(output) >= CHUNK_BYTES:
                            yield output.drain()
                file.write("".join([*batch, sheet.tail]).encode())
        parts = _package(columns, sheets=sheets)
        for name in PARTS_THAT_NAME_SHEETS:
            archive.writestr(name, parts[name])
    yield output.drain()


def _package(columns: Sequence[str], *, sheets: int) -> dict[str, bytes]:
    """Return the parts of a workbook whose sheets have the header, and under it an empty cell of each style."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as workbook:
        bold = workbook.add_format({"bold": True})
        styles = [workbook.add_format({"num_format": number_format}) for number_format in NUMBER_FORMATS.values()]
        for _ in range(sheets):
            sheet = workbook.add_worksheet()
            sheet.freeze_panes(1, 0)
            sheet.set_column(0, len(columns) - 1, COLUMN_WIDTH)
            sheet.write_row(0, 0, columns, bold)
            for column, style in enumerate(styles):
                sheet.write_blank(1, column, None, style)
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _empty_sheet(parts: dict[str, bytes]) -> _Sheet:
    """Return what is around the rows of the first sheet of `_package`."""
    xml = parts["xl/worksheets/sheet1.xml"].decode()
    # It would announce two rows, and some readers read no more than that.
    xml = re.sub("<dimension [^>]*/>", "", xml)
    head, _, rest = xml.partition('<row r="2"')
    samples, _, tail = rest.partition("</sheetData>")
    styles = re.findall(r'<c r="[A-Z]+2" s="([0-9]+)"/>', samples)
    return _Sheet(head, f"</sheetData>{tail}", dict(zip(NUMBER_FORMATS, styles, strict=True)))


def _unselected(head: str) -> str:
    """Return the head of a further sheet.

    What is typed into one of several selected sheets would change all of them.
    """
    return head.replace(' tabSelected="1"', "")


def _row_xml(row: Sequence[Any], line: int, letters: Sequence[str], styles: dict[Any, str]) -> str:
    cells = [
        _cell_xml(value, f"{letter}{line}", styles)
        for letter, value in zip(letters, row, strict=True)
        if value is not None
    ]
    return f'<row r="{line}">{"".join(cells)}</row>'


def _cell_xml(value: Any, reference: str, styles: dict[Any, str]) -> str:
    if isinstance(value, str):
        text = _NEEDS_ESCAPE.sub(_escape, value[:MAX_CELL_CHARACTERS])
        style = styles[str]
        return f'<c r="{reference}" s="{style}" t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'
    if isinstance(value, Decimal):
        return f'<c r="{reference}" s="{styles[value.as_tuple().exponent]}"><v>{value}</v></c>'
    if isinstance(value, datetime.datetime):
        return f'<c r="{reference}" s="{styles[datetime.datetime]}"><v>{_serial_date(value)}</v></c>'
    return f'<c r="{reference}" s="{styles[int]}"><v>{value}</v></c>'


def _serial_date(value: datetime.datetime) -> float:
    """Return the days since the epoch of spreadsheets, to the second."""
    passed = value.replace(tzinfo=None) - EPOCH
    return passed.days + passed.seconds / SECONDS_A_DAY


def _escape(match: re.Match[str]) -> str:
    return _MARKUP.get(match[0]) or f"_x{ord(match[0]):04X}_"
