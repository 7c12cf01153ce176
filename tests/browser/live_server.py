"""A running service for browser tests: the real web and worker processes on a PostgreSQL database."""

import csv
import datetime
import io
import json
import os
import re
import signal
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_string
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import create_engine, select, text

from service.bootstrap import build_container
from service.db.models.email import DevOutboxEmail
from service.domain.pledges.pledges import expire_abandoned_pledges
from tests.cli import run_cli
from tests.conftest import make_database, settings_for
from tests.processes import wait_until, web, worker

# A month this short lets a reminder fall due during a test.
MONTH_SECONDS = "2"
PREFETCHED = "SELECT 1 FROM reminders WHERE status = 'sending'"
CAMPAIGN = {"slug": "default", "name": "The Harbour Lantern", "heading": "Keep it lit", "message": "Readers pay."}


@dataclass
class LiveServer:
    """The running service at `base_url`, with shortcuts for its API, database, commands and emails."""

    base_url: str
    database_url: str
    worker: subprocess.Popen

    @cached_property
    def _engine(self):
        return create_engine(self.database_url)

    def close(self) -> None:
        """Close the database connections."""
        self._engine.dispose()

    def query(self, sql: str, **params: Any) -> list[tuple]:
        """Run a statement and return its rows."""
        with self._engine.begin() as connection:
            return [tuple(row) for row in connection.execute(text(sql), params)]

    def count(self, table: str) -> int:
        """Return the number of rows in a table."""
        return self.query(f"SELECT count(*) FROM {table}")[0][0]

    def close_checkouts(self) -> None:
        """Expire every open checkout, as the worker does after a day."""
        container = build_container(settings_for(self.database_url))
        with container.database.transaction() as session:
            expire_abandoned_pledges(session, now=container.clock() + datetime.timedelta(days=2))
        container.database.engine.dispose()

    @contextmanager
    def clear_outbox(self) -> Iterator[None]:
        """Empty the outbox until the block ends."""
        with self._engine.begin() as connection:
            connection.execute(text("CREATE TABLE outbox_backup AS SELECT * FROM dev_outbox"))
            connection.execute(text("DELETE FROM dev_outbox"))
        try:
            yield
        finally:
            with self._engine.begin() as connection:
                connection.execute(text("INSERT INTO dev_outbox SELECT * FROM outbox_backup"))
                connection.execute(text("DROP TABLE outbox_backup"))

    def run_command(self, *arguments: str) -> str:
        """Run a `mainstay` command and return its standard output."""
        result = run_cli(*arguments, DATABASE_URL=self.database_url, PUBLIC_URL=self.base_url)
        assert result.exit_code == 0, result.output
        return result.stdout

    @cached_property
    def token(self) -> str:
        """Return a staff token with the export scope."""
        return self.run_command("token", "create", "--name", "treasurer", "--scope", "export").strip()

    def export(self) -> dict[str, dict[str, str]]:
        """Download the CSV export; return its rows by pledge id."""
        request = urllib.request.Request(
            f"{self.base_url}/v1/admin/pledges/export?bom=0",
            headers={"Authorization": f"Bearer {self.token}"},
        )
        with urllib.request.urlopen(request) as response:
            rows = csv.DictReader(io.TextIOWrapper(response, encoding="utf-8", newline=""))
            return {row["id"]: row for row in rows}

    def post(self, path: str, body: dict[str, Any], **headers: str) -> dict[str, Any]:
        """Post JSON and return the response body."""
        headers |= {"Content-Type": "application/json"}
        request = urllib.request.Request(self.base_url + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request) as response:
            return json.load(response)

    def create_reminder(self, email: str, **changes: Any) -> None:
        """Create a reminder that preselects a monthly $2."""
        payload = {"campaign": "default", "email": email, "frequency": "monthly", "amount": 200}
        self.post("/v1/reminders", payload | changes)

    def create_pledge(self, key: str, **changes: Any) -> dict[str, Any]:
        """Create a pledge of $2 a month; `key` is its idempotency key."""
        payload = {"campaign": "default", "frequency": "monthly", "amount": 200, "currency": "USD"}
        return self.post("/v1/pledges", payload | changes, **{"Idempotency-Key": key})

    def apply_campaign(self, folder: Path, **changes: Any) -> None:
        """Apply a campaign file that differs from a minimal one by `changes`."""
        file = folder / "campaign.yaml"
        file.write_text(yaml.safe_dump(CAMPAIGN | changes, allow_unicode=True), encoding="utf-8")
        self.run_command("campaign", "apply", str(file))

    def get_html(self, path: str) -> str:
        with urllib.request.urlopen(self.base_url + path) as response:
            return response.read().decode()

    def emails_to(self, email: str) -> list[str]:
        """Return the paths of the emails to an address, the latest first. The outbox lists only 100."""
        container = build_container(settings_for(self.database_url))
        query = select(DevOutboxEmail).order_by(DevOutboxEmail.sent_at.desc(), DevOutboxEmail.id.desc())
        with container.database.read_only() as session:
            paths = [
                f"/dev/outbox/{sent.id}"
                for sent in session.scalars(query)
                if email in (message_from_string(sent.message)["To"] or "")
            ]
        container.database.engine.dispose()
        return paths

    def wait_for_emails(self, email: str, *, number: int = 1) -> list[str]:
        """Wait until the worker has sent `number` emails to an address and recorded their results."""
        seen = 0

        def have_arrived() -> bool:
            nonlocal seen
            before, seen = seen, self.count("dev_outbox")
            # Reading the outbox is costly, so it is read only after its size changed.
            return seen != before and len(self.emails_to(email)) >= number

        wait_until(have_arrived, what=f"email {number} to {email}")
        wait_until(lambda: not self.query(PREFETCHED), what="the worker to record its results")
        return self.emails_to(email)

    def reminder_link_for(self, email: str) -> str:
        """Wait for a reminder email and return the link to the reminder's page."""
        path = self.wait_for_emails(email)[0]
        return re.search(rf"{re.escape(self.base_url)}/r/[\w.-]+", self.get_html(path))[0]

    @contextmanager
    def paused_worker(self) -> Iterator[None]:
        """Stop the worker process, so that a reminder stays scheduled until the block ends."""
        self._stop_idle_worker()
        try:
            yield
        finally:
            os.kill(self.worker.pid, signal.SIGCONT)

    def _stop_idle_worker(self) -> None:
        """Stop the worker while it is sending nothing and holds no locks, so that no page waits for it."""
        busy_query = """SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
                   AND pid <> pg_backend_pid() AND state <> 'idle'"""

        def stopped() -> bool:
            os.kill(self.worker.pid, signal.SIGSTOP)
            time.sleep(0.1)
            if not self.query(PREFETCHED) and not self.query(busy_query):
                return True
            os.kill(self.worker.pid, signal.SIGCONT)
            # The worker needs time to finish its statement.
            time.sleep(0.1)
            return False

        wait_until(stopped, what="the worker to be idle")


def pledge_id_from_url(url: str) -> str:
    """Return the pledge id in a thank-you page's URL."""
    return urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)["pledge"][0]


@contextmanager
def run_live_server(name: str, folder: Path, **changes: str) -> Iterator[LiveServer]:
    """Run both processes on a new database until the block ends. `changes` are settings of both."""
    url = make_database(name)
    assert run_cli("migrate", DATABASE_URL=url).exit_code == 0
    with (
        web(url, folder / "web.log", MONTH_SECONDS=MONTH_SECONDS, **changes) as base_url,
        worker(url, folder / "worker.log", PUBLIC_URL=base_url, MONTH_SECONDS=MONTH_SECONDS, **changes) as process,
    ):
        live_server = LiveServer(base_url, url, process)
        # A signal before the worker has installed its handlers would kill it.
        wait_until(lambda: "worker_started" in (folder / "worker.log").read_text(), what="the worker")
        yield live_server
        live_server.close()
