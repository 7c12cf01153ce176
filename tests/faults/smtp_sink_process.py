"""A mail server in a process of its own that does as it is told: a JSON command a line in, an answer a line out.

It counts what it accepted by Message-ID and recipient, and every connection that was opened.
`tests.faults.smtp_sink`
holds the other end of the line.
"""

import asyncio
import json
import sys
import time
from email.parser import BytesHeaderParser
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult

OK = "250 OK"
DROP = "drop"
TAKE_AND_DROP = "take and drop"


class ControlServer:
    """The one who answers. A rule is `{"at", "to", "reply", "times"}`; the first that fits is used up by one."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.rules: list[dict[str, Any]] = []
        self.mails: list[tuple[str, list[str], float]] = []
        self.header_names: set[str] = set()
        self.connections: list[float] = []
        self.in_hand: list[str] = []
        self.seconds = 0.0
        self.going_on = asyncio.Event()
        self.going_on.set()
        self._transaction: asyncio.Server | None = None
        self._callers: set[asyncio.BaseTransport] = set()

    async def do_open(self) -> None:
        """Listen, as at first."""
        loop = asyncio.get_running_loop()
        self._transaction = await loop.create_server(self._meet, "127.0.0.1", self.port, backlog=512)

    async def do_close(self) -> None:
        """Go away: the port refuses, and whoever is connected is cut off."""
        if self._transaction is not None:
            self._transaction.close()
            self._transaction = None
        for caller in list(self._callers):
            caller.abort()

    async def do_rule(self, **rule: Any) -> None:
        """Answer what fits with this reply: at `greeting`, `login`, `recipient` or `data`."""
        self.rules.append(rule)

    async def do_calm(self) -> None:
        """Forget every rule, and give every reply that was held."""
        self.rules.clear()
        self.going_on.set()

    async def do_hold(self) -> None:
        """Accept mails, but keep every reply to oneself until `calm`."""
        self.going_on.clear()

    async def do_slow(self, seconds: float) -> None:
        """Take so long over each mail."""
        self.seconds = seconds

    async def do_count(self) -> dict[str, Any]:
        """Return how much there was, and who has handed a mail over that is not answered."""
        return {"accepted": len(self.mails), "connections": len(self.connections), "in_hand": self.in_hand}

    async def do_report(self) -> dict[str, Any]:
        """Return everything."""
        names = sorted(self.header_names)
        return {"mails": self.mails, "connections": self.connections, "header_names": names}

    def reply(self, at: str, to: str | None = None) -> str | None:
        """Return what a rule says to this, if one does."""
        for rule in self.rules:
            if rule["at"] == at and rule["to"] in (None, to) and rule["times"] != 0:
                rule["times"] -= 1
                said: str = rule["reply"]
                return said
        return None

    def take(self, content: bytes, recipients: list[str]) -> None:
        """Accept a mail for good."""
        headers = BytesHeaderParser().parsebytes(content)
        self.header_names.update(name.lower() for name in headers)
        self.mails.append((str(headers["Message-ID"]).strip(), recipients, time.time()))

    def arrive(self, caller: asyncio.BaseTransport) -> None:
        """Count a connection."""
        self.connections.append(time.time())
        self._callers.add(caller)

    def leave(self, caller: asyncio.BaseTransport | None) -> None:
        """Forget a connection that has ended."""
        self._callers.discard(caller)

    def _meet(self) -> asyncio.Protocol:
        greeting = self.reply("greeting")
        return SmtpHandler(self) if greeting is None else RefusingProtocol(self, greeting)


class RefusingProtocol(asyncio.Protocol):
    """Ends a connection at once, with a word or without."""

    def __init__(self, office: ControlServer, greeting: str) -> None:
        self._office = office
        self._greeting = greeting

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._office.arrive(transport)
        self._office.leave(transport)
        if self._greeting != DROP:
            transport.write(f"{self._greeting}\r\n".encode())
        transport.close()


class SmtpHandler(SMTP):
    """Serves one connection."""

    def __init__(self, office: ControlServer) -> None:
        login = {"authenticator": self._check, "auth_require_tls": False}
        super().__init__(self, hostname="sink.test", enable_SMTPUTF8=True, **login)
        self._office = office
        self._caller = "somebody"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._office.arrive(transport)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._office.leave(self.transport)
        super().connection_lost(error)

    def _check(self, _server: SMTP, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        self._caller = data.login.decode()
        refused = self._office.reply("login")
        return AuthResult(success=refused is None, handled=False, message=refused)

    async def handle_RCPT(self, _server: SMTP, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802 - aiosmtpd's own name
        refused = self._office.reply("recipient", address)
        if refused is None:
            envelope.rcpt_tos.append(address)
        return refused or OK

    async def handle_DATA(self, _server: SMTP, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's own name
        said = self._office.reply("data", envelope.rcpt_tos[0]) or OK
        if said in (OK, TAKE_AND_DROP):
            self._office.take(envelope.content, envelope.rcpt_tos)
        self._office.in_hand.append(self._caller)
        try:
            await asyncio.sleep(self._office.seconds)
            await self._office.going_on.wait()
        finally:
            self._office.in_hand.remove(self._caller)
        if said in (DROP, TAKE_AND_DROP):
            self.transport.abort()
        if said.startswith("421"):
            # RFC 5321, section 3.8: a server that says so closes the channel.
            asyncio.get_running_loop().call_soon(self.transport.close)
        return said


async def main(port: int) -> None:
    """Do what standard input says until it ends."""
    office = ControlServer(port)
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while line := await orders.readline():
        order = json.loads(line)
        response = await getattr(office, f"do_{order.pop('do')}")(**order)
        sys.stdout.write(json.dumps(response) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
