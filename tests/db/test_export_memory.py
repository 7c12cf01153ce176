"""Exports stream their rows: memory stays constant for any number of pledges."""

import json
import subprocess
import sys

import pytest
from sqlalchemy import text

from service.container import Container
from tests.db.factories import create_paid_pledge
from tests.processes import ROOT, environment

PLEDGES = 50_000

# It runs in a process of its own, so that no other test affects its memory. A first, empty export loads every
# library and opens the connection, so that only the rows account for later growth.
MEASURE_SCRIPT = """
import json, re, resource, sys, time
from pathlib import Path
from schemas.enums import PledgeStatus
from service.domain.pledges.export import write_export
from service.domain.pledges.queries import PledgeFilter, stream_pledges
from service.settings import read_settings
from service.bootstrap import build_container

def peak():
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # On Linux `ru_maxrss` starts with the size of the parent process.
    return int(re.search("VmHWM: *([0-9]+)", Path("/proc/self/status").read_text().replace("\\t", " "))[1]) * 1024

def export(pledge_filter):
    size = lines = 0
    with container.database.read_only() as session:
        for chunk in write_export(sys.argv[1], stream_pledges(session, pledge_filter)):
            size += len(chunk)
            lines += chunk.count(b"\\n")
    return {"size": size, "lines": lines}

container = build_container(read_settings())
export(PledgeFilter(status=PledgeStatus.REFUNDED))
before, started = peak(), time.monotonic()
print(json.dumps(export(PledgeFilter()) | {"seconds": time.monotonic() - started, "grown": peak() - before}))
"""


@pytest.fixture
def many_pledges(container: Container) -> str:
    """Multiply one paid pledge with SQL, which is faster than creating each; return the URL of the database."""
    create_paid_pledge(container, "reader@news.example")
    with container.database.transaction() as session:
        session.execute(
            text(
                "INSERT INTO pledges (id, campaign_id, supporter_id, status, frequency, amount_minor, currency,"
                " page_url, gateway, gateway_reference, created_at)"
                " SELECT ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,"
                " campaign_id, supporter_id, status, frequency, 200 + n, currency,"
                " 'https://paper.example/' || n, gateway, 'r' || n, created_at"
                " FROM pledges, generate_series(2, :count) AS n"
            ),
            {"count": PLEDGES},
        )
        session.execute(
            text(
                "INSERT INTO payments"
                " (id, pledge_id, status, amount_minor, currency, gateway, gateway_reference, paid_at)"
                " SELECT id, id, 'succeeded', amount_minor, currency, gateway, id::text, created_at"
                " FROM pledges WHERE amount_minor % 10 = 0 AND gateway_reference IS NOT NULL"
            )
        )
        session.execute(text("ANALYZE"))
    return container.settings.database_url


@pytest.mark.parametrize(("kind", "size"), [("csv", 8_000_000), ("xlsx", 4_000_000)])
def test_export_of_fifty_thousand_pledges_uses_constant_memory(
    many_pledges: str, capsys: pytest.CaptureFixture[str], kind: str, size: int
) -> None:
    completed = subprocess.run(
        [sys.executable, "-c", MEASURE_SCRIPT, kind],
        cwd=ROOT,
        env=environment(many_pledges),
        capture_output=True,
        text=True,
        check=True,
    )
    figures = json.loads(completed.stdout)
    assert kind != "csv" or figures["lines"] == PLEDGES + 1
    assert figures["size"] > size
    # This is less than the file itself; all rows in memory would take several times its size.
    assert figures["grown"] < 5_000_000
    rate, grown = PLEDGES / figures["seconds"], figures["grown"] / 1e6
    with capsys.disabled():
        print(f" {rate:,.0f} pledges/s, memory grew by {grown:.1f} MB ", end="")  # noqa: T201 - shown by pytest -n 0
