"""Databases to measure on: one PostgreSQL that forgets nothing, and in it as many reminders as one likes."""

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
    """A server; its databases are made by name, each with the schema that the migrations build."""

    def __init__(self, server: PostgresServer) -> None:
        self.url = server.url
        self._has_model = False
        self._filled: dict[int, str] = {}

    def empty_database(self, name: str, *, like: str = "template1") -> str:
        """Create a database with nothing in it, or with what is in another, and return its URL."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{like}"')
        return self.url.replace("/postgres?", f"/{name}?", 1)

    def database(self, name: str) -> str:
        """Create a desk's database with nothing in it but the demo campaign, and return its URL."""
        if not self._has_model:
            migrate = (sys.executable, "-m", "service", "migrate")
            env = environment(self.empty_database(TEMPLATE_DATABASE))
            subprocess.run(migrate, env=env, cwd=ROOT, check=True, capture_output=True)
            self._has_model = True
        return self.empty_database(name, like=TEMPLATE_DATABASE)

    def reminders(self, rows: int, **due: int) -> str:
        """Return the URL of a desk's database with so many reminders, which is filled when it is first asked for.

        `due` says how many are due, and how they lie (see `Dataset`).
        """
        if rows not in self._filled:
            self._filled[rows] = self.database(f"reminders_{rows}")
            fill(self._filled[rows], Dataset(rows, datetime.datetime.now(datetime.UTC), **due), (KEYS,))
        return self._filled[rows]


@contextmanager
def benchmark_database(*, durable: bool) -> Iterator[BenchmarkDatabase]:
    """Start the server, yield, stop it and give its disk back."""
    server = PostgresServer(durable=durable)
    try:
        yield BenchmarkDatabase(server)
    finally:
        server.stop()


def container_for(url: str, **changes: str) -> Container:
    """Return a desk on a database, as a process with these settings would build it."""
    return build_container(read_settings(environment(url, **changes)))


def allow_all_sending_hours(url: str) -> None:
    """Let the campaign's mails leave at any hour, by the rule and not around it, whenever somebody measures."""
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE campaigns SET send_hour = 0, send_until = 24")
