"""How a connection to an SMTP server begins: its greeting, EHLO, STARTTLS and the login.

A failure says at which step, and what the server said there, because only that tells an operator what to do.
"""

import base64
import smtplib
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from service.domain.ports import ServerMisconfigured, ServerUnavailable
from service.gateways.email.smtp_client import REPLY_TIMEOUT, DeadlineSMTP, create_client
from service.gateways.email.smtp_replies import SmtpReply
from service.mail_settings import SmtpServer

GREETING, STARTTLS, LOGIN = "greeting", "STARTTLS", "AUTH"
# RFC 5321, section 3.2: a server that knows no EHLO says so with one of these.
UNKNOWN_COMMAND = range(500, 505)
# The errors of a server that closes the connection, as a socket reports them.
CLOSED = (ConnectionResetError, BrokenPipeError, ConnectionAbortedError)


@dataclass(frozen=True)
class Exchange:
    """What was said to the server, without secrets, what it replied, and how long that took.

    The first is the connection itself, which has no reply.
    """

    said: str
    reply: SmtpReply | None = field(repr=False)
    seconds: float


class RefusedAtConnect(ServerUnavailable):
    """The server answered and does not let us in: it may be busy, or it wants something else of us."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"cannot connect ({detail})")
        self.detail = detail


class _NotOffered(Exception):
    """The server lacks what MAIL_URL asks for."""


class Handshake:
    """Opens connections to one server."""

    def __init__(self, server: SmtpServer, context: ssl.SSLContext | None) -> None:
        self._server = server
        self._context = context

    def open(self, on_exchange: Callable[[Exchange], None] = lambda _: None) -> DeadlineSMTP:
        """Connect, greet, encrypt and log in; `on_exchange` gets each reply.

        Raises:
            RefusedAtConnect: the server refused us for now, closed the connection, or does not speak SMTP.
            ServerUnavailable: there was no answer.
            ServerMisconfigured: the server refused us permanently.
        """
        opening = _Opening(self._server, create_client(self._server, self._context), on_exchange)
        try:
            opening.run(self._context)
        except (smtplib.SMTPException, OSError, UnicodeError, _NotOffered) as error:
            opening.smtp.close()
            raise opening.explain(error) from error
        except BaseException:
            opening.smtp.close()
            raise
        return opening.smtp


class _Opening:
    """One attempt to open a connection. `said` is the last step that began, and `before` what came before it."""

    def __init__(self, server: SmtpServer, smtp: DeadlineSMTP, on_exchange: Callable[[Exchange], None]) -> None:
        self.smtp = smtp
        self._server = server
        self._on_exchange = on_exchange
        self._said = GREETING
        self._before = ""
        self._began = 0.0

    def run(self, context: ssl.SSLContext | None) -> None:
        server, smtp = self._server, self.smtp
        smtp.on_connect = self._report_connection
        self._expect(220, GREETING, lambda: smtp.connect(server.host, server.port))
        self._greet()
        if server.tls == "starttls":
            if not smtp.has_extn("starttls"):
                raise _NotOffered("the server does not offer the encryption of MAIL_URL, STARTTLS")
            self._expect(220, STARTTLS, lambda: smtp.starttls(context=context))
            self._greet()
        if server.user is not None:
            if not smtp.has_extn("auth"):
                raise _NotOffered("the server does not offer the login of MAIL_URL")
            user, password = server.user, server.password or ""
            self._expect(235, LOGIN, lambda: smtp.login(user, password))

    def explain(self, error: Exception) -> ServerUnavailable:
        """Return the error for the step that failed."""
        if isinstance(error, ssl.SSLCertVerificationError):
            return ServerMisconfigured(f"the server's certificate is not trusted ({error.verify_message})")
        if isinstance(error, UnicodeError):
            return ServerMisconfigured("the name or password of MAIL_URL is not ASCII")
        if isinstance(error, _NotOffered):
            return ServerMisconfigured(f"{error} ({self._at_last_reply()})")
        if type(error) is smtplib.SMTPException:
            # smtplib raises the base class if it supports none of the login methods that the server offers.
            return ServerMisconfigured(f"the server offers no login that is supported here ({self._before})")
        cause = error if error.__context__ is None else error.__context__
        if isinstance(cause, ssl.SSLError):
            return RefusedAtConnect(self._at(f"TLS failed, {cause.reason or type(cause).__name__}"))
        reply = self._reply()
        if reply is not None and (isinstance(error, smtplib.SMTPResponseException) or reply.code // 100 in (4, 5)):
            return self._refused(reply)
        if isinstance(cause, (smtplib.SMTPServerDisconnected, *CLOSED)):
            return RefusedAtConnect(self._at("closed without a reply"))
        if isinstance(cause, TimeoutError) and self.smtp.has_connected:
            return ServerUnavailable(f"cannot connect ({self._at(self._silence())})")
        return ServerUnavailable(f"cannot connect ({type(cause).__name__})")

    def _greet(self) -> None:
        """Send EHLO, or HELO if the server does not know EHLO."""
        smtp, name = self.smtp, self._server.ehlo_name
        code, _ = self._exchange(f"EHLO {name}", smtp.ehlo)
        if code in UNKNOWN_COMMAND:
            self._expect(250, f"HELO {name}", smtp.helo)
        elif code != 250:
            raise smtplib.SMTPResponseException(code, "")

    def _report_connection(self, seconds: float) -> None:
        self._began = time.monotonic()
        tls = ", with TLS" if self._server.tls == "implicit" else ""
        self._on_exchange(Exchange(f"connect to {self._server.address}{tls}", None, seconds))

    def _expect(self, code: int, said: str, act: Callable[[], tuple[int, bytes]]) -> None:
        found, _ = self._exchange(said, act)
        # 503 means that we are logged in already.
        if found != code and (said, found) != (LOGIN, 503):
            raise smtplib.SMTPResponseException(found, "")

    def _exchange(self, said: str, act: Callable[[], tuple[int, bytes]]) -> tuple[int, bytes]:
        if self.smtp.last_reply is not None:
            self._before = self._at_last_reply()
        self._said, self.smtp.last_reply = said, None
        self._began = time.monotonic()
        try:
            return act()
        finally:
            reply = self._reply()
            if reply is not None:
                self._on_exchange(Exchange(said, reply, time.monotonic() - self._began))

    def _reply(self) -> SmtpReply | None:
        """Return the last reply to this step, without our secrets if the server repeats them."""
        if self.smtp.last_reply is None:
            return None
        code, text = self.smtp.last_reply
        if self._said == LOGIN:
            for secret in _secrets(self._server):
                text = text.replace(secret, "…".encode())
        return SmtpReply(code, text)

    def _refused(self, reply: SmtpReply) -> ServerUnavailable:
        if reply.in_class(5):
            return ServerMisconfigured(f"the server refuses us ({self._at(reply.redacted)})")
        return RefusedAtConnect(self._at(reply.redacted if reply.code > 0 else f"not SMTP, {reply.redacted}"))

    def _silence(self) -> str:
        """Say that there was no reply, and why that often is."""
        silence = f"no reply within {REPLY_TIMEOUT:.0f} seconds, TimeoutError"
        if self._said == GREETING and self._server.tls != "implicit":
            return f"{silence}; a port for TLS alone, such as 465, needs tls=implicit in MAIL_URL"
        return silence

    def _at_last_reply(self) -> str:
        reply = self._reply()
        return "" if reply is None else f"{self._said}: {reply.redacted}"

    def _at(self, what: str) -> str:
        before = f"; before that {self._before}" if self._before else ""
        return f"{self._said}: {what}{before}"


def _secrets(server: SmtpServer) -> list[bytes]:
    """Return the secrets that AUTH sends, in each form, the longest first."""
    user, password = (server.user or "").encode(), (server.password or "").encode()
    plain = [password, b"\0" + user + b"\0" + password]
    forms = {*plain, *(base64.b64encode(value) for value in plain)} - {b""}
    return sorted(forms, key=len, reverse=True)
