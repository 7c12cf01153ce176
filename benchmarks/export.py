"""Compares our exports with PostgreSQL's COPY and with plain loops over the same SELECT."""

import datetime
import io
import statistics
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from urllib.request import Request, urlopen

import psycopg
from sqlalchemy import Engine

from benchmarks.servers import Servers
from service.db.base import new_id
from service.db.keyring import Keyring
from tests.processes import KEYS, ROOT

READ_BYTES = 256 * 1024
MONTH = datetime.timedelta(days=30)


@dataclass(frozen=True, kw_only=True)
class Download:
    """One download: seconds until its first byte, and until its last."""

    first_byte: float
    total: float


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A file to download: from our route, or from a baseline that ours of the same format is compared with."""

    name: str
    format: str
    path: str
    is_ours: bool = False


CONTESTANTS = (
    Contestant(name="CSV, ours", format="csv", path="/v1/admin/pledges/export?format=csv", is_ours=True),
    Contestant(name="COPY … CSV", format="csv", path="/export/copy"),
    Contestant(name="csv.writer loop", format="csv", path="/export/rows"),
    Contestant(
        name="JSON Lines, ours", format="jsonl", path="/v1/admin/pledges/export?format=jsonl", is_ours=True
    ),
    Contestant(name="json.dumps loop", format="jsonl", path="/export/jsonl"),
    Contestant(name="workbook, ours", format="xlsx", path="/v1/admin/pledges/export?format=xlsx", is_ours=True),
    Contestant(name="XlsxWriter, then sent", format="xlsx", path="/export/xlsx"),
)
Results = dict[Contestant, list[Download]]


def run(servers: Servers, *, rows: int, rounds: int) -> Results:
    """Store `rows` pledges, and download them in alternating rounds from our route and from the baselines."""
    store_pledges(servers.engine, rows)
    token = subprocess.run(
        [sys.executable, "-m", "service", "token", "create", "--name", "bench", "--scope", "export"],
        env=servers.environment,
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    results: Results = {contestant: [] for contestant in CONTESTANTS}
    for _ in range(rounds):
        for contestant, downloads in results.items():
            port = servers.mainstay if contestant.is_ours else servers.baseline
            url = f"http://127.0.0.1:{port}{contestant.path}"
            downloads.append(_download(url, contestant.format, rows, token if contestant.is_ours else ""))
    return results


def table(results: Results, rows: int) -> str:
    """Return the medians as a plain-text table, with the ratios of neighbouring rounds."""
    heading = f"{'first byte s':>14}{'total s':>10}{'rows/s':>10}   our speed / this (lowest to highest)"
    lines = [f"{f'export of {rows:,} pledges':28}{heading}"]
    ours: dict[str, list[Download]] = {}
    for contestant, downloads in results.items():
        total = statistics.median(download.total for download in downloads)
        first_byte = statistics.median(download.first_byte for download in downloads)
        line = f"{contestant.name:28}{first_byte:>14.2f}{total:>10.2f}{rows / total:>10,.0f}"
        if contestant.is_ours:
            ours[contestant.format] = downloads
        else:
            pairs = zip(ours[contestant.format], downloads, strict=True)
            ratios = [theirs.total / own.total for own, theirs in pairs]
            line += f"   {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        lines.append(line)
    return "\n".join(lines)


def _download(url: str, file_format: str, rows: int, token: str) -> Download:
    """Download a file; stop if a row is missing."""
    request = Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    chunks: list[bytes] = []
    begin = time.perf_counter()
    with urlopen(request, timeout=900) as response:
        chunks.append(response.read(1))
        first_byte = time.perf_counter() - begin
        while chunk := response.read(READ_BYTES):
            chunks.append(chunk)
    total = time.perf_counter() - begin
    found = _count_rows(b"".join(chunks), file_format)
    if found != rows:
        raise SystemExit(f"{url} returned {found:,} rows of {rows:,}")
    return Download(first_byte=first_byte, total=total)


def _count_rows(data: bytes, file_format: str) -> int:
    if file_format == "xlsx":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return archive.read("xl/worksheets/sheet1.xml").count(b"<row ") - 1
    return data.count(b"\n") - (file_format == "csv")


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
