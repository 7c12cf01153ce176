"""Exporting pledges as CSV, JSON Lines or a spreadsheet, row by row in constant memory."""

import csv
import io
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import xlsxwriter

from service.domain.money import Money, format_major_units

COLUMNS = (
    "id",
    "created_at",
    "campaign",
    "status",
    "frequency",
    "amount",
    "amount_minor",
    "currency",
    "email",
    "payments",
    "paid_total",
    "last_payment_at",
    "page_url",
    "variant",
    "gateway",
    "gateway_reference",
)
CONTENT_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
BATCH_SIZE = 200
FILE_CHUNK_BYTES = 64 * 1024
# A sheet has at most 1,048,576 rows, of which the first is the header; further pledges go to another sheet.
MAX_SHEET_ROWS = 1_048_575
# A spreadsheet would run a cell that begins with one of these as a formula (OWASP, CSV injection).
FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r")
TIMESTAMP_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def write_export(kind: str, pledges: Iterable[Any]) -> Iterator[bytes]:
    """Yield the file in chunks, from rows of `queries.stream_pledges`; `kind` is csv, jsonl or xlsx."""
    writers: dict[str, Callable[[Iterable[tuple[Any, ...]]], Iterator[bytes]]] = {
        "csv": _csv,
        "jsonl": _jsonl,
        "xlsx": _xlsx,
    }
    return writers[kind](map(_row, pledges))


def _row(row: Any) -> tuple[Any, ...]:
    """Return one pledge as plain values in the order of `COLUMNS`; amounts in major units, as text."""
    last = row.last_payment_at
    return (
        str(row.id),
        row.created_at.strftime(TIMESTAMP_FORMAT),
        row.campaign,
        row.status.value,
        row.frequency.value,
        format_major_units(Money(row.amount_minor, row.currency)),
        row.amount_minor,
        row.currency,
        row.email,
        row.payments,
        format_major_units(Money(int(row.paid_minor), row.currency)),
        None if last is None else last.strftime(TIMESTAMP_FORMAT),
        row.page_url,
        row.variant,
        row.gateway,
        row.gateway_reference,
    )


def escape_formula(value: Any) -> Any:
    """Return text that a spreadsheet shows and never runs; any other value is returned unchanged."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_PREFIXES) else value


def _csv(rows: Iterable[tuple[Any, ...]]) -> Iterator[bytes]:
    """Yield CSV as in RFC 4180."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for number, row in enumerate(rows, start=1):
        writer.writerow([escape_formula(value) for value in row])
        if number % BATCH_SIZE == 0:
            yield _drain(buffer)
    yield _drain(buffer)


def _jsonl(rows: Iterable[tuple[Any, ...]]) -> Iterator[bytes]:
    """Yield one JSON object a line."""
    buffer = io.StringIO()
    for number, row in enumerate(rows, start=1):
        buffer.write(json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=False) + "\n")
        if number % BATCH_SIZE == 0:
            yield _drain(buffer)
    yield _drain(buffer)


def _xlsx(rows: Iterable[tuple[Any, ...]]) -> Iterator[bytes]:
    """Yield a workbook, which is built on disk because its format cannot be streamed."""
    with tempfile.TemporaryFile() as file:
        options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
        workbook = xlsxwriter.Workbook(file, options)
        bold = workbook.add_format({"bold": True})
        sheet, line = None, 0
        for row in rows:
            if sheet is None or line > MAX_SHEET_ROWS:
                sheet, line = _new_sheet(workbook, bold), 1
            sheet.write_row(line, 0, [escape_formula(value) for value in row])
            line += 1
        if sheet is None:
            _new_sheet(workbook, bold)
        workbook.close()
        file.seek(0)
        while chunk := file.read(FILE_CHUNK_BYTES):
            yield chunk


def _new_sheet(workbook: Any, header_format: Any) -> Any:
    sheet = workbook.add_worksheet()
    sheet.freeze_panes(1, 0)
    sheet.write_row(0, 0, COLUMNS, header_format)
    return sheet


def _drain(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode()
