"""A newsroom for the browser to visit: the real web process and a real worker on a PostgreSQL database."""

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
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import create_engine, text

from service.bootstrap import build_container
from service.domain.pledges.pledges import expire_abandoned_pledges
from tests.cli import run_cli
from tests.conftest import make_database, settings_for
from tests.processes import wait_until, web, worker

# So short a month brings a reminder's mail while the test watches.
MONTH_SECONDS = "2"
PREFETCHED = "SELECT 1 FROM reminders WHERE status = 'sending'"
CAMPAIGN = {"slug": "default", "name": "The Harbour Lantern", "heading": "Keep it lit", "message": "Readers pay."}


@dataclass
class LiveServer:
    """What a test may do with the running service, besides visiting its pages at `base`."""

    base: str
    database_url: str
    worker: subprocess.Popen

    @cached_property
    def _engine(self):
        return create_engine(self.database_url)

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def query(self, query: str, **values: Any) -> list[tuple]:
        """Return what the database holds."""
        with self._engine.begin() as connection:
            return [tuple(row) for row in connection.execute(text(query), values)]

    def count(self, table: str) -> int:
        """Return how many rows a table holds."""
        return self.query(f"SELECT count(*) FROM {table}")[0][0]

    def close_checkouts(self) -> None:
        """Do what the worker does to the checkouts that are open now, when a day has passed."""
        container = build_container(settings_for(self.database_url))
        with container.database.transaction() as session:
            expire_abandoned_pledges(session, now=container.clock() + datetime.timedelta(days=2))
        container.database.engine.dispose()

    @contextmanager
    def clear_outbox(self) -> Iterator[None]:
        """Let the outbox be as it was before the first mail, until the block ends."""
        with self._engine.begin() as connection:
            connection.execute(text("CREATE TABLE put_aside AS SELECT * FROM dev_outbox"))
            connection.execute(text("DELETE FROM dev_outbox"))
        try:
            yield
        finally:
            with self._engine.begin() as connection:
                connection.execute(text("INSERT INTO dev_outbox SELECT * FROM put_aside"))
                connection.execute(text("DROP TABLE put_aside"))

    def command(self, *arguments: str) -> str:
        """Run a `run_cli` command and return what it printed."""
        done = run_cli(*arguments, DATABASE_URL=self.database_url, PUBLIC_URL=self.base)
        assert done.exit_code == 0, done.output
        return done.stdout

    @cached_property
    def token(self) -> str:
        """Return a staff token that may export, made as staff make it."""
        return self.command("token", "create", "--name", "treasurer", "--scope", "export").strip()

    def export(self) -> dict[str, dict[str, str]]:
        """Download the pledges as a treasurer does; return the rows by pledge id."""
        request = urllib.request.Request(
            f"{self.base}/v1/admin/pledges/export?format=csv", headers={"Authorization": f"Bearer {self.token}"}
        )
        with urllib.request.urlopen(request) as response:
            rows = csv.DictReader(io.TextIOWrapper(response, encoding="utf-8", newline=""))
            return {row["id"]: row for row in rows}

    def post(self, path: str, body: dict[str, Any], **headers: str) -> dict[str, Any]:
        """Send JSON as another program would and return the answer."""
        headers |= {"Content-Type": "application/json"}
        request = urllib.request.Request(self.base + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request) as response:
            return json.load(response)

    def remind(self, email: str, **changes: Any) -> None:
        """Ask for a reminder of a monthly $2."""
        payload = {"campaign": "default", "email": email, "frequency": "monthly", "amount": 200}
        self.post("/v1/reminders", payload | changes)

    def pledge(self, key: str, **changes: Any) -> dict[str, Any]:
        """Make a pledge of $2 a month."""
        payload = {"campaign": "default", "frequency": "monthly", "amount": 200, "currency": "USD"}
        return self.post("/v1/pledges", payload | changes, **{"Idempotency-Key": key})

    def offer(self, folder: Path, **changes: Any) -> None:
        """Put up a campaign that differs from a plain one, as a newsroom's editor would."""
        file = folder / "campaign.yaml"
        file.write_text(yaml.safe_dump(CAMPAIGN | changes, allow_unicode=True), encoding="utf-8")
        self.command("campaign", "apply", str(file))

    def read(self, path: str) -> str:
        """Return a page's HTML."""
        with urllib.request.urlopen(self.base + path) as response:
            return response.read().decode()

    def mails_to(self, email: str) -> list[str]:
        """Return the addresses of the kept mails to a reader, as the outbox lists them."""
        entries = re.findall(r'<a href="(/dev/outbox/[^"]+)">(.*?)</a>', self.read("/dev/outbox"), re.DOTALL)
        return [address for address, entry in entries if email in entry]

    def wait_for_mails(self, email: str, *, number: int = 1) -> list[str]:
        """Wait until the worker has written so many mails to a reader, and has noted that it did."""
        seen = 0

        def are_there() -> bool:
            nonlocal seen
            before, seen = seen, self.count("dev_outbox")
            # The service works for each look at the outbox, so it is only looked at when there is something new.
            return seen != before and len(self.mails_to(email)) >= number

        wait_until(are_there, what=f"mail {number} to {email}")
        wait_until(lambda: not self.query(PREFETCHED), what="the worker's notes")
        return self.mails_to(email)

    def link_in_mail_to(self, email: str) -> str:
        """Wait for the mail to a reader and return the link in it to the reader's own page."""
        mail = self.wait_for_mails(email)[0]
        return re.search(rf"{re.escape(self.base)}/r/[\w.-]+", self.read(mail))[0]

    @contextmanager
    def paused_worker(self) -> Iterator[None]:
        """Hold the worker still, so that a reminder stays scheduled while the test looks at it."""
        self._stop_worker_between_mails()
        try:
            yield
        finally:
            os.kill(self.worker.pid, signal.SIGCONT)

    def _stop_worker_between_mails(self) -> None:
        """Stop the worker where it has no mail in hand and holds no locks, for which a page would wait with it."""
        at_work = """SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
                   AND pid <> pg_backend_pid() AND state <> 'idle'"""

        def stopped() -> bool:
            os.kill(self.worker.pid, signal.SIGSTOP)
            time.sleep(0.1)
            if not self.query(PREFETCHED) and not self.query(at_work):
                return True
            os.kill(self.worker.pid, signal.SIGCONT)
            # Long enough for it to come out of what it is in.
            time.sleep(0.1)
            return False

        wait_until(stopped, what="the worker to be between two mails")


def pledge_in(url: str) -> str:
    """Return the pledge's id that a thank-you page's address names."""
    return urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)["pledge"][0]


@contextmanager
def run_live_server(name: str, folder: Path, **changes: str) -> Iterator[LiveServer]:
    """Run both processes on a new database until the block ends; `changes` are settings of both."""
    url = make_database(name)
    assert run_cli("migrate", DATABASE_URL=url).exit_code == 0
    with (
        web(url, folder / "web.log", MONTH_SECONDS=MONTH_SECONDS, **changes) as base,
        worker(url, folder / "worker.log", PUBLIC_URL=base, MONTH_SECONDS=MONTH_SECONDS, **changes) as process,
    ):
        live_server = LiveServer(base, url, process)
        # A worker that is stopped before it listens for signals would die of them.
        wait_until(lambda: "worker_started" in (folder / "worker.log").read_text(), what="the worker")
        yield live_server
        live_server.close()
