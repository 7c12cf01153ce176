"""Starts Mainstay and the baseline application under the same gunicorn settings, on one durable PostgreSQL."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from sqlalchemy import Engine, create_engine

from benchmarks.baselines.table import minimal_reminders
from tests.postgres import PostgresServer
from tests.processes import ROOT, environment, free_port, is_listening, running, wait_until, web

# The rate limiters count every request, which is part of its cost, but never reject one.
UNREACHED_LIMIT = "1000000000/minute"
SETTINGS = {"WEB_CONCURRENCY": "2", "RATE_LIMIT": UNREACHED_LIMIT, "CAMPAIGN_RATE_LIMIT": UNREACHED_LIMIT}


@dataclass(frozen=True)
class Servers:
    """The ports of the two servers on 127.0.0.1, the database that both use, and Mainstay's log."""

    mainstay: int
    baseline: int
    engine: Engine
    url: str
    environment: dict[str, str]
    log: Path


@contextmanager
def start_servers() -> Iterator[Servers]:
    """Yield running servers, and stop them when the block ends."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mainstay-bench-")))
        server = PostgresServer(durable=True)
        stack.callback(server.stop)
        engine = create_engine(server.url.replace("postgresql://", "postgresql+psycopg://", 1))
        stack.callback(engine.dispose)
        settings = environment(server.url)
        subprocess.run(
            [sys.executable, "-m", "service", "migrate"], env=settings, cwd=ROOT, check=True, capture_output=True
        )
        minimal_reminders.create(engine)
        base = stack.enter_context(web(server.url, folder / "ours.log", LOG_LEVEL="info", **SETTINGS))
        with urlopen(f"{base}/v1/campaigns/default", timeout=60) as response:
            (folder / "campaign.json").write_bytes(response.read())
        baseline = stack.enter_context(_baseline(server.url, folder))
        yield Servers(int(base.rpartition(":")[2]), baseline, engine, server.url, settings, folder / "ours.log")


@contextmanager
def _baseline(database_url: str, folder: Path) -> Iterator[int]:
    port = free_port()
    settings = environment(
        database_url,
        PORT=str(port),
        WEB_CONCURRENCY=SETTINGS["WEB_CONCURRENCY"],
        LOG_LEVEL="info",
        CAMPAIGN_BODY=str(folder / "campaign.json"),
    )
    gunicorn = (
        "-m",
        "gunicorn",
        "--config",
        "python:service.gunicorn_config",
        "benchmarks.baselines.flask_app:app",
    )
    with running(sys.executable, *gunicorn, log=folder / "baseline.log", env=settings):
        wait_until(lambda: is_listening(f"http://127.0.0.1:{port}/campaign"), what="the baseline application")
        yield port
