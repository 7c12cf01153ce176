"""An SMTP server on the loopback interface whose replies a test can change."""

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
    """Runs in a `with` block. `mails` are the accepted emails in order.

    `connections` counts the opened connections, and `ended` those that have closed. `reply_to_recipient` and
    `reply_to_data` return the replies; a DATA reply takes `stall_seconds`, and waits until it `may_reply`.
    `drops_connection` closes the connection instead of it. `greeting` replaces the greeting.

    By command name: `replies` are used instead (and a 421 closes the connection), `drop_at` closes the connection,
    and `trickle_at` sends a reply of ten bytes a second that never ends. `commands` are those received.
    """

    def __init__(
        self,
        *,
        implicit_tls: ssl.SSLContext | None = None,
        starttls: ssl.SSLContext | None = None,
        login: tuple[str, str] | None = None,
        idle_seconds: float = 60,
        port: int | None = None,
        supports_smtputf8: bool = True,
    ) -> None:
        self.mails: list[EmailMessage] = []
        self.contents: list[bytes] = []
        self.recipients: list[str] = []
        self.commands: list[str] = []
        self.connections = self.ended = 0
        self.over_tls: list[bool] = []
        self.stall_seconds = 0.0
        self.may_reply: Callable[[], bool] = lambda: True
        self.drops_connection = False
        self.greeting: str | None = None
        self.replies: dict[str, str] = {}
        self.drop_at: set[str] = set()
        self.trickle_at: set[str] = set()
        self.in_data = threading.Event()
        self.reply_to_recipient: Callable[[str], str] = lambda _: OK
        self.reply_to_data: Callable[[str], str] = lambda _: OK
        self.port = port or free_port()
        self._login = login
        self._options: dict[str, Any] = {"timeout": idle_seconds, "enable_SMTPUTF8": supports_smtputf8}
        if starttls is not None:
            self._options |= {"tls_context": starttls, "require_starttls": True}
        if login is not None:
            self._options |= {"authenticator": self._check, "auth_required": True, "auth_require_tls": False}
        sink = self

        class CountingController(Controller):
            def factory(self) -> SMTP:
                sink.connections += 1
                return _Handler(sink, self.handler, hostname="sink.test", **sink._options)

        self._controller = CountingController(self, hostname="127.0.0.1", port=self.port, ssl_context=implicit_tls)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}?tls=none"

    def __enter__(self) -> "SmtpTestServer":
        self._controller.start()
        # The controller connects once itself to check that the server is up.
        self.connections = 0
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    def _check(self, _server: SMTP, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        given = (data.login.decode(), data.password.decode())
        return AuthResult(success=given == self._login, handled=False)

    async def handle_RCPT(self, _server: SMTP, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802 - aiosmtpd's own name
        reply = self.reply_to_recipient(address)
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server: SMTP, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's own name
        self.in_data.set()
        await asyncio.sleep(self.stall_seconds)
        while not self.may_reply():
            await asyncio.sleep(0.01)
        if self.drops_connection:
            server.transport.abort()
        reply = self.reply_to_data(envelope.rcpt_tos[0])
        if reply.startswith("250"):
            self.mails.append(message_from_bytes(envelope.content, _class=EmailMessage, policy=modern))
            self.contents.append(envelope.content)
            self.recipients.extend(envelope.rcpt_tos)
            self.over_tls.append(server.transport.get_extra_info("ssl_object") is not None)
        return reply

    def ids(self) -> list[str]:
        """Return the Message-ID of each accepted email."""
        return [mail["Message-ID"] for mail in self.mails]


class _Handler(SMTP):
    """Serves one connection with the replies that the test set."""

    def __init__(self, sink: SmtpTestServer, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._sink = sink
        self._got_command = False
        self._smtp_methods = {
            name: self._with_overrides(name, serve) for name, serve in self._smtp_methods.items()
        }

    def connection_lost(self, error: Exception | None) -> None:
        self._sink.ended += self._got_command
        super().connection_lost(error)

    async def _handle_client(self) -> None:
        if self._sink.greeting is not None:
            await self.push(self._sink.greeting)
            self.transport.close()
        else:
            await super()._handle_client()

    def _with_overrides(self, name: str, serve: Any) -> Any:
        async def handle(argument: str | None) -> None:
            sink = self._sink
            self._got_command = True
            sink.commands.append(name)
            if name in sink.drop_at:
                self.transport.abort()
            elif name in sink.trickle_at:
                self._writer.write(b"250 ")
                while not self.transport.is_closing():
                    self._writer.write(b".")
                    await asyncio.sleep(0.1)
            elif name in sink.replies:
                await self.push(sink.replies[name])
                if sink.replies[name].startswith("421"):
                    self.transport.close()
            else:
                await serve(argument)

        return handle
