"""One connection to an SMTP server, encrypted and authenticated, with a deadline for each reply."""

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

# Seconds. An email has four replies, so the slowest server takes two minutes for one.
REPLY_TIMEOUT = 30.0
# Seconds. The reply to QUIT does not matter, and a stopping worker has little time.
QUIT_TIMEOUT = 2.0

SMTP_ERRORS = (smtplib.SMTPException, OSError)


class SmtpConnection:
    """An open connection. It closes itself on an error, and cannot be used afterwards."""

    def __init__(self, server: SmtpServer, context: ssl.SSLContext | None) -> None:
        """Connect.

        Raises:
            ServerUnavailable, ServerMisconfigured: there is no connection.
        """
        self.messages_sent = 0
        try:
            self._smtp = _connect(server, context)
        except ssl.SSLCertVerificationError as error:
            raise ServerMisconfigured("the server's certificate is not trusted") from error
        except smtplib.SMTPResponseException as error:
            reply = SmtpReply(error.smtp_code, _as_bytes(error.smtp_error))
            kind = ServerMisconfigured if reply.in_class(5) else ServerUnavailable
            raise kind(f"the server refused the connection ({reply.redacted})") from error
        except smtplib.SMTPNotSupportedError as error:
            raise ServerMisconfigured("the server does not offer the encryption or login of MAIL_URL") from error
        except UnicodeError as error:
            raise ServerMisconfigured("the name or password of MAIL_URL is not ASCII") from error
        except SMTP_ERRORS as error:
            # smtplib raises the base class if it supports none of the login methods that the server offers.
            kind = ServerMisconfigured if type(error) is smtplib.SMTPException else ServerUnavailable
            raise kind(f"cannot connect ({_error_class(error)})") from error

    def supports(self, extension: str) -> bool:
        """Whether the server has an extension, such as "smtputf8"."""
        return self._smtp.has_extn(extension)

    def command(self, command: str) -> SmtpReply:
        """Send one command and return the reply.

        Raises:
            ServerUnavailable: the connection was lost, before any content was sent.
        """
        try:
            return SmtpReply(*self._smtp.docmd(command))
        except SMTP_ERRORS as error:
            self.close()
            raise ServerUnavailable(f"connection lost ({_error_class(error)})") from error

    def send_data(self, content: bytes) -> SmtpReply:
        """Send a whole message and return the reply.

        Raises:
            ServerUnavailable: the connection was lost before the end of the message.
            UncertainDelivery: the connection was lost after the end of the message and before the reply.
        """
        # A line with a single dot ends the message, so a leading dot is doubled (RFC 5321, section 4.5.2).
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
        """Allow addresses that are not ASCII in the following commands."""
        self._smtp.command_encoding = "utf-8"

    def quit(self) -> None:
        """Send QUIT if possible, and close the connection."""
        self._smtp.deadline_seconds = QUIT_TIMEOUT
        with suppress(*SMTP_ERRORS):
            self._smtp.quit()
        self.close()

    def close(self) -> None:
        """Close the connection without QUIT."""
        with suppress(OSError):
            self._smtp.close()


class _DeadlineSMTP(smtplib.SMTP):
    """Gives each reply a deadline. With smtplib alone a slow reply can take forever: it limits each read only."""

    deadline_seconds: float | None = None

    def getreply(self) -> tuple[int, bytes]:
        if self.sock is not None and self.file is None:
            self.file = io.BufferedReader(_DeadlineReader(self.sock))
        if self.file is not None:
            self.file.raw.deadline = time.monotonic() + (self.deadline_seconds or REPLY_TIMEOUT)
        reply = super().getreply()
        if self.sock is not None:
            # The next command must not inherit the time that was left.
            self.sock.settimeout(REPLY_TIMEOUT)
        return reply


class _DeadlineSMTPOverTLS(_DeadlineSMTP, smtplib.SMTP_SSL):
    """The same with implicit TLS."""


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket until an instant on the monotonic clock."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self._sock = sock
        self.deadline = 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        seconds_left = self.deadline - time.monotonic()
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
    """Return the class name of the underlying error, because smtplib wraps time-outs in its own exceptions."""
    cause = error.__context__
    return type(cause if isinstance(cause, OSError) else error).__name__


def _as_bytes(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
