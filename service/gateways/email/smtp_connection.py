"""One connection to a mail server: opened, encrypted and logged in, and never waited on for long."""

import io
import smtplib
import socket
import ssl
import time
from contextlib import suppress
from typing import Any

from service.domain.ports import ServerMisconfigured, ServerUnavailable, UncertainDelivery
from service.gateways.email.smtp_replies import SmtpReply
from service.settings import SmtpServer

# A mail has four replies, so that the slowest of servers holds one for two minutes.
REPLY_TIMEOUT = 30.0
# Whatever is answered to a goodbye changes nothing, and a worker that stops has little time.
QUIT_TIMEOUT = 2.0

SMTP_ERRORS = (smtplib.SMTPException, OSError)


class SmtpConnection:
    """A connection that is open. After an error it is closed, and another one is needed."""

    def __init__(self, server: SmtpServer, context: ssl.SSLContext | None) -> None:
        """Connect.

        Raises:
            ServerUnavailable, ServerMisconfigured: nothing is open.
        """
        self.messages_sent = 0
        try:
            self._smtp = _connect(server, context)
        except ssl.SSLCertVerificationError as error:
            raise ServerMisconfigured("nobody vouches for the server's certificate") from error
        except smtplib.SMTPResponseException as error:
            reply = SmtpReply(error.smtp_code, _as_bytes(error.smtp_error))
            kind = ServerMisconfigured if reply.in_class(5) else ServerUnavailable
            raise kind(f"the server did not let us in ({reply.redacted})") from error
        except smtplib.SMTPNotSupportedError as error:
            raise ServerMisconfigured("the server does not offer the encryption or login of MAIL_URL") from error
        except UnicodeError as error:
            raise ServerMisconfigured("the name or password of MAIL_URL is not ASCII") from error
        except SMTP_ERRORS as error:
            # The library has no name of its own for a server that offers only ways of login that it cannot use.
            kind = ServerMisconfigured if type(error) is smtplib.SMTPException else ServerUnavailable
            raise kind(f"cannot connect ({_error_class(error)})") from error

    def supports(self, extension: str) -> bool:
        """Tell whether the server has an extension, such as "smtputf8"."""
        return self._smtp.has_extn(extension)

    def command(self, command: str) -> SmtpReply:
        """Say one line and return the reply.

        Raises:
            ServerUnavailable: the connection is lost, and no mail was in it.
        """
        try:
            return SmtpReply(*self._smtp.docmd(command))
        except SMTP_ERRORS as error:
            self.close()
            raise ServerUnavailable(f"connection lost ({_error_class(error)})") from error

    def send_data(self, content: bytes) -> SmtpReply:
        """Send a whole message and return what becomes of it.

        Raises:
            ServerUnavailable: the connection was lost before its end.
            UncertainDelivery: the connection was lost after its end, but before the reply.
        """
        # A dot alone ends a message, so one at a line's start is doubled (RFC 5321, section 4.5.2).
        stuffed = content.replace(b"\r\n.", b"\r\n..")
        try:
            self._smtp.send(stuffed + b".\r\n")
        except SMTP_ERRORS as error:
            self.close()
            raise ServerUnavailable(f"connection lost ({_error_class(error)})") from error
        try:
            return SmtpReply(*self._smtp.getreply())
        except SMTP_ERRORS as error:
            self.close()
            raise UncertainDelivery(f"no reply to the whole mail ({_error_class(error)})") from error

    def enable_smtputf8(self) -> None:
        """Allow addresses in other scripts in what is said from here on."""
        self._smtp.command_encoding = "utf-8"

    def quit(self) -> None:
        """Say goodbye, if anybody listens, and let go."""
        self._smtp.deadline_seconds = QUIT_TIMEOUT
        with suppress(*SMTP_ERRORS):
            self._smtp.quit()
        self.close()

    def close(self) -> None:
        """Let go without a word."""
        with suppress(OSError):
            self._smtp.close()


class _DeadlineSMTP(smtplib.SMTP):
    """Allows each reply so many seconds in all; the library allows them to every byte of it."""

    deadline_seconds: float | None = None

    def getreply(self) -> tuple[int, bytes]:
        if self.sock is not None and self.file is None:
            self.file = io.BufferedReader(_DeadlineReader(self.sock))
        if self.file is not None:
            self.file.raw.answer_by = time.monotonic() + (self.deadline_seconds or REPLY_TIMEOUT)
        reply = super().getreply()
        if self.sock is not None:
            # What is left of one reply's time is not the next command's.
            self.sock.settimeout(REPLY_TIMEOUT)
        return reply


class _DeadlineSMTPOverTLS(_DeadlineSMTP, smtplib.SMTP_SSL):
    """The same over TLS from the first byte."""


class _DeadlineReader(io.RawIOBase):
    """What comes from the server, up to an instant."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self._sock = sock
        self.answer_by = 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        seconds_left = self.answer_by - time.monotonic()
        if seconds_left <= 0:
            raise TimeoutError
        self._sock.settimeout(seconds_left)
        return self._sock.recv_into(buffer)


def _connect(server: SmtpServer, context: ssl.SSLContext | None) -> _DeadlineSMTP:
    if server.tls == "implicit":
        smtp: _DeadlineSMTP = _DeadlineSMTPOverTLS(
            server.host, server.port, timeout=REPLY_TIMEOUT, context=context
        )
    else:
        smtp = _DeadlineSMTP(server.host, server.port, timeout=REPLY_TIMEOUT)
    try:
        if server.tls == "starttls":
            smtp.starttls(context=context)
        smtp.ehlo_or_helo_if_needed()
        if server.user is not None:
            smtp.login(server.user, server.password or "")
    except BaseException:
        smtp.close()
        raise
    return smtp


def _error_class(error: BaseException) -> str:
    """Return what really happened by the name of its class; the library hides time-outs behind its own error."""
    hidden = error.__context__
    return type(hidden if isinstance(hidden, OSError) else error).__name__


def _as_bytes(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
