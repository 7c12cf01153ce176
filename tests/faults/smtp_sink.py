"""The tests' end of the mail server in `tests.faults.smtp_sink_process`."""

import json
import select
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.processes import ROOT, free_port

DROP = "drop"
ACCEPT_THEN_DROP = "take and drop"
FOR_EVER = -1
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class SinkReport:
    """What a sink has seen: mails that it accepted as (Message-ID, recipients, when), connections as instants."""

    mails: list[tuple[str, list[str], float]]
    connections: list[float]
    header_names: list[str]

    @property
    def copies(self) -> Counter[str]:
        """How many mails each address has."""
        return Counter(recipient for _, recipients, _ in self.mails for recipient in recipients)

    @property
    def duplicates(self) -> int:
        """How many mails there are beyond the first of each Message-ID."""
        return len(self.mails) - len({message_id for message_id, _, _ in self.mails})

    def ids_for(self, address: str) -> list[str]:
        """Return the Message-ID of each mail that this address has."""
        return [message_id for message_id, recipients, _ in self.mails if address in recipients]


class SmtpSinkProcess:
    """Runs from `with` to its end. `rule(at, reply)` makes it misbehave, at a greeting, login, recipient or data.

    A reply `DROP` ends the connection in place of an answer, and `ACCEPT_THEN_DROP` does so with the mail
    accepted.
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
        self._process.communicate(timeout=PATIENCE_SECONDS)

    def url_for(self, caller: str) -> str:
        """Return a MAIL_URL; the caller's name is also its login, so that one can be told from another."""
        return f"smtp://{caller}:password@127.0.0.1:{self.port}?tls=none"

    def open(self) -> None:
        self._do("open")

    def close(self) -> None:
        self._do("close")

    def set_reply(self, at: str, reply: str, *, to: str | None = None, times: int = FOR_EVER) -> None:
        self._do("rule", at=at, reply=reply, to=to, times=times)

    def clear_rules(self) -> None:
        self._do("calm")

    def pause(self) -> None:
        self._do("hold")

    def delay(self, seconds: float) -> None:
        self._do("slow", seconds=seconds)

    @property
    def accepted(self) -> int:
        return self._do("count")["accepted"]

    @property
    def in_hand(self) -> list[str]:
        """Who has handed a mail over and waits for the reply."""
        return self._do("count")["in_hand"]

    @property
    def connections(self) -> int:
        return self._do("count")["connections"]

    def report(self) -> SinkReport:
        said = self._do("report")
        mails = [(message_id, recipients, at) for message_id, recipients, at in said["mails"]]
        return SinkReport(mails, said["connections"], said["header_names"])

    def _do(self, what: str, **more: Any) -> Any:
        self._process.stdin.write(json.dumps({"do": what, **more}) + "\n")
        self._process.stdin.flush()
        # Each order has one line for an answer, so that nothing is left in the buffer between them.
        if not select.select([self._process.stdout], [], [], PATIENCE_SECONDS)[0]:
            raise AssertionError(f"the mail server of the tests did not {what} within {PATIENCE_SECONDS} s")
        response = self._process.stdout.readline()
        if not response:
            raise RuntimeError("the mail server of the tests has ended; its error is on standard error")
        return json.loads(response)
