"""Compares our CSV export with PostgreSQL's COPY and with a csv.writer loop over the same SELECT."""

import datetime
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from urllib.request import Request, urlopen

import psycopg
from sqlalchemy import Engine

from benchmarks.servers import Servers
from service.db.base import new_id
from service.db.keyring import Keyring
from tests.processes import KEYS, ROOT

READ_BYTES = 256 * 1024
MONTH = datetime.timedelta(days=30)


@dataclass
class Throughput:
    """Rows per second of each export, one for each round."""

    ours: list[float] = field(default_factory=list)
    copy: list[float] = field(default_factory=list)
    rows: list[float] = field(default_factory=list)


def run(servers: Servers, *, rows: int, rounds: int) -> Throughput:
    """Store `rows` pledges, and download them in alternating rounds from our route and from the two baselines."""
    store_pledges(servers.engine, rows)
    token = subprocess.run(
        [sys.executable, "-m", "service", "token", "create", "--name", "bench", "--scope", "export"],
        env=servers.environment,
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    ours = f"http://127.0.0.1:{servers.mainstay}/v1/admin/pledges/export?format=csv"
    baseline = f"http://127.0.0.1:{servers.baseline}/export"
    speeds = Throughput()
    for _ in range(rounds):
        speeds.ours.append(_download(ours, rows, token))
        speeds.copy.append(_download(f"{baseline}/copy", rows))
        speeds.rows.append(_download(f"{baseline}/rows", rows))
    return speeds


def table(speeds: Throughput, rows: int) -> str:
    """Return the figures as a plain-text table."""
    lines = [f"{f'CSV export of {rows:,} pledges':32}{'rows/s':>11}   ours / this (lowest to highest)"]
    for name, theirs in (("ours", None), ("COPY … CSV", speeds.copy), ("csv.writer loop", speeds.rows)):
        line = f"{name:32}{statistics.median(theirs or speeds.ours):>11,.0f}"
        if theirs is not None:
            ratios = [ours / other for ours, other in zip(speeds.ours, theirs, strict=True)]
            line += f"   {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        lines.append(line)
    return "\n".join(lines)


def _download(url: str, rows: int, token: str = "") -> float:
    """Return the rows per second of one download; stop if a row is missing."""
    request = Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    begin = time.perf_counter()
    lines = 0
    with urlopen(request, timeout=300) as response:
        while chunk := response.read(READ_BYTES):
            lines += chunk.count(b"\n")
    seconds = time.perf_counter() - begin
    if lines != rows + 1:
        raise SystemExit(f"{url} returned {lines - 1:,} rows of {rows:,}")
    return rows / seconds


def store_pledges(engine: Engine, rows: int) -> None:
    """Store `rows` pledges with one payment each, and two pledges for each supporter."""
    keyring = Keyring((KEYS,))
    now = datetime.datetime.now(datetime.UTC)
    supporters = [new_id() for _ in range(rows // 2)]
    pledges = [new_id() for _ in range(rows)]
    connection = engine.raw_connection()
    try:
        cursor: psycopg.Cursor = connection.cursor()
        campaign = cursor.execute("SELECT id FROM campaigns WHERE slug = 'default'").fetchone()[0]
        with cursor.copy("COPY supporters (id, email, email_hash, created_at) FROM STDIN") as copy:
            for number, supporter in enumerate(supporters):
                address = f"export{number}@paper.example"
                encrypted = keyring.encrypt(address.encode(), context=b"supporters.email")
                copy.write_row((supporter, encrypted, keyring.lookup_hash(address), now))
        columns = "id, campaign_id, supporter_id, status, frequency, amount_minor, currency"
        rest = "page_url, gateway, created_at, gateway_reference"
        with cursor.copy(f"COPY pledges ({columns}, {rest}) FROM STDIN") as copy:
            for number, pledge in enumerate(pledges):
                page = f"https://paper.example/2026/11/{number % 500}"
                row = (pledge, campaign, supporters[number // 2], "active", "monthly", 500 + number % 1000, "USD")
                copy.write_row((*row, page, "sandbox", now - MONTH, f"bench-{number}"))
        columns = "id, pledge_id, status, amount_minor, currency, gateway, gateway_reference, paid_at"
        with cursor.copy(f"COPY payments ({columns}) FROM STDIN") as copy:
            for number, pledge in enumerate(pledges):
                row = (new_id(), pledge, "succeeded", 500 + number % 1000, "USD", "sandbox", f"bench-{number}")
                copy.write_row((*row, now - MONTH))
        connection.commit()
        cursor.execute("ANALYZE")
        connection.commit()
    finally:
        connection.close()
