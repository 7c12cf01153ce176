"""The control side of the mail server in `tests.faults.smtp_sink_process`."""

import json
import select
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.processes import ROOT, free_port

DROP = "drop"
ACCEPT_THEN_DROP = "accept and drop"
FOREVER = -1
TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class SinkReport:
    """What a sink saw: accepted emails as (Message-ID, recipients, time), and the times of connections."""

    mails: list[tuple[str, list[str], float]]
    connections: list[float]
    header_names: list[str]

    @property
    def copies(self) -> Counter[str]:
        """The number of emails by address."""
        return Counter(recipient for _, recipients, _ in self.mails for recipient in recipients)

    @property
    def duplicates(self) -> int:
        """The number of emails beyond the first of each Message-ID."""
        return len(self.mails) - len({message_id for message_id, _, _ in self.mails})

    def ids_for(self, address: str) -> list[str]:
        """Return the Message-ID of each email to this address."""
        return [message_id for message_id, recipients, _ in self.mails if address in recipients]


class SmtpSinkProcess:
    """Runs in a `with` block. `set_reply(at, reply)` makes it fail, at a greeting, ehlo, login, recipient or
    data.

    The reply `DROP` closes the connection instead of a reply, and `ACCEPT_THEN_DROP` does so after it accepted the
    email.
    """

    def __init__(self) -> None:
        self.port = free_port()

    def __enter__(self) -> "SmtpSinkProcess":
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.faults.smtp_sink_process", str(self.port)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate(timeout=TIMEOUT_SECONDS)

    def url_for(self, login: str) -> str:
        """Return a MAIL_URL with the worker's name as its login, which identifies its connections."""
        return f"smtp://{login}:password@127.0.0.1:{self.port}?tls=none"

    def open(self) -> None:
        self._do("open")

    def close(self) -> None:
        self._do("close")

    def set_reply(self, at: str, reply: str, *, to: str | None = None, times: int = FOREVER) -> None:
        self._do("rule", at=at, reply=reply, to=to, times=times)

    def clear_rules(self) -> None:
        self._do("clear")

    def pause(self) -> None:
        self._do("pause")

    def delay(self, seconds: float) -> None:
        self._do("delay", seconds=seconds)

    @property
    def accepted(self) -> int:
        return self._do("count")["accepted"]

    @property
    def in_hand(self) -> list[str]:
        """The logins that have sent an email and wait for the reply."""
        return self._do("count")["in_hand"]

    @property
    def connections(self) -> int:
        return self._do("count")["connections"]

    def report(self) -> SinkReport:
        report = self._do("report")
        mails = [(message_id, recipients, at) for message_id, recipients, at in report["mails"]]
        return SinkReport(mails, report["connections"], report["header_names"])

    def _do(self, command: str, **more: Any) -> Any:
        self._process.stdin.write(json.dumps({"do": command, **more}) + "\n")
        self._process.stdin.flush()
        # Each command has a reply of one line, so nothing stays in the buffer between commands.
        if not select.select([self._process.stdout], [], [], TIMEOUT_SECONDS)[0]:
            raise AssertionError(f"the mail server did not {command} within {TIMEOUT_SECONDS} s")
        response = self._process.stdout.readline()
        if not response:
            raise RuntimeError("the mail server has ended; its error is on standard error")
        return json.loads(response)
