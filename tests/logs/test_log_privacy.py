"""Debug logs of real processes contain no personal data and no tokens."""

import json
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from schemas.enums import ReminderStatus
from service.bootstrap import build_container
from service.commands.migrate import migrate_and_seed
from service.container import Container
from service.db.models.email import DevOutboxEmail
from service.db.models.reminder import Reminder
from tests.api.client import staff_token
from tests.conftest import make_database, settings_for
from tests.processes import KEYS, wait_until, web, worker

DONOR, READER, LOST, TYPO = (
    "giver.seven@example.org",
    "reader.eight@example.org",
    "lost.nine@example.org",
    "typo.ten@",
)
AMOUNT, AMOUNT_WRITTEN = "23457", "234.57"
DEBUG_SETTINGS = {"LOG_LEVEL": "debug", "MONTH_SECONDS": "2", "SECRET_KEYS": KEYS}


@dataclass
class LiveServer:
    """A running web process and worker, and the secrets that must not appear in their logs."""

    base: str
    container: Container
    log: Path
    secrets: set[str] = field(default_factory=set)

    def remember_secret(self, secret: str) -> str:
        """Remember a secret and return it."""
        self.secrets.add(secret)
        return secret

    def send(self, method: str, path: str, status: int, **sent) -> requests.Response:
        """Send a request and check the status of its response."""
        url = path if path.startswith("http") else self.base + path
        response = requests.request(method, url, timeout=60, allow_redirects=False, **sent)
        assert response.status_code == status, response.text
        return response

    def wait_for(self, description: str, condition: Callable) -> None:
        """Wait until a condition on the database is true."""

        def check() -> bool:
            with self.container.database.read_only() as session:
                return bool(condition(session))

        wait_until(check, what=f"{description}, see {self.log}")

    def execute(self, statement: str) -> None:
        with self.container.database.transaction() as session:
            session.execute(text(statement))


@pytest.fixture
def live_server(worker_id: str, tmp_path: Path) -> Iterator[LiveServer]:
    """Start a web process and a worker on a new database."""
    url, log = make_database(f"mainstay_logs_{worker_id}"), tmp_path / "log"
    container = build_container(settings_for(url))
    migrate_and_seed(container)
    with web(url, log, **DEBUG_SETTINGS) as base, worker(url, log, PUBLIC_URL=base, **DEBUG_SETTINGS):
        yield LiveServer(base, container, log)
    container.database.engine.dispose()


def make_pledge(live_server: LiveServer) -> None:
    payload = {"campaign": "default", "frequency": "monthly", "amount": int(AMOUNT), "currency": "USD"}
    key = live_server.remember_secret("idempotency-key-of-this-story")
    pledge = live_server.send("POST", "/v1/pledges", 201, json=payload, headers={"Idempotency-Key": key}).json()
    live_server.remember_secret(pledge["checkout_url"].rpartition("/")[2])
    live_server.send("GET", pledge["checkout_url"], 200)
    live_server.send("POST", pledge["checkout_url"], 402, data={"outcome": "decline", "email": DONOR})
    live_server.send("POST", pledge["checkout_url"], 303, data={"outcome": "pay", "email": DONOR})
    live_server.remember_secret(re.search(r"/p/([\w.-]+)", email_to(live_server, DONOR))[1])


def email_to(live_server: LiveServer, reader: str) -> str:
    """Wait for the first email to an address, and return it without soft line breaks."""

    def find(session: Session) -> str | None:
        return next(
            (message for message in session.scalars(select(DevOutboxEmail.message)) if f"To: {reader}" in message),
            None,
        )

    live_server.wait_for("the mail", find)
    with live_server.container.database.read_only() as session:
        return re.sub(r"=\r?\n", "", find(session))


def receive_reminder(live_server: LiveServer) -> str:
    """Create a reminder, wait for its email, and return the token in it."""
    payload = {"campaign": "default", "email": READER, "frequency": "monthly", "amount": int(AMOUNT)}
    live_server.send("POST", "/v1/reminders", 201, json=payload)
    return live_server.remember_secret(
        re.search(r"/v1/reminders/([\w.-]+)/cancel", email_to(live_server, READER))[1]
    )


def use_reminder_links(live_server: LiveServer, token: str) -> None:
    live_server.send("GET", f"/r/{token}", 200)
    live_server.send("GET", f"/v1/reminders/{token}/cancel", 303)
    live_server.send("POST", f"/v1/reminders/{token}/snooze", 200, json={"months": 1})
    live_server.send("POST", f"/v1/reminders/{token}/cancel", 204, data={"List-Unsubscribe": "One-Click"})
    live_server.send("GET", "/dev/outbox", 200)


def send_invalid_requests(live_server: LiveServer, token: str) -> None:
    altered = live_server.remember_secret(token[:-2] + "xy")
    live_server.send("POST", f"/v1/reminders/{altered}/cancel", 404)
    live_server.send("POST", "/v1/reminders", 422, json={"campaign": "default", "email": TYPO})
    live_server.send(
        "POST", "/v1/reminders", 400, data=f'{{"email": "{READER}"', headers={"Content-Type": "application/json"}
    )
    live_server.send("GET", f"/nothing/{token}?email={READER}", 404)
    live_server.send("GET", f"/v1/campaigns/default?lang={READER}", 200)
    send_invalid_http(live_server, f"GET /r/{token} HTTP/9.9\r\n\r\n")
    send_invalid_http(live_server, f"GET /r/{token}\r\nHost: x\r\n\r\n")
    send_invalid_http(live_server, f"GET /r/{token}?{'x' * 9000} HTTP/1.1\r\nHost: x\r\n\r\n")
    send_invalid_http(live_server, f"GET / HTTP/1.1\r\nHost: x\r\nBad Header {READER}\r\n\r\n")
    live_server.execute("ALTER TABLE reminder_status_changes RENAME TO elsewhere")
    try:
        live_server.send("POST", f"/v1/reminders/{token}/snooze", 500, headers={"Origin": "https://paper.example"})
        live_server.send("POST", "/v1/reminders", 500, json={"campaign": "default", "email": READER})
    finally:
        live_server.execute("ALTER TABLE elsewhere RENAME TO reminder_status_changes")


def send_invalid_http(live_server: LiveServer, data: str) -> None:
    """Send invalid HTTP, which gunicorn rejects before the application."""
    address = urlsplit(live_server.base)
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall(data.encode())
        response = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = response.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 4"), response[:80]
    assert b"Content-Type: application/problem+json" in head
    assert json.loads(body)["status"] == int(head[9:12])


def make_address_undecryptable(live_server: LiveServer) -> None:
    """Make an address undecryptable, and wait until the worker fails its reminder."""
    live_server.send("POST", "/v1/reminders", 201, json={"campaign": "default", "email": LOST})
    email_hash = f"decode('{live_server.container.database.keyring.lookup_hash(LOST).hex()}', 'hex')"
    live_server.execute(f"UPDATE supporters SET email = decode('00', 'hex') WHERE email_hash = {email_hash}")
    failed = select(Reminder.id).where(Reminder.status == ReminderStatus.FAILED)
    live_server.wait_for("the worker to give up on it", lambda session: session.scalar(failed))


def work_as_staff(live_server: LiveServer) -> None:
    token = live_server.remember_secret(staff_token(live_server.container, "read", "export", "manage"))
    staff = {"Authorization": f"Bearer {token}"}
    for kind in ("csv", "jsonl", "xlsx"):
        live_server.send("GET", f"/v1/admin/pledges/export?format={kind}", 200, headers=staff)
    live_server.send("GET", "/v1/admin/reminders", 200, headers=staff)
    live_server.send("GET", f"/v1/admin/pledges?email={DONOR}", 422, headers=staff)
    live_server.send("GET", "/metrics", 200)
    for address in (DONOR, READER):
        live_server.send("POST", "/v1/admin/erasures", 200, json={"email": address}, headers=staff)
    live_server.send("GET", "/v1/admin/summary", 401, headers={"Authorization": f"Bearer {token}x"})


def test_logs_contain_no_personal_data(live_server: LiveServer) -> None:
    make_pledge(live_server)
    token = receive_reminder(live_server)
    use_reminder_links(live_server, token)
    send_invalid_requests(live_server, token)
    make_address_undecryptable(live_server)
    work_as_staff(live_server)

    logged = live_server.log.read_text(encoding="utf-8")
    lines = [json.loads(line) for line in logged.splitlines() if line.startswith("{")]
    events = {line["event"] for line in lines}
    assert {
        "request",
        "worker_started",
        "email_sent",
        "emails_unwritable",
        "unexpected_error",
    } <= events
    for secret in live_server.secrets | {DONOR, READER, LOST, TYPO, KEYS}:
        assert secret not in logged
        assert secret.partition("@")[0] not in logged
    for amount in (AMOUNT, AMOUNT_WRITTEN):
        assert not re.search(rf"(?<![\w-]){re.escape(amount)}(?![\w-])", logged)
    assert "@example.org" not in logged
    assert "Traceback" not in logged
    assert {line.get("route") for line in lines if line["event"] == "request"} >= {
        "/r/<token>",
        "/v1/reminders/<token>/cancel",
    }
