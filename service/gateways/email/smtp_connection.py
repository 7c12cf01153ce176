"""One connection to an SMTP server, encrypted and authenticated, with a deadline for each reply."""

import smtplib
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from service.domain.ports import ServerUnavailable, UncertainDelivery
from service.gateways.email import smtp_client
from service.gateways.email.smtp_handshake import Exchange, Handshake
from service.gateways.email.smtp_replies import SmtpReply
from service.mail_settings import SmtpServer

# Seconds. The reply to QUIT does not matter, and a stopping worker has little time.
QUIT_TIMEOUT = 2.0

SMTP_ERRORS = (smtplib.SMTPException, OSError)


@dataclass(eq=False)
class PendingReply:
    """The place of a reply that may not have come yet, to what was `said` at an instant on the monotonic clock."""

    said: str
    at: float
    reply: SmtpReply | None = None


class SmtpConnection:
    """An open connection. It closes itself on an error, and cannot be used afterwards.

    With `pipelines`, the server takes several commands in one write (RFC 2920).
    """

    def __init__(
        self,
        server: SmtpServer,
        context: ssl.SSLContext | None,
        on_exchange: Callable[[Exchange], None] = lambda _: None,
    ) -> None:
        """Connect; `on_exchange` gets each reply.

        Raises:
            ServerUnavailable, ServerMisconfigured: there is no connection.
        """
        self.messages_sent = 0
        self._smtp = Handshake(server, context).open(on_exchange)
        self._on_exchange = on_exchange
        self._unread: deque[PendingReply] = deque()
        self._bytes_written = 0
        self.pipelines = self.supports("pipelining")
        if self.pipelines:
            # Otherwise a second short write waits until the server has confirmed the first (Nagle's algorithm).
            with suppress(OSError):
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def supports(self, extension: str) -> bool:
        """Whether the server has an extension, such as "smtputf8"."""
        return self._smtp.has_extn(extension)

    def command(self, command: str) -> SmtpReply:
        """Send one command and return the reply.

        Raises:
            ServerUnavailable: the connection was lost, before any content was sent.
        """
        [pending] = self.post(command)
        return self.wait_for(pending)

    def post(self, *commands: str) -> list[PendingReply]:
        """Send commands in one write, without waiting for their replies; return a place for each reply.

        Without PIPELINING, the replies to what was sent before are read first.

        Raises:
            ServerUnavailable: the connection was lost, before any content was sent.
        """
        if self._unread and not self.pipelines:
            self.wait_for(self._unread[-1])
        try:
            self._write(_encode(commands))
        except SMTP_ERRORS as error:
            raise self._lost(error) from error
        return self._expect_replies(*commands)

    def wait_for(self, pending: PendingReply) -> SmtpReply:
        """Return a reply; replies come in the order of the commands, so those before it are read first.

        Raises:
            ServerUnavailable: the connection was lost.
        """
        while pending.reply is None:
            oldest = self._unread[0]
            try:
                oldest.reply = SmtpReply(*self._smtp.getreply())
            except SMTP_ERRORS as error:
                raise self._lost(error) from error
            self._unread.popleft()
            self._on_exchange(Exchange(oldest.said, oldest.reply, time.monotonic() - oldest.at))
        return pending.reply

    def send_data(self, content: bytes, *following: str) -> tuple[SmtpReply, list[PendingReply]]:
        """Send a whole message and return the reply, and a place for the reply to each of the following commands.

        The commands leave in the same write as the end of the message (RFC 2920, section 3.1). Their replies
        are not awaited.

        Raises:
            ServerUnavailable: the connection was lost before the end of the message.
            UncertainDelivery: the connection was lost after the end of the message and before the reply.
        """
        # A line with a single dot ends the message, so a leading dot is doubled (RFC 5321, section 4.5.2).
        message = content.replace(b"\r\n.", b"\r\n..") + b".\r\n"
        try:
            self._write(message + _encode(following))
        except SMTP_ERRORS as error:
            if self._bytes_written < len(message):
                raise self._lost(error) from error
            raise self._uncertain(error) from error
        [pending] = self._expect_replies(f"the email, {len(content):,} bytes")
        later = self._expect_replies(*following)
        try:
            return self.wait_for(pending), later
        except ServerUnavailable as error:
            raise self._uncertain(error.__cause__ or error) from error

    def quit(self) -> None:
        """Send QUIT if possible, and close the connection."""
        self._smtp.deadline_seconds = QUIT_TIMEOUT
        with suppress(ServerUnavailable):
            self.command("QUIT")
        self.close()

    def close(self) -> None:
        """Close the connection without QUIT."""
        with suppress(OSError):
            self._smtp.close()

    @property
    def _socket(self) -> socket.socket:
        if self._smtp.sock is None:
            raise smtplib.SMTPServerDisconnected("not connected")
        return self._smtp.sock

    def _write(self, data: bytes) -> None:
        """Write to the socket; `_bytes_written` says afterwards how much the socket took, also after an error."""
        view, self._bytes_written = memoryview(data), 0
        deadline = time.monotonic() + smtp_client.REPLY_TIMEOUT
        while self._bytes_written < len(data):
            seconds_left = deadline - time.monotonic()
            if seconds_left <= 0:
                raise TimeoutError
            self._socket.settimeout(seconds_left)
            self._bytes_written += self._socket.send(view[self._bytes_written :])

    def _expect_replies(self, *said: str) -> list[PendingReply]:
        pending = [PendingReply(each, time.monotonic()) for each in said]
        self._unread.extend(pending)
        return pending

    def _lost(self, error: BaseException) -> ServerUnavailable:
        self.close()
        return ServerUnavailable(f"connection lost ({_error_class(error)})")

    def _uncertain(self, error: BaseException) -> UncertainDelivery:
        self.close()
        return UncertainDelivery(f"no reply to the whole mail ({_error_class(error)})")


def _encode(commands: Sequence[str]) -> bytes:
    if any("\r" in command or "\n" in command for command in commands):
        raise ValueError("an SMTP command with a line break")
    # Only addresses can be other than ASCII, and are so only if the server has SMTPUTF8.
    return "".join(f"{command}\r\n" for command in commands).encode()


def _error_class(error: BaseException) -> str:
    """Return the class name of the underlying error, because smtplib wraps time-outs in its own exceptions."""
    cause = error.__context__
    return type(cause if isinstance(cause, OSError) else error).__name__
