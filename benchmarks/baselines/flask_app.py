"""The bare routes: what Flask and SQLAlchemy cost with nothing of ours around them.

They check nothing, encrypt nothing, keep no history, count no client and log nothing. Our own routes do all of
that, so they cannot be as fast; the distance is the price, and `make bench` shows it.
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

# Without the payments' sums, an export would be of another table; without our columns, of another file.
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
respond = Path(os.environ["BARE_ANSWER"]).read_bytes()


@app.post("/reminders")
def set_reminder() -> tuple[dict[str, str], int]:
    """Read the JSON, insert one row, commit."""
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
    """Return the bytes that our own route returned before the clock started."""
    return Response(respond, content_type="application/json")


@app.get("/export/copy")
def copy_export() -> Response:
    """Let PostgreSQL write the CSV."""
    return Response(_copied(), content_type="text/csv; charset=utf-8")


def _copied() -> Iterator[bytes]:
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
    """Loop over the rows with a csv.writer."""
    return Response(_written(), content_type="text/csv; charset=utf-8")


def _written() -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    with engine.connect() as connection:
        cursor = connection.connection.cursor(name="bare_export")
        cursor.execute(EXPORT)
        writer.writerow([column.name for column in cursor.description])
        while rows := cursor.fetchmany(CHUNK_ROWS):
            writer.writerows(rows)
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
        yield buffer.getvalue().encode()
