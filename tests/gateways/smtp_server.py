"""A mail server of the tests' own on the loopback interface, which can be told to misbehave."""

import asyncio
import ssl
import threading
from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as modern
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

from tests.processes import free_port

OK = "250 OK"


class SmtpTestServer:
    """Runs from `with` to its end. `mails` are those accepted, in order; `connections` counts those opened, and
    `ended` those of them that are over.

    `answer_recipient` and `answer_data` return the reply to each; `stall_seconds` is how long a DATA takes, and it
    has no reply before it `may_answer`. `hangs_up` ends the connection without a reply to it. `greets` is what it
    says first.

    For any command, by its name: `answers` says something else (and ends the connection after a 421),
    `hangs_up_at` ends the connection instead, and `trickles_at` answers by one sign in a tenth of a second and
    never ends. `commands` are those that came.
    """

    def __init__(
        self,
        *,
        implicit_tls: ssl.SSLContext | None = None,
        starttls: ssl.SSLContext | None = None,
        login: tuple[str, str] | None = None,
        idle_seconds: float = 60,
        port: int | None = None,
        speaks_utf8: bool = True,
    ) -> None:
        self.mails: list[EmailMessage] = []
        self.contents: list[bytes] = []
        self.recipients: list[str] = []
        self.commands: list[str] = []
        self.connections = self.ended = 0
        self.over_tls: list[bool] = []
        self.stall_seconds = 0.0
        self.may_answer: Callable[[], bool] = lambda: True
        self.hangs_up = False
        self.greets: str | None = None
        self.answers: dict[str, str] = {}
        self.hangs_up_at: set[str] = set()
        self.trickles_at: set[str] = set()
        self.in_data = threading.Event()
        self.answer_recipient: Callable[[str], str] = lambda _: OK
        self.answer_data: Callable[[str], str] = lambda _: OK
        self.port = port or free_port()
        self._login = login
        self._options: dict[str, Any] = {"timeout": idle_seconds, "enable_SMTPUTF8": speaks_utf8}
        if starttls is not None:
            self._options |= {"tls_context": starttls, "require_starttls": True}
        if login is not None:
            self._options |= {"authenticator": self._check, "auth_required": True, "auth_require_tls": False}
        sink = self

        class Door(Controller):
            def factory(self) -> SMTP:
                sink.connections += 1
                return _Handler(sink, self.handler, hostname="sink.test", **sink._options)

        self._transaction = Door(self, hostname="127.0.0.1", port=self.port, ssl_context=implicit_tls)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}?tls=none"

    def __enter__(self) -> "SmtpTestServer":
        self._transaction.start()
        # The controller knocks once by itself to see whether it is up.
        self.connections = 0
        return self

    def __exit__(self, *_: object) -> None:
        self._transaction.stop()

    def _check(self, _server: SMTP, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        given = (data.login.decode(), data.password.decode())
        return AuthResult(success=given == self._login, handled=False)

    async def handle_RCPT(self, _server: SMTP, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802 - aiosmtpd's own name
        reply = self.answer_recipient(address)
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server: SMTP, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's own name
        self.in_data.set()
        await asyncio.sleep(self.stall_seconds)
        while not self.may_answer():
            await asyncio.sleep(0.01)
        if self.hangs_up:
            server.transport.abort()
        reply = self.answer_data(envelope.rcpt_tos[0])
        if reply.startswith("250"):
            self.mails.append(message_from_bytes(envelope.content, _class=EmailMessage, policy=modern))
            self.contents.append(envelope.content)
            self.recipients.extend(envelope.rcpt_tos)
            self.over_tls.append(server.transport.get_extra_info("ssl_object") is not None)
        return reply

    def ids(self) -> list[str]:
        """Return the Message-ID of each mail that was accepted."""
        return [mail["Message-ID"] for mail in self.mails]


class _Handler(SMTP):
    """Serves one connection as the sink is told to."""

    def __init__(self, sink: SmtpTestServer, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._sink = sink
        self._has_spoken = False
        self._smtp_methods = {name: self._as_told(name, serve) for name, serve in self._smtp_methods.items()}

    def connection_lost(self, error: Exception | None) -> None:
        self._sink.ended += self._has_spoken
        super().connection_lost(error)

    async def _handle_client(self) -> None:
        if self._sink.greets is not None:
            await self.push(self._sink.greets)
            self.transport.close()
        else:
            await super()._handle_client()

    def _as_told(self, name: str, serve: Any) -> Any:
        async def told(argument: str | None) -> None:
            sink = self._sink
            self._has_spoken = True
            sink.commands.append(name)
            if name in sink.hangs_up_at:
                self.transport.abort()
            elif name in sink.trickles_at:
                self._writer.write(b"250 ")
                while not self.transport.is_closing():
                    self._writer.write(b".")
                    await asyncio.sleep(0.1)
            elif name in sink.answers:
                await self.push(sink.answers[name])
                if sink.answers[name].startswith("421"):
                    self.transport.close()
            else:
                await serve(argument)

        return told
