"""What the real processes print through a whole story, at their most talkative: nothing personal and no way in."""

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

from schemas.vocabulary import ReminderStatus
from service.commands.migrate import migrate_and_seed
from service.db.outbox_mail import DevOutboxEmail
from service.db.reminder import Reminder
from service.desk import Container
from service.wiring import build_container
from tests.api.wire import staff_token
from tests.conftest import make_database, settings_for
from tests.processes import KEYS, wait_until, web, worker

GIVER, READER, LOST, TYPO = (
    "giver.seven@example.org",
    "reader.eight@example.org",
    "lost.nine@example.org",
    "typo.ten@",
)
AMOUNT, AMOUNT_WRITTEN = "23457", "234.57"
TALKATIVE = {"LOG_LEVEL": "debug", "MONTH_SECONDS": "2", "SECRET_KEYS": KEYS}


@dataclass
class Newsroom:
    """A running web process and worker, and what must not be read in their logs."""

    base: str
    container: Container
    log: Path
    secrets: set[str] = field(default_factory=set)

    def keep(self, secret: str) -> str:
        """Note a secret and return it."""
        self.secrets.add(secret)
        return secret

    def send(self, method: str, path: str, status: int, **sent) -> requests.Response:
        """Send a request and expect a status."""
        url = path if path.startswith("http") else self.base + path
        response = requests.request(method, url, timeout=60, allow_redirects=False, **sent)
        assert response.status_code == status, response.text
        return response

    def wait_for(self, what: str, condition: Callable) -> None:
        """Wait until a question to the database is answered with yes."""

        def asked() -> bool:
            with self.container.database.read_only() as session:
                return bool(condition(session))

        wait_until(asked, what=f"{what}, see {self.log}")

    def execute(self, statement: str) -> None:
        with self.container.database.transaction() as session:
            session.execute(text(statement))


@pytest.fixture
def newsroom(worker_id: str, tmp_path: Path) -> Iterator[Newsroom]:
    """Start a newsroom on a database of its own."""
    url, log = make_database(f"mainstay_logs_{worker_id}"), tmp_path / "log"
    container = build_container(settings_for(url))
    migrate_and_seed(container)
    with web(url, log, **TALKATIVE) as base, worker(url, log, PUBLIC_URL=base, **TALKATIVE):
        yield Newsroom(base, container, log)
    container.database.engine.dispose()


def give(newsroom: Newsroom) -> None:
    payload = {"campaign": "default", "frequency": "monthly", "amount": int(AMOUNT), "currency": "USD"}
    key = newsroom.keep("idempotency-key-of-this-story")
    made = newsroom.send("POST", "/v1/pledges", 201, json=payload, headers={"Idempotency-Key": key}).json()
    newsroom.keep(made["checkout_url"].rpartition("/")[2])
    newsroom.send("GET", made["checkout_url"], 200)
    newsroom.send("POST", made["checkout_url"], 402, data={"outcome": "decline", "email": GIVER})
    newsroom.send("POST", made["checkout_url"], 303, data={"outcome": "pay", "email": GIVER})
    newsroom.keep(re.search(r"/p/([\w-]+)", mail_to(newsroom, GIVER))[1])


def mail_to(newsroom: Newsroom, reader: str) -> str:
    """Wait for a reader's first mail, and return it with its lines whole."""

    def find(session: Session) -> str | None:
        return next(
            (mail for mail in session.scalars(select(DevOutboxEmail.message)) if f"To: {reader}" in mail), None
        )

    newsroom.wait_for("the mail", find)
    with newsroom.container.database.read_only() as session:
        return re.sub(r"=\r?\n", "", find(session))


def be_reminded(newsroom: Newsroom) -> str:
    """Set a reminder, wait for its mail, and return the token that the mail holds."""
    payload = {"campaign": "default", "email": READER, "frequency": "monthly", "amount": int(AMOUNT)}
    newsroom.send("POST", "/v1/reminders", 201, json=payload)
    return newsroom.keep(re.search(r"/v1/reminders/([\w-]+)/cancel", mail_to(newsroom, READER))[1])


def mind_the_reminder(newsroom: Newsroom, token: str) -> None:
    newsroom.send("GET", f"/r/{token}", 200)
    newsroom.send("GET", f"/v1/reminders/{token}/cancel", 405)
    newsroom.send("POST", f"/v1/reminders/{token}/snooze", 200, json={"months": 1})
    newsroom.send("POST", f"/v1/reminders/{token}/cancel", 204, data={"List-Unsubscribe": "One-Click"})
    newsroom.send("GET", "/dev/outbox", 200)


def meet_trouble(newsroom: Newsroom, token: str) -> None:
    altered = newsroom.keep(token[:-2] + "xy")
    newsroom.send("POST", f"/v1/reminders/{altered}/cancel", 404)
    newsroom.send("POST", "/v1/reminders", 422, json={"campaign": "default", "email": TYPO})
    newsroom.send(
        "POST", "/v1/reminders", 400, data=f'{{"email": "{READER}"', headers={"Content-Type": "application/json"}
    )
    newsroom.send("GET", f"/nothing/{token}?email={READER}", 404)
    newsroom.send("GET", f"/v1/campaigns/default?lang={READER}", 200)
    speak_no_http(newsroom, f"GET /r/{token} HTTP/9.9\r\n\r\n")
    speak_no_http(newsroom, f"GET /r/{token}\r\nHost: x\r\n\r\n")
    speak_no_http(newsroom, f"GET /r/{token}?{'x' * 9000} HTTP/1.1\r\nHost: x\r\n\r\n")
    speak_no_http(newsroom, f"GET / HTTP/1.1\r\nHost: x\r\nBad Header {READER}\r\n\r\n")
    newsroom.execute("ALTER TABLE reminder_moves RENAME TO elsewhere")
    try:
        newsroom.send("POST", f"/v1/reminders/{token}/snooze", 500, headers={"Origin": "https://paper.example"})
        newsroom.send("POST", "/v1/reminders", 500, json={"campaign": "default", "email": READER})
    finally:
        newsroom.execute("ALTER TABLE elsewhere RENAME TO reminder_moves")


def speak_no_http(newsroom: Newsroom, words: str) -> None:
    """Send what is not HTTP, to meet the server below the application."""
    address = urlsplit(newsroom.base)
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall(words.encode())
        response = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = response.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 4"), response[:80]
    assert b"Content-Type: application/problem+json" in head
    assert json.loads(body)["status"] == int(head[9:12])


def lose_an_address(newsroom: Newsroom) -> None:
    """Store an address that opens with no key, and let the worker meet it."""
    newsroom.send("POST", "/v1/reminders", 201, json={"campaign": "default", "email": LOST})
    theirs = f"decode('{newsroom.container.database.keyring.lookup_hash(LOST).hex()}', 'hex')"
    newsroom.execute(f"UPDATE supporters SET email = decode('00', 'hex') WHERE email_hash = {theirs}")
    failed = select(Reminder.id).where(Reminder.status == ReminderStatus.FAILED)
    newsroom.wait_for("the worker to give up on it", lambda session: session.scalar(failed))


def work_as_staff(newsroom: Newsroom) -> None:
    token = newsroom.keep(staff_token(newsroom.container, "read", "export", "manage"))
    staff = {"Authorization": f"Bearer {token}"}
    for kind in ("csv", "jsonl", "xlsx"):
        newsroom.send("GET", f"/v1/admin/pledges/export?format={kind}", 200, headers=staff)
    newsroom.send("GET", "/v1/admin/reminders", 200, headers=staff)
    newsroom.send("GET", f"/v1/admin/pledges?email={GIVER}", 422, headers=staff)
    newsroom.send("GET", "/metrics", 200)
    for address in (GIVER, READER):
        newsroom.send("POST", "/v1/admin/erasures", 200, json={"email": address}, headers=staff)
    newsroom.send("GET", "/v1/admin/summary", 401, headers={"Authorization": f"Bearer {token}x"})


def test_a_whole_story_leaves_nothing_personal_in_any_log(newsroom: Newsroom) -> None:
    give(newsroom)
    token = be_reminded(newsroom)
    mind_the_reminder(newsroom, token)
    meet_trouble(newsroom, token)
    lose_an_address(newsroom)
    work_as_staff(newsroom)

    logged = newsroom.log.read_text(encoding="utf-8")
    lines = [json.loads(line) for line in logged.splitlines() if line.startswith("{")]
    events = {line["event"] for line in lines}
    assert {
        "request",
        "worker_started",
        "reminder_sent",
        "notice_sent",
        "reminders_unwritable",
        "unexpected_error",
    } <= events
    for secret in newsroom.secrets | {GIVER, READER, LOST, TYPO, KEYS}:
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
