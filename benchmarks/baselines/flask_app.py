"""A baseline: minimal routes that show the cost of Flask and SQLAlchemy alone.

They validate nothing, encrypt nothing, keep no history, limit no rate and log nothing. Our own routes do all of
that, so they cannot be as fast; `make bench` shows the difference.
"""

import csv
import datetime
import io
import json
import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import xlsxwriter
from flask import Flask, Response, request
from sqlalchemy import create_engine

from benchmarks.baselines.table import minimal_reminders

CHUNK_ROWS = 200
FILE_CHUNK_BYTES = 64 * 1024

# The same columns as our export, with the sums of the payments, so that both produce the same file.
EXPORT = """
    SELECT p.id, p.created_at, c.slug, p.status, p.frequency, p.amount_minor / 100.0, p.amount_minor, p.currency,
           encode(s.email, 'hex'), coalesce(paid.payments, 0), coalesce(paid.minor, 0) / 100.0, paid.last_at,
           p.page_url, p.variant, p.gateway, p.gateway_reference, coalesce(paid.minor, 0), c.timezone
    FROM pledges p
    JOIN campaigns c ON c.id = p.campaign_id
    LEFT JOIN supporters s ON s.id = p.supporter_id
    LEFT JOIN (SELECT pledge_id, count(*) AS payments, sum(amount_minor) AS minor, max(paid_at) AS last_at
               FROM payments WHERE status = 'succeeded' GROUP BY pledge_id) paid ON paid.pledge_id = p.id
    ORDER BY p.id
"""

app = Flask(__name__, static_folder=None)
engine = create_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://", 1))
campaign_body = Path(os.environ["CAMPAIGN_BODY"]).read_bytes()


@app.post("/reminders")
def create_reminder() -> tuple[dict[str, str], int]:
    """Parse the JSON, insert one row, commit."""
    payload = request.get_json()
    now = datetime.datetime.now(datetime.UTC)
    due_at = now + datetime.timedelta(days=30)
    row = {
        "id": uuid.uuid4(),
        "campaign": payload["campaign"],
        "email": payload["email"],
        "status": "scheduled",
        "occurrence": 1,
        "months": payload["months"],
        "due_on": due_at.date(),
        "due_at": due_at,
        "timezone": payload["timezone"],
        "frequency": payload["frequency"],
        "amount_minor": payload["amount"],
        "page_url": payload["page_url"],
        "lang": payload["lang"],
        "consent_version": payload["consent_version"],
        "asked_at": now,
        "attempts": 0,
        "lease_number": 0,
    }
    with engine.begin() as connection:
        connection.execute(minimal_reminders.insert(), row)
    return {"status": "scheduled", "due_on": due_at.date().isoformat(), "due_at": due_at.isoformat()}, 201


@app.get("/campaign")
def show_campaign() -> Response:
    """Return the same bytes as our own route, from memory."""
    return Response(campaign_body, content_type="application/json")


@app.get("/export/copy")
def copy_export() -> Response:
    """Stream the CSV that PostgreSQL's COPY writes."""
    return Response(_stream_copy(), content_type="text/csv; charset=utf-8")


def _stream_copy() -> Iterator[bytes]:
    with engine.connect() as connection:
        cursor = connection.connection.cursor()
        with cursor.copy(f"COPY ({EXPORT}) TO STDOUT (FORMAT csv, HEADER)") as copy:
            rows: list[bytes] = []
            for row in copy:
                rows.append(bytes(row))
                if len(rows) == CHUNK_ROWS:
                    yield b"".join(rows)
                    rows.clear()
            yield b"".join(rows)


@app.get("/export/rows")
def write_export() -> Response:
    """Stream the CSV that a csv.writer writes from a server-side cursor."""
    return Response(_stream_rows(), content_type="text/csv; charset=utf-8")


@app.get("/export/jsonl")
def write_json_lines() -> Response:
    """Stream what json.dumps writes of each row."""
    return Response(_stream_json(), content_type="application/x-ndjson")


@app.get("/export/xlsx")
def write_workbook() -> Response:
    """Send a workbook that XlsxWriter has completed on disk."""
    return Response(_complete_workbook(), content_type="application/octet-stream")


def _read_rows() -> Iterator[list[tuple[Any, ...]]]:
    """Yield the names of the columns, and then the rows in batches."""
    with engine.connect() as connection:
        cursor = connection.connection.cursor(name="baseline_export")
        cursor.execute(EXPORT)
        yield [tuple(column.name for column in cursor.description)]
        while rows := cursor.fetchmany(CHUNK_ROWS):
            yield rows


def _stream_rows() -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    for rows in _read_rows():
        writer.writerows(rows)
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()


def _stream_json() -> Iterator[bytes]:
    batches = _read_rows()
    [names] = next(batches)
    for rows in batches:
        lines = [json.dumps(dict(zip(names, row, strict=True)), default=str) for row in rows]
        yield ("\n".join(lines) + "\n").encode()


def _complete_workbook() -> Iterator[bytes]:
    with tempfile.TemporaryFile() as file:
        options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
        with xlsxwriter.Workbook(file, options | {"remove_timezone": True}) as workbook:
            sheet = workbook.add_worksheet()
            time = workbook.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
            line = 0
            for rows in _read_rows():
                for row in rows:
                    for column, value in enumerate(row):
                        # The ids are the only values that it cannot write.
                        shown = str(value) if isinstance(value, uuid.UUID) else value
                        sheet.write(line, column, shown, time if isinstance(value, datetime.datetime) else None)
                    line += 1
        file.seek(0)
        while chunk := file.read(FILE_CHUNK_BYTES):
            yield chunk
