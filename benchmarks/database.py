"""Databases for the benchmarks, on one temporary PostgreSQL server."""

import datetime
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from benchmarks.dataset import Dataset
from benchmarks.fill import fill
from service.bootstrap import build_container
from service.container import Container
from service.settings import read_settings
from tests.postgres import PostgresServer
from tests.processes import KEYS, ROOT, environment

TEMPLATE_DATABASE = "migrated"


class BenchmarkDatabase:
    """A server that creates databases by name, each with the schema of the migrations."""

    def __init__(self, server: PostgresServer) -> None:
        self.url = server.url
        self._has_template = False
        self._filled: dict[int, str] = {}

    def empty_database(self, name: str, *, template: str = "template1") -> str:
        """Create a database from a template, which is empty by default, and return its URL."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url.replace("/postgres?", f"/{name}?", 1)

    def database(self, name: str) -> str:
        """Create a migrated database that holds only the demo campaign, and return its URL."""
        if not self._has_template:
            migrate = (sys.executable, "-m", "service", "migrate")
            env = environment(self.empty_database(TEMPLATE_DATABASE))
            subprocess.run(migrate, env=env, cwd=ROOT, check=True, capture_output=True)
            self._has_template = True
        return self.empty_database(name, template=TEMPLATE_DATABASE)

    def reminders(self, rows: int, **due: int) -> str:
        """Return the URL of a database with `rows` reminders, which is filled on the first call.

        `due` says how many are due, and where they lie in the table (see `Dataset`).
        """
        if rows not in self._filled:
            self._filled[rows] = self.database(f"reminders_{rows}")
            fill(self._filled[rows], Dataset(rows, datetime.datetime.now(datetime.UTC), **due), (KEYS,))
        return self._filled[rows]


@contextmanager
def benchmark_database(*, durable: bool) -> Iterator[BenchmarkDatabase]:
    """Yield a server, and delete it when the block ends; `durable` keeps fsync on."""
    server = PostgresServer(durable=durable)
    try:
        yield BenchmarkDatabase(server)
    finally:
        server.stop()


def container_for(url: str, **changes: str) -> Container:
    """Return the container that a process with this database and these settings would build."""
    return build_container(read_settings(environment(url, **changes)))


def allow_all_sending_hours(url: str) -> None:
    """Widen the campaign's sending hours to the whole day, so that the rule applies but postpones nothing."""
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE campaigns SET send_hour = 0, send_until = 24")
