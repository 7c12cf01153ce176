"""A mail server in its own process, controlled over standard input: one JSON command and one JSON reply a line.

It records accepted emails by Message-ID and recipient, and every connection. `tests.faults.smtp_sink` controls it.
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
ACCEPT_THEN_DROP = "accept and drop"


class ControlServer:
    """The server's state and commands. A rule is `{"at", "to", "reply", "times"}`; the first match applies."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.rules: list[dict[str, Any]] = []
        self.mails: list[tuple[str, list[str], float]] = []
        self.header_names: set[str] = set()
        self.connections: list[float] = []
        self.in_hand: list[str] = []
        self.seconds = 0.0
        self.may_reply = asyncio.Event()
        self.may_reply.set()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.BaseTransport] = set()

    async def do_open(self) -> None:
        """Start to listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._make_protocol, "127.0.0.1", self.port, backlog=512)

    async def do_close(self) -> None:
        """Stop listening, and abort all connections."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._connections):
            connection.abort()

    async def do_rule(self, **rule: Any) -> None:
        """Add a rule for a reply at `greeting`, `ehlo`, `login`, `recipient` or `data`."""
        self.rules.append(rule)

    async def do_clear(self) -> None:
        """Remove all rules, and send the paused replies."""
        self.rules.clear()
        self.may_reply.set()

    async def do_pause(self) -> None:
        """Accept emails, but pause their replies until `clear`."""
        self.may_reply.clear()

    async def do_delay(self, seconds: float) -> None:
        """Delay the reply to each email."""
        self.seconds = seconds

    async def do_count(self) -> dict[str, Any]:
        """Return the counts, and the logins that wait for a reply to an email."""
        return {"accepted": len(self.mails), "connections": len(self.connections), "in_hand": self.in_hand}

    async def do_report(self) -> dict[str, Any]:
        """Return everything that was recorded."""
        names = sorted(self.header_names)
        return {"mails": self.mails, "connections": self.connections, "header_names": names}

    def reply(self, at: str, to: str | None = None) -> str | None:
        """Return the reply of the first matching rule, if any."""
        for rule in self.rules:
            if rule["at"] == at and rule["to"] in (None, to) and rule["times"] != 0:
                rule["times"] -= 1
                reply: str = rule["reply"]
                return reply
        return None

    def accept(self, content: bytes, recipients: list[str]) -> None:
        """Record an accepted email."""
        headers = BytesHeaderParser().parsebytes(content)
        self.header_names.update(name.lower() for name in headers)
        self.mails.append((str(headers["Message-ID"]).strip(), recipients, time.time()))

    def add_connection(self, connection: asyncio.BaseTransport) -> None:
        """Record a new connection."""
        self.connections.append(time.time())
        self._connections.add(connection)

    def remove_connection(self, connection: asyncio.BaseTransport | None) -> None:
        """Remove a closed connection."""
        self._connections.discard(connection)

    def _make_protocol(self) -> asyncio.Protocol:
        greeting = self.reply("greeting")
        return SmtpHandler(self) if greeting is None else RefusingProtocol(self, greeting)


class RefusingProtocol(asyncio.Protocol):
    """Closes a connection at once, with a greeting or without."""

    def __init__(self, server: ControlServer, greeting: str) -> None:
        self._control = server
        self._greeting = greeting

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._control.add_connection(transport)
        self._control.remove_connection(transport)
        if self._greeting != DROP:
            transport.write(f"{self._greeting}\r\n".encode())
        transport.close()


class SmtpHandler(SMTP):
    """Serves one SMTP connection."""

    def __init__(self, server: ControlServer) -> None:
        login = {"authenticator": self._check, "auth_require_tls": False}
        super().__init__(self, hostname="sink.test", enable_SMTPUTF8=True, **login)
        self._control = server
        self._login = "anonymous"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._control.add_connection(transport)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._control.remove_connection(self.transport)
        super().connection_lost(error)

    async def smtp_EHLO(self, hostname: str) -> None:  # noqa: N802 - aiosmtpd's own name
        refused = self._control.reply("ehlo")
        if refused is None:
            await super().smtp_EHLO(hostname)
            return
        if refused != DROP:
            await self.push(refused)
        self.transport.close()

    def _check(self, _server: SMTP, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        self._login = data.login.decode()
        refused = self._control.reply("login")
        return AuthResult(success=refused is None, handled=False, message=refused)

    async def handle_RCPT(self, _server: SMTP, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802 - aiosmtpd's own name
        refused = self._control.reply("recipient", address)
        if refused is None:
            envelope.rcpt_tos.append(address)
        return refused or OK

    async def handle_DATA(self, _server: SMTP, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's own name
        reply = self._control.reply("data", envelope.rcpt_tos[0]) or OK
        if reply in (OK, ACCEPT_THEN_DROP):
            self._control.accept(envelope.content, envelope.rcpt_tos)
        self._control.in_hand.append(self._login)
        try:
            await asyncio.sleep(self._control.seconds)
            await self._control.may_reply.wait()
        finally:
            self._control.in_hand.remove(self._login)
        if reply in (DROP, ACCEPT_THEN_DROP):
            self.transport.abort()
        if reply.startswith("421"):
            # RFC 5321, section 3.8: after a 421 the server closes the connection.
            asyncio.get_running_loop().call_soon(self.transport.close)
        return reply


async def main(port: int) -> None:
    """Run the commands on standard input until it ends."""
    server = ControlServer(port)
    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        command = json.loads(line)
        response = await getattr(server, f"do_{command.pop('do')}")(**command)
        sys.stdout.write(json.dumps(response) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
