"""The stage: a PostgreSQL that forgets nothing, and ours and the bare application under our gunicorn settings."""

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

# Counting is part of the price of a request; refusing one would spoil the measurement.
RATE_LIMIT = "1000000000/minute"
WORKERS = "2"


@dataclass(frozen=True)
class Servers:
    """Where everything stands: two ports of the loopback interface, the database that both use, and our log."""

    mainstay: int
    baseline: int
    engine: Engine
    url: str
    environment: dict[str, str]
    log: Path


@contextmanager
def start_servers() -> Iterator[Servers]:
    """Start everything, yield, and stop it again."""
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
        base = stack.enter_context(
            web(server.url, folder / "ours.log", WEB_CONCURRENCY=WORKERS, RATE_LIMIT=RATE_LIMIT, LOG_LEVEL="info")
        )
        with urlopen(f"{base}/v1/campaigns/default", timeout=10) as response:
            (folder / "answer").write_bytes(response.read())
        baseline = stack.enter_context(_bare(server.url, folder))
        yield Servers(int(base.rpartition(":")[2]), baseline, engine, server.url, settings, folder / "ours.log")


@contextmanager
def _bare(database_url: str, folder: Path) -> Iterator[int]:
    port = free_port()
    settings = environment(
        database_url,
        PORT=str(port),
        WEB_CONCURRENCY=WORKERS,
        LOG_LEVEL="info",
        BARE_ANSWER=str(folder / "answer"),
    )
    gunicorn = (
        "-m",
        "gunicorn",
        "--config",
        "python:service.gunicorn_config",
        "benchmarks.baselines.flask_app:app",
    )
    with running(sys.executable, *gunicorn, log=folder / "bare.log", env=settings):
        wait_until(lambda: is_listening(f"http://127.0.0.1:{port}/campaign"), what="the bare application")
        yield port
