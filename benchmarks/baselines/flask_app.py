"""A baseline: minimal routes that show the cost of Flask and SQLAlchemy alone.

They validate nothing, encrypt nothing, keep no history, limit no rate and log nothing. Our own routes do all of
that, so they cannot be as fast; `make bench` shows the difference.
"""

import csv
import datetime
import io
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from flask import Flask, Response, request
from sqlalchemy import create_engine

from benchmarks.baselines.table import minimal_reminders

CHUNK_ROWS = 200

# The same columns as our export, with the sums of the payments, so that both produce the same file.
EXPORT = """
    SELECT p.id, p.created_at, c.slug, p.status, p.frequency, p.amount_minor / 100.0, p.amount_minor, p.currency,
           encode(s.email, 'hex'), coalesce(paid.payments, 0), coalesce(paid.minor, 0) / 100.0, paid.last_at,
           p.page_url, p.variant, p.gateway, p.gateway_reference
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


def _stream_rows() -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    with engine.connect() as connection:
        cursor = connection.connection.cursor(name="baseline_export")
        cursor.execute(EXPORT)
        writer.writerow([column.name for column in cursor.description])
        while rows := cursor.fetchmany(CHUNK_ROWS):
            writer.writerows(rows)
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
        yield buffer.getvalue().encode()
