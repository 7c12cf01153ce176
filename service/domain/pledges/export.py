"""Exporting pledges as CSV, JSON Lines or a workbook, row by row in constant memory."""

import csv
import datetime
import io
import json
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from service.domain.money import exponent
from service.domain.pledges.formula_guard import guard_formulas
from service.domain.pledges.workbook import write_workbook

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
    "paid_total_minor",
    "timezone",
    "paused",
    "resumes_at",
)
CONTENT_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
BATCH_SIZE = 200
BYTE_ORDER_MARK = "\ufeff"

Row = tuple[Any, ...]


def write_export(kind: str, pledges: Iterable[Any], *, bom: bool = True) -> Iterator[bytes]:
    """Yield the file in chunks, from rows of `queries.stream_pledges`.

    Args:
        kind: csv, jsonl or xlsx.
        pledges: the rows.
        bom: whether CSV begins with a byte order mark, without which Excel does not read it as UTF-8.

    """
    writers: dict[str, Callable[[Iterable[Row]], Iterator[bytes]]] = {
        "csv": lambda rows: _csv(rows, bom=bom),
        "jsonl": _jsonl,
        "xlsx": lambda rows: write_workbook(COLUMNS, rows),
    }
    return writers[kind](map(_row, pledges))


def _row(row: Any) -> Row:
    """Return one pledge in the order of `COLUMNS`: amounts in major units, times in the row's own time zone."""
    zone = ZoneInfo(row.timezone)
    paid_minor = int(row.paid_minor)
    last = row.last_payment_at
    return (
        str(row.id),
        row.created_at.astimezone(zone),
        row.campaign,
        row.status.value,
        row.frequency.value,
        _major_units(row.amount_minor, row.currency),
        row.amount_minor,
        row.currency,
        row.email,
        row.payments,
        _major_units(paid_minor, row.currency),
        None if last is None else last.astimezone(zone),
        row.page_url,
        row.variant,
        row.gateway,
        row.gateway_reference,
        paid_minor,
        row.timezone,
        "yes" if row.is_paused else "no",
        None if row.resumes_at is None else row.resumes_at.astimezone(zone),
    )


def _major_units(amount_minor: int, currency: str) -> Decimal:
    """Return an amount whose decimal places are those of the currency."""
    return Decimal(amount_minor).scaleb(-exponent(currency))


def _csv(rows: Iterable[Row], *, bom: bool) -> Iterator[bytes]:
    """Yield CSV as in RFC 4180."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    if bom:
        buffer.write(BYTE_ORDER_MARK)
    writer.writerow(COLUMNS)
    for number, row in enumerate(rows, start=1):
        writer.writerow([_csv_cell(value) for value in row])
        if number % BATCH_SIZE == 0:
            yield _drain(buffer)
    yield _drain(buffer)


def _csv_cell(value: Any) -> Any:
    # Numbers are never guarded: a negative total would become text.
    return guard_formulas(value) if isinstance(value, str) else _plain(value)


def _jsonl(rows: Iterable[Row]) -> Iterator[bytes]:
    """Yield one JSON object a line."""
    buffer = io.StringIO()
    for number, row in enumerate(rows, start=1):
        values = dict(zip(COLUMNS, map(_plain, row), strict=True))
        buffer.write(json.dumps(values, ensure_ascii=False) + "\n")
        if number % BATCH_SIZE == 0:
            yield _drain(buffer)
    yield _drain(buffer)


def _plain(value: Any) -> Any:
    """Return an amount as a decimal string, and a time as RFC 3339 with the offset of its zone."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime.datetime):
        return value.isoformat(timespec="seconds").replace("+00:00", "Z")
    return value


def _drain(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode()
