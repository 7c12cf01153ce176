"""An export of very many pledges keeps only a few of them in memory at a time."""

import json
import subprocess
import sys

import pytest
from sqlalchemy import text

from service.container import Container
from tests.db.factories import create_paid_pledge
from tests.processes import ROOT, environment

PLEDGES = 50_000

# Runs in a process of its own, so that nothing else has grown its memory before. A first export of no row at all
# loads every library and opens the connection, so that what grows afterwards is for the rows.
MEASURE = """
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
    # What Linux reports as `ru_maxrss` begins with the size of whoever started this process.
    return int(re.search("VmHWM: *([0-9]+)", Path("/proc/self/status").read_text().replace("\\t", " "))[1]) * 1024

def export(wanted):
    size = lines = 0
    with container.database.read_only() as session:
        for piece in write_export("csv", stream_pledges(session, wanted)):
            size += len(piece)
            lines += piece.count(b"\\n")
    return {"size": size, "lines": lines}

container = build_container(read_settings())
export(PledgeFilter(status=PledgeStatus.REFUNDED))
before, began = peak(), time.monotonic()
print(json.dumps(export(PledgeFilter()) | {"seconds": time.monotonic() - began, "grown": peak() - before}))
"""


@pytest.fixture
def many_pledges(container: Container) -> str:
    """Fill the database from one pledge with a payment and a reader, inside PostgreSQL itself."""
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


def test_fifty_thousand_pledges_are_exported_in_constant_memory(
    many_pledges: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", MEASURE],
        cwd=ROOT,
        env=environment(many_pledges),
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(ended.stdout)
    assert found["lines"] == PLEDGES + 1
    assert found["size"] > 8_000_000
    # Less than the file itself; held in memory, its rows would be several times that.
    assert found["grown"] < 5_000_000
    rate, grown = PLEDGES / found["seconds"], found["grown"] / 1e6
    with capsys.disabled():
        print(f" {rate:,.0f} pledges/s, memory grew by {grown:.1f} MB ", end="")  # noqa: T201 - shown by pytest -n 0
